//! The packet as TC sees it.

use aya_ebpf::{
    EbpfContext as _,
    bindings::bpf_hdr_start_off,
    helpers::{bpf_skb_load_bytes, bpf_skb_load_bytes_relative},
    programs::TcContext,
};

use crate::packet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Packet, bounded};

/// Bytes compared to tell a network header from a link header: two link-layer addresses.
const COMPARED: usize = 12;

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
