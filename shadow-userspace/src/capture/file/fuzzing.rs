//! What the fuzz target for packet headers calls.

use super::{link::Link, packet};

/// Takes a link type, how much longer the frame was on the wire, and a frame; panics where what is found isn't in it.
pub(crate) fn packet_headers(data: &[u8]) {
    let Some(([link_low, link_high, cut], frame)) = data.split_first_chunk() else { return };
    let link = Link::new(u16::from_le_bytes([*link_low, *link_high]).into());
    let wire_len = u32::try_from(frame.len() + usize::from(*cut)).unwrap_or(u32::MAX);
    let Ok(found) = packet::parse(link, frame, wire_len) else { return };
    let place = found.payload_at..found.payload_at + found.payload.len();
    assert!(found.payload.is_empty() || frame.get(place) == Some(found.payload), "{found:?}");
    assert!(found.payload.len() <= found.payload_len as usize, "{found:?}");
}
