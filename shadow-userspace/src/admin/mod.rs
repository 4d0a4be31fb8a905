//! The admin API: takes a running agent as [`Controlled`], gives its metrics, its state and the means to change it, over
//! HTTP on a Unix socket and, if asked for, on TCP.
//!
//! Whoever can only reach the TCP address can't change anything, unless he has the token. What a caller can make the agent
//! hold or do is bounded, and nothing here runs on the threads that requests take.
//!
//! [`control`] is what the agent implements, [`status`] and [`sample`] are what it says of itself.

pub mod control;
pub mod sample;
pub mod status;

pub use control::{ControlError, Controlled, Readiness};
pub use sample::MetricsSample;
pub use status::{RouteStatus, Status};
