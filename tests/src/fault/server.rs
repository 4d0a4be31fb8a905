//! A server that does everything wrong: takes a way to misbehave, gives that to every connection.

use std::{
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use crate::{child::Child, lab::Lab, random::Random};

/// Its options.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where to listen.
    #[arg(long)]
    pub listen: SocketAddr,
    /// What connections get.
    #[arg(long, value_enum)]
    pub behaviour: Behaviour,
}

/// What connections get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Behaviour {
    /// Nothing; what they send isn't read either.
    Silent,
    /// A reset.
    Reset,
    /// One byte of an answer a second.
    Drip,
    /// A part of an answer, then a reset.
    ResetInMidResponse,
    /// An answer that doesn't end.
    Endless,
    /// Bytes that aren't HTTP.
    Garbage,
    /// A whole answer before the request's body is read, then the end.
    Early,
}

/// Each connection with an endless answer gets this much in every pause: enough to keep it busy, not the machine.
const ENDLESS_CHUNK: usize = 4096;
const ENDLESS_PAUSE: Duration = Duration::from_millis(20);

/// Starts it in v2's namespace.
///
/// # Errors
/// It doesn't listen.
pub fn start(lab: &Lab, shadow_lab: &Path, address: SocketAddr, behaviour: Behaviour) -> Result<Child> {
    let name = clap::ValueEnum::to_possible_value(&behaviour).context("a shown value")?;
    let mut command = lab.v2.command(shadow_lab);
    command.args(["fault", "--listen", &address.to_string(), "--behaviour", name.get_name()]);
    let server = Child::spawn(&format!("v2 that {behaviour:?}"), &mut command)?;
    lab.wait_for_listener(&lab.v2, address)?;
    Ok(server)
}

/// Serves until the process ends.
///
/// # Errors
/// The address can't be listened on.
pub async fn serve(options: Options) -> Result<()> {
    let listener = TcpListener::bind(options.listen).await;
    let listener = listener.with_context(|| format!("listen on {}", options.listen))?;
    loop {
        match listener.accept().await {
            // Its end, of either side, is what it is for.
            Ok((stream, _)) => drop(tokio::spawn(async move { misbehave(stream, options.behaviour).await })),
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn misbehave(mut stream: TcpStream, behaviour: Behaviour) -> std::io::Result<()> {
    match behaviour {
        Behaviour::Silent => std::future::pending().await,
        Behaviour::Reset => reset(stream),
        Behaviour::Drip => drip(stream).await,
        Behaviour::ResetInMidResponse => {
            hear(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nten bytes.").await?;
            reset(stream)
        }
        Behaviour::Endless => endless(stream).await,
        Behaviour::Garbage => garbage(stream).await,
        Behaviour::Early => {
            hear(&mut stream).await?;
            let answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer).await
        }
    }
}

/// With nothing left to send, closing sends a reset.
fn reset(stream: TcpStream) -> std::io::Result<()> {
    stream.set_zero_linger()
}

/// Waits for the first bytes of a request.
async fn hear(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
    stream.read(&mut [0; 1024]).await.map(drop)
}

/// Reads everything meanwhile, so that only its answer is slow.
async fn drip(stream: TcpStream) -> std::io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    hear(&mut reader).await?;
    let reading = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".iter().chain([b'x'; 1000].iter()) {
        writer.write_all(&[*byte]).await?;
        sleep(Duration::from_secs(1)).await;
    }
    reading.abort();
    Ok(())
}

async fn endless(mut stream: TcpStream) -> std::io::Result<()> {
    hear(&mut stream).await?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
    let mut chunk = format!("{ENDLESS_CHUNK:x}\r\n").into_bytes();
    chunk.resize(chunk.len() + ENDLESS_CHUNK, b'x');
    chunk.extend(b"\r\n");
    loop {
        stream.write_all(&chunk).await?;
        sleep(ENDLESS_PAUSE).await;
    }
}

async fn garbage(mut stream: TcpStream) -> std::io::Result<()> {
    static SEED: AtomicU64 = AtomicU64::new(0);
    hear(&mut stream).await?;
    let garbage = Random::new(SEED.fetch_add(1, Ordering::Relaxed)).bytes(4096);
    stream.write_all(&garbage).await?;
    std::future::pending().await
}
