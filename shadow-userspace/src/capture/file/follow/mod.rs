//! Follows the connections of a capture file, and says of each segment in which run it is: what the kernel programs do
//! live (`shadow-ebpf/src/follow`) at a sample rate of 100 %.
//!
//! As everything is in the sample, a connection of which the beginning was seen is one open run. Where no request start
//! is known (the beginning wasn't seen, or the pipeline lost its place), one is searched: see [`search`]. One hash
//! lookup per packet and no allocation. Keeps invariant 3 together with the pipeline (body bytes are never taken for a
//! request), and invariant 4 (the table is bounded).

mod candidate;
mod first;
mod flow;
mod ports;
mod search;
mod table;

use shadow_common::{
    Direction, FlowKey,
    tcp_flags::{ACK, RST, SYN},
};

use self::{
    candidate::Permits,
    flow::Flow,
    ports::{Ports, Sides},
    table::{Place, Table},
};
use super::{
    packet::{Endpoint, Packet},
    stats::FileStats,
};
use crate::capture::{Note, Run};

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is a segment for the pipeline.
    Take { flow: FlowKey, direction: Direction, run: Run },
    /// It isn't looked at further.
    Leave,
    /// It shows that a connection has begun, of which no SYN was handed out: that comes first, then the packet again.
    Begins { flow: FlowKey, isn: u32, run: Run },
}

/// What flows are told besides their packet.
struct Context<'a> {
    stats: &'a mut FileStats,
    permits: &'a Permits,
    /// Whether nothing but the bytes says that HTTP is spoken.
    is_strict: bool,
}

#[derive(Debug)]
pub(super) struct Follower {
    ports: Ports,
    table: Table,
    permits: Permits,
}

impl Follower {
    /// Of the service ports `ports`, or of any if there are none.
    pub(super) fn new(ports: &[u16], max_flows: usize) -> Self {
        Self { ports: Ports::new(ports), table: Table::new(max_flows), permits: Permits::default() }
    }

    /// Decides about a packet, and moves its flow on.
    #[inline]
    pub(super) fn decide(&mut self, packet: &Packet<'_>, stats: &mut FileStats) -> Verdict {
        let sides = self.ports.sides(packet.source.port, packet.dest.port);
        if sides == Sides::Neither {
            stats.other_ports += 1;
            return Verdict::Leave;
        }
        let mut context = Context { stats, permits: &self.permits, is_strict: self.ports.are_any() };
        match self.table.find(&packet.source, &packet.dest) {
            Ok(flow) => {
                flow.used = true;
                if flow.is_client(&packet.source) {
                    flow.client(packet, &mut context)
                } else if is_syn(packet) && sides != Sides::FromService {
                    flow.turned_round(packet, &mut context)
                } else {
                    flow.service(packet, &mut context)
                }
            }
            Err(place) => meet(&mut self.table, place, packet, sides, &mut context),
        }
    }

    /// Heeds what the pipeline says of a flow's run. That requests ended is no news, as the run is open; unless the
    /// pipeline has forgotten it.
    #[inline]
    pub(super) fn tell(&mut self, note: &Note) {
        if note.resync.what == shadow_common::Resync::RESUME && !note.is_forgotten {
            return;
        }
        let FlowKey { client_addr, service_addr, client_port, service_port } = note.flow;
        let client = Endpoint { addr: client_addr, port: client_port };
        let service = Endpoint { addr: service_addr, port: service_port };
        if let Ok(flow) = self.table.find(&client, &service) {
            flow.tell(&note.resync);
        }
    }
}

fn is_syn(packet: &Packet<'_>) -> bool {
    packet.flags & (SYN | ACK | RST) == SYN
}

/// The first packet of a connection that isn't known.
fn meet(
    table: &mut Table,
    place: Place,
    packet: &Packet<'_>,
    sides: Sides,
    context: &mut Context<'_>,
) -> Verdict {
    let Packet { source, dest, payload, .. } = packet;
    let accepts = packet.flags & (SYN | ACK | RST) == SYN | ACK;
    let from_client = sides != Sides::FromService;
    let from_service = sides != Sides::ToService;
    let flow = if is_syn(packet) && from_client {
        Flow::opened(source, dest, packet.seq)
    } else if accepts && from_service {
        Flow::opened(dest, source, packet.ack.wrapping_sub(1))
    } else if packet.flags & SYN == 0 && from_client && first::is_request(payload, context.is_strict) {
        Flow::met(source, dest)
    } else if packet.flags & SYN == 0 && from_service && first::answer(payload).is_some() {
        Flow::met(dest, source)
    } else {
        context.stats.unknown_flow += 1;
        return Verdict::Leave;
    };
    let (flow, forgotten) = table.insert(place, flow);
    context.stats.flows += 1;
    context.stats.flows_forgotten += u64::from(forgotten);
    if accepts {
        return flow.begins();
    }
    if flow.is_client(source) { flow.client(packet, context) } else { flow.service(packet, context) }
}

#[cfg(test)]
mod tests;
