//! The header `traceparent` (W3C Trace Context, section 3.2): takes the client's, gives that of a child.
//!
//! The trace is the client's, so that its copy is found with it; the parent id is new, so that the spans of v2 don't
//! mix with those of v1.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::random;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Length of version, trace id, parent id and flags with the dashes between them.
const LENGTH: usize = 55;

/// Gives `headers` a parent id of its own, if there is one `traceparent`, and it is valid: else the client's trace ends
/// here, by the standard's own rule.
pub(in crate::shadow) fn make_child(headers: &mut HeaderMap) {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return };
    if let Some(child) = child(value.as_bytes(), parent_id()) {
        headers.insert(TRACEPARENT, child);
    }
}

/// Never zero.
fn parent_id() -> u64 {
    (u64::from(random::number()) << 32 | u64::from(random::number())).max(1)
}

/// `parent` with this id instead of its own; `None` if it isn't valid.
fn child(parent: &[u8], id: u64) -> Option<HeaderValue> {
    let text = std::str::from_utf8(parent).ok()?;
    let mut fields = text.splitn(5, '-');
    let [version, trace, span] = [fields.next()?, fields.next()?, fields.next()?];
    let flags = fields.next()?;
    // Versions to come may have more behind the flags; version 0 has not.
    let is_whole = text.len() == LENGTH || version != "00";
    let is_valid = is_number(version, 2)
        && version != "ff"
        && is_number(trace, 32)
        && trace.bytes().any(|digit| digit != b'0')
        && is_number(span, 16)
        && span.bytes().any(|digit| digit != b'0')
        && is_number(flags, 2);
    let rest = text.get(LENGTH..)?;
    let child = (is_whole && is_valid).then(|| format!("{version}-{trace}-{id:016x}-{flags}{rest}"))?;
    HeaderValue::try_from(child).ok()
}

/// Whether `text` is so many hexadecimal digits, in lower case.
fn is_number(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn parents(values: &[&str]) -> HeaderMap {
        let fields = values.iter().map(|value| (TRACEPARENT, HeaderValue::from_str(value).unwrap()));
        let mut headers = HeaderMap::new();
        fields.for_each(|(name, value)| _ = headers.append(name, value));
        headers
    }

    #[test]
    fn a_child_has_the_trace_and_a_parent_of_its_own() {
        for (version, rest) in
            [("00", "-01"), ("00", "-00"), ("00", "-fe"), ("01", "-01"), ("cc", "-01-more.x")]
        {
            let parent = format!("{version}-{TRACE}-00f067aa0ba902b7{rest}");
            let child = |id| child(parent.as_bytes(), id).unwrap();
            assert_eq!(child(0xab), format!("{version}-{TRACE}-00000000000000ab{rest}"));
            assert_eq!(child(u64::MAX), format!("{version}-{TRACE}-ffffffffffffffff{rest}"));
        }
    }

    #[test]
    fn every_child_has_another_parent() {
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let mut ids = std::collections::HashSet::from(["00f067aa0ba902b7".to_owned()]);
        for _ in 0..100 {
            let mut headers = parents(&[&parent]);
            make_child(&mut headers);
            let child = headers[TRACEPARENT].to_str().unwrap();
            assert!(ids.insert(child[36..52].to_owned()));
            assert_eq!((&child[..36], &child[52..]), (&parent[..36], &parent[52..]));
        }
    }

    #[test]
    fn what_is_invalid_stays() {
        let valid = format!("00-{TRACE}-00f067aa0ba902b7-01");
        for parent in [
            "".to_owned(),
            "00".to_owned(),
            format!("ff{}", &valid[2..]),
            format!("0{}", &valid[2..]),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("0x{}", &valid[2..]),
            valid.replace("b7-", "B7-"),
            format!("{valid}-x"),
            format!("{valid}0"),
            format!("cc{}0", &valid[2..]),
            valid[..54].to_owned(),
            valid.replace('-', "_"),
        ] {
            assert_eq!(child(parent.as_bytes(), 1), None, "{parent}");
            let mut headers = parents(&[&parent]);
            make_child(&mut headers);
            assert_eq!(headers, parents(&[&parent]));
        }
    }

    #[test]
    fn of_several_none_counts() {
        let valid = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let mut headers = parents(&[&valid, &valid]);
        make_child(&mut headers);
        assert_eq!(headers, parents(&[&valid, &valid]));
        let mut none = HeaderMap::new();
        make_child(&mut none);
        assert!(none.is_empty());
    }
}
