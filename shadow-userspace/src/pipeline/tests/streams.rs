//! Large bodies: their copies begin before they are complete, and end with them or not at all.

use shadow_common::tcp_flags::FIN;

use super::*;

const LIMIT: usize = 10;

/// Streams what is larger than [`LIMIT`].
fn streaming() -> Rig {
    let mut rig = Rig::new();
    rig.pipeline.sink_mut().stream_above = Some(LIMIT);
    rig
}

fn only(rig: &Rig) -> &Streamed {
    let [stream] = &*rig.pipeline.sink().streams else { panic!("{:?}", rig.pipeline.sink().streams) };
    stream
}

/// The head of an upload of `length` bytes.
fn upload(length: usize) -> String {
    post(&format!("Content-Length: {length}\r\n"), "")
}

#[test]
fn what_is_larger_begins_early_and_is_the_same_in_the_end() {
    for (body, is_streamed) in [("0123456789", false), ("0123456789a", true), ("0123456789abcdefghij", true)]
    {
        for chunked in [false, true] {
            let mut rig = streaming();
            let chunks: Vec<String> = body.chars().map(|byte| format!("1\r\n{byte}\r\n")).collect();
            let (head, bytes, end) = match chunked {
                true => (post(CHUNKED, ""), chunks, "0\r\nX-T: t\r\n\r\n"),
                false => (upload(body.len()), body.chars().map(String::from).collect(), ""),
            };
            let mut client = Client::connect(&mut rig, 1, &[&head]);
            for byte in &bytes {
                rig.take(client.send(byte));
            }
            assert_eq!(rig.pipeline.sink().streams.len(), usize::from(is_streamed));
            rig.take(client.send(end));
            rig.take(client.send(&get("/next")));
            if is_streamed {
                let stream = only(&rig);
                assert_eq!((stream.request.body.len(), stream.end), (LIMIT + 1, Some(Ok(()))));
                assert_eq!((&*stream.body(), stream.trailers), (body.as_bytes(), usize::from(chunked)));
                assert_eq!(rig.targets(), ["GET /next"]);
            } else {
                assert_eq!(rig.delivered()[0].1, body.as_bytes());
            }
            rig.finish();
        }
    }
}

#[test]
fn what_does_not_come_to_its_end_is_aborted_with_the_reason() {
    let reset: Act = |rig, client| rig.take(client.with(RST));
    let leaves: Act = |rig, client| rig.take(client.with(FIN));
    for (act, reason) in [
        (reset, DropReason::Incomplete),
        (leaves, DropReason::Incomplete),
        (hole, DropReason::Gap),
        (conflict, DropReason::Ambiguous),
        ((|rig, _| rig.pipeline.finish(DropReason::Shutdown)) as Act, DropReason::Shutdown),
    ] {
        let mut rig = streaming();
        let mut client = Client::connect(&mut rig, 1, &[&upload(100_000), "0123456789a"]);
        assert_eq!(only(&rig).end, None);
        act(&mut rig, &mut client);
        assert_eq!((only(&rig).end, rig.drops()), (Some(Err(reason)), vec![(reason, 1)]));
        rig.finish();
    }
}

#[test]
fn bad_framing_in_the_midst_of_a_stream_aborts_it() {
    let mut rig = streaming();
    Client::connect(&mut rig, 1, &[&post(CHUNKED, "b\r\n0123456789a\r\n"), "x\r\n"]);
    assert_eq!(only(&rig).end, Some(Err(DropReason::Ambiguous)));
    rig.finish();
}

/// Invariant 3: whether there is a request at all is not known yet.
#[test]
fn nothing_is_begun_before_its_start_is_confirmed() {
    let mut rig = streaming();
    let mut client = Client::new(1);
    client.enter(OPENED | marks::UNCONFIRMED);
    rig.take(client.send(&upload(30)));
    rig.take(client.send("0123456789abcdefghij"));
    assert_eq!(rig.pipeline.sink().streams.len(), 0);
    rig.take(client.news(OPENED | marks::CONFIRMED));
    assert_eq!(rig.pipeline.sink().streams.len(), 0);
    rig.take(client.send("k"));
    assert_eq!(only(&rig).request.body, "0123456789abcdefghijk");
    rig.take(client.send("lmnopqrst"));
    assert_eq!(only(&rig).end, Some(Ok(())));
    rig.finish();
}

#[test]
fn a_stream_that_nobody_wants_any_more_is_followed_to_its_end() {
    let mut rig = streaming();
    rig.pipeline.sink_mut().max_chunks = 1;
    let parts = [&*upload(14), "0123456789a", "b", "c", "d", &*get("/next")];
    Client::connect(&mut rig, 1, &parts);
    assert_eq!((only(&rig).end, rig.drops()), (None, vec![(DropReason::Backlog, 1)]));
    assert_eq!(rig.targets(), ["GET /next"]);
    rig.finish();
}

#[test]
fn parts_of_a_stream_count_until_they_are_sent() {
    for are_sent in [true, false] {
        let mut rig = Rig::within(PipelineLimits::default(), 300_000);
        rig.pipeline.sink_mut().stream_above = Some(LIMIT);
        let mut client = Client::connect(&mut rig, 1, &[&upload(1 << 30)]);
        for _ in 0..100 {
            rig.take(client.send(&"x".repeat(10_000)));
            let stream = &mut rig.pipeline.sink_mut().streams[0];
            if are_sent {
                (stream.request.body, stream.chunks) = (Bytes::new(), Vec::new());
            }
        }
        let end = if are_sent { None } else { Some(Err(DropReason::MemoryLimit)) };
        assert_eq!(only(&rig).end, end);
        rig.finish();
    }
}

#[test]
fn a_body_that_will_be_streamed_takes_no_memory_for_all_of_it() {
    let mut rig = streaming();
    let mut client = Client::connect(&mut rig, 1, &[&upload(1 << 20)]);
    rig.take(client.send("0"));
    assert!(rig.budget.used() < 1000, "{}", rig.budget.used());
    rig.finish();
}

#[test]
fn the_head_of_a_stream_counts_on_when_its_first_bytes_were_sent() {
    let mut rig = streaming();
    let mut client = Client::connect(&mut rig, 1, &[&upload(100), "0123456789a"]);
    let (begun, head) = (rig.budget.used(), only(&rig).request.head.memory());
    rig.pipeline.sink_mut().streams[0].request.body = Bytes::new();
    assert_eq!(begun - rig.budget.used(), LIMIT + 1);
    // A client that sends byte by byte makes parts that hold more than their bytes.
    let before = rig.budget.used();
    for _ in 0..10 {
        rig.take(client.send("b"));
    }
    assert!(rig.budget.used() - before > 10 * 64);
    rig.take(client.with(RST));
    rig.pipeline.sink_mut().streams[0].chunks.clear();
    assert_eq!(rig.budget.used(), head);
    rig.pipeline.sink_mut().streams.clear();
    assert_eq!(rig.budget.used(), 0);
    rig.finish();
}
