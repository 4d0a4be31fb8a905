//! The paths: takes a request with its whole body, gives the answer. Nothing here reads or writes a connection.

use std::{fmt, sync::Arc};

use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    request::Parts,
};
use http_body_util::Full;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    admin::{
        ControlError, Controlled, Readiness,
        auth::{Origin, Token, may_change},
        metrics::{self, Format, ProcessStart},
    },
    capture::SampleRate,
};

/// Bytes of a request's body at most.
pub(super) const MAX_BODY: usize = 4096;

/// An answer.
pub(super) type Answer = Response<Full<Bytes>>;

/// What every request is answered from.
pub(super) struct Api {
    pub(super) token: Option<Token>,
    pub(super) start: ProcessStart,
    pub(super) agent: Arc<dyn Controlled>,
}

/// The body of `POST /api/rate`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateRequest {
    /// `ROUTE` or `ROUTE/UPSTREAM`; none: the only route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<String>,
    /// A percentage such as "25%", or a number.
    pub(crate) rate: Value,
}

#[derive(Clone, Copy)]
enum Endpoint {
    Metrics,
    Healthz,
    Readyz,
    Status,
    Routes,
    Rate,
    Pause,
    Resume,
    Reload,
}

/// Every path.
const ENDPOINTS: [(&str, Endpoint); 9] = [
    ("/metrics", Endpoint::Metrics),
    ("/healthz", Endpoint::Healthz),
    ("/readyz", Endpoint::Readyz),
    ("/api/status", Endpoint::Status),
    ("/api/routes", Endpoint::Routes),
    ("/api/rate", Endpoint::Rate),
    ("/api/pause", Endpoint::Pause),
    ("/api/resume", Endpoint::Resume),
    ("/api/reload", Endpoint::Reload),
];

impl Endpoint {
    fn of(path: &str) -> Option<Self> {
        ENDPOINTS.iter().find(|(known, _)| *known == path).map(|&(_, endpoint)| endpoint)
    }

    const fn changes(self) -> bool {
        matches!(self, Self::Rate | Self::Pause | Self::Resume | Self::Reload)
    }

    fn allows(self, method: &Method) -> bool {
        if self.changes() { *method == Method::POST } else { [Method::GET, Method::HEAD].contains(method) }
    }
}

/// What a caller is told instead of what he asked for.
struct Refusal {
    status: StatusCode,
    reason: String,
}

impl Refusal {
    fn new(status: StatusCode, reason: impl fmt::Display) -> Self {
        Self { status, reason: reason.to_string() }
    }
}

impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Self {
        let status = match &error {
            ControlError::Unknown(_) => StatusCode::NOT_FOUND,
            ControlError::Invalid(_) => StatusCode::BAD_REQUEST,
            ControlError::Unsupported(_) => StatusCode::CONFLICT,
            ControlError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error)
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        error(refusal.status, &refusal.reason)
    }
}

/// Whether the request is answered without its body, because it is refused; so that a body is read only of those who may
/// send one.
pub(super) fn refuse(head: &Parts, origin: Origin, token: Option<&Token>) -> Option<Answer> {
    let Some(endpoint) = Endpoint::of(head.uri.path()) else {
        let paths = ENDPOINTS.map(|(path, _)| path).join(", ");
        return Some(error(StatusCode::NOT_FOUND, &format!("there is no such path; there are {paths}")));
    };
    if !endpoint.allows(&head.method) {
        let allow = if endpoint.changes() { "POST" } else { "GET, HEAD" };
        let reason = format!("{} takes {allow}, not {}", head.uri.path(), head.method);
        let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, &reason);
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        return Some(answer);
    }
    if endpoint.changes() && !may_change(origin, token, &head.headers) {
        let how =
            if token.is_some() { "the bearer token" } else { "a token, and this agent has no token file" };
        let reason = format!("changing things takes the agent's Unix socket (shadow-agent ctl) or {how}");
        return Some(error(StatusCode::FORBIDDEN, &reason));
    }
    None
}

impl Api {
    /// Answers a request that isn't refused. It may block.
    pub(super) fn answer(&self, head: &Parts, body: &[u8], origin: Origin) -> Answer {
        let Some(endpoint) = Endpoint::of(head.uri.path()) else {
            return error(StatusCode::NOT_FOUND, "there is no such path");
        };
        let answer = match endpoint {
            Endpoint::Metrics => self.metrics(&head.headers),
            Endpoint::Healthz => Ok(text(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".to_owned())),
            Endpoint::Readyz => Ok(self.readyz()),
            Endpoint::Status => Ok(object(&self.agent.status())),
            Endpoint::Routes => Ok(object(&self.agent.routes())),
            change => self.change(change, &head.headers, body, origin),
        };
        answer.unwrap_or_else(Answer::from)
    }

    fn metrics(&self, headers: &HeaderMap) -> Result<Answer, Refusal> {
        let accept: Vec<_> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let format = Format::accepted(&accept.join(","));
        let encoded = metrics::encode(self.agent.metrics(), self.start, format)
            .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error))?;
        Ok(text(StatusCode::OK, format.content_type(), encoded))
    }

    fn readyz(&self) -> Answer {
        let (status, word) = match self.agent.readiness() {
            Readiness::Ready => (StatusCode::OK, "ready\n"),
            Readiness::Starting => {
                (StatusCode::SERVICE_UNAVAILABLE, "not ready: starting, nothing is attached yet\n")
            }
            Readiness::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "not ready: stopping\n"),
        };
        text(status, "text/plain; charset=utf-8", word.to_owned())
    }

    fn change(
        &self,
        endpoint: Endpoint,
        headers: &HeaderMap,
        body: &[u8],
        origin: Origin,
    ) -> Result<Answer, Refusal> {
        check_body(endpoint, headers, body)?;
        let by = origin.label();
        match endpoint {
            Endpoint::Rate => self.rate(body, by),
            Endpoint::Reload => {
                self.agent.reload()?;
                tracing::debug!(by, "the configuration was reloaded");
                Ok(object(&json!({ "reloaded": true })))
            }
            Endpoint::Pause | Endpoint::Resume => {
                let paused = matches!(endpoint, Endpoint::Pause);
                self.agent.set_paused(paused)?;
                tracing::debug!(by, "{}", if paused { "paused" } else { "resumed" });
                Ok(object(&json!({ "paused": paused })))
            }
            _ => Err(Refusal::new(StatusCode::NOT_FOUND, "it changes nothing")),
        }
    }

    fn rate(&self, body: &[u8], by: &str) -> Result<Answer, Refusal> {
        let bad = |reason: &dyn fmt::Display| Refusal::new(StatusCode::BAD_REQUEST, reason);
        let request: RateRequest = serde_json::from_slice(body).map_err(|error| {
            bad(&format_args!("the body must be like {{\"route\": \"pets\", \"rate\": \"25%\"}}: {error}"))
        })?;
        let given = match &request.rate {
            Value::String(given) => given.clone(),
            other => other.to_string(),
        };
        let rate: SampleRate = given.parse().map_err(|error| bad(&error))?;
        let route = request.route.map_or_else(|| self.only_route(), Ok)?;
        self.agent.set_rate(&route, rate)?;
        tracing::debug!(by, "the rate of {route:?} is {rate}");
        Ok(object(&json!({ "route": route, "percent": rate.percent() })))
    }

    fn only_route(&self) -> Result<String, Refusal> {
        let mut routes = self.agent.routes();
        match routes.len() {
            1 => Ok(routes.remove(0).name),
            0 => Err(Refusal::new(StatusCode::BAD_REQUEST, "there is no route")),
            _ => {
                let names: Vec<_> = routes.iter().map(|route| format!("{:?}", route.name)).collect();
                let reason = format!("there are several routes, name one of {}", names.join(", "));
                Err(Refusal::new(StatusCode::BAD_REQUEST, reason))
            }
        }
    }
}

/// A page of another site can make a browser send a body, but not as JSON.
fn check_body(endpoint: Endpoint, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    if body.is_empty() {
        return Ok(());
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let reason = "a body must have the Content-Type application/json";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
    }
    let is_empty =
        || serde_json::from_slice::<serde_json::Map<_, _>>(body).is_ok_and(|fields| fields.is_empty());
    if !matches!(endpoint, Endpoint::Rate) && !is_empty() {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "it takes no body, or {}"));
    }
    Ok(())
}

/// `{"error": reason}`.
pub(super) fn error(status: StatusCode, reason: &str) -> Answer {
    text(status, "application/json", format!("{}\n", json!({ "error": reason })))
}

fn object(value: &impl Serialize) -> Answer {
    match serde_json::to_string(value) {
        Ok(json) => text(StatusCode::OK, "application/json", json + "\n"),
        Err(wrong) => error(StatusCode::INTERNAL_SERVER_ERROR, &wrong.to_string()),
    }
}

fn text(status: StatusCode, kind: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
