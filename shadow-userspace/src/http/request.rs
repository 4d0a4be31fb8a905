//! The HTTP/1 request decoder: the client's bytes of one connection in, [`RequestEvent`]s out.
//!
//! Takes the stream in slices cut anywhere and gives the same events for every cut (only body bytes come in other
//! pieces). Keeps invariant 3: a request is ended only where RFC 9112 puts its end beyond doubt; otherwise it fails,
//! and nothing after it is believed until [`RequestDecoder::reset`].

use bytes::Bytes;

use super::{
    DecoderLimits,
    body::{Body, BodyPart},
    chunked::Chunks,
    classify::{Class, PROBE, Protocol, classify},
    framing::BodyFraming,
    head::RequestHead,
    section::Section,
};
use crate::ledger::DropReason;

/// What the decoder tells. Of a request: `Start`, `Head`, any number of `Body`, perhaps `Trailers`, `End`; or `Failed`
/// anywhere after `Start`.
#[derive(Clone, Debug)]
pub enum RequestEvent<'a> {
    /// A request begins: its method was seen.
    Start,
    /// Its head is complete.
    Head(RequestHead),
    /// Bytes of its body, without transfer coding; never empty.
    Body(&'a [u8]),
    /// The trailer fields of its chunked body, if there are any.
    Trailers(Vec<(Bytes, Bytes)>),
    /// It is complete. One that asks for a tunnel (CONNECT, Upgrade) is the last until [`RequestDecoder::go_on`].
    End,
    /// It can't be followed to its end. Nothing comes after this.
    Failed(DropReason),
    /// The connection does not begin with an HTTP/1 request. Nothing comes after this.
    NotHttp1(Protocol),
}

impl<'a> From<BodyPart<'a>> for RequestEvent<'a> {
    fn from(part: BodyPart<'a>) -> Self {
        match part {
            BodyPart::Data(bytes) => Self::Body(bytes),
            BodyPart::Trailers(fields) => Self::Trailers(fields),
        }
    }
}

/// Decodes the client's direction of a connection.
#[derive(Debug)]
pub struct RequestDecoder {
    limits: DecoderLimits,
    state: State,
    /// Whether a request was seen on the connection.
    speaks_http: bool,
    /// What may follow the current request.
    after: After,
    bytes_after_last: u64,
}

/// What may follow a request on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Request,
    /// Another protocol, if the service agrees.
    Tunnel,
    Nothing,
}

#[derive(Debug)]
enum State {
    /// In the empty lines that may precede a request line.
    EmptyLines { lines: usize, cr: bool },
    /// At the first bytes of a request line, too few to know what they are.
    Undecided(Vec<u8>),
    /// In a head.
    Head(Section),
    /// In a body.
    Body(Body),
    /// Behind a request that asks for a tunnel: what follows is the service's to say.
    Switching,
    /// After the last request of the connection.
    Closed,
    /// After a failure.
    Dead,
}

impl State {
    const IDLE: Self = Self::EmptyLines { lines: 0, cr: false };
}

/// Why there is nothing more to decode.
enum Stop {
    Failed(DropReason),
    Not(Protocol),
}

impl<E: Into<DropReason>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl RequestDecoder {
    /// At the start of a connection.
    #[must_use]
    pub fn new(limits: DecoderLimits) -> Self {
        Self { limits, state: State::IDLE, speaks_http: false, after: After::Request, bytes_after_last: 0 }
    }

    /// Takes the next bytes of the stream and tells what they complete.
    pub fn push(&mut self, mut input: &[u8], mut on_event: impl FnMut(RequestEvent<'_>)) {
        while !input.is_empty() && !self.is_dead() {
            if let Err(stop) = self.step(&mut input, &mut on_event) {
                self.stop(stop, &mut on_event);
            }
        }
        if matches!(self.state, State::Closed) {
            self.bytes_after_last += input.len() as u64;
        }
    }

    /// Begins anew where a request is known to start; what was begun is forgotten.
    pub fn reset(&mut self) {
        self.state = State::IDLE;
    }

    /// Whether the next `bytes` bytes lie within a body of known length, so that what follows them has its place even
    /// if they are missing.
    #[must_use]
    pub fn can_skip(&self, bytes: u64) -> bool {
        matches!(self.state, State::Body(Body::Length(left)) if left >= bytes)
    }

    /// Goes on behind the next `bytes` bytes, which are missing, if it [can](Self::can_skip).
    pub fn skip(&mut self, bytes: u64, mut on_event: impl FnMut(RequestEvent<'_>)) {
        if let State::Body(body) = &mut self.state
            && body.skip(bytes) == Some(true)
        {
            self.end(&mut on_event);
        }
    }

    /// Whether a request that asks for a tunnel is complete, and the service hasn't said yet what follows.
    #[must_use]
    pub fn is_switching(&self) -> bool {
        matches!(self.state, State::Switching)
    }

    /// The service declined the tunnel: requests follow.
    pub fn go_on(&mut self) {
        if self.is_switching() {
            self.state = State::IDLE;
        }
    }

    /// Whether everything taken so far belongs to requests that are complete, so that the next may begin here.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::EmptyLines { cr: false, .. })
    }

    /// Whether nothing is decoded any more: after `Failed`, `NotHttp1`, or the last request of the connection.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        matches!(self.state, State::Closed | State::Dead)
    }

    /// Bytes that came after the connection's last request; a server doesn't read them as one.
    #[must_use]
    pub fn bytes_after_last(&self) -> u64 {
        self.bytes_after_last
    }

    /// Memory held for an incomplete head or trailer section, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        match &self.state {
            State::Undecided(bytes) => bytes.capacity(),
            State::Head(section) => section.memory(),
            State::Body(body) => body.memory(),
            State::EmptyLines { .. } | State::Switching | State::Closed | State::Dead => 0,
        }
    }

    /// Takes at least one byte off `input`, or changes the state.
    fn step(&mut self, input: &mut &[u8], on_event: &mut impl FnMut(RequestEvent<'_>)) -> Result<(), Stop> {
        match &mut self.state {
            State::EmptyLines { lines, cr } => {
                skip_empty_lines(lines, cr, self.limits.max_empty_lines, input)?;
                if !input.is_empty() {
                    self.state = State::Undecided(Vec::new());
                }
            }
            State::Undecided(_) => self.classify(input, on_event)?,
            State::Head(section) => {
                if let Some(raw) = section.push(input, self.limits.max_head_bytes)? {
                    let head = RequestHead::parse(raw).map_err(|error| Stop::Failed(error.drop_reason()))?;
                    self.take_head(head, on_event)?;
                }
            }
            State::Body(body) => {
                if body.push(input, &self.limits, |part| on_event(part.into()))? {
                    self.end(on_event);
                }
            }
            // Bytes that don't wait for the answer are taken for the tunnel's.
            State::Switching => self.state = State::Closed,
            State::Closed | State::Dead => *input = &[],
        }
        Ok(())
    }

    fn classify(
        &mut self,
        input: &mut &[u8],
        on_event: &mut impl FnMut(RequestEvent<'_>),
    ) -> Result<(), Stop> {
        let State::Undecided(seen) = &mut self.state else { return Ok(()) };
        let class = if seen.is_empty() {
            classify(input)
        } else {
            let mut probe = [0; PROBE];
            let known = probe.iter_mut().zip(seen.iter().chain(input.iter()));
            let length = known.map(|(to, from)| *to = *from).count();
            classify(probe.get(..length).unwrap_or_default())
        };
        match class {
            // PROBE bytes always decide, so these are fewer.
            Class::Undecided => seen.extend_from_slice(std::mem::take(input)),
            Class::Request => {
                self.speaks_http = true;
                let seen = std::mem::take(seen);
                on_event(RequestEvent::Start);
                // Nearly every head comes in one piece. One that doesn't, or is bad, is judged once its end is there.
                if seen.is_empty()
                    && let Some(head) = RequestHead::take(input, self.limits.max_head_bytes)
                {
                    return self.take_head(head, on_event);
                }
                self.state = State::Head(Section::begun_with(seen));
            }
            Class::Not(protocol) => return Err(Stop::Not(protocol)),
        }
        Ok(())
    }

    fn take_head(
        &mut self,
        head: RequestHead,
        on_event: &mut impl FnMut(RequestEvent<'_>),
    ) -> Result<(), Stop> {
        let framing = head.framing();
        let connects = head.method() == "CONNECT";
        // RFC 9110 section 9.3.6: it has no content; a recipient may take what it announces for the tunnel's.
        if connects && framing != BodyFraming::None {
            return Err(Stop::Failed(DropReason::Ambiguous));
        }
        self.after = match head.keeps_alive() {
            _ if connects || head.asks_for_upgrade() => After::Tunnel,
            true => After::Request,
            false => After::Nothing,
        };
        on_event(RequestEvent::Head(head));
        match framing {
            BodyFraming::None | BodyFraming::Length(0) => self.end(on_event),
            BodyFraming::Length(left) => self.state = State::Body(Body::Length(left)),
            BodyFraming::Chunked => self.state = State::Body(Body::Chunked(Chunks::START)),
        }
        Ok(())
    }

    fn end(&mut self, on_event: &mut impl FnMut(RequestEvent<'_>)) {
        self.state = match self.after {
            After::Request => State::IDLE,
            After::Tunnel => State::Switching,
            After::Nothing => State::Closed,
        };
        on_event(RequestEvent::End);
    }

    fn stop(&mut self, stop: Stop, on_event: &mut impl FnMut(RequestEvent<'_>)) {
        self.state = State::Dead;
        match stop {
            Stop::Failed(reason) => on_event(RequestEvent::Failed(reason)),
            // Where requests were spoken, what isn't one is a broken one.
            Stop::Not(_) if self.speaks_http => {
                on_event(RequestEvent::Start);
                on_event(RequestEvent::Failed(DropReason::Ambiguous));
            }
            Stop::Not(protocol) => on_event(RequestEvent::NotHttp1(protocol)),
        }
    }
}

/// Takes the empty lines off the front of `input` (RFC 9112 section 2.2).
fn skip_empty_lines(lines: &mut usize, cr: &mut bool, max: usize, input: &mut &[u8]) -> Result<(), Stop> {
    while let Some((byte, rest)) = input.split_first() {
        match (*cr, *byte) {
            (false, b'\r') if *lines < max => *cr = true,
            (true, b'\n') => {
                *cr = false;
                *lines += 1;
            }
            (false, byte) if byte != b'\r' => return Ok(()),
            _ => return Err(Stop::Not(Protocol::Other)),
        }
        *input = rest;
    }
    Ok(())
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
