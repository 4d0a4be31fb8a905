//! The copy: takes a captured request, sends it to v2, gives its outcome to the ledger.
//!
//! [`policy`] says what is changed about a copy: [`host`] and [`target`] where it claims to go, [`headers`] and
//! [`trace`] what its head says, [`redact`] what never leaves. [`copy`] makes it, [`client`] sends it and [`dispatch`]
//! bounds how many are on the way (invariants 1, 2 and 4: v2 can neither slow the capture thread nor lose a request
//! from the ledger).

mod addresses;
pub mod body;
pub mod client;
pub mod connect;
pub mod copy;
pub mod dispatch;
pub mod headers;
pub mod host;
pub mod latency;
pub mod options;
pub mod policy;
mod pool;
mod reason;
pub mod redact;
mod resolve;
pub mod target;
#[cfg(test)]
pub(crate) mod testing;
mod tls;
pub(crate) mod trace;
pub mod upstream;
