//! Random streams and random histories beside the model.

use proptest::{collection::vec, option, prelude::*, sample::Index};
use shadow_common::tcp_flags::{FIN, RST, SYN};

use crate::tcp::model::{Check, Push, Setting, Step};

/// One segment of a random stream: where it lies, and whether it is lost on the way.
#[derive(Clone, Debug)]
struct Sent {
    start: usize,
    end: usize,
    lost: bool,
}

/// The length of a stream, and segments that cover it in a random cut, with repeats and overlaps, in a random order.
fn traffic() -> impl Strategy<Value = (usize, Vec<Sent>)> {
    let repeats = vec((any::<Index>(), 1..40_usize), 0..12);
    (1..200_usize, vec(any::<Index>(), 0..12), repeats, vec(any::<bool>(), 8), 0..3).prop_flat_map(
        |(length, cuts, repeats, fates, lossy)| {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(length)).collect();
            cuts.extend([0, length]);
            cuts.sort_unstable();
            cuts.dedup();
            let once = cuts.windows(2).map(|pair| (pair[0], pair[1]));
            let again = repeats.iter().map(|(start, repeated)| {
                let start = start.index(length);
                (start, (start + repeated).min(length))
            });
            let sent: Vec<Sent> = once
                .chain(again)
                .enumerate()
                // In two streams of three nothing is lost.
                .map(|(index, (start, end))| Sent { start, end, lost: lossy == 0 && fates[index % 8] })
                .collect();
            (Just(length), Just(sent).prop_shuffle())
        },
    )
}

/// Sequence numbers shortly before the wrap, and any others.
fn first() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), (0..300_u32).prop_map(|before| u32::MAX - before)]
}

fn setting() -> impl Strategy<Value = Setting> {
    let limits = (prop_oneof![Just(1 << 20), 0..200_usize], prop_oneof![Just(1 << 16), 0..50_usize]);
    let message = prop_oneof![Just(1), Just(i64::MAX), 2..100_i64];
    (first(), limits, message).prop_map(|(first, (max_bytes, history), message)| Setting {
        first,
        max_bytes,
        history,
        message,
    })
}

/// A segment in a small stream, so that they meet.
fn push() -> impl Strategy<Value = Push> {
    let flags = prop_oneof![20 => Just(0), 2 => Just(FIN), 1 => Just(SYN), 1 => Just(RST)];
    let cut = prop_oneof![6 => Just(0), 1 => 1..40_u32];
    let wrong = option::weighted(0.1, (0..40_usize, any::<u8>()));
    (-20..250_i64, 0..60_usize, cut, flags, wrong).prop_map(|(at, len, cut, flags, wrong)| Push {
        at,
        len,
        cut,
        flags,
        wrong,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => push().prop_map(Step::Push),
        4 => Just(Step::Skip),
        2 => (-10..260_i64).prop_map(Step::Acknowledge),
        1 => Just(Step::GiveUp),
        1 => Just(Step::Settle),
        1 => first().prop_map(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever the order: if nothing is lost, everything is delivered.
    #[test]
    fn what_is_not_lost_is_delivered((length, sent) in traffic(), first in first()) {
        let (max_bytes, history) = (1 << 20, 1 << 16);
        let mut check = Check::new(Setting { first, max_bytes, history, message: i64::MAX });
        for Sent { start, end, .. } in sent.iter().filter(|segment| !segment.lost) {
            let at = i64::try_from(*start).unwrap();
            check.step(&Step::Push(Push { at, len: end - start, ..Push::default() }));
        }
        if sent.iter().all(|segment| !segment.lost) {
            prop_assert_eq!(check.next(), i64::try_from(length).unwrap());
        }
    }

    /// Whatever happens: the reassembler does what the model does.
    #[test]
    fn does_what_the_model_does(setting in setting(), steps in vec(step(), 0..60)) {
        let mut check = Check::new(setting);
        for step in &steps {
            check.step(step);
        }
    }

    /// The same of scripts, of which fuzzing makes its own.
    #[test]
    fn scripts_do_what_the_model_does(script in vec(any::<u8>(), 0..300)) {
        crate::tcp::model::run(&script);
    }
}
