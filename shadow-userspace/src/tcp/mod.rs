//! TCP reassembly: segments of one direction in, ordered bytes or an explicit gap out.

pub mod reassembly;
pub mod seq;

pub use reassembly::{Reassembler, StreamEvent};
pub use seq::Seq;
