//! Another configuration while requests come: nothing in flight is lost, and what stays the same stays.

use super::*;

fn switch(rig: &Rig, config: &Config) {
    rig.mirror.switch(rig.mirror.prepare(config).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_under_load_loses_nothing() {
    let [(one, _one), (two, _two), (three, _three)] =
        [Peer::recording().await, Peer::recording().await, Peer::recording().await];
    let upstreams = |names: &[(&str, &Peer)]| {
        let upstreams = names.iter().map(|(name, peer)| upstream(name, peer.upstream())).collect();
        let shadows = names.iter().map(|(name, _)| shadow_to(name)).collect();
        config(upstreams, vec![route("r", shadows)])
    };
    let configs = [
        upstreams(&[("one", &one), ("two", &two)]),
        upstreams(&[("one", &one)]),
        upstreams(&[("one", &one), ("two", &three)]),
    ];
    let Rig { ledger, mirror, mut sink } = Rig::new(&configs[0]);
    const REQUESTS: u64 = 6000;
    let counted = ledger.clone();
    let feeding = std::thread::spawn(move || {
        for number in 0..REQUESTS {
            let request = captured(GET, b"");
            if let Some(admitted) = sink.admit(&request.head, &request.flow, counted.open()) {
                sink.deliver(request, admitted.copies);
            }
            if number % 50 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let first = Arc::clone(&mirror.plan().relays()[0]);
    let mut reloads = 0;
    while !feeding.is_finished() {
        mirror.switch(mirror.prepare(&configs[reloads % configs.len()]).unwrap());
        reloads += 1;
        sleep(Duration::from_millis(5)).await;
    }
    feeding.join().unwrap();
    assert!(reloads > configs.len(), "{reloads}");
    assert!(Arc::ptr_eq(&first, &mirror.plan().relays()[0]), "its options never changed");
    mirror.close(sleep(LONG)).await;
    let snapshot = ledger.snapshot();
    assert_ledger(&snapshot, &[("mirrored", snapshot.sampled)]);
    assert_eq!(snapshot.routed, REQUESTS);
    let [of_one, of_two] = &*snapshot.copies else { panic!("{snapshot:?}") };
    assert_eq!(of_one.outcomes.mirrored(), REQUESTS);
    assert!((1..REQUESTS).contains(&of_two.outcomes.mirrored()), "{}", of_two.outcomes.mirrored());
    assert!(mirror.connections() >= one.accepted() + two.accepted() + three.accepted());
}

#[tokio::test]
async fn an_upstream_that_is_gone_finishes_the_copies_that_it_has() {
    let (release, released) = tokio::sync::watch::channel(false);
    let peer = Peer::spawn(move |mut stream| {
        let mut released = released.clone();
        async move {
            while read_request(&mut stream).await?.is_some() {
                released.wait_for(|released| *released).await.ok();
                tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n").await?;
            }
            Ok(())
        }
    })
    .await;
    let mut rig = Rig::to(peer.upstream(), |options| options.max_in_flight = 1);
    for _ in 0..3 {
        rig.send(GET);
    }
    let planned = captured(GET, b"");
    let admitted = rig.admit(&planned).unwrap();
    let gone = Arc::downgrade(&rig.mirror.plan().relays()[0]);
    let (other, _received) = Peer::recording().await;
    switch(&rig, &config_to(upstream("other", other.upstream())));
    rig.send(GET);
    // What was planned before goes where it was planned to.
    rig.sink.deliver(planned, admitted.copies);
    release.send(true).unwrap();
    rig.until(|ledger| ledger.mirrored() == 5).await;
    let snapshot = rig.ledger.snapshot();
    let counts: Vec<_> =
        snapshot.copies.iter().map(|copy| (&*copy.upstream, copy.outcomes.mirrored())).collect();
    assert_eq!(counts, [("v2", 4), ("other", 1)], "old accounts stay");
    let wait = async {
        while gone.strong_count() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("it ends with its last copy");
    assert_eq!(rig.mirror.connections(), peer.accepted() + other.accepted());
    rig.expect(&[("mirrored", 5)]).await;
}

/// Else each reload would let a route have as many more.
#[tokio::test]
async fn what_is_under_way_counts_against_the_routes_limit_after_a_reload() {
    let (peer, mut arrivals) = black_hole().await;
    let few = || vec![ShadowOptions { max_in_flight: Some(2), ..shadow_to("v2") }];
    let matches = crate::route::matcher::RouteMatch {
        path: Some(crate::route::matcher::PathMatch::Prefix("/first".to_owned())),
        ..Default::default()
    };
    let routes = vec![RouteOptions { matches: vec![matches], ..route("first", few()) }, route("rest", few())];
    let config = config(vec![upstream("v2", peer.upstream())], routes);
    let mut rig = Rig::new(&config);
    for _ in 0..3 {
        rig.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
        switch(&rig, &config);
    }
    assert_eq!(rig.drops(), [(DropReason::InFlightLimit, 1)]);
    for _ in 0..3 {
        rig.send(GET);
    }
    assert_eq!(rig.drops(), [(DropReason::InFlightLimit, 2)], "each route has its own");
    for _ in 0..4 {
        arrivals.recv().await.unwrap();
    }
    assert_eq!(rig.mirror.connections(), 4, "of one upstream, in however many plans");
    let mut other = config.clone();
    other.upstreams[0].timeout = LONG;
    switch(&rig, &other);
    rig.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(rig.drops(), [(DropReason::InFlightLimit, 2)], "another upstream is not busy");
    rig.mirror.close(std::future::ready(())).await;
    assert_ledger(&rig.ledger.snapshot(), &[("in_flight_limit", 2), ("shutdown", 5)]);
}

#[tokio::test]
async fn the_shutdown_reaches_upstreams_that_are_gone() {
    let (peer, mut arrivals) = black_hole().await;
    let mut rig = Rig::to(peer.upstream(), |options| options.max_in_flight = 1);
    rig.send(GET);
    rig.send(GET);
    arrivals.recv().await.unwrap();
    switch(&rig, &config(Vec::new(), Vec::new()));
    rig.send(GET);
    rig.mirror.close(std::future::ready(())).await;
    assert_ledger(&rig.ledger.snapshot(), &[("shutdown", 2)]);
}

#[tokio::test]
async fn what_cannot_run_changes_nothing() {
    let rig = Rig::to(refusing().await, |_| {});
    let error = rig.mirror.prepare(&config(Vec::new(), vec![route("r", vec![shadow_to("v3")])])).unwrap_err();
    assert!(error.to_string().contains("\"v3\""), "{error}");
    assert_eq!(rig.mirror.plan().relays()[0].options().name, "v2");
}

#[tokio::test]
async fn rates_change_at_once_and_a_reload_sets_those_of_the_file() {
    let peer = Peer::answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut rig = Rig::to(peer.upstream(), |_| {});
    let sent = |rig: &mut Rig| {
        let before = rig.ledger.snapshot().routed;
        (0..400).for_each(|_| rig.send(GET));
        rig.ledger.snapshot().routed - before
    };
    rig.mirror.set_rate("default", "0%".parse().unwrap()).unwrap();
    assert_eq!(sent(&mut rig), 0);
    rig.mirror.set_rate("default/v2", "25%".parse().unwrap()).unwrap();
    assert!((50..150).contains(&sent(&mut rig)));
    assert!(rig.mirror.set_rate("other", "25%".parse().unwrap()).is_err());
    switch(&rig, &config_to(upstream("v2", peer.upstream())));
    assert_eq!(sent(&mut rig), 400);
    rig.mirror.close(sleep(LONG)).await;
    assert_eq!(rig.ledger.snapshot().in_flight(), 0);
}

#[tokio::test]
async fn what_an_upstream_did_stays_counted_when_its_options_change_or_it_comes_again() {
    let peer = Peer::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let with = |places: usize| {
        let mut options = upstream("v2", peer.upstream());
        options.max_in_flight = places;
        config_to(options)
    };
    let mut rig = Rig::new(&with(1));
    let counted = |rig: &Rig| {
        let relay = Arc::clone(&rig.mirror.plan().relays()[0]);
        let answers = relay.latency().buckets().count();
        (answers, relay.gauges().connections)
    };
    let elsewhere = config_to(upstream("v3", refusing().await));
    for round in 1..=3 {
        rig.send(GET);
        rig.until(|snapshot| snapshot.copies[0].outcomes.mirrored() == round).await;
        assert_eq!(counted(&rig), (round, round));
        switch(&rig, &elsewhere);
        assert_eq!(counted(&rig), (0, 0), "another's");
        switch(&rig, &with(1 + round as usize));
        assert_eq!(counted(&rig), (round, round), "nothing goes back");
    }
    assert_eq!(rig.mirror.connections(), peer.accepted());
}

/// Authorities are renewed in their file, whose name stays.
#[tokio::test]
async fn a_reload_reads_the_authorities_again() {
    let directory = crate::admin::testing::Directory::new();
    let file = directory.path().join("ca.pem");
    let write = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(&file, certificate.pem()).unwrap();
    };
    write("a");
    let mut options = upstream("v2", "https://localhost:1".parse().unwrap());
    options.tls.ca_file = Some(file.clone());
    let config = config_to(options);
    let rig = Rig::new(&config);
    let now = || Arc::clone(&rig.mirror.plan().relays()[0]);
    let first = now();
    switch(&rig, &config);
    assert!(Arc::ptr_eq(&first, &now()), "nothing changed");
    write("b");
    switch(&rig, &config);
    assert!(!Arc::ptr_eq(&first, &now()), "others are trusted");
    std::fs::write(&file, "").unwrap();
    assert!(rig.mirror.prepare(&config).is_err());
}
