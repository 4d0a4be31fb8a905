//! What comes again, and whether it is the same.

use super::*;

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
    let mut seen = String::new();
    let no_history = ReassemblyLimits { history: 0, ..ReassemblyLimits::default() };
    let mut reassembler = Reassembler::new(Seq(ISN) + 1, no_history);
    at(0, "abc").push_as(Standing::Open, &mut reassembler, &mut seen);
    assert_eq!((&*std::mem::take(&mut seen), reassembler.memory()), ("abc", 0));
    let mut reassembler = Reassembler::new(Seq(ISN) + 1, ReassemblyLimits::default());
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
