//! The TCP stream under hyper: takes what hyper writes until v2 takes no more, and gives what v2 answered also then.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A TCP connection to v2.
///
/// A server that refuses a body answers and closes while the body is still being sent. Failing at the write would lose
/// its answer, so from then on writes go nowhere, and what is read decides: the answer, or the connection's end.
#[derive(Debug)]
pub(in crate::shadow) struct V2Stream {
    tcp: TcpStream,
    deaf: bool,
    open: Arc<AtomicUsize>,
}

impl V2Stream {
    /// Counted in `open` as long as it lives.
    pub(in crate::shadow) fn new(tcp: TcpStream, open: Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self { tcp, deaf: false, open }
    }

    fn written(&mut self, result: Poll<io::Result<usize>>, length: usize) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Err(error)) if is_closed(&error) => {
                self.deaf = true;
                Poll::Ready(Ok(length))
            }
            other => other,
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl Drop for V2Stream {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for V2Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for V2Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.written(result, bytes.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = buffers.iter().map(|buffer| buffer.len()).sum();
        if self.deaf {
            return Poll::Ready(Ok(length));
        }
        let result = Pin::new(&mut self.tcp).poll_write_vectored(context, buffers);
        self.written(result, length)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn an_answer_is_read_also_when_v2_takes_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let open = Arc::new(AtomicUsize::new(0));
        let mut stream = V2Stream::new(tcp, Arc::clone(&open));
        let (mut v2, _) = listener.accept().await.unwrap();
        stream.write_all(b"POST").await.unwrap();
        v2.readable().await.unwrap();
        v2.write_all(b"413").await.unwrap();
        // With a byte unread, this resets the connection.
        drop(v2);
        for _ in 0..10_000 {
            stream.write_all(b"body").await.unwrap();
            if stream.deaf {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert!(stream.deaf, "the connection is reset");
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!((&answer, open.load(Ordering::Relaxed)), (b"413", 1));
        drop(stream);
        assert_eq!(open.load(Ordering::Relaxed), 0);
    }
}
