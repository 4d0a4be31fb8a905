//! A TCP conversation written as a script, and what was said in it.
//!
//! Both stacks behave as real ones do: segments of at most the MSS, an acknowledgement for every second full segment,
//! in data where there is some to send, and delayed by 40 ms at most where there isn't.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use shadow_common::tcp_flags::{ACK, FIN, PSH, RST, SYN};

use super::{Ends, Packet, Reply, Side};
use crate::plan::Sent;

/// When conversations begin: 2026-01-01 00:00:00 UTC.
pub const EPOCH_NS: u64 = 1_767_225_600_000_000_000;

/// The time between two packets, unless the script waits.
const STEP_NS: u64 = 10_000;

/// How long an acknowledgement is held back.
const DELAYED_ACK: Duration = Duration::from_millis(40);

/// A request, its answer, and by which packets they came.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The request.
    pub request: Sent,
    /// The final answer.
    pub reply: Reply,
    /// The packets from the request's first to before the answer's first.
    pub request_ids: Range<u32>,
    /// The packets from the answer's first to before the next request's first; the acknowledgement in that one is more.
    pub reply_ids: Range<u32>,
}

/// A conversation so far.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// Whose.
    pub ends: Ends,
    /// What was sent so far.
    pub packets: Vec<Packet>,
    /// What was said by [`Self::exchange`].
    pub exchanges: Vec<Exchange>,
    clock_ns: u64,
    mss: u16,
    segment: usize,
    ack_every: u32,
    sides: [End; 2],
}

#[derive(Clone, Copy, Debug)]
struct End {
    /// The number of the next byte that it sends.
    next: u32,
    /// Segments that it has received and not acknowledged.
    owed: u32,
}

impl Conversation {
    /// Nothing was sent yet.
    #[must_use]
    pub fn new(ends: Ends) -> Self {
        let sides = [End { next: 1_000, owed: 0 }, End { next: 2_000_000_000, owed: 0 }];
        let (packets, exchanges) = (Vec::new(), Vec::new());
        let (clock_ns, mss, segment, ack_every) = (EPOCH_NS, 1448, 1448, 2);
        Self { ends, packets, exchanges, clock_ns, mss, segment, ack_every, sides }
    }

    /// The same with these initial sequence numbers, of client and server.
    #[must_use]
    pub const fn isn(mut self, client: u32, server: u32) -> Self {
        self.sides[0].next = client;
        self.sides[1].next = server;
        self
    }

    /// The same in segments of up to so many bytes; more than the MSS is what segmentation offload shows a capture.
    #[must_use]
    pub const fn segments_of(mut self, bytes: usize) -> Self {
        self.segment = bytes;
        self
    }

    /// The same with an acknowledgement for each so many segments.
    #[must_use]
    pub const fn ack_every(mut self, segments: u32) -> Self {
        self.ack_every = segments;
        self
    }

    /// The same at another time: so long after [`EPOCH_NS`].
    #[must_use]
    pub fn starting(mut self, after: Duration) -> Self {
        self.clock_ns = EPOCH_NS + nanoseconds(after);
        self
    }

    /// The handshake.
    pub fn open(&mut self) -> &mut Self {
        for (from, flags) in [(Side::Client, SYN), (Side::Server, SYN | ACK)] {
            self.push(from, flags, Bytes::new());
            self.sides[from.index()].next = self.sides[from.index()].next.wrapping_add(1);
        }
        self.acks(Side::Client)
    }

    /// The client sends bytes.
    pub fn client(&mut self, bytes: impl Into<Bytes>) -> &mut Self {
        self.sends(Side::Client, bytes.into())
    }

    /// The server sends bytes.
    pub fn server(&mut self, bytes: impl Into<Bytes>) -> &mut Self {
        self.sends(Side::Server, bytes.into())
    }

    /// A side sends bytes in full segments, and the other acknowledges them.
    pub fn sends(&mut self, from: Side, mut bytes: Bytes) -> &mut Self {
        while !bytes.is_empty() {
            let segment = bytes.split_to(self.segment.min(bytes.len()));
            let flags = if bytes.is_empty() { ACK | PSH } else { ACK };
            self.data(from, flags, segment);
        }
        self
    }

    /// One segment of these flags, and an acknowledgement if it is due.
    fn data(&mut self, from: Side, flags: u8, payload: Bytes) {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX) + u32::from(flags & FIN != 0);
        self.push(from, flags, payload);
        self.sides[from.index()].next = self.sides[from.index()].next.wrapping_add(length);
        let peer = &mut self.sides[from.other().index()];
        peer.owed += 1;
        if peer.owed >= self.ack_every {
            self.acks(from.other());
        }
    }

    /// A side sends an acknowledgement of all that came, and nothing else.
    pub fn acks(&mut self, from: Side) -> &mut Self {
        self.push(from, ACK, Bytes::new());
        self
    }

    /// Nothing is sent for so long but an acknowledgement that was held back.
    pub fn waits(&mut self, time: Duration) -> &mut Self {
        let end = self.clock_ns + nanoseconds(time);
        if time >= DELAYED_ACK {
            for side in [Side::Client, Side::Server] {
                if self.sides[side.index()].owed > 0 {
                    self.clock_ns += nanoseconds(DELAYED_ACK);
                    self.acks(side);
                }
            }
        }
        self.clock_ns = self.clock_ns.max(end);
        self
    }

    /// A request and its final answer.
    pub fn exchange(&mut self, request: Sent, reply: Reply) -> &mut Self {
        let start = self.next_id();
        self.client(request.wire().freeze());
        let middle = self.next_id();
        self.server(reply.wire());
        self.said(request, reply, start, middle)
    }

    /// Notes an exchange that was sent by hand: its request from the packet `start` on, its answer from `middle` on.
    pub fn said(&mut self, request: Sent, reply: Reply, start: u32, middle: u32) -> &mut Self {
        let end = self.next_id();
        self.exchanges.push(Exchange { request, reply, request_ids: start..middle, reply_ids: middle..end });
        self
    }

    /// The id of the next packet.
    #[must_use]
    pub fn next_id(&self) -> u32 {
        u32::try_from(self.packets.len()).unwrap_or(u32::MAX)
    }

    /// Both sides end in order, the client first.
    pub fn close(&mut self) -> &mut Self {
        self.ends_with(Side::Client, Bytes::new()).ends_with(Side::Server, Bytes::new()).acks(Side::Client)
    }

    /// A side ends; its last bytes are in the packet with the FIN.
    pub fn ends_with(&mut self, from: Side, bytes: impl Into<Bytes>) -> &mut Self {
        self.data(from, ACK | FIN, bytes.into());
        self
    }

    /// A side aborts the connection.
    pub fn resets(&mut self, from: Side) -> &mut Self {
        self.push(from, RST | ACK, Bytes::new());
        self
    }

    /// A side asks whether the other is there still: with the number before its next, empty or with a byte that means
    /// nothing (RFC 1122 section 4.2.3.6).
    pub fn keep_alive(&mut self, from: Side, with_byte: bool) -> &mut Self {
        self.push(from, ACK, if with_byte { Bytes::from_static(&[0]) } else { Bytes::new() });
        if let Some(probe) = self.packets.last_mut() {
            probe.seq = probe.seq.wrapping_sub(1);
        }
        self.acks(from.other())
    }

    /// The other side's window is full: it says so, this one probes it with the next byte of what it has to send, which
    /// isn't taken, and then sends all.
    pub fn sends_into_zero_window(&mut self, from: Side, bytes: impl Into<Bytes>) -> &mut Self {
        let bytes = bytes.into();
        for _ in 0..3 {
            self.acks(from.other());
            if let Some(full) = self.packets.last_mut() {
                full.window = 0;
            }
            self.waits(Duration::from_millis(200));
            self.push(from, ACK, bytes.slice(..bytes.len().min(1)));
        }
        self.acks(from.other());
        self.sends(from, bytes)
    }

    /// Sends a packet: every packet acknowledges what came before.
    fn push(&mut self, from: Side, flags: u8, payload: Bytes) {
        let [own, peer] = [from, from.other()].map(|side| self.sides[side.index()]);
        let ack = if flags & ACK == 0 { 0 } else { peer.next };
        let mss = (flags & SYN != 0).then_some(self.mss);
        let (id, at_ns, ends) = (self.next_id(), self.clock_ns, self.ends);
        self.packets.push(Packet {
            id,
            at_ns,
            ends,
            from,
            seq: own.next,
            ack,
            flags,
            window: 64_000,
            mss,
            payload,
        });
        self.clock_ns += STEP_NS;
        self.sides[from.index()].owed = 0;
    }
}

/// All packets of several conversations, in the order of their times.
#[must_use]
pub fn merged<'a>(conversations: impl IntoIterator<Item = &'a Conversation>) -> Vec<Packet> {
    let mut packets: Vec<Packet> =
        conversations.into_iter().flat_map(|conversation| conversation.packets.iter().cloned()).collect();
    packets.sort_by_key(|packet| packet.at_ns);
    packets
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
