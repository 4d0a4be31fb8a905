//! A client and a service that talk over one connection, seen by the programs. Sequence numbers are counted from the
//! client's first byte, so that tests read as offsets into what it sent.

use shadow_common::{Counter, Direction, FlowKey, Resync, marks};

use crate::{frame::Frame, harness::Kernel};

pub const SAMPLED: u8 = marks::SAMPLED;
pub const OPEN: u8 = marks::OPEN;

/// The offset at which sequence numbers wrap lies a little behind the client's first bytes.
const ISN: u32 = u32::MAX - 20;

/// A record, as a test wants to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Offset of its first byte.
    pub at: i32,
    /// Offset of its run's start.
    pub start: i32,
    pub mark: u8,
    pub flags: u8,
    pub direction: Direction,
    pub payload: Vec<u8>,
    pub payload_len: u32,
}

pub struct Talk {
    pub kernel: Kernel,
    /// What is the same in all of the connection's frames.
    pub base: Frame,
    /// Offset of the client's next byte.
    pub at: i32,
}

impl Talk {
    /// Before the connection begins.
    pub fn new(kernel: Kernel) -> Self {
        Self { kernel, base: Frame::default(), at: 0 }
    }

    /// A connection whose beginning was seen.
    pub fn opened(rate: &str) -> Option<Self> {
        let mut talk = Self::new(Kernel::new(rate)?);
        talk.syn();
        Some(talk)
    }

    /// The client connects, and the service accepts.
    pub fn syn(&mut self) -> Vec<Record> {
        self.at = 0;
        self.request(0, b"").handshake().into_iter().flat_map(|frame| self.frame(frame)).collect()
    }

    /// The client sends its next bytes.
    pub fn client(&mut self, bytes: &[u8]) -> Vec<Record> {
        let at = self.at;
        self.at += bytes.len() as i32;
        self.client_at(at, bytes)
    }

    /// The client sends bytes at an offset, perhaps once more.
    pub fn client_at(&mut self, at: i32, bytes: &[u8]) -> Vec<Record> {
        self.frame(self.request(at, bytes))
    }

    /// The service answers, having received all that the client sent.
    pub fn service(&mut self, bytes: &[u8]) -> Vec<Record> {
        self.service_having(self.at, bytes)
    }

    /// The service sends bytes, having received what lies before the offset.
    pub fn service_having(&mut self, received: i32, bytes: &[u8]) -> Vec<Record> {
        self.frame(Frame { ack: seq(received), ..self.answer(bytes) })
    }

    /// A frame of the client's.
    pub fn request(&self, at: i32, bytes: &[u8]) -> Frame {
        Frame { seq: seq(at), payload: bytes.to_vec(), ..self.base.clone() }
    }

    /// A frame of the service's.
    pub fn answer(&self, bytes: &[u8]) -> Frame {
        Frame { is_answer: true, seq: 5000, ack: seq(self.at), payload: bytes.to_vec(), ..self.base.clone() }
    }

    /// Any frame, and the records that it makes.
    pub fn frame(&mut self, frame: Frame) -> Vec<Record> {
        self.kernel.send(&frame);
        self.records()
    }

    /// Counts of these counters.
    pub fn counts<const N: usize>(&self, counters: [Counter; N]) -> [u64; N] {
        let all = self.kernel.counters();
        assert!(all.is_balanced(), "{all:?}");
        counters.map(|counter| all.get(counter))
    }

    /// The agent's note on the run that began at an offset.
    pub fn note(&self, run: i32, what: u32, next: i32) {
        let mut addr = [0; 16];
        addr[10..12].fill(0xff);
        let [mut client_addr, mut service_addr] = [addr; 2];
        client_addr[12..].copy_from_slice(&[10, 0, 0, 1]);
        service_addr[12..].copy_from_slice(&[10, 0, 0, 200]);
        let flow = FlowKey { client_addr, service_addr, client_port: 40_000, service_port: 8080 };
        self.kernel.programs.control.resync(&flow, Resync { run: seq(run), next: seq(next), what }).unwrap();
    }

    pub fn rate(&self, rate: &str) {
        self.kernel.programs.control.set_rate(rate.parse().unwrap()).unwrap();
    }

    /// The records that are there.
    pub fn records(&mut self) -> Vec<Record> {
        let take = || {
            self.kernel.record(|segment| Record {
                at: offset(segment.seq),
                start: offset(segment.run.start),
                mark: segment.run.mark,
                flags: segment.flags,
                direction: segment.direction,
                payload: segment.payload.to_vec(),
                payload_len: segment.payload_len,
            })
        };
        std::iter::from_fn(take).collect()
    }
}

/// As an offset.
pub fn len(bytes: &[u8]) -> i32 {
    bytes.len() as i32
}

/// Start, mark and payload length: what most tests ask for.
pub fn brief(records: &[Record]) -> Vec<(i32, u8, usize)> {
    records.iter().map(|record| (record.start, record.mark, record.payload.len())).collect()
}

pub fn seq(offset: i32) -> u32 {
    ISN.wrapping_add(1).wrapping_add_signed(offset)
}

fn offset(seq: u32) -> i32 {
    seq.wrapping_sub(ISN.wrapping_add(1)) as i32
}
