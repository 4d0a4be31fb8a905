//! Who goes next to an upstream: a bounded number of places, and a queue before them that is bounded in copies and bytes
//! (invariant 4).
//!
//! With [`Order::PerConnection`] the copies of one client connection go one after the other, and hold up none of another
//! connection. It has no clock and takes no lock.

use std::collections::{HashMap, VecDeque};

use shadow_common::FlowKey;

use crate::shadow::options::Order;

/// What may wait, and be on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shadow) struct QueueLimits {
    /// Copies on their way at once.
    pub(in crate::shadow) places: usize,
    /// Copies that wait for a place; 0: none.
    pub(in crate::shadow) waiting: usize,
    /// Bytes that wait for a place.
    pub(in crate::shadow) bytes: usize,
}

/// The copies that wait, and the number of those on their way.
#[derive(Debug)]
pub(in crate::shadow) struct Queue<T> {
    limits: QueueLimits,
    order: Order,
    /// Those that may go as soon as a place is free.
    ready: VecDeque<Waiting<T>>,
    /// The connections that have a copy on its way or ready, and what waits behind that. Empty without an order.
    behind: HashMap<FlowKey, VecDeque<Waiting<T>>>,
    waiting: usize,
    bytes: usize,
    in_flight: usize,
    is_closed: bool,
}

#[derive(Debug)]
struct Waiting<T> {
    item: T,
    bytes: usize,
    line: Option<FlowKey>,
}

/// A place that is taken, to be given back to [`Queue::next`].
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(in crate::shadow) struct Turn {
    line: Option<FlowKey>,
}

/// What becomes of a copy.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::shadow) enum Pushed<T> {
    /// It goes now.
    Goes(T, Turn),
    /// It waits.
    Waits,
    /// There is no room for it.
    Full(T),
    /// Nothing is taken any more.
    Closed(T),
}

impl<T> Queue<T> {
    pub(in crate::shadow) fn new(limits: QueueLimits, order: Order) -> Self {
        let (ready, behind) = (VecDeque::new(), HashMap::new());
        Self { limits, order, ready, behind, waiting: 0, bytes: 0, in_flight: 0, is_closed: false }
    }

    /// Takes a copy of so many bytes that came on `flow`.
    pub(in crate::shadow) fn push(&mut self, flow: &FlowKey, bytes: usize, item: T) -> Pushed<T> {
        if self.is_closed {
            return Pushed::Closed(item);
        }
        let line = self.line(flow);
        if self.has_place(flow) {
            self.in_flight += 1;
            self.behind.extend(line.map(|line| (line, VecDeque::new())));
            return Pushed::Goes(item, Turn { line });
        }
        if !self.can_wait(bytes) {
            return Pushed::Full(item);
        }
        self.waiting += 1;
        self.bytes += bytes;
        let waiting = Waiting { item, bytes, line };
        match line.map(|line| self.behind.entry(line)) {
            Some(std::collections::hash_map::Entry::Occupied(mut line)) => {
                line.get_mut().push_back(waiting);
            }
            Some(std::collections::hash_map::Entry::Vacant(line)) => {
                line.insert(VecDeque::new());
                self.ready.push_back(waiting);
            }
            None => self.ready.push_back(waiting),
        }
        Pushed::Waits
    }

    /// A place is free again: the copy that goes now, if one is ready.
    pub(in crate::shadow) fn next(&mut self, Turn { line }: Turn) -> Option<(T, Turn)> {
        if let Some(line) = line {
            match self.behind.get_mut(&line).and_then(VecDeque::pop_front) {
                Some(next) => self.ready.push_back(next),
                None => {
                    self.behind.remove(&line);
                }
            }
        }
        let Some(Waiting { item, bytes, line }) = self.ready.pop_front() else {
            self.in_flight -= 1;
            return None;
        };
        self.waiting -= 1;
        self.bytes -= bytes;
        Some((item, Turn { line }))
    }

    /// Takes nothing any more. What waits goes as before.
    pub(in crate::shadow) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Takes out all that waits.
    pub(in crate::shadow) fn drain(&mut self) -> Vec<T> {
        (self.waiting, self.bytes) = (0, 0);
        let behind = self.behind.values_mut().flat_map(std::mem::take);
        self.ready.drain(..).chain(behind).map(|waiting| waiting.item).collect()
    }

    /// Whether a copy of so many bytes that comes on `flow` would be taken.
    pub(in crate::shadow) fn has_room(&self, flow: &FlowKey, bytes: usize) -> bool {
        self.has_place(flow) || self.can_wait(bytes)
    }

    fn has_place(&self, flow: &FlowKey) -> bool {
        let is_behind = self.line(flow).is_some_and(|line| self.behind.contains_key(&line));
        !is_behind && self.in_flight < self.limits.places
    }

    fn can_wait(&self, bytes: usize) -> bool {
        self.waiting < self.limits.waiting && bytes <= self.limits.bytes.saturating_sub(self.bytes)
    }

    fn line(&self, flow: &FlowKey) -> Option<FlowKey> {
        (self.order == Order::PerConnection).then_some(*flow)
    }

    /// Copies on their way.
    pub(in crate::shadow) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Copies that wait.
    pub(in crate::shadow) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes that wait.
    pub(in crate::shadow) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits or is on its way.
    pub(in crate::shadow) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.waiting == 0
    }
}

#[cfg(test)]
mod tests;
