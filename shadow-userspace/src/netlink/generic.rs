//! Generic netlink: asks a family by its name, and walks the attributes of its answer.

use std::io;

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable as _, NLA_F_NESTED, NetlinkDeserializable, NetlinkHeader,
    NetlinkSerializable, NlaBuffer, NlasIterator, parse_u16,
};
use netlink_sys::protocols::NETLINK_GENERIC;

use crate::netlink::{Wanted, ask, unreadable};

/// Asks a family of generic netlink and gives the attributes of its first answer, one after the other.
///
/// # Errors
/// What the kernel answers, which may not have the family, or that its answer can't be read.
pub fn ask_family(family: &str, command: u8, attributes: &[DefaultNla]) -> io::Result<Vec<u8>> {
    let name = DefaultNla::new(CTRL_ATTR_FAMILY_NAME, [family.as_bytes(), &[0]].concat());
    let controller = Generic::new(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, &[name]);
    let described = first(ask(NETLINK_GENERIC, controller, Wanted::One)?)?;
    let id = attribute(&described, CTRL_ATTR_FAMILY_ID).and_then(|value| parse_u16(value.value()).ok());
    let question = Generic::new(id.ok_or_else(unreadable)?, command, attributes);
    first(ask(NETLINK_GENERIC, question, Wanted::One)?)
}

/// The attributes that lie in `bytes`; what can't be read ends them.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(bytes).map_while(Result::ok)
}

/// The first attribute of this kind.
pub fn attribute(bytes: &[u8], kind: u16) -> Option<NlaBuffer<&[u8]>> {
    attributes(bytes).find(|attribute| attribute.kind() == kind)
}

/// An attribute that holds others.
pub fn nested(kind: u16, inner: &[DefaultNla]) -> DefaultNla {
    DefaultNla::new(kind | NLA_F_NESTED, bytes_of(inner))
}

/// Attributes, one after the other.
fn bytes_of(attributes: &[DefaultNla]) -> Vec<u8> {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    bytes
}

/// The controller of generic netlink (linux/genetlink.h).
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

/// A message of generic netlink: its header, and attributes as bytes.
#[derive(Debug)]
struct Generic {
    family: u16,
    command: u8,
    attributes: Vec<u8>,
}

/// Command, version, two bytes reserved.
const GENERIC_HEADER: usize = 4;

/// Every family asked here is at version 1 or ignores it.
const GENERIC_VERSION: u8 = 1;

impl Generic {
    fn new(family: u16, command: u8, attributes: &[DefaultNla]) -> Self {
        Self { family, command, attributes: bytes_of(attributes) }
    }
}

impl NetlinkSerializable for Generic {
    fn message_type(&self) -> u16 {
        self.family
    }

    fn buffer_len(&self) -> usize {
        GENERIC_HEADER + self.attributes.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let header = [self.command, GENERIC_VERSION, 0, 0];
        buffer.copy_from_slice(&[&header, self.attributes.as_slice()].concat());
    }
}

impl NetlinkDeserializable for Generic {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let (generic, attributes) = payload
            .split_first_chunk::<GENERIC_HEADER>()
            .ok_or_else(|| DecodeError::buffer_too_small(payload.len(), GENERIC_HEADER))?;
        Ok(Self { family: header.message_type, command: generic[0], attributes: attributes.to_vec() })
    }
}

fn first(answers: Vec<Option<Generic>>) -> io::Result<Vec<u8>> {
    answers.into_iter().flatten().next().map(|answer| answer.attributes).ok_or_else(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_that_the_kernel_lacks_is_not_found() {
        let error = ask_family("no-such-family", 1, &[]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn broken_attributes_end_the_walk() {
        let mut bytes = bytes_of(&[DefaultNla::new(7, vec![1, 2, 3])]);
        // An attribute longer than what is left.
        bytes.extend([200, 0, 8, 0, 1]);
        assert_eq!(attributes(&bytes).map(|attribute| attribute.kind()).collect::<Vec<_>>(), [7]);
        assert_eq!(attribute(&bytes, 7).unwrap().value(), [1, 2, 3]);
        assert!(attribute(&bytes, 8).is_none());
    }
}
