//! Capture files, `tap` and `replay`, end to end: what is read in captures that were built, and in real ones.
//!
//! One program, because each is linked for itself.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should panic")]

#[path = "../common/mod.rs"]
mod common;

mod builder;
mod faults;
mod live;
mod loss;
mod output;
mod real;
mod replay;
mod script;
mod shapes;
