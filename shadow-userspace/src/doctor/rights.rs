//! What this process may do.

use crate::{
    capture::{CaptureError, preflight},
    doctor::Check,
};

const NAME: &str = "capabilities";

/// The line that says whether this process may load and attach programs, and enter a namespace if it is to.
pub(super) fn check(enters_namespace: bool) -> Check {
    judge(&preflight::capabilities(enters_namespace))
}

fn judge(checked: &Result<(), CaptureError>) -> Check {
    match checked {
        Ok(()) => Check::ok(NAME, "may load and attach kernel programs"),
        Err(CaptureError::Capabilities { missing }) => {
            let set = missing.to_lowercase().replace(", ", ",");
            let advice = format!("run as root (sudo), or `setcap {set}+ep` on the binary");
            Check::problem(NAME, format!("missing: {missing}"), advice)
        }
        Err(other) => Check::problem(NAME, other.to_string(), "run as root (sudo)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_missing_and_how_to_grant_it() {
        let error = CaptureError::Capabilities { missing: "CAP_PERFMON, CAP_BPF".to_owned() };
        let check = judge(&Err(error));
        assert_eq!(
            (check.verdict.status(), check.found.as_str()),
            ("problem", "missing: CAP_PERFMON, CAP_BPF")
        );
        assert!(check.verdict.advice().is_some_and(|advice| advice.contains("cap_perfmon,cap_bpf+ep")));
        assert_eq!(judge(&Ok(())).verdict.status(), "ok");
    }
}
