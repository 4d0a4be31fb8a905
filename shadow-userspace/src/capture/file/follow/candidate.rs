//! A request start that was taken in mid-life of a connection, and waits for the service's answer.

use std::sync::Arc;

use crate::{
    capture::Seq,
    http::{DecoderLimits, RequestDecoder, RequestEvent},
};

/// Candidates of which the bytes are decoded at once, all flows together (invariant 4). Of more, none can be confirmed.
const MAX_DECODED: usize = 1024;

/// Hands out what a candidate needs to be decoded.
#[derive(Debug, Default)]
pub(super) struct Permits(Arc<()>);

impl Permits {
    fn take(&self) -> Option<Arc<()>> {
        (Arc::strong_count(&self.0) <= MAX_DECODED).then(|| Arc::clone(&self.0))
    }
}

/// What the client sent since a request seemed to begin.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Where the client's bytes end, without a hole since the start.
    end: Seq,
    /// Where the answer has to begin: what the client had received of the service when it sent the start.
    pub(super) answer: Seq,
    /// `None` if it can't be confirmed.
    decoding: Option<Decoding>,
}

#[derive(Debug)]
struct Decoding {
    decoder: RequestDecoder,
    begun: u32,
    _permit: Arc<()>,
}

impl Candidate {
    /// Begins at `start`, when the client had received everything before `answer`.
    pub(super) fn new(start: Seq, answer: Seq, is_provable: bool, permits: &Permits) -> Self {
        let permit = permits.take().filter(|_| is_provable);
        let decoder = RequestDecoder::new(DecoderLimits::default());
        let decoding = permit.map(|permit| Decoding { decoder, begun: 0, _permit: permit });
        Self { end: start, answer, decoding }
    }

    /// Takes a segment of the client's.
    pub(super) fn take(&mut self, seq: Seq, payload: &[u8], payload_len: u32) {
        let behind = self.end.ahead_of(seq);
        let Some(known) = u32::try_from(behind).ok().filter(|&known| known < payload_len) else {
            // Repeated bytes are no news; after a hole it isn't known whether it is one request.
            self.decoding.take_if(|_| behind < 0);
            return;
        };
        let is_whole = payload.len() == payload_len as usize;
        let new = payload.get(known as usize..).unwrap_or_default();
        self.end += payload_len - known;
        self.decoding.take_if(|decoding| !is_whole || !decoding.take(new));
    }

    /// Whether what the client sent is exactly one request, and ends at `end`.
    pub(super) fn is_request_until(&self, end: Seq) -> bool {
        self.end == end && self.decoding.as_ref().is_some_and(Decoding::is_request)
    }
}

impl Decoding {
    /// Whether it is one request, and nothing behind it. What can't become that was given up when it was taken.
    fn is_request(&self) -> bool {
        let ends_here = self.decoder.is_idle() || self.decoder.is_dead();
        ends_here && self.decoder.bytes_after_last() == 0
    }

    /// Says whether it may still be one request.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let Self { decoder, begun, .. } = self;
        let mut is_request = true;
        decoder.push(bytes, |event| match event {
            RequestEvent::Start => *begun += 1,
            RequestEvent::Failed(_) | RequestEvent::NotHttp1(_) => is_request = false,
            RequestEvent::Head(_) | RequestEvent::Body(_) | RequestEvent::Trailers(_) | RequestEvent::End => {
            }
        });
        is_request && *begun <= 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sequence numbers wrap within the requests.
    const START: Seq = Seq(u32::MAX - 9);
    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";

    /// What was sent at this offset, and how many bytes more the capture cut off.
    type Part<'a> = (usize, &'a str, u32);

    fn is_request(is_provable: bool, parts: &[Part<'_>], until: usize) -> bool {
        let mut candidate = Candidate::new(START, Seq(0), is_provable, &Permits::default());
        for (at, payload, cut) in parts {
            candidate.take(START + *at as u32, payload.as_bytes(), payload.len() as u32 + cut);
        }
        candidate.is_request_until(START + until as u32)
    }

    #[test]
    fn exactly_one_request_is_one() {
        let (head, body) = (POST.len(), "abc");
        let last = "GET / HTTP/1.0\r\n\r\n";
        let wrong = "GET / HTTP/1.1\r\nHost : a\r\n\r\n";
        for (parts, until, expected) in [
            (&[(0, GET, 0)][..], GET.len(), true),
            (&[(0, &GET[..9], 0), (9, &GET[9..], 0)], GET.len(), true),
            (&[(0, POST, 0), (head, body, 0)], head + 3, true),
            (&[(0, last, 0)], last.len(), true),
            // What comes again is no news.
            (&[(0, GET, 0), (0, GET, 0), (0, "GET", 0)], GET.len(), true),
            (&[(0, &GET[..9], 0), (4, &GET[4..], 0)], GET.len(), true),
            (&[(0, GET, 0), (0, &GET[..9], GET.len() as u32 - 9)], GET.len(), true),
            // Another end, none yet, one too many, or more behind it.
            (&[(0, GET, 0)], GET.len() - 1, false),
            (&[(0, POST, 0), (head, "ab", 0)], head + 2, false),
            (&[(0, GET, 0), (GET.len(), GET, 0)], 2 * GET.len(), false),
            (&[(0, GET, 0), (GET.len(), "x", 0)], GET.len() + 1, false),
            (&[(0, last, 0), (last.len(), "x", 0)], last.len() + 1, false),
            // A hole, also if it is filled later, and what the capture cut off.
            (&[(0, POST, 0), (head + 1, "bc", 0), (head, body, 0)], head + 3, false),
            (&[(0, POST, 0), (head, "ab", 1)], head + 3, false),
            (&[(0, GET, 3)], GET.len() + 3, false),
            (&[(0, wrong, 0)], wrong.len(), false),
            (&[(0, wrong, 0), (wrong.len(), GET, 0)], wrong.len() + GET.len(), false),
        ] {
            assert_eq!(is_request(true, parts, until), expected, "{parts:?}");
            assert!(!is_request(false, parts, until));
        }
    }
}
