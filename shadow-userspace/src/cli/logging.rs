//! Logs: everything goes to stderr, since stdout is the summary's.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::{agent::CLEAR_LINE, cli::usage::UsageError};

/// Unless `--log` or RUST_LOG says otherwise.
const DEFAULT: &str = "info";

/// Starts logging at `level`, or at RUST_LOG's.
pub(super) fn init(level: Option<&str>) -> Result<(), UsageError> {
    let (origin, directives) = match (level, std::env::var("RUST_LOG")) {
        (Some(level), _) => ("--log", level.to_owned()),
        (None, Ok(variable)) if !variable.is_empty() => ("RUST_LOG", variable),
        _ => ("--log", DEFAULT.to_owned()),
    };
    let filter = filter(origin, &directives)?;
    let terminal = io::stderr().is_terminal();
    let writer = move || LogWriter { terminal };
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(terminal);
    // It fails if there is a subscriber already: in tests.
    subscriber.compact().with_target(false).try_init().ok();
    Ok(())
}

fn filter(origin: &str, directives: &str) -> Result<EnvFilter, UsageError> {
    let wrong = || {
        UsageError(format!(
            "{origin}: {directives:?} is no log level: give off, error, warn, info, debug or trace, or directives \
             such as shadow_userspace=debug"
        ))
    };
    let quiet = if !directives.is_empty() && directives.parse::<LevelFilter>().is_ok() {
        // A bare level is for the agent: its libraries would tell of targets and headers (invariant 5).
        format!("{directives},hyper=warn,hyper_util=warn")
    } else if directives.contains('=') {
        directives.to_owned()
    } else {
        // EnvFilter would take a misspelt level for a module's name.
        return Err(wrong());
    };
    quiet.parse().map_err(|_| wrong())
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

    #[test]
    fn a_bare_level_keeps_libraries_quiet() {
        let shown = filter("--log", "trace").unwrap().to_string();
        assert!(shown.contains("hyper=warn") && shown.contains("hyper_util=warn"), "{shown}");
    }
}
