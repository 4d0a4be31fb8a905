//! The copy: takes a captured request, sends it to v2, gives its outcome to the ledger.
//!

pub mod body;
pub mod client;
pub mod connect;
pub mod copy;
pub mod headers;
pub mod host;
pub mod target;
#[cfg(test)]
pub(crate) mod testing;
pub mod upstream;
