//! An exchange as one line to read: columns that are as wide as what stood in them, up to a limit; nothing is cut off.

use std::fmt;

use jiff::tz::TimeZone;

use crate::{
    http::target,
    tap::{
        Secrets, address,
        clock::{Epoch, LocalTimes, millis},
        escape::{put, put_escaped},
        record::Record,
    },
};

/// What stands where there is nothing.
const NONE: &str = "-";

const TIME: usize = "14:03:05.123456".len();
const STATUS: usize = "STATUS".len();
const SIZE: usize = "RESPONSE".len();
const LATENCY: usize = "1234.567ms".len();

/// Writes exchanges as lines.
#[derive(Debug)]
pub(super) struct Text {
    secrets: Secrets,
    epoch: Epoch,
    times: LocalTimes,
    colours: bool,
    client: Width,
    method: Width,
    authority: Width,
    target: Width,
}

/// The width of a column that grows.
#[derive(Clone, Copy, Debug)]
struct Width {
    now: usize,
    most: usize,
}

/// As terminals understand them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colour {
    Plain,
    Dim,
    Bold,
    Green,
    Cyan,
    Yellow,
    Red,
}

impl Text {
    pub(super) fn new(secrets: Secrets, epoch: Epoch, zone: TimeZone, colours: bool) -> Self {
        Self {
            secrets,
            epoch,
            times: LocalTimes::new(zone),
            colours,
            client: Width { now: "192.168.0.1:40000".len(), most: 47 },
            method: Width { now: "METHOD".len(), most: 10 },
            authority: Width { now: "AUTHORITY".len(), most: 40 },
            target: Width { now: 24, most: 60 },
        }
    }

    /// Puts a line down that names the columns.
    pub(super) fn put_heading(&self, out: &mut Vec<u8>) {
        let Self { client, method, authority, target, .. } = self;
        put(
            out,
            format_args!(
                "{:<TIME$}  {:<client$}  {:<method$}  {:<authority$}  {:<target$}  {:<STATUS$}  {:>SIZE$}  {:>SIZE$}  \
                 {:>LATENCY$}\n",
                "TIME",
                "CLIENT",
                "METHOD",
                "AUTHORITY",
                "TARGET",
                "STATUS",
                "REQUEST",
                "RESPONSE",
                "LATENCY",
                client = client.now,
                method = method.now,
                authority = authority.now,
                target = target.now,
            ),
        );
    }

    /// Puts the line down.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, record: &Record) {
        let Self { secrets, epoch, times, colours, client, method, authority, target } = self;
        let (head, colours) = (record.request.as_ref(), *colours);
        let time = times.show(epoch.time(record.began_ns));
        in_colour(out, colours, Colour::Dim, |out| put(out, format_args!("{time}")));
        out.extend_from_slice(b"  ");
        let end = address::client(&record.flow);
        client.column(out, colours, Colour::Plain, |out| put(out, format_args!("{end}")));
        let words = head.map_or(NONE, |head| head.method());
        method.column(out, colours, Colour::Bold, |out| put_escaped(out, words.as_bytes()));
        let words = head.and_then(target::authority).filter(|authority| !authority.is_empty());
        let words = secrets.authority(words.unwrap_or(NONE));
        authority.column(out, colours, Colour::Plain, |out| put_escaped(out, words.as_bytes()));
        let words = head.map_or(NONE.into(), |head| secrets.target(head));
        target.column(out, colours, Colour::Plain, |out| put_escaped(out, words.as_bytes()));
        put_answer(out, colours, record);
        put_reasons(out, colours, record);
        out.push(b'\n');
    }
}

/// Status, sizes and latency.
fn put_answer(out: &mut Vec<u8>, colours: bool, record: &Record) {
    let response = record.response.as_ref();
    let status = response.map(|response| response.head.status());
    in_colour(out, colours, status.map_or(Colour::Plain, Colour::of), |out| {
        put(out, format_args!("{:<STATUS$}", OrNone(status)));
    });
    let size = OrNone(response.map(|response| response.body.bytes()));
    put(out, format_args!("  {:>SIZE$}  {size:>SIZE$}  ", record.body.bytes()));
    match record.latency_ns() {
        Some(latency_ns) => put(out, format_args!("{:>1$.3}ms", millis(latency_ns), LATENCY - 2)),
        None => put(out, format_args!("{NONE:>LATENCY$}")),
    }
}

/// Why it isn't complete.
fn put_reasons(out: &mut Vec<u8>, colours: bool, record: &Record) {
    let mut separator = "  ";
    let mut reason = |what: &str, label: &str| {
        out.extend_from_slice(separator.as_bytes());
        in_colour(out, colours, Colour::Red, |out| put(out, format_args!("{what}{label}")));
        separator = ", ";
    };
    if let Err(why) = record.outcome() {
        reason("", why.label());
    }
    match record.response.as_ref().map(|response| response.outcome()) {
        Some(Ok(())) => {}
        Some(Err(why)) => reason("response ", why.label()),
        None => reason("no response", ""),
    }
}

impl Width {
    /// Puts a column down, and the distance to the next.
    fn column(
        &mut self,
        out: &mut Vec<u8>,
        colours: bool,
        colour: Colour,
        render: impl FnOnce(&mut Vec<u8>),
    ) {
        let shown = in_colour(out, colours, colour, render);
        self.now = self.now.max(shown.min(self.most));
        out.resize(out.len() + self.now.saturating_sub(shown) + 2, b' ');
    }
}

/// Says how many characters were put down.
fn in_colour(out: &mut Vec<u8>, colours: bool, colour: Colour, render: impl FnOnce(&mut Vec<u8>)) -> usize {
    let colours = colours && colour != Colour::Plain;
    if colours {
        out.extend_from_slice(colour.code().as_bytes());
    }
    let from = out.len();
    render(out);
    // All but the first byte of a character begin with these two bits.
    let shown = out.get(from..).unwrap_or_default().iter().filter(|byte| *byte & 0xc0 != 0x80).count();
    if colours {
        out.extend_from_slice(b"\x1b[0m");
    }
    shown
}

impl Colour {
    fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Green,
            100..=199 | 300..=399 => Self::Cyan,
            400..=499 => Self::Yellow,
            _ => Self::Red,
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "\x1b[2m",
            Self::Bold => "\x1b[1m",
            Self::Green => "\x1b[32m",
            Self::Cyan => "\x1b[36m",
            Self::Yellow => "\x1b[33m",
            Self::Red => "\x1b[31m",
        }
    }
}

/// A number, or that there is none.
struct OrNone<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for OrNone<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.pad(NONE),
        }
    }
}
