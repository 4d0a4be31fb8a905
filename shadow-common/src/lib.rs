//! Types that the kernel programs and the agent share: the flow key, the ring record's header, the live
//! configuration and the counters.
//!
//! Everything here is `no_std`, `repr(C)` and free of implicit padding, because it crosses the kernel boundary as
//! plain bytes. A field that changes here changes on both sides at once: the agent's binary carries the kernel
//! object it was built with.
#![no_std]

mod config;
mod counter;
mod flow;
mod record;

pub use config::{
    ACTIVE_PORTS, Config, EXPORT_RESPONSES, FULL_RATE, ONLY_NEW, PAUSED, PORT_WORDS, REPORT_ANSWERS, Resync,
    SampleBy, WAKE, port_bit, port_word,
};
pub use counter::{COUNTERS, Counter, CounterKind};
pub use flow::{Direction, FlowKey};
pub use record::{MAX_CHUNK, MAX_CHUNKS, RECORD_CLASSES, RecordHeader, marks, ring_bytes, tcp_flags};
