//! The routing table: takes a request's head, decides which shadows get a copy. Rates change while it is used.

use shadow_common::{FlowKey, SampleBy};
use smallvec::SmallVec;

use super::{
    Dice, RateTargetError, RouteOptions, SampleKey, ShadowOptions, index::HostIndex, matcher::is_among,
    parts::Parts,
};
use crate::{
    capture::{LiveRate, SampleRate},
    http::RequestHead,
    ledger::PassReason,
};

/// All routes; shared between threads.
#[derive(Debug)]
pub struct RouteTable {
    routes: Vec<Route>,
    index: HostIndex,
}

#[derive(Debug)]
struct Route {
    options: RouteOptions,
    /// Of each of its shadows.
    rates: Vec<LiveRate>,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The route at this position, in the order of the configuration, sends copies to its shadows at these positions,
    /// ascending; at least one.
    Copies(usize, SmallVec<[usize; 1]>),
    /// No copy.
    Pass(PassReason),
}

impl RouteTable {
    /// With these routes, and the rates that they say.
    #[must_use]
    pub fn new(routes: &[RouteOptions]) -> Self {
        let route = |options: &RouteOptions| Route {
            options: options.clone(),
            rates: options.shadows.iter().map(|shadow| LiveRate::new(shadow.percentage)).collect(),
        };
        Self { routes: routes.iter().map(route).collect(), index: HostIndex::new(routes) }
    }

    /// What becomes of the request with this head, which came on `flow`.
    #[must_use]
    pub fn decide(&self, head: &RequestHead, flow: &FlowKey, dice: Dice) -> Decision {
        let parts = Parts::of(head);
        let mut candidates = self
            .index
            .candidates(parts.host)
            .filter_map(|position| Some((position, self.routes.get(position)?)));
        match candidates.find(|(_, route)| route.fits(&parts)) {
            None => Decision::Pass(PassReason::NoRoute),
            Some((position, route)) => route.draw(position, head, flow, dice),
        }
    }

    /// All routes, in order.
    pub fn routes(&self) -> impl Iterator<Item = RouteView<'_>> {
        self.routes.iter().map(|route| RouteView { route })
    }

    /// Another share of what `selector` names: `ROUTE` is all shadows of the route, `ROUTE/UPSTREAM` one. Where a slash
    /// stands in a name, the route of the whole name comes first.
    ///
    /// # Errors
    /// If nothing has that name; nothing is changed then.
    pub fn set_rate(&self, selector: &str, rate: SampleRate) -> Result<(), RateTargetError> {
        if let Some(route) = self.routes.iter().find(|route| route.options.name == selector) {
            route.rates.iter().for_each(|live| live.set(rate));
            return Ok(());
        }
        let mut error = None;
        for route in &self.routes {
            let Some(upstream) = route.upstream_in(selector) else { continue };
            if route.set_rate(upstream, rate) {
                return Ok(());
            }
            let known = route.options.shadows.iter().map(|shadow| shadow.upstream.as_str());
            error = Some(RateTargetError::upstream(&route.options.name, upstream, known));
        }
        let names = self.routes.iter().map(|route| route.options.name.as_str());
        Err(error.unwrap_or_else(|| RateTargetError::route(selector, names)))
    }

    /// What the kernel must sample by, and how much of it, so that every route can be served with its rates of now.
    ///
    /// Routes that the kernel can't draw for, by header or cookie, or that disagree, need every request.
    #[must_use]
    pub fn kernel_sampling(&self) -> (SampleBy, SampleRate) {
        let mut keys = SmallVec::<[Option<SampleBy>; 4]>::new();
        let mut highest = SampleRate::NONE;
        for route in &self.routes {
            let rate = route.highest();
            if rate > SampleRate::NONE {
                keys.push(route.options.sample_by.in_kernel());
                highest = if rate > highest { rate } else { highest };
            }
        }
        match keys.split_first() {
            None => (SampleBy::Request, SampleRate::NONE),
            Some((Some(by), rest)) if rest.iter().all(|other| *other == Some(*by)) => (*by, highest),
            Some(_) => (SampleBy::Request, SampleRate::ALL),
        }
    }
}

impl Route {
    fn fits(&self, request: &Parts<'_>) -> bool {
        let matches = &self.options.matches;
        matches.is_empty() || matches.iter().any(|one| one.fits(request))
    }

    /// One number for all shadows, so that the sample of one with a lower rate lies in that of one with a higher.
    fn draw(&self, position: usize, head: &RequestHead, flow: &FlowKey, dice: Dice) -> Decision {
        let number = u64::from(dice.number(&self.options.sample_by, head, flow));
        let mut copies = SmallVec::new();
        let mut reason = PassReason::NotDrawn;
        for (shadow, (options, rate)) in self.options.shadows.iter().zip(&self.rates).enumerate() {
            if number >= rate.get().threshold() {
                continue;
            }
            match &options.methods {
                Some(methods) if !is_among(methods, head.method()) => reason = PassReason::Method,
                _ => copies.push(shadow),
            }
        }
        if copies.is_empty() { Decision::Pass(reason) } else { Decision::Copies(position, copies) }
    }

    /// What stands in `selector` behind the route's name and a slash.
    fn upstream_in<'a>(&self, selector: &'a str) -> Option<&'a str> {
        selector.strip_prefix(self.options.name.as_str())?.strip_prefix('/')
    }

    /// Whether there is such an upstream.
    fn set_rate(&self, upstream: &str, rate: SampleRate) -> bool {
        let shadows = self.options.shadows.iter().zip(&self.rates);
        let named = shadows.filter(|(shadow, _)| shadow.upstream == upstream);
        named.map(|(_, live)| live.set(rate)).count() > 0
    }

    fn highest(&self) -> SampleRate {
        let rates = self.rates.iter().map(LiveRate::get);
        rates.fold(SampleRate::NONE, |highest, rate| if rate > highest { rate } else { highest })
    }
}

impl SampleKey {
    /// As the kernel knows it; none if it doesn't.
    const fn in_kernel(&self) -> Option<SampleBy> {
        match self {
            Self::Request => Some(SampleBy::Request),
            Self::Connection => Some(SampleBy::Connection),
            Self::ClientIp => Some(SampleBy::ClientIp),
            Self::Header(_) | Self::Cookie(_) => None,
        }
    }
}

/// A route of the table.
#[derive(Clone, Copy, Debug)]
pub struct RouteView<'a> {
    route: &'a Route,
}

/// A shadow of a route of the table.
#[derive(Clone, Copy, Debug)]
pub struct ShadowView<'a> {
    /// As configured; what `percentage` says may have been changed since.
    pub options: &'a ShadowOptions,
    /// The share of the route's requests now.
    pub percentage: SampleRate,
}

impl<'a> RouteView<'a> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.route.options.name
    }

    /// As configured; what `percentage` says may have been changed since.
    #[must_use]
    pub fn options(&self) -> &'a RouteOptions {
        &self.route.options
    }

    /// Its shadows, in order.
    pub fn shadows(&self) -> impl Iterator<Item = ShadowView<'a>> + use<'a> {
        let shadows = self.route.options.shadows.iter().zip(&self.route.rates);
        shadows.map(|(options, rate)| ShadowView { options, percentage: rate.get() })
    }
}

#[cfg(test)]
mod tests;
