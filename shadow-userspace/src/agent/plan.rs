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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::Ledger,
        shadow::testing::{config_to, route, shadow_to, upstream},
    };

    #[tokio::test]
    async fn what_the_kernel_is_told_and_the_line_that_says_it() {
        let mut config = config_to(upstream("v2", "http://v2".parse().unwrap()));
        config.routes[0].shadows[0].percentage = "25%".parse().unwrap();
        config.capture.ports = vec![80, 81];
        let mirror = Mirror::new(&config, Ledger::new(), tokio::runtime::Handle::current()).unwrap();
        let live = live_options(&config, &mirror);
        assert_eq!((live.own_mark, live.report_answers), (OWN_MARK, false));
        let line = announcement("to lo", &live, &config);
        assert_eq!(line, "attached to lo; mirroring 25% of the requests of port 80, 81 to http://v2");
        config.routes.push(route("other", vec![shadow_to("v2")]));
        assert!(announcement("to lo", &live, &config).contains("mirroring at most 25% of"));
        config.admin.listen = Some(([127, 0, 0, 1], 9).into());
        assert!(live_options(&config, &mirror).report_answers);
    }

    /// Half of a file's requests are not all of them, nor none.
    #[test]
    fn each_request_of_a_file_is_drawn_anew() {
        let mut dice = dice(None);
        let first = format!("{:?}", dice());
        assert!((0..10).any(|_| format!("{:?}", dice()) != first));
    }
}
