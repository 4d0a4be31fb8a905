//! What a route is for: takes its `match`, gives compiled conditions.

use http::HeaderName;

use crate::{
    config::{
        check::{Reader, words},
        file::{
            Either,
            model::{Match, PathMatch as PathSection, SampleBy, ValueMatch as ValueSection},
        },
        values,
    },
    route::{
        SampleKey,
        matcher::{HeaderMatch, HostMatch, PathMatch, QueryMatch, RouteMatch, ValueMatch},
    },
};

pub(super) fn route_match(reader: &mut Reader, section: &Match, path: &str) -> RouteMatch {
    let at = |key: &str| format!("{path}.{key}");
    RouteMatch {
        hosts: reader.list(&at("hosts"), &section.hosts, host),
        path: section.path.as_ref().and_then(|section| path_match(reader, section, &at("path"))),
        methods: reader.list(&at("methods"), &section.methods, words::method),
        headers: values_of(reader, &section.headers.0, &at("headers"), words::header_name)
            .map(|(name, value, invert): (HeaderName, _, _)| HeaderMatch { name, value, invert })
            .collect(),
        query: values_of(reader, &section.query.0, &at("query"), words::some_text)
            .map(|(name, value, invert)| QueryMatch { name, value, invert })
            .collect(),
    }
}

/// A host without its port.
fn host(text: &str) -> Result<HostMatch, String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let refused = |why: &str| Err(format!("{text:?} is no host: {why}"));
    if name == "*" {
        return Ok(HostMatch::Any);
    }
    let (is_suffix, rest) = name.strip_prefix('*').map_or((false, name.as_str()), |rest| (true, rest));
    if rest.contains('*') || is_suffix && !rest.starts_with('.') {
        return refused("* stands alone or for what is before a dot, such as *.example.com");
    }
    let literal = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = literal {
        let is_address = !is_suffix && address.parse::<std::net::Ipv6Addr>().is_ok();
        return if is_address {
            Ok(HostMatch::Exact(name))
        } else {
            refused("give an address like [2001:db8::1]")
        };
    }
    if rest.contains(':') {
        return refused("it is matched without scheme and port, such as example.com");
    }
    if matches!(rest, "" | ".")
        || rest.bytes().any(|byte| !byte.is_ascii_graphic() || b"/?#@[]\\".contains(&byte))
    {
        return refused("give a name such as example.com or *.example.com");
    }
    Ok(if is_suffix { HostMatch::Suffix(rest.to_owned()) } else { HostMatch::Exact(name) })
}

fn path_match(reader: &mut Reader, section: &PathSection, path: &str) -> Option<PathMatch> {
    let at = |key: &str| format!("{path}.{key}");
    match (&section.prefix, &section.exact, &section.regex) {
        (Some(prefix), None, None) => reader.read(&at("prefix"), prefix, words::path).map(PathMatch::Prefix),
        (None, Some(exact), None) => {
            reader.read(&at("exact"), exact, words::whole_path).map(PathMatch::Exact)
        }
        (None, None, Some(regex)) => {
            reader.read(&at("regex"), regex, words::whole_pattern).map(PathMatch::Regex)
        }
        _ => {
            reader.fault(path, "give one of prefix, exact or regex");
            None
        }
    }
}

/// Names with what their values must be, and whether the opposite counts.
fn values_of<N, E: std::fmt::Display>(
    reader: &mut Reader,
    sections: &[ValueSection],
    path: &str,
    parse: impl Fn(&str) -> Result<N, E>,
) -> impl Iterator<Item = (N, ValueMatch, bool)> {
    let mut conditions = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let name = match &section.name {
            Some(name) => reader.read(&format!("{path}.name"), name, &parse),
            None => {
                reader.fault(&path, "no name: say which");
                None
            }
        };
        let condition = value_match(reader, section, &path);
        if let (Some(name), Some((value, invert))) = (name, condition) {
            conditions.push((name, value, invert));
        }
    }
    conditions.into_iter()
}

fn value_match(reader: &mut Reader, section: &ValueSection, path: &str) -> Option<(ValueMatch, bool)> {
    let at = |key: &str| format!("{path}.{key}");
    let invert = reader.optional(&at("invert"), section.invert.as_ref(), values::flag).unwrap_or(false);
    let value = match (&section.present, &section.exact, &section.prefix, &section.regex) {
        (Some(present), None, None, None) => {
            let present = reader.read(&at("present"), present, values::flag)?;
            return Some((ValueMatch::Present, invert == present));
        }
        (None, Some(exact), None, None) => ValueMatch::Exact(exact.0.clone()),
        (None, None, Some(prefix), None) => ValueMatch::Prefix(prefix.0.clone()),
        (None, None, None, Some(regex)) => {
            ValueMatch::Regex(reader.read(&at("regex"), regex, words::whole_pattern)?)
        }
        _ => {
            reader.fault(path, "give one of present, exact, prefix or regex");
            return None;
        }
    };
    Some((value, invert))
}

pub(super) fn sample_by(reader: &mut Reader, section: &Either<SampleBy>, path: &str) -> Option<SampleKey> {
    const WORDS: &str =
        "give request, connection, client-ip, or one of the keys header and cookie with a name";
    match section {
        Either::Text(text) => match text.as_str() {
            "request" => Some(SampleKey::Request),
            "connection" => Some(SampleKey::Connection),
            "client-ip" => Some(SampleKey::ClientIp),
            text => {
                reader.fault(path, format!("{text:?} is nothing to sample by: {WORDS}"));
                None
            }
        },
        Either::Section(SampleBy { header: Some(header), cookie: None }) => {
            reader.read(&format!("{path}.header"), header, words::header_name).map(SampleKey::Header)
        }
        Either::Section(SampleBy { header: None, cookie: Some(cookie) }) => {
            reader.read(&format!("{path}.cookie"), cookie, words::cookie_name).map(SampleKey::Cookie)
        }
        Either::Section(_) => {
            reader.fault(path, WORDS);
            None
        }
    }
}
