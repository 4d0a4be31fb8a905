//! What the capture lost, and what that costs.

use shadow_common::tcp_flags::URG;

use super::*;

#[test]
fn what_the_capture_lost() {
    type Say = fn(&mut Talk);
    let table: &[(&str, Say, &[&str])] = &[
        (
            "within a request body of known length",
            |talk| {
                talk.client(&post("Content-Length: 6\r\n", "ab")).lose_request("cd").client("ef").service(OK);
                talk.client(&get("/2")).service(NO_CONTENT);
            },
            &["POST /post ab !gap -> 200 ok.", "GET /2 . -> 204 ."],
        ),
        (
            "at the end of such a body",
            |talk| {
                talk.client(&post("Content-Length: 4\r\n", "ab")).lose_request("cd").service(OK);
                talk.client(&get("/2")).service(NO_CONTENT);
            },
            &["POST /post ab !gap -> 200 ok.", "GET /2 . -> 204 ."],
        ),
        (
            "beyond the end of such a body",
            |talk| {
                talk.client(&post("Content-Length: 4\r\n", "ab")).lose_request("cdG");
                talk.client(&get("/lost")[1..]).service(OK).client.enter(OPENED);
                talk.client(&get("/next")).service(NO_CONTENT);
            },
            &["POST /post ab !gap -> 200 ok.", "GET /next . -> 204 ."],
        ),
        (
            "within a body of unknown length",
            |talk| {
                talk.client(OPEN_CHUNKED).lose_request("c\r\n").client("0\r\n\r\n").service(OK);
                talk.client(&get("/lost")).service(OK).client.enter(OPENED);
                talk.client(&get("/next")).service(NO_CONTENT);
            },
            &["POST /open ab !gap -> 200 ok.", "GET /next . -> 204 ."],
        ),
        (
            "within a head: the method isn't known, which may be HEAD",
            |talk| {
                talk.client("HEAD / HTTP/1.1\r\nHost: ").lose_request("a\r\n\r\n");
                talk.service("HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n").client.enter(OPENED);
                talk.client(&get("/2")).service(OK).client(&get("/3")).service(NO_CONTENT);
            },
            &[" !gap -> 200  !ambiguous", "GET /2 . -> 200 ok.", "GET /3 . -> 204 ."],
        ),
        (
            "a whole request",
            |talk| {
                talk.client(&get("/1")).service(OK).lose_request(&get("/2")).service(OK).client.enter(OPENED);
                talk.client(&get("/3")).service(NO_CONTENT);
            },
            &["GET /1 . -> 200 ok.", "GET /3 . -> 204 ."],
        ),
        (
            "within a response body of known length",
            |talk| {
                talk.client(&get("/1"))
                    .service("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab")
                    .lose_response(2);
                talk.service("ef").client(&get("/2")).service(OK);
            },
            &["GET /1 . -> 200 ab[2]ef.", "GET /2 . -> 200 ok."],
        ),
        (
            "at the end of such a body",
            |talk| {
                talk.client(&get("/1"))
                    .service("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
                    .lose_response(2);
                talk.client(&get("/2")).service(OK);
            },
            &["GET /1 . -> 200 ab[2].", "GET /2 . -> 200 ok."],
        ),
        (
            "within a response body of unknown length",
            |talk| {
                talk.client(&get("/1"))
                    .service("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nab");
                talk.lose_response(2).service("ef\r\n0\r\n\r\n").client(&get("/2")).service(OK);
            },
            &["GET /1 . -> 200 ab !gap", "GET /2 . -> 200 ok."],
        ),
        (
            "within a body that the connection's end delimits",
            |talk| {
                talk.client(&get("/1"))
                    .service("HTTP/1.0 200 OK\r\n\r\nab")
                    .lose_response(5)
                    .service("c")
                    .service_fin();
                talk.client_fin();
            },
            &["GET /1 . -> 200 ab[5]c."],
        ),
        (
            "a whole response",
            |talk| {
                talk.client(&get("/1")).lose_response(OK.len()).client(&get("/2")).service(NO_CONTENT);
            },
            &["GET /1 . -> ", "GET /2 . -> 204 ."],
        ),
        (
            "one of several responses that wait",
            |talk| {
                talk.client(&(get("/1") + &get("/2"))).lose_response(OK.len()).client(&get("/3"));
                talk.service(OK).service(OK);
            },
            &["GET /1 . -> ", "GET /2 . -> ", "GET /3 . -> "],
        ),
    ];
    for (name, say, expected) in table {
        let mut talk = Talk::new();
        say(&mut talk);
        assert_eq!(talk.end(), *expected, "{name}");
    }
}

#[test]
fn doubtful_responses_are_not_told_as_complete() {
    const BEGUN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab";
    type Say = fn(&mut Talk);
    let table: &[(&str, Say, &str)] = &[
        (
            "urgent bytes",
            |talk| {
                let urgent = talk.answer(ACK | URG, OK.as_bytes());
                talk.lose_response(OK.len()).take(urgent);
            },
            "GET /1 . -> ",
        ),
        (
            "an urgent pointer without bytes",
            |talk| {
                let urgent = talk.answer(ACK | URG, b"");
                talk.take(urgent);
                talk.service(OK);
            },
            "GET /1 . -> 200 ok.",
        ),
        (
            "copies that differ",
            |talk| {
                talk.service(BEGUN).lose_response(2);
                let first = talk.answer(ACK, b"ef");
                talk.take(first);
                talk.service("eX");
                assert_eq!(talk.pipeline.stats().overlaps_differing, 1);
            },
            "GET /1 . -> 200 ab !ambiguous",
        ),
        (
            "a chunk that is none",
            |talk| {
                talk.service("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabX");
            },
            "GET /1 . -> 200 ab !ambiguous",
        ),
        (
            "more than may be held behind a hole",
            |talk| {
                talk.service(BEGUN).lose_response(2).service(&"x".repeat(25_000));
            },
            "GET /1 . -> 200 ab !memory_limit",
        ),
        (
            "more than may be held of a head",
            |talk| {
                talk.service(&format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(25_000)));
            },
            "GET /1 . -> ",
        ),
    ];
    for (name, say, expected) in table {
        let mut talk = Talk::within(20_000);
        say(talk.client(&get("/1")));
        assert_eq!((talk.finished(), talk.budget.used()), (&[(*expected).to_owned()][..], 0), "{name}");
        talk.client(&get("/2")).service(OK);
        assert_eq!(talk.end(), [*expected, "GET /2 . -> 200 ok."], "{name}");
    }
}

#[test]
fn an_acknowledgement_alone_tells_of_a_hole() {
    let mut talk = Talk::new();
    talk.client(&get("/")).service("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab").lose_response(2);
    let ack = Segment { ack: talk.service, ..talk.client.control(ACK) };
    talk.take(ack);
    assert_eq!(talk.finished(), ["GET / . -> 200 ab[2]."]);
    talk.end();
}

#[test]
fn a_reset_completes_no_body() {
    let mut talk = Talk::new();
    talk.client(&get("/")).service("HTTP/1.0 200 OK\r\n\r\nabc").rst();
    assert_eq!(talk.end(), ["GET / . -> 200 abc !incomplete"]);
}

#[test]
fn holes_in_responses_end_in_time() {
    let mut talk = Talk::new();
    talk.client(&get("/1"))
        .service("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab")
        .lose_response(2)
        .service("ef");
    assert_eq!(talk.finished().len(), 0);
    talk.now_ns += 4 * SECOND;
    let now = talk.now_ns;
    talk.pipeline.tick(now);
    assert_eq!(talk.finished(), ["GET /1 . -> 200 ab[2]ef."]);
    assert_eq!(talk.pipeline.stats().holes_timed_out, 1);
    talk.end();
}
