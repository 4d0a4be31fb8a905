//! What passes on a service port at this moment: plaintext HTTP, TLS, something else, or nothing.
//!
//! Private (invariant 5): payload is looked at, counted and forgotten; none of it is kept or shown.

mod protocol;
mod tap;

use std::{io, thread, time::Duration};

use crate::{
    doctor::{
        Check,
        traffic::{
            protocol::{Protocol, recognise},
            tap::{Seen, Tap},
        },
    },
    netlink::link::Link,
};

/// What was seen of one service port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Segments of any kind, handshakes and acknowledgements included.
    segments: u64,
    /// Segments to the port that begin an HTTP/1 request.
    requests: u64,
    /// Segments from the port that begin an HTTP/1 response.
    responses: u64,
    /// Segments that begin an HTTP/2 connection or frame.
    http2: u64,
    /// Segments that begin a TLS record.
    tls: u64,
    /// Segments with other payload.
    other: u64,
}

impl Tally {
    /// Takes a segment into account, if it is to or from `port`.
    fn add(&mut self, port: u16, seen: &Seen<'_>) {
        let to_port = seen.destination == port;
        if !to_port && seen.source != port {
            return;
        }
        self.segments += 1;
        if seen.payload.is_empty() {
            return;
        }
        let count = match recognise(seen.payload) {
            Protocol::Http1Request if to_port => &mut self.requests,
            Protocol::Http1Response if !to_port => &mut self.responses,
            Protocol::Http2 => &mut self.http2,
            Protocol::Tls => &mut self.tls,
            Protocol::Http1Request | Protocol::Http1Response | Protocol::Other => &mut self.other,
        };
        *count += 1;
    }
}

/// Looks at every interface at once for `time`; one line for each of them and each port.
pub(super) fn checks(links: &[Link], ports: &[u16], time: Duration) -> Vec<Check> {
    let looks: Vec<_> = thread::scope(|scope| {
        let looking: Vec<_> = links.iter().map(|link| scope.spawn(|| look(link, ports, time))).collect();
        let panicked = || Err(io::Error::other("the look ended with a panic"));
        looking.into_iter().map(|look| look.join().unwrap_or_else(|_| panicked())).collect()
    });
    let lines = links.iter().zip(&looks).flat_map(|(link, look)| {
        ports.iter().enumerate().map(move |(at, port)| {
            let name = format!("{} port {port}", link.name);
            match look {
                Ok(tallies) => judge(&name, &tallies.get(at).copied().unwrap_or_default(), time),
                Err(error) => blind(&name, error),
            }
        })
    });
    lines.collect()
}

/// A tally for each port, in their order.
fn look(link: &Link, ports: &[u16], time: Duration) -> io::Result<Vec<Tally>> {
    let mut tallies = vec![Tally::default(); ports.len()];
    Tap::open(link)?.watch(time, |seen| {
        for (port, tally) in ports.iter().zip(&mut tallies) {
            tally.add(*port, &seen);
        }
    })?;
    Ok(tallies)
}

fn blind(name: &str, error: &io::Error) -> Check {
    if error.kind() == io::ErrorKind::PermissionDenied {
        let advice =
            "looking at packets needs CAP_NET_RAW: run as root (sudo), or grant it to the binary with setcap";
        return Check::warning(name, "not looked at", advice);
    }
    Check::warning(name, format!("can't be looked at: {error}"), "try again, or see what tcpdump shows")
}

fn judge(name: &str, tally: &Tally, time: Duration) -> Check {
    let words = tally.words();
    let Tally { segments, requests, responses, http2, tls, other: _ } = *tally;
    if requests > 0 {
        return Check::ok(name, format!("plaintext HTTP/1 in {time:?}: {words}"));
    }
    let (what, advice) = if responses > 0 {
        (
            "only answers",
            "the requests come another way: name the interface on which they pass too, or look longer (--for 10s)",
        )
    } else if http2 > 0 {
        ("HTTP/2", "HTTP/1 is what is mirrored; HTTP/2 connections are left alone")
    } else if tls > 0 {
        (
            "only TLS",
            "attach behind the TLS termination: the interface towards the upstream, with the upstream's port",
        )
    } else if segments > 0 {
        ("no HTTP", "is it the right port? Or look longer: --for 10s")
    } else {
        let advice = "no traffic on this port now: is it the right interface?";
        return Check::warning(name, format!("nothing in {time:?}"), advice);
    };
    Check::warning(name, format!("{what} in {time:?}: {words}"), advice)
}

impl Tally {
    /// What it counted, in words.
    fn words(&self) -> String {
        let counts = [
            (self.requests, "HTTP/1 requests"),
            (self.responses, "HTTP/1 answers"),
            (self.http2, "HTTP/2 segments"),
            (self.tls, "TLS segments"),
            (self.other, "other segments"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let words = counts.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ");
        if words.is_empty() { format!("{} segments without payload", self.segments) } else { words }
    }
}

#[cfg(test)]
mod tests;
