//! One line of the report: what was looked at, what was found, and what to do about it.

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at: a word or two, with the interface and port that it is about.
    pub name: String,
    /// What was found.
    pub found: String,
    /// What it means.
    pub verdict: Verdict,
}

/// What a finding means. Only what isn't right has advice, and always has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Neither good nor bad: `run` isn't to do this.
    Note,
    /// `run` works, though less well than it could, or there is reason to doubt that it does what is expected.
    Warning {
        /// What to do about it.
        advice: String,
    },
    /// `run` would fail.
    Problem {
        /// What to do about it.
        advice: String,
    },
}

impl Check {
    /// As it should be.
    pub(super) fn ok(name: impl Into<String>, found: impl AsRef<str>) -> Self {
        Self::new(name, found, Verdict::Ok)
    }

    /// What nobody asked for.
    pub(super) fn note(name: impl Into<String>, found: impl AsRef<str>) -> Self {
        Self::new(name, found, Verdict::Note)
    }

    /// Works, but.
    pub(super) fn warning(name: impl Into<String>, found: impl AsRef<str>, advice: impl AsRef<str>) -> Self {
        Self::new(name, found, Verdict::Warning { advice: one_line(advice.as_ref()) })
    }

    /// Doesn't work.
    pub(super) fn problem(name: impl Into<String>, found: impl AsRef<str>, advice: impl AsRef<str>) -> Self {
        Self::new(name, found, Verdict::Problem { advice: one_line(advice.as_ref()) })
    }

    fn new(name: impl Into<String>, found: impl AsRef<str>, verdict: Verdict) -> Self {
        Self { name: name.into(), found: one_line(found.as_ref()), verdict }
    }
}

impl Verdict {
    /// Its name in the report.
    pub(super) const fn status(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning { .. } => "warning",
            Self::Problem { .. } => "problem",
        }
    }

    /// What to do, where there is something to do.
    pub(super) fn advice(&self) -> Option<&str> {
        match self {
            Self::Ok | Self::Note => None,
            Self::Warning { advice } | Self::Problem { advice } => Some(advice),
        }
    }
}

/// The longest text of a line in characters: a verifier's log has thousands.
const LONGEST: usize = 400;

/// The names of programs and the kernel's messages come from outside: nothing of them may disturb a terminal.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or(&line)),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_a_line() {
        let check = Check::problem("a", "b\n\x1b[31m c", "d\r\n  e");
        assert_eq!(check.found, "b [31m c");
        assert_eq!(check.verdict.advice(), Some("d e"));
        assert_eq!(Check::ok("a", "é".repeat(1000)).found.chars().count(), LONGEST + 1);
    }
}
