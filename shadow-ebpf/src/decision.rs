//! What is decided about a packet; also the payload of the tag that XDP hands to TC.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use shadow_common::Counter;

use crate::verifier::put_down;

/// A decision, packed into two words.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Decision {
    /// Kind, mark and counter.
    word: u32,
    /// Where the run begins that the segment belongs to.
    pub request_seq: u32,
}

/// Neither port is a service port.
const OTHER: u32 = 0;
const SKIP: u32 = 1;
const EXPORT: u32 = 2;

/// Where a decision is put down.
#[map]
static DECISION: PerCpuArray<Decision> = PerCpuArray::with_max_entries(1, 0);

impl Decision {
    /// Neither port is a service port.
    pub const OTHER: Self = Self { word: OTHER << 24, request_seq: 0 };

    /// A segment of a service port that isn't exported.
    #[inline(always)]
    pub const fn skip(reason: Counter) -> Self {
        Self { word: SKIP << 24 | reason as u32, request_seq: 0 }
    }

    /// A segment that is exported with this mark ([`shadow_common::marks`]).
    #[inline(always)]
    pub const fn export(mark: u8, request_seq: u32) -> Self {
        Self { word: EXPORT << 24 | (mark as u32) << 16, request_seq }
    }

    #[inline(always)]
    pub const fn is_other(self) -> bool {
        self.word >> 24 == OTHER
    }

    /// The counter's number, if it is a skip.
    #[inline(always)]
    pub const fn skipped(self) -> Option<u32> {
        if self.word >> 24 == SKIP { Some(self.word & 0xffff) } else { None }
    }

    /// Of an export.
    #[inline(always)]
    pub const fn mark(self) -> u8 {
        (self.word >> 16) as u8
    }

    /// The same, of which the verifier knows nothing. See [`put_down`].
    #[inline(always)]
    pub fn put_down(self) -> Option<Self> {
        put_down(&DECISION, self).copied()
    }
}
