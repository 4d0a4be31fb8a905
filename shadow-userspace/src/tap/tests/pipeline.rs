//! The sink behind the pipeline: segments in, lines out.

use serde_json::{Value, json};
use shadow_common::{Direction, marks, tcp_flags::*};

use super::*;
use crate::{
    budget::MemoryBudget,
    capture::{Run, Segment},
    ledger::Ledger,
    pipeline::{ExchangePipeline, Pipeline, PipelineLimits, Sampler},
};

const MS: u64 = 1_000_000;

/// Shows a connection to the pipeline whose two sides say this, and gives what is printed of it.
fn overhear(options: &TapOptions, talk: &[(Direction, &str)]) -> String {
    let mut printed = Vec::new();
    let tap = Tap::in_zone(options, &mut printed, || TimeZone::UTC);
    let budget = MemoryBudget::new(1 << 20);
    let mut pipeline: ExchangePipeline<_> =
        Pipeline::new(PipelineLimits::default(), Ledger::new(), budget, Sampler::all(), tap);
    let (mut client, mut service) = (1000, 2000);
    for ((direction, bytes), at_ns) in talk.iter().zip((BEGAN_NS..).step_by(MS as usize)) {
        let (seq, ack) = match direction {
            Direction::ToService => (&mut client, &mut service),
            Direction::FromService => (&mut service, &mut client),
        };
        let mark = match direction {
            Direction::ToService => marks::SAMPLED | marks::OPEN,
            Direction::FromService => 0,
        };
        pipeline.segment(&Segment {
            flow: flow(),
            direction: *direction,
            seq: *seq,
            ack: *ack,
            flags: ACK,
            timestamp_ns: at_ns,
            run: Run { start: 1000, mark },
            payload_len: u32::try_from(bytes.len()).unwrap(),
            payload: bytes.as_bytes(),
        });
        *seq += u32::try_from(bytes.len()).unwrap();
    }
    pipeline.finish(DropReason::Incomplete);
    pipeline.sink_mut().flush();
    drop(pipeline);
    String::from_utf8(printed).unwrap()
}

#[test]
fn a_kept_connection_is_printed_exchange_by_exchange() {
    use Direction::*;
    let printed = overhear(
        &options(TapFormat::Json),
        &[
            (ToService, "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            (ToService, "1\r\nd\r\n0\r\n\r\n"),
            (FromService, "HTTP/1.1 100 Continue\r\n\r\n"),
            (FromService, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"),
            (FromService, "lo"),
            (ToService, "GET /b HTTP/1.1\r\nHost: a\r\n\r\n"),
        ],
    );
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [first, second] = lines.as_slice() else { panic!("{printed}") };
    assert_eq!((&first["target"], &first["body_bytes"]), (&json!("/a"), &json!(4)));
    assert_eq!(first["body_sha256"], super::json::ABCD);
    assert_eq!(first["response"]["body_sha256"], super::json::HELLO);
    assert_eq!((&first["outcome"], &first["response"]["outcome"]), (&json!("complete"), &json!("complete")));
    assert_eq!((&first["time"], &first["latency_ms"]), (&json!("2026-11-25T03:00:37.123456Z"), &json!(2.0)));
    assert_eq!((&second["target"], &second["outcome"]), (&json!("/b"), &json!("complete")));
    assert_eq!((&second["response"], &second["latency_ms"]), (&Value::Null, &Value::Null));
}
