//! The reassembler beside an obviously correct model of it, for property tests and fuzzing.
//!
//! Takes [`Step`]s, lets both take them, and panics where they differ.

mod byte_map;
mod script;

use shadow_common::{
    Direction, FlowKey,
    tcp_flags::{ACK, SYN},
};

use super::{End, Placement, Reassembler, ReassemblyLimits, Seq, Standing, StreamEvent};
use crate::capture::{Run, Segment};
use byte_map::ByteMap;

pub use script::run;

/// Something that happens to a direction. Offsets count from the first byte of the stream.
#[derive(Clone, Debug)]
pub enum Step {
    /// A segment comes.
    Push(Push),
    /// The receiver acknowledges what lies before this offset.
    Acknowledge(i64),
    /// The owner goes on behind a gap.
    Skip,
    /// The owner waited long enough.
    GiveUp,
    /// The owner says that all messages so far are complete.
    Settle,
    /// A stream begins anew, at this sequence number.
    Restart(u32),
}

/// A segment. Its bytes are [`byte_at`] their offset, but for one that may be wrong.
#[derive(Clone, Debug, Default)]
pub struct Push {
    /// Offset of its first byte.
    pub at: i64,
    /// How many bytes the capture has.
    pub len: usize,
    /// How many bytes the capture cut off.
    pub cut: u32,
    /// [`shadow_common::tcp_flags`].
    pub flags: u8,
    /// The index of a byte, and what it is instead.
    pub wrong: Option<(usize, u8)>,
}

impl Push {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = (self.at..).take(self.len).map(byte_at).collect();
        if let Some((index, byte)) = self.wrong
            && let Some(there) = bytes.get_mut(index)
        {
            *there = byte;
        }
        bytes
    }
}

/// What the stream is made of.
#[must_use]
pub fn byte_at(offset: i64) -> u8 {
    (offset.wrapping_mul(0x9e37_79b9) >> 16).to_le_bytes()[0]
}

/// What comes out of one step: bytes in order, and then at most one other event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    data: Vec<u8>,
    then: Option<Then>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Gap(i64),
    Conflict,
    End(End),
}

/// How the owner and the limits are.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Sequence number of the stream's first byte.
    pub first: u32,
    /// What waits at most, in bytes.
    pub max_bytes: usize,
    /// How much of an open message is kept, in bytes.
    pub history: usize,
    /// The length of a message: all are complete where so many bytes, or a multiple of them, were delivered.
    pub message: i64,
}

/// A reassembler and its model.
#[derive(Debug)]
pub struct Check {
    setting: Setting,
    real: Reassembler,
    model: ByteMap,
}

impl Check {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(setting: Setting) -> Self {
        // How many ranges there are depends on the cut, of which a map of bytes knows nothing.
        let limits = ReassemblyLimits {
            max_bytes: setting.max_bytes,
            max_ranges: usize::MAX,
            history: setting.history,
        };
        let real = Reassembler::new(Seq(setting.first), limits);
        Self { setting, real, model: ByteMap::new(setting) }
    }

    /// The offset of the byte that comes next.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.model.next()
    }

    /// Lets both take a step.
    ///
    /// # Panics
    /// If they differ.
    pub fn step(&mut self, step: &Step) {
        let mut taken = Taken { at: self.model.next(), message: self.setting.message, ..Taken::default() };
        let (expected, placement) = self.model.step(step);
        let placed = self.step_real(step, &mut taken);
        assert_eq!(taken.outcome, expected, "{step:?}");
        if !matches!(expected.then, Some(Then::Conflict)) {
            assert_eq!(placed, placement, "{step:?}");
        }
        self.model.delivered(&taken.ends);
        self.compare(step);
    }

    fn step_real(&mut self, step: &Step, taken: &mut Taken) -> Option<Placement> {
        let first = self.setting.first;
        let on_event = |event: StreamEvent<'_>| taken.event(event);
        match step {
            Step::Push(push) => {
                let bytes = push.bytes();
                return Some(self.real.push(&segment(seq(first, push.at), push, &bytes), on_event));
            }
            Step::Acknowledge(ack) => self.real.acknowledged(seq(first, *ack), on_event),
            Step::Skip => self.real.skip_gap(on_event),
            Step::GiveUp => self.real.give_up(on_event),
            Step::Settle => self.real.settle(),
            Step::Restart(first) => {
                self.setting.first = *first;
                self.real.restart(Seq(*first));
            }
        }
        None
    }

    /// Compares what both say of themselves.
    fn compare(&self, step: &Step) {
        let Self { real, model, setting } = self;
        assert_eq!(real.is_waiting(), model.is_waiting(), "{step:?}");
        assert_eq!(real.is_at_gap(), model.is_at_gap(), "{step:?}");
        if !model.is_over() {
            assert_eq!(real.next_seq(), seq(setting.first, model.place()), "{step:?}");
        }
        if model.holds_nothing() {
            assert_eq!(real.memory(), 0, "{step:?}");
        }
        // A range costs 24 bytes and may be a single byte; room for ranges doubles. One segment may go over the limit.
        let stored = setting.max_bytes + MAX_LEN;
        assert!(real.memory() <= stored + 2 * 24 * (stored + 4) + setting.history + 32, "{}", real.memory());
    }
}

/// The largest segment of a test, in bytes.
pub const MAX_LEN: usize = 64;

/// What the real one gave in one step.
#[derive(Default)]
struct Taken {
    outcome: Outcome,
    /// The offset behind the last byte given.
    at: i64,
    message: i64,
    /// Where each delivery ended, and what was said of it.
    ends: Vec<(i64, Standing)>,
}

impl Taken {
    fn event(&mut self, event: StreamEvent<'_>) -> Standing {
        assert_eq!(self.outcome.then, None, "{event:?} follows");
        match event {
            StreamEvent::Data(bytes) => {
                assert!(!bytes.is_empty());
                self.outcome.data.extend_from_slice(bytes);
                self.at += i64::try_from(bytes.len()).unwrap_or(i64::MAX);
                let standing = if self.at % self.message == 0 { Standing::Settled } else { Standing::Open };
                self.ends.push((self.at, standing));
                return standing;
            }
            StreamEvent::Gap { bytes } => self.outcome.then = Some(Then::Gap(bytes.into())),
            StreamEvent::Conflict => self.outcome.then = Some(Then::Conflict),
            StreamEvent::End(end) => self.outcome.then = Some(Then::End(end)),
        }
        Standing::Open
    }
}

/// The sequence number of an offset.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "modulo 2^32 is what is meant")]
fn seq(first: u32, offset: i64) -> Seq {
    Seq(first) + offset as u32
}

fn segment<'a>(start: Seq, push: &Push, bytes: &'a [u8]) -> Segment<'a> {
    let syn = push.flags & SYN != 0;
    Segment {
        flow: FlowKey::default(),
        direction: Direction::ToService,
        seq: start.0.wrapping_sub(syn.into()),
        ack: 0,
        flags: push.flags | ACK,
        timestamp_ns: 0,
        run: Run::default(),
        payload_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_add(push.cut),
        payload: bytes,
    }
}
