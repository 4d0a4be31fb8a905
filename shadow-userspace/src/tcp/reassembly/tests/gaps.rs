//! What is missing and won't come.

use super::*;

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
        (&[at(0, "a"), at(2, "c"), at(4, "").fin()], &[GiveUp, Skip, GiveUp, Skip], "a|<1>|c|<1>|<fin>"),
        // At a gap nothing more is given up.
        (&[at(0, "a").cut(1), at(4, "e")], &[GiveUp, Skip, GiveUp, Skip], "a<1>|||<2>|e"),
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
    // The one gap is told when the other was heeded.
    assert_eq!(run_then(limits, &[at(0, "").cut(1), at(3, "defgh")], &[Skip, Skip]), "<1>|<2>|defgh");
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
        (&[at(0, "a")], &[Acknowledged(1 + (1 << 30)), Acknowledged(i32::MIN), Acknowledged(-9)], "a|||"),
        (&[at(0, "a")], &[Acknowledged(1 << 30)], "a|<1073741823>"),
    ] {
        assert_eq!(run_then(ReassemblyLimits::default(), pieces, acts), seen);
    }
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
