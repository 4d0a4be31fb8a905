//! The record that the kernel writes into the ring for each exported segment.

use crate::FlowKey;

/// TCP flag bits as they stand in byte 13 of the header (RFC 9293 section 3.1).
pub mod tcp_flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement field is valid.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is valid.
    pub const URG: u8 = 0x20;
}

/// What the kernel knows about the request that a record belongs to: bits of [`RecordHeader::mark`].
///
/// A *run* begins at a request start that the kernel is sure of, [`RecordHeader::request_seq`], and lasts to the next
/// one. All records of a run say the same start, so that the agent finds its place again whatever was left out before.
/// A record with neither [`marks::SAMPLED`] nor [`marks::OPEN`] carries no payload: it tells of the flow.
pub mod marks {
    /// The request at the run's start is in the sample.
    pub const SAMPLED: u8 = 0x01;
    /// The kernel can't tell where that request ends: the agent has to, and requests that follow it in the run are the
    /// agent's to draw for. Without [`SAMPLED`] the first is exported for its framing only.
    pub const OPEN: u8 = 0x02;
    /// The run's start was taken in mid-life of the flow: believe it when a record says [`CONFIRMED`].
    pub const UNCONFIRMED: u8 = 0x04;
    /// The service answered the request that the run consists of, having received exactly that.
    pub const CONFIRMED: u8 = 0x08;
    /// The run's start was none.
    pub const REFUTED: u8 = 0x10;
    /// Records of this flow were lost since the last that arrived: the ring was full.
    pub const LOST: u8 = 0x20;
    /// The service begins its final answer, having received all that the client sent in the run so far. A record of the
    /// service's side without payload, whose `seq` is the answer's first byte; it may come again if the segment does.
    pub const ANSWERED: u8 = 0x40;
}

/// Payload bytes that fit one record. A longer segment (BIG TCP) becomes several records.
pub const MAX_CHUNK: usize = 65_536;

/// The most records that one segment becomes; what is beyond is reported as truncated.
pub const MAX_CHUNKS: usize = 8;

/// Payload sizes of the ring's record classes, ascending. A record takes the smallest class that fits; the tail that
/// it does not use is never written.
pub const RECORD_CLASSES: [usize; 6] = [0, 440, 1536, 4096, 16_384, MAX_CHUNK];

/// Bytes of the ring that a record of so many bytes takes: the kernel adds a header and rounds up
/// (`BPF_RINGBUF_HDR_SZ`).
#[must_use]
#[inline(always)]
pub const fn ring_bytes(record_len: usize) -> u64 {
    (8 + record_len as u64).next_multiple_of(8)
}

/// The head of a ring record; `captured_len` payload bytes follow it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordHeader {
    /// `bpf_ktime_get_ns()` when the segment was seen: nanoseconds of CLOCK_MONOTONIC.
    pub timestamp_ns: u64,
    /// The flow, from the client's side.
    pub flow: FlowKey,
    /// Sequence number of the record's first byte (of the SYN itself where the flag is set).
    pub seq: u32,
    /// Acknowledgement number; meaningful where the ACK flag is set.
    pub ack: u32,
    /// Payload bytes of the segment that this record stands for, 0 to [`MAX_CHUNK`], or more if truncated.
    pub payload_len: u32,
    /// Payload bytes that follow this header; fewer than `payload_len` if the copy failed or was cut short.
    pub captured_len: u32,
    /// The segment's [`tcp_flags`]. In a segment of several records SYN is on the first, FIN, PSH and RST on the last.
    pub flags: u8,
    /// A [`crate::Direction`] as its number.
    pub direction: u8,
    /// [`marks`].
    pub mark: u8,
    /// Zero.
    pub reserved: u8,
    /// Sequence number of the first byte of the run that the record belongs to; meaningless without a mark.
    pub request_seq: u32,
    /// Zero.
    pub reserved2: u32,
}

const _: () = assert!(size_of::<RecordHeader>() == 72);
const _: () = assert!(align_of::<RecordHeader>() == 8);
