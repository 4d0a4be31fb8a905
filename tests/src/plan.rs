//! What clients send: each request follows from its number alone, so that sender and judge need not share anything.

use bytes::{BufMut as _, BytesMut};

use crate::{fnv, random::Random, service::ANSWER_BYTES};

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body, and no header that speaks of one.
    None,
    /// Content-Length.
    Length,
    /// Transfer-Encoding: chunked.
    Chunked,
}

/// A request as it is sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The method.
    pub method: String,
    /// The target.
    pub target: String,
    /// The headers as written, without those of the framing.
    pub headers: Vec<(String, String)>,
    /// How the body is framed.
    pub framing: Framing,
    /// The body.
    pub body: Vec<u8>,
}

/// Which requests a load consists of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Tells loads apart that meet the same services.
    pub name: String,
    /// The Host header.
    pub host: String,
    /// What the bodies are.
    pub bodies: Bodies,
}

/// Which bodies requests have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// None: GETs.
    None,
    /// Of 0 B to 1 MiB, framed in every way; half of the requests are GETs.
    Mixed,
    /// Of this size, with their length; every second request is a GET.
    Even(usize),
}

impl Plan {
    /// GET and POST with bodies of 0 B to 1 MiB for this Host.
    #[must_use]
    pub fn mixed(name: &str, host: &str) -> Self {
        Self { name: name.to_owned(), host: host.to_owned(), bodies: Bodies::Mixed }
    }

    /// GETs without a body.
    #[must_use]
    pub fn light(name: &str, host: &str) -> Self {
        Self { name: name.to_owned(), host: host.to_owned(), bodies: Bodies::None }
    }

    /// GETs, and as many POSTs of 16 KiB.
    #[must_use]
    pub fn even(name: &str, host: &str) -> Self {
        Self { name: name.to_owned(), host: host.to_owned(), bodies: Bodies::Even(16 << 10) }
    }

    /// The name of a request, which is in its target and in a header.
    #[must_use]
    pub fn id(&self, number: u32) -> String {
        format!("{}-{number}", self.name)
    }

    /// The request of this number.
    #[must_use]
    pub fn request(&self, number: u32) -> Sent {
        let mut random = Random::new(u64::from(number));
        let id = self.id(number);
        let mut headers = vec![
            ("Host".to_owned(), self.host.clone()),
            ("X-Request-Id".to_owned(), id.clone()),
            ("Accept".to_owned(), "*/*".to_owned()),
            ("Cookie".to_owned(), format!("session={:016x}", random.draw())),
        ];
        if random.draw().is_multiple_of(4) {
            // Twice the same name, in a case of its own, with a value that is no plain word.
            headers.push(("X-Trace".to_owned(), "a=1, b=\"two words\"".to_owned()));
            headers.push(("x-tRaCe".to_owned(), format!("{:x}", random.draw())));
        }
        if random.draw().is_multiple_of(8) {
            headers.push((ANSWER_BYTES.to_owned(), (random.draw() % 40_000).to_string()));
        }
        let (method, framing) = match random.draw() % 6 {
            0..3 => ("GET", Framing::None),
            3 => ("POST", Framing::Chunked),
            4 => ("PUT", Framing::Length),
            _ => ("POST", Framing::Length),
        };
        let (method, framing) = match self.bodies {
            Bodies::Mixed => (method, framing),
            Bodies::Even(_) if !number.is_multiple_of(2) => ("POST", Framing::Length),
            Bodies::None | Bodies::Even(_) => ("GET", Framing::None),
        };
        let body = match (framing, self.bodies) {
            (Framing::None, _) => Vec::new(),
            (_, Bodies::Even(size)) => random.bytes(size),
            _ => mixed_body(&mut random),
        };
        let target = format!("/items/{id}?page={}&q=a%20b", random.draw() % 100);
        Sent { method: method.to_owned(), target, headers, framing, body }
    }
}

/// Mostly small, a few as large as may be, sizes around those of segments and buffers included.
fn mixed_body(random: &mut Random) -> Vec<u8> {
    let size = match random.draw() % 32 {
        0..4 => 0,
        4..16 => random.draw() % 2_000,
        16..20 => 1_448 - 4 + random.draw() % 8,
        20..26 => random.draw() % 32_768,
        26..30 => 65_536 - 4 + random.draw() % 8,
        30 => random.draw() % (1 << 20),
        _ => 1 << 20,
    };
    let size = usize::try_from(size).unwrap_or(0);
    let mut body = random.bytes(size);
    // Some bodies look like a request, at their start and so at the start of a segment.
    let decoy = b"GET /decoy HTTP/1.1\r\nHost: decoy\r\n\r\n";
    if random.draw().is_multiple_of(8) && size >= decoy.len() {
        body[..decoy.len()].copy_from_slice(decoy);
    }
    body
}

impl Sent {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The hash of the body.
    #[must_use]
    pub fn body_hash(&self) -> String {
        fnv::hash(&self.body)
    }

    /// The request as bytes for the wire.
    #[must_use]
    pub fn wire(&self) -> BytesMut {
        let mut wire = BytesMut::with_capacity(self.body.len() + 1024);
        wire.put_slice(format!("{} {} HTTP/1.1\r\n", self.method, self.target).as_bytes());
        for (name, value) in &self.headers {
            wire.put_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        match self.framing {
            Framing::None => wire.put_slice(b"\r\n"),
            Framing::Length => {
                wire.put_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
                wire.put_slice(&self.body);
            }
            Framing::Chunked => {
                wire.put_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                // Chunks of several sizes, so that their heads fall anywhere in a segment.
                for (index, chunk) in self.body.chunks(7_000).enumerate() {
                    let extension = if index % 2 == 0 { "" } else { ";part=x" };
                    wire.put_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
                    wire.put_slice(chunk);
                    wire.put_slice(b"\r\n");
                }
                wire.put_slice(b"0\r\n\r\n");
            }
        }
        wire
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_requests_cover_what_the_issue_names() {
        let plan = Plan::mixed("t", "shop");
        let all: Vec<Sent> = (0..1000).map(|number| plan.request(number)).collect();
        let with = |check: &dyn Fn(&Sent) -> bool| all.iter().filter(|sent| check(sent)).count();
        assert!(with(&|sent| sent.method == "GET") > 300);
        assert!(with(&|sent| sent.framing == Framing::Chunked && sent.body.len() > 7_000) > 10);
        assert!(with(&|sent| sent.framing == Framing::Length && sent.body.len() == 1 << 20) > 3);
        assert!(with(&|sent| sent.framing == Framing::Length && sent.body.is_empty()) > 10);
        assert!(with(&|sent| sent.body.starts_with(b"GET /decoy")) > 10);
        let bytes: usize = all.iter().map(|sent| sent.body.len()).sum();
        assert!(bytes < 40 << 20, "{bytes} bytes are too many for a quick test");
    }
}
