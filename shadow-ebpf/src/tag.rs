//! XDP `tag`: decides before the packet becomes an skb, and writes the verdict in front of it as metadata.
//!
//! GRO keeps packets apart whose metadata differ, so TC may read the tag of a super-packet as true for all of it.

use aya_ebpf::{helpers::generated::bpf_xdp_adjust_meta, programs::XdpContext};
use aya_log_ebpf::warn;
use shadow_common::{Counter, Verdict};

use crate::{
    flow,
    maps::{add, config, count},
    packet::{self, Packet},
};

/// The metadata that XDP hands to TC. Its size must be a multiple of 4.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Tag {
    /// [`Tag::MAGIC`], so that another program's metadata isn't taken for a tag.
    magic: u32,
    /// A [`Verdict`] as its number.
    verdict: u32,
}

impl Tag {
    const MAGIC: u32 = 0x5348_4457;

    #[inline(always)]
    pub fn new(verdict: Verdict) -> Self {
        Self { magic: Self::MAGIC, verdict: verdict as u32 }
    }

    /// The verdict, if it is a tag at all.
    #[inline(always)]
    pub fn verdict(self) -> Option<Verdict> {
        if self.magic == Self::MAGIC { Verdict::from_u32(self.verdict) } else { None }
    }
}

impl Packet for XdpContext {
    #[inline(always)]
    fn load<T: Copy>(&self, offset: usize) -> Option<T> {
        let start = self.data() + offset;
        if start + size_of::<T>() > self.data_end() {
            return None;
        }
        // SAFETY: start to start + size_of::<T>() lies within the packet, checked just above as the verifier demands.
        Some(unsafe { core::ptr::read_unaligned(start as *const T) })
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
    let verdict = match flow::orient(&segment) {
        None => Verdict::Other,
        Some((key, direction)) => flow::verdict(ctx, &segment, &key, direction, &config()),
    };
    if write(ctx, verdict) {
        count(Counter::XdpTagged);
    } else if add(Counter::XdpUntagged, 1) == 0 {
        warn!(ctx, "this driver gives XDP no room for metadata: TC decides for itself");
    }
}

#[inline(always)]
fn write(ctx: &XdpContext, verdict: Verdict) -> bool {
    // SAFETY: the helper takes the context as it was given to the program; it fails where the driver has no metadata.
    if unsafe { bpf_xdp_adjust_meta(ctx.ctx, -(size_of::<Tag>() as i32)) } != 0 {
        return false;
    }
    let start = ctx.metadata();
    if start + size_of::<Tag>() > ctx.metadata_end() {
        return false;
    }
    // SAFETY: the metadata area holds a Tag, checked just above; it is 4-byte aligned by the kernel.
    unsafe { *(start as *mut Tag) = Tag::new(verdict) };
    true
}
