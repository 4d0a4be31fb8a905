//! Values of options: those that the file's keys have too, and what only the command line has.

use std::convert::Infallible;

use crate::{capture::file::Input, config::file::Scalar};

pub(super) use crate::config::values::*;

/// A capture file's path, or `-` for standard input.
pub(super) fn input(text: &str) -> Result<Input, Infallible> {
    Ok(if text == "-" { Input::Stdin } else { Input::Path(text.into()) })
}

/// The text of a value that `parse` takes, as a file would have it.
pub(super) fn kept<T, E>(
    parse: impl Fn(&str) -> Result<T, E> + Clone,
) -> impl Fn(&str) -> Result<Scalar, E> + Clone {
    move |text| parse(text).map(|_| text.into())
}
