//! One connection of a capture file: whether its request starts are known, and how one is found where they aren't.
//!
//! A connection is one open run from its first byte on. A SYN within a living connection changes nothing until the
//! service accepts it: anybody can send one, and what follows may be body bytes that look like a request.

use shadow_common::{
    Direction, FlowKey, Resync, marks,
    tcp_flags::{ACK, FIN, RST, SYN},
};

use super::{Context, Verdict, candidate::Candidate};
use crate::capture::{
    Run, Seq,
    file::packet::{Endpoint, Packet},
};

/// The largest window that TCP can offer (RFC 7323 section 2.3).
const MAX_WINDOW: i32 = 1 << 30;

#[derive(Debug)]
pub(super) struct Flow {
    key: FlowKey,
    /// Whether it was looked at since the table wondered which to forget.
    pub(super) used: bool,
    pub(super) phase: Phase,
    /// Where the run begins, in the phases that have one, or began.
    pub(super) run_start: u32,
    /// Of a SYN within the connection, which the service didn't accept.
    asked_isn: Option<u32>,
    /// Where the client's and the service's bytes end, as far as seen.
    pub(super) client_end: Option<Seq>,
    pub(super) service_end: Option<Seq>,
    /// Where the service was when the client sent its last payload: what begins before answers something earlier.
    pub(super) asked_at: Seq,
    /// What the last answer acknowledges that began since.
    pub(super) answered: Option<Seq>,
    pub(super) ends: Ends,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Request starts are known: the pipeline frames the run.
    Known,
    /// A run began in mid-life, and waits for its confirmation.
    Candidate(Box<Candidate>),
    /// No request start is known.
    Lost,
    /// Nothing more is wanted of the connection.
    Left,
}

/// How far the connection has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    /// Anything but the client's SYN was seen.
    pub(super) is_established: bool,
    has_service: bool,
    client_fin: bool,
    service_fin: bool,
    reset: bool,
}

impl Flow {
    /// A connection that begins with the client's SYN of this number.
    pub(super) fn opened(client: &Endpoint, service: &Endpoint, isn: u32) -> Self {
        let first = isn.wrapping_add(1);
        let flow = Self { run_start: first, client_end: Some(Seq(first)), ..Self::met(client, service) };
        Self { phase: Phase::Known, ends: Ends::default(), ..flow }
    }

    /// A connection that is met in mid-life.
    pub(super) fn met(client: &Endpoint, service: &Endpoint) -> Self {
        let key = FlowKey {
            client_addr: client.addr,
            service_addr: service.addr,
            client_port: client.port,
            service_port: service.port,
        };
        Self {
            key,
            used: true,
            phase: Phase::Lost,
            run_start: 0,
            asked_isn: None,
            client_end: None,
            service_end: None,
            asked_at: Seq(0),
            answered: None,
            ends: Ends { is_established: true, ..Ends::default() },
        }
    }

    /// Client and service.
    pub(super) fn ends(&self) -> (Endpoint, Endpoint) {
        let FlowKey { client_addr, service_addr, client_port, service_port } = self.key;
        (
            Endpoint { addr: client_addr, port: client_port },
            Endpoint { addr: service_addr, port: service_port },
        )
    }

    #[inline]
    pub(super) fn is_client(&self, end: &Endpoint) -> bool {
        self.key.client_port == end.port && self.key.client_addr == end.addr
    }

    #[inline]
    fn is_service(&self, end: &Endpoint) -> bool {
        self.key.service_port == end.port && self.key.service_addr == end.addr
    }

    /// Whether it connects these two ends, given in either order.
    #[inline]
    pub(super) fn is_between(&self, one: &Endpoint, other: &Endpoint) -> bool {
        self.is_client(one) && self.is_service(other) || self.is_client(other) && self.is_service(one)
    }

    /// The pipeline says how a run goes on.
    pub(super) fn tell(&mut self, resync: &Resync) {
        if resync.run == self.run_start && self.has_run() {
            match resync.what {
                Resync::LEAVE => self.phase = Phase::Left,
                Resync::RESUME if matches!(self.phase, Phase::Known) => self.run_start = resync.next,
                _ => self.phase = Phase::Lost,
            }
        }
    }

    /// The other side opens a connection with the same ports.
    pub(super) fn turned_round(&mut self, packet: &Packet<'_>, context: &mut Context<'_>) -> Verdict {
        if !self.is_over() {
            context.stats.stray_syns += 1;
            return Verdict::Leave;
        }
        *self = Self::opened(&packet.source, &packet.dest, packet.seq);
        context.stats.flows += 1;
        self.client(packet, context)
    }

    /// Takes a packet of the client's.
    #[inline]
    pub(super) fn client(&mut self, packet: &Packet<'_>, context: &mut Context<'_>) -> Verdict {
        if packet.flags & (SYN | FIN | RST) != 0
            && let Some(verdict) = self.client_control(packet, context)
        {
            return verdict;
        }
        if packet.payload_len > 0 {
            self.client_payload(packet, context);
        }
        let mark = match &self.phase {
            Phase::Known => marks::SAMPLED | marks::OPEN,
            Phase::Candidate(_) => marks::SAMPLED | marks::OPEN | marks::UNCONFIRMED,
            Phase::Lost | Phase::Left => 0,
        };
        let verdict = self.pass(packet, Direction::ToService, mark, context);
        self.heed_reset(packet);
        verdict
    }

    /// Takes a packet of the service's.
    #[inline]
    pub(super) fn service(&mut self, packet: &Packet<'_>, context: &mut Context<'_>) -> Verdict {
        if packet.flags & (SYN | ACK | RST) == SYN | ACK
            && let Some(verdict) = self.accept(packet, context)
        {
            return verdict;
        }
        if packet.flags & RST != 0 && !self.may_reset(packet) {
            context.stats.stray_resets += 1;
            return Verdict::Leave;
        }
        self.ends.service_fin |= packet.flags & FIN != 0;
        self.ends.reset |= packet.flags & RST != 0;
        self.ends.has_service = true;
        self.ends.is_established = true;
        if packet.payload_len > 0 && self.first_is_lost(packet) {
            self.phase = Phase::Lost;
        }
        let mut mark = if self.has_run() { marks::SAMPLED } else { 0 };
        if packet.payload_len > 0 {
            mark = self.service_payload(packet, context).unwrap_or(mark);
        }
        let verdict = self.pass(packet, Direction::FromService, mark, context);
        self.heed_reset(packet);
        verdict
    }

    /// Whether the client may take this reset of the service's: at its place (RFC 5961 section 3), or ahead of what was
    /// captured.
    fn may_reset(&self, packet: &Packet<'_>) -> bool {
        let ahead = self.service_end.map_or(0, |end| Seq(packet.seq).ahead_of(end));
        (0..MAX_WINDOW).contains(&ahead)
    }

    /// The pipeline takes a reset for the end of the connection. If it goes on all the same, the receiver did not take
    /// it, and where the next request begins is to be searched.
    fn heed_reset(&mut self, packet: &Packet<'_>) {
        if packet.flags & RST != 0 && self.has_run() {
            self.phase = Phase::Lost;
        }
    }

    /// Whether the service acknowledges bytes of a connection of which none was seen. The pipeline knows nothing of
    /// such a flow, and can't tell.
    fn first_is_lost(&self, packet: &Packet<'_>) -> bool {
        let start = Seq(self.run_start);
        matches!(self.phase, Phase::Known)
            && self.client_end == Some(start)
            && packet.flags & ACK != 0
            && Seq(packet.ack).is_after(start)
    }

    fn has_run(&self) -> bool {
        matches!(self.phase, Phase::Known | Phase::Candidate(_))
    }

    /// Whether nothing more can come of the connection.
    fn is_over(&self) -> bool {
        let Ends { has_service, client_fin, service_fin, reset, .. } = self.ends;
        reset || client_fin && (service_fin || !has_service)
    }

    /// What is of no run and no news of the flow's end isn't passed on.
    #[inline]
    fn pass(
        &self,
        packet: &Packet<'_>,
        direction: Direction,
        mark: u8,
        context: &mut Context<'_>,
    ) -> Verdict {
        if mark == 0 && packet.flags & (FIN | RST) == 0 {
            let is_left = matches!(self.phase, Phase::Left);
            let stats = &mut *context.stats;
            *(if is_left { &mut stats.left_alone } else { &mut stats.unplaced }) += 1;
            return Verdict::Leave;
        }
        Verdict::Take { flow: self.key, direction, run: Run { start: self.run_start, mark } }
    }

    /// Takes SYN, FIN and RST of the client's; says what becomes of a SYN that isn't passed on as any segment.
    #[cold]
    fn client_control(&mut self, packet: &Packet<'_>, context: &mut Context<'_>) -> Option<Verdict> {
        let is_exact = self.client_end.is_none_or(|end| end == Seq(packet.seq));
        // The service takes no other (RFC 5961), so neither may it be followed by a connection that begins.
        self.ends.reset |= packet.flags & RST != 0 && is_exact;
        self.ends.client_fin |= packet.flags & FIN != 0;
        if !super::is_syn(packet) {
            return None;
        }
        let is_repeated = matches!(self.phase, Phase::Known) && self.run_start == packet.seq.wrapping_add(1);
        if is_repeated {
            return None;
        }
        if self.is_over() || !self.ends.is_established {
            let (client, service) = self.ends();
            *self = Self::opened(&client, &service, packet.seq);
            context.stats.flows += 1;
            return None;
        }
        self.asked_isn = Some(packet.seq);
        context.stats.stray_syns += 1;
        Some(Verdict::Leave)
    }

    /// The service accepts a connection: if it is a new one, that begins. Within what seems to live only a service does
    /// so that was asked for one.
    #[cold]
    fn accept(&mut self, packet: &Packet<'_>, context: &mut Context<'_>) -> Option<Verdict> {
        let isn = packet.ack.wrapping_sub(1);
        // It may take what came with the SYN (RFC 7413).
        let takes_data = self.service_end.is_none() && self.client_end == Some(Seq(packet.ack));
        if matches!(self.phase, Phase::Known) && (self.run_start == packet.ack || takes_data) {
            let first = Seq(packet.seq) + 1;
            if self.service_end.is_none() {
                (self.service_end, self.asked_at) = (Some(first), first);
            }
            return None;
        }
        let is_new = self.asked_isn == Some(isn)
            || self.is_over()
            || !self.ends.is_established
            || matches!(self.phase, Phase::Lost | Phase::Left) && self.run_start != packet.ack;
        if !is_new {
            context.stats.stray_syns += 1;
            return Some(Verdict::Leave);
        }
        let (client, service) = self.ends();
        *self = Self::opened(&client, &service, isn);
        context.stats.flows += 1;
        Some(self.begins())
    }

    /// What precedes the packet with which the service accepts the connection.
    pub(super) fn begins(&self) -> Verdict {
        let run = Run { start: self.run_start, mark: marks::SAMPLED | marks::OPEN };
        Verdict::Begins { flow: self.key, isn: self.run_start.wrapping_sub(1), run }
    }
}
