//! Writes records into the ring.

use aya_ebpf::{
    EbpfContext as _, check_bounds_signed, helpers::bpf_skb_load_bytes, macros::map, maps::RingBuf,
    programs::TcContext,
};
use shadow_common::{Counter, MAX_CHUNK, MAX_CHUNKS, RECORD_CLASSES, RecordHeader, ring_bytes, tcp_flags};

use crate::{
    counters::{add, count},
    packet::Segment,
    verifier::opaque,
};

/// Exported records. The agent sets the size when it loads the programs.
#[map]
static RING: RingBuf = RingBuf::with_byte_size(1 << 24, 0);

/// The agent looks into the ring by itself.
const NO_WAKEUP: u64 = 1;
/// The agent sleeps.
const FORCE_WAKEUP: u64 = 2;

/// Writes the segment's record, or its records where it is longer than one may be. `sleeps` says that the reader is to be
/// woken. The result is [`Counter::Exported`], [`Counter::Truncated`] or [`Counter::RingFull`].
#[inline(always)]
pub fn write(ctx: &TcContext, header: RecordHeader, segment: &Segment, sleeps: bool) -> Counter {
    let wake = if sleeps { FORCE_WAKEUP } else { NO_WAKEUP };
    if header.payload_len > MAX_CHUNK as u32 {
        return chunks(ctx, header, segment, wake);
    }
    let is_written = if header.payload_len == 0 {
        emit::<{ RECORD_CLASSES[0] }>(ctx, header, 0, 0, wake)
    } else {
        emit_sized(ctx, header, segment.payload_offset, wake)
    };
    if is_written { Counter::Exported } else { Counter::RingFull }
}

/// BIG TCP: every record but the last is a full one.
#[inline(always)]
fn chunks(ctx: &TcContext, header: RecordHeader, segment: &Segment, wake: u64) -> Counter {
    for chunk in 0..MAX_CHUNKS as u32 {
        let done = chunk * MAX_CHUNK as u32;
        if done >= segment.payload_len {
            return Counter::Exported;
        }
        let mut part = header;
        part.seq = segment.seq.wrapping_add(done);
        if chunk > 0 {
            // The SYN takes a number of its own, and is on the first record alone.
            part.seq = part.seq.wrapping_add(u32::from(segment.flags & tcp_flags::SYN != 0));
            part.flags &= !tcp_flags::SYN;
        }
        part.payload_len = segment.payload_len - done;
        if part.payload_len > MAX_CHUNK as u32 {
            part.payload_len = MAX_CHUNK as u32;
            part.flags &= !(tcp_flags::FIN | tcp_flags::RST | tcp_flags::PSH);
        }
        let len = u64::from(part.payload_len);
        if !emit::<MAX_CHUNK>(ctx, part, segment.payload_offset + done, len, wake) {
            return if chunk == 0 { Counter::RingFull } else { Counter::Truncated };
        }
    }
    if segment.payload_len as usize <= MAX_CHUNK * MAX_CHUNKS {
        Counter::Exported
    } else {
        Counter::Truncated
    }
}

/// Writes one record of the smallest class that fits.
#[inline(always)]
fn emit_sized(ctx: &TcContext, header: RecordHeader, offset: u32, wake: u64) -> bool {
    let len = u64::from(header.payload_len);
    let fits = |class: usize| len <= RECORD_CLASSES[class] as u64;
    if fits(1) {
        emit::<{ RECORD_CLASSES[1] }>(ctx, header, offset, len, wake)
    } else if fits(2) {
        emit::<{ RECORD_CLASSES[2] }>(ctx, header, offset, len, wake)
    } else if fits(3) {
        emit::<{ RECORD_CLASSES[3] }>(ctx, header, offset, len, wake)
    } else if fits(4) {
        emit::<{ RECORD_CLASSES[4] }>(ctx, header, offset, len, wake)
    } else {
        emit::<{ RECORD_CLASSES[5] }>(ctx, header, offset, len, wake)
    }
}

#[repr(C)]
struct Record<const CLASS: usize> {
    header: RecordHeader,
    payload: [u8; CLASS],
}

/// Reserves a record of one class, loads the payload straight into it and submits it; `false` if the ring is full.
#[inline(always)]
fn emit<const CLASS: usize>(
    ctx: &TcContext,
    mut header: RecordHeader,
    offset: u32,
    len: u64,
    wake: u64,
) -> bool {
    let Some(mut entry) = RING.reserve::<Record<CLASS>>(0) else { return false };
    let record = entry.as_mut_ptr();
    let len = opaque(len);
    // The signed check, on a 64-bit value, is the form whose bounds the verifier follows.
    if CLASS > 0 && check_bounds_signed(len as i64, 1, CLASS as i64) {
        // SAFETY: the payload area has CLASS bytes and len is at most that.
        let loaded = unsafe {
            bpf_skb_load_bytes(ctx.as_ptr(), offset, (&raw mut (*record).payload).cast(), len as u32)
        };
        if loaded == 0 {
            header.captured_len = len as u32;
            add(Counter::ExportedBytes, len);
        }
    }
    // SAFETY: the entry is as large as a Record and 8-byte aligned.
    unsafe { (&raw mut (*record).header).write(header) };
    entry.submit(wake);
    count(Counter::Records);
    add(Counter::RingBytes, ring_bytes(size_of::<Record<CLASS>>()));
    true
}
