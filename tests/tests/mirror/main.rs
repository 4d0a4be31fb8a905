//! The main job, end to end: what users send arrives at v2, and users don't notice.
//!
//! One program, because each is linked for itself.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should panic")]

#[path = "../common/mod.rs"]
mod common;

mod cli;
mod curl;
mod demo;
mod exact;
mod isolation;
mod lab;
mod latency;
mod live;
mod loops;
mod midlife;
mod ring;
mod sample;
mod share;
mod smuggle;
mod wire;
