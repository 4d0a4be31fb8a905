//! What is held is bounded, and for how long.

use super::*;

#[test]
fn memory_is_bounded_for_all_together() {
    let mut rig = Rig::within(PipelineLimits::default(), 2000);
    let body = "x".repeat(1000);
    let mut client = Client::connect(&mut rig, 1, &[&sized(&body)]);
    let used = rig.budget.used();
    assert!((1000..1500).contains(&used), "{used}");
    // The first still counts, until its copy was sent.
    rig.take(client.send(&sized(&body)));
    assert_eq!((rig.targets().len(), rig.drops()), (1, vec![(DropReason::MemoryLimit, 1)]));
    rig.send_copies();
    assert_eq!(rig.budget.used(), 0);
    rig.take(client.send(&sized(&body)));
    assert_eq!(rig.targets().len(), 1);
    // A head that isn't complete, and what waits for a hole, count too.
    rig.take(client.send(&format!("GET /{body}")));
    assert_eq!(rig.snapshot().drops().last(), Some((DropReason::MemoryLimit, 2)));
    let mut other = Client::connect(&mut rig, 2, &["GET / "]);
    other.skip(1);
    rig.take(other.send(&body));
    assert_eq!(rig.snapshot().drops().last(), Some((DropReason::MemoryLimit, 3)));
    assert!(rig.budget.refused() >= 3);
    rig.finish();
}

#[test]
fn trailers_that_find_no_memory_cost_the_request() {
    for trailers in [format!("X-T: {}\r\n", "t".repeat(700)), "a: b\r\n".repeat(12), String::new()] {
        let mut rig = Rig::within(PipelineLimits::default(), 800);
        Client::connect(&mut rig, 1, &[&post(CHUNKED, &format!("1\r\nx\r\n0\r\n{trailers}\r\n"))]);
        let drops = if trailers.is_empty() { vec![] } else { vec![(DropReason::MemoryLimit, 1)] };
        assert_eq!((rig.targets().len(), rig.drops()), (usize::from(trailers.is_empty()), drops));
        rig.finish();
    }
}

#[test]
fn an_announced_length_alone_takes_no_memory() {
    let mut rig = Rig::new();
    let lines = format!("Content-Length: {}\r\n", 16 << 20);
    let mut client = Client::connect(&mut rig, 1, &[&post(&lines, "")]);
    assert!(rig.budget.used() < 1000);
    let mebibyte = vec![b'x'; 1 << 20];
    for sent in 1..=16_usize {
        rig.take(client.send(&mebibyte));
        assert!((sent << 20..(sent << 21) + 1000).contains(&rig.budget.used()));
    }
    assert_eq!(rig.delivered()[0].1.len(), 16 << 20);
    assert!(rig.budget.used() < (16 << 20) + 1000);
    rig.finish();
}

#[test]
fn flows_over_the_limit_are_refused() {
    let mut rig = Rig::within(PipelineLimits { max_flows: 2, ..PipelineLimits::default() }, 1 << 20);
    let first = Client::connect(&mut rig, 1, &[&get("/1")]);
    Client::connect(&mut rig, 2, &[&get("/2")]);
    Client::connect(&mut rig, 3, &[&get("/3")]);
    rig.take(first.with(RST));
    Client::connect(&mut rig, 4, &[&get("/4")]);
    assert_eq!(rig.targets(), ["GET /1", "GET /2", "GET /4"]);
    let stats = rig.stats();
    assert_eq!((stats.flows_open, stats.flows_total, stats.flows_refused), (2, 3, 1));
    assert_eq!(stats.unknown_segments, 0);
    rig.finish();
}

#[test]
fn idle_flows_are_evicted() {
    let mut rig = Rig::new();
    Client::connect(&mut rig, 1, &[OPEN]);
    let mut busy = Client::connect(&mut rig, 2, &[OPEN]);
    let served = Client::connect(&mut rig, 3, &[OPEN]);
    rig.wait(300 * SECOND);
    rig.take(busy.send("c"));
    // A long answer keeps the flow alive too.
    rig.take(served.answer(0));
    rig.wait(300 * SECOND);
    assert_eq!((rig.stats().flows_evicted, rig.stats().flows_open), (1, 2));
    assert_eq!(rig.drops(), [(DropReason::Incomplete, 1)]);
    rig.wait(300 * SECOND);
    assert_eq!((rig.stats().flows_evicted, rig.stats().flows_open), (3, 0));
    rig.finish();
}

#[test]
fn time_that_goes_back_a_little_is_no_matter() {
    let mut rig = Rig::new();
    let mut client = Client::connect(&mut rig, 1, &[&get("/")]);
    // Another processor saw it earlier.
    rig.pipeline.segment(&Segment { timestamp_ns: rig.now_ns - SECOND, ..client.send(&get("/")) });
    rig.pipeline.tick(rig.now_ns - SECOND);
    rig.wait(600 * SECOND - 1);
    assert_eq!(rig.stats().flows_open, 1);
    rig.wait(1);
    assert_eq!(rig.stats().flows_open, 0);
}

#[test]
fn a_tick_looks_at_a_bounded_share_of_the_flows() {
    let mut rig = Rig::new();
    for port in 0..10_000 {
        Client::connect(&mut rig, port, &["G"]);
    }
    rig.wait(700 * SECOND);
    assert_eq!(rig.stats().flows_open, 10_000 - 4096);
    rig.wait(SECOND / 10);
    assert_eq!(rig.stats().flows_open, 10_000 - 4096 - 1000);
    rig.wait(0);
    assert_eq!(rig.stats().flows_open, 10_000 - 4096 - 1000 - 64);
    for _ in 0..2 {
        rig.wait(SECOND);
    }
    assert_eq!((rig.stats().flows_open, rig.stats().flows_evicted), (0, 10_000));
    // The slots are used again.
    Client::connect(&mut rig, 1, &[&get("/")]);
    assert_eq!((rig.stats().flows_open, rig.targets().len()), (1, 1));
    rig.finish();
}

#[test]
fn an_idle_flow_is_small() {
    assert!(
        size_of::<Flow<Assembly<Ticket, usize>>>() <= 512,
        "{}",
        size_of::<Flow<Assembly<Ticket, usize>>>()
    );
    let mut rig = Rig::new();
    let mut client = Client::connect(&mut rig, 1, &[]);
    let request = sized("body");
    for part in request.as_bytes().chunks(10) {
        rig.take(client.send(part));
    }
    // Reordered too.
    let mut late = client;
    client.skip(10);
    rig.take(client.send(&request[10..]));
    rig.take(late.send(&request[..10]));
    assert_eq!(rig.targets().len(), 2);
    rig.send_copies();
    assert_eq!(rig.budget.used(), 0);
    rig.finish();
}
