//! Headers that are not for the operator to change or to redact: takes a name, says whether it is one.

use http::{HeaderName, header};

/// Whether a header says where the request goes, how its body is framed, or what is for one hop: neither changes nor
/// redaction may touch it.
#[must_use]
pub fn is_reserved(name: &HeaderName) -> bool {
    *name == header::HOST || *name == header::CONTENT_LENGTH || is_hop_by_hop(name)
}

/// Headers that every hop sets for itself. Expect is among them because the copy's body is never held back.
pub(in crate::shadow) fn is_hop_by_hop(name: &HeaderName) -> bool {
    const PER_HOP: [&str; 8] = [
        "connection",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    PER_HOP.contains(&name.as_str())
}
