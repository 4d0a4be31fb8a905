//! What who reads the segments tells the source of them.

use shadow_common::{FlowKey, Resync};

/// What a capture source should know about a flow's open run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The connection.
    pub flow: FlowKey,
    /// The run, and what is known of it.
    pub resync: Resync,
    /// Whether the pipeline has forgotten the flow, between two requests: the next begins as [`Resync::RESUME`] says, and
    /// has to be in a run that begins there.
    pub is_forgotten: bool,
}
