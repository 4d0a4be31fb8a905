//! Capture files: how they are read makes no difference, and what they hold may be anything.

use std::io::{self, Read};

use super::pieces::Pieces;
use crate::capture::{
    Segment,
    file::{FileSource, FileStats},
};

/// A file, read at once and in pieces; with a service port or without, as its length says.
///
/// # Panics
/// If something doesn't hold.
pub fn capture_file(data: &[u8]) {
    let ports: &[u16] = if data.len().is_multiple_of(2) { &[] } else { &[80] };
    let whole = read(io::Cursor::new(data.to_vec()), ports);
    // Any file is a seed as well.
    let pieces = Pieces { stream: data, ..Pieces::new(data) };
    let pieces = pieces.iter().map(<[u8]>::to_vec).collect();
    assert_eq!(read(Slow(pieces), ports), whole);
}

/// What a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Held {
    /// Without their payload, and that.
    segments: Vec<(Segment<'static>, Vec<u8>)>,
    stats: FileStats,
    error: Option<String>,
}

fn read(reader: impl Read + Send + 'static, ports: &[u16]) -> Held {
    let mut held = Held::default();
    // What it seems to be instead depends on how much of it was read.
    let Ok(mut source) = FileSource::read(reader, "file".to_owned(), ports) else { return held };
    loop {
        match source.next() {
            Ok(Some(segment)) => {
                assert!(segment.payload.len() <= segment.payload_len as usize, "{segment:?}");
                held.segments.push((Segment { payload: &[], ..segment }, segment.payload.to_vec()));
            }
            Ok(None) => break,
            Err(error) => {
                held.error = Some(error.to_string());
                break;
            }
        }
    }
    assert_counted(source.stats());
    Held { stats: *source.stats(), ..held }
}

/// Each packet is counted for one thing.
fn assert_counted(stats: &FileStats) {
    let no_segments = stats.not_tcp + stats.unknown_link + stats.fragments + stats.malformed;
    let left = stats.other_ports + stats.unknown_flow + stats.unplaced + stats.left_alone;
    let left = left + stats.stray_syns + stats.stray_resets;
    assert_eq!(stats.packets, stats.segments + no_segments + left, "{stats:?}");
}

/// Gives a piece per call, like a pipe.
struct Slow(std::collections::VecDeque<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(mut piece) = self.0.pop_front() else { return Ok(0) };
        let length = piece.as_slice().read(into)?;
        if length < piece.len() {
            piece.drain(..length);
            self.0.push_front(piece);
        }
        Ok(length)
    }
}
