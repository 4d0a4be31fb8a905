//! Starting and stopping, with a source that keeps a diary.

use std::sync::{Arc, Mutex};

use super::*;
use crate::{
    capture::{AttachMode, SampleRate, Segment},
    shadow::testing::refusing,
};

/// What the source was asked, in order; runs of equal entries are one.
type Diary = Arc<Mutex<Vec<&'static str>>>;

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Lives,
    Fails,
    Panics,
}

struct FakeSource {
    diary: Diary,
    fate: Fate,
    /// Records that are in the ring when it is detached.
    left: usize,
}

impl FakeSource {
    fn write(&self, entry: &'static str) {
        let mut diary = self.diary.lock().unwrap();
        if diary.last() != Some(&entry) {
            diary.push(entry);
        }
    }
}

impl Source for FakeSource {
    fn drain(&mut self, wait: Duration, _each: &mut dyn FnMut(&Segment<'_>)) -> Result<usize, CaptureError> {
        match self.fate {
            Fate::Lives if wait.is_zero() => {
                self.write("drain the rest");
                self.left = self.left.saturating_sub(1);
                Ok(self.left)
            }
            Fate::Lives => {
                self.write("drain");
                std::thread::sleep(Duration::from_millis(1));
                Ok(0)
            }
            Fate::Fails => Err(CaptureError::Wait(io::ErrorKind::Other.into())),
            Fate::Panics => panic!("a defect, for the test"),
        }
    }

    fn detach(&mut self) {
        self.write("detach");
    }
}

impl Drop for FakeSource {
    fn drop(&mut self) {
        self.write("drop");
    }
}

async fn options() -> Options {
    Options {
        live: LiveOptions {
            interface: "test0".to_owned(),
            ports: vec![8080],
            rate: SampleRate::ALL,
            attach: AttachMode::Auto,
            ring_bytes: 1 << 20,
            max_flows: 16,
            export_responses: false,
            own_mark: 0,
            seed: 0,
        },
        upstream: refusing().await,
        client: ClientOptions { own_mark: 0, ..ClientOptions::default() },
        dispatch: DispatchOptions::default(),
        limits: PipelineLimits::default(),
        max_memory: 1 << 20,
        grace: Duration::from_secs(5),
        summary: SummaryFormat::Json,
    }
}

async fn live(fate: Fate, stop: impl Future<Output = ()>) -> (Result<(), AgentError>, Vec<&'static str>) {
    let diary = Diary::default();
    let source = FakeSource { diary: Arc::clone(&diary), fate, left: 3 };
    let end = supervise(source, "nothing".to_owned(), None, &options().await, stop).await;
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
