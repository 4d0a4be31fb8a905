//! Starting and stopping, with a source that keeps a diary.

use std::sync::{Arc, Mutex};

use shadow_common::{Direction, FlowKey, Resync, marks, tcp_flags};

use super::{capture_thread::Drained, *};
use crate::{
    admin::{ControlError, Readiness},
    capture::{Note, Run, SampleRate, Segment},
    shadow::{
        client::upstream::Upstream,
        testing::{self, Peer, assert_ledger, read_request, refusing},
    },
};

/// What the source was asked, in order; runs of equal entries are one.
type Diary = Arc<Mutex<Vec<&'static str>>>;

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Lives,
    /// Hands out [`TALK`] each time.
    Talks,
    Fails,
    Panics,
}

const TALK: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

struct FakeSource {
    diary: Diary,
    fate: Fate,
    /// Records that are in the ring when it is detached: flags, sequence number and payload.
    left: Vec<(u8, u32, &'static [u8])>,
    told: Arc<Mutex<Vec<Note>>>,
    /// What the ring had no room for.
    lost: u64,
}

impl FakeSource {
    fn new(fate: Fate) -> Self {
        Self { diary: Arc::default(), fate, left: Vec::new(), told: Arc::default(), lost: 0 }
    }

    fn write(&self, entry: &'static str) {
        let mut diary = self.diary.lock().unwrap();
        if diary.last() != Some(&entry) {
            diary.push(entry);
        }
    }
}

impl Source for FakeSource {
    fn drain(&mut self, wait: Duration, each: &mut dyn FnMut(&Segment<'_>)) -> Result<Drained, CaptureError> {
        match self.fate {
            Fate::Lives if wait.is_zero() => {
                self.write("drain the rest");
                let left = std::mem::take(&mut self.left);
                left.iter().for_each(|&(flags, seq, payload)| each(&segment(flags, seq, payload)));
                Ok(Drained::Handed(left.len()))
            }
            Fate::Lives => {
                self.write("drain");
                std::thread::sleep(Duration::from_millis(1));
                Ok(Drained::Handed(0))
            }
            Fate::Talks => {
                std::thread::sleep(Duration::from_millis(1));
                each(&segment(tcp_flags::ACK, 100, TALK));
                Ok(Drained::Handed(usize::from(!wait.is_zero())))
            }
            Fate::Fails => Err(CaptureError::Wait(io::ErrorKind::Other.into())),
            Fate::Panics => panic!("a defect, for the test"),
        }
    }

    fn detach(&mut self) {
        self.write("detach");
    }

    fn tell(&mut self, notes: &mut dyn Iterator<Item = Note>) {
        self.told.lock().unwrap().extend(notes);
    }

    fn requests_lost(&mut self) -> Result<u64, CaptureError> {
        Ok(self.lost)
    }
}

impl Drop for FakeSource {
    fn drop(&mut self) {
        self.write("drop");
    }
}

/// Of the only flow, from its client.
fn segment(flags: u8, seq: u32, payload: &[u8]) -> Segment<'_> {
    Segment {
        flow: FlowKey { client_port: 40_000, service_port: 8080, ..FlowKey::default() },
        direction: Direction::ToService,
        seq,
        ack: 1,
        flags,
        timestamp_ns: 1,
        run: Run { start: 100, mark: marks::SAMPLED | marks::OPEN },
        payload_len: payload.len() as u32,
        payload,
    }
}

/// Everything to this upstream.
pub(super) fn config(url: Upstream) -> Config {
    testing::config_to(testing::upstream("v2", url))
}

/// Of a configuration that is never read again.
pub(super) fn setup(config: &Config) -> Setup {
    setup_from(config, Origin { path: None, load: None })
}

fn setup_from(config: &Config, origin: Origin) -> Setup {
    let ledger = Ledger::new();
    let mirror = Mirror::new(config, ledger.clone(), tokio::runtime::Handle::current()).unwrap();
    Setup { config: config.clone(), origin, mirror, ledger }
}

/// Nowhere in particular.
pub(super) fn place() -> Place {
    let listeners = Listeners::default();
    Place { attachment: String::new(), control: None, usage: None, listeners, began: String::new() }
}

/// A signal to stop after which no other comes.
pub(super) fn once(first: impl Future<Output = ()>) -> impl AsyncFnMut() -> Told {
    let mut first = Some(first);
    async move || match first.take() {
        Some(first) => {
            first.await;
            Told::Stop
        }
        None => std::future::pending().await,
    }
}

/// No signal.
pub(super) fn never() -> impl AsyncFnMut() -> Told {
    once(std::future::pending())
}

async fn live(fate: Fate, stop: impl Future<Output = ()>) -> (Result<(), AgentError>, Vec<&'static str>) {
    let source = FakeSource::new(fate);
    let diary = Arc::clone(&source.diary);
    let end = supervise(source, place(), setup(&config(refusing().await)), once(stop)).await;
    let result = end.and_then(|(summary, end)| {
        assert_eq!((summary.requests.sampled, summary.requests.in_flight()), (0, 0));
        end
    });
    let diary = diary.lock().unwrap().clone();
    (result, diary)
}

#[tokio::test]
async fn stops_in_order() {
    let (result, diary) = live(Fate::Lives, tokio::time::sleep(Duration::from_millis(20))).await;
    result.unwrap();
    assert_eq!(diary, ["drain", "detach", "drain the rest", "drop"]);
}

#[tokio::test]
async fn what_is_in_the_ring_when_the_agent_stops_is_still_mirrored() {
    let (peer, mut received) = Peer::recording().await;
    let left: Vec<(u8, u32, &[u8])> = vec![
        (tcp_flags::SYN, 99, b""),
        (tcp_flags::ACK, 100, b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a-shadow\r\n\r\n"),
        (tcp_flags::ACK, 163, b"POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf"),
    ];
    let mut source = FakeSource::new(Fate::Lives);
    (source.left, source.lost) = (left, 2);
    let config = config(peer.upstream());
    let (summary, end) =
        supervise(source, place(), setup(&config), once(std::future::ready(()))).await.unwrap();
    end.unwrap();
    assert_ledger(&summary.requests, &[("mirrored", 1), ("ring_full", 2), ("loop", 1), ("shutdown", 1)]);
    assert_eq!((summary.connections, summary.flows.flows_total), (1, 1));
    let wire = received.recv().await.unwrap();
    assert_eq!(wire, b"GET /1 HTTP/1.1\r\nhost: a-shadow\r\nx-shadow-copy: 1\r\n\r\n");
}

#[tokio::test]
async fn the_source_is_told_where_requests_end() {
    let source = FakeSource::new(Fate::Talks);
    let told = Arc::clone(&source.told);
    let stop = async {
        let told_one = async {
            while told.lock().unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), told_one).await.unwrap();
    };
    let config = config(refusing().await);
    let (summary, _) = supervise(source, place(), setup(&config), once(stop)).await.unwrap();
    let next = 100 + u32::try_from(TALK.len()).unwrap();
    let resync = Resync { run: 100, next, what: Resync::RESUME };
    assert_eq!(*told.lock().unwrap(), [Note { flow: segment(0, 0, b"").flow, resync, is_forgotten: false }]);
    assert_eq!(summary.flows.requests_framed, 1);
}

#[tokio::test]
async fn a_second_signal_gives_up_copies_on_their_way() {
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let peer = Peer::spawn(move |mut stream| {
        let arrived = arrived.clone();
        async move {
            // Never answers.
            while read_request(&mut stream).await?.is_some() {
                arrived.send(()).ok();
            }
            Ok(())
        }
    })
    .await;
    let request: (u8, u32, &[u8]) = (tcp_flags::ACK, 100, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let left = vec![(tcp_flags::SYN, 99, &b""[..]), request];
    let mut source = FakeSource::new(Fate::Lives);
    source.left = left;
    let diary = Arc::clone(&source.diary);
    let config = Config { grace: Duration::from_secs(3600), ..config(peer.upstream()) };
    let mut signals = 0;
    let signal = async || {
        signals += 1;
        if signals == 2 {
            arrivals.recv().await.unwrap();
            assert!(diary.lock().unwrap().contains(&"detach"));
        }
        Told::Stop
    };
    let (summary, end) = supervise(source, place(), setup(&config), signal).await.unwrap();
    end.unwrap();
    assert_ledger(&summary.requests, &[("shutdown", 1)]);
}

#[tokio::test]
async fn a_capture_that_fails_ends_the_agent_detached() {
    let (result, diary) = live(Fate::Fails, std::future::pending()).await;
    assert!(matches!(result, Err(AgentError::Capture(CaptureError::Wait(_)))));
    assert_eq!(diary, ["detach", "drop"]);
}

#[tokio::test]
async fn a_capture_that_panics_ends_the_agent_detached() {
    let (result, diary) = live(Fate::Panics, std::future::pending()).await;
    assert!(matches!(result, Err(AgentError::Panicked)));
    assert_eq!(diary, ["drop"], "dropping is what detaches the programs");
}

/// As when the admin API can't be served after all.
#[tokio::test]
async fn whoever_lets_go_of_the_capture_detaches_it() {
    let Setup { mirror, ledger, .. } = setup(&config(refusing().await));
    let source = FakeSource::new(Fate::Lives);
    let diary = Arc::clone(&source.diary);
    let (limits, budget) = (PipelineLimits::default(), MemoryBudget::new(1 << 20));
    let pipeline = Pipeline::new(limits, ledger, budget, Sampler::all(), mirror.sink(dice(None)));
    drop(CaptureThread::spawn(source, pipeline).unwrap());
    let diary = diary.lock().unwrap();
    assert!(diary.ends_with(&["detach", "drain the rest", "drop"]), "{diary:?}");
}

/// A configuration that is read again each time, by a script.
fn scripted(mut script: Vec<Result<Config, String>>) -> Origin {
    script.reverse();
    let script = Mutex::new(script);
    Origin { path: None, load: Some(Box::new(move || script.lock().unwrap().pop().unwrap())) }
}

#[tokio::test]
async fn a_hang_up_reads_the_configuration_again_and_a_bad_one_changes_nothing() {
    let (peer, _received) = Peer::recording().await;
    let first = config(peer.upstream());
    let mut other = testing::config_to(testing::upstream("other", peer.upstream()));
    other.routes[0].name = "second".to_owned();
    let mut elsewhere = other.clone();
    elsewhere.capture.interfaces = vec!["eth1".to_owned()];
    let origin = scripted(vec![Err("shadow.yaml:1:1: no".to_owned()), Ok(elsewhere), Ok(other)]);
    let setup = setup_from(&first, origin);
    let mirror = setup.mirror.clone();
    let ledger = setup.ledger.clone();
    let name = || mirror.plan().table().routes().next().unwrap().name().to_owned();
    let sampled = |route: &str| {
        let snapshot = ledger.snapshot();
        snapshot
            .copies
            .iter()
            .filter(|copy| &*copy.route == route)
            .map(|copy| copy.outcomes.sampled)
            .sum::<u64>()
    };
    let mut steps = 0;
    let signal = async || {
        steps += 1;
        let poll = async {
            // The flow's only request was planned by the first configuration.
            while steps == 1 && sampled("default") == 0 || steps == 4 && name() != "second" {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), poll).await.unwrap();
        if steps == 3 {
            assert_eq!(name(), "default");
        }
        if steps < 4 { Told::HangUp } else { Told::Stop }
    };
    let (summary, end) = supervise(FakeSource::new(Fate::Talks), place(), setup, signal).await.unwrap();
    end.unwrap();
    assert_eq!(name(), "second");
    assert_eq!(summary.requests.in_flight(), 0);
}

/// What the admin API asks and changes while the agent runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_api_sees_the_agent_and_changes_it() {
    let config = config(refusing().await);
    let setup =
        setup_from(&config, scripted(vec![Err("shadow.yaml:1:1: no".to_owned()), Ok(config.clone())]));
    let (ledger, mirror, gauges) = (setup.ledger.clone(), setup.mirror.clone(), Arc::default());
    let agent = Agent::new(Parts {
        origin: setup.origin,
        config,
        mirror,
        control: None,
        ledger,
        budget: MemoryBudget::new(1000),
        capture: gauges,
        usage: None,
        first_bytes: None,
        attachment: "here".to_owned(),
    });
    agent.set_rate("default", "25%".parse().unwrap()).unwrap();
    let routes = agent.routes();
    assert_eq!(
        (&*routes[0].name, &*routes[0].matches, &*routes[0].sample_by),
        ("default", "everything", "request")
    );
    assert_eq!((&*routes[0].shadows[0].upstream, routes[0].shadows[0].percent), ("v2", 25.0));
    assert!(matches!(agent.set_rate("defualt", SampleRate::ALL), Err(ControlError::Unknown(_))));
    assert!(matches!(agent.set_paused(true), Err(ControlError::Unsupported(_))));

    assert_eq!(agent.reload(), Err(ControlError::Invalid("shadow.yaml:1:1: no".to_owned())));
    assert_eq!(agent.status().last_reload.unwrap().error.as_deref(), Some("shadow.yaml:1:1: no"));
    assert_eq!(agent.routes()[0].shadows[0].percent, 25.0);
    agent.reload().unwrap();
    assert_eq!(agent.status().last_reload.unwrap().error, None);
    assert_eq!(agent.routes()[0].shadows[0].percent, 100.0, "the file's");
    let metrics = agent.metrics();
    assert_eq!((metrics.reloads_ok, metrics.reloads_failed, metrics.memory.limit), (1, 1, 1000));
    assert_eq!((metrics.upstreams.len(), &*agent.status().upstreams[0].name), (1, "v2"));

    assert_eq!(agent.readiness(), Readiness::Ready);
    agent.stops();
    assert_eq!(agent.readiness(), Readiness::Stopping);
}

#[tokio::test]
async fn without_a_configuration_to_read_a_hang_up_stops() {
    let mut signals = 0;
    let signal = async || {
        signals += 1;
        if signals > 1 {
            std::future::pending::<()>().await;
        }
        Told::HangUp
    };
    let setup = setup(&config(refusing().await));
    let (_, end) = supervise(FakeSource::new(Fate::Lives), place(), setup, signal).await.unwrap();
    end.unwrap();
}
