//! Why a capture file can't be read: one line that says what was found, where, and what to do.

use std::io;

/// Why a capture file can't be read, or not to its end.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct FileError {
    /// The file, or `standard input`.
    pub file: String,
    /// What is wrong with it.
    pub problem: FileProblem,
}

/// What is wrong with a capture file.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// It can't be opened or read.
    #[error("can't be read: {0}")]
    Read(#[from] io::Error),
    /// It doesn't begin as pcap or pcapng do.
    #[error("is no capture file (pcap or pcapng): {0}")]
    Foreign(Foreign),
    /// All of its packets are of a link type that isn't read.
    #[error(
        "its packets have link type {number} ({}), which can't be read: capture on an interface with Ethernet or IP \
         packets, or on `any`", link_name(*number)
    )]
    LinkType {
        /// The number (LINKTYPE_ of tcpdump.org).
        number: u32,
    },
    /// A block says of itself what can't be.
    #[error("makes no sense at byte {offset}: {what}; the file is damaged from there")]
    Damaged {
        /// Where the block begins, in bytes from the file's beginning.
        offset: u64,
        /// What it says.
        what: Damage,
    },
}

/// What a file is that is no capture file, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// Nothing.
    #[error("it is empty")]
    Empty,
    /// Cut off before its first packet.
    #[error("it ends within its own header")]
    Cut,
    /// Compressed.
    #[error("it is compressed with {name}; give it as `{command} FILE | shadow-agent ... --pcap -`")]
    Compressed {
        /// The format.
        name: &'static str,
        /// What decompresses it to standard output.
        command: &'static str,
    },
    /// A capture in another format.
    #[error("it is a {0} capture; convert it with `editcap -F pcapng FILE OTHER`")]
    OtherCapture(&'static str),
    /// Text.
    #[error("it looks like text")]
    Text,
    /// Anything else.
    #[error("it begins with the bytes {}", hex(.0))]
    Bytes([u8; 4]),
}

/// What makes no sense in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Longer than any packet.
    #[error("a block of {0} bytes, more than any packet has")]
    TooLong(u64),
    /// Shorter than its own fields, or no multiple of 4.
    #[error("a block of type {kind:#x} with {len} bytes")]
    Length {
        /// The block type.
        kind: u32,
        /// Its length in bytes.
        len: u32,
    },
    /// The length behind a block isn't the one before it.
    #[error("a block of {before} bytes by its beginning and {after} by its end")]
    Lengths {
        /// By its beginning.
        before: u32,
        /// By its end.
        after: u32,
    },
    /// Longer than the block that it is in.
    #[error("a packet of {packet} bytes in a block that has room for {room}")]
    Packet {
        /// The packet's length in bytes.
        packet: u32,
        /// What fits.
        room: u32,
    },
    /// A packet of an interface that wasn't described.
    #[error("a packet of interface {0}, which no block before it describes")]
    Interface(u32),
    /// More interfaces than any capture has.
    #[error("more than {0} interfaces")]
    Interfaces(usize),
    /// A section whose byte order can't be told.
    #[error("a section with the byte-order mark {0:#x}")]
    ByteOrder(u32),
}

impl Foreign {
    /// What a file is that begins with `bytes`.
    pub(super) fn tell(bytes: &[u8]) -> Self {
        let compressed = |name, command| Self::Compressed { name, command };
        match bytes {
            [] => Self::Empty,
            [0x1f, 0x8b, ..] => compressed("gzip", "zcat"),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => compressed("zstd", "zstdcat"),
            [0xfd, b'7', b'z', b'X', ..] => compressed("xz", "xzcat"),
            [b'B', b'Z', b'h', ..] => compressed("bzip2", "bzcat"),
            [0x04, 0x22, 0x4d, 0x18, ..] => compressed("lz4", "lz4cat"),
            [b's', b'n', b'o', b'o', ..] => Self::OtherCapture("snoop"),
            [b'G', b'M', b'B', b'U', ..] => Self::OtherCapture("Network Monitor"),
            [0x34, 0xcd, 0xb2, 0xa1, ..] | [0xa1, 0xb2, 0xcd, 0x34, ..] => {
                Self::OtherCapture("modified pcap")
            }
            bytes
                if bytes.iter().take(64).all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')) =>
            {
                Self::Text
            }
            bytes => {
                let mut first = [0; 4];
                first.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                Self::Bytes(first)
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// What people who capture know a link type by.
fn link_name(number: u32) -> &'static str {
    match number {
        9 => "PPP",
        105 => "IEEE 802.11",
        119 | 127 => "IEEE 802.11 with radio header",
        189 | 220 => "USB",
        187 | 201 => "Bluetooth",
        239 => "NFLOG",
        253 => "Netlink",
        252 => "Wireshark upper PDU",
        _ => "one of many",
    }
}
