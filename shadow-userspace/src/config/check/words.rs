//! Texts that are one of several words, or names of a kind: takes the text, gives what it means.

use std::net::SocketAddr;

use http::{HeaderName, HeaderValue, Method, uri::Authority};
use regex::Regex;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::{
    config::{AdminSocket, values},
    route::matcher::full_match,
    shadow::copy::redact::JsonPointer,
};

/// One of these words.
pub(crate) fn word<T: Clone>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| meaning.clone()).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("{text:?} is none of them: give {}", or(&words))
    })
}

/// `a, b or c`.
fn or(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}

/// A header's name, in lower case.
pub(crate) fn header_name(text: &str) -> Result<HeaderName, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no header name: give letters, digits and hyphens, such as x-user"))
}

/// A header's value, which is not repeated: it may be a secret.
pub(crate) fn header_value(text: &str) -> Result<HeaderValue, &'static str> {
    let is_plain = |byte: u8| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic();
    match HeaderValue::from_str(text) {
        Ok(value) if text.bytes().all(is_plain) && text.trim() == text => Ok(value),
        _ => Err("a header's value has no spaces around it and no bytes but printable ASCII"),
    }
}

/// A method; case doesn't count, since no method in use has lower case.
pub(crate) fn method(text: &str) -> Result<Method, String> {
    let upper = text.to_ascii_uppercase();
    Method::from_bytes(upper.as_bytes())
        .map_err(|_| format!("{text:?} is no method: give one like GET or POST"))
}

/// A cookie's name.
pub(crate) fn cookie_name(text: &str) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_token) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is no cookie name: give one like session"))
    }
}

/// Any text but an empty one.
pub(crate) fn some_text(text: &str) -> Result<String, &'static str> {
    if text.is_empty() { Err("an empty name: give one, or leave it out") } else { Ok(text.to_owned()) }
}

/// A path without query.
pub(crate) fn path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err(format!("{text:?} is no path: it begins with /, such as /pets"));
    }
    if text.bytes().any(|byte| matches!(byte, b'?' | b'#') || !byte.is_ascii_graphic()) {
        return Err(format!(
            "{text:?} is no path: a path has neither query nor spaces, and other bytes than ASCII as %C3%A9"
        ));
    }
    Ok(text.to_owned())
}

/// A path as a request may have it, `OPTIONS *` included.
pub(crate) fn whole_path(text: &str) -> Result<String, String> {
    if text == "*" { Ok(text.to_owned()) } else { path(text) }
}

/// A pattern for a whole text.
pub(crate) fn whole_pattern(text: &str) -> Result<Regex, String> {
    // By itself, so that the place of an error is that in the text.
    pattern(text)?;
    full_match(text).map_err(|error| explain(text, &error))
}

/// A pattern for a part of a text.
pub(crate) fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| explain(text, &error))
}

/// In one line, with the character where it is wrong.
fn explain(text: &str, error: &regex::Error) -> String {
    let told = error.to_string();
    let what = told.lines().last().unwrap_or_default().trim_start_matches("error: ");
    let caret = told.lines().find(|line| line.contains('^') && line.trim().chars().all(|c| c == '^'));
    // The pattern is shown behind four spaces, if it is of one line.
    let at = caret.filter(|_| !text.contains('\n')).and_then(|line| line.find('^')?.checked_sub(3));
    let place = at.map(|at| format!(" at character {at}")).unwrap_or_default();
    format!("{text:?} is no regular expression: {what}{place}")
}

/// What a copy's Host gets before its port.
pub(crate) fn host_suffix(text: &str) -> Result<String, String> {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte)) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} can't end a host: give letters, digits, hyphens and dots, such as -shadow, or \"\""
        ))
    }
}

/// A copy's Host.
pub(crate) fn host(text: &str) -> Result<HeaderValue, String> {
    let refused = || "it is no host: give one like v2.internal or v2.internal:8080".to_owned();
    if text.contains('@') {
        return Err(refused());
    }
    let authority: Authority = text.parse().map_err(|_| refused())?;
    let port = authority.as_str().strip_prefix(authority.host()).and_then(|tail| tail.strip_prefix(':'));
    if authority.host().is_empty() || port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(refused());
    }
    HeaderValue::from_str(text).map_err(|_| refused())
}

/// A JSON pointer (RFC 6901).
pub(crate) fn pointer(text: &str) -> Result<JsonPointer, String> {
    text.parse().map_err(|why| format!("{text:?} is no JSON pointer ({why}): give one like /user/password"))
}

/// An address with its port.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no address: give one with its port, such as 127.0.0.1:9900"))
}

/// A log level, or directives.
pub(crate) fn log_filter(text: &str) -> Result<EnvFilter, String> {
    let wrong = || {
        format!(
            "{text:?} is no log level: give off, error, warn, info, debug or trace, or directives such as \
             shadow_userspace=debug"
        )
    };
    // EnvFilter would take a misspelt level for a module's name.
    let is_level = !text.is_empty() && text.parse::<LevelFilter>().is_ok();
    if !is_level && !text.contains('=') {
        return Err(wrong());
    }
    text.parse().map_err(|_| wrong())
}

/// The Unix socket's path, or `off`.
pub(crate) fn socket(text: &str) -> Result<AdminSocket, String> {
    match text {
        "off" => Ok(AdminSocket::Off),
        // YAML's other words for it would become a file in the working directory.
        "false" | "no" | "none" | "null" | "true" | "yes" | "on" => {
            Err(format!("{text:?} is no socket: give a path such as /run/shadow-agent.sock, or off"))
        }
        path => values::path(path).map(AdminSocket::At).map_err(|error| error.to_string()),
    }
}
