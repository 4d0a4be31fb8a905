//! What networks and capturing do to packets. Each fault keeps the times in order, and is the same for the same seed.

use bytes::Bytes;

use super::Packet;
use crate::random::Random;

/// Leaves out those that `which` names; it is told the place in the capture too.
#[must_use]
pub fn lose(packets: Vec<Packet>, which: impl Fn(usize, &Packet) -> bool) -> Vec<Packet> {
    packets
        .into_iter()
        .enumerate()
        .filter(|(place, packet)| !which(*place, packet))
        .map(|(_, kept)| kept)
        .collect()
}

/// Leaves out so many of 1000 packets, by chance.
#[must_use]
pub fn lose_some(packets: Vec<Packet>, per_mille: u32, random: &mut Random) -> Vec<Packet> {
    packets.into_iter().filter(|_| !random.chance(per_mille)).collect()
}

/// Captures every packet twice, as on two interfaces.
#[must_use]
pub fn duplicate(packets: Vec<Packet>) -> Vec<Packet> {
    packets.into_iter().flat_map(|packet| [packet.clone(), packet]).collect()
}

/// Shuffles what one side sends in one go: data packets that no packet of the other side stands between.
#[must_use]
pub fn reorder(mut packets: Vec<Packet>, random: &mut Random) -> Vec<Packet> {
    let times: Vec<u64> = packets.iter().map(|packet| packet.at_ns).collect();
    let in_one_go = |a: &Packet, b: &Packet| {
        (a.ends, a.from) == (b.ends, b.from) && !a.payload.is_empty() && !b.payload.is_empty()
    };
    for flight in packets.chunk_by_mut(in_one_go) {
        for last in (1..flight.len()).rev() {
            flight.swap(last, random.below(last + 1));
        }
    }
    for (packet, at_ns) in packets.iter_mut().zip(times) {
        packet.at_ns = at_ns;
    }
    packets
}

/// Sends every fourth data packet once more, up to three packets later.
#[must_use]
pub fn retransmit(packets: Vec<Packet>, random: &mut Random) -> Vec<Packet> {
    let mut repeated = Vec::with_capacity(packets.len() * 2);
    let mut due: Vec<(usize, Packet)> = Vec::new();
    for packet in packets {
        for (wait, _) in &mut due {
            *wait = wait.saturating_sub(1);
        }
        if !packet.payload.is_empty() && random.chance(250) {
            due.push((1 + random.below(3), packet.clone()));
        }
        repeated.push(packet);
        let now = repeated.last().map_or(0, |packet| packet.at_ns);
        repeated.extend(
            due.extract_if(.., |(wait, _)| *wait == 0).map(|(_, again)| Packet { at_ns: now, ..again }),
        );
    }
    repeated
}

/// Between two data packets of one side that follow each other, sends the second half of the first with the first half of
/// the second, changed by `change`.
#[must_use]
pub fn overlap(
    packets: Vec<Packet>,
    which: impl Fn(&Packet) -> bool,
    change: impl Fn(Vec<u8>) -> Vec<u8>,
) -> Vec<Packet> {
    let mut with_overlaps = Vec::with_capacity(packets.len() * 2);
    for packet in packets {
        if let Some(earlier) =
            with_overlaps.last().filter(|earlier| which(&packet) && follows(earlier, &packet))
        {
            with_overlaps.push(bridge(earlier, &packet, &change));
        }
        with_overlaps.push(packet);
    }
    with_overlaps
}

fn follows(earlier: &Packet, later: &Packet) -> bool {
    let length = u32::try_from(earlier.payload.len()).unwrap_or(u32::MAX);
    (earlier.ends, earlier.from) == (later.ends, later.from)
        && length > 1
        && later.payload.len() > 1
        && earlier.seq.wrapping_add(length) == later.seq
}

fn bridge(earlier: &Packet, later: &Packet, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Packet {
    let half = earlier.payload.len() / 2;
    let mut bytes = earlier.payload.slice(half..).to_vec();
    bytes.extend_from_slice(&later.payload.slice(..later.payload.len() / 2));
    // At most a segment.
    bytes.truncate(earlier.payload.len());
    let seq = earlier.seq.wrapping_add(u32::try_from(half).unwrap_or(0));
    Packet { seq, payload: Bytes::from(change(bytes)), ..earlier.clone() }
}

/// For [`overlap`]: the same bytes.
#[must_use]
pub const fn same(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// For [`overlap`]: another first byte, which was sent before.
#[must_use]
pub fn differing(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(first) = bytes.first_mut() {
        *first ^= 0x20;
    }
    bytes
}
