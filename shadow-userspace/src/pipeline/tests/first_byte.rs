//! Which answers are measured, and from when.

use shadow_common::marks::{ANSWERED, LOST};

use super::*;
use crate::shadow::mirror::latency::Quantiles;

/// A client's connection on which the service sends 100 bytes per answer.
struct Talk {
    rig: Rig,
    client: Client,
    /// What the client has received so far, and the service's next byte.
    received: u32,
    times: Arc<Latency>,
}

impl Talk {
    fn new() -> Self {
        let (mut rig, times) = (Rig::new(), Arc::new(Latency::new()));
        rig.pipeline.measure_first_bytes(Arc::clone(&times));
        Self { rig, client: Client::new(1), received: 5000, times }
    }

    /// The client sends a part of its stream.
    fn send(&mut self, part: &str) -> &mut Self {
        let segment = Segment { ack: self.received, ..self.client.send(part) };
        self.rig.take(segment);
        self
    }

    /// A run that begins here, with a whole request.
    fn run(&mut self, mark: u8, request: &str) -> &mut Self {
        self.client.enter(mark);
        self.send(request)
    }

    /// So many milliseconds pass, then the service begins its answer, as the kernel tells.
    fn answer(&mut self, ms: u64) -> &mut Self {
        self.answer_with(ms, |_| ());
        self.received += 100;
        self
    }

    fn answer_with(&mut self, ms: u64, change: impl FnOnce(&mut Segment<'static>)) -> &mut Self {
        self.rig.now_ns += (ms - 1) * MS;
        let mut record = self.client.news(ANSWERED);
        (record.seq, record.ack) = (self.received, self.client.next);
        change(&mut record);
        self.rig.take(record);
        self
    }

    /// Milliseconds of the answers that were measured, the fastest first: their median and the slowest.
    #[track_caller]
    fn assert_measured(&mut self, expected: &[u64]) {
        let Quantiles { p50, max, .. } = self.times.total();
        let median = expected.get(expected.len().saturating_sub(1) / 2);
        for (measured, expected) in [(p50, median), (max, expected.last())] {
            // The histogram's own steps are of 1 %.
            let (measured, expected) = (measured.as_secs_f64() * 1e3, expected.copied().unwrap_or(0) as f64);
            assert!((measured - expected).abs() <= expected / 50.0, "{measured} ms for {expected} ms");
        }
        self.rig.finish();
    }
}

#[test]
fn from_the_last_byte_of_the_request_to_the_first_of_its_answer() {
    for mark in [FRAMED, OPENED] {
        let mut talk = Talk::new();
        talk.run(mark, &get("/a")).answer(20).run(mark, &sized("body")).answer(30);
        // In parts, the last of which counts.
        talk.run(mark, OPEN).send("c").answer(50).assert_measured(&[20, 30, 50]);
    }
}

#[test]
fn requests_of_one_open_run_are_measured_one_by_one() {
    let mut talk = Talk::new();
    talk.run(OPENED, &post(CHUNKED, "0\r\n\r\n")).answer(10);
    talk.send(&get("/b")).answer(20).send("GET /c HTTP/1.1\r\n").send("Host: a\r\n\r\n").answer(40);
    talk.assert_measured(&[10, 20, 40]);
}

#[test]
fn the_last_request_of_a_connection_is_measured() {
    let mut talk = Talk::new();
    talk.run(FRAMED, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .answer(20)
        .assert_measured(&[20]);
}

#[test]
fn bytes_that_come_late_end_the_request() {
    let mut talk = Talk::new();
    talk.client.enter(FRAMED);
    let (head, tail) = (talk.client, "c");
    talk.client.skip(OPEN.len());
    talk.send(tail);
    let late = Segment { ack: talk.received, ..{ head }.send(OPEN) };
    talk.rig.now_ns += 100 * MS;
    talk.rig.take(late);
    talk.answer(20).assert_measured(&[20]);
}

#[test]
fn only_the_first_word_of_an_answer_counts() {
    let mut talk = Talk::new();
    talk.run(FRAMED, &get("/a")).answer_with(10, |_| ()).answer(300).assert_measured(&[10]);
}

#[test]
fn an_interim_answer_before_it_is_no_hindrance() {
    let mut talk = Talk::new();
    talk.run(FRAMED, &get("/a")).answer_with(20, |record| record.seq += 25).assert_measured(&[20]);
}

/// What may belong to something else isn't measured, and what follows is.
#[test]
fn what_cannot_be_paired_is_not_measured() {
    type Wrong = fn(&mut Segment<'static>);
    let wrong: [Wrong; 3] = [
        // An earlier answer's; one that acknowledges less, or more.
        |record| record.seq -= 1,
        |record| record.ack -= 1,
        |record| record.ack += 1,
    ];
    for change in wrong {
        let mut talk = Talk::new();
        talk.run(FRAMED, &get("/a")).answer_with(10, change);
        talk.received += 100;
        talk.run(FRAMED, &get("/b")).answer(40);
        talk.assert_measured(&[40]);
    }
}

#[test]
fn an_answer_of_another_run_is_not_measured() {
    let mut talk = Talk::new();
    talk.run(FRAMED, &get("/a")).answer_with(10, |record| record.run.start = 5).assert_measured(&[]);
}

#[test]
fn an_early_answer_is_not_measured() {
    let mut talk = Talk::new();
    talk.run(OPENED, OPEN).answer_with(10, |_| ()).send("c").answer(20).run(FRAMED, &get("/b")).answer(30);
    talk.assert_measured(&[30]);
}

#[test]
fn a_client_that_pipelines_is_not_measured() {
    let shared_segment = "x".to_owned() + &get("/b");
    let head = "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n";
    let pipelines: [&dyn Fn(&mut Talk); 3] = [
        &|talk| _ = talk.run(FRAMED, &get("/a")).run(FRAMED, &get("/b")),
        &|talk| _ = talk.run(OPENED, &(get("/a") + &get("/b"))),
        &|talk| _ = talk.run(OPENED, head).send(&shared_segment),
    ];
    for pipeline in pipelines {
        let mut talk = Talk::new();
        pipeline(&mut talk);
        talk.answer(10).run(FRAMED, &get("/c")).answer(20).assert_measured(&[]);
    }
}

/// The answer that was lost may have come: the next is measured all the same.
#[test]
fn a_word_that_is_lost_costs_one_time() {
    let mut talk = Talk::new();
    talk.run(FRAMED, &get("/a"));
    talk.received += 100;
    talk.run(FRAMED, &get("/b")).answer_with(30, |record| record.run.mark |= LOST).assert_measured(&[30]);
}
