//! TC `export`: copies the segments of sampled flows into the ring.
//!
//! The ledger's kernel half (invariant 2): every segment of a service port is counted once as `Matched` and once more
//! as exported or as skipped with its reason.

use aya_ebpf::{
    EbpfContext as _,
    bindings::bpf_hdr_start_off,
    check_bounds_signed,
    helpers::{bpf_skb_load_bytes, bpf_skb_load_bytes_relative, generated::bpf_ktime_get_ns},
    programs::TcContext,
};
use aya_log_ebpf::warn;
use shadow_common::{
    Config, Counter, Direction, EXPORT_RESPONSES, FlowKey, MAX_CHUNK, MAX_CHUNKS, RECORD_CLASSES,
    RecordHeader, Verdict, tcp_flags,
};

use crate::{
    flow,
    maps::{RING, add, config, count, put_down},
    packet::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Packet, Segment},
    tag::Tag,
};

/// Flags that are worth a record without payload: they begin and end a flow.
const CONTROL: u8 = tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST;

impl Packet for TcContext {
    #[inline(always)]
    fn load<T: Copy>(&self, offset: usize) -> Option<T> {
        let start = self.data() + offset;
        // The verifier adds no unbounded offset to a packet pointer.
        if offset < MAX_HEADERS && start + size_of::<T>() <= self.data_end() {
            // SAFETY: start to start + size_of::<T>() lies within the linear part, as the verifier demands.
            return Some(unsafe { core::ptr::read_unaligned(start as *const T) });
        }
        // Beyond the linear part, or beyond the packet: the helper knows which.
        self.skb.load(offset).ok()
    }

    #[inline(always)]
    fn len(&self) -> Option<u32> {
        Some(TcContext::len(self))
    }

    /// Devices such as tun have no link header, and after generic XDP TC may see a packet without it too: the copy
    /// that generic XDP makes forgets how long it was.
    #[inline(always)]
    fn without_link_header(&self) -> Option<u16> {
        // SAFETY: a plain field of the context.
        let ethertype = u16::from_be(unsafe { (*self.skb.skb).protocol } as u16);
        let version = match ethertype {
            ETHERTYPE_IPV4 => 4,
            ETHERTYPE_IPV6 => 6,
            _ => return None,
        };
        // A link-layer address may look like this too; then the bytes at the network header differ.
        let [first, _] = Packet::load::<[u8; 2]>(self, 0)?;
        if first >> 4 != version {
            return None;
        }
        let start: [u8; COMPARED] = Packet::load(self, 0)?;
        let mut network = [0_u8; COMPARED];
        // SAFETY: writes COMPARED bytes into an array of that size.
        let loaded = unsafe {
            bpf_skb_load_bytes_relative(
                self.as_ptr(),
                0,
                (&raw mut network).cast(),
                COMPARED as u32,
                bpf_hdr_start_off::BPF_HDR_START_NET,
            )
        };
        (loaded == 0 && network == start).then_some(ethertype)
    }
}

/// Where direct access ends and the helper takes over: no headers are longer.
const MAX_HEADERS: usize = 4096;

/// Bytes compared to tell a network header from a link header: two link-layer addresses.
const COMPARED: usize = 12;

/// Looks at one packet and exports it if its flow is in the sample.
#[inline(always)]
pub fn export(ctx: &TcContext) {
    let tagged = tag_of(ctx);
    if tagged.is_some() {
        count(Counter::TagUsed);
    }
    // The tags that end it here spare TC the parsing.
    match tagged {
        Some(Verdict::Other) => return count(Counter::OtherPort),
        Some(Verdict::Unsampled) => return skip(Counter::Unsampled),
        Some(Verdict::Unknown) => return skip(Counter::UnknownFlow),
        Some(Verdict::Sampled) | None => {}
    }
    let segment = match packet::parse(ctx) {
        Ok(segment) => segment,
        Err(reason) => return count(reason),
    };
    let Some(segment) = put_down(segment) else { return };
    let Some((key, direction)) = flow::orient(segment) else { return count(Counter::OtherPort) };
    let config = config();
    if config.own_mark != 0 && mark(ctx) == config.own_mark {
        return skip(Counter::Own);
    }
    let verdict = match tagged {
        Some(verdict) => verdict,
        None => flow::verdict(ctx, segment, &key, direction, &config),
    };
    match verdict {
        Verdict::Sampled => sampled(ctx, segment, &key, direction, &config),
        Verdict::Unsampled => skip(Counter::Unsampled),
        Verdict::Unknown | Verdict::Other => skip(Counter::UnknownFlow),
    }
}

/// Exports a segment of a sampled flow, or says why there is nothing to export.
#[inline(always)]
fn sampled(ctx: &TcContext, segment: &Segment, key: &FlowKey, direction: Direction, config: &Config) {
    let is_control = segment.flags & CONTROL != 0;
    if segment.payload_len == 0 && !is_control {
        return skip(Counter::Empty);
    }
    let wants_payload = direction == Direction::ToService || config.flags & EXPORT_RESPONSES != 0;
    if !wants_payload && !is_control {
        return skip(Counter::Response);
    }
    count(Counter::Matched);
    let header = RecordHeader {
        // SAFETY: takes nothing, reads a clock.
        timestamp_ns: unsafe { bpf_ktime_get_ns() },
        flow: *key,
        seq: segment.seq,
        ack: segment.ack,
        payload_len: segment.payload_len,
        captured_len: 0,
        flags: segment.flags,
        direction: direction as u8,
        reserved: [0; 2],
    };
    let result = if wants_payload && segment.payload_len > 0 {
        payload(ctx, header, segment)
    } else if emit::<{ RECORD_CLASSES[0] }>(ctx, header, 0, 0) {
        Counter::Exported
    } else {
        Counter::RingFull
    };
    let is_first = add(result, 1) == 0;
    if is_first && result == Counter::RingFull {
        warn!(ctx, "the ring is full: the agent is behind, or --ring-size is too small");
    }
}

/// Writes the payload as one record, or as several where it is longer than a record may be.
#[inline(always)]
fn payload(ctx: &TcContext, header: RecordHeader, segment: &Segment) -> Counter {
    if segment.payload_len > MAX_CHUNK as u32 {
        chunks(ctx, header, segment)
    } else if emit_sized(ctx, header, segment.payload_offset) {
        Counter::Exported
    } else {
        Counter::RingFull
    }
}

/// BIG TCP: every record but the last is a full one.
#[inline(always)]
fn chunks(ctx: &TcContext, header: RecordHeader, segment: &Segment) -> Counter {
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
        if !emit::<MAX_CHUNK>(ctx, part, segment.payload_offset + done, len) {
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
fn emit_sized(ctx: &TcContext, header: RecordHeader, offset: u32) -> bool {
    let len = u64::from(header.payload_len);
    let fits = |class: usize| len <= RECORD_CLASSES[class] as u64;
    if fits(1) {
        emit::<{ RECORD_CLASSES[1] }>(ctx, header, offset, len)
    } else if fits(2) {
        emit::<{ RECORD_CLASSES[2] }>(ctx, header, offset, len)
    } else if fits(3) {
        emit::<{ RECORD_CLASSES[3] }>(ctx, header, offset, len)
    } else if fits(4) {
        emit::<{ RECORD_CLASSES[4] }>(ctx, header, offset, len)
    } else {
        emit::<{ RECORD_CLASSES[5] }>(ctx, header, offset, len)
    }
}

#[repr(C)]
struct Record<const CLASS: usize> {
    header: RecordHeader,
    payload: [u8; CLASS],
}

/// Reserves a record of one class, loads the payload straight into it and submits it; `false` if the ring is full.
#[inline(always)]
fn emit<const CLASS: usize>(ctx: &TcContext, mut header: RecordHeader, offset: u32, len: u64) -> bool {
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
    entry.submit(0);
    count(Counter::Records);
    true
}

/// The same number, but the compiler can't tell: it must pass on the very value that was checked, rather than compute it
/// once more from parts whose bounds the verifier doesn't know.
#[inline(always)]
fn opaque(mut number: u64) -> u64 {
    // SAFETY: no instruction at all.
    unsafe { core::arch::asm!("/* {0} */", inout(reg) number, options(nomem, nostack, preserves_flags)) };
    number
}

/// The verdict that XDP left in front of the packet, if it did.
#[inline(always)]
fn tag_of(ctx: &TcContext) -> Option<Verdict> {
    // SAFETY: reads two fields of the context that the verifier turns into packet pointers.
    let (start, end) = unsafe { ((*ctx.skb.skb).data_meta as usize, (*ctx.skb.skb).data as usize) };
    if start + size_of::<Tag>() > end {
        return None;
    }
    // SAFETY: the metadata area holds a Tag, checked just above; it is 4-byte aligned by the kernel.
    let tag = unsafe { *(start as *const Tag) };
    tag.verdict()
}

#[inline(always)]
fn mark(ctx: &TcContext) -> u32 {
    // SAFETY: a plain field of the context.
    unsafe { (*ctx.skb.skb).mark }
}

/// A segment of a service port that isn't exported.
#[inline(always)]
fn skip(reason: Counter) {
    count(Counter::Matched);
    count(reason);
}
