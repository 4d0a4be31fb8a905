//! Reassembly of one direction.

/// What the reassembler delivers.
pub enum StreamEvent {}

/// One direction of a flow.
pub struct Reassembler {}
