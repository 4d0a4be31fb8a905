//! TCP reassembly: segments of one direction in, ordered bytes or an explicit gap out.
//!
//! Invariant 3 (no holes) begins here: what [`Reassembler`] delivers is what the peer sent, and where it can't go on
//! without a hole, or without a doubt, it says so.

mod event;
mod history;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod model;
mod part;
mod reassembly;
mod stored;

pub use crate::capture::Seq;
pub use event::{End, Placement, ReassemblyLimits, Standing, StreamEvent};
pub use reassembly::Reassembler;
