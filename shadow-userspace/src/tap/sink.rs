//! The sink itself: a record per exchange that is wanted, put down when it is over.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd as _,
};

use jiff::tz::TimeZone;
use shadow_common::FlowKey;

use crate::{
    pipeline::{ExchangeEvent, ExchangeSink},
    tap::{
        Filter, TapError, TapFormat, TapOptions, TapSummary,
        body::Hashing,
        clock::Epoch,
        har::{self, Har},
        json::Json,
        output::Output,
        record::Record,
        text::Text,
    },
};

/// Prints exchanges to a writer. [`Tap::finish`] it, however the source ends: a HAR document has an end.
#[derive(Debug)]
pub struct Tap<W> {
    filter: Filter,
    format: Format,
    hashing: Hashing,
    /// How many are still to be printed; none: all that come.
    left: Option<u64>,
    output: Output<W>,
    summary: TapSummary,
}

/// What is kept of an exchange until it is over.
#[derive(Debug)]
pub struct Exchange(Kept);

#[derive(Debug)]
enum Kept {
    /// As far as is known yet.
    Wanted(Box<Record>),
    /// What was seen of it decides.
    Unwanted,
}

#[derive(Debug)]
enum Format {
    Text(Text),
    Json(Json),
    Har(Har),
}

impl Tap<File> {
    /// Prints what `options` ask for on stdout.
    ///
    /// # Errors
    /// There is none.
    pub fn on_stdout(options: &TapOptions) -> Result<Self, TapError> {
        // Its own buffer would only write more often.
        let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(TapError::Write)?;
        Ok(Self::new(options, File::from(stdout)))
    }
}

impl<W: Write> Tap<W> {
    /// Prints what `options` ask for to `writer`, which is written to rarely and in large parts.
    pub fn new(options: &TapOptions, writer: W) -> Self {
        Self::in_zone(options, writer, TimeZone::system)
    }

    /// The same with local times of this zone.
    pub(super) fn in_zone(options: &TapOptions, writer: W, zone: impl FnOnce() -> TimeZone) -> Self {
        let TapOptions { source, format, filter, secrets, count } = options;
        let (epoch, secrets) = (Epoch::of(source), *secrets);
        let mut output = Output::new(writer);
        let format = match *format {
            TapFormat::Text { colours, heading } => {
                let text = Text::new(secrets, epoch, zone(), colours);
                if heading {
                    output.put(|out| text.put_heading(out));
                }
                Format::Text(text)
            }
            TapFormat::Json => Format::Json(Json::new(secrets, epoch)),
            TapFormat::Har => {
                output.put(har::put_begin);
                Format::Har(Har::new(secrets, epoch))
            }
        };
        // The others have no place for a hash.
        let hashing = if matches!(format, Format::Json(_)) { Hashing::On } else { Hashing::Off };
        let summary = TapSummary::default();
        Self { filter: filter.clone(), format, hashing, left: *count, output, summary }
    }

    /// Whether more exchanges would be of no use: as many as asked for are printed, or nobody reads them.
    pub fn is_done(&self) -> bool {
        self.left == Some(0) || !self.output.is_open()
    }

    /// Whether there is something that [`Tap::flush`] would write.
    pub fn holds_back(&self) -> bool {
        self.output.holds_back()
    }

    /// Writes what was put down. To be called when the source pauses.
    pub fn flush(&mut self) {
        self.output.flush();
    }

    /// Writes the rest, and says what there was.
    ///
    /// # Errors
    /// The writer takes no more, for another reason than that nobody reads.
    pub fn finish(mut self) -> Result<TapSummary, TapError> {
        if let Format::Har(_) = self.format {
            self.output.put(har::put_end);
        }
        self.output.finish()?;
        Ok(self.summary)
    }

    fn print(&mut self, record: &Record) {
        let Self { format, output, summary, left, .. } = self;
        output.put(|out| match format {
            Format::Text(text) => text.put(out, record),
            Format::Json(json) => json.put(out, record),
            Format::Har(har) => har.put(out, record),
        });
        summary.count(record);
        if let Some(left) = left {
            *left = left.saturating_sub(1);
        }
    }
}

impl<W: Write> ExchangeSink for Tap<W> {
    type Exchange = Exchange;

    fn begin(&mut self, flow: &FlowKey, at_ns: u64) -> Exchange {
        Exchange(Kept::Wanted(Box::new(Record::new(*flow, at_ns, self.hashing))))
    }

    fn part(&mut self, exchange: &mut Exchange, part: ExchangeEvent<'_>, at_ns: u64) {
        let Kept::Wanted(record) = &mut exchange.0 else { return };
        let fits = match &part {
            ExchangeEvent::RequestHead(head) => self.filter.fits_request(Some(head)),
            ExchangeEvent::ResponseHead(head) => self.filter.fits_status(Some(head.status())),
            _ => true,
        };
        if fits {
            record.take(part, at_ns);
        } else {
            // From here on its bytes cost nothing.
            exchange.0 = Kept::Unwanted;
        }
    }

    fn finish(&mut self, exchange: Exchange) {
        if self.is_done() {
            return;
        }
        match exchange.0 {
            Kept::Wanted(record) if self.filter.fits_without(&record) => self.print(&record),
            Kept::Wanted(_) | Kept::Unwanted => self.summary.left_out += 1,
        }
    }
}

impl Filter {
    /// Whether an exchange is wanted without the heads that never came.
    fn fits_without(&self, record: &Record) -> bool {
        (record.request.is_some() || self.fits_request(None))
            && (record.response.is_some() || self.fits_status(None))
    }
}
