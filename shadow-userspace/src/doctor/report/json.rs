//! The report as one JSON object on one line. Its keys are an interface: scripts and tests read them.

use serde::Serialize;

use crate::doctor::{Check, Report};

#[derive(Serialize)]
struct Document<'a> {
    ok: bool,
    checks: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    status: &'static str,
    found: &'a str,
    advice: Option<&'a str>,
}

impl Report {
    /// `{"ok": …, "checks": [{"name", "status", "found", "advice"}, …]}`; advice is null where nothing is to be done.
    #[must_use]
    pub fn json(&self) -> String {
        let document = Document { ok: self.is_ok(), checks: self.checks.iter().map(Line::from).collect() };
        // Strings and a truth value: nothing that JSON can't say.
        serde_json::to_string(&document).unwrap_or_default() + "\n"
    }
}

impl<'a> From<&'a Check> for Line<'a> {
    fn from(check: &'a Check) -> Self {
        let Check { name, found, verdict } = check;
        Self { name, status: verdict.status(), found, advice: verdict.advice() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_fixed() {
        let checks = vec![Check::ok("kernel", "6.18"), Check::problem("a \"b\"", "c", "d")];
        let json = Report { checks }.json();
        assert_eq!(
            json,
            "{\"ok\":false,\"checks\":[{\"name\":\"kernel\",\"status\":\"ok\",\"found\":\"6.18\",\"advice\":null},\
             {\"name\":\"a \\\"b\\\"\",\"status\":\"problem\",\"found\":\"c\",\"advice\":\"d\"}]}\n"
        );
        assert!(Report { checks: vec![Check::warning("a", "b", "c")] }.json().starts_with("{\"ok\":true,"));
    }
}
