//! Whatever is wrong with v2, users don't notice, the agent stays small, and the ledgers say what became of every copy.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should panic")]

#[path = "../common/mod.rs"]
mod common;

mod lab;
mod load;
