//! Where lines go: collected, and written many at once. Nobody reading any more is an end, not an error.

use std::io::{ErrorKind, Write};

use crate::tap::TapError;

/// So much is collected before it is written.
const BATCH: usize = 64 << 10;

/// A buffer before `writer`.
#[derive(Debug)]
pub(super) struct Output<W> {
    buffer: Vec<u8>,
    writer: W,
    state: State,
}

#[derive(Debug)]
enum State {
    Open,
    /// Nobody reads any more.
    Closed,
    Failed(std::io::Error),
}

impl<W: Write> Output<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { buffer: Vec::with_capacity(BATCH), writer, state: State::Open }
    }

    /// Whether there is any use in writing.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Whether something is put down and not written.
    pub(super) fn holds_back(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Puts something down, which is written with what else there is.
    pub(super) fn put(&mut self, render: impl FnOnce(&mut Vec<u8>)) {
        render(&mut self.buffer);
        if self.buffer.len() >= BATCH {
            self.flush();
        }
    }

    /// Writes what there is.
    pub(super) fn flush(&mut self) {
        if self.is_open()
            && let Err(error) = self.writer.write_all(&self.buffer).and_then(|()| self.writer.flush())
        {
            self.state = match error.kind() {
                ErrorKind::BrokenPipe => State::Closed,
                _ => State::Failed(error),
            };
        }
        self.buffer.clear();
        // One long line doesn't make it large for ever.
        self.buffer.shrink_to(2 * BATCH);
    }

    /// Writes the rest.
    pub(super) fn finish(mut self) -> Result<(), TapError> {
        self.flush();
        match self.state {
            State::Open | State::Closed => Ok(()),
            State::Failed(error) => Err(TapError::Write(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Takes so many writes, then says this.
    struct Fails {
        after: usize,
        with: ErrorKind,
    }

    impl Write for Fails {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.after = self.after.checked_sub(1).ok_or(self.with)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_many_at_once() {
        let mut written = Vec::new();
        let mut output = Output::new(&mut written);
        output.put(|out| out.extend_from_slice(b"one\n"));
        assert!(output.writer.is_empty());
        output.flush();
        assert_eq!(*output.writer, b"one\n");
        output.put(|out| out.resize(BATCH, b'x'));
        assert_eq!(output.writer.len(), 4 + BATCH);
        output.put(|out| out.push(b'\n'));
        output.finish().unwrap();
        assert_eq!(written.len(), 4 + BATCH + 1);
    }

    #[test]
    fn a_closed_pipe_is_an_end_and_a_full_disk_an_error() {
        for (with, is_error) in [(ErrorKind::BrokenPipe, false), (ErrorKind::StorageFull, true)] {
            let mut output = Output::new(Fails { after: 1, with });
            output.put(|out| out.push(b'x'));
            output.flush();
            assert!(output.is_open());
            output.put(|out| out.push(b'x'));
            output.flush();
            assert!(!output.is_open());
            assert_eq!(output.finish().is_err(), is_error);
        }
    }
}
