//! The judge: what v2 received against what was sent.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    plan::{Framing, Plan, Sent},
    service::Received,
};

/// Headers that belong to one connection (RFC 9110, 7.6.1), so a copy has its own.
const HOP_BY_HOP: &[&str] =
    &["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// The header with which the agent marks its copies.
const OF_THE_AGENT: &str = "x-shadow-copy";

/// What the comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Requests that v2 received exactly once and as they were sent.
    pub exact: usize,
    /// Requests that v2 did not receive.
    pub missing: Vec<String>,
    /// Copies that differ, that came twice, or that nobody sent.
    pub wrong: Vec<String>,
    /// The Hosts that v2 saw, and how often.
    pub hosts: BTreeMap<String, usize>,
}

/// Compares copies with the requests `0..sent` of a plan.
#[must_use]
pub fn compare(plan: &Plan, sent: u32, copies: &[Received]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut open: BTreeMap<String, Sent> =
        (0..sent).map(|number| (plan.id(number), plan.request(number))).collect();
    let mut seen = BTreeSet::new();
    for copy in copies {
        *verdict.hosts.entry(copy.header("host").unwrap_or("(none)").to_owned()).or_default() += 1;
        let id = copy.header("x-request-id").unwrap_or_default();
        match open.remove(id) {
            Some(request) => match difference(&request, copy) {
                None => verdict.exact += 1,
                Some(difference) => verdict.wrong.push(format!("{id}: {difference}")),
            },
            None if seen.contains(id) => verdict.wrong.push(format!("{id}: received twice")),
            None => verdict.wrong.push(format!("{} {}: nobody sent this", copy.method, copy.target)),
        }
        seen.insert(id.to_owned());
    }
    verdict.missing = open.into_keys().collect();
    verdict
}

/// The first thing in which a copy differs from its request, apart from Host and what is hop-by-hop.
#[must_use]
pub fn difference(request: &Sent, copy: &Received) -> Option<String> {
    if (&request.method, &request.target) != (&copy.method, &copy.target) {
        return Some(format!(
            "`{} {}` became `{} {}`",
            request.method, request.target, copy.method, copy.target
        ));
    }
    if (request.body.len() as u64, &request.body_hash()) != (copy.body_bytes, &copy.body_hash) {
        return Some(format!("a body of {} bytes became {}", request.body.len(), copy.body_bytes));
    }
    let (expected, found) = (sent_headers(request), end_to_end(request, &copy.headers));
    if expected != found {
        return Some(format!("headers {expected:?} became {found:?}"));
    }
    None
}

fn sent_headers(request: &Sent) -> BTreeMap<String, Vec<String>> {
    let mut headers = request.headers.clone();
    if request.framing == Framing::Length {
        headers.push(("content-length".to_owned(), request.body.len().to_string()));
    }
    end_to_end(request, &headers)
}

/// The headers that a copy must share with its request: values in order for each name, in lower case.
fn end_to_end(request: &Sent, headers: &[(String, String)]) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let of_the_hop = name == "host" || HOP_BY_HOP.contains(&name.as_str()) || name == OF_THE_AGENT;
        // A chunked body may be sent on with its length, which is then known.
        let of_the_framing = name == "content-length" && request.framing == Framing::Chunked;
        if !of_the_hop && !of_the_framing {
            all.entry(name).or_default().push(value.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy_of(request: &Sent) -> Received {
        let lower = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
        let mut headers: Vec<_> = request.headers.iter().map(lower).collect();
        headers[0].1 = "shop-shadow".to_owned();
        match request.framing {
            Framing::Length => headers.push(("content-length".to_owned(), request.body.len().to_string())),
            Framing::Chunked => headers.push(("transfer-encoding".to_owned(), "chunked".to_owned())),
            Framing::None => {}
        }
        Received {
            method: request.method.clone(),
            target: request.target.clone(),
            headers,
            body_bytes: request.body.len() as u64,
            body_hash: request.body_hash(),
            body: None,
        }
    }

    #[test]
    fn faithful_copies_in_any_order_are_exact() {
        let plan = Plan::mixed("t", "shop");
        let copies: Vec<_> = (0..100).rev().map(|number| copy_of(&plan.request(number))).collect();
        let verdict = compare(&plan, 100, &copies);
        assert_eq!((verdict.exact, verdict.missing.len(), verdict.wrong), (100, 0, Vec::new()));
        assert_eq!(verdict.hosts, BTreeMap::from([("shop-shadow".to_owned(), 100)]));
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let plan = Plan::mixed("t", "shop");
        let original = copy_of(&plan.request(7));
        let changed = |change: &dyn Fn(&mut Received)| {
            let mut copy = original.clone();
            change(&mut copy);
            compare(&plan, 8, &[copy]).wrong.len()
        };
        assert_eq!(changed(&|_| {}), 0);
        assert_eq!(changed(&|copy| copy.method = "HEAD".to_owned()), 1);
        assert_eq!(changed(&|copy| copy.target.push('x')), 1);
        assert_eq!(changed(&|copy| copy.body_hash = "0".to_owned()), 1);
        assert_eq!(changed(&|copy| copy.body_bytes += 1), 1);
        assert_eq!(changed(&|copy| copy.headers.retain(|(name, _)| name != "cookie")), 1);
        assert_eq!(changed(&|copy| copy.headers.push(("via".to_owned(), "x".to_owned()))), 1);
        assert_eq!(compare(&plan, 8, &[original.clone(), original.clone()]).wrong.len(), 1);
        assert_eq!(compare(&plan, 8, &[original]).missing.len(), 7);
    }
}
