//! The draw for requests that the kernel can't draw for: those that follow others in an open run.

use std::fmt;

use shadow_common::FlowKey;

/// Says of each request whether it is in the sample. Asked once per request.
pub struct Sampler(Box<dyn FnMut(&FlowKey) -> bool + Send>);

impl Sampler {
    /// Asks `draw`, which is given the connection that the request came on.
    pub fn new(draw: impl FnMut(&FlowKey) -> bool + Send + 'static) -> Self {
        Self(Box::new(draw))
    }

    /// Every request is in the sample.
    #[must_use]
    pub fn all() -> Self {
        Self::new(|_| true)
    }

    pub(super) fn draw(&mut self, flow: &FlowKey) -> bool {
        (self.0)(flow)
    }
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler").finish_non_exhaustive()
    }
}
