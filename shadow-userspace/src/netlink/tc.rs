//! The qdisc before a device's stack, and the filters in it: asks for them, and removes the qdisc.

use std::io;

use aya::programs::TcAttachType;
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcFilterBpfOption, TcHandle, TcMessage, TcOption},
};
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::netlink::{Wanted, ask};

/// The kind of the qdisc whose filters see both directions.
pub const CLSACT: &str = "clsact";

/// What the kernel lists of one direction of a device: a filter, or what filters hang on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `bpf`, `u32` …; `None` for one that the library can't read, of which nothing else is known either.
    pub kind: Option<String>,
    /// Lower ones come first.
    pub priority: u16,
    /// Its number among those of one priority.
    pub handle: u32,
    /// The program's name, of a BPF filter.
    pub name: Option<String>,
    /// The program's number, of a BPF filter.
    pub program: Option<u32>,
}

impl Filter {
    /// Whether it is no filter, but the head of a chain of them.
    pub const fn is_head(&self) -> bool {
        self.kind.is_some() && self.handle == 0
    }
}

/// The kind of the qdisc before a device's stack: `clsact`, the older `ingress`, or none.
///
/// # Errors
/// The kernel can't be asked.
pub fn qdisc(device: u32) -> io::Result<Option<String>> {
    let index = index(device)?;
    let request = RouteNetlinkMessage::GetQueueDiscipline(TcMessage::with_index(index));
    let answers = ask(NETLINK_ROUTE, request, Wanted::All)?;
    // The dump is of all devices.
    let ours =
        |message: &TcMessage| message.header.index == index && message.header.parent == TcHandle::INGRESS;
    Ok(answers.into_iter().flatten().find_map(|answer| match answer {
        RouteNetlinkMessage::NewQueueDiscipline(message) if ours(&message) => filter(message).kind,
        _ => None,
    }))
}

/// What is in one direction of a device's clsact qdisc: nothing, only if it is empty.
///
/// # Errors
/// The kernel can't be asked.
pub fn filters(device: u32, direction: TcAttachType) -> io::Result<Vec<Filter>> {
    let mut request = TcMessage::with_index(index(device)?);
    request.header.parent = parent(direction);
    let answers = ask(NETLINK_ROUTE, RouteNetlinkMessage::GetTrafficFilter(request), Wanted::All)?;
    Ok(answers
        .into_iter()
        .filter_map(|answer| match answer {
            Some(RouteNetlinkMessage::NewTrafficFilter(message)) => Some(filter(message)),
            Some(_) => None,
            None => Some(Filter::default()),
        })
        .collect())
}

/// Removes a device's clsact qdisc with all that is in it.
///
/// # Errors
/// There is none, or the kernel refuses.
pub fn delete_clsact(device: u32) -> io::Result<()> {
    let mut request = TcMessage::with_index(index(device)?);
    request.header.parent = TcHandle::CLSACT;
    request.header.handle = TcHandle { major: TcHandle::CLSACT.major, minor: 0 };
    request.attributes.push(TcAttribute::Kind(CLSACT.to_owned()));
    ask(NETLINK_ROUTE, RouteNetlinkMessage::DelQueueDiscipline(request), Wanted::One).map(drop)
}

fn index(device: u32) -> io::Result<i32> {
    i32::try_from(device).map_err(io::Error::other)
}

fn parent(direction: TcAttachType) -> TcHandle {
    match direction {
        TcAttachType::Ingress => TcHandle { minor: TcHandle::MIN_INGRESS, ..TcHandle::CLSACT },
        TcAttachType::Egress => TcHandle { minor: TcHandle::MIN_EGRESS, ..TcHandle::CLSACT },
        TcAttachType::Custom(parent) => parent.into(),
    }
}

fn filter(message: TcMessage) -> Filter {
    // The upper half of `tcm_info`; the lower is the protocol.
    let priority = (message.header.info >> 16) as u16;
    let mut filter = Filter { priority, handle: message.header.handle.into(), ..Filter::default() };
    for attribute in message.attributes {
        match attribute {
            TcAttribute::Kind(kind) => filter.kind = Some(kind),
            TcAttribute::Options(options) => {
                for option in options {
                    match option {
                        TcOption::Bpf(TcFilterBpfOption::ProgName(name)) => filter.name = Some(name),
                        TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => filter.program = Some(id),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_from_the_answer() {
        let mut message = TcMessage::default();
        message.header.info = 3 << 16 | 0x0300;
        message.attributes = vec![
            TcAttribute::Kind("bpf".to_owned()),
            TcAttribute::Options(vec![
                TcOption::Bpf(TcFilterBpfOption::ProgName("shadow_export".to_owned())),
                TcOption::Bpf(TcFilterBpfOption::ProgId(61)),
            ]),
        ];
        assert!(filter(message.clone()).is_head());
        message.header.handle = TcHandle { major: 0, minor: 1 };
        let read = Filter {
            kind: Some("bpf".to_owned()),
            priority: 3,
            handle: 1,
            name: Some("shadow_export".to_owned()),
            program: Some(61),
        };
        assert_eq!(filter(message), read);
        assert!(!read.is_head() && !Filter::default().is_head());
    }
}
