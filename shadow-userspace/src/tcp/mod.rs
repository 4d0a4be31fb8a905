//! TCP reassembly: segments of one direction in, ordered bytes or an explicit gap out.
//!
//! Invariant 3 (no holes) begins here: what [`Reassembler`] delivers is a contiguous prefix of what the peer sent,
//! and when it can't go on it says so.

mod reassembly;
mod seq;
mod stored;

pub use reassembly::{End, Placement, Reassembler, ReassemblyLimits, StreamEvent};
pub use seq::Seq;
