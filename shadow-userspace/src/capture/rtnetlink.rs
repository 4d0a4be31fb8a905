//! Asks the kernel about a device, its clsact qdisc and the filters in it, in the namespace of the calling thread.

use std::io;

use aya::programs::TcAttachType;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkLayerType, LinkMessage},
    tc::{TcAttribute, TcFilterBpfOption, TcHandle, TcMessage, TcOption},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// The kind of the qdisc whose filters see both directions.
pub const CLSACT: &str = "clsact";

/// A filter on one direction of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The name, which BPF filters alone have.
    pub name: Option<String>,
    /// Lower ones come first.
    pub priority: u16,
    /// Its number among those of one priority.
    pub handle: u32,
}

/// How a device's frames begin; `None` if the kernel doesn't say.
///
/// # Errors
/// There is no such device, or the kernel can't be asked.
pub fn link_layer(device: u32) -> io::Result<Option<LinkLayerType>> {
    let mut request = LinkMessage::default();
    request.header.index = device;
    let mut found = None;
    ask(RouteNetlinkMessage::GetLink(request), NLM_F_ACK, |message| {
        if let Some(RouteNetlinkMessage::NewLink(link)) = message {
            found = Some(link.header.link_layer_type);
        }
    })?;
    Ok(found)
}

/// The kind of the qdisc before a device's stack: `clsact`, the older `ingress`, or none.
///
/// # Errors
/// The kernel can't be asked.
pub fn qdisc(device: u32) -> io::Result<Option<String>> {
    let index = index(device)?;
    let request = RouteNetlinkMessage::GetQueueDiscipline(TcMessage::with_index(index));
    let mut kind = None;
    ask(request, NLM_F_DUMP, |message| {
        if let Some(RouteNetlinkMessage::NewQueueDiscipline(message)) = message
            // The dump is of all devices.
            && message.header.index == index
            && message.header.parent == TcHandle::INGRESS
        {
            kind = message.attributes.into_iter().find_map(|attribute| match attribute {
                TcAttribute::Kind(kind) => Some(kind),
                _ => None,
            });
        }
    })?;
    Ok(kind)
}

/// What is in one direction of a device's clsact qdisc: nothing, only if it is empty.
///
/// # Errors
/// The kernel can't be asked.
pub fn filters(device: u32, direction: TcAttachType) -> io::Result<Vec<Filter>> {
    let mut request = TcMessage::with_index(index(device)?);
    request.header.parent = parent(direction);
    let mut filters = Vec::new();
    ask(RouteNetlinkMessage::GetTrafficFilter(request), NLM_F_DUMP, |message| match message {
        Some(RouteNetlinkMessage::NewTrafficFilter(message)) => filters.push(filter(message)),
        Some(_) => {}
        // Of a kind that the library can't read: not ours.
        None => filters.push(Filter::default()),
    })?;
    Ok(filters)
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
    ask(RouteNetlinkMessage::DelQueueDiscipline(request), NLM_F_ACK, |_| {})
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
    let options = message.attributes.into_iter().filter_map(|attribute| match attribute {
        TcAttribute::Options(options) => Some(options),
        _ => None,
    });
    let name = options.flatten().find_map(|option| match option {
        TcOption::Bpf(TcFilterBpfOption::ProgName(name)) => Some(name),
        _ => None,
    });
    // The upper half of `tcm_info`; the lower is the protocol.
    let priority = (message.header.info >> 16) as u16;
    Filter { name, priority, handle: message.header.handle.into() }
}

/// Sends a request and hands over each answer until the kernel is done; `None` for one that can't be read.
fn ask(
    request: RouteNetlinkMessage,
    flags: u16,
    mut each: impl FnMut(Option<RouteNetlinkMessage>),
) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut request = NetlinkMessage::from(request);
    request.header.flags = NLM_F_REQUEST | flags;
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    loop {
        let (answer, _) = socket.recv_from_full()?;
        let mut rest = answer.as_slice();
        while !rest.is_empty() {
            let length = NetlinkBuffer::new_checked(rest).map_err(io::Error::other)?.length() as usize;
            match NetlinkMessage::deserialize(rest).map(|message| message.payload) {
                Ok(NetlinkPayload::Done(done)) if done.code == 0 => return Ok(()),
                Ok(NetlinkPayload::Done(done)) => return Err(io::Error::from_raw_os_error(-done.code)),
                // An acknowledgement is an error without a code.
                Ok(NetlinkPayload::Error(error)) if error.code.is_none() => return Ok(()),
                Ok(NetlinkPayload::Error(error)) => return Err(error.to_io()),
                Ok(NetlinkPayload::InnerMessage(message)) => each(Some(message)),
                Ok(_) => {}
                Err(_) => each(None),
            }
            // Messages begin at multiples of four.
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}
