//! Where a request ends, as its head tells: read only where nobody could read it otherwise.
//!
//! The reader is strict (RFC 9112): what it doesn't understand beyond doubt is `None`, and the agent frames the request
//! instead. It keeps body bytes from ever being taken for a request (invariant 3).

use core::ffi::c_void;

use aya_ebpf::{Global, check_bounds_signed, helpers::generated::bpf_loop, macros::map, maps::PerCpuArray};

use crate::{
    packet::{Packet, Segment},
    verifier::opaque,
};

/// Bytes of a head that are read; a longer one is the agent's to frame.
const MAX_HEAD: usize = 4096;
/// Room for whole words at the end.
const SLACK: usize = 64;
/// A body of this length or more is the agent's to frame: sequence numbers are compared within half their range.
const MAX_LENGTH: u64 = 1 << 30;

/// Every step takes 8 bytes at least, or the rest of a line.
const MAX_STEPS: u32 = MAX_HEAD as u32 / 8 + 256;

/// The beginning of a request, and how far its reading is. It lies in a map and not on the stack, where the verifier would
/// follow every value that a field may have.
#[repr(C, align(8))]
pub struct Head {
    bytes: [u8; MAX_HEAD + SLACK],
    /// Bytes of the request that are there; zeros follow.
    len: u32,
    /// The next byte to look at.
    at: u32,
    /// One past the empty line; 0 until it is found.
    end: u32,
    /// Where the value of Content-Length begins; 0 if there is none.
    length_at: u32,
    /// What was found: the bits below.
    found: u32,
    /// 1 if the byte before `at` is a CR.
    has_cr: u32,
}

/// This CPU's place for the beginning of a request.
#[map]
static HEAD: PerCpuArray<Head> = PerCpuArray::with_max_entries(1, 0);

/// Whether the kernel has `bpf_loop` (5.17). The agent sets it; without it nothing is read here.
#[unsafe(no_mangle)]
static HAS_LOOP: Global<u32> = Global::new(0);

/// A request's framing.
#[derive(Clone, Copy)]
pub struct Framing {
    /// Bytes of head and body together.
    pub len: u32,
    /// No request follows on the connection.
    pub is_last: bool,
}

/// Reads the head at the segment's first payload byte.
#[inline(always)]
pub fn read<P: Packet>(packet: &P, segment: &Segment) -> Option<Framing> {
    if HAS_LOOP.load() == 0 {
        return None;
    }
    // SAFETY: the pointer comes from a successful lookup. The value is this CPU's, and XDP and TC run with softirqs
    // off, so no other packet's program uses it before this one is done.
    let head = unsafe { &mut *HEAD.get_ptr_mut(0)? };
    let available = u64::from(segment.payload_len);
    let len = opaque(if available > MAX_HEAD as u64 { MAX_HEAD as u64 } else { available });
    if !check_bounds_signed(len as i64, 16, MAX_HEAD as i64) {
        return None;
    }
    if !packet.load_into(segment.payload_offset, head.bytes.as_mut_ptr(), len as u32) {
        return None;
    }
    // SAFETY: len is at most MAX_HEAD, and SLACK bytes lie behind that.
    unsafe { head.bytes.as_mut_ptr().add(len as usize).cast::<[u8; 8]>().write([0; 8]) };
    head.len = len as u32;
    (head.at, head.end, head.length_at, head.found, head.has_cr) = (0, 0, 0, 0, 0);
    let mut this: *mut Head = head;
    // SAFETY: `step` takes the pointer that its second argument points at, which lives until the loop ends.
    unsafe { bpf_loop(MAX_STEPS, step as *mut c_void, (&raw mut this).cast(), 0) };
    // SAFETY: as above.
    unsafe { (*this).framing() }
}

/// The request line was read, and says HTTP/1.1 or HTTP/1.0.
const REQUEST_LINE: u32 = 1;
const HTTP_10: u32 = 2;
/// `Connection: close`.
const CLOSE: u32 = 4;
/// `Connection: keep-alive`.
const KEEP_ALIVE: u32 = 8;

const CONTINUE: i64 = 0;
const STOP: i64 = 1;

/// Words looked at per step at most: most of a head has no control character in them.
const WORDS: u32 = 8;

/// Looks at the next words, up to one that has a control character.
unsafe extern "C" fn step(_: u64, head: *mut c_void) -> i64 {
    // SAFETY: `read` passes the address of a pointer to this CPU's Head.
    let head = unsafe { &mut **head.cast::<*mut Head>() };
    for _ in 0..WORDS {
        if head.at >= head.len {
            return STOP;
        }
        let word = head.word(head.at);
        let controls = below_space(word);
        if controls != 0 {
            return head.controls(word, controls);
        }
        if head.has_cr != 0 {
            return STOP;
        }
        head.at += 8;
    }
    CONTINUE
}

impl Head {
    /// The word at `at` has control characters: only CR LF is allowed, whole or with its LF in the next word. Of a word in
    /// which a line ends the rest is looked at in the next step.
    #[inline(always)]
    fn controls(&mut self, word: u64, controls: u64) -> i64 {
        let line_feeds = equal(word, b'\n');
        if line_feeds == 0 {
            let last = controls & 0x80 << 56;
            if self.has_cr != 0 || controls != last || word >> 56 != u64::from(b'\r') {
                return STOP;
            }
            self.has_cr = 1;
            self.at += 8;
            return CONTINUE;
        }
        let first = line_feeds & line_feeds.wrapping_neg();
        // The flag of the byte before it: that must be the CR, and the only control character up to there.
        let before = first >> 8;
        let is_clean = controls & (first - 1) == before;
        let has_cr =
            if before == 0 { self.has_cr != 0 } else { self.has_cr == 0 && equal(word, b'\r') & before != 0 };
        if !is_clean || !has_cr {
            return STOP;
        }
        self.has_cr = 0;
        self.line_ends(self.at + index(first))
    }

    /// A line ends with the LF at `line_feed`.
    #[inline(always)]
    fn line_ends(&mut self, line_feed: u32) -> i64 {
        if self.found & REQUEST_LINE == 0 {
            if line_feed < 13 || self.word(line_feed - 10) as u8 != b' ' {
                return STOP;
            }
            match self.word(line_feed - 9) {
                VERSION_11 => self.found |= REQUEST_LINE,
                VERSION_10 => self.found |= REQUEST_LINE | HTTP_10,
                _ => return STOP,
            }
        }
        let next = line_feed + 1;
        self.at = next;
        let begins = self.word(next);
        if begins as u16 == u16::from_le_bytes(*b"\r\n") {
            // Beyond the bytes that there are, zeros lie, so the two are within.
            self.end = next + 2;
            return STOP;
        }
        // A line that begins with a space continues the one before (obs-fold).
        if begins as u8 == b' ' || begins as u8 == b'\t' {
            return STOP;
        }
        self.field(next, begins | LOWER)
    }

    /// A field line begins at `at` with the bytes `begins`, in lower case.
    #[inline(always)]
    fn field(&mut self, at: u32, begins: u64) -> i64 {
        const SEVEN: u64 = 0x00ff_ffff_ffff_ffff;
        const SIX: u64 = 0x0000_ffff_ffff_ffff;
        let more = self.word(at + 8) | LOWER;
        if begins == CONTENT {
            if more & SIX == LENGTH & SIX {
                // Twice, or with a space before the colon: doubtful.
                if more & SEVEN != LENGTH || self.length_at != 0 {
                    return STOP;
                }
                self.length_at = at + 15;
            }
        } else if begins == TRANSFER || (begins & SEVEN == UPGRADE && begins >> 56 != u64::from(b'-')) {
            return STOP;
        } else if begins == CONNECTION {
            let rest = self.word(at + 16) | LOWER;
            let ends_at = |offset| self.word(at + offset) as u8 == b'\r';
            if more == CLOSE_VALUE[0] && rest as u8 == CLOSE_VALUE[1] as u8 && ends_at(17) {
                self.found |= CLOSE;
            } else if more == KEEP_VALUE[0] && rest & SIX == KEEP_VALUE[1] && ends_at(22) {
                self.found |= KEEP_ALIVE;
            } else {
                return STOP;
            }
        }
        CONTINUE
    }

    /// The framing, if the whole head was read.
    #[inline(always)]
    fn framing(&self) -> Option<Framing> {
        let is_tunnel = self.word(0) == CONNECT;
        if self.end == 0 || self.found & REQUEST_LINE == 0 || self.end > self.len || is_tunnel {
            return None;
        }
        let length = if self.length_at == 0 { 0 } else { self.length()? };
        let keeps_alive =
            self.found & CLOSE == 0 && (self.found & HTTP_10 == 0 || self.found & KEEP_ALIVE != 0);
        Some(Framing { len: self.end + length, is_last: !keeps_alive })
    }

    /// The value of Content-Length: digits, and at most one space before them.
    #[inline(always)]
    fn length(&self) -> Option<u32> {
        let mut at = self.length_at;
        if self.word(at) as u8 == b' ' {
            at += 1;
        }
        let mut value = 0_u64;
        for digits in 0..10_u32 {
            let byte = self.word(at + digits) as u8;
            if byte == b'\r' && digits > 0 {
                return if value < MAX_LENGTH { Some(value as u32) } else { None };
            }
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value * 10 + u64::from(byte - b'0');
        }
        None
    }

    /// The 8 bytes from `at` on, the first in the lowest place.
    #[inline(always)]
    fn word(&self, at: u32) -> u64 {
        let offset = u64::from(at) & (MAX_HEAD as u64 - 1);
        let word: u64;
        // SAFETY: the masked offset is below MAX_HEAD, and SLACK bytes lie behind that. It is one load, whatever the
        // alignment, which maps allow; the compiler would make eight of it.
        unsafe {
            core::arch::asm!(
                "{to} = *(u64 *)({from} + 0)",
                to = out(reg) word,
                from = in(reg) self.bytes.as_ptr().add(offset as usize),
                options(nostack, readonly, preserves_flags),
            );
        }
        word
    }
}

const LOWER: u64 = 0x2020_2020_2020_2020;
const VERSION_11: u64 = u64::from_le_bytes(*b"HTTP/1.1");
const VERSION_10: u64 = u64::from_le_bytes(*b"HTTP/1.0");
const CONNECT: u64 = u64::from_le_bytes(*b"CONNECT ");
// In lower case, as `| LOWER` makes them: '-', ':' and ' ' stay.
const CONTENT: u64 = u64::from_le_bytes(*b"content-");
const LENGTH: u64 = u64::from_le_bytes(*b"length:\0");
const TRANSFER: u64 = u64::from_le_bytes(*b"transfer");
const UPGRADE: u64 = u64::from_le_bytes(*b"upgrade\0");
const CONNECTION: u64 = u64::from_le_bytes(*b"connecti");
const CLOSE_VALUE: [u64; 2] = [u64::from_le_bytes(*b"on: clos"), b'e' as u64];
const KEEP_VALUE: [u64; 2] = [u64::from_le_bytes(*b"on: keep"), u64::from_le_bytes(*b"-alive\0\0")];

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES << 7;
const LOW: u64 = !HIGH;

/// The top bit of each byte that equals `byte`; exact, unlike the shorter trick.
#[inline(always)]
const fn equal(word: u64, byte: u8) -> u64 {
    let differs = word ^ ONES * byte as u64;
    !(((differs & LOW) + LOW) | differs) & HIGH
}

/// The top bit of each byte below a space.
#[inline(always)]
const fn below_space(word: u64) -> u64 {
    !(((word & LOW) + ONES * (0x80 - 0x20)) | word) & HIGH
}

/// Which byte a flag of [`equal`] stands for.
#[inline(always)]
const fn index(flag: u64) -> u32 {
    ((flag >> 7).wrapping_mul(0x0001_0203_0405_0607) >> 56) as u32
}
