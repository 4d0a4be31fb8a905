//! Questions to the kernel over netlink: one request, all answers. Needs no rights and no tools.
//!
//! A socket belongs to the network namespace of the thread that asks.

use std::{fmt::Debug, io};

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable as _, NLM_F_DUMP, NLM_F_MULTIPART, NLM_F_REQUEST,
    NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable, NlaBuffer,
    NlasIterator, parse_u16,
};
use netlink_sys::{
    Socket, SocketAddr,
    protocols::{NETLINK_GENERIC, NETLINK_ROUTE},
};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The one thing that the request names.
    One,
    /// Everything that fits it.
    All,
}

/// Asks for links, qdiscs, filters.
///
/// # Errors
/// What the kernel answers, or that its answer can't be read.
pub(super) fn route<M>(question: M, wanted: Wanted) -> io::Result<Vec<M>>
where
    M: NetlinkSerializable + NetlinkDeserializable + Debug,
{
    ask(NETLINK_ROUTE, question, wanted)
}

/// Asks a family of generic netlink and gives the attributes of its first answer, one after the other.
///
/// # Errors
/// As [`route`]; this kernel may not have the family.
pub(super) fn generic(family: &str, command: u8, attributes: Vec<DefaultNla>) -> io::Result<Vec<u8>> {
    let name = DefaultNla::new(CTRL_ATTR_FAMILY_NAME, [family.as_bytes(), &[0]].concat());
    let controller = Generic::new(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, &[name]);
    let described = first(ask(NETLINK_GENERIC, controller, Wanted::One)?)?;
    let id = attribute(&described, CTRL_ATTR_FAMILY_ID).and_then(|value| parse_u16(value.value()).ok());
    let question = Generic::new(id.ok_or_else(unreadable)?, command, &attributes);
    first(ask(NETLINK_GENERIC, question, Wanted::One)?)
}

/// The attributes that lie in `bytes`; what can't be read ends them.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(bytes).map_while(Result::ok)
}

/// The first attribute of this kind.
pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<NlaBuffer<&[u8]>> {
    attributes(bytes).find(|attribute| attribute.kind() == kind)
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
        let mut bytes = vec![0; attributes.buffer_len()];
        attributes.emit(&mut bytes);
        Self { family, command, attributes: bytes }
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

fn first(answers: Vec<Generic>) -> io::Result<Vec<u8>> {
    answers.into_iter().next().map(|answer| answer.attributes).ok_or_else(unreadable)
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an answer of the kernel that can't be read")
}

fn ask<M>(protocol: isize, question: M, wanted: Wanted) -> io::Result<Vec<M>>
where
    M: NetlinkSerializable + NetlinkDeserializable + Debug,
{
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | if wanted == Wanted::All { NLM_F_DUMP } else { 0 };
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(question));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut answers = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        if take(&datagram, &mut answers)? {
            return Ok(answers);
        }
    }
}

/// Takes the answers out of a datagram; whether it was the last.
fn take<M>(mut datagram: &[u8], answers: &mut Vec<M>) -> io::Result<bool>
where
    M: NetlinkDeserializable + Debug,
{
    while !datagram.is_empty() {
        let message = NetlinkMessage::<M>::deserialize(datagram).map_err(|_| unreadable())?;
        let several = message.header.flags & NLM_F_MULTIPART != 0;
        match message.payload {
            NetlinkPayload::InnerMessage(answer) => answers.push(answer),
            NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
            NetlinkPayload::Done(_) | NetlinkPayload::Error(_) => return Ok(true),
            _ => {}
        }
        if !several {
            return Ok(true);
        }
        // Messages begin at multiples of four bytes.
        let length = (message.header.length as usize).next_multiple_of(4);
        datagram = datagram.get(length..).unwrap_or_default();
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_that_the_kernel_lacks_is_not_found() {
        let error = generic("no-such-family", 1, Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn broken_attributes_end_the_walk() {
        let good = DefaultNla::new(7, vec![1, 2, 3]);
        let mut bytes = vec![0; good.buffer_len()];
        good.emit(&mut bytes);
        // An attribute longer than what is left.
        bytes.extend([200, 0, 8, 0, 1]);
        assert_eq!(attributes(&bytes).map(|attribute| attribute.kind()).collect::<Vec<_>>(), [7]);
        assert_eq!(attribute(&bytes, 7).unwrap().value(), [1, 2, 3]);
        assert!(attribute(&bytes, 8).is_none());
    }
}
