//! Each named case as a small picture, then random streams against an obviously correct map of bytes.

use proptest::{collection::vec, prelude::*, sample::Index};
use shadow_common::{
    Direction, FlowKey,
    tcp_flags::{ACK, FIN, RST, SYN},
};

use super::*;

/// The sequence number of the SYN in the pictures: the first wrap is a few bytes into the stream.
const ISN: u32 = u32::MAX - 3;

#[derive(Clone, Copy)]
struct Piece<'a> {
    seq: u32,
    flags: u8,
    bytes: &'a [u8],
    /// Bytes that the capture cut off.
    cut: u32,
}

/// A data segment whose first byte has this offset in the stream.
fn at(offset: i32, bytes: &str) -> Piece<'_> {
    let seq = ISN.wrapping_add(1).wrapping_add_signed(offset);
    Piece { seq, flags: ACK, bytes: bytes.as_bytes(), cut: 0 }
}

fn syn(bytes: &str) -> Piece<'_> {
    Piece { seq: ISN, flags: SYN, bytes: bytes.as_bytes(), cut: 0 }
}

impl Piece<'_> {
    fn fin(self) -> Self {
        Self { flags: self.flags | FIN, ..self }
    }

    fn rst(self) -> Self {
        Self { flags: self.flags | RST, ..self }
    }

    fn cut(self, cut: u32) -> Self {
        Self { cut, ..self }
    }

    /// Pushes it into `into`, of which every message is complete.
    fn push(&self, into: &mut Reassembler, seen: &mut String) -> Placement {
        self.push_as(Standing::Settled, into, seen)
    }

    fn push_as(&self, standing: Standing, into: &mut Reassembler, seen: &mut String) -> Placement {
        let segment = Segment {
            flow: FlowKey::default(),
            direction: Direction::ToService,
            seq: self.seq,
            ack: 0,
            flags: self.flags,
            timestamp_ns: 0,
            run: crate::capture::Run::default(),
            payload_len: u32::try_from(self.bytes.len()).unwrap() + self.cut,
            payload: self.bytes,
        };
        into.push(&segment, show(seen, standing))
    }
}

/// Adds events to `seen`; bytes belong to a message of this standing.
fn show(seen: &mut String, standing: Standing) -> impl FnMut(StreamEvent<'_>) -> Standing {
    move |event| {
        seen.push_str(&picture(event));
        standing
    }
}

fn picture(event: StreamEvent<'_>) -> String {
    match event {
        StreamEvent::Data(bytes) => {
            assert!(!bytes.is_empty());
            String::from_utf8_lossy(bytes).into_owned()
        }
        StreamEvent::Gap { bytes } => format!("<{bytes}>"),
        StreamEvent::Conflict => "<conflict>".into(),
        StreamEvent::End(End::Fin) => "<fin>".into(),
        StreamEvent::End(End::Rst) => "<rst>".into(),
    }
}

/// Pushes the pieces; a bar stands where one push ends and the next begins.
fn run(pieces: &[Piece<'_>]) -> String {
    run_within(ReassemblyLimits::default(), pieces)
}

fn run_within(limits: ReassemblyLimits, pieces: &[Piece<'_>]) -> String {
    let mut reassembler = Reassembler::new(Seq(ISN) + 1, limits);
    let mut seen = String::new();
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 {
            seen.push('|');
        }
        piece.push(&mut reassembler, &mut seen);
    }
    seen
}

/// The placement of the last piece.
fn placement(pieces: &[Piece<'_>]) -> Placement {
    let mut reassembler = Reassembler::new(Seq(ISN) + 1, ReassemblyLimits::default());
    pieces.iter().map(|piece| piece.push(&mut reassembler, &mut String::new())).last().unwrap()
}

#[test]
fn in_order_data_goes_through_across_the_wrap() {
    assert_eq!(run(&[syn(""), at(0, "abc"), at(3, "defg"), at(7, "h").fin()]), "|abc|defg|h<fin>");
}

#[test]
fn data_with_the_syn_begins_one_later() {
    assert_eq!(run(&[syn("abc"), at(3, "def")]), "abc|def");
    // The server refused the data in the SYN, so that it comes again.
    assert_eq!(run(&[syn("abc"), at(0, "abc"), at(3, "def")]), "abc||def");
    // The SYN itself comes again.
    assert_eq!(run(&[syn("abc"), syn("abc"), syn(""), at(3, "def")]), "abc|||def");
}

#[test]
fn reordered_segments_wait_for_the_hole() {
    assert_eq!(run(&[at(3, "def"), at(6, "gh"), at(0, "abc"), at(8, "i")]), "||abcdefgh|i");
    assert_eq!(run(&[at(6, "gh"), at(3, "def"), at(0, "abc")]), "||abcdefgh");
    assert_eq!(run(&[at(6, "gh"), at(0, "abc"), at(3, "def")]), "|abc|defgh");
}

#[test]
fn what_comes_again_is_delivered_once() {
    assert_eq!(run(&[at(0, "abc"), at(0, "abc"), at(1, "b"), at(3, "d")]), "abc|||d");
    // The first copy wins, also if the second is another; nobody can compare any more.
    assert_eq!(run(&[at(0, "abc"), at(0, "xyz"), at(3, "d")]), "abc||d");
    assert_eq!(run(&[at(3, "def"), at(3, "def"), at(0, "abc")]), "||abcdef");
}

#[test]
fn overlaps_are_cut() {
    assert_eq!(run(&[at(0, "abc"), at(1, "bcde")]), "abc|de");
    assert_eq!(run(&[at(4, "ef"), at(0, "abcdefgh")]), "|abcdefgh");
    assert_eq!(run(&[at(4, "efg"), at(3, "de"), at(6, "ghi"), at(0, "abc")]), "|||abcdefghi");
    assert_eq!(run(&[at(2, "c"), at(4, "e"), at(6, "g"), at(1, "bcdefgh"), at(0, "a")]), "||||abcdefgh");
}

#[test]
fn overlaps_that_differ_are_a_conflict() {
    assert_eq!(run(&[at(3, "def"), at(3, "deX")]), "|<conflict>");
    assert_eq!(run(&[at(3, "def"), at(0, "abcX")]), "|<conflict>");
    assert_eq!(run(&[at(3, "def"), at(2, "cXe"), at(0, "abc")]), "|<conflict>|");
    assert_eq!(run(&[at(3, "d"), at(5, "f"), at(2, "cdeX")]), "||<conflict>");
}

#[test]
fn keep_alive_probes_are_nothing_new() {
    assert_eq!(run(&[at(0, "abc"), at(2, ""), at(2, "\0"), at(3, "d")]), "abc|||d");
    assert_eq!(run(&[syn(""), at(-1, ""), at(-1, "\0"), at(0, "a")]), "|||a");
    assert_eq!(placement(&[at(0, "abc"), at(2, "\0")]), Placement::Repeated);
}

#[test]
fn fin_waits_for_what_comes_before_it() {
    assert_eq!(run(&[at(3, "").fin(), at(0, "abc")]), "|abc<fin>");
    assert_eq!(run(&[at(3, "de").fin(), at(0, "abc")]), "|abcde<fin>");
    assert_eq!(run(&[at(0, "abc"), at(3, "").fin(), at(3, "").fin()]), "abc|<fin>|");
}

#[test]
fn data_beyond_the_fin_is_ignored() {
    assert_eq!(run(&[at(3, "").fin(), at(0, "abcdef")]), "|abc<fin>");
    assert_eq!(run(&[at(2, "cdef"), at(3, "").fin(), at(0, "ab")]), "||abc<fin>");
    assert_eq!(run(&[at(3, "def"), at(3, "").fin(), at(0, "abc")]), "||abc<fin>");
    assert_eq!(run(&[at(3, "").fin(), at(3, "x"), at(5, "x"), at(0, "abc")]), "|||abc<fin>");
    assert_eq!(run(&[at(0, "abc").fin(), at(3, "def")]), "abc<fin>|");
    assert_eq!(placement(&[at(0, "abc").fin(), at(3, "def")]), Placement::AfterEnd);
    // A FIN behind delivered data is no end.
    assert_eq!(run(&[at(0, "abc"), at(1, "").fin(), at(3, "d")]), "abc||d");
}

#[test]
fn reset_ends_at_once_unless_it_is_a_late_one() {
    assert_eq!(run(&[at(0, "abc"), at(3, "").rst(), at(3, "d")]), "abc|<rst>|");
    assert_eq!(run(&[at(3, "d"), at(4, "").rst()]), "|<rst>");
    assert_eq!(run(&[at(0, "abc"), at(1, "").rst(), at(3, "d")]), "abc||d");
}

#[test]
fn a_segment_cut_short_is_a_gap() {
    assert_eq!(run(&[at(0, "abc").cut(2), at(5, "f")]), "abc<2>|");
    assert_eq!(run(&[at(0, "").cut(2)]), "<2>");
    // What was cut off is there already.
    assert_eq!(run(&[at(3, "de"), at(0, "abc").cut(2), at(5, "f")]), "|abcde|f");
    assert_eq!(run(&[at(4, "ef"), at(0, "abc").cut(3)]), "|abc<1>");
    assert_eq!(run(&[at(0, "abc"), at(0, "a").cut(2), at(3, "d")]), "abc||d");
    assert_eq!(run(&[at(0, "abc"), at(0, "a").cut(3), at(3, "d")]), "abc|<1>|");
    // The end is known, but not all of what comes before.
    assert_eq!(run(&[at(0, "abc").cut(2).fin()]), "abc<2>");
    // Ahead of a hole it is another hole.
    assert_eq!(run(&[at(3, "d").cut(2), at(0, "abc"), at(4, "ef")]), "|abcd|ef");
}

#[test]
fn sequence_numbers_outside_any_window_are_ignored() {
    for offset in [1 << 30, i32::MAX, i32::MIN, -(1 << 30)] {
        let pieces = [at(0, ""), at(offset, "x"), at(offset, "").rst(), at(offset, "").fin(), at(0, "abc")];
        assert_eq!(run(&pieces), "||||abc", "{offset}");
        assert_eq!(placement(&pieces[..2]), Placement::OutOfWindow, "{offset}");
    }
    assert_eq!(placement(&[at(1 << 20, "x")]), Placement::Ahead);
    assert_eq!(placement(&[at(0, "x").cut(u32::MAX - 1)]), Placement::OutOfWindow);
}

#[test]
fn limits_end_the_wait() {
    let bytes = ReassemblyLimits { max_bytes: 4, max_ranges: 10, history: 0 };
    assert_eq!(run_within(bytes, &[at(1, "bc"), at(3, "de"), at(1, "bcde"), at(0, "a")]), "|||abcde");
    assert_eq!(run_within(bytes, &[at(1, "bc"), at(3, "def"), at(0, "a")]), "|<1>|");
    // In order there is nothing to store, whatever its length.
    assert_eq!(run_within(bytes, &[at(1, "bc"), at(0, "abcdefghi")]), "|abcdefghi");
    let ranges = ReassemblyLimits { max_bytes: 100, max_ranges: 2, history: 0 };
    assert_eq!(run_within(ranges, &[at(1, "b"), at(3, "d"), at(2, "c"), at(5, "f")]), "||<1>|");
}

/// What the owner does between segments.
enum Then {
    Skip,
    Acknowledged(i32),
    GiveUp,
}
use Then::{Acknowledged, GiveUp, Skip};

impl Then {
    fn act(&self, on: &mut Reassembler, seen: &mut String) {
        let on_event = show(seen, Standing::Settled);
        match self {
            Skip => on.skip_gap(on_event),
            Acknowledged(offset) => {
                on.acknowledged(Seq(ISN.wrapping_add(1).wrapping_add_signed(*offset)), on_event);
            }
            GiveUp => on.give_up(on_event),
        }
    }
}

/// Pushes the pieces, and then acts.
fn run_then(limits: ReassemblyLimits, pieces: &[Piece<'_>], acts: &[Then]) -> String {
    let mut reassembler = Reassembler::new(Seq(ISN) + 1, limits);
    let mut seen = String::new();
    pieces.iter().for_each(|piece| _ = piece.push(&mut reassembler, &mut seen));
    for act in acts {
        seen.push('|');
        act.act(&mut reassembler, &mut seen);
    }
    seen
}

#[test]
fn gaps_can_be_skipped() {
    for (pieces, acts, seen) in [
        (&[at(0, "abc").cut(2), at(5, "f")][..], &[Skip, Skip][..], "abc<2>|f|"),
        // What comes of it too late is ignored.
        (&[at(0, "abc").cut(2), at(3, "def")], &[Skip], "abc<2>|f"),
        // The one hole after the other.
        (&[at(0, "a"), at(2, "c"), at(5, "f")], &[GiveUp, GiveUp, Skip, GiveUp, Skip], "a|<1>||c|<2>|f"),
        (&[at(0, "a"), at(2, "c"), at(5, "f")], &[Acknowledged(6), Skip, Skip], "a|<1>|c<2>|f"),
        // The end lies behind a hole.
        (&[at(1, "b").fin()], &[GiveUp, Skip, Skip], "|<1>|b<fin>|"),
        (&[at(2, "").fin()], &[GiveUp, Skip], "|<2>|<fin>"),
        (&[at(4, "e"), at(2, "").fin()], &[GiveUp, Skip], "|<2>|<fin>"),
        (&[at(0, "ab").cut(2).fin()], &[Skip], "ab<2>|<fin>"),
        // Where nothing is missing, nothing is skipped.
        (&[at(0, "a")], &[Skip, GiveUp], "a||"),
        (&[at(0, "a").fin()], &[Skip, GiveUp, Acknowledged(9)], "a<fin>|||"),
        (&[at(0, "a"), at(2, "c")], &[Skip], "a|"),
        // Stored copies are compared at a gap too.
        (&[at(0, "a").cut(2), at(3, "d"), at(3, "X")], &[Skip], "a<2><conflict>|"),
        (&[at(0, "a").cut(2), at(3, "").rst()], &[Skip], "a<2><rst>|"),
    ] {
        assert_eq!(run_then(ReassemblyLimits::default(), pieces, acts), seen);
    }
}

#[test]
fn limits_hold_at_a_gap_and_behind_it() {
    let limits = ReassemblyLimits { max_bytes: 4, max_ranges: 10, history: 0 };
    let many = [at(1, "b"), at(3, "defg"), at(7, "hijk"), at(11, "l")];
    assert_eq!(run_then(limits, &many, &[Skip, GiveUp, Skip]), "<1>|b|<1>|defg");
    assert_eq!(run_then(limits, &[at(1, "b"), at(3, "defgh")], &[Skip, Skip]), "<1>|b<1>|defgh");
    let ranges = ReassemblyLimits { max_bytes: 100, max_ranges: 2, history: 0 };
    let many = [at(1, "b"), at(3, "d"), at(5, "f"), at(7, "h"), at(9, "j")];
    // The last two come too late.
    assert_eq!(run_then(ranges, &many, &[Skip, GiveUp, Skip, GiveUp, Skip, GiveUp]), "<1>|b|<1>|d|<1>|f|");
}

#[test]
fn what_the_receiver_has_and_the_capture_has_not_is_a_gap() {
    for (pieces, acts, seen) in [
        (&[at(0, "abc")][..], &[Acknowledged(3), Acknowledged(2), Acknowledged(5), Skip][..], "abc|||<2>|"),
        (&[at(0, "abc"), at(4, "e")], &[Acknowledged(3), Acknowledged(5), Skip], "abc||<1>|e"),
        (&[at(0, "abc"), at(4, "e")], &[Acknowledged(4), Skip], "abc|<1>|e"),
        // A second gap is told after the first.
        (&[at(0, "abc").cut(1)], &[Acknowledged(9), Skip, Acknowledged(9), Skip], "abc<1>|||<5>|"),
        // The FIN takes a number.
        (&[at(0, "abc").fin()], &[Acknowledged(4)], "abc<fin>|"),
        (&[at(2, "c").fin()], &[Acknowledged(4), Skip], "|<2>|c<fin>"),
        (&[at(3, "").fin()], &[Acknowledged(4), Skip], "|<3>|<fin>"),
        // No window is that large.
        (&[at(0, "a")], &[Acknowledged(2 + (1 << 30)), Acknowledged(i32::MIN), Acknowledged(-9)], "a|||"),
    ] {
        assert_eq!(run_then(ReassemblyLimits::default(), pieces, acts), seen);
    }
}

/// Like [`run`], of a message that goes on.
fn run_open(history: usize, pieces: &[Piece<'_>]) -> String {
    let limits = ReassemblyLimits { history, ..ReassemblyLimits::default() };
    let mut reassembler = Reassembler::new(Seq(ISN) + 1, limits);
    let mut seen = String::new();
    pieces.iter().for_each(|piece| _ = piece.push_as(Standing::Open, &mut reassembler, &mut seen));
    seen
}

#[test]
fn what_comes_again_in_an_open_message_is_compared() {
    for (pieces, seen) in [
        (&[at(0, "abc"), at(0, "abc"), at(1, "bcd")][..], "abcd"),
        (&[at(0, "abc"), at(0, "Xbc"), at(3, "d")], "abc<conflict>"),
        (&[at(0, "abc"), at(2, "Xd"), at(3, "d")], "abc<conflict>"),
        (&[at(3, "def"), at(0, "abc"), at(2, "cdX")], "abcdef<conflict>"),
        (&[at(0, "abc"), at(0, "abX").cut(4)], "abc<conflict>"),
        // Older than what is kept.
        (&[at(0, "abcdef"), at(0, "XXcd"), at(6, "g")], "abcdefg"),
        (&[at(0, "abcdef"), at(0, "XXX"), at(6, "g")], "abcdef<conflict>"),
        // A keep-alive probe with a byte in it.
        (&[at(0, "abc"), at(2, "\0"), at(3, "d")], "abcd"),
        (&[at(0, "abc"), at(1, "\0"), at(3, "d")], "abc<conflict>"),
        (&[at(0, "abc"), at(2, "\0d"), at(3, "d")], "abc<conflict>"),
        // Nothing is compared before a gap.
        (&[at(0, "abc").cut(2), at(0, "X"), at(3, "X")], "abc<2>"),
    ] {
        assert_eq!(run_open(4, pieces), seen);
    }
    assert_eq!(run_open(0, &[at(0, "abc"), at(0, "XXX"), at(3, "d")]), "abcd");
}

#[test]
fn nothing_is_kept_of_what_is_settled() {
    let mut reassembler = Reassembler::new(Seq(ISN) + 1, ReassemblyLimits::default());
    let mut seen = String::new();
    at(0, "abc").push_as(Standing::Open, &mut reassembler, &mut seen);
    assert!(reassembler.memory() >= 3);
    at(3, "d").push_as(Standing::Settled, &mut reassembler, &mut seen);
    assert_eq!(reassembler.memory(), 0);
    at(0, "XXXX").push(&mut reassembler, &mut seen);
    at(4, "e").push_as(Standing::Open, &mut reassembler, &mut seen);
    reassembler.settle();
    at(4, "X").push(&mut reassembler, &mut seen);
    at(5, "f").push_as(Standing::Open, &mut reassembler, &mut seen);
    // Of the last message only: nobody knows what the one before it was.
    at(3, "XXf").push(&mut reassembler, &mut seen);
    at(5, "X").push(&mut reassembler, &mut seen);
    assert_eq!((&*seen, reassembler.memory()), ("abcdef<conflict>", 0));
}

#[test]
fn an_idle_direction_is_small() {
    assert!(size_of::<Reassembler>() <= 96, "{}", size_of::<Reassembler>());
}

#[test]
fn the_place_at_a_gap_is_before_it() {
    let mut reassembler = Reassembler::new(Seq(ISN) + 1, ReassemblyLimits::default());
    let mut seen = String::new();
    at(0, "abc").cut(2).push(&mut reassembler, &mut seen);
    assert_eq!((reassembler.next_seq(), reassembler.is_at_gap()), (Seq(ISN) + 4, true));
    assert!(!reassembler.is_waiting());
    reassembler.skip_gap(show(&mut seen, Standing::Settled));
    assert_eq!((reassembler.next_seq(), reassembler.is_at_gap()), (Seq(ISN) + 6, false));
    at(5, "f").push(&mut reassembler, &mut seen);
    assert_eq!(seen, "abc<2>f");
    reassembler.stop();
    assert_eq!(at(6, "g").push(&mut reassembler, &mut seen), Placement::AfterEnd);
}

#[test]
fn memory_is_held_only_while_something_waits() {
    let mut reassembler = Reassembler::new(Seq(ISN) + 1, ReassemblyLimits::default());
    let mut seen = String::new();
    at(0, "abc").push(&mut reassembler, &mut seen);
    assert_eq!(reassembler.memory(), 0);
    at(4, "e").push(&mut reassembler, &mut seen);
    assert!(reassembler.memory() > 1);
    at(3, "d").push(&mut reassembler, &mut seen);
    assert_eq!((reassembler.memory(), &*seen), (0, "abcde"));
    at(6, "g").push(&mut reassembler, &mut seen);
    at(6, "X").push(&mut reassembler, &mut seen);
    assert_eq!((reassembler.memory(), &*seen), (0, "abcde<conflict>"));
}

/// One segment of a random stream: where it lies, and whether it is lost on the way.
#[derive(Clone, Debug)]
struct Sent {
    start: usize,
    end: usize,
    lost: bool,
}

/// A stream, and segments that cover it in a random cut, with repeats and overlaps, in a random order.
fn traffic() -> impl Strategy<Value = (Vec<u8>, Vec<Sent>)> {
    let stream = vec(any::<u8>(), 1..200);
    (
        stream,
        vec(any::<Index>(), 0..12),
        vec((any::<Index>(), 1..40_usize), 0..12),
        vec(any::<bool>(), 8),
        0..3,
    )
        .prop_flat_map(|(stream, cuts, repeats, fates, lossy)| {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            cuts.dedup();
            let once = cuts.windows(2).map(|pair| (pair[0], pair[1]));
            let again = repeats.iter().map(|(start, length)| {
                let start = start.index(stream.len());
                (start, (start + length).min(stream.len()))
            });
            let sent: Vec<Sent> = once
                .chain(again)
                .enumerate()
                // In two streams of three nothing is lost.
                .map(|(index, (start, end))| Sent { start, end, lost: lossy == 0 && fates[index % 8] })
                .collect();
            (Just(stream), Just(sent).prop_shuffle())
        })
}

/// Sequence numbers shortly before the wrap, and any others.
fn initial() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), (0..300_u32).prop_map(|before| u32::MAX - before)]
}

/// Sends `bytes` of the segment and returns what is delivered.
fn send(reassembler: &mut Reassembler, isn: u32, start: usize, bytes: &[u8]) -> (Vec<u8>, Option<String>) {
    let (mut data, mut other) = (Vec::new(), None);
    let seq = isn.wrapping_add(1).wrapping_add(u32::try_from(start).unwrap());
    let segment = Segment {
        flow: FlowKey::default(),
        direction: Direction::ToService,
        seq,
        ack: 0,
        flags: ACK,
        timestamp_ns: 0,
        run: crate::capture::Run::default(),
        payload_len: u32::try_from(bytes.len()).unwrap(),
        payload: bytes,
    };
    reassembler.push(&segment, |event| {
        match event {
            StreamEvent::Data(bytes) => data.extend_from_slice(bytes),
            end => other = Some(picture(end)),
        }
        Standing::Settled
    });
    (data, other)
}

proptest! {
    /// After every segment exactly the bytes are delivered that an array of all bytes seen has without a hole.
    #[test]
    fn delivers_what_is_contiguous((stream, sent) in traffic(), isn in initial()) {
        let mut reassembler = Reassembler::new(Seq(isn) + 1, ReassemblyLimits::default());
        let mut seen = vec![false; stream.len()];
        let mut delivered = Vec::new();
        for segment in sent.iter().filter(|segment| !segment.lost) {
            let range = segment.start..segment.end;
            let (data, other) = send(&mut reassembler, isn, segment.start, &stream[range.clone()]);
            prop_assert_eq!(other, None);
            delivered.extend(data);
            seen[range].fill(true);
            let contiguous = seen.iter().take_while(|seen| **seen).count();
            prop_assert_eq!(&delivered[..], &stream[..contiguous]);
            prop_assert_eq!(reassembler.is_waiting(), seen[contiguous..].contains(&true));
        }
        if sent.iter().all(|segment| !segment.lost) {
            prop_assert_eq!(delivered.len(), stream.len());
        }
    }

    /// Where copies differ: the first one is delivered, and a difference is reported exactly if it could be seen.
    #[test]
    fn first_copy_wins_or_conflicts((stream, sent) in traffic(), isn in initial(), wrong in any::<Index>()) {
        let mut reassembler = Reassembler::new(Seq(isn) + 1, ReassemblyLimits::default());
        let mut map: Vec<Option<u8>> = vec![None; stream.len()];
        let mut delivered = Vec::new();
        let wrong = wrong.index(sent.len());
        for (index, segment) in sent.iter().enumerate() {
            let mut bytes = stream[segment.start..segment.end].to_vec();
            if index == wrong {
                bytes.iter_mut().for_each(|byte| *byte ^= 1);
            }
            let differs = bytes.iter().enumerate().any(|(offset, byte)| {
                let place = segment.start + offset;
                place >= delivered.len() && map[place].is_some_and(|known| known != *byte)
            });
            let (data, other) = send(&mut reassembler, isn, segment.start, &bytes);
            prop_assert_eq!(other.as_deref(), differs.then_some("<conflict>"));
            if differs {
                prop_assert!(data.is_empty());
                return Ok(());
            }
            for (place, byte) in map[segment.start..].iter_mut().zip(&bytes) {
                place.get_or_insert(*byte);
            }
            delivered.extend(data);
            let contiguous: Vec<u8> = map.iter().map_while(|byte| *byte).collect();
            prop_assert_eq!(&delivered, &contiguous);
        }
    }
}
