//! Capture files and `tap`.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should panic")]
mod builder;
