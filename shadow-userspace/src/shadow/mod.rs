//! The copy: takes a captured request, sends it to v2, gives its outcome to the ledger.
//!

pub mod body;
pub mod copy;
pub mod headers;
pub mod host;
pub mod target;
pub mod upstream;
