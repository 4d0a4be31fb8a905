//! The model: the first copy of every byte of the stream in an array, and rules that are easy to believe.

use shadow_common::tcp_flags::{FIN, RST};

use super::{Outcome, Push, Setting, Step, Then};
use crate::tcp::{End, Placement, Standing};

/// No segment reaches further from the next byte.
const WINDOW: i64 = 1 << 30;

#[derive(Debug)]
pub(super) struct ByteMap {
    setting: Setting,
    /// By offset.
    first_copies: Vec<Option<u8>>,
    next: i64,
    state: State,
    fin: Option<i64>,
    /// From here to `next` what comes again is compared.
    kept_from: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    AtGap { from: i64, lost_to: i64 },
    Over,
}

impl ByteMap {
    pub(super) fn new(setting: Setting) -> Self {
        Self { setting, first_copies: Vec::new(), next: 0, state: State::Open, fin: None, kept_from: 0 }
    }

    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// The offset behind what was delivered or skipped.
    pub(super) fn place(&self) -> i64 {
        if let State::AtGap { from, .. } = self.state { from } else { self.next }
    }

    pub(super) fn is_at_gap(&self) -> bool {
        matches!(self.state, State::AtGap { .. })
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.state == State::Open && (self.stored() > 0 || self.fin.is_some())
    }

    pub(super) fn holds_nothing(&self) -> bool {
        self.is_over() || self.stored() == 0 && self.kept_from == self.next
    }

    /// What the owner answered to deliveries.
    pub(super) fn delivered(&mut self, ends: &[(i64, Standing)]) {
        let history = i64::try_from(self.setting.history).unwrap_or(i64::MAX);
        for &(end, standing) in ends {
            self.kept_from = match standing {
                Standing::Open => self.kept_from.max(end - history),
                Standing::Settled => self.kept_from.max(end),
            };
        }
    }

    pub(super) fn step(&mut self, step: &Step) -> (Outcome, Option<Placement>) {
        let outcome = match step {
            Step::Push(push) => {
                let (outcome, placement) = self.push(push);
                return (outcome, Some(placement));
            }
            Step::Acknowledge(ack) if (1..WINDOW).contains(&(ack - self.next)) => self.lose(*ack),
            Step::Skip => self.skip(),
            Step::GiveUp if self.is_waiting() => {
                self.lose(self.first_stored().or(self.fin).unwrap_or(self.next))
            }
            Step::Acknowledge(_) | Step::GiveUp => Outcome::default(),
            Step::Settle => {
                self.kept_from = self.next;
                Outcome::default()
            }
            Step::Restart(first) => {
                *self = Self::new(Setting { first: *first, ..self.setting });
                Outcome::default()
            }
        };
        (outcome, None)
    }

    fn push(&mut self, push: &Push) -> (Outcome, Placement) {
        let bytes = push.bytes();
        let captured_end = push.at + i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let end = captured_end + i64::from(push.cut);
        let nothing = Outcome::default();
        if self.is_over() {
            return (nothing, Placement::AfterEnd);
        }
        if push.at <= self.next - WINDOW || end >= self.next + WINDOW {
            return (nothing, Placement::OutOfWindow);
        }
        let place = match push.at - self.next {
            ..0 if end > self.next => Placement::InOrder,
            ..0 => Placement::Repeated,
            0 => Placement::InOrder,
            1.. => Placement::Ahead,
        };
        if push.flags & RST != 0 {
            let late = push.at < self.next;
            return if late {
                (nothing, Placement::Repeated)
            } else {
                (self.end(Then::End(End::Rst)), place)
            };
        }
        if push.flags & FIN != 0 && self.fin.is_none() && end >= self.next {
            self.fin = Some(end);
        }
        let waits = place == Placement::Ahead || self.is_at_gap() && end > self.next;
        let end = self.fin.map_or(end, |fin| fin.min(end));
        let outcome = self.bytes(push.at, end, &bytes, waits);
        let place = match waits {
            true => Placement::Ahead,
            false if self.is_over() => Placement::InOrder,
            false => place,
        };
        (outcome, place)
    }

    /// The payload of a segment; what lies beyond `end` is no part of the stream.
    fn bytes(&mut self, at: i64, end: i64, bytes: &[u8], waits: bool) -> Outcome {
        let halted = self.is_at_gap();
        if waits && halted && self.exceeds() {
            return Outcome::default();
        }
        let known = || (at..end).zip(bytes).filter(|(offset, _)| *offset >= 0);
        let is_probe = *bytes == [0] && at == self.next - 1;
        let differs = known().any(|(offset, byte)| {
            offset >= self.kept_from && self.first_copy(offset).is_some_and(|first| first != *byte)
        });
        if differs && !is_probe {
            return self.end(Then::Conflict);
        }
        for (offset, byte) in known() {
            self.set(offset, *byte);
        }
        match (waits, halted) {
            (_, true) => Outcome::default(),
            (true, false) if self.exceeds() => self.lose_to_first(),
            (true, false) => Outcome::default(),
            (false, false) => self.go_on(end),
        }
    }

    fn skip(&mut self) -> Outcome {
        let State::AtGap { lost_to, .. } = self.state else { return Outcome::default() };
        self.state = State::Open;
        let outcome = self.go_on(lost_to);
        if outcome.then.is_none() && self.exceeds() {
            return Outcome { data: outcome.data, ..self.lose_to_first() };
        }
        outcome
    }

    /// Gives what has no hole before it. What isn't there before `lost_to` won't come.
    fn go_on(&mut self, lost_to: i64) -> Outcome {
        let mut data = Vec::new();
        while self.fin != Some(self.next)
            && let Some(byte) = self.first_copy(self.next)
        {
            data.push(byte);
            self.next += 1;
        }
        let end =
            if self.fin == Some(self.next) { self.end(Then::End(End::Fin)) } else { self.lose(lost_to) };
        Outcome { data, ..end }
    }

    fn lose_to_first(&mut self) -> Outcome {
        self.first_stored().map_or_else(Outcome::default, |first| self.lose(first))
    }

    fn lose(&mut self, lost_to: i64) -> Outcome {
        if self.state != State::Open {
            return Outcome::default();
        }
        let there = [Some(lost_to), self.first_stored(), self.fin];
        let end = there.into_iter().flatten().min().unwrap_or(lost_to);
        if end <= self.next {
            return Outcome::default();
        }
        let bytes = end - self.next;
        self.state = State::AtGap { from: self.next, lost_to };
        self.next = end;
        self.kept_from = end;
        Outcome { data: Vec::new(), then: Some(Then::Gap(bytes)) }
    }

    fn end(&mut self, then: Then) -> Outcome {
        self.state = State::Over;
        Outcome { data: Vec::new(), then: Some(then) }
    }

    fn exceeds(&self) -> bool {
        self.stored() > self.setting.max_bytes
    }

    /// How many bytes wait.
    fn stored(&self) -> usize {
        self.waiting().count()
    }

    fn first_stored(&self) -> Option<i64> {
        self.waiting().next()
    }

    /// The offsets of what waits.
    fn waiting(&self) -> impl Iterator<Item = i64> {
        let index = usize::try_from(self.next).unwrap_or(usize::MAX);
        let stored = self.first_copies.get(index..).unwrap_or_default();
        (self.next..).zip(stored).filter_map(|(offset, byte)| byte.map(|_| offset))
    }

    fn first_copy(&self, offset: i64) -> Option<u8> {
        self.first_copies.get(usize::try_from(offset).ok()?).copied().flatten()
    }

    fn set(&mut self, offset: i64, byte: u8) {
        let Ok(index) = usize::try_from(offset) else { return };
        if self.first_copies.len() <= index {
            self.first_copies.resize(index + 1, None);
        }
        if let Some(there) = self.first_copies.get_mut(index) {
            there.get_or_insert(byte);
        }
    }
}
