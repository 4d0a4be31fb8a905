//! Connections of which the beginning is seen, and their ends.

use super::*;

#[test]
fn a_connection_is_one_run_from_its_first_byte() {
    let mut rig = Rig::new(&[80]);
    rig.connect().exchange();
    assert_eq!(rig.client(GET_LEN, OK_LEN, b""), "0 SO");
    assert_eq!(rig.client(GET_LEN, OK_LEN, b"anything"), "0 SO");
    assert_eq!(rig.packet(&client(u32::MAX, 0, SYN, b"")), "0 SO", "sent again");
    assert_eq!(rig.packet(&service(u32::MAX, 0, SYN | ACK, b"")), "0 S", "sent again");
    assert_eq!(rig.packet(&service(OK_LEN, GET_LEN, FIN | ACK, b"")), "0 S");
    assert_eq!(rig.packet(&client(GET_LEN + 8, OK_LEN, FIN | ACK, b"")), "0 SO");
    assert_eq!(rig.stats, FileStats { flows: 1, ..FileStats::default() });
}

#[test]
fn one_direction_is_enough() {
    let mut rig = Rig::new(&[80]);
    assert_eq!(rig.packet(&client(u32::MAX, 0, SYN, b"")), "0 SO");
    assert_eq!(rig.client(0, 0, GET), "0 SO");
    assert_eq!(rig.client(GET_LEN, 0, GET), "0 SO");
    // Over for all that is seen of it: the next SYN begins another.
    assert_eq!(rig.packet(&client(2 * GET_LEN, 0, FIN | ACK, b"")), "0 SO");
    assert_eq!(rig.packet(&client(999, 0, SYN, b"")), "1000 SO");
}

#[test]
fn the_service_alone_can_say_where_a_connection_begins() {
    let mut rig = Rig::new(&[80]);
    let accepts = service(u32::MAX, 0, SYN | ACK, b"");
    assert_eq!((rig.packet(&accepts), rig.packet(&accepts)), ("begins".to_owned(), "0 S".to_owned()));
    rig.exchange();
}

#[test]
fn a_syn_within_a_connection_needs_the_consent_of_the_service() {
    let mut rig = Rig::new(&[80]);
    rig.connect().exchange();
    let stray = client(999, 0, SYN, b"");
    assert_eq!(rig.packet(&stray), "-");
    assert_eq!(rig.client(1000, OK_LEN, GET), "0 SO");
    assert_eq!(rig.packet(&service(OK_LEN, 500, SYN | ACK, b"")), "-", "consents to another");
    assert_eq!(rig.stats.stray_syns, 2);
    let accepts = service(7777, 1000, SYN | ACK, b"");
    assert_eq!(rig.packet(&accepts), "begins");
    assert_eq!(rig.packet(&accepts), "1000 S");
    assert_eq!(rig.client(1000, 0, GET), "1000 SO");
    // The same where the place is lost, or nothing is wanted.
    for (isn, what) in [(1999, Resync::LOST), (2999, Resync::LEAVE)] {
        rig.tell(isn - 999, what);
        assert_eq!(rig.packet(&client(isn, 0, SYN, b"")), "-");
        assert_eq!(rig.client(isn + 1, 0, b"{body bytes}"), "-");
        let accepts = service(7777, isn + 1, SYN | ACK, b"");
        assert_eq!(rig.packet(&accepts), "begins");
        assert_eq!(rig.packet(&accepts), format!("{} S", isn + 1));
    }
}

#[test]
fn ports_are_used_again_after_an_end() {
    let fins = [service(OK_LEN, GET_LEN, FIN | ACK, b""), client(GET_LEN, OK_LEN + 1, FIN | ACK, b"")];
    for (end, begins) in [
        (fins.to_vec(), true),
        (vec![fins[0]], false),
        (vec![fins[1]], false),
        (vec![service(OK_LEN, GET_LEN, RST, b"")], true),
        (vec![client(GET_LEN, OK_LEN, RST, b"")], true),
        // The service takes a reset at exactly its place.
        (vec![client(GET_LEN + 1, OK_LEN, RST, b"")], false),
    ] {
        let mut rig = Rig::new(&[80]);
        rig.connect().exchange();
        for packet in &end {
            assert!(rig.packet(packet).starts_with("0 S"));
        }
        let after = if begins { "1000 SO" } else { "-" };
        assert_eq!(rig.packet(&client(999, 0, SYN, b"")), after, "{end:?}");
    }
    // The other side may be the client then.
    let mut rig = Rig::new(&[]);
    rig.connect().exchange();
    let back = Packet { flags: SYN, ..service(50, 0, 0, b"") };
    assert_eq!(rig.packet(&back), "-");
    fins.iter().for_each(|fin| drop(rig.packet(fin)));
    assert_ne!(rig.packet(&back), "-");
}

#[test]
fn what_is_not_wanted_is_left() {
    let mut rig = Rig::new(&[80]);
    rig.connect().exchange();
    rig.tell(5, Resync::LEAVE);
    rig.tell(0, Resync::RESUME);
    assert_eq!(rig.client(GET_LEN, OK_LEN, GET), "0 SO", "the note was of another run");
    rig.tell(0, Resync::LEAVE);
    assert_eq!(rig.client(2 * GET_LEN, OK_LEN, GET), "-");
    assert_eq!(rig.service(OK_LEN, 3 * GET_LEN, OK), "-");
    assert_eq!(rig.client(3 * GET_LEN, 2 * OK_LEN, GET), "-", "an answer changes nothing");
    assert_eq!(rig.packet(&client(4 * GET_LEN, OK_LEN, FIN | ACK, b"")), "no run");
    assert_eq!(rig.packet(&service(2 * OK_LEN, 0, RST, b"")), "no run");
    assert_eq!(rig.stats.left_alone, 3);
    assert_eq!(rig.packet(&client(999, 0, SYN, b"")), "1000 SO");
}

#[test]
fn a_run_begins_where_a_forgotten_connection_goes_on() {
    let mut rig = Rig::new(&[80]);
    rig.connect().exchange();
    rig.note(0, Resync::RESUME, GET_LEN, false);
    assert_eq!(rig.client(GET_LEN, OK_LEN, GET), "0 SO");
    assert_eq!(rig.service(OK_LEN, 2 * GET_LEN, OK), "0 S");
    rig.note(0, Resync::RESUME, 2 * GET_LEN, true);
    let start = 2 * GET_LEN;
    assert_eq!(rig.client(start, 2 * OK_LEN, GET), format!("{start} SO"));
    assert_eq!(rig.service(2 * OK_LEN, start + GET_LEN, OK), format!("{start} S"));
}

#[test]
fn without_ports_the_bytes_say_who_is_the_client() {
    for (first, taken) in [
        (client(0, 0, ACK, GET), true),
        (turned(client(0, 0, ACK, GET)), true),
        (turned(client(0, 0, SYN, b"")), true),
        (client(0, 0, ACK, b"MAIL FROM:<a@b>\r\n"), false),
        (client(0, 0, ACK, b""), false),
    ] {
        let mut rig = Rig::new(&[]);
        assert_eq!(rig.packet(&first) != "-", taken, "{first:?}");
    }
    // Behind a SYN too it has to be HTTP, or something that the decoder knows by name.
    for (first, after) in [
        (GET, "0 SO"),
        (&[0x16, 3, 1][..], "0 SO"),
        (b"GE", "0 SO"),
        (b"EHLO a\r\n", "-"),
        (b"SSH-2.0-x y\r\n", "-"),
    ] {
        let mut rig = Rig::new(&[]);
        rig.connect();
        assert_eq!(rig.client(0, 0, first), after, "{}", first.escape_ascii());
    }
}

#[test]
fn address_and_port_tell_the_client_from_the_service() {
    for (what, from) in [
        ("the same port", Endpoint { port: SERVICE.port, ..CLIENT }),
        ("the same address", Endpoint { addr: SERVICE.addr, ..CLIENT }),
    ] {
        let mut rig = Rig::new(&[80]);
        let mut to_service = |seq, ack, flags, payload| {
            rig.packet(&Packet { source: from, ..client(seq, ack, flags, payload) })
        };
        assert_eq!(to_service(u32::MAX, 0, SYN, b""), "0 SO", "{what}");
        assert_eq!(to_service(0, 0, ACK, GET), "0 SO", "{what}");
        let mut to_client = |seq, ack, flags, payload| {
            rig.packet(&Packet { dest: from, ..service(seq, ack, flags, payload) })
        };
        assert_eq!(to_client(u32::MAX, 0, SYN | ACK, b""), "0 S", "{what}");
        assert_eq!(to_client(0, GET_LEN, ACK, OK), "0 S", "{what}");
    }
}

#[test]
fn a_connection_that_is_used_is_not_forgotten() {
    let mut rig = Rig { follower: Follower::new(&[80], 3), stats: FileStats::default() };
    let from = |port, packet| Packet { source: Endpoint { port, ..CLIENT }, ..packet };
    let open = |rig: &mut Rig, port| rig.packet(&from(port, client(u32::MAX, 0, SYN, b"")));
    let uses = |rig: &mut Rig, port| rig.packet(&from(port, client(0, 0, ACK, b"")));
    // The fourth takes the place of the second, and marks the others as not used.
    (1..=4).for_each(|port| drop(open(&mut rig, port)));
    assert_eq!(uses(&mut rig, 3), "0 SO");
    // The third would be next.
    open(&mut rig, 5);
    assert_eq!([1, 2, 3, 4, 5].map(|port| uses(&mut rig, port)), ["-", "-", "0 SO", "0 SO", "0 SO"]);
}

#[test]
fn connections_are_forgotten_beyond_the_limit() {
    let mut rig = Rig::new(&[80]);
    for port in 1..=150 {
        rig.packet(&Packet { source: Endpoint { port, ..CLIENT }, ..client(u32::MAX, 0, SYN, b"") });
    }
    assert_eq!((rig.stats.flows, rig.stats.flows_forgotten), (150, 50));
}
