//! How long the real service takes, as the kernel and the pipeline measure it on real packets.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Result;
use shadow_common::{Counter, FlowKey};
use shadow_tests::{
    lab::{Family, Lab, NIC},
    load::Connection,
    netns::Namespace,
    scene::serve,
};
use shadow_userspace::{
    budget::MemoryBudget,
    capture::{AttachMode, Live, LiveOptions},
    ledger::Ledger,
    pipeline::{ExchangeEvent, ExchangePipeline, ExchangeSink, PipelineLimits, Sampler},
    shadow::mirror::latency::Latency,
};

use crate::common::{SHADOW_LAB, root};

/// Where the service listens that takes its time.
const PORT: u16 = 9200;
const DELAY: &str = "50";

const GET: &[u8] = b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n";
/// The kernel can't tell its end.
const CHUNKED: &[u8] =
    b"POST /two HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
/// Of each kind.
const REQUESTS: usize = 5;

struct Nothing;

impl ExchangeSink for Nothing {
    type Exchange = ();
    fn begin(&mut self, _flow: &FlowKey, _at_ns: u64) {}
    fn part(&mut self, (): &mut (), _part: ExchangeEvent<'_>, _at_ns: u64) {}
    fn finish(&mut self, (): ()) {}
}

/// A capture with its pipeline, which measures.
struct Agent {
    live: Live,
    pipeline: ExchangePipeline<Nothing>,
    times: Arc<Latency>,
}

impl Agent {
    fn attach(namespace: &Namespace, interface: &str, attach: AttachMode) -> Self {
        let options = LiveOptions {
            interfaces: vec![interface.to_owned()],
            netns: Some(namespace.path()),
            ports: vec![PORT],
            attach,
            report_answers: true,
            ..LiveOptions::default()
        };
        let times = Arc::new(Latency::new());
        let (limits, budget) = (PipelineLimits::default(), MemoryBudget::new(1 << 20));
        let mut pipeline = ExchangePipeline::new(limits, Ledger::new(), budget, Sampler::all(), Nothing);
        pipeline.measure_first_bytes(Arc::clone(&times));
        Self { live: Live::attach(&options).unwrap(), pipeline, times }
    }

    /// Takes what is there. When an answer has come, so has all that is told of its request.
    fn look(&mut self) {
        let control = self.live.control();
        while self.live.drain(Duration::ZERO, |segment| self.pipeline.segment(segment)).unwrap() > 0 {}
        for note in self.pipeline.take_notes() {
            control.resync(&note.flow, note.resync).unwrap();
        }
    }

    async fn talk(&mut self, to: SocketAddr) -> Result<()> {
        let mut client = Connection::open(to).await?;
        for request in [GET, CHUNKED].repeat(REQUESTS) {
            client.ask(request).await?;
            self.look();
        }
        Ok(())
    }

    fn assert_measured(self, what: &str) {
        let Self { mut live, times, .. } = self;
        live.detach();
        let counters = live.control().counters().unwrap();
        assert!(counters.is_balanced(), "{what}: {counters:?}");
        assert_eq!(counters.get(Counter::Answered), 2 * REQUESTS as u64, "{what}: {counters:?}");
        let median = times.total().p50.as_millis();
        assert!((49..=80).contains(&median), "{what}: {:?}", times.total());
    }
}

/// Client-facing, where requests come in, and towards an upstream, where they go out.
#[test]
fn the_time_to_the_first_byte_of_real_answers_is_measured() {
    if !root() {
        return;
    }
    let lab = Lab::new().unwrap();
    let any = SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), PORT);
    let start = |namespace| serve(&lab, namespace, Path::new(SHADOW_LAB), &[any], &["--delay-ms", DELAY]);
    let _services = [start(&lab.gateway).unwrap(), start(&lab.v2).unwrap()];
    let facing = (&lab.client, lab.v1_address(Family::V4), NIC);
    let behind = (&lab.gateway, lab.v2_address(Family::V4), "up0");
    let places = [
        (facing, AttachMode::Tc),
        (facing, AttachMode::XdpGeneric),
        (facing, AttachMode::XdpNative),
        (facing, AttachMode::Clsact),
        (behind, AttachMode::Tc),
        (behind, AttachMode::XdpNative),
    ];
    for ((users, address, interface), attach) in places {
        let mut agent = Agent::attach(&lab.gateway, interface, attach);
        let to = SocketAddr::new(address.ip(), PORT);
        let talk = || {
            let talk = agent.talk(to);
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(talk)
        };
        users.run(talk).unwrap();
        agent.assert_measured(&format!("{interface}, {attach:?}"));
    }
}
