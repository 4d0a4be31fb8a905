//! The kernel programs through BPF_PROG_TEST_RUN: what they return, what they export, what they count.
//!
//! Needs root, and skips with the reason where it isn't.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should panic")]

mod answers;
mod flows;
mod forged;
mod frame;
mod framing;
mod harness;
mod isolation;
mod midlife;
mod ring;
mod runs;
mod sampling;
mod shapes;
mod talk;
mod together;
