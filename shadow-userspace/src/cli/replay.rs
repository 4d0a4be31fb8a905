//! `replay`'s arguments.

use clap::Args;

use crate::{
    agent::{ReplayOptions, Speed, SummaryFormat},
    capture::{AttachMode, SampleRate, file::Input},
    cli::{copies::Copies, place::sorted, values},
    config::{CaptureConfig, Config},
    route::SampleKey,
};

/// `replay`'s arguments.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Capture file (pcap or pcapng) with the requests, or - for standard input
    #[arg(long, value_name = "FILE", value_parser = values::input)]
    pcap: Input,

    /// Service port (1 to 65535) whose requests are mirrored; give it again for more ports [default: any whose
    /// connections begin like HTTP]
    #[arg(long = "port", value_name = "P", value_parser = values::port)]
    ports: Vec<u16>,

    /// How fast: 1x keeps the spacing of the capture, 10x divides it by ten, max sends as fast as the upstream takes it
    #[arg(long, value_name = "SPEED", default_value = "1x")]
    speed: Speed,

    #[command(flatten)]
    pub(super) copies: Copies,
}

impl ReplayArgs {
    /// What is read, and what is done with it.
    pub(super) fn into_config(self) -> (ReplayOptions, Config, SummaryFormat) {
        let capture = CaptureConfig {
            interfaces: Vec::new(),
            netns: None,
            ports: sorted(self.ports),
            attach: AttachMode::default(),
            ring_bytes: 0,
            only_new: false,
            max_flows: 0,
            max_memory: 0,
        };
        let replay = ReplayOptions { input: self.pcap, ports: capture.ports.clone(), speed: self.speed };
        // Nothing is captured here, so no copy can come back; and a mark needs rights that nothing else needs.
        let (config, summary) = self.copies.into_config(capture, SampleRate::ALL, SampleKey::Request, 0);
        (replay, config, summary)
    }
}
