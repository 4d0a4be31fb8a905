//! The flow table: flows by key, and by when they are next due for a look.
//!
//! Invariant 4: never more flows than the limit. Flows lie in slots, so that a sweep can stop anywhere and go on there
//! at the next call; a slot that isn't due costs the sweep one comparison.

use std::{collections::HashMap, time::Duration};

use foldhash::fast::RandomState;
use shadow_common::FlowKey;

use super::{PipelineLimits, flow::Flow};

/// A sweep looks at every slot about once in this time.
const SWEEP_PERIOD_NS: u64 = Duration::from_secs(1).as_nanos() as u64;

/// The fewest and the most slots that one call looks at.
const QUOTA: (usize, usize) = (64, 4096);

#[derive(Debug)]
pub(super) struct FlowTable<A> {
    max_flows: usize,
    /// By a hash with a random seed: the keys are the clients' to choose, and it is computed for each segment.
    index: HashMap<FlowKey, usize, RandomState>,
    slots: Vec<Slot<A>>,
    free: Vec<usize>,
    cursor: usize,
    swept_ns: u64,
}

#[derive(Debug)]
struct Slot<A> {
    /// When to look at the flow.
    due_ns: u64,
    flow: Option<Box<Flow<A>>>,
}

impl<A> FlowTable<A> {
    pub(super) fn new(max_flows: usize) -> Self {
        Self {
            max_flows,
            index: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            cursor: 0,
            swept_ns: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn find(&self, key: &FlowKey) -> Option<usize> {
        self.index.get(key).copied()
    }

    pub(super) fn get_mut(&mut self, id: usize) -> Option<&mut Flow<A>> {
        self.slots.get_mut(id)?.flow.as_deref_mut()
    }

    /// Adds a flow whose key isn't there, if there is room.
    pub(super) fn insert(&mut self, key: FlowKey, flow: impl FnOnce() -> Flow<A>) -> Option<usize> {
        if self.index.len() >= self.max_flows {
            return None;
        }
        let slot = Slot { due_ns: 0, flow: Some(Box::new(flow())) };
        let id = self.free.pop().unwrap_or(self.slots.len());
        match self.slots.get_mut(id) {
            Some(free) => *free = slot,
            None => self.slots.push(slot),
        }
        self.index.insert(key, id);
        Some(id)
    }

    pub(super) fn remove(&mut self, id: usize) -> Option<Box<Flow<A>>> {
        let slot = self.slots.get_mut(id)?;
        slot.due_ns = u64::MAX;
        let flow = slot.flow.take()?;
        self.index.remove(flow.key());
        self.free.push(id);
        Some(flow)
    }

    /// Takes every flow out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Box<Flow<A>>> {
        self.index.clear();
        self.free.clear();
        self.cursor = 0;
        std::mem::take(&mut self.slots).into_iter().filter_map(|slot| slot.flow)
    }

    /// Notes when the flow is due, after it changed.
    pub(super) fn update_due(&mut self, id: usize, limits: &PipelineLimits) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.due_ns = slot.flow.as_ref().map_or(u64::MAX, |flow| flow.due_ns(limits));
        }
    }

    /// How many slots to look at now, so that a sweep takes about [`SWEEP_PERIOD_NS`].
    pub(super) fn quota(&mut self, now_ns: u64) -> usize {
        let elapsed = now_ns.saturating_sub(self.swept_ns).min(SWEEP_PERIOD_NS);
        self.swept_ns = self.swept_ns.max(now_ns);
        let share = (self.slots.len() as u64).saturating_mul(elapsed) / SWEEP_PERIOD_NS;
        usize::try_from(share).unwrap_or(usize::MAX).clamp(QUOTA.0, QUOTA.1).min(self.slots.len())
    }

    /// The next flow that is due, looking at no more than `quota` slots.
    pub(super) fn next_due(&mut self, now_ns: u64, quota: &mut usize) -> Option<usize> {
        while *quota > 0 {
            *quota -= 1;
            let id = if self.cursor < self.slots.len() { self.cursor } else { 0 };
            self.cursor = id + 1;
            if self.slots.get(id).is_some_and(|slot| slot.due_ns <= now_ns) {
                return Some(id);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use shadow_common::{Direction, tcp_flags::ACK};

    use super::*;
    use crate::{budget::MemoryBudget, capture::Segment, pipeline::Assembly};

    fn new_flow(record: &Segment<'_>) -> Flow<Assembly<(), ()>> {
        Flow::new(record, false, &PipelineLimits::default(), &MemoryBudget::new(0))
    }

    fn insert(table: &mut FlowTable<Assembly<(), ()>>, client_port: u16) -> Option<usize> {
        let flow = FlowKey { client_port, ..FlowKey::default() };
        let direction = Direction::ToService;
        let (seq, ack, flags, timestamp_ns, payload_len) = (0, 0, ACK, 0, 0);
        let record = Segment {
            flow,
            direction,
            seq,
            ack,
            flags,
            timestamp_ns,
            payload_len,
            run: crate::capture::Run::default(),
            payload: &[],
        };
        table.insert(flow, || new_flow(&record))
    }

    #[test]
    fn slots_are_used_again() {
        let mut table = FlowTable::new(3);
        let ids: Vec<_> = (0..4).map(|port| insert(&mut table, port)).collect();
        assert_eq!(ids, [Some(0), Some(1), Some(2), None]);
        for port in 4..100 {
            let removed = table.remove(1).unwrap();
            assert!(table.find(removed.key()).is_none() && table.get_mut(1).is_none());
            assert_eq!((insert(&mut table, port), table.len(), table.slots.len()), (Some(1), 3, 3));
            assert_eq!(table.find(&FlowKey { client_port: port, ..FlowKey::default() }), Some(1));
        }
        assert!(table.remove(7).is_none());
        assert_eq!((table.drain().count(), table.len()), (3, 0));
        assert_eq!(insert(&mut table, 1), Some(0));
    }

    #[test]
    fn a_sweep_goes_on_where_it_stopped() {
        let mut table = FlowTable::new(200);
        for port in 0..200 {
            let id = insert(&mut table, port).unwrap();
            table.update_due(id, &PipelineLimits::default());
        }
        let due = PipelineLimits::default().idle_timeout.as_nanos() as u64;
        assert_eq!(table.next_due(due - 1, &mut 1000), None);
        let mut quota = 150;
        let first: Vec<_> = std::iter::from_fn(|| table.next_due(due, &mut quota)).collect();
        quota = 50;
        let second: Vec<_> = std::iter::from_fn(|| table.next_due(due, &mut quota)).collect();
        assert_eq!([first, second].concat(), (0..200).collect::<Vec<_>>());
    }
}
