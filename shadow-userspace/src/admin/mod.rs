//! The admin API: takes a running agent as [`Controlled`], gives its metrics, its state and the means to change it, over
//! HTTP on a Unix socket and, if asked for, on TCP.
//!
//! Whoever can only reach the TCP address can't change anything, unless he has the token. What a caller can make the agent
//! hold or do is bounded, and nothing here runs on the threads that requests take.
//!
//! [`control`] is what the agent implements, [`status`] and [`sample`] are what it says of itself. [`mod@socket`] and
//! [`server`] listen, [`auth`] says who may change things, [`api`] answers, [`metrics`] writes for Prometheus.

mod api;
mod auth;
pub mod control;
mod metrics;
pub mod sample;
pub mod server;
mod socket;
pub mod status;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use api::RateRequest;
pub use auth::TokenError;
pub use control::{ControlError, Controlled, Readiness};
pub use sample::MetricsSample;
pub use server::{AdminError, AdminServer, Listeners};
pub(crate) use socket::sockets;
pub use socket::{DIRECTORY, SocketError};
pub use status::{RouteStatus, Status};

#[cfg(test)]
mod tests;
