//! What must come of the runs of a flow, by a model that is obviously correct: an array of the bytes that arrived.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::{
    traffic::{PlannedRun, Record, Request, What, planned, traffic},
    *,
};

/// What must come of the records.
#[derive(Debug, Default, PartialEq)]
struct Outcomes {
    delivered: Vec<(String, Vec<u8>)>,
    dropped: BTreeMap<DropReason, u64>,
    framed: u64,
    passed: u64,
}

/// The run that is followed.
struct Following<'a> {
    index: usize,
    run: &'a PlannedRun,
    arrived: Vec<bool>,
    followed: bool,
    confirmed: bool,
    touched: bool,
    /// Whether a record that arrived has its first byte.
    begun: bool,
    open: bool,
    /// Whether the kernel counted the first request.
    counted: bool,
    /// For each request that began, whether it is in the sample.
    began: Vec<bool>,
    ended: usize,
    /// A request that only waits for its confirmation.
    held: bool,
}

struct Model<'a> {
    runs: &'a [PlannedRun],
    stream: &'a [u8],
    draws: VecDeque<bool>,
    current: Option<Following<'a>>,
    outcomes: Outcomes,
}

impl<'a> Model<'a> {
    fn take(&mut self, record: Record) {
        match record.what {
            What::Bytes { start, end } => {
                if self.current.as_ref().is_none_or(|current| current.index < record.run) {
                    self.close(if record.lost { DropReason::RingFull } else { DropReason::Gap });
                    self.enter(record.run, record.mark);
                }
                let Some(current) = &mut self.current else { return };
                let is_late = record.run < current.index;
                let begins = !is_late && !current.touched && start <= current.run.start;
                current.touched |= !is_late;
                current.begun |= !is_late && start <= current.run.start;
                current.open |= !is_late && record.mark & marks::OPEN != 0;
                if record.lost && !begins {
                    self.overrun();
                }
                if !is_late {
                    self.arrive(start, end);
                }
            }
            What::Verdict { good } => {
                if self.current.as_ref().is_some_and(|current| current.index == record.run) {
                    self.verdict(good);
                }
                if record.lost {
                    self.overrun();
                }
            }
        }
    }

    fn enter(&mut self, index: usize, mark: u8) {
        let run = &self.runs[index];
        self.current = Some(Following {
            index,
            run,
            arrived: vec![false; run.end() - run.start],
            followed: true,
            confirmed: run.mark & marks::UNCONFIRMED == 0,
            touched: false,
            begun: false,
            open: false,
            counted: mark & marks::OPEN == 0,
            began: Vec::new(),
            ended: 0,
            held: false,
        });
    }

    fn arrive(&mut self, start: usize, end: usize) {
        let Some(current) = self.current.as_mut().filter(|current| current.followed) else { return };
        let run = current.run;
        let from = start.saturating_sub(run.start);
        current.arrived[from..end - run.start].fill(true);
        let known = run.start + current.arrived.iter().take_while(|arrived| **arrived).count();
        for (place, request) in run.requests.iter().enumerate() {
            // With its method and the space behind a request begins.
            if current.began.len() == place && known >= request.start + "POST ".len() {
                let is_first = place == 0;
                let drawn = if is_first {
                    run.mark & marks::SAMPLED != 0
                } else {
                    self.draws.pop_front().unwrap_or(true)
                };
                current.began.push(drawn);
                self.outcomes.framed += u64::from(!is_first || !current.counted);
                self.outcomes.passed += u64::from(!drawn);
            }
            if current.ended == place && known >= request.end {
                current.ended += 1;
                current.held = current.began[place] && !current.confirmed;
                if current.began[place] && current.confirmed {
                    self.outcomes.deliver(self.stream, request);
                }
            }
        }
    }

    fn verdict(&mut self, good: bool) {
        let Some(current) = self.current.as_mut().filter(|current| !current.confirmed && current.followed)
        else {
            return;
        };
        if !good {
            self.lose(DropReason::Unconfirmed);
        } else {
            current.confirmed = true;
            if std::mem::take(&mut current.held) {
                self.outcomes.deliver(self.stream, &current.run.requests[0]);
            }
        }
    }

    /// Records of the run may be lost: what isn't complete is.
    fn overrun(&mut self) {
        let ends = |current: &Following<'_>| !current.open && current.ended == 1;
        if self.current.as_ref().is_some_and(|current| !ends(current)) {
            self.lose(DropReason::RingFull);
        }
    }

    fn lose(&mut self, reason: DropReason) {
        let Some(current) = self.current.as_mut().filter(|current| current.followed) else { return };
        current.followed = false;
        if std::mem::take(&mut current.held) {
            self.outcomes.drop(DropReason::Unconfirmed);
        }
        // The kernel counts those of its own of which not even the beginning arrives.
        let is_ours = current.begun || !current.counted;
        let is_first_owed = is_ours && current.began.is_empty() && current.run.mark & marks::SAMPLED != 0;
        if is_first_owed {
            self.outcomes.framed += u64::from(!current.counted);
        }
        let is_open = current.began.get(current.ended).copied().unwrap_or(false);
        if is_first_owed || is_open {
            self.outcomes.drop(reason);
        }
    }

    /// The next run begins.
    fn close(&mut self, reason: DropReason) {
        self.lose(reason);
        self.current = None;
    }

    /// The capture ends.
    fn finish(mut self) -> Outcomes {
        if let Some(current) = self.current.as_mut().filter(|current| current.followed) {
            if std::mem::take(&mut current.held) {
                self.outcomes.drop(DropReason::Shutdown);
            }
            // Less than a method, and nothing behind a hole: no request.
            let in_order = current.arrived.is_sorted_by(|one, next| one >= next);
            if !(current.began.is_empty() && in_order && current.open) {
                self.lose(DropReason::Shutdown);
            }
        }
        self.outcomes
    }
}

impl Outcomes {
    fn deliver(&mut self, stream: &[u8], request: &Request) {
        let line = String::from_utf8_lossy(&stream[request.start..request.end]);
        let target = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        self.delivered.push((target, request.body.clone()));
    }

    fn drop(&mut self, reason: DropReason) {
        *self.dropped.entry(reason).or_default() += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Exactly those requests come out that are in the sample and of which every byte arrived, as they were; every
    /// other one of the sample has its reason.
    #[test]
    fn runs_come_out_as_the_model_says(
        plan in vec(planned(), 1..8),
        draws in vec(any::<bool>(), 0..8),
        first in prop_oneof![Just(FIRST), any::<u32>(), (0..300_u32).prop_map(|before| u32::MAX - before)],
    ) {
        let (stream, runs, records) = traffic(&plan);
        let mut model = Model {
            runs: &runs,
            stream: &stream,
            draws: draws.iter().copied().collect(),
            current: None,
            outcomes: Outcomes::default(),
        };
        let mut rig = Rig::scripted(&draws);
        let offset = |place: usize| first.wrapping_add(u32::try_from(place).unwrap());
        let mut client = Client::at(1, first);
        for &record in &records {
            model.take(record);
            let run = &runs[record.run];
            let lost = if record.lost { marks::LOST } else { 0 };
            client.run = Run { start: offset(run.start), mark: record.mark | lost };
            match record.what {
                What::Bytes { start, end } => {
                    client.next = offset(start);
                    rig.take(client.send(&stream[start..end]));
                }
                What::Verdict { .. } => rig.take(client.news(client.run.mark)),
            }
        }
        // What the kernel is told is true.
        for Note { resync, .. } in rig.pipeline.take_notes() {
            let run = runs.iter().find(|run| offset(run.start) == resync.run && run.mark & marks::OPEN != 0).unwrap();
            let is_end = run.requests.iter().any(|request| offset(request.end) == resync.next);
            prop_assert!(is_end || resync.what == Resync::LOST, "{resync:?}");
        }
        let delivered = rig.delivered();
        rig.finish();
        let stats = rig.stats();
        let dropped = rig.drops().into_iter().collect();
        let found = Outcomes { delivered, dropped, framed: stats.requests_framed, passed: stats.requests_passed };
        prop_assert_eq!(found, model.finish());
    }
}
