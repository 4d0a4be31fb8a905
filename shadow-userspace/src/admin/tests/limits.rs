//! Callers that are slow, many or unlucky.

use tokio::task::JoinSet;

use super::*;

/// Waits until the condition holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, poll).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

fn tight() -> Limits {
    Limits { places: 2, read: Duration::from_millis(200), ..Limits::default() }
}

#[tokio::test]
async fn slow_callers_lose_their_places() {
    let served = Served::start(true, tight());
    let mut slow = Vec::new();
    for begin in ["", "GET /metrics HTTP/1.1\r\nHost:"] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(begin.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    assert_eq!(served.unix(&get("/healthz")).await.status, 200, "the socket has places of its own");
    assert_eq!(served.tcp(&get("/healthz")).await.status, 200, "after the slow ones were sent away");
    for mut stream in slow {
        let mut rest = Vec::new();
        timeout(SOON, stream.read_to_end(&mut rest)).await.expect("it is closed").ok();
    }
    let unfinished =
        post("/api/rate", &format!("{JSON}Authorization: Bearer {TOKEN}\r\n"), "{}").replace(": 2", ": 3");
    let answer = served.tcp(&unfinished).await;
    assert_eq!((answer.status, answer.error().contains("too long")), (408, true));
}

#[tokio::test]
async fn a_body_is_not_waited_for_from_who_may_not_send_one() {
    let served = Served::start(false, Limits::default());
    let unfinished = post("/api/rate", JSON, "{}").replace(": 2", ": 1000");
    let answer = served.tcp(&unfinished).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn a_caller_that_has_gone_keeps_the_place_of_what_it_asked_for() {
    let limits = Limits { places: 1, total: Duration::from_millis(300), ..Limits::default() };
    let served = Served::start(false, limits);
    served.agent.hold(true);
    let mut stuck = TcpStream::connect(served.address).await.unwrap();
    stuck.write_all(get("/api/status").as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    timeout(SOON, stuck.read_to_end(&mut rest)).await.expect("it is closed").ok();
    assert_eq!(served.agent.inside(), [1, 1], "what it asked for still runs");
    let mut next = TcpStream::connect(served.address).await.unwrap();
    next.write_all(get("/api/status").as_bytes()).await.unwrap();
    // Had it no place any more, the next one would run beside it.
    let both_run = until("both run", || served.agent.inside()[0] > 1);
    timeout(Duration::from_millis(500), both_run).await.expect_err("it keeps its place");
    served.agent.hold(false);
    let mut answer = Vec::new();
    timeout(SOON, next.read_to_end(&mut answer)).await.expect("it is answered").ok();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
    assert_eq!(served.agent.inside(), [0, 1]);
}

#[tokio::test]
async fn many_callers_wait_for_their_turn() {
    const CALLERS: usize = 1000;
    // Each has a file descriptor, beside those of the tests that run at the same time.
    const AT_ONCE: usize = 300;
    let served = Served::start(false, Limits::default());
    served.agent.hold(true);
    let permits = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (address, permits) = (served.address, Arc::clone(&permits));
        callers.spawn(async move {
            let _permit = permits.acquire().await;
            exchange(TcpStream::connect(address).await.unwrap(), &get("/api/status")).await.status
        });
    }
    let places = Limits::default().places;
    until("all places are taken", || served.agent.inside()[0] == places).await;
    assert_eq!(served.unix(&get("/healthz")).await.status, 200, "the socket has places of its own");
    served.agent.hold(false);
    let statuses = callers.join_all().await;
    assert!(statuses.iter().all(|&status| status == 200), "{statuses:?}");
    assert_eq!(served.agent.inside(), [0, places], "never more than there are places");
}

#[tokio::test]
async fn a_defect_costs_one_answer() {
    let served = Served::start(false, Limits { places: 1, ..Limits::default() });
    served.agent.set_defective(true);
    for _ in 0..3 {
        let answer = served.tcp(&get("/api/status")).await;
        assert_eq!((answer.status, answer.error().contains("defect")), (500, true));
    }
    served.agent.set_defective(false);
    assert_eq!(served.tcp(&get("/api/status")).await.status, 200);
}

#[tokio::test]
async fn what_is_no_http_or_too_large_is_refused() {
    let served = Served::start(false, Limits::default());
    let large = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(40_000));
    let many = format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-A: b\r\n".repeat(200));
    for (request, status) in [("nonsense\r\n\r\n", 400), (&*large, 431), (&*many, 431)] {
        assert_eq!(served.tcp(request).await.status, status);
    }
    assert_eq!(served.tcp(&get("/healthz")).await.status, 200);
}
