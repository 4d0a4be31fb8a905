//! Every path and method, and who may do what.

use super::*;
use crate::admin::{ControlError, Readiness, RouteStatus, Status};

const CHANGES: [&str; 4] = ["/api/rate", "/api/pause", "/api/resume", "/api/reload"];
const RATE: &str = r#"{"route": "pets", "rate": "25%"}"#;

#[tokio::test]
async fn what_is_read_needs_no_token() {
    let served = Served::start(false, Limits::default());
    for by_tcp in [true, false] {
        let ask =
            async |request: &str| if by_tcp { served.tcp(request).await } else { served.unix(request).await };
        assert_eq!((ask(&get("/healthz")).await).body, "ok\n");
        let answer = ask(&get("/api/status?x=y")).await;
        assert!(answer.head.contains("content-type: application/json"), "{answer:?}");
        assert!(answer.head.contains("nosniff") && answer.head.contains("no-store"), "{answer:?}");
        let status: Status = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((status.version.as_str(), status.pid), ("1.2.3", 42));
        let routes: Vec<RouteStatus> = serde_json::from_str(&ask(&get("/api/routes")).await.body).unwrap();
        assert_eq!((routes[0].name.as_str(), routes[0].shadows[0].percent), ("pets", 12.5));
        let metrics = ask(&get("/metrics")).await;
        assert!(metrics.head.contains("text/plain; version=0.0.4"), "{}", metrics.head);
        assert!(metrics.body.contains("\n# TYPE shadow_requests_seen_total counter\n"), "{}", metrics.body);
        assert!(metrics.body.contains("\nshadow_requests_dropped_total{reason=\"loop\"} 1\n"));
        assert!(ask("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.body.is_empty());
    }
    let accepting = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\n\r\n";
    let metrics = served.tcp(accepting).await;
    assert!(metrics.head.contains("application/openmetrics-text; version=1.0.0"), "{}", metrics.head);
    assert!(metrics.body.ends_with("# EOF\n"));
    served.server.stop().await;
}

#[tokio::test]
async fn readiness_is_said_with_its_reason() {
    let served = Served::start(false, Limits::default());
    for (readiness, status, word) in [
        (Readiness::Starting, 503, "starting"),
        (Readiness::Ready, 200, "ready\n"),
        (Readiness::Stopping, 503, "stopping"),
    ] {
        served.agent.set_readiness(readiness);
        let answer = served.tcp(&get("/readyz")).await;
        assert_eq!(answer.status, status, "{readiness:?}");
        assert!(answer.body.contains(word), "{answer:?}");
        assert_eq!(served.tcp(&get("/healthz")).await.status, 200);
    }
}

#[tokio::test]
async fn changes_need_the_socket_or_the_token() {
    for with_token in [false, true] {
        let served = Served::start(with_token, Limits::default());
        let right = format!("Authorization: Bearer {TOKEN}\r\n");
        let wrong = "Authorization: Bearer 0123456789abcdeX\r\n";
        for path in CHANGES {
            let body = if path == "/api/rate" { RATE } else { "" };
            for (by_tcp, given, may) in [
                (true, "", false),
                (true, wrong, false),
                (true, &*right, with_token),
                (false, "", true),
                (false, wrong, true),
            ] {
                let request = post(path, &format!("{JSON}{given}"), body);
                let answer = if by_tcp { served.tcp(&request).await } else { served.unix(&request).await };
                let told = served.agent.take_told();
                let case = format!("{path} tcp={by_tcp} {given:?} file={with_token}: {answer:?}");
                assert_eq!((answer.status, told.len()), if may { (200, 1) } else { (403, 0) }, "{case}");
                assert!(may || answer.error().contains("Unix socket"), "{case}");
                assert!(may || answer.error().contains("has no token file") != with_token, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn changes_reach_the_agent() {
    let served = Served::start(false, Limits::default());
    let number = r#"{"rate": 12.5}"#;
    let long = "Content-Type: Application/JSON; charset=utf-8\r\n";
    for (path, kind, body, told, answered) in [
        ("/api/rate", JSON, RATE, "rate pets 25%", r#"{"percent":25.0,"route":"pets"}"#),
        ("/api/rate", long, number, "rate pets 12.5%", r#"{"percent":12.5,"route":"pets"}"#),
        ("/api/pause", JSON, "", "paused true", r#"{"paused":true}"#),
        ("/api/resume", JSON, "{}", "paused false", r#"{"paused":false}"#),
        ("/api/reload", JSON, "", "reload", r#"{"reloaded":true}"#),
    ] {
        let answer = served.unix(&post(path, kind, body)).await;
        assert_eq!((answer.status, answer.body.trim_end()), (200, answered), "{path}");
        assert_eq!(served.agent.take_told(), [told]);
    }
}

#[tokio::test]
async fn the_agents_refusals_are_passed_on() {
    let served = Served::start(false, Limits::default());
    let reason = || "line 3: no \"such\" key".to_owned();
    for (refusal, status) in [
        (ControlError::Unknown(reason()), 404),
        (ControlError::Invalid(reason()), 400),
        (ControlError::Unsupported(reason()), 409),
        (ControlError::Failed(reason()), 500),
    ] {
        served.agent.refuse(Some(refusal));
        let answer = served.unix(&post("/api/reload", "", "")).await;
        assert_eq!((answer.status, answer.error()), (status, reason()));
    }
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let served = Served::start(false, Limits::default());
    let unknown = served.tcp(&get("/api/stats")).await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.error().contains("/api/status, /api/routes"), "{unknown:?}");
    for path in ["/metrics", "/healthz", "/readyz", "/api/status", "/api/routes"] {
        let answer = served.unix(&post(path, "", "")).await;
        assert_eq!(answer.status, 405, "{path}");
        assert!(answer.head.contains("allow: get, head\r\n"), "{answer:?}");
    }
    for path in CHANGES {
        for method in ["GET", "PUT", "OPTIONS", "DELETE"] {
            let answer = served.unix(&format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert!(answer.head.contains("allow: post\r\n"), "{answer:?}");
        }
    }
    let big = format!("{{\"rate\": \"{}\"}}", "1".repeat(5000));
    for (path, kind, body, status, word) in [
        ("/api/rate", "", RATE, 415, "application/json"),
        ("/api/rate", "Content-Type: text/plain\r\n", RATE, 415, "application/json"),
        ("/api/pause", "Content-Type: text/plain\r\n", "{}", 415, "application/json"),
        ("/api/pause", JSON, "{\"paused\": false}", 400, "no body"),
        ("/api/rate", JSON, "", 400, "the body must be like"),
        ("/api/rate", JSON, "{\"rate\": \"half\"}", 400, "\"half\" is no sample rate"),
        ("/api/rate", JSON, "{\"rate\": 101}", 400, "\"101\" is no sample rate"),
        ("/api/rate", JSON, "{\"rate\": 1, \"upstream\": \"v2\"}", 400, "unknown field `upstream`"),
        ("/api/rate", JSON, &big, 413, "4096"),
    ] {
        let answer = served.unix(&post(path, kind, body)).await;
        assert_eq!(answer.status, status, "{path} {kind} {body}");
        assert!(answer.error().contains(word), "{answer:?}");
    }
    assert_eq!(served.agent.take_told(), [""; 0]);
}

#[tokio::test]
async fn without_a_name_only_one_route_can_be_meant() {
    let directory = Directory::new();
    for (routes, word) in
        [(&[][..], "no route"), (&["pets", "a \"b\""], "name one of \"pets\", \"a \\\"b\\\"\"")]
    {
        let path = directory.path().join("a.sock");
        let config = AdminConfig { socket: AdminSocket::At(path.clone()), ..AdminConfig::default() };
        let agent = Arc::new(FakeAgent::new(routes));
        let server = Listeners::bind(&config).unwrap().serve(agent).unwrap();
        let stream = UnixStream::connect(&path).await.unwrap();
        let answer = exchange(stream, &post("/api/rate", JSON, "{\"rate\": 1}")).await;
        assert_eq!(answer.status, 400);
        assert!(answer.error().contains(word), "{answer:?}");
        server.stop().await;
        assert!(!path.exists(), "the socket goes with the server");
    }
}

#[test]
fn what_cannot_be_listened_on_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let config = AdminConfig { listen: Some(listen), socket: AdminSocket::Off, token_file: None };
    let error = Listeners::bind(&config).unwrap_err().to_string();
    assert!(error.contains(&listen.to_string()) && error.contains("--admin"), "{error}");
}
