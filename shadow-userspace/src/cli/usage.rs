//! Wrong usage in one line: takes clap's errors of several lines, gives the words that matter.

use std::error::Error;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What is wrong and what to give instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct UsageError(pub(super) String);

/// Whether this is no error but an answer: help or version.
pub(super) fn is_help(error: &clap::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}

impl From<&clap::Error> for UsageError {
    fn from(error: &clap::Error) -> Self {
        // The value parsers' own messages say it all but for the option's name.
        if error.kind() == ErrorKind::ValueValidation
            && let (Some(ContextValue::String(option)), Some(source)) =
                (error.get(ContextKind::InvalidArg), error.source())
        {
            let option = option.split_whitespace().next().unwrap_or(option);
            return Self(one_line(&format!("{option}: {source}")));
        }
        let rendered = error.to_string();
        // What follows the first paragraph is usage and a pointer to --help; a tip is worth keeping.
        let wanted: Vec<_> = rendered
            .split("\n\n")
            .enumerate()
            .filter(|(at, paragraph)| *at == 0 || paragraph.trim_start().starts_with("tip:"))
            .map(|(_, paragraph)| one_line(paragraph))
            .collect();
        let text = wanted.join("; ");
        Self(text.strip_prefix("error: ").unwrap_or(&text).to_owned())
    }
}

/// Line ends and what else could disturb a terminal become spaces.
fn one_line(text: &str) -> String {
    let cleaned = text.replace(char::is_control, " ");
    cleaned.split_whitespace().collect::<Vec<_>>().join(" ")
}
