//! What the admin API needs of an agent, so that it knows nothing else of it.

use crate::{
    admin::{MetricsSample, RouteStatus, Status},
    capture::SampleRate,
};

/// A running agent, as the admin API sees it.
///
/// The methods are called on a thread that may block, several at once, and never on the threads that requests take.
pub trait Controlled: Send + Sync + 'static {
    /// Whether requests are being mirrored, for `/readyz`.
    fn readiness(&self) -> Readiness;

    /// How the agent is.
    fn status(&self) -> Status;

    /// The routes in their order.
    fn routes(&self) -> Vec<RouteStatus>;

    /// All counts, gauges and histograms now.
    fn metrics(&self) -> MetricsSample;

    /// Another rate, for requests that begin from now on: `ROUTE` for all upstreams of the route, `ROUTE/UPSTREAM` for one.
    ///
    /// # Errors
    /// There is no such route, or the kernel doesn't take the rate.
    fn set_rate(&self, selector: &str, rate: SampleRate) -> Result<(), ControlError>;

    /// Takes no new request while `paused`; those already taken are finished.
    ///
    /// # Errors
    /// The kernel doesn't take it.
    fn set_paused(&self, paused: bool) -> Result<(), ControlError>;

    /// Reads the configuration file again and runs with it.
    ///
    /// # Errors
    /// The file is invalid or can't be read, or there is none: the old configuration stays.
    fn reload(&self) -> Result<(), ControlError>;
}

/// Whether requests are being mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Attached, and not told to stop.
    Ready,
    /// Not yet attached.
    Starting,
    /// Told to stop.
    Stopping,
}

/// Why an agent didn't do what it was asked to. Each says in one line what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// What is named doesn't exist.
    #[error("{0}")]
    Unknown(String),
    /// What is given is wrong: an invalid configuration file.
    #[error("{0}")]
    Invalid(String),
    /// This agent can't do it: nothing to reload, nothing to pause.
    #[error("{0}")]
    Unsupported(String),
    /// The system refused.
    #[error("{0}")]
    Failed(String),
}
