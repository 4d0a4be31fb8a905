//! Random traffic of a flow: its requests, cut into runs as the kernel may cut them, on a bad network and with a ring that
//! loses records.

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
pub(super) struct Planned {
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

pub(super) fn planned() -> impl Strategy<Value = Planned> {
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
pub(super) struct Request {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) body: Vec<u8>,
}

/// A run, with what the kernel says of it.
#[derive(Debug)]
pub(super) struct PlannedRun {
    pub(super) start: usize,
    pub(super) mark: u8,
    pub(super) requests: Vec<Request>,
}

impl PlannedRun {
    pub(super) fn end(&self) -> usize {
        self.requests.last().map_or(self.start, |request| request.end)
    }
}

/// A record that arrives: of which run, the bytes or the verdict, and whether others were lost before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) run: usize,
    pub(super) mark: u8,
    pub(super) what: What,
    pub(super) lost: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Bytes { start: usize, end: usize },
    Verdict { good: bool },
}

/// The stream, its runs and the records that arrive of them.
pub(super) fn traffic(plan: &[Planned]) -> (Vec<u8>, Vec<PlannedRun>, Vec<Record>) {
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
