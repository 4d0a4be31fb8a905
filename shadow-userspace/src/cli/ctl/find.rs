//! Which agent is meant, if none is named: the only one that runs.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use http::Method;

use super::client::{self, CtlError};
use crate::admin::{Status, sockets};

/// For an agent to say what it is attached to.
const PATIENCE: Duration = Duration::from_secs(2);

/// The socket of the only agent that has one in `directory`.
pub(super) fn only_agent(directory: &Path) -> Result<PathBuf, CtlError> {
    let none = || CtlError::NoAgent(directory.to_owned());
    let mut found = match sockets(directory) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(none()),
        Err(error) => return Err(CtlError::of(directory, error)),
    };
    if let ([_], Some(only)) = (&*found, found.first().cloned()) {
        return Ok(only);
    }
    let mut agents: Vec<String> = Vec::new();
    found.retain(|path| match attachment(path) {
        Some(attachment) => {
            agents.push(format!("--socket {} ({attachment})", path.display()));
            true
        }
        None => false,
    });
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(none()),
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(CtlError::Several(agents.join(", "))),
    }
}

/// What the agent of a socket is attached to; none: there is no agent any more.
fn attachment(path: &Path) -> Option<String> {
    let status = client::call(path, Method::GET, "/api/status", String::new(), PATIENCE)
        .and_then(|answer| client::parse::<Status>(&answer));
    match status {
        Ok(status) => Some(super::text::line(&status.attachment)),
        Err(CtlError::Dead(_) | CtlError::NoSocket(_)) => None,
        Err(CtlError::Denied(_)) => Some("another user's".to_owned()),
        Err(_) => Some("it doesn't answer".to_owned()),
    }
}
