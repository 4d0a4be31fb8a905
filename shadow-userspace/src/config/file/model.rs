//! Every key of the file, with its values as they are written. `docs/configuration.md` says what they mean.

use serde::{Deserialize, Serialize};

use super::values::{Either, Entries, HeaderChanges, List, Scalar};

/// A section: what is absent is `None` or empty, and isn't written; a key that isn't here is refused.
macro_rules! section {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $key:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$doc])* #[serde(skip_serializing_if = "is_default")] pub $key: $kind,)*
        }
    };
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

section! {
    /// The whole file.
    Document {
        /// Where requests come from.
        capture: Capture,
        /// Where copies go, by name.
        upstreams: Entries<Upstream>,
        /// For every upstream and every route that doesn't say otherwise.
        defaults: Defaults,
        /// Which requests are copied.
        routes: List<Route>,
        /// What never leaves the agent.
        redact: Redact,
        /// Name of the header that marks copies.
        loop_header: Option<Scalar>,
        /// `true`: only GET, HEAD and OPTIONS are copied.
        safe_methods_only: Option<Scalar>,
        /// How the agent is talked to.
        admin: Admin,
        /// How long copies may take to finish once the agent is told to stop.
        grace: Option<Scalar>,
        /// `text` or `json`.
        summary: Option<Scalar>,
        /// Log level, or filters as RUST_LOG has them.
        log: Option<Scalar>,
    }
}

section! {
    /// Where requests come from, and what may be held of them.
    Capture {
        /// Network interfaces.
        interfaces: List<Scalar>,
        /// The network namespace that they are in.
        netns: Option<Scalar>,
        /// Service ports.
        ports: List<Scalar>,
        /// Where to attach, as the flag has it.
        attach: Option<Scalar>,
        /// Ring buffer between kernel and agent.
        ring_size: Option<Scalar>,
        /// `true`: connections are left alone whose beginning wasn't seen.
        only_new_connections: Option<Scalar>,
        /// Connections followed at once.
        max_flows: Option<Scalar>,
        /// Memory for all captured requests together.
        max_memory: Option<Scalar>,
    }
}

section! {
    /// One upstream.
    Upstream {
        /// Where it is; needed.
        url: Option<Scalar>,
        /// For an `https` URL.
        tls: Tls,
        /// For a whole copy.
        timeout: Option<Scalar>,
        /// For connecting.
        connect_timeout: Option<Scalar>,
        /// How long an unused connection is kept.
        idle_timeout: Option<Scalar>,
        /// How often its name is resolved.
        dns_refresh: Option<Scalar>,
        /// Bytes of an answer that are read.
        max_response: Option<Scalar>,
        /// Copies on their way at once.
        max_in_flight: Option<Scalar>,
        /// Copies that wait.
        max_queue: Option<Scalar>,
        /// Their bytes.
        max_queue_bytes: Option<Scalar>,
        /// Copies per second.
        max_rps: Option<Scalar>,
        /// When it is left in peace; `off`: never.
        breaker: Option<Either<Breaker>>,
        /// `none` or `per_connection`.
        order: Option<Scalar>,
        /// Larger bodies are streamed.
        stream_above: Option<Scalar>,
        /// Bytes of one streamed body that wait.
        stream_buffer: Option<Scalar>,
    }
}

section! {
    /// How an upstream proves who it is.
    Tls {
        /// PEM file of the authorities that are trusted.
        ca_file: Option<Scalar>,
        /// Name that the certificate must have.
        server_name: Option<Scalar>,
        /// `true`: any certificate is taken.
        insecure: Option<Scalar>,
    }
}

section! {
    /// When an upstream is left in peace.
    Breaker {
        /// Failures in a row that open it.
        failures: Option<Scalar>,
        /// Until one copy is let through.
        open_for: Option<Scalar>,
    }
}

section! {
    /// One route.
    Route {
        /// Its name.
        name: Option<Scalar>,
        /// What it is for, any of them; none: everything.
        r#match: List<Match>,
        /// What requests share that are sampled alike.
        sample_by: Option<Either<SampleBy>>,
        /// Where copies go; needed. Empty: nowhere, and no later route is asked.
        shadow: Option<List<Shadow, true>>,
    }
}

section! {
    /// What a route is for: all conditions must hold.
    Match {
        /// One of them.
        hosts: List<Scalar>,
        /// Without the query.
        path: Option<PathMatch>,
        /// One of them.
        methods: List<Scalar>,
        /// All of them.
        headers: List<ValueMatch>,
        /// Parameters, all of them.
        query: List<ValueMatch>,
    }
}

section! {
    /// A path; one of the keys.
    PathMatch {
        /// Begins with this.
        prefix: Option<Scalar>,
        /// Is this.
        exact: Option<Scalar>,
        /// All of it matches.
        regex: Option<Scalar>,
    }
}

section! {
    /// A header or a query parameter; `name`, and one of the keys but for `invert`.
    ValueMatch {
        /// Its name.
        name: Option<Scalar>,
        /// `true`: it is there; `false`: it isn't.
        present: Option<Scalar>,
        /// Is this.
        exact: Option<Scalar>,
        /// Begins with this.
        prefix: Option<Scalar>,
        /// All of it matches.
        regex: Option<Scalar>,
        /// `true`: holds exactly if the condition doesn't.
        invert: Option<Scalar>,
    }
}

section! {
    /// What requests share that are sampled alike, beside `request`, `connection` and `client-ip`; one of the keys.
    SampleBy {
        /// The value of this header.
        header: Option<Scalar>,
        /// The value of this cookie.
        cookie: Option<Scalar>,
    }
}

section! {
    /// Where a route's copies go, how many, and how they are changed.
    Shadow {
        /// An upstream's name, or a URL; needed.
        upstream: Option<Scalar>,
        /// The share of the route's requests.
        percentage: Option<Either<Fraction>>,
        /// Appended to the name in Host.
        host_suffix: Option<Scalar>,
        /// Host.
        host_rewrite: Option<Scalar>,
        /// Other headers.
        headers: HeaderChanges,
        /// The path.
        path_rewrite: Option<PathRewrite>,
        /// Methods that are copied.
        methods: List<Scalar>,
        /// Instead of the upstream's.
        timeout: Option<Scalar>,
        /// Larger bodies aren't copied.
        max_body: Option<Scalar>,
        /// Copies that wait or are on their way, at most.
        max_in_flight: Option<Scalar>,
        /// `true`: the client's address is appended to X-Forwarded-For.
        forwarded_for: Option<Scalar>,
        /// `keep` or `child`.
        traceparent: Option<Scalar>,
    }
}

section! {
    /// A share.
    Fraction {
        /// Of so many;
        numerator: Option<Scalar>,
        /// absent: 100.
        denominator: Option<Scalar>,
    }
}

section! {
    /// What becomes of the path: `prefix`; or `from` and `to`; or `regex` and `substitution`.
    PathRewrite {
        /// Instead of what the route's match begins with.
        prefix: Option<Scalar>,
        /// Instead of this prefix
        from: Option<Scalar>,
        /// comes this.
        to: Option<Scalar>,
        /// Instead of every match
        regex: Option<Scalar>,
        /// comes this.
        substitution: Option<Scalar>,
    }
}

section! {
    /// The keys of [`Upstream`] but `url` and `tls`, and those of [`Shadow`] but `upstream` and `percentage`. What both
    /// have is the upstreams'.
    Defaults {
        /// See [`Upstream`].
        timeout: Option<Scalar>,
        /// See [`Upstream`].
        connect_timeout: Option<Scalar>,
        /// See [`Upstream`].
        idle_timeout: Option<Scalar>,
        /// See [`Upstream`].
        dns_refresh: Option<Scalar>,
        /// See [`Upstream`].
        max_response: Option<Scalar>,
        /// See [`Upstream`].
        max_in_flight: Option<Scalar>,
        /// See [`Upstream`].
        max_queue: Option<Scalar>,
        /// See [`Upstream`].
        max_queue_bytes: Option<Scalar>,
        /// See [`Upstream`].
        max_rps: Option<Scalar>,
        /// See [`Upstream`].
        breaker: Option<Either<Breaker>>,
        /// See [`Upstream`].
        order: Option<Scalar>,
        /// See [`Upstream`].
        stream_above: Option<Scalar>,
        /// See [`Upstream`].
        stream_buffer: Option<Scalar>,
        /// See [`Shadow`].
        host_suffix: Option<Scalar>,
        /// See [`Shadow`].
        host_rewrite: Option<Scalar>,
        /// See [`Shadow`].
        headers: HeaderChanges,
        /// See [`Shadow`].
        path_rewrite: Option<PathRewrite>,
        /// See [`Shadow`].
        methods: List<Scalar>,
        /// See [`Shadow`].
        max_body: Option<Scalar>,
        /// See [`Shadow`].
        forwarded_for: Option<Scalar>,
        /// See [`Shadow`].
        traceparent: Option<Scalar>,
    }
}

section! {
    /// What never leaves the agent.
    Redact {
        /// Headers.
        headers: List<Scalar>,
        /// Cookies by name.
        cookies: List<Scalar>,
        /// Query parameters by name.
        query: List<Scalar>,
        /// Values of JSON bodies by their pointer.
        json: List<Scalar>,
    }
}

section! {
    /// How the agent is talked to.
    Admin {
        /// TCP address.
        listen: Option<Scalar>,
        /// Unix socket; `off`: none.
        socket: Option<Scalar>,
        /// File with the token that lets the TCP address change things.
        token_file: Option<Scalar>,
    }
}
