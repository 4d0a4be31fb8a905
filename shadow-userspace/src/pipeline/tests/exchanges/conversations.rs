//! What two sides say in order, and what comes of it.

use super::*;

#[test]
fn conversations() {
    type Say = fn(&mut Talk);
    let table: &[(&str, Say, &[&str])] = &[
        (
            "one after the other",
            |talk| {
                talk.client(&get("/1")).service(OK).client(&sized("body")).service(NO_CONTENT);
            },
            &["GET /1 . -> 200 ok.", "POST /post body. -> 204 ."],
        ),
        (
            "pipelined",
            |talk| {
                talk.client(&(get("/1") + &get("/2")))
                    .client(&get("/3"))
                    .service(&[OK, NO_CONTENT, OK].concat());
            },
            &["GET /1 . -> 200 ok.", "GET /2 . -> 204 .", "GET /3 . -> 200 ok."],
        ),
        (
            "100-continue",
            |talk| {
                talk.client(&post("Content-Length: 2\r\n", "")).service("HTTP/1.1 100 Continue\r\n\r\n");
                talk.client("ab").service(OK);
            },
            &["POST /post ab. -> (100)200 ok."],
        ),
        (
            "an answer before the body",
            |talk| {
                talk.client(&post("Content-Length: 4\r\n", "ab"))
                    .service("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
                talk.client("cd").client(&get("/next")).service(OK);
            },
            &["POST /post abcd. -> 413 .", "GET /next . -> 200 ok."],
        ),
        (
            "HEAD",
            |talk| {
                talk.client("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
                    .service("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
                talk.client(&get("/2")).service(OK);
            },
            &["HEAD / . -> 200 .", "GET /2 . -> 200 ok."],
        ),
        (
            "delimited by close",
            |talk| {
                talk.client(&get("/")).service("HTTP/1.0 200 OK\r\n\r\nabc").service("def").service_fin();
            },
            &["GET / . -> 200 abcdef."],
        ),
        (
            "delimited by close, behind the client's FIN",
            |talk| {
                talk.client(&get("/"))
                    .client_fin()
                    .service("HTTP/1.0 200 OK\r\n\r\nabc")
                    .service("def")
                    .service_fin();
                assert_eq!(talk.pipeline.stats().flows_open, 0);
            },
            &["GET / . -> 200 abcdef."],
        ),
        (
            "cut off by a reset",
            |talk| {
                talk.client(&get("/")).service("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").rst();
            },
            &["GET / . -> 200 abc !incomplete"],
        ),
        (
            "no answer",
            |talk| {
                talk.client(&get("/")).client_fin().service_fin();
            },
            &["GET / . -> "],
        ),
        (
            "a request cut off",
            |talk| {
                talk.client(OPEN).client_fin();
            },
            &["POST /open ab !incomplete -> "],
        ),
        (
            "doubtful, and answered",
            |talk| {
                talk.client("GET / HTTP/1.1\r\nHost : a\r\n\r\n")
                    .service(NO_CONTENT)
                    .client(&get("/2"))
                    .service(OK);
            },
            &[" !ambiguous -> 204 ."],
        ),
        (
            "a tunnel",
            |talk| {
                talk.client(&post("Connection: Upgrade\r\nUpgrade: websocket\r\n", ""));
                talk.service("HTTP/1.1 101 Switching\r\n\r\n").client("GET / HTTP/1.1\r\n").service(OK);
                assert_eq!(talk.pipeline.stats().tunnels, 1);
            },
            &["POST /post . -> 101 ."],
        ),
        (
            "a tunnel asked for behind another request",
            |talk| {
                talk.client(&(get("/1") + &post("Connection: Upgrade\r\nUpgrade: websocket\r\n", "")));
                talk.service(OK).client(&get("/in-the-tunnel")).service("HTTP/1.1 101 Switching\r\n\r\n");
            },
            &["GET /1 . -> 200 ok.", "POST /post . -> 101 ."],
        ),
        (
            "a tunnel that nobody asked for",
            |talk| {
                talk.client(&get("/1")).service("HTTP/1.1 101 Switching\r\n\r\n");
                assert_eq!(talk.pipeline.stats().tunnels, 0);
            },
            &["GET /1 . -> "],
        ),
        (
            "a tunnel declined",
            |talk| {
                talk.client(&post("Connection: Upgrade\r\nUpgrade: h2c\r\n", "")).service(OK);
                talk.client(&get("/2")).service(NO_CONTENT);
                assert_eq!(talk.pipeline.stats().tunnels, 0);
            },
            &["POST /post . -> 200 ok.", "GET /2 . -> 204 ."],
        ),
        (
            "a tunnel declined before the body",
            |talk| {
                talk.client(&post("Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n", ""))
                    .service(OK);
                talk.client("ab").client(&get("/2")).service(NO_CONTENT);
            },
            &["POST /post ab. -> 200 ok.", "GET /2 . -> 204 ."],
        ),
        (
            "a tunnel declined before a body that is lost says nothing of the next",
            |talk| {
                let upgrade = "Connection: Upgrade\r\nUpgrade: h2c\r\n";
                talk.client(&post(&format!("{upgrade}{CHUNKED}"), "")).service(NO_CONTENT);
                talk.lose_request("0\r\n\r\n").service(OK).client.enter(OPENED);
                talk.client(&post(upgrade, "")).client(&get("/in/the/tunnel"));
                talk.service("HTTP/1.1 101 Switching\r\n\r\n");
            },
            &["POST /post  !gap -> 204 .", "POST /post . -> 101 ."],
        ),
        (
            "CONNECT",
            |talk| {
                talk.client("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")
                    .service("HTTP/1.1 200 Yes\r\n\r\n");
                talk.client("\u{16}\u{3}\u{1}").service("\u{16}\u{3}\u{3}");
            },
            &["CONNECT a:443 . -> 200 ."],
        ),
        (
            "CONNECT declined",
            |talk| {
                talk.client("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")
                    .service(OK.replace("200", "403").as_str());
                talk.client(&get("/2")).service(OK);
            },
            &["CONNECT a:443 . -> 403 ok.", "GET /2 . -> 200 ok."],
        ),
        (
            "an unasked answer",
            |talk| {
                talk.client(&get("/1"))
                    .service(OK)
                    .service("HTTP/1.1 408 Timeout\r\n\r\n")
                    .client(&get("/2"))
                    .service(OK);
            },
            &["GET /1 . -> 200 ok.", "GET /2 . -> 200 ok."],
        ),
        (
            "no response at all in the capture",
            |talk| {
                talk.client(&get("/1")).client(&get("/2"));
            },
            &["GET /1 . -> ", "GET /2 . -> "],
        ),
    ];
    for (name, say, expected) in table {
        let mut talk = Talk::new();
        say(&mut talk);
        assert_eq!(talk.end(), *expected, "{name}");
    }
}

/// Two that look like responses and answer something else: one that the service sent for its client's silence before the
/// request reached it, and the rest of a body whose beginning the capture lost.
#[test]
fn nothing_is_answered_that_the_service_does_not_have() {
    const TIMEOUT: &str = "HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n";
    for acknowledges in [false, true] {
        let mut talk = Talk::new();
        talk.client(&get("/1")).service(OK);
        let had = talk.client.next;
        talk.client(&get("/2"));
        let crossing = talk.answer(ACK, TIMEOUT.as_bytes());
        let ack = if acknowledges { crossing.ack } else { had };
        talk.take(Segment { ack, ..crossing });
        let second = if acknowledges { "GET /2 . -> 408 ." } else { "GET /2 . -> " };
        assert_eq!(talk.end(), ["GET /1 . -> 200 ok.", second]);
    }

    let mut talk = Talk::new();
    talk.client(&get("/1")).service("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nab");
    let had = talk.client.next;
    talk.lose_response(10).client(&get("/2"));
    let rest = talk.answer(ACK, OK.as_bytes());
    talk.take(Segment { ack: had, ..rest });
    assert_eq!(talk.end(), ["GET /1 . -> 200 ab !gap", "GET /2 . -> "]);
}

/// The kernel exports nothing more of a flow that it is told to leave, and a file's reader hands out nothing more.
#[test]
fn a_flow_is_not_left_alone_while_a_response_is_awaited() {
    for last in [post("Connection: close\r\n", ""), "GET / HTTP/1.0\r\n\r\n".to_owned()] {
        let mut talk = Talk::new();
        talk.client(&last);
        assert_eq!(talk.pipeline.take_notes().count(), 0);
        talk.service(OK);
        assert_eq!(talk.finished().len(), 1);
    }
    let mut talk = Talk::new();
    talk.client("\x16\x03\x01");
    assert_eq!(talk.pipeline.take_notes().count(), 1);
}

#[test]
fn a_start_in_mid_life_is_told_when_it_is_confirmed_or_refuted() {
    for (mark, next, expected) in [
        (marks::CONFIRMED | marks::SAMPLED, "", vec!["GET /1 . -> 200 ok."]),
        (marks::REFUTED, "", vec!["GET /1  !unconfirmed -> "]),
        (0, "more", vec!["GET /1  !unconfirmed -> "]),
    ] {
        let mut talk = Talk::new();
        talk.client.enter(OPENED | marks::UNCONFIRMED);
        talk.client(&get("/1"));
        if next.is_empty() {
            let answer = talk.answer(ACK, OK.as_bytes());
            talk.take(Segment { run: Run { mark, ..talk.client.run }, ..answer });
        } else {
            talk.client.enter(OPENED);
            talk.client(next);
        }
        assert_eq!(talk.finished(), expected);
        talk.end();
    }
}

#[test]
fn a_start_in_mid_life_is_confirmed_as_what_it_is() {
    // It has a hole, of which the service tells first.
    let mut talk = Talk::new();
    talk.client.enter(OPENED | marks::UNCONFIRMED);
    talk.client(&post("Content-Length: 6\r\n", "ab")).lose_request("cd").client("ef");
    let ack = talk.answer(ACK, b"");
    talk.take(ack);
    let answer = talk.answer(ACK, OK.as_bytes());
    talk.take(Segment { run: Run { mark: marks::CONFIRMED | marks::SAMPLED, ..talk.client.run }, ..answer });
    assert_eq!(talk.end(), ["POST /post ab !gap -> 200 ok."]);
    // The capture ends before it is known, or the connection.
    for (resets, expected) in [(false, "GET /1  !shutdown -> "), (true, "GET /1  !unconfirmed -> ")] {
        let mut talk = Talk::new();
        talk.client.enter(OPENED | marks::UNCONFIRMED);
        talk.client(&get("/1"));
        if resets {
            talk.rst();
        }
        assert_eq!(talk.end(), [expected]);
    }
}

#[test]
fn memory_and_waiting_requests_are_bounded() {
    let mut talk = Talk::within(20_000);
    talk.client(&get("/1"));
    talk.client(&format!("GET /2 HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(25_000)));
    talk.client(&get("/3")).service(&[OK, NO_CONTENT, OK].concat());
    assert_eq!(talk.end(), ["GET /1 . -> 200 ok.", " !memory_limit -> 204 .", "GET /3 . -> 200 ok."]);

    let mut talk = Talk::new();
    for _ in 0..200 {
        talk.client(&get("/"));
    }
    // Their heads count.
    assert!(talk.budget.used() > 100 * get("/").len());
    for _ in 0..800 {
        talk.client(&get("/"));
    }
    let waiting = talk.pipeline.sink().begun - talk.finished().len();
    assert!(waiting <= 256, "{waiting}");
    // None of these answers one of the last requests.
    for _ in 0..100 {
        talk.service(OK);
    }
    talk.client(&get("/last")).service(OK);
    let told = talk.end();
    assert_eq!(told.len(), 1001);
    assert!(told.iter().all(|told| told.ends_with(" . -> ")), "{told:?}");
}
