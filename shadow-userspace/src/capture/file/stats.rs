//! What became of a file's packets.

use serde::Serialize;

/// Counts of a file's packets, segments and flows, so far. Each packet is in exactly one of those that say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileStats {
    /// Packets in the file.
    pub packets: u64,
    /// Their captured bytes.
    pub bytes: u64,
    /// Packets of which the capture holds only the beginning; also counted for what they are.
    pub cut_short: u64,
    /// 1 if the file ends in the middle of a packet.
    pub truncated: u64,
    /// Packets handed out as segments.
    pub segments: u64,
    /// Packets that aren't TCP over IP.
    pub not_tcp: u64,
    /// Packets of interfaces with a link type that isn't read.
    pub unknown_link: u64,
    /// IP fragments.
    pub fragments: u64,
    /// Packets that contradict themselves or end before their headers do.
    pub malformed: u64,
    /// Segments of ports that weren't asked for.
    pub other_ports: u64,
    /// Segments of connections of which it isn't known whether they speak HTTP, and who is the client.
    pub unknown_flow: u64,
    /// Segments within a connection at a place where no request start is known.
    pub unplaced: u64,
    /// Segments of connections that don't speak HTTP/1, or whose framing is in doubt.
    pub left_alone: u64,
    /// SYNs within a living connection.
    pub stray_syns: u64,
    /// Resets of a service that its client doesn't take: not where it is.
    pub stray_resets: u64,
    /// Connections that began, or were met in mid-life.
    pub flows: u64,
    /// Connections that were forgotten because there were too many.
    pub flows_forgotten: u64,
    /// Request starts taken in mid-life of a connection.
    pub candidates: u64,
    /// Those of them that the service's answer confirmed.
    pub confirmed: u64,
    /// Those of them that it did not.
    pub refuted: u64,
}
