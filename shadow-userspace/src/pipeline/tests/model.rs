//! A random flow, cut into runs as the kernel may cut it, on a bad network and with a ring that loses records; and a
//! model of what must come of it that is obviously correct: it keeps an array of the bytes that arrived.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

/// What the kernel makes of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// It knows its end, and it is not in the sample.
    Skipped,
    /// It knows its end.
    Framed,
    /// It took its start in mid-life of the flow.
    Guessed,
    /// It doesn't know its end.
    Opens { sampled: bool },
    /// It comes behind one of which it doesn't know the end.
    Follows,
}

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Luck {
    Arrives,
    /// Nobody notices that it is lost.
    Lost,
    /// The kernel knows that the ring had no room for it.
    Overrun,
}

#[derive(Clone, Debug)]
struct Planned {
    body: String,
    chunked: bool,
    fate: Fate,
    cuts: Vec<Index>,
    /// What becomes of the segments, and how far each is sent behind its place.
    luck: Vec<(Luck, usize)>,
    /// How many bytes the first segment begins before the run.
    before: usize,
    /// A segment that is sent once more, and where.
    again: Option<(Index, Index)>,
    /// Whether its start is confirmed or refuted, and behind which segment.
    verdict: Option<(bool, Index)>,
    /// Whether an open run is opened only where its first request ends.
    opened_late: bool,
}

fn planned() -> impl Strategy<Value = Planned> {
    let body = prop_oneof![".{0,30}", Just(get("/smuggled")), Just(String::new())];
    let fate = prop_oneof![
        2 => Just(Fate::Skipped),
        3 => Just(Fate::Framed),
        2 => Just(Fate::Guessed),
        2 => any::<bool>().prop_map(|sampled| Fate::Opens { sampled }),
        4 => Just(Fate::Follows),
    ];
    let luck = prop_oneof![12 => Just(Luck::Arrives), 1 => Just(Luck::Lost), 1 => Just(Luck::Overrun)];
    let behind = prop_oneof![4 => Just(0), 1 => 0..3_usize];
    (
        (body, any::<bool>(), fate),
        vec(any::<Index>(), 0..4),
        vec((luck, behind), 8),
        prop_oneof![3 => Just(0), 1 => 0..9_usize],
        proptest::option::weighted(0.3, any::<(Index, Index)>()),
        proptest::option::weighted(0.8, (prop::bool::weighted(0.7), any::<Index>())),
        any::<bool>(),
    )
        .prop_map(|((body, chunked, fate), cuts, luck, before, again, verdict, opened_late)| Planned {
            body,
            chunked,
            fate,
            cuts,
            luck,
            before,
            again,
            verdict,
            opened_late,
        })
}

/// One request on the wire.
#[derive(Debug)]
struct Request {
    start: usize,
    end: usize,
    body: Vec<u8>,
}

/// A run, with what the kernel says of it.
#[derive(Debug)]
struct PlannedRun {
    start: usize,
    mark: u8,
    requests: Vec<Request>,
}

impl PlannedRun {
    fn end(&self) -> usize {
        self.requests.last().map_or(self.start, |request| request.end)
    }
}

/// A record that arrives: of which run, the bytes or the verdict, and whether others were lost before it.
#[derive(Clone, Copy, Debug)]
struct Record {
    run: usize,
    mark: u8,
    what: What,
    lost: bool,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Bytes { start: usize, end: usize },
    Verdict { good: bool },
}

/// The stream, its runs and the records that arrive of them.
fn traffic(plan: &[Planned]) -> (Vec<u8>, Vec<PlannedRun>, Vec<Record>) {
    let (mut stream, mut runs, mut network): (_, Vec<PlannedRun>, Vec<_>) =
        (Vec::new(), Vec::new(), Vec::new());
    let mut is_open = false;
    for (index, planned) in plan.iter().enumerate() {
        let fate = match planned.fate {
            Fate::Follows if !is_open => Fate::Opens { sampled: true },
            fate => fate,
        };
        is_open = matches!(fate, Fate::Opens { .. } | Fate::Follows);
        let (body, start) = (&planned.body, stream.len());
        let lines = match (planned.chunked && is_open, body.len()) {
            (true, 0) => post(CHUNKED, "0\r\n\r\n"),
            (true, length) => post(CHUNKED, &format!("{length:x}\r\n{body}\r\n0\r\n\r\n")),
            (false, _) => sized(body),
        };
        stream.extend(lines.replacen("/post", &format!("/{index}"), 1).into_bytes());
        let request = Request { start, end: stream.len(), body: body.clone().into_bytes() };
        match fate {
            Fate::Skipped => {}
            Fate::Follows => runs.last_mut().unwrap().requests.push(request),
            Fate::Framed | Fate::Guessed | Fate::Opens { .. } => {
                let mark = match fate {
                    Fate::Opens { sampled: false } => PASSED,
                    Fate::Opens { sampled: true } => OPENED,
                    Fate::Guessed => FRAMED | marks::UNCONFIRMED,
                    _ => FRAMED,
                };
                runs.push(PlannedRun { start, mark, requests: vec![request] });
                network.push(planned);
            }
        }
    }
    let records = records(&runs, &network);
    (stream, runs, records)
}

/// What arrives of the runs, in order.
fn records(runs: &[PlannedRun], network: &[&Planned]) -> Vec<Record> {
    let mut sent: Vec<(Luck, Record)> = Vec::new();
    for (run, (planned_run, planned)) in runs.iter().zip(network).enumerate() {
        let (length, mark) = (planned_run.end() - planned_run.start, planned_run.mark);
        let mut cuts: Vec<usize> =
            planned.cuts.iter().map(|cut| planned_run.start + cut.index(length)).collect();
        cuts.extend([planned_run.start, planned_run.end()]);
        cuts.sort_unstable();
        cuts.dedup();
        let piece = |(pair, (luck, behind)): (&[usize], &(Luck, usize))| {
            let (mut start, end) = (pair[0], pair[1]);
            if start == planned_run.start {
                start -= planned.before.min(start);
            }
            let opens = planned.opened_late && mark == OPENED && end <= planned_run.requests[0].end;
            let mark = if opens { FRAMED } else { mark };
            (*behind, (*luck, Record { run, mark, what: What::Bytes { start, end }, lost: false }))
        };
        let mut own: Vec<_> = cuts.windows(2).zip(&planned.luck).map(piece).enumerate().collect();
        own.sort_by_key(|(place, (behind, _))| place + behind);
        let mut own: Vec<_> = own.into_iter().map(|(_, (_, piece))| piece).collect();
        if let (Some((good, place)), Fate::Guessed) = (planned.verdict, planned.fate) {
            let mark = if good { marks::CONFIRMED } else { marks::REFUTED };
            let verdict = Record { run, mark, what: What::Verdict { good }, lost: false };
            own.insert(place.index(own.len()) + 1, (Luck::Arrives, verdict));
        }
        sent.append(&mut own);
    }
    for planned in network {
        if let Some((which, place)) = planned.again {
            let (_, again) = sent[which.index(sent.len())];
            let place = place.index(sent.len() + 1);
            // A copy comes after the first, at any time.
            let before =
                sent[..place].iter().any(|(_, record)| record.run > again.run || is_same(record, &again));
            if before {
                sent.insert(place, (Luck::Arrives, again));
            }
        }
    }
    let mut lost = false;
    let arrive = |(luck, record): (Luck, Record)| match luck {
        Luck::Arrives => Some(Record { lost: std::mem::take(&mut lost), ..record }),
        Luck::Lost => None,
        Luck::Overrun => {
            lost = true;
            None
        }
    };
    sent.into_iter().filter_map(arrive).collect()
}

fn is_same(one: &Record, other: &Record) -> bool {
    matches!(
        (one.what, other.what),
        (What::Bytes { start, .. }, What::Bytes { start: same, .. }) if start == same
    )
}

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
        let is_first_owed = current.began.is_empty() && current.run.mark & marks::SAMPLED != 0;
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
