//! TC `export`: copies the segments of sampled requests into the ring.
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
    Config, Counter, Direction, FlowKey, MAX_CHUNK, MAX_CHUNKS, RECORD_CLASSES, RecordHeader, WAKE,
    marks::{LOST, OPEN, SAMPLED},
    tcp_flags,
};

use crate::{
    decision::Decision,
    flow::{self, FlowState, flags, phase},
    follow,
    maps::{FLOWS, RING, add, add_numbered, config, count, put_decision_down, put_segment_down},
    packet::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Packet, Segment, bounded},
    tag::Tag,
    verifier::opaque,
};

impl Packet for TcContext {
    #[inline(always)]
    fn load<T: Copy>(&self, offset: usize) -> Option<T> {
        let start = self.data() + bounded(offset)?;
        if start + size_of::<T>() <= self.data_end() {
            // SAFETY: start to start + size_of::<T>() lies within the linear part, as the verifier demands.
            return Some(unsafe { core::ptr::read_unaligned(start as *const T) });
        }
        // Beyond the linear part, or beyond the packet: the helper knows which.
        self.skb.load(offset).ok()
    }

    #[inline(always)]
    fn load_into(&self, offset: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: the caller gives room for len bytes, whose bounds the verifier checks.
        unsafe { bpf_skb_load_bytes(self.as_ptr(), offset, to.cast(), len) == 0 }
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

/// The agent looks into the ring by itself.
const NO_WAKEUP: u64 = 1;
/// The agent sleeps.
const FORCE_WAKEUP: u64 = 2;

/// Bytes compared to tell a network header from a link header: two link-layer addresses.
const COMPARED: usize = 12;

/// Looks at one packet and exports it if its request is in the sample.
#[inline(always)]
pub fn export(ctx: &TcContext) {
    let config = config();
    let tagged = tag_of(ctx, &config);
    if let Some(decision) = tagged {
        count(Counter::TagUsed);
        // The tags that end it here spare TC the parsing.
        if decision.is_other() {
            return count(Counter::OtherPort);
        }
        if let Some(reason) = decision.skipped() {
            return skip(reason);
        }
    }
    let segment = match packet::parse(ctx) {
        Ok(segment) => segment,
        Err(reason) => return count(reason),
    };
    let Some(segment) = put_segment_down(segment) else { return };
    let Some((key, direction)) = flow::orient(segment) else { return count(Counter::OtherPort) };
    if config.own_mark != 0 && mark(ctx) == config.own_mark {
        own(segment, &key);
        return skip(Counter::Own as u32);
    }
    let decision = match tagged {
        Some(decision) => decision,
        None => follow::decide(ctx, segment, &key, direction, &config),
    };
    let Some(decision) = put_decision_down(decision) else { return };
    match decision.skipped() {
        Some(reason) => skip(reason),
        None => chosen(ctx, segment, &key, direction, &config, decision),
    }
}

/// Remembers a flow as the agent's own: what comes back on it, and what another hook sees of it, carries no mark.
#[inline(always)]
fn own(segment: &Segment, key: &FlowKey) {
    let is_known = flow::state(key).is_some_and(|state| state.phase == phase::OWN);
    if !is_known {
        let _ = FLOWS.insert(key, FlowState::met(phase::OWN, segment.seq), 0);
    }
}

/// Exports a segment that was chosen.
#[inline(always)]
fn chosen(
    ctx: &TcContext,
    segment: &Segment,
    key: &FlowKey,
    direction: Direction,
    config: &Config,
    decision: Decision,
) {
    let state = flow::state(key);
    let flow_flags = state.as_ref().map_or(0, |state| state.flags);
    let is_current = state.as_ref().is_some_and(|state| state.start == decision.request_seq);
    if flow_flags & flags::ABANDONED != 0 && is_current {
        return skip(Counter::RingFull as u32);
    }
    count(Counter::Matched);
    let has_payload = decision.mark() & (SAMPLED | OPEN) != 0;
    let lost = if flow_flags & flags::LOST != 0 { LOST } else { 0 };
    let header = RecordHeader {
        // SAFETY: takes nothing, reads a clock.
        timestamp_ns: unsafe { bpf_ktime_get_ns() },
        flow: *key,
        seq: segment.seq,
        ack: segment.ack,
        payload_len: if has_payload { segment.payload_len } else { 0 },
        captured_len: 0,
        flags: segment.flags,
        direction: direction as u8,
        mark: decision.mark() | lost,
        reserved: 0,
        request_seq: decision.request_seq,
        reserved2: 0,
    };
    let wake = if config.flags & WAKE != 0 { FORCE_WAKEUP } else { NO_WAKEUP };
    let result = if header.payload_len > 0 {
        payload(ctx, header, segment, wake)
    } else if emit::<{ RECORD_CLASSES[0] }>(ctx, header, 0, 0, wake) {
        Counter::Exported
    } else {
        Counter::RingFull
    };
    if let Some(state) = state {
        note(state, &header, result, is_current);
    }
    if add(result, 1) == 0 && matches!(result, Counter::RingFull) {
        warn!(ctx, "the ring is full: the agent is behind, or --ring-size is too small");
    }
}

/// What the flow remembers of an export.
#[inline(always)]
fn note(state: &mut FlowState, header: &RecordHeader, result: Counter, is_current: bool) {
    let is_start = header.mark & (SAMPLED | OPEN) != 0 && header.seq == header.request_seq;
    if matches!(result, Counter::Exported) {
        state.flags &= !flags::LOST;
        if is_start && is_current {
            state.flags |= flags::STARTED;
        }
        // News of a connection's end, or of the next on its ports: with that the agent forgets the flow.
        let forgets = header.mark & (SAMPLED | OPEN) == 0
            && header.flags & (tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST) != 0;
        if forgets {
            state.flags &= !flags::TOLD;
        } else {
            state.flags |= flags::TOLD;
        }
        return;
    }
    let is_repeated = is_current && state.flags & flags::STARTED != 0;
    if header.mark & SAMPLED != 0 && is_start && !is_repeated && matches!(result, Counter::RingFull) {
        count(Counter::RequestsLost);
        if header.mark & OPEN != 0 {
            count(Counter::UnframedLost);
        }
    }
    state.flags |= flags::LOST;
    if is_current {
        // Without this part the request is worth nothing; of an open run the next start isn't known either.
        state.flags |= flags::ABANDONED;
        if state.phase == phase::OPEN || state.phase == phase::CANDIDATE {
            follow::lose(state);
        }
    }
}

/// Writes the payload as one record, or as several where it is longer than a record may be.
#[inline(always)]
fn payload(ctx: &TcContext, header: RecordHeader, segment: &Segment, wake: u64) -> Counter {
    if segment.payload_len > MAX_CHUNK as u32 {
        chunks(ctx, header, segment, wake)
    } else if emit_sized(ctx, header, segment.payload_offset, wake) {
        Counter::Exported
    } else {
        Counter::RingFull
    }
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
    true
}

/// The decision that XDP left in front of the packet, if it did.
#[inline(always)]
fn tag_of(ctx: &TcContext, config: &Config) -> Option<Decision> {
    // SAFETY: reads two fields of the context that the verifier turns into packet pointers.
    let (start, end) = unsafe { ((*ctx.skb.skb).data_meta as usize, (*ctx.skb.skb).data as usize) };
    if start + size_of::<Tag>() > end {
        return None;
    }
    // SAFETY: the metadata area holds a Tag, checked just above; it is 4-byte aligned by the kernel.
    let tag = unsafe { *(start as *const Tag) };
    tag.decision(config)
}

#[inline(always)]
fn mark(ctx: &TcContext) -> u32 {
    // SAFETY: a plain field of the context.
    unsafe { (*ctx.skb.skb).mark }
}

/// A segment of a service port that isn't exported.
#[inline(always)]
fn skip(reason: u32) {
    count(Counter::Matched);
    add_numbered(reason, 1);
}
