//! The copy: takes a captured request, sends it to v2, gives its outcome to the ledger.
//!

pub mod host;
pub mod target;
