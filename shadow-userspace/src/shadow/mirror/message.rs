//! What is sent of a copy: takes what its request shares and the policy, gives head and body for the client.
//!
//! Keeps invariant 5: what must be redacted is, before anything leaves the agent, or there is no copy.

use std::net::{IpAddr, Ipv6Addr};

use http::request::Parts;

use crate::{
    ledger::Outcome,
    shadow::{
        client::body::CopyBody,
        copy::{self, CopyError, policy::CopyPolicy},
        mirror::job::Shared,
    },
};

/// A copy whose request is complete; otherwise its outcome.
pub(in crate::shadow) fn whole(request: &Shared, policy: &CopyPolicy) -> Result<(Parts, CopyBody), Outcome> {
    copy::whole(&request.head, request.body.clone(), &request.trailers, client(request), policy)
        .map_err(refused)
}

/// The head of a copy whose body is still to come; otherwise its outcome.
pub(in crate::shadow) fn head(request: &Shared, policy: &CopyPolicy) -> Result<Parts, Outcome> {
    copy::head_of_copy(&request.head, client(request), policy).map_err(refused)
}

fn client(request: &Shared) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(request.flow.client_addr)).to_canonical()
}

fn refused(error: CopyError) -> Outcome {
    tracing::debug!(%error, "a request can't be sent");
    error.outcome()
}
