//! The copy: takes a captured request, sends it to v2, gives its outcome to the ledger.
//!
//! [`host`] and [`target`] say where a copy claims to go, [`copy`] makes it, [`client`] sends it and [`dispatch`]
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
mod resolve;
pub mod target;
#[cfg(test)]
pub(crate) mod testing;
mod tls;
pub mod upstream;
