//! The HTTP/1 decoders: the cut of the stream makes no difference, memory is bounded, bodies are as long as promised.

use super::{
    log::{Log, Told},
    pieces::Pieces,
};
use crate::http::{
    BodyFraming, DecoderLimits, RequestDecoder, RequestEvent, ResponseDecoder, ResponseEvent,
    ResponseFraming, ResponseTo,
};

/// Small, so that they are met.
const LIMITS: DecoderLimits = DecoderLimits {
    max_head_bytes: 512,
    max_trailer_bytes: 128,
    max_chunk_extension: 16,
    max_empty_lines: 2,
};

/// Room for a section grows by doubling.
const MAX_MEMORY: usize = 2 * LIMITS.max_head_bytes;

/// What a client sends: whole, in pieces, and with a hole.
///
/// # Panics
/// If something doesn't hold.
pub fn requests(data: &[u8]) {
    let pieces = Pieces::new(data);
    let mut whole = Requests::new();
    whole.push(pieces.stream);
    let mut other = Requests::new();
    pieces.iter().for_each(|piece| other.push(piece));
    assert_eq!(other.log, whole.log);
    let ends = |decoder: &RequestDecoder| (decoder.is_idle(), decoder.is_dead(), decoder.bytes_after_last());
    assert_eq!(ends(&other.decoder), ends(&whole.decoder));

    let (at, missing) = pieces.hole();
    let (before, after) = pieces.stream.split_at_checked(at).unwrap_or((pieces.stream, &[]));
    let mut holed = Requests::new();
    holed.push(before);
    if missing > 0 && holed.decoder.can_skip(missing as u64) {
        holed.skip(missing);
        holed.push(after.get(missing..).unwrap_or_default());
        assert_eq!(holed.log.frame(), whole.log.frame());
        assert_eq!(holed.log.body_bytes() + missing, whole.log.body_bytes());
    }
}

/// A decoder, and what it told.
struct Requests {
    decoder: RequestDecoder,
    log: Log,
}

impl Requests {
    fn new() -> Self {
        Self { decoder: RequestDecoder::new(LIMITS), log: Log::default() }
    }

    fn push(&mut self, piece: &[u8]) {
        let Self { decoder, log } = self;
        decoder.push(piece, |event| tell_request(log, event));
        assert!(decoder.memory() <= MAX_MEMORY, "{}", decoder.memory());
    }

    fn skip(&mut self, bytes: usize) {
        let Self { decoder, log } = self;
        log.hole(bytes as u64);
        decoder.skip(bytes as u64, |event| tell_request(log, event));
    }
}

fn tell_request(log: &mut Log, event: RequestEvent<'_>) {
    match event {
        RequestEvent::Start => log.add(Told::Start, b""),
        RequestEvent::Head(head) => log.head(
            head.raw(),
            match head.framing() {
                BodyFraming::None => Some(0),
                BodyFraming::Length(length) => Some(length),
                BodyFraming::Chunked => None,
            },
        ),
        RequestEvent::Body(bytes) => log.add(Told::Body, bytes),
        RequestEvent::Trailers(fields) => log.trailers(&fields),
        RequestEvent::End => log.add(Told::End, b""),
        RequestEvent::Failed(reason) => log.add(Told::Last, reason.label().as_bytes()),
        RequestEvent::NotHttp1(protocol) => log.add(Told::Last, format!("{protocol:?}").as_bytes()),
    }
}

/// What a server sends: whole, in pieces, and with a hole. The first byte says what the first four responses answer.
///
/// # Panics
/// If something doesn't hold.
pub fn responses(data: &[u8]) {
    let Some((requests, data)) = data.split_first() else { return };
    let pieces = Pieces::new(data);
    let mut whole = Responses::to(*requests);
    whole.push(pieces.stream);
    let mut other = Responses::to(*requests);
    pieces.iter().for_each(|piece| other.push(piece));
    assert_eq!(other.log, whole.log);
    let ends = |decoder: &ResponseDecoder| (decoder.is_idle(), decoder.is_dead(), decoder.bytes_after_last());
    assert_eq!(ends(&other.decoder), ends(&whole.decoder));

    let (at, missing) = pieces.hole();
    let (before, after) = pieces.stream.split_at_checked(at).unwrap_or((pieces.stream, &[]));
    let mut holed = Responses::to(*requests);
    holed.push(before);
    if missing > 0 && holed.skip(missing) {
        holed.push(after.get(missing..).unwrap_or_default());
        holed.finish();
        whole.finish();
        assert_eq!(holed.log.frame(), whole.log.frame());
        assert_eq!(holed.log.body_bytes() + missing, whole.log.body_bytes());
    }
}

/// A decoder, and what it told.
struct Responses {
    decoder: ResponseDecoder,
    log: Log,
    requests: u8,
}

impl Responses {
    fn to(requests: u8) -> Self {
        Self { decoder: ResponseDecoder::new(LIMITS), log: Log::default(), requests }
    }

    fn push(&mut self, mut input: &[u8]) {
        while !input.is_empty() {
            let (length, was_dead) = (input.len(), self.decoder.is_dead());
            let mut ended = false;
            let Self { decoder, log, requests } = self;
            let to = request(*requests);
            decoder.push(&mut input, to, |event| ended |= tell(log, event, to));
            self.next_if(ended);
            assert!(self.decoder.memory() <= MAX_MEMORY, "{}", self.decoder.memory());
            if was_dead {
                return;
            }
            assert!(input.len() < length || self.decoder.is_dead(), "nothing was taken");
        }
    }

    fn skip(&mut self, bytes: usize) -> bool {
        let Self { decoder, log, requests } = self;
        log.hole(bytes as u64);
        let (to, mut ended) = (request(*requests), false);
        let goes_on = decoder.skip(bytes as u64, |event| ended |= tell(log, event, to));
        assert!(goes_on || decoder.is_dead());
        self.next_if(ended);
        goes_on
    }

    fn finish(&mut self) {
        let Self { decoder, log, requests } = self;
        let to = request(*requests);
        decoder.finish(|event| _ = tell(log, event, to));
        assert!(decoder.is_dead());
    }

    /// What comes next answers the next request.
    fn next_if(&mut self, ended: bool) {
        if ended {
            self.requests = self.requests.rotate_right(2);
        }
    }
}

fn request(bits: u8) -> ResponseTo {
    match bits & 3 {
        0 => ResponseTo::Other,
        1 => ResponseTo::Head,
        2 => ResponseTo::Connect,
        _ => ResponseTo::Upgrade,
    }
}

/// Says whether it was the end of a response.
fn tell(log: &mut Log, event: ResponseEvent<'_>, to: ResponseTo) -> bool {
    match event {
        ResponseEvent::Interim(head) => log.add(Told::Interim, head.raw()),
        ResponseEvent::Head(head) => log.head(
            head.raw(),
            match head.framing(to) {
                Ok(ResponseFraming::None | ResponseFraming::Tunnel) => Some(0),
                Ok(ResponseFraming::Length(length)) => Some(length),
                Ok(ResponseFraming::Chunked | ResponseFraming::Close | ResponseFraming::Unknown) => None,
                Err(error) => panic!("a head that tells no framing: {error}"),
            },
        ),
        ResponseEvent::Body(bytes) => log.add(Told::Body, bytes),
        ResponseEvent::Trailers(fields) => log.trailers(&fields),
        ResponseEvent::End => {
            log.add(Told::End, b"");
            return true;
        }
        ResponseEvent::Tunnel => log.add(Told::Last, b"tunnel"),
        ResponseEvent::Failed(reason) => log.add(Told::Last, reason.label().as_bytes()),
    }
    false
}
