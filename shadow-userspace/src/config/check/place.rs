//! What isn't about routes: takes the sections on capture and administration, gives what they mean.

use std::collections::HashSet;

use crate::{
    capture::AttachMode,
    config::{
        AdminConfig, CaptureConfig,
        check::Reader,
        file::model::{Admin, Capture, Redact},
        values,
    },
    shadow::copy::redact::Redaction,
};

use super::words;

/// The ways of attaching, as flag and key name them.
const ATTACH: [(&str, AttachMode); 5] = [
    ("auto", AttachMode::Auto),
    ("xdp-native", AttachMode::XdpNative),
    ("xdp-generic", AttachMode::XdpGeneric),
    ("tc", AttachMode::Tc),
    ("clsact", AttachMode::Clsact),
];

pub(super) fn capture(reader: &mut Reader, section: &Capture, is_live: bool) -> CaptureConfig {
    let interfaces = reader.list("capture.interfaces", &section.interfaces, interface);
    let mut ports = reader.list("capture.ports", &section.ports, values::port);
    ports.sort_unstable();
    ports.dedup();
    if is_live && section.interfaces.0.is_empty() {
        reader.fault("", "no interface: name it under capture.interfaces, or give --interface");
    }
    if is_live && section.ports.0.is_empty() {
        reader.fault("", "no port: name it under capture.ports, or give --port");
    }
    let mut capture = CaptureConfig {
        interfaces: once_each(interfaces),
        netns: reader.optional("capture.netns", section.netns.as_ref(), values::path),
        ports,
        attach: AttachMode::Auto,
        ring_bytes: 16 << 20,
        only_new: false,
        max_flows: 65_536,
        max_memory: 256 << 20,
    };
    reader.set(&mut capture.attach, "capture.attach", section.attach.as_ref(), |text| {
        words::word(text, &ATTACH)
    });
    reader.set(&mut capture.ring_bytes, "capture.ring_size", section.ring_size.as_ref(), values::ring_size);
    let only_new = section.only_new_connections.as_ref();
    reader.set(&mut capture.only_new, "capture.only_new_connections", only_new, values::flag);
    reader.set(&mut capture.max_flows, "capture.max_flows", section.max_flows.as_ref(), values::count);
    reader.set(&mut capture.max_memory, "capture.max_memory", section.max_memory.as_ref(), values::size);
    capture
}

/// A name that the kernel gives.
fn interface(text: &str) -> Result<String, String> {
    let fits = (1..16).contains(&text.len()) && !text.bytes().any(|byte| byte <= b' ' || byte == b'/');
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is no interface: give a name such as eth0"))
    }
}

/// Without what comes again, in order.
fn once_each(names: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}

pub(super) fn admin(reader: &mut Reader, section: &Admin) -> AdminConfig {
    let listen = reader.optional("admin.listen", section.listen.as_ref(), words::address);
    let socket = reader.optional("admin.socket", section.socket.as_ref(), words::socket);
    let token_file = reader.optional("admin.token_file", section.token_file.as_ref(), values::path);
    if token_file.is_some() && section.listen.is_none() {
        reader.fault("admin.token_file", "the token is for the TCP address: give admin.listen too");
    }
    AdminConfig { listen, socket: socket.unwrap_or_default(), token_file }
}

pub(super) fn redaction(reader: &mut Reader, section: &Redact) -> Redaction {
    Redaction {
        headers: reader.list("redact.headers", &section.headers, redactable),
        cookies: reader.list("redact.cookies", &section.cookies, words::cookie_name),
        query: reader.list("redact.query", &section.query, words::some_text),
        json: reader.list("redact.json", &section.json, words::pointer),
    }
}

/// A header whose value can be another.
fn redactable(text: &str) -> Result<http::HeaderName, String> {
    let name = words::header_name(text)?;
    super::copies::is_own(&name)
        .map_or(Ok(name), |_| Err(format!("{text:?} is needed to send the copy at all")))
}
