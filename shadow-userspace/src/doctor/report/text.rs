//! The report as lines to read: status, name, what was found; below it what to do.

use std::fmt::Write as _;

use crate::doctor::{Report, Verdict};

/// The width of the longest status.
const STATUS: usize = 7;

impl Report {
    /// The report as text; `colours` as terminals understand them.
    #[must_use]
    pub fn text(&self, colours: bool) -> String {
        let widest = self.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for check in &self.checks {
            let status = check.verdict.status();
            let (on, off) = if colours { (colour(&check.verdict), "\x1b[0m") } else { ("", "") };
            // Writing to a string can't fail.
            let _ = writeln!(text, "{on}{status:<STATUS$}{off}  {:<widest$}  {}", check.name, check.found);
            if let Some(advice) = check.verdict.advice() {
                let _ = writeln!(text, "{:indent$}→ {advice}", "", indent = STATUS + 2 + widest + 2);
            }
        }
        text + &self.conclusion() + "\n"
    }

    fn conclusion(&self) -> String {
        let count = |is: fn(&Verdict) -> bool| self.checks.iter().filter(|check| is(&check.verdict)).count();
        let problems = plural(count(|verdict| matches!(verdict, Verdict::Problem { .. })), "problem");
        let warnings = plural(count(|verdict| matches!(verdict, Verdict::Warning { .. })), "warning");
        match (problems, warnings) {
            (None, None) => "`run` can start here".to_owned(),
            (None, Some(warnings)) => format!("`run` can start here; {warnings}"),
            (Some(problems), None) => format!("`run` would fail here: {problems}"),
            (Some(problems), Some(warnings)) => format!("`run` would fail here: {problems}, {warnings}"),
        }
    }
}

const fn colour(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "\x1b[32m",
        Verdict::Note => "\x1b[2m",
        Verdict::Warning { .. } => "\x1b[33m",
        Verdict::Problem { .. } => "\x1b[31m",
    }
}

fn plural(count: usize, what: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{count} {what}s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Check;

    fn report() -> Report {
        Report {
            checks: vec![
                Check::ok("kernel", "6.18"),
                Check::warning("eth0 link", "down", "bring it up"),
                Check::problem("rights", "none", "be root"),
            ],
        }
    }

    #[test]
    fn columns_are_aligned_and_advice_stands_below() {
        let expected = "\
ok       kernel     6.18
warning  eth0 link  down
                    → bring it up
problem  rights     none
                    → be root
`run` would fail here: 1 problem, 1 warning
";
        assert_eq!(report().text(false), expected);
    }

    #[test]
    fn colours_only_where_asked_for() {
        assert!(!report().text(false).contains('\x1b'));
        assert!(report().text(true).starts_with("\x1b[32mok     \x1b[0m  kernel"));
    }

    #[test]
    fn the_conclusion_counts() {
        let conclusion = |checks| Report { checks }.conclusion();
        assert_eq!(conclusion(vec![Check::ok("a", "b")]), "`run` can start here");
        let warning = Check::warning("a", "b", "c");
        assert_eq!(conclusion(vec![warning.clone(), warning]), "`run` can start here; 2 warnings");
        assert_eq!(conclusion(vec![Check::problem("a", "b", "c")]), "`run` would fail here: 1 problem");
    }
}
