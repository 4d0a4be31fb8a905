//! What `tap` is asked for.

use std::path::PathBuf;

use crate::{
    capture::LiveOptions,
    tap::{Filter, Secrets},
};

/// Everything that `tap` needs.
#[derive(Clone, Debug)]
pub struct TapOptions {
    /// Where exchanges come from.
    pub source: TapSource,
    /// How they are written.
    pub format: TapFormat,
    /// Which of them.
    pub filter: Filter,
    /// Whether secret headers are shown.
    pub secrets: Secrets,
    /// Stop after so many; none: at the source's end.
    pub count: Option<u64>,
}

/// Where exchanges come from.
#[derive(Clone, Debug)]
pub enum TapSource {
    /// Network interfaces.
    Live(LiveOptions),
    /// A capture file.
    File {
        /// Its path; `-` is standard input.
        path: PathBuf,
        /// Service ports; empty: every port whose stream begins like HTTP.
        ports: Vec<u16>,
    },
}

/// How exchanges are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapFormat {
    /// A line to read.
    Text {
        /// With colours as terminals understand them.
        colours: bool,
        /// With a line above that names the columns.
        heading: bool,
    },
    /// A JSON object on a line.
    Json,
    /// An entry of one HAR 1.2 document.
    Har,
}
