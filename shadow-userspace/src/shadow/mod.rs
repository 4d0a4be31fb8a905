//! The copy: takes a captured request, sends it to v2, gives its outcome to the ledger.
//!
//! [`copy`] says what a copy looks like, [`client`] sends one. [`mirror`] is what is mirrored where, and bounds how many copies
//! wait and are on their way (invariants 1, 2 and 4: v2 can neither slow the capture thread nor lose a request from the
//! ledger). [`options`] is what is said about an upstream.

pub mod client;
pub mod copy;
pub mod mirror;
pub mod options;
#[cfg(test)]
pub(crate) mod testing;
