//! `replay`'s arguments.

use clap::Args;

use crate::{
    agent::{ReplayOptions, Speed},
    capture::file::Input,
    cli::{copies::Copies, place::sorted, values},
    config::{
        ConfigSource,
        file::model::{Capture, Route},
    },
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
    copies: Copies,
}

impl ReplayArgs {
    /// What is read, and what is done with it.
    pub(super) fn into_source(self) -> (ReplayOptions, ConfigSource) {
        let replay = ReplayOptions { input: self.pcap, ports: sorted(self.ports), speed: self.speed };
        // Nothing is captured here, so no copy can come back; and a mark needs rights that nothing else needs.
        (replay, self.copies.into_source(Capture::default(), Route::default(), None))
    }
}
