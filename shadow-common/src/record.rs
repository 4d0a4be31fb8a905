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

/// Payload bytes that fit one record. A longer segment (BIG TCP) becomes several records.
pub const MAX_CHUNK: usize = 65_536;

/// The most records that one segment becomes; what is beyond is reported as truncated.
pub const MAX_CHUNKS: usize = 8;

/// Payload sizes of the ring's record classes, ascending. A record takes the smallest class that fits; the tail that
/// it does not use is never written.
pub const RECORD_CLASSES: [usize; 6] = [0, 448, 1536, 4096, 16_384, MAX_CHUNK];

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
    /// Zero.
    pub reserved: [u8; 2],
}

const _: () = assert!(size_of::<RecordHeader>() == 64);
const _: () = assert!(align_of::<RecordHeader>() == 8);
