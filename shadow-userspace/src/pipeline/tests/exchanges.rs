//! Both directions of a flow in, exchanges out: a pipeline that writes them down, and two sides that talk.

mod conversations;
mod lost;
mod said;

use shadow_common::tcp_flags::FIN;

use super::*;
use crate::http::ResponseHead;

/// What became of an exchange, in words.
#[derive(Debug, Default)]
struct Told {
    request: String,
    response: String,
    over: (bool, bool),
}

/// Writes down every exchange that is finished.
#[derive(Debug, Default)]
struct Log {
    begun: usize,
    finished: Vec<String>,
}

impl ExchangeSink for Log {
    type Exchange = Told;

    fn begin(&mut self, _flow: &FlowKey, _at_ns: u64) -> Told {
        self.begun += 1;
        Told::default()
    }

    fn part(&mut self, told: &mut Told, part: ExchangeEvent<'_>, _at_ns: u64) {
        let end = |end: Result<(), DropReason>| {
            end.map_or_else(|reason| format!(" !{}", reason.label()), |()| ".".into())
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let status = |head: &ResponseHead| head.status();
        let fields = |fields: Vec<(bytes::Bytes, bytes::Bytes)>| format!(" +{}", fields.len());
        let (side, words) = match part {
            ExchangeEvent::RequestHead(head) => (0, format!("{} {} ", head.method(), head.target())),
            ExchangeEvent::RequestBody(bytes) => (0, text(bytes)),
            ExchangeEvent::RequestTrailers(trailers) => (0, fields(trailers)),
            ExchangeEvent::RequestEnd(how) => (1, end(how)),
            ExchangeEvent::Interim(head) => (2, format!("({})", status(&head))),
            ExchangeEvent::ResponseHead(head) => (2, format!("{} ", status(&head))),
            ExchangeEvent::ResponseBody(bytes) => (2, text(bytes)),
            ExchangeEvent::ResponseHole(bytes) => (2, format!("[{bytes}]")),
            ExchangeEvent::ResponseTrailers(trailers) => (2, fields(trailers)),
            ExchangeEvent::ResponseEnd(how) => (3, end(how)),
        };
        assert!(
            !(if side < 2 { told.over.0 } else { told.over.1 }),
            "nothing follows an end: {told:?} {words}"
        );
        told.over = (told.over.0 || side == 1, told.over.1 || side == 3);
        if side < 2 { told.request.push_str(&words) } else { told.response.push_str(&words) }
    }

    fn finish(&mut self, told: Told) {
        assert!(told.over.0, "every request has an end: {told:?}");
        assert!(told.over.1 || told.response.is_empty() || told.response.ends_with(')'), "{told:?}");
        self.finished.push(format!("{} -> {}", told.request, told.response));
    }
}

/// A connection whose two sides talk in turn, each acknowledging what it has.
struct Talk {
    pipeline: ExchangePipeline<Log>,
    client: Client,
    service: u32,
    now_ns: u64,
    budget: MemoryBudget,
}

impl Talk {
    fn new() -> Self {
        Self::within(1 << 30)
    }

    fn within(memory: usize) -> Self {
        let budget = MemoryBudget::new(memory);
        let pipeline = Pipeline::new(
            PipelineLimits::default(),
            Ledger::new(),
            budget.clone(),
            Sampler::all(),
            Log::default(),
        );
        Self { pipeline, client: Client::new(1), service: u32::MAX - 30, now_ns: SECOND, budget }
    }

    fn take(&mut self, segment: Segment<'_>) {
        self.now_ns += MS;
        self.pipeline.segment(&Segment { timestamp_ns: self.now_ns, ..segment });
    }

    fn client(&mut self, bytes: &str) -> &mut Self {
        let segment = Segment { ack: self.service, ..self.client.send(bytes) };
        self.take(segment);
        self
    }

    fn service(&mut self, bytes: &str) -> &mut Self {
        let segment = self.answer(ACK, bytes.as_bytes());
        self.service = self.service.wrapping_add(u32::try_from(bytes.len()).unwrap());
        self.take(segment);
        self
    }

    fn answer<'a>(&self, flags: u8, payload: &'a [u8]) -> Segment<'a> {
        let run = Run { mark: marks::SAMPLED, ..self.client.run };
        let segment = Client::segment(self.client.flow, self.service, flags, payload);
        Segment { direction: Direction::FromService, ack: self.client.next, run, ..segment }
    }

    /// The client sends what the capture doesn't see.
    fn lose_request(&mut self, bytes: &str) -> &mut Self {
        self.client.skip(bytes.len());
        self
    }

    fn lose_response(&mut self, bytes: usize) -> &mut Self {
        self.service = self.service.wrapping_add(u32::try_from(bytes).unwrap());
        self
    }

    fn client_fin(&mut self) -> &mut Self {
        let segment = Segment { ack: self.service, ..self.client.with(FIN) };
        self.client.skip(1);
        self.take(segment);
        self
    }

    fn service_fin(&mut self) -> &mut Self {
        let segment = self.answer(FIN | ACK, b"");
        self.service = self.service.wrapping_add(1);
        self.take(segment);
        self
    }

    fn rst(&mut self) -> &mut Self {
        let segment = self.answer(RST | ACK, b"");
        self.take(segment);
        self
    }

    fn finished(&self) -> &[String] {
        &self.pipeline.sink().finished
    }

    /// Ends the capture.
    fn end(&mut self) -> Vec<String> {
        self.pipeline.finish(DropReason::Shutdown);
        assert_eq!(self.pipeline.sink().begun, self.finished().len());
        assert_eq!((self.budget.used(), self.pipeline.stats().flows_open), (0, 0));
        self.finished().to_vec()
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";
