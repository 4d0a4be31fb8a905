//! `tap`: prints exchanges and sends nothing.
//!
//! Takes what the pipeline says of exchanges ([`ExchangeSink`](crate::pipeline::ExchangeSink)), gives one line or HAR
//! entry for each, when it is over: [`sink`] collects a [`record`], [`filter`] says whether it is wanted, [`text`],
//! [`json`] and [`har`] write it, [`output`] takes it to where it is read.
//!
//! Private (invariant 5): [`secrets`] stands between a record and every format. Bodies are counted and hashed, never
//! kept. What came from the wire drives no terminal: [`escape`].

mod address;
mod body;
mod clock;
mod encode;
mod error;
mod escape;
mod filter;
mod har;
mod json;
mod options;
mod output;
mod record;
mod run;
mod secrets;
mod sink;
mod summary;
mod text;

pub use error::TapError;
pub use filter::{Filter, FilterError, HostPattern, Method, PathPrefix, StatusRange};
pub use options::{TapFormat, TapOptions, TapSource};
pub use run::{read_file, run};
pub use secrets::Secrets;
pub use sink::{Exchange, Tap};
pub use summary::TapSummary;

#[cfg(test)]
mod tests;
