//! Routes end to end: which requests are copied, where to, in which form, and what is said of them. The cases that the
//! peers have in their own suites bear the peers' names: [`envoy`], [`gateway_api`], [`istio`], [`goreplay`].

#![expect(clippy::unwrap_used, reason = "a test that can't go on should panic")]

#[path = "../common/mod.rs"]
mod common;

mod admin;
mod copies;
mod ctl;
mod dns;
mod envoy;
mod envoy_bodies;
mod exact;
mod flags;
mod gateway_api;
mod gloo;
mod goreplay;
mod istio;
mod limits;
mod redaction;
mod reload;
mod sampling;
mod stage;
mod stream;
mod tls;
mod upstreams;
