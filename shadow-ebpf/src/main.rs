//! shadow's kernel programs, in the order in which a packet meets them:
//!
//! - `shadow_tag` (XDP, ingress): decides about the packet and hands the decision to TC as XDP metadata.
//! - `shadow_export` (TC, ingress and egress): reads the tag or decides for itself, and copies sampled requests
//!   into the ring.
//!
//! Isolation (invariant 1): no path of `shadow_tag` returns anything but `XDP_PASS`, none of `shadow_export` anything but
//! `TCX_NEXT`, whatever the packet; both programs only read it. Every decision is a counter (invariant 2).
#![cfg_attr(target_arch = "bpf", no_std)]
#![cfg_attr(target_arch = "bpf", no_main)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

#[cfg(target_arch = "bpf")]
mod config;
#[cfg(target_arch = "bpf")]
mod counters;
#[cfg(target_arch = "bpf")]
mod decision;
#[cfg(target_arch = "bpf")]
mod export;
#[cfg(target_arch = "bpf")]
mod flow;
#[cfg(target_arch = "bpf")]
mod follow;
#[cfg(target_arch = "bpf")]
mod head;
#[cfg(target_arch = "bpf")]
mod packet;
#[cfg(target_arch = "bpf")]
mod record;
#[cfg(target_arch = "bpf")]
mod skb;
#[cfg(target_arch = "bpf")]
mod tag;
#[cfg(target_arch = "bpf")]
mod verifier;

/// The programs exist for the BPF target only; this keeps `cargo check --workspace` working.
#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
mod programs {
    use aya_ebpf::{
        bindings::xdp_action::XDP_PASS,
        macros::{classifier, xdp},
        programs::{TcContext, XdpContext},
    };

    /// Continue with the next program of the hook (`TCX_NEXT`; for netlink filters `TC_ACT_UNSPEC`, the same number).
    const TCX_NEXT: i32 = -1;

    /// For drivers: takes packets in fragments, as jumbo frames are.
    #[xdp(frags)]
    pub fn shadow_tag(ctx: XdpContext) -> u32 {
        crate::tag::tag(&ctx);
        XDP_PASS
    }

    /// For generic XDP: of a packet in fragments the kernel would make a copy that has forgotten its link header.
    #[xdp]
    pub fn shadow_tag_skb(ctx: XdpContext) -> u32 {
        crate::tag::tag(&ctx);
        XDP_PASS
    }

    #[classifier]
    pub fn shadow_export(ctx: TcContext) -> i32 {
        crate::export::export(&ctx);
        TCX_NEXT
    }

    /// Nothing here panics on purpose; the verifier refuses a program in which this could be reached without end.
    #[panic_handler]
    fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }

    /// Some helpers are for GPL-compatible programs only; the kernel reads the licence from this section.
    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
}
