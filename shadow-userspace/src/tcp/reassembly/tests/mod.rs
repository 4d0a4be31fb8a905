//! Each named case as a small picture; random ones against an obviously correct map of bytes.

mod gaps;
mod history;
mod random;

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
    assert_eq!(run(&[at(3, "").fin(), at(0, "ab"), at(2, "c")]), "|ab|c<fin>");
    // The first one says where the end is.
    assert_eq!(run(&[at(3, "").fin(), at(5, "").fin(), at(0, "abcde")]), "||abc<fin>");
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
fn an_idle_direction_is_small() {
    assert!(size_of::<Reassembler>() <= 96, "{}", size_of::<Reassembler>());
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

#[test]
fn what_is_no_news_is_a_repetition() {
    use Placement::{InOrder, Repeated};
    for (pieces, last) in [
        (&[at(0, "abc"), at(3, "d")][..], InOrder),
        (&[at(0, "abc"), at(3, "")], InOrder),
        (&[at(0, "abc"), at(1, "bcd")], InOrder),
        (&[at(0, "abc"), at(1, "bc")], Repeated),
        (&[at(0, "abc"), at(2, "")], Repeated),
        // The end is news.
        (&[at(0, "abc"), at(1, "bc").fin()], InOrder),
    ] {
        assert_eq!(placement(pieces), last);
    }
}
