//! The copy: takes a captured request, sends it to v2, gives its outcome to the ledger.
//!
//! [`policy`] says what is changed about a copy: [`host`] and [`target`] where it claims to go, [`headers`] and
//! [`trace`] what its head says, [`redact`] what never leaves. [`copy`] makes it, [`client`] sends it. [`mirror`] is
//! what is mirrored where: the capture thread's [`sink`] plans a request's copies, and each upstream's [`relay`] bounds how
//! many wait and are on the way (invariants 1, 2 and 4: v2 can neither slow the capture thread nor lose a request from the
//! ledger).

mod addresses;
pub mod body;
pub mod breaker;
pub mod client;
pub mod connect;
pub mod copy;
pub mod headers;
pub mod host;
mod job;
mod lane;
pub mod latency;
mod message;
pub mod mirror;
pub mod options;
mod patience;
pub mod policy;
mod pool;
mod queue;
mod reason;
mod record;
pub mod redact;
pub mod relay;
mod resolve;
pub mod sink;
pub mod target;
#[cfg(test)]
pub(crate) mod testing;
mod tls;
pub(crate) mod trace;
pub mod upstream;
