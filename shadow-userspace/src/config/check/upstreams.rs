//! The upstreams: takes their sections, gives how each is reached.

use crate::{
    config::{
        check::{Reader, words},
        file::{
            Document, Either,
            model::{Breaker, Defaults, Tls, Upstream as Section},
        },
        values,
    },
    shadow::{
        client::upstream::Upstream,
        options::{BreakerOptions, Order, TlsOptions, UpstreamOptions},
    },
};

/// Every upstream that a name stands for.
pub(super) struct Upstreams {
    named: Vec<UpstreamOptions>,
    /// As all are that say nothing else.
    defaults: Section,
    own_mark: u32,
    /// Some have faults: who names them is not to blame.
    faulty: Vec<String>,
}

impl Upstreams {
    pub(super) fn read(reader: &mut Reader, document: &Document, own_mark: u32) -> Self {
        let defaults = section_of(&document.defaults);
        let mut all = Self { named: Vec::new(), defaults, own_mark, faulty: Vec::new() };
        // A default is checked even if every upstream says otherwise.
        if let Ok(anywhere) = "http://localhost".parse() {
            all.options(reader, anywhere, "defaults", None);
        }
        for (name, section) in &document.upstreams.0 {
            let path = format!("upstreams.{name}");
            match all.upstream(reader, name, section, &path) {
                Some(options) => all.named.push(options),
                None => all.faulty.push(name.clone()),
            }
        }
        all
    }

    fn upstream(
        &self,
        reader: &mut Reader,
        name: &str,
        section: &Section,
        path: &str,
    ) -> Option<UpstreamOptions> {
        if name.is_empty() {
            reader.fault(path, "an empty name: give one");
        }
        let Some(url) = &section.url else {
            reader.fault(path, "no url: give one like http://petstore-v2:8080");
            return None;
        };
        let url: Upstream = reader.read(&format!("{path}.url"), url, str::parse)?;
        let is_https = url.is_tls();
        let mut options = self.options(reader, url, path, Some(section));
        name.clone_into(&mut options.name);
        options.tls = tls(reader, &section.tls, &format!("{path}.tls"), is_https);
        Some(options)
    }

    /// What all have, then what it says itself.
    fn options(
        &self,
        reader: &mut Reader,
        url: Upstream,
        path: &str,
        own: Option<&Section>,
    ) -> UpstreamOptions {
        let mut options = UpstreamOptions { own_mark: self.own_mark, ..UpstreamOptions::new(url) };
        limits(reader, &mut options, &self.defaults, "defaults");
        if let Some(own) = own {
            limits(reader, &mut options, own, path);
        }
        options
    }

    /// The upstream that a route names, by its name or its URL.
    pub(super) fn find(&mut self, reader: &mut Reader, path: &str, given: &str) -> Option<String> {
        if self.named.iter().any(|upstream| upstream.name == given) {
            return Some(given.to_owned());
        }
        if self.faulty.iter().any(|name| name == given) {
            return None;
        }
        if !given.contains("://") {
            self.miss(reader, path, given);
            return None;
        }
        let url = reader.read(path, &given.into(), str::parse)?;
        let options = self.options(reader, url, path, None);
        let name = options.name.clone();
        if !self.named.iter().any(|upstream| upstream.name == name) {
            self.named.push(options);
        }
        Some(name)
    }

    fn miss(&self, reader: &mut Reader, path: &str, given: &str) {
        let names = || self.named.iter().map(|upstream| upstream.name.as_str());
        let advice = match crate::config::file::nearest(given, names()) {
            Some(name) => format!("did you mean {name:?}?"),
            None if self.named.is_empty() => "name it under upstreams, or give its URL".to_owned(),
            None => format!("give a URL, or one of {}", names().collect::<Vec<_>>().join(", ")),
        };
        let given = if given.contains('@') { "this".to_owned() } else { format!("{given:?}") };
        reader.fault(path, format!("{given} is no upstream; {advice}"));
    }

    /// Those that routes name.
    pub(super) fn used(self, names: &[String]) -> Vec<UpstreamOptions> {
        self.named.into_iter().filter(|upstream| names.contains(&upstream.name)).collect()
    }
}

/// The upstreams' part of the defaults.
fn section_of(defaults: &Defaults) -> Section {
    let defaults = defaults.clone();
    Section {
        url: None,
        tls: Tls::default(),
        timeout: defaults.timeout,
        connect_timeout: defaults.connect_timeout,
        idle_timeout: defaults.idle_timeout,
        dns_refresh: defaults.dns_refresh,
        max_response: defaults.max_response,
        max_in_flight: defaults.max_in_flight,
        max_queue: defaults.max_queue,
        max_queue_bytes: defaults.max_queue_bytes,
        max_rps: defaults.max_rps,
        breaker: defaults.breaker,
        order: defaults.order,
        stream_above: defaults.stream_above,
        stream_buffer: defaults.stream_buffer,
    }
}

/// What a section says replaces what the options have.
fn limits(reader: &mut Reader, to: &mut UpstreamOptions, section: &Section, path: &str) {
    let at = |key: &str| format!("{path}.{key}");
    for (value, key, given) in [
        (&mut to.timeout, "timeout", &section.timeout),
        (&mut to.connect_timeout, "connect_timeout", &section.connect_timeout),
        (&mut to.idle_timeout, "idle_timeout", &section.idle_timeout),
        (&mut to.dns_refresh, "dns_refresh", &section.dns_refresh),
    ] {
        reader.set(value, &at(key), given.as_ref(), values::duration);
    }
    for (value, key, given) in [
        (&mut to.max_queue_bytes, "max_queue_bytes", &section.max_queue_bytes),
        (&mut to.stream_above, "stream_above", &section.stream_above),
        (&mut to.stream_buffer, "stream_buffer", &section.stream_buffer),
    ] {
        reader.set(value, &at(key), given.as_ref(), values::size);
    }
    reader.set(&mut to.max_response, &at("max_response"), section.max_response.as_ref(), |text| {
        values::size(text).map(|bytes| bytes as u64)
    });
    let count = |text: &str| values::count(text).map(|count| count as usize);
    reader.set(&mut to.max_in_flight, &at("max_in_flight"), section.max_in_flight.as_ref(), count);
    let count = |text: &str| values::count_or_none(text).map(|count| count as usize);
    reader.set(&mut to.max_queue, &at("max_queue"), section.max_queue.as_ref(), count);
    if let Some(rate) = reader.optional(&at("max_rps"), section.max_rps.as_ref(), values::positive) {
        to.max_rps = Some(rate);
    }
    reader.set(&mut to.order, &at("order"), section.order.as_ref(), |text| {
        words::word(text, &[("none", Order::None), ("per_connection", Order::PerConnection)])
    });
    if let Some(section) = &section.breaker {
        breaker(reader, &mut to.breaker, section, &at("breaker"));
    }
}

fn breaker(reader: &mut Reader, to: &mut Option<BreakerOptions>, section: &Either<Breaker>, path: &str) {
    match section {
        Either::Text(text) if text.as_str() == "off" => *to = None,
        Either::Text(text) => {
            reader.fault(
                path,
                format!("{text:?} is no breaker: give off, or failures and open_for", text = text.0),
            );
        }
        Either::Section(section) => {
            let mut options = to.unwrap_or_default();
            let at = |key: &str| format!("{path}.{key}");
            reader.set(&mut options.failures, &at("failures"), section.failures.as_ref(), values::positive);
            reader.set(&mut options.open_for, &at("open_for"), section.open_for.as_ref(), values::duration);
            *to = Some(options);
        }
    }
}

fn tls(reader: &mut Reader, section: &Tls, path: &str, is_https: bool) -> TlsOptions {
    if *section != Tls::default() && !is_https {
        reader.fault(
            path,
            "the url is an http:// one, which has no TLS: give an https:// URL, or leave tls out",
        );
    }
    let at = |key: &str| format!("{path}.{key}");
    let mut options = TlsOptions {
        ca_file: reader.optional(&at("ca_file"), section.ca_file.as_ref(), values::path),
        server_name: reader.optional(&at("server_name"), section.server_name.as_ref(), server_name),
        insecure: false,
    };
    reader.set(&mut options.insecure, &at("insecure"), section.insecure.as_ref(), values::flag);
    if options.insecure && options.ca_file.is_some() {
        reader.fault(at("insecure"), "any certificate is taken, so ca_file has no use: give one of them");
    }
    options
}

fn server_name(text: &str) -> Result<String, String> {
    rustls_pki_types::ServerName::try_from(text).map(|_| text.to_owned()).map_err(|_| {
        format!("{text:?} is no name of a server: give a host name such as petstore, or an address")
    })
}
