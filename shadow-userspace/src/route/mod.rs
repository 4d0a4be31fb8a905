//! Routes: takes a request's head, says which shadow upstreams get a copy.
//!
//! The first route that matches counts. One number is drawn per request, and all upstreams of the route share it, so
//! that their samples nest.
//!
//! [`matcher`] says what a route matches, [`RouteTable`] decides.

mod draw;
mod index;
pub mod matcher;
mod parts;
mod table;
mod target;
#[cfg(test)]
mod testing;

pub use draw::Dice;
pub use table::{Decision, RouteTable, RouteView, ShadowView};
pub use target::RateTargetError;

use std::{sync::Arc, time::Duration};

use http::Method;

use crate::{capture::SampleRate, shadow::copy::policy::CopyPolicy};
use matcher::RouteMatch;

/// One route, as the configuration says it.
#[derive(Clone, Debug)]
pub struct RouteOptions {
    /// Its name in metrics and `ctl`; unique.
    pub name: String,
    /// The requests that it is for: any of them; none: all requests.
    pub matches: Vec<RouteMatch>,
    /// What requests share that are sampled alike.
    pub sample_by: SampleKey,
    /// Where copies go, at least one.
    pub shadows: Vec<ShadowOptions>,
}

/// Where a route's copies go, how many, and how they are changed.
#[derive(Clone, Debug)]
pub struct ShadowOptions {
    /// The upstream's name.
    pub upstream: String,
    /// The share of the route's requests.
    pub percentage: SampleRate,
    /// What is changed about the copies.
    pub policy: Arc<CopyPolicy>,
    /// Methods that are mirrored; none: all.
    pub methods: Option<Vec<Method>>,
    /// Instead of the upstream's timeout.
    pub timeout: Option<Duration>,
    /// Largest body in bytes that is mirrored.
    pub max_body: usize,
    /// Copies of this route that wait for this upstream, or are on their way, at most; none: as many as the upstream
    /// takes.
    pub max_in_flight: Option<usize>,
}

/// What requests share that are sampled alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SampleKey {
    /// Nothing: each request is drawn for.
    #[default]
    Request,
    /// The connection: all its requests, or none.
    Connection,
    /// The client's address.
    ClientIp,
    /// The first value of this header; requests without it, or with an empty one, are drawn for one by one.
    Header(http::HeaderName),
    /// The first value of this cookie; requests without it, or with an empty one, are drawn for one by one.
    Cookie(String),
}
