//! The captures that are decoded: written once, whole Ethernet frames, with the acknowledgements that real stacks send.

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::pass::Counts;
use crate::{
    packets::{
        Conversation, Ends, Format, Packet, Reply,
        file::Writer,
        message::{get, post},
    },
    plan::Sent,
    random::Random,
};

/// Requests of the small captures.
const GETS: u32 = 200_000;
/// Flows that are interleaved.
const FLOWS: u32 = 10_000;
/// Requests of the large captures, of [`BODY`] bytes each.
const POSTS: u32 = 200;
const BODY: usize = 1 << 20;
/// Flows that have had one request and are silent.
pub const IDLE_FLOWS: u32 = 100_000;
/// The size of a small request on the wire.
const GET_BYTES: usize = 500;

/// A capture to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Small requests and answers on one flow.
    Gets,
    /// As many on many flows, interleaved packet by packet.
    Interleaved,
    /// Bodies of 1 MiB in frames of 1.5 KB.
    Posts,
    /// Bodies of 1 MiB in segments as offload makes them.
    Offloaded,
}

impl Kind {
    /// All, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Gets, Self::Interleaved, Self::Posts, Self::Offloaded];

    /// The line of the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gets => "GETs of 500 B, one flow",
            Self::Interleaved => "the same, 10,000 flows interleaved",
            Self::Posts => "POSTs of 1 MiB, 1448 B segments",
            Self::Offloaded => "POSTs of 1 MiB, 64 KB segments",
        }
    }
}

/// A capture file, and what is in it.
#[derive(Debug)]
pub struct Corpus {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub file_bytes: u64,
    requests: u64,
    body_bytes: u64,
}

impl Corpus {
    /// Writes the capture of a kind.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write(kind: Kind, directory: &Path) -> Result<Self> {
        let path = directory.join("corpus.pcap");
        let mut file = Writer::new(BufWriter::new(File::create(&path)?), Format::default())?;
        let (requests, body) = match kind {
            Kind::Gets => (one_flow(GETS, &mut file)?, 0),
            Kind::Interleaved => (interleaved(GETS, &mut file)?, 0),
            Kind::Posts => (posts(1448, &mut file)?, BODY),
            // The largest that an IP packet can hold, with its headers.
            Kind::Offloaded => (posts(45 * 1448, &mut file)?, BODY),
        };
        Self::written(path, file, requests, body)
    }

    /// Writes a capture of flows that each carry one request and stay open.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn idle(flows: u32, directory: &Path, name: &str) -> Result<Self> {
        let path = directory.join(name);
        let mut file = Writer::new(BufWriter::new(File::create(&path)?), Format::default())?;
        for number in 0..flows {
            let mut talk = Conversation::new(ends(number));
            talk.open().exchange(small_get(number), small_reply());
            drain(&mut talk, &mut file)?;
        }
        Self::written(path, file, flows, 0)
    }

    fn written(path: PathBuf, file: Writer<BufWriter<File>>, requests: u32, body: usize) -> Result<Self> {
        file.finish()?;
        let file_bytes = path.metadata().context("the capture")?.len();
        let body_bytes = u64::from(requests) * body as u64;
        Ok(Self { path, file_bytes, requests: requests.into(), body_bytes })
    }

    /// Everything that went in came out.
    ///
    /// # Errors
    /// It didn't.
    pub fn check(&self, counts: &Counts) -> Result<()> {
        let found = (counts.complete, counts.responses, counts.body_bytes);
        let expected = (self.requests, self.requests, self.body_bytes);
        ensure!(
            found == expected,
            "complete requests, complete answers, bytes of bodies: {found:?} instead of {expected:?}"
        );
        Ok(())
    }
}

fn one_flow(requests: u32, file: &mut Writer<BufWriter<File>>) -> Result<u32> {
    let mut talk = Conversation::new(ends(0));
    talk.open();
    for number in 0..requests {
        talk.exchange(small_get(number), small_reply());
        drain(&mut talk, file)?;
    }
    talk.close();
    drain(&mut talk, file)?;
    Ok(requests)
}

/// All flows say the same at the same time, so that every packet is of another flow than the one before.
fn interleaved(requests: u32, file: &mut Writer<BufWriter<File>>) -> Result<u32> {
    let mut talks: Vec<Conversation> = (0..FLOWS).map(|flow| Conversation::new(ends(flow))).collect();
    let each = requests / FLOWS;
    for number in 0..each + 2 {
        for talk in &mut talks {
            match number {
                0 => drop(talk.open()),
                _ if number > each => drop(talk.close()),
                _ => drop(talk.exchange(small_get(number), small_reply())),
            }
        }
        let packets = talks.first().map_or(0, |talk| talk.packets.len());
        for place in 0..packets {
            talks
                .iter()
                .filter_map(|talk| talk.packets.get(place))
                .try_for_each(|packet| file.write(packet))?;
        }
        talks.iter_mut().for_each(forget);
    }
    Ok(each * FLOWS)
}

fn posts(segment: usize, file: &mut Writer<BufWriter<File>>) -> Result<u32> {
    let body = Random::new(1).bytes(BODY);
    let mut talk = Conversation::new(ends(0)).segments_of(segment);
    talk.open();
    for number in 0..POSTS {
        talk.exchange(post(&format!("/upload/{number}"), body.clone()), small_reply());
        drain(&mut talk, file)?;
    }
    talk.close();
    drain(&mut talk, file)?;
    Ok(POSTS)
}

/// Writes what was sent since the last time, and forgets it.
fn drain(talk: &mut Conversation, file: &mut Writer<BufWriter<File>>) -> Result<()> {
    talk.packets.iter().try_for_each(|packet: &Packet| file.write(packet))?;
    forget(talk);
    Ok(())
}

fn forget(talk: &mut Conversation) {
    talk.packets.clear();
    talk.exchanges.clear();
}

/// A client of its own for each flow.
fn ends(number: u32) -> Ends {
    let [_, high, middle, low] = number.to_be_bytes();
    let mut ends = Ends::v4(40_000);
    ends.client.set_ip([10, 64 + high, middle, low].into());
    ends
}

/// A browser's request for something small.
fn small_get(number: u32) -> Sent {
    let mut request = get(&format!("/api/v1/items/{number}?page=1&sort=price"));
    for (name, value) in [
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("Accept-Language", "en-GB,en;q=0.7,de;q=0.3"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Referer", "https://shop.example/catalogue/spring"),
        ("Connection", "keep-alive"),
    ] {
        request.headers.push((name.to_owned(), value.to_owned()));
    }
    let cookie = "Cookie: session=\r\n".len();
    let missing = GET_BYTES.saturating_sub(request.wire().len() + cookie);
    let session: String = "0123456789abcdef".chars().cycle().take(missing).collect();
    request.headers.push(("Cookie".to_owned(), format!("session={session}")));
    request
}

fn small_reply() -> Reply {
    Reply::ok(&br#"{"id":7,"name":"kettle","price":"24.90","currency":"EUR","stock":12}"#[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_request_has_the_size_that_is_said() {
        for number in [0, 7, 199_999] {
            assert_eq!(small_get(number).wire().len(), GET_BYTES);
        }
    }
}
