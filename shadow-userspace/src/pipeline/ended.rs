//! Runs with which a flow ended a moment ago: what is sent again of them is no request of another flow.
//!
//! A client that sends its FIN right behind a request sends both again if they were lost on the way to the service, and
//! one whose upload the service refuses with a reset has more of it on the way. By then the flow is forgotten, and nothing
//! else would tell the copy from the first. Bounded (invariant 4): of too many the oldest are forgotten.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use shadow_common::FlowKey;

/// So long a run is remembered: some retransmissions of doubled distance.
const LINGER_NS: u64 = Duration::from_secs(10).as_nanos() as u64;

/// Runs remembered at most.
const MAX_RUNS: usize = 16_384;

/// A run by its flow and its first sequence number.
type EndedRun = (FlowKey, u32);

#[derive(Debug, Default)]
pub(super) struct Ended {
    runs: HashSet<EndedRun>,
    /// Them and when they ended, the earliest first.
    order: VecDeque<(u64, EndedRun)>,
}

impl Ended {
    pub(super) fn add(&mut self, flow: FlowKey, start: u32, now_ns: u64) {
        let is_over = |&mut (ended_ns, _): &mut (u64, _)| ended_ns.saturating_add(LINGER_NS) <= now_ns;
        while let Some((_, run)) = self.order.pop_front_if(is_over) {
            self.runs.remove(&run);
        }
        if self.order.len() == MAX_RUNS
            && let Some((_, run)) = self.order.pop_front()
        {
            self.runs.remove(&run);
        }
        if self.runs.insert((flow, start)) {
            self.order.push_back((now_ns, (flow, start)));
        }
    }

    pub(super) fn has(&self, flow: FlowKey, start: u32) -> bool {
        !self.runs.is_empty() && self.runs.contains(&(flow, start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_remembered_for_a_while_and_in_a_bounded_number() {
        let (mut ended, flow) = (Ended::default(), FlowKey::default());
        ended.add(flow, 1, 0);
        ended.add(flow, 1, 5);
        ended.add(flow, 2, LINGER_NS - 1);
        assert!(ended.has(flow, 1) && ended.has(flow, 2) && !ended.has(flow, 3));
        assert!(!ended.has(FlowKey { client_port: 1, ..flow }, 1));
        ended.add(flow, 3, LINGER_NS);
        assert!(!ended.has(flow, 1) && ended.has(flow, 2) && ended.has(flow, 3));
        for start in 10..10 + 20_000 {
            ended.add(flow, start, LINGER_NS);
        }
        assert_eq!((ended.runs.len(), ended.order.len()), (MAX_RUNS, MAX_RUNS));
        assert!(!ended.has(flow, 2) && ended.has(flow, 20_009));
    }
}
