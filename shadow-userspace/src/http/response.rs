//! The HTTP/1 response decoder: the server's bytes of one connection in, [`ResponseEvent`]s out.
//!
//! Takes the stream in slices cut anywhere, and with each what the response answers; gives the same events for every
//! cut (only body bytes come in other pieces). Keeps invariant 3: a response is ended only where RFC 9112 section 6.3
//! puts its end beyond doubt; otherwise it fails, and nothing after it is believed until [`ResponseDecoder::reset`].

use bytes::Bytes;

use super::{
    DecoderLimits, ResponseHead,
    body::{Body, BodyPart},
    chunked::Chunks,
    framing::{HeadError, ResponseFraming, ResponseTo},
    section::Section,
};
use crate::ledger::DropReason;

/// What the decoder tells. Of a response: any number of `Interim`, `Head`, any number of `Body`, perhaps `Trailers`,
/// `End`; or `Head`, `Tunnel`; or `Failed` anywhere.
#[derive(Clone, Debug)]
pub enum ResponseEvent<'a> {
    /// The head of an interim response (1xx); a final one follows. 101 is a final one.
    Interim(ResponseHead),
    /// The head of the final response.
    Head(ResponseHead),
    /// Bytes of its body, without transfer coding; never empty.
    Body(&'a [u8]),
    /// The trailer fields of its chunked body, if there are any.
    Trailers(Vec<(Bytes, Bytes)>),
    /// It is complete.
    End,
    /// After `Head`: what follows on the connection isn't HTTP. Nothing comes after this.
    Tunnel,
    /// It can't be followed to its end. Nothing comes after this.
    Failed(DropReason),
}

impl<'a> From<BodyPart<'a>> for ResponseEvent<'a> {
    fn from(part: BodyPart<'a>) -> Self {
        match part {
            BodyPart::Data(bytes) => Self::Body(bytes),
            BodyPart::Trailers(fields) => Self::Trailers(fields),
        }
    }
}

/// Decodes the server's direction of a connection.
#[derive(Debug)]
pub struct ResponseDecoder {
    limits: DecoderLimits,
    state: State,
    /// Whether the current response is the last one.
    is_last: bool,
    bytes_after_last: u64,
}

#[derive(Debug)]
enum State {
    /// Before a status line, or in the first `seen` bytes of it.
    Start { seen: usize, blank: Blank },
    /// In a head.
    Head(Section),
    /// In a body that tells its end.
    Body(Body),
    /// In a body that ends with the connection.
    UntilClose,
    /// After the last response of the connection.
    Closed,
    /// After a failure, or in a tunnel.
    Dead,
}

/// Whether an empty line may precede the status line. RFC 9112 section 2.2 speaks of requests only; but clients (hyper
/// among them) take the CR LF that a server sent too many behind a body, and nothing else could be meant by it. So one
/// is taken behind a complete response, and none at the start of a connection or behind an interim response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blank {
    No,
    Allowed,
    /// Its carriage return was seen.
    Begun,
}

/// What every status line begins with. Other bytes fail at once: they need not have lines at all.
const BEGIN: &[u8] = b"HTTP/1.";

impl State {
    const FIRST: Self = Self::Start { seen: 0, blank: Blank::No };
    const NEXT: Self = Self::Start { seen: 0, blank: Blank::Allowed };
}

impl ResponseDecoder {
    /// At the start of a connection.
    #[must_use]
    pub fn new(limits: DecoderLimits) -> Self {
        Self { limits, state: State::FIRST, is_last: false, bytes_after_last: 0 }
    }

    /// Takes bytes off the front of `input` until it is empty, the final response to the request `to` has ended (the
    /// next call is for the next request), or nothing more can be decoded. What follows the connection's last response
    /// is taken too, and counted.
    pub fn push(&mut self, input: &mut &[u8], to: ResponseTo, mut on_event: impl FnMut(ResponseEvent<'_>)) {
        let mut has_ended = false;
        while !input.is_empty() && !has_ended && !self.is_dead() {
            match self.step(input, to, &mut on_event) {
                Ok(end) => has_ended = end,
                Err(reason) => {
                    self.state = State::Dead;
                    on_event(ResponseEvent::Failed(reason));
                }
            }
        }
        if matches!(self.state, State::Closed) {
            self.bytes_after_last += input.len() as u64;
            *input = &[];
        }
    }

    /// The direction ended in order: completes a body that ends with the connection. A response that is incomplete then
    /// gets no further event.
    pub fn finish(&mut self, mut on_event: impl FnMut(ResponseEvent<'_>)) {
        if matches!(self.state, State::UntilClose) {
            on_event(ResponseEvent::End);
        }
        if !self.is_dead() {
            self.state = State::Closed;
        }
    }

    /// `bytes` bytes of the stream are missing here. Tells whether they all lie within a body of known length, or one
    /// that ends with the connection, so that what follows them has its place. If not, nothing more is decoded.
    pub fn skip(&mut self, bytes: u64, mut on_event: impl FnMut(ResponseEvent<'_>)) -> bool {
        let is_complete = match &mut self.state {
            State::Body(body) => body.skip(bytes),
            State::UntilClose => Some(false),
            State::Start { .. } | State::Head(_) | State::Closed | State::Dead => None,
        };
        match is_complete {
            Some(true) => self.end(&mut on_event),
            Some(false) => {}
            None => self.state = State::Dead,
        }
        is_complete.is_some()
    }

    /// Begins anew where a response is known to start; what was begun is forgotten.
    pub fn reset(&mut self) {
        self.state = State::FIRST;
    }

    /// Whether everything taken so far belongs to responses that are complete, so that the next may begin here.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Start { seen: 0, blank: Blank::No | Blank::Allowed })
    }

    /// Whether nothing is decoded any more: after `Failed`, `Tunnel`, a hole, or the last response of the connection.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        matches!(self.state, State::Closed | State::Dead)
    }

    /// Bytes that came after the connection's last response; a client doesn't read them as one.
    #[must_use]
    pub fn bytes_after_last(&self) -> u64 {
        self.bytes_after_last
    }

    /// Memory held for an incomplete head or trailer section, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        match &self.state {
            State::Head(section) => section.memory(),
            State::Body(body) => body.memory(),
            State::Start { .. } | State::UntilClose | State::Closed | State::Dead => 0,
        }
    }

    /// Takes at least one byte off `input`, or changes the state. Tells whether the final response has ended.
    fn step(
        &mut self,
        input: &mut &[u8],
        to: ResponseTo,
        on_event: &mut impl FnMut(ResponseEvent<'_>),
    ) -> Result<bool, DropReason> {
        match &mut self.state {
            State::Start { seen, blank } => {
                if *seen == 0
                    && *blank != Blank::Begun
                    && let Some(head) = ResponseHead::take(input, self.limits.max_head_bytes)
                {
                    return self.take_head(head, to, on_event);
                }
                // A head that doesn't come in one piece, or is bad, is judged once its end is there.
                begin(seen, blank, input)?;
                if *seen == BEGIN.len() {
                    self.state = State::Head(Section::begun_with(BEGIN.to_vec()));
                }
            }
            State::Head(section) => {
                if let Some(raw) = section.push(input, self.limits.max_head_bytes)? {
                    let head = ResponseHead::parse(raw).map_err(HeadError::drop_reason)?;
                    return self.take_head(head, to, on_event);
                }
            }
            State::Body(body) => {
                if body.push(input, &self.limits, |part| on_event(part.into()))? {
                    self.end(on_event);
                    return Ok(true);
                }
            }
            State::UntilClose => on_event(ResponseEvent::Body(std::mem::take(input))),
            State::Closed | State::Dead => {}
        }
        Ok(false)
    }

    /// Tells whether the final response ends with its head.
    fn take_head(
        &mut self,
        head: ResponseHead,
        to: ResponseTo,
        on_event: &mut impl FnMut(ResponseEvent<'_>),
    ) -> Result<bool, DropReason> {
        let framing = head.framing(to).map_err(HeadError::drop_reason)?;
        if matches!(head.status(), 100 | 102..=199) {
            self.state = State::FIRST;
            on_event(ResponseEvent::Interim(head));
            return Ok(false);
        }
        self.is_last = !head.keeps_alive();
        on_event(ResponseEvent::Head(head));
        self.state = match framing {
            ResponseFraming::None | ResponseFraming::Length(0) => {
                self.end(on_event);
                return Ok(true);
            }
            ResponseFraming::Length(length) => State::Body(Body::Length(length)),
            ResponseFraming::Chunked => State::Body(Body::Chunked(Chunks::START)),
            ResponseFraming::Close => State::UntilClose,
            ResponseFraming::Tunnel => {
                on_event(ResponseEvent::Tunnel);
                State::Dead
            }
            ResponseFraming::Unknown => return Err(DropReason::Ambiguous),
        };
        Ok(false)
    }

    fn end(&mut self, on_event: &mut impl FnMut(ResponseEvent<'_>)) {
        self.state = if self.is_last { State::Closed } else { State::NEXT };
        on_event(ResponseEvent::End);
    }
}

/// Takes the empty line and the beginning of a status line off the front of `input`, as far as they are there.
fn begin(seen: &mut usize, blank: &mut Blank, input: &mut &[u8]) -> Result<(), DropReason> {
    while let Some((byte, rest)) = input.split_first() {
        match (*blank, *byte) {
            (Blank::Allowed, b'\r') if *seen == 0 => *blank = Blank::Begun,
            (Blank::Begun, b'\n') => *blank = Blank::No,
            (Blank::No | Blank::Allowed, byte) if BEGIN.get(*seen) == Some(&byte) => *seen += 1,
            (Blank::No | Blank::Allowed, _) if *seen == BEGIN.len() => return Ok(()),
            _ => return Err(DropReason::Ambiguous),
        }
        *input = rest;
    }
    Ok(())
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
