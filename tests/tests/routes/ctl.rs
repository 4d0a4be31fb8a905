//! `ctl` changes a running agent, and a change of the rate takes effect within 100 ms.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::stage::{Stage, get, stop, wait};
use shadow_tests::{lab::Family, load::Load, plan::Plan, service::Received};

const ALL: &str = "routes: [{ name: all, shadow: { upstream: $V2 } }]\n";

#[test]
fn pause_resume_rate_and_reload() {
    let Some(stage) = Stage::new(ALL) else { return };
    let send = |target: &str| stage.talk(&[get(target, &[])]);
    send("/before");
    wait(&stage.scene, 1);
    stage.agent.ctl(&["pause"]).unwrap();
    assert_eq!(stage.agent.ctl_json(&["status"]).unwrap()["paused"], true);
    send("/paused");
    stage.agent.ctl(&["resume"]).unwrap();
    send("/resumed");
    wait(&stage.scene, 2);
    stage.agent.ctl(&["rate", "all", "0%"]).unwrap();
    let routes = stage.agent.ctl_json(&["routes"]).unwrap();
    assert_eq!((&routes[0]["name"], &routes[0]["shadows"][0]["percent"]), (&"all".into(), &0.0.into()));
    send("/none");
    // The only route needs no name.
    stage.agent.ctl(&["rate", "100%"]).unwrap();
    send("/all");
    wait(&stage.scene, 3);
    stage.agent.ctl(&["rate", "all", "0%"]).unwrap();
    stage.agent.ctl(&["reload"]).unwrap();
    send("/reloaded");
    let (copies, summary) = stage.finish(4);
    assert_eq!(crate::stage::targets(&copies), ["/before", "/resumed", "/all", "/reloaded"]);
    assert_eq!(summary.requests.mirrored, 4, "{summary:?}");
}

#[test]
fn what_does_not_exist_is_refused_with_what_does() {
    let Some(stage) = Stage::new(ALL) else { return };
    let refused = stage.agent.ctl(&["rate", "al", "5%"]).unwrap_err().to_string();
    assert!(refused.contains("all"), "{refused}");
    let refused = stage.agent.ctl(&["rate", "all", "500%"]).unwrap_err().to_string();
    assert!(refused.contains("500%"), "{refused}");
    let text = stage.agent.ctl(&["status"]).unwrap();
    assert!(text.contains("nic0"), "{text}");
    stop(stage.agent);
}

/// A copy's number in the plan, and when it was at v2.
type Arrival = (u32, Instant);

/// Notes when requests come, until told to stop.
fn watch(record: &Path, stop: &AtomicBool) -> Vec<Arrival> {
    let mut lines = BufReader::new(File::open(record).unwrap());
    let (mut arrivals, mut line) = (Vec::new(), String::new());
    loop {
        let last = stop.load(Ordering::Relaxed);
        while lines.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            let copy: Received = serde_json::from_str(&line).unwrap();
            let number = copy.header("x-request-id").and_then(|id| id.rsplit('-').next()?.parse().ok());
            arrivals.push((number.unwrap(), Instant::now()));
            line.clear();
        }
        if last {
            return arrivals;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Requests per second.
const RATE: f64 = 1000.0;
/// At 25 % so many in a row are copied once in 10^12 times.
const IN_A_ROW: usize = 20;

/// When the first of so many in a row came that were all copied, after `change`.
fn all_copied_since(arrivals: &[Arrival], change: Instant) -> Option<Instant> {
    let mut after: Vec<Arrival> = arrivals.iter().filter(|(_, at)| *at >= change).copied().collect();
    after.sort_unstable();
    let row = after.windows(IN_A_ROW).find(|row| row[0].0 + IN_A_ROW as u32 - 1 == row[IN_A_ROW - 1].0)?;
    Some(row[0].1)
}

/// Ends load and watch, also when the test fails meanwhile: the scope waits for both.
struct End<'a> {
    load: &'a Load,
    watch: &'a AtomicBool,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.load.stop.store(true, Ordering::Relaxed);
        self.watch.store(true, Ordering::Relaxed);
    }
}

/// How long 0 → 25 % and 25 → 100 % took from the return of `ctl`.
fn change_the_rate() -> Option<[Duration; 2]> {
    let config = "routes: [{ name: all, shadow: { upstream: $V2, percentage: 0 } }]\n";
    let stage = Stage::new(config)?;
    let mut load = Load::new(stage.scene.v1_address(Family::V4), Plan::light("rate", "shop"), u32::MAX, 16);
    load.rate = Some(RATE);
    let done = AtomicBool::new(false);
    let rate = |percent: &str| {
        stage.agent.ctl(&["rate", "all", percent]).unwrap();
        let changed = Instant::now();
        thread::sleep(Duration::from_secs(1));
        changed
    };
    let (report, arrivals, changes) = thread::scope(|scope| {
        let end = End { load: &load, watch: &done };
        let users = scope.spawn(|| load.run(&stage.scene.lab.client).unwrap());
        let arrivals = scope.spawn(|| watch(stage.scene.v2.record(), &done));
        thread::sleep(Duration::from_millis(500));
        let changes = [rate("25%"), rate("100%")];
        load.stop.store(true, Ordering::Relaxed);
        let report = users.join().unwrap();
        drop(end);
        (report, arrivals.join().unwrap(), changes)
    });
    assert_eq!((report.correct, report.errors), (report.sent, Vec::new()));
    let summary = stop(stage.agent);
    // At 0 % there was none; what the change brings may come while `ctl` still returns.
    let first = arrivals.first().unwrap().1;
    let all = all_copied_since(&arrivals, changes[1]).unwrap_or_else(|| panic!("never all: {summary:?}"));
    let quarter = arrivals.iter().filter(|(_, at)| (changes[0]..changes[1]).contains(at)).count();
    assert!((100..500).contains(&quarter), "{quarter} copies in a second at 25 %");
    Some([first.saturating_duration_since(changes[0]), all.saturating_duration_since(changes[1])])
}

/// On a machine that others use too, a moment's silence is not the agent's: three measurements, one must be right.
#[test]
fn a_rate_takes_effect_within_100_ms() {
    let mut measured = Vec::new();
    for _ in 0..3 {
        let Some(took) = change_the_rate() else { return };
        eprintln!("0 to 25 %: {:?}, 25 to 100 %: {:?}", took[0], took[1]);
        if took.iter().all(|&took| took < Duration::from_millis(100)) {
            return;
        }
        measured.push(took);
    }
    panic!("{measured:?}");
}
