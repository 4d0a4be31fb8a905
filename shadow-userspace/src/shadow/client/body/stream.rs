//! A body that arrives while it is sent: takes its pieces from the capture's side, which never waits, gives them to
//! hyper, which does.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::Frame;
use tokio::sync::watch;

/// The body's writer was dropped before it was finished, so that its connection must end here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request ended before its body did")]
pub struct BodyAborted;

/// Why a piece of a body wasn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyLag {
    /// v2 takes the body more slowly than it arrives, and the buffer between them is full.
    #[error("v2 takes the body too slowly")]
    Full,
    /// Nobody reads it any more: v2 has answered, the connection is gone or was never made.
    #[error("nobody takes the body any more")]
    Gone,
}

/// How far a body's writer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// More follows.
    Open,
    /// It is complete.
    Complete,
    /// It will never be complete.
    Aborted,
}

/// What a piece takes besides its bytes, about.
const PIECE: usize = 128;

/// What may wait in all bodies of an upstream together, so that one that hangs doesn't take the memory of others; clones
/// share it.
#[derive(Clone, Debug)]
pub struct Room {
    limit: usize,
    used: Arc<AtomicUsize>,
}

impl Room {
    /// For `limit` bytes, or one piece if that is larger.
    pub(in crate::shadow) fn new(limit: usize) -> Self {
        Self { limit, used: Arc::default() }
    }

    /// Whether there is room for a piece of so many bytes; it is taken then.
    fn take(&self, bytes: usize) -> bool {
        let fits =
            |used: usize| used.checked_add(bytes + PIECE).filter(|&sum| used == 0 || sum <= self.limit);
        // It guards no other memory.
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    fn give_back(&self, pieces: usize, bytes: usize) {
        self.used.fetch_sub(bytes + pieces * PIECE, Ordering::Relaxed);
    }
}

/// Gives a streamed body its bytes. Dropping it unfinished ends the copy's connection before the body's end.
#[derive(Debug)]
pub struct BodyWriter {
    shared: Arc<Shared>,
    finished: bool,
}

/// hyper's end.
#[derive(Debug)]
pub(in crate::shadow) struct Reader {
    shared: Arc<Shared>,
}

/// Watches how a body ends; see [`Watch::end`].
#[derive(Debug)]
pub struct Watch(Option<watch::Receiver<BodyEnd>>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    end: watch::Sender<BodyEnd>,
    limit: usize,
}

#[derive(Debug)]
struct State {
    pieces: VecDeque<Bytes>,
    buffered: usize,
    /// Bytes that are still to be pushed, if a header told the length.
    missing: Option<u64>,
    end: BodyEnd,
    trailers: Option<HeaderMap>,
    gone: bool,
    reader: Option<Waker>,
    room: Room,
}

pub(in crate::shadow) fn channel(length: Option<u64>, limit: usize, room: &Room) -> (BodyWriter, Reader) {
    let state = State {
        pieces: VecDeque::new(),
        buffered: 0,
        missing: length,
        end: BodyEnd::Open,
        trailers: None,
        gone: false,
        reader: None,
        room: room.clone(),
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), end: watch::Sender::new(BodyEnd::Open), limit });
    (BodyWriter { shared: Arc::clone(&shared), finished: false }, Reader { shared })
}

impl BodyWriter {
    /// The body goes on with `piece`. Never waits.
    ///
    /// # Errors
    /// If the piece wasn't taken. A full buffer may have room later; without that piece the body can't be completed.
    pub fn push(&mut self, piece: Bytes) -> Result<(), BodyLag> {
        let waker = {
            let mut state = self.shared.lock();
            if state.gone {
                return Err(BodyLag::Gone);
            }
            if piece.is_empty() {
                return Ok(());
            }
            let buffered = state.buffered.saturating_add(piece.len());
            let is_over = buffered > self.shared.limit && !state.pieces.is_empty();
            if is_over || !state.room.take(piece.len()) {
                return Err(BodyLag::Full);
            }
            state.buffered = buffered;
            // More than the length told is an error of the caller; `finish` then aborts.
            state.missing = state.missing.map(|missing| missing.wrapping_sub(piece.len() as u64));
            state.pieces.push_back(piece);
            state.reader.take()
        };
        waker.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Bytes that wait for v2.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.shared.lock().buffered
    }

    /// The body is complete; a chunked one ends with these fields. One that is not as long as its header told is
    /// aborted.
    pub fn finish(mut self, trailers: Option<HeaderMap>) {
        let end = {
            let mut state = self.shared.lock();
            state.trailers = trailers.filter(|_| state.missing.is_none());
            if state.missing.unwrap_or(0) == 0 { BodyEnd::Complete } else { BodyEnd::Aborted }
        };
        self.finished = true;
        self.shared.end(end);
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        if !self.finished {
            self.shared.end(BodyEnd::Aborted);
        }
    }
}

impl Reader {
    pub(in crate::shadow) fn watch(&self) -> Watch {
        Watch(Some(self.shared.end.subscribe()))
    }

    /// Bytes that are still to be read, if a header told the length.
    pub(in crate::shadow) fn left(&self) -> Option<u64> {
        let state = self.shared.lock();
        state.missing.map(|missing| missing + state.buffered as u64)
    }

    pub(in crate::shadow) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        let mut state = self.shared.lock();
        if state.end == BodyEnd::Aborted {
            return Poll::Ready(Some(Err(BodyAborted)));
        }
        // With the last byte v2 would have the whole request: it waits until the request is known to be whole.
        let withheld = state.end == BodyEnd::Open && state.missing == Some(0) && state.pieces.len() == 1;
        if !withheld && let Some(piece) = state.pieces.pop_front() {
            state.buffered -= piece.len();
            state.room.give_back(1, piece.len());
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if state.end == BodyEnd::Complete {
            return Poll::Ready(state.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.gone = true;
        state.clear();
    }
}

impl Watch {
    /// Of a body that was complete from the beginning.
    pub(in crate::shadow) const fn complete() -> Self {
        Self(None)
    }

    /// Waits until the body is complete or aborted, and says which.
    pub async fn end(&mut self) -> BodyEnd {
        let Some(end) = &mut self.0 else { return BodyEnd::Complete };
        // Without a sender there is neither writer nor reader.
        end.wait_for(|&end| end != BodyEnd::Open).await.map_or(BodyEnd::Aborted, |end| *end)
    }

    /// How far the writer is now.
    #[must_use]
    pub fn now(&self) -> BodyEnd {
        self.0.as_ref().map_or(BodyEnd::Complete, |end| *end.borrow())
    }
}

impl State {
    /// Lets go of what waits.
    fn clear(&mut self) {
        self.room.give_back(self.pieces.len(), self.buffered);
        self.pieces.clear();
        self.buffered = 0;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, end: BodyEnd) {
        let waker = {
            let mut state = self.lock();
            state.end = end;
            if end == BodyEnd::Aborted {
                state.clear();
            }
            state.reader.take()
        };
        self.end.send_replace(end);
        waker.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests;
