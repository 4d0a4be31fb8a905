//! XDP `tag`: decides before the packet becomes an skb, and writes the decision in front of it as metadata.
//!
//! GRO keeps packets apart whose metadata differ, so TC may read the tag of a super-packet as true for all of it: it holds
//! segments of one run, or segments that are skipped for one reason.

use aya_ebpf::{
    helpers::generated::{bpf_xdp_adjust_meta, bpf_xdp_load_bytes},
    programs::XdpContext,
};
use aya_log_ebpf::warn;
use shadow_common::{Config, Counter};

use crate::{
    config::config,
    counters::{add, count},
    decision::Decision,
    flow, follow,
    packet::{self, Packet, bounded},
};

/// The metadata that XDP hands to TC. Its size must be a multiple of 4.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Tag {
    /// [`Tag::magic`], so that no other metadata is taken for a tag of this agent's.
    magic: u32,
    decision: Decision,
}

impl Tag {
    /// Another agent's tags say what that one wants: the seed tells them apart.
    #[inline(always)]
    fn magic(config: &Config) -> u32 {
        config.seed ^ 0x5348_4457
    }

    /// The decision, if it is a tag at all.
    #[inline(always)]
    pub fn decision(self, config: &Config) -> Option<Decision> {
        if self.magic == Self::magic(config) { Some(self.decision) } else { None }
    }
}

impl Packet for XdpContext {
    #[inline(always)]
    fn load<T: Copy>(&self, offset: usize) -> Option<T> {
        let start = self.data() + bounded(offset)?;
        if start + size_of::<T>() > self.data_end() {
            return None;
        }
        // SAFETY: start to start + size_of::<T>() lies within the packet, checked just above as the verifier demands.
        Some(unsafe { core::ptr::read_unaligned(start as *const T) })
    }

    #[inline(always)]
    fn load_into(&self, offset: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: the caller gives room for len bytes, whose bounds the verifier checks.
        unsafe { bpf_xdp_load_bytes(self.ctx, offset, to.cast(), len) == 0 }
    }

    #[inline(always)]
    fn len(&self) -> Option<u32> {
        // With fragments the linear part is not the whole packet, and `bpf_xdp_get_buff_len` needs kernel 5.18.
        None
    }

    #[inline(always)]
    fn without_link_header(&self) -> Option<u16> {
        // Devices without one take no XDP program.
        None
    }
}

/// Tags one packet.
#[inline(always)]
pub fn tag(ctx: &XdpContext) {
    count(Counter::XdpSeen);
    // What is no TCP segment is left to TC, which counts why.
    let Ok(segment) = packet::parse(ctx) else { return };
    let Some(segment) = segment.put_down() else { return };
    // Room first: once it is decided here, TC must know of it. This ends what the verifier knew of the packet.
    if !make_room(ctx) {
        if add(Counter::XdpUntagged, 1) == 0 {
            warn!(ctx, "this driver gives XDP no room for metadata: TC decides for itself");
        }
        return;
    }
    let config = config();
    let decision = match flow::orient(segment) {
        None => Decision::OTHER,
        Some((key, direction)) => follow::decide(ctx, segment, &key, direction, &config),
    };
    write(ctx, Tag { magic: Tag::magic(&config), decision });
    count(Counter::XdpTagged);
}

#[inline(always)]
fn make_room(ctx: &XdpContext) -> bool {
    // SAFETY: the helper takes the context as it was given to the program; it fails where the driver has no metadata.
    unsafe { bpf_xdp_adjust_meta(ctx.ctx, -(size_of::<Tag>() as i32)) == 0 }
}

#[inline(always)]
fn write(ctx: &XdpContext, tag: Tag) {
    let start = ctx.metadata();
    if start + size_of::<Tag>() <= ctx.metadata_end() {
        // SAFETY: the metadata area holds a Tag, checked just above; it is 4-byte aligned by the kernel.
        unsafe { *(start as *mut Tag) = tag };
    }
}
