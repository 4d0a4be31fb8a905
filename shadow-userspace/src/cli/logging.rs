//! Logs: everything goes to stderr, since stdout is the summary's.

use std::io::{self, IsTerminal, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, filter_fn},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{agent::CLEAR_LINE, cli::usage::UsageError, config::check::words::log_filter};

/// Unless `--log` or RUST_LOG says otherwise.
const DEFAULT: &str = "info";

/// Starts logging at `level`, or at RUST_LOG's.
pub(super) fn init(level: Option<&str>) -> Result<(), UsageError> {
    let (origin, directives) = match (level, std::env::var("RUST_LOG")) {
        (Some(level), _) => ("--log", level.to_owned()),
        (None, Ok(variable)) if !variable.is_empty() => ("RUST_LOG", variable),
        _ => ("--log", DEFAULT.to_owned()),
    };
    let filter = filter(origin, &directives)?.and(filter_fn(keeps_secrets));
    let terminal = io::stderr().is_terminal();
    let writer = move || LogWriter { terminal };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(terminal);
    let lines = lines.compact().with_target(false).with_filter(filter);
    // It fails if there is a subscriber already: in tests.
    tracing_subscriber::registry().with(lines).try_init().ok();
    Ok(())
}

fn filter(origin: &str, directives: &str) -> Result<EnvFilter, UsageError> {
    log_filter(directives).map_err(|why| UsageError(format!("{origin}: {why}")))
}

/// Whatever level is asked for, libraries only warn: on their lower levels they tell of targets and headers, and those
/// never reach a log (invariant 5).
fn keeps_secrets(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("shadow") || *metadata.level() <= Level::WARN
}

/// stderr, where the progress line makes room for a log line.
struct LogWriter {
    terminal: bool,
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut stderr = io::stderr().lock();
        if self.terminal {
            stderr.write_all(CLEAR_LINE.as_bytes())?;
        }
        stderr.write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives() {
        for text in ["info", "DEBUG", "off", "shadow_userspace=debug", "warn,shadow_userspace::tcp=trace"] {
            assert!(filter("--log", text).is_ok(), "{text}");
        }
        for text in ["", "loud", "info;", "shadow_userspace=loud"] {
            let error = filter("--log", text).unwrap_err().to_string();
            assert!(error.starts_with("--log: ") && error.contains("give off, error"), "{error}");
        }
    }
}
