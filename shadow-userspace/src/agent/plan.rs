//! What the configuration means for the capture: what the kernel is told, how requests are drawn for, and what is said.

use shadow_common::SampleBy;

use crate::{
    capture::{Control, LiveOptions},
    config::Config,
    pipeline::Sampler,
    random,
    route::Dice,
    shadow::{mirror::Mirror, options::OWN_MARK},
};

/// Whether somebody asks for what costs a little to measure.
pub(super) fn is_asked(config: &Config) -> bool {
    config.admin.listen.is_some()
}

/// What the kernel is told at the start.
pub(super) fn live_options(config: &Config, mirror: &Mirror) -> LiveOptions {
    let (sample_by, rate) = mirror.plan().table().kernel_sampling();
    let capture = config.capture.clone();
    LiveOptions {
        interfaces: capture.interfaces,
        netns: capture.netns,
        ports: capture.ports,
        rate,
        sample_by,
        attach: capture.attach,
        ring_bytes: capture.ring_bytes,
        max_flows: capture.max_flows,
        only_new: capture.only_new,
        report_answers: is_asked(config),
        own_mark: OWN_MARK,
        seed: random::number(),
        ..LiveOptions::default()
    }
}

/// The line that says that every request from now on counts.
pub(super) fn announcement(attachment: &str, live: &LiveOptions, config: &Config) -> String {
    let ports: Vec<_> = live.ports.iter().map(u16::to_string).collect();
    let what = match live.sample_by {
        SampleBy::Request => "requests",
        SampleBy::Connection => "connections",
        SampleBy::ClientIp => "clients",
    };
    let at_most = if config.routes.len() > 1 { "at most " } else { "" };
    let (rate, ports, upstreams) = (live.rate, ports.join(", "), upstreams(config));
    format!("attached {attachment}; mirroring {at_most}{rate} of the {what} of port {ports} to {upstreams}")
}

pub(super) fn upstreams(config: &Config) -> String {
    let urls: Vec<_> = config.upstreams.iter().map(|upstream| upstream.url.to_string()).collect();
    urls.join(", ")
}

/// Draws as the kernel does, at the rate of the moment.
pub(super) fn live_sampler(control: Control) -> Sampler {
    Sampler::new(move |flow| control.draw(flow, random::number()))
}

/// How the kernel drew, at the rate of the moment; a capture file has every request.
pub(super) fn dice(control: Option<Control>) -> impl FnMut() -> Dice + Send + 'static {
    let seed = random::number();
    move || match &control {
        Some(control) => {
            let (by, threshold, seed) = control.sampling();
            Dice::new(by, threshold, seed, random::number())
        }
        None => Dice::undrawn(seed, random::number()),
    }
}
