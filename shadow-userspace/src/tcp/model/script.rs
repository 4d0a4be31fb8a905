//! Any bytes as a script of steps, for fuzzing.

use shadow_common::tcp_flags::{FIN, RST, SYN};

use super::{Check, MAX_LEN, Push, Setting, Step};

/// More would only take longer.
const MAX_STEPS: usize = 256;

/// Lets a reassembler and its model take the script in `data`. Its first four bytes are the [`Setting`], each following
/// one a step, with what that needs behind it.
///
/// # Panics
/// If the two differ.
pub fn run(data: &[u8]) {
    let mut script = Script(data);
    let [first, max_bytes, history, message] = [(); 4].map(|()| script.byte());
    let mut check = Check::new(Setting {
        // The wrap is near.
        first: u32::MAX - u32::from(first) * 4,
        max_bytes: usize::from(max_bytes),
        history: usize::from(history),
        message: i64::from(message) + 1,
    });
    for _ in 0..MAX_STEPS {
        if script.0.is_empty() {
            break;
        }
        let step = script.step(check.next());
        check.step(&step);
    }
}

struct Script<'a>(&'a [u8]);

impl Script<'_> {
    /// The next byte; 0 behind the end.
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn step(&mut self, next: i64) -> Step {
        match self.byte() % 16 {
            0 => Step::Skip,
            1 => Step::Acknowledge(next + i64::from(self.byte().cast_signed())),
            2 => Step::Acknowledge(next + self.far()),
            3 => Step::GiveUp,
            4 => Step::Settle,
            5 => Step::Restart(u32::MAX - u32::from(self.byte())),
            6 => Step::Push(Push { at: next + self.far(), ..self.push(next) }),
            // In order.
            7..10 => Step::Push(Push { at: next, len: self.len(), ..Push::default() }),
            10 => Step::Push(Push { cut: self.byte().into(), ..self.push(next) }),
            11 => Step::Push(Push { flags: self.flags(), ..self.push(next) }),
            12 => Step::Push(Push { wrong: Some((self.byte().into(), self.byte())), ..self.push(next) }),
            _ => Step::Push(self.push(next)),
        }
    }

    /// A plain segment near the next byte.
    fn push(&mut self, next: i64) -> Push {
        Push { at: next + i64::from(self.byte().cast_signed()), len: self.len(), ..Push::default() }
    }

    fn len(&mut self) -> usize {
        usize::from(self.byte()) % (MAX_LEN + 1)
    }

    fn flags(&mut self) -> u8 {
        let bits = self.byte();
        [(1, FIN), (2, SYN), (4 | 8, RST)]
            .iter()
            .map(|(bit, flag)| if bits & bit == *bit { *flag } else { 0 })
            .sum()
    }

    /// About as far as windows and numbers go. Not so far ahead within a window that the model's array gets large.
    fn far(&mut self) -> i64 {
        let edges =
            [1 << 30, i64::from(i32::MAX) - 1000, i64::from(i32::MIN) + 1000, 5 - (1 << 30), 1 - (1 << 30)];
        let edge = edges.get(usize::from(self.byte()) % edges.len()).copied().unwrap_or(1 << 30);
        edge - i64::from(edge < 0) * i64::from(self.byte())
    }
}
