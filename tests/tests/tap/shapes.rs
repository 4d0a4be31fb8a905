//! Messages of every shape, each by a script of its own: what belongs to which request, and where a tunnel begins.

use shadow_tests::{
    packets::{
        Conversation, Ends, Reply, Side,
        message::{Ending, get, post, with_body},
    },
    plan::{Framing, Sent},
    tap::Listed,
};

use crate::script::{assert_true, listed, of_body};

fn opened() -> Conversation {
    let mut talk = Conversation::new(Ends::v4(40_000));
    talk.open();
    talk
}

/// Everything in the conversation is complete, both ways.
fn assert_complete(talk: &Conversation) {
    let listed = listed(&talk.packets);
    assert_eq!(listed.len(), talk.exchanges.len(), "{listed:#?}");
    for (listed, exchange) in listed.iter().zip(&talk.exchanges) {
        assert!(listed.is_complete(), "{listed:#?}");
        assert_true(listed, exchange);
        let Some(answer) = &listed.response else { panic!("without its answer: {listed:#?}") };
        assert_eq!((answer.body_bytes, answer.body_sha256.clone()), of_body(exchange.reply.received_body()));
    }
}

#[test]
fn a_client_may_wait_for_100() {
    let mut talk = opened();
    let mut request = post("/upload", vec![b'x'; 20_000]);
    request.headers.push(("Expect".to_owned(), "100-continue".to_owned()));
    let (wire, reply) = (request.wire().freeze(), Reply::ok(&b"done"[..]));
    let head = wire.len() - 20_000;
    talk.client(wire.slice(..head)).server(&b"HTTP/1.1 100 Continue\r\n\r\n"[..]).client(wire.slice(head..));
    let middle = talk.next_id();
    talk.server(reply.wire()).said(request, reply, 3, middle);
    // It may be refused too; then no body comes, and the next request follows.
    talk.exchange(get("/next"), Reply::ok(&b"next"[..])).close();
    assert_complete(&talk);
}

#[test]
fn requests_may_come_together() {
    let mut talk = opened();
    let requests = [get("/1"), post("/2", b"GET /body HTTP/1.1\r\n\r\n".to_vec()), get("/3"), get("/4")];
    let replies = [500, 20, 9_000, 0].map(|size| Reply::ok(vec![b'y'; size]));
    let wire: Vec<u8> = requests.iter().flat_map(|request| request.wire().to_vec()).collect();
    talk.client(wire);
    let middle = talk.next_id();
    talk.server(replies.iter().flat_map(|reply| reply.wire().to_vec()).collect::<Vec<u8>>());
    for (request, reply) in requests.into_iter().zip(replies) {
        talk.said(request, reply, 3, middle);
    }
    talk.close();
    assert_complete(&talk);
}

#[test]
fn answers_may_have_no_body() {
    let mut talk = opened();
    let head = |target: &str| with_body("HEAD", target, Framing::None, Vec::new());
    talk.exchange(head("/head"), Reply::ok(vec![b'z'; 5_000]).ending(Ending::LengthOnly));
    talk.exchange(get("/204"), Reply::ok("").status(204).ending(Ending::None));
    talk.exchange(get("/304"), Reply::ok(vec![b'z'; 300]).status(304).ending(Ending::LengthOnly));
    talk.exchange(head("/head-chunked"), Reply::ok("").ending(Ending::Length));
    talk.exchange(get("/chunked"), Reply::ok(vec![b'z'; 30_000]).ending(Ending::Chunked(7_000)));
    talk.close();
    assert_complete(&talk);
}

#[test]
fn an_answer_may_end_with_the_connection() {
    let mut talk = opened();
    let reply = Reply::ok(vec![b'c'; 30_000]).ending(Ending::Close);
    talk.exchange(get("/old"), reply)
        .ends_with(Side::Server, "")
        .ends_with(Side::Client, "")
        .acks(Side::Server);
    assert_complete(&talk);
}

/// Nothing follows such a request; its answer does.
#[test]
fn a_client_may_say_that_a_request_is_its_last() {
    let mut request = get("/last");
    request.headers.push(("Connection".to_owned(), "close".to_owned()));
    let mut talk = opened();
    talk.exchange(get("/first"), Reply::ok(&b"first"[..])).exchange(request, Reply::ok(vec![b'l'; 5_000]));
    talk.ends_with(Side::Server, "").ends_with(Side::Client, "").acks(Side::Server);
    assert_complete(&talk);

    let reply = Reply::ok(&b"old"[..]);
    let mut old = opened();
    old.client(&b"GET /old HTTP/1.0\r\nHost: shop.example\r\n\r\n"[..]);
    old.server(reply.wire()).said(get("/old"), reply, 3, 4).close();
    assert_complete(&old);
}

#[test]
fn a_server_may_answer_before_the_body_is_there() {
    let mut talk = opened();
    let request = post("/early", b"GET /admin HTTP/1.1\r\nHost: shop.example\r\n\r\n".repeat(100));
    let (wire, reply) = (request.wire().freeze(), Reply::ok(&b"early"[..]).status(413));
    let head = wire.len() - request.body.len();
    talk.client(wire.slice(..head)).server(reply.wire()).client(wire.slice(head..));
    let end = talk.next_id();
    talk.said(request, reply, 3, end).exchange(get("/next"), Reply::ok("")).close();
    assert_complete(&talk);
}

/// What is in a tunnel looks like HTTP and isn't any.
fn tunnel(request: Sent, status: u16) -> Vec<Listed> {
    let mut talk = opened();
    talk.client(request.wire().freeze());
    talk.server(Reply::ok("").status(status).ending(Ending::None).wire());
    talk.exchange(get("/inner"), Reply::ok(&b"inner"[..])).client(vec![0x16; 3_000]).close();
    listed(&talk.packets)
}

#[test]
fn a_tunnel_is_not_read() {
    let connect = with_body("CONNECT", "shop.example:443", Framing::None, Vec::new());
    let found = tunnel(connect, 200);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].method.as_deref(), found[0].status()), (Some("CONNECT"), Some(200)));
    assert_eq!(
        (found[0].target(), found[0].authority.as_deref()),
        ("shop.example:443", Some("shop.example:443"))
    );

    let mut upgrade = get("/chat");
    upgrade.headers.push(("Connection".to_owned(), "Upgrade".to_owned()));
    upgrade.headers.push(("Upgrade".to_owned(), "websocket".to_owned()));
    let found = tunnel(upgrade.clone(), 101);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].target(), found[0].status()), ("/chat", Some(101)));

    // Refused, it is a request like any other.
    let mut talk = opened();
    talk.exchange(upgrade, Reply::ok(&b"no"[..]).status(426)).exchange(get("/next"), Reply::ok("")).close();
    let found = listed(&talk.packets);
    let found: Vec<_> = found.iter().map(|one| (one.target(), one.status())).collect();
    assert_eq!(found, [("/chat", Some(426)), ("/next", Some(200))]);
}

#[test]
fn what_is_no_http_or_doubtful_is_not_guessed() {
    let mut tls = opened();
    tls.client(vec![0x16, 3, 1, 0, 0xfd, 1, 0, 0, 0xf9, 3, 3]).server(vec![0x16; 500]).close();
    assert_eq!(listed(&tls.packets), []);

    let mut smuggling = opened();
    let both =
        "POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    smuggling.client(both).server(Reply::ok("").wire()).exchange(get("/after"), Reply::ok("")).close();
    let found = listed(&smuggling.packets);
    // Nothing that its head says is believed, and nothing behind it.
    let told: Vec<_> = found.iter().map(|one| (one.outcome.as_str(), one.method.as_deref())).collect();
    assert_eq!(told, [("ambiguous", None)]);
}

#[test]
fn names_and_bytes_stay_as_they_were_sent() {
    let mut talk = opened();
    let line = b"\r\nPATCH http://user@other.example:81/a?b HTTP/1.1\r\n";
    let fields = b"HOST: shop.example\r\nX-cAsE:  two  words \r\nx-CASE: \xe9\xff\r\nX-Empty:\r\n\r\n";
    talk.client([&line[..], fields].concat()).server(Reply::ok("").wire()).close();
    let found = listed(&talk.packets);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].method.as_deref(), Some("PATCH"));
    assert!(found[0].target().ends_with("other.example:81/a?b"), "{found:?}");
    let headers = found[0].headers.clone().unwrap();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["HOST", "X-cAsE", "x-CASE", "X-Empty"]);
    let values: Vec<&str> = headers.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, ["shop.example", "two  words", "\u{e9}\u{ff}", ""]);
}
