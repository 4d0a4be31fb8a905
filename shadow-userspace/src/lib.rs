//! shadow's agent as a library, in the order of the data path:
//!
//! [`capture`] (ring → segment) → [`tcp`] (segment → ordered bytes or a gap) → [`http`] (bytes → request) →
//! [`pipeline`] (flow table, one request at a time per flow) → [`shadow`] (copy → v2) → [`ledger`] (how it ended).
//!
//! [`doctor`] says beforehand whether it would work here.
//!
//! `docs/ARCHITECTURE.md` in the repository tells the whole; start there.

pub mod admin;
pub mod agent;
pub mod budget;
pub mod capture;
pub mod cli;
pub mod config;
pub mod convert;
pub mod doctor;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod http;
pub mod ledger;
mod netlink;
pub mod pipeline;
mod process;
mod random;
pub mod route;
pub mod shadow;
pub mod tap;
pub mod tcp;
