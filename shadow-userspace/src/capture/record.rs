//! Reads one ring record. The kernel wrote it, but its payload is the wire's, and nothing here trusts its lengths.

use shadow_common::{Direction, FlowKey, RecordHeader};

use crate::capture::{Run, Segment};

/// Why a ring record can't be read. It means that kernel object and agent don't belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Shorter than its header, or than the header says.
    #[error("a ring record of {len} bytes ends before its {needed}")]
    Short {
        /// The record's length in bytes.
        len: usize,
        /// What it should hold at least.
        needed: usize,
    },
    /// No direction has that number.
    #[error("a ring record has the direction {0}")]
    Direction(u8),
}

/// The segment that a record holds.
///
/// # Errors
/// If the record is not one that this agent's kernel object writes.
pub fn parse_record(record: &[u8]) -> Result<Segment<'_>, RecordError> {
    let mut fields = Fields { rest: record };
    let short = |needed| RecordError::Short { len: record.len(), needed };
    let header = fields.header().ok_or(short(size_of::<RecordHeader>()))?;
    let captured = header.captured_len as usize;
    let payload = fields.rest.get(..captured).ok_or(short(size_of::<RecordHeader>() + captured))?;
    let direction = Direction::from_u8(header.direction).ok_or(RecordError::Direction(header.direction))?;
    Ok(Segment {
        flow: header.flow,
        direction,
        seq: header.seq,
        ack: header.ack,
        flags: header.flags,
        timestamp_ns: header.timestamp_ns,
        run: Run { start: header.request_seq, mark: header.mark },
        payload_len: header.payload_len,
        payload,
    })
}

/// Reads fields in the order of the `repr(C)` struct, in native byte order.
struct Fields<'a> {
    rest: &'a [u8],
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*field)
    }

    fn header(&mut self) -> Option<RecordHeader> {
        Some(RecordHeader {
            timestamp_ns: u64::from_ne_bytes(self.take()?),
            flow: FlowKey {
                client_addr: self.take()?,
                service_addr: self.take()?,
                client_port: u16::from_ne_bytes(self.take()?),
                service_port: u16::from_ne_bytes(self.take()?),
            },
            seq: u32::from_ne_bytes(self.take()?),
            ack: u32::from_ne_bytes(self.take()?),
            payload_len: u32::from_ne_bytes(self.take()?),
            captured_len: u32::from_ne_bytes(self.take()?),
            flags: u8::from_ne_bytes(self.take()?),
            direction: u8::from_ne_bytes(self.take()?),
            mark: u8::from_ne_bytes(self.take()?),
            reserved: u8::from_ne_bytes(self.take()?),
            request_seq: u32::from_ne_bytes(self.take()?),
            reserved2: u32::from_ne_bytes(self.take()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use shadow_common::marks;

    use super::*;

    /// A record as the kernel lays it out, written field by field at the offsets of the struct.
    fn record(header: &RecordHeader, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; size_of::<RecordHeader>()];
        let mut put =
            |offset: usize, field: &[u8]| bytes[offset..offset + field.len()].copy_from_slice(field);
        use std::mem::offset_of;
        let flow = offset_of!(RecordHeader, flow);
        put(offset_of!(RecordHeader, timestamp_ns), &header.timestamp_ns.to_ne_bytes());
        put(flow + offset_of!(FlowKey, client_addr), &header.flow.client_addr);
        put(flow + offset_of!(FlowKey, service_addr), &header.flow.service_addr);
        put(flow + offset_of!(FlowKey, client_port), &header.flow.client_port.to_ne_bytes());
        put(flow + offset_of!(FlowKey, service_port), &header.flow.service_port.to_ne_bytes());
        put(offset_of!(RecordHeader, seq), &header.seq.to_ne_bytes());
        put(offset_of!(RecordHeader, ack), &header.ack.to_ne_bytes());
        put(offset_of!(RecordHeader, payload_len), &header.payload_len.to_ne_bytes());
        put(offset_of!(RecordHeader, captured_len), &header.captured_len.to_ne_bytes());
        put(offset_of!(RecordHeader, flags), &[header.flags]);
        put(offset_of!(RecordHeader, direction), &[header.direction]);
        put(offset_of!(RecordHeader, mark), &[header.mark]);
        put(offset_of!(RecordHeader, request_seq), &header.request_seq.to_ne_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }

    fn header() -> RecordHeader {
        RecordHeader {
            timestamp_ns: 0x0102_0304_0506_0708,
            flow: FlowKey {
                client_addr: *b"client-address-1",
                service_addr: *b"service-address2",
                client_port: 40_001,
                service_port: 8080,
            },
            seq: 0xfedc_ba98,
            ack: 0x0bad_cafe,
            payload_len: 5,
            captured_len: 5,
            flags: 0x18,
            direction: 1,
            mark: marks::SAMPLED | marks::OPEN,
            reserved: 0,
            request_seq: 0xfedc_ba90,
            reserved2: 0,
        }
    }

    #[test]
    fn reads_every_field_at_its_offset_and_ignores_the_class_tail() {
        let bytes = record(&header(), b"hello and an unused tail");
        let segment = parse_record(&bytes).unwrap();
        let header = header();
        assert_eq!(
            segment,
            Segment {
                flow: header.flow,
                direction: Direction::FromService,
                seq: header.seq,
                ack: header.ack,
                flags: header.flags,
                timestamp_ns: header.timestamp_ns,
                run: Run { start: 0xfedc_ba90, mark: marks::SAMPLED | marks::OPEN },
                payload_len: 5,
                payload: b"hello",
            }
        );
    }

    #[test]
    fn a_cut_at_any_byte_is_an_error_and_no_panic() {
        let bytes = record(&header(), b"hello");
        for cut in 0..bytes.len() {
            assert!(matches!(parse_record(&bytes[..cut]), Err(RecordError::Short { .. })), "cut at {cut}");
        }
    }

    #[test]
    fn an_unknown_direction_is_an_error() {
        let bytes = record(&RecordHeader { direction: 7, ..header() }, b"hello");
        assert_eq!(parse_record(&bytes), Err(RecordError::Direction(7)));
    }
}
