//! Capture files: takes pcap and pcapng, from a path or standard input; gives the TCP segments that are worth a look,
//! each with the run that it belongs to, as the kernel does live.
//!
//! [`window`] reads the file in large pieces, [`frames`] finds the frames ([`pcap`], [`pcapng`]), [`link`] and
//! [`packet`] the segment in a frame, and [`follow`] its flow and run. Nothing of a packet is copied. Whatever the file
//! holds: no panic, and no more memory than for the longest block and the most flows (invariant 4).

mod error;
mod follow;
mod frame;
mod frames;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzzing;
mod link;
mod packet;
mod pcap;
mod pcapng;
mod stats;
mod window;

use std::{fs::File, io, path::PathBuf};

use shadow_common::{Direction, tcp_flags};

use self::{
    follow::{Follower, Verdict},
    frame::{Frame, Next},
    frames::Frames,
    link::Link,
    packet::NoSegment,
};
use crate::capture::{Note, Segment};

pub use error::{Damage, FileError, FileProblem, Foreign};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use fuzzing::packet_headers;
pub use stats::FileStats;

/// Where a capture file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file.
    Path(PathBuf),
    /// Standard input.
    Stdin,
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("standard input"),
        }
    }
}

/// Connections followed at once; beyond, those that are least in use are forgotten. Each takes about 120 bytes.
const MAX_FLOWS: usize = 1_000_000;

/// The segments of a capture file.
#[derive(Debug)]
pub struct FileSource {
    name: String,
    frames: Frames,
    follower: Follower,
    stats: FileStats,
    /// A frame that is to be looked at again: it was preceded by a connection's beginning.
    again: Option<Frame>,
    unknown_link: Option<u32>,
}

/// A segment whose payload is still to be found again.
struct Found {
    segment: Segment<'static>,
    /// Of the payload, in the window.
    place: usize,
    len: usize,
}

impl FileSource {
    /// Opens a capture file and reads its header.
    ///
    /// `ports` are the service ports; with none, every connection is looked at whose client's bytes begin like HTTP.
    ///
    /// # Errors
    /// If it can't be read or is no capture file.
    pub fn open(input: &Input, ports: &[u16]) -> Result<Self, FileError> {
        let reader: io::Result<Box<dyn io::Read + Send>> = match input {
            Input::Path(path) => File::open(path).map(|file| Box::new(file) as Box<_>),
            Input::Stdin => Ok(Box::new(io::stdin())),
        };
        let name = input.to_string();
        match reader {
            Ok(reader) => Self::read(reader, name, ports),
            Err(error) => Err(FileError { file: name, problem: error.into() }),
        }
    }

    /// The same from any reader; `name` is for messages.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn read(
        reader: impl io::Read + Send + 'static,
        name: String,
        ports: &[u16],
    ) -> Result<Self, FileError> {
        match Frames::open(Box::new(reader)) {
            Ok(frames) => Ok(Self {
                name,
                frames,
                follower: Follower::new(ports, MAX_FLOWS),
                stats: FileStats::default(),
                again: None,
                unknown_link: None,
            }),
            Err(problem) => Err(FileError { file: name, problem }),
        }
    }

    /// The next TCP segment worth looking at, borrowed from the buffer; `None` at the end of the file. Timestamps are
    /// nanoseconds since the Unix epoch.
    ///
    /// # Errors
    /// If the file can't be read, is damaged, or has no packets but of unknown link types.
    #[expect(clippy::should_implement_trait, reason = "an iterator's items can't borrow from it")]
    pub fn next(&mut self) -> Result<Option<Segment<'_>>, FileError> {
        match self.find() {
            Ok(Some(Found { segment, place, len })) => {
                Ok(Some(Segment { payload: self.frames.bytes(place, len), ..segment }))
            }
            Ok(None) => Ok(None),
            Err(problem) => Err(FileError { file: self.name.clone(), problem }),
        }
    }

    /// What the pipeline says of a flow's run; to be called before the next segment.
    pub fn tell(&mut self, note: &Note) {
        self.follower.tell(note);
    }

    /// What became of the packets so far.
    #[must_use]
    pub const fn stats(&self) -> &FileStats {
        &self.stats
    }

    fn find(&mut self) -> Result<Option<Found>, FileProblem> {
        loop {
            let frame = match self.again.take() {
                Some(frame) => frame,
                None => match self.frames.next()? {
                    Next::Frame(frame) => {
                        self.count(&frame);
                        frame
                    }
                    Next::Other => continue,
                    Next::End { truncated } => return self.end(truncated),
                },
            };
            if let Some(found) = self.look(&frame) {
                // A connection's beginning that was made up is no packet.
                self.stats.segments += u64::from(self.again.is_none());
                return Ok(Some(found));
            }
        }
    }

    fn count(&mut self, frame: &Frame) {
        self.stats.packets += 1;
        self.stats.bytes += frame.len as u64;
        self.stats.cut_short += u64::from((frame.len as u64) < u64::from(frame.wire_len));
    }

    /// The segment of `frame`, if there is one and it is wanted.
    #[inline]
    fn look(&mut self, frame: &Frame) -> Option<Found> {
        let bytes = self.frames.bytes(frame.place, frame.len);
        let packet = match packet::parse(frame.link, bytes, frame.wire_len) {
            Ok(packet) => packet,
            Err(reason) => {
                self.pass_over(reason, frame.link);
                return None;
            }
        };
        let (flow, direction, run) = match self.follower.decide(&packet, &mut self.stats) {
            Verdict::Take { flow, direction, run } => (flow, direction, run),
            Verdict::Leave => return None,
            Verdict::Begins { flow, isn, run } => {
                self.again = Some(*frame);
                let segment = Segment {
                    flow,
                    direction: Direction::ToService,
                    seq: isn,
                    ack: 0,
                    flags: tcp_flags::SYN,
                    timestamp_ns: frame.timestamp_ns,
                    run,
                    payload_len: 0,
                    payload: &[],
                };
                return Some(Found { segment, place: 0, len: 0 });
            }
        };
        let segment = Segment {
            flow,
            direction,
            seq: packet.seq,
            ack: packet.ack,
            flags: packet.flags,
            timestamp_ns: frame.timestamp_ns,
            run,
            payload_len: packet.payload_len,
            payload: &[],
        };
        Some(Found { segment, place: frame.place + packet.payload_at, len: packet.payload.len() })
    }

    #[cold]
    fn pass_over(&mut self, reason: NoSegment, link: Link) {
        *match reason {
            NoSegment::NotTcp => &mut self.stats.not_tcp,
            NoSegment::Fragment => &mut self.stats.fragments,
            NoSegment::Malformed => &mut self.stats.malformed,
            NoSegment::UnknownLink => {
                if let Link::Unknown(number) = link {
                    self.unknown_link = Some(number);
                }
                &mut self.stats.unknown_link
            }
        } += 1;
    }

    fn end(&mut self, truncated: bool) -> Result<Option<Found>, FileProblem> {
        self.stats.truncated = truncated.into();
        match self.unknown_link {
            Some(number) if self.stats.unknown_link == self.stats.packets => {
                Err(FileProblem::LinkType { number })
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
