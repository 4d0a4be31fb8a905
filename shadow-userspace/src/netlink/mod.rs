//! Questions to the kernel over netlink: takes one request, gives all answers. Asking needs no rights and no tools.
//!
//! [`link`] is about devices, [`tc`] about their qdiscs and filters, [`generic`] about whatever has a family of its
//! own. A socket belongs to the network namespace of the thread that asks.

pub mod generic;
pub mod link;
pub mod tc;

use std::{fmt::Debug, io};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_sys::{Socket, SocketAddr};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// The one thing that the request names, or that it be done.
    One,
    /// Everything that fits it.
    All,
}

/// Asks one question and waits until the kernel is done; `None` stands for an answer that the library can't read.
fn ask<M>(protocol: isize, question: M, wanted: Wanted) -> io::Result<Vec<Option<M>>>
where
    M: NetlinkSerializable + NetlinkDeserializable + Debug,
{
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | if wanted == Wanted::All { NLM_F_DUMP } else { NLM_F_ACK };
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

/// Takes the answers out of a datagram; whether the kernel is done.
fn take<M>(mut datagram: &[u8], answers: &mut Vec<Option<M>>) -> io::Result<bool>
where
    M: NetlinkDeserializable + Debug,
{
    while !datagram.is_empty() {
        let length = NetlinkBuffer::new_checked(datagram).map_err(|_| unreadable())?.length() as usize;
        match NetlinkMessage::<M>::deserialize(datagram).map(|message| message.payload) {
            Ok(NetlinkPayload::InnerMessage(answer)) => answers.push(Some(answer)),
            Ok(NetlinkPayload::Done(done)) if done.code != 0 => {
                return Err(io::Error::from_raw_os_error(-done.code));
            }
            Ok(NetlinkPayload::Error(error)) if error.code.is_some() => return Err(error.to_io()),
            // An acknowledgement is an error without a code.
            Ok(NetlinkPayload::Done(_) | NetlinkPayload::Error(_)) => return Ok(true),
            Ok(_) => {}
            Err(_) => answers.push(None),
        }
        // Messages begin at multiples of four bytes.
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an answer of the kernel that can't be read")
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::{RouteNetlinkMessage, link::LinkMessage};

    use super::*;

    type Answers = Vec<Option<RouteNetlinkMessage>>;

    /// A message as the kernel sends it.
    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + payload.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(16, 0);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    const ERROR: u16 = 2;
    const DONE: u16 = 3;
    const NEW_LINK: u16 = 16;

    fn link() -> Vec<u8> {
        let mut message = NetlinkMessage::from(RouteNetlinkMessage::NewLink(LinkMessage::default()));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    #[test]
    fn answers_are_taken_until_the_kernel_is_done() {
        let short = message(NEW_LINK, &[1, 2, 3]);
        let done = message(DONE, &0_i32.to_ne_bytes());
        let acknowledged = message(ERROR, &[0; 20]);
        for (datagram, end, known) in [
            (link(), false, &[true][..]),
            ([link(), done.clone()].concat(), true, &[true]),
            ([link(), acknowledged].concat(), true, &[true]),
            ([short, link(), done.clone(), link()].concat(), true, &[false, true]),
            (done, true, &[]),
        ] {
            let mut answers = Answers::new();
            assert_eq!(take(&datagram, &mut answers).unwrap(), end);
            assert_eq!(answers.iter().map(Option::is_some).collect::<Vec<_>>(), known);
        }
    }

    #[test]
    fn refusals_are_the_kernels_own() {
        let refused = [(-1_i32).to_ne_bytes().as_slice(), &[0; 16]].concat();
        for datagram in [message(ERROR, &refused), message(DONE, &(-1_i32).to_ne_bytes())] {
            let error = take(&datagram, &mut Answers::new()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(1), "{error}");
        }
        let error = take(&[9, 0, 0, 0], &mut Answers::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
