//! When a connection begins anew between the same ends, or is turned round.

use super::*;

fn live(rig: &mut Rig) {
    rig.connect().exchange();
}

fn close(rig: &mut Rig) {
    rig.packet(&service(OK_LEN, GET_LEN, FIN | ACK, b""));
    rig.packet(&client(GET_LEN, OK_LEN + 1, FIN | ACK, b""));
}

fn search(rig: &mut Rig) {
    rig.lose();
    assert_eq!(rig.client(GET_LEN, OK_LEN, GET), format!("{GET_LEN} SOU"));
}

#[test]
fn a_connection_begins_anew_by_consent_alone() {
    type Before = fn(&mut Rig);
    // What happened, which start the service then accepts, and what becomes of that.
    let table: [(&str, Before, u32, &str); 12] = [
        ("it lives", |_| {}, 1000, "-"),
        ("it lives, and its own is accepted again", |_| {}, 0, "0 S"),
        ("asked for", |rig| drop(rig.packet(&client(999, 0, SYN, b""))), 1000, "begins"),
        ("another was asked for", |rig| drop(rig.packet(&client(999, 0, SYN, b""))), 2000, "-"),
        ("reset", |rig| drop(rig.packet(&client(GET_LEN, OK_LEN, RST, b""))), 1000, "begins"),
        ("lost", |rig| rig.lose(), 1000, "begins"),
        ("closed", |rig| close(rig), 1000, "begins"),
        ("it lives, and what it has is accepted", |_| {}, GET_LEN, "-"),
        ("a candidate's start is accepted", |rig| search(rig), GET_LEN, "-"),
        ("a candidate's end is accepted", |rig| search(rig), 2 * GET_LEN, "-"),
        ("lost, and its own is accepted again", |rig| rig.lose(), 0, "-"),
        ("left", |rig| rig.tell(0, Resync::LEAVE), 1000, "begins"),
    ];
    for (what, happens, start, after) in table {
        let mut rig = Rig::new(&[80]);
        rig.connect().exchange();
        happens(&mut rig);
        let (flows, stray) = (rig.stats.flows, rig.stats.stray_syns);
        assert_eq!(rig.packet(&service(7777, start, SYN | ACK, b"")), after, "{what}");
        assert_eq!(rig.stats.flows - flows, u64::from(after == "begins"), "{what}");
        assert_eq!(rig.stats.stray_syns - stray, u64::from(after == "-"), "{what}");
    }
    // Of one that only a SYN was seen of, another start may be accepted: that SYN was lost.
    let mut rig = Rig::new(&[80]);
    rig.packet(&client(u32::MAX, 0, SYN, b""));
    assert_eq!(rig.packet(&service(7777, 1000, SYN | ACK, b"")), "begins");
    // A SYN that comes again changes nothing, unless the place was lost meanwhile.
    let mut rig = Rig::new(&[80]);
    rig.connect().exchange();
    assert_eq!(rig.packet(&client(u32::MAX, 0, SYN, b"")), "0 SO");
    rig.lose();
    assert_eq!(rig.packet(&client(u32::MAX, 0, SYN, b"")), "-");
}

#[test]
fn a_candidate_met_in_mid_life_is_not_what_came_with_a_syn() {
    let mut rig = Rig::new(&[80]);
    assert_eq!(rig.client(0, 0, GET), "0 SOU");
    assert_eq!(rig.packet(&service(7777, GET_LEN, SYN | ACK, b"")), "-");
}

#[test]
fn what_came_with_the_syn_may_be_accepted() {
    for accepted in [0, GET_LEN] {
        let mut rig = Rig::new(&[80]);
        assert_eq!(rig.packet(&client(u32::MAX, 0, SYN, GET)), "0 SO");
        assert_eq!(rig.packet(&service(u32::MAX, accepted, SYN | ACK, b"")), "0 S", "{accepted}");
        assert_eq!(rig.client(GET_LEN, 0, GET), "0 SO", "{accepted}");
        assert_eq!((rig.stats.flows, rig.stats.stray_syns), (1, 0));
    }
    // Some of it is another start.
    let mut rig = Rig::new(&[80]);
    rig.packet(&client(u32::MAX, 0, SYN, GET));
    assert_eq!(rig.packet(&service(u32::MAX, 9, SYN | ACK, b"")), "-");
}

#[test]
fn a_syn_begins_a_connection_where_none_is_yet_or_any_more() {
    type Before = fn(&mut Rig);
    let table: [(&str, Before, u32, &str); 5] = [
        ("it lives", |rig| live(rig), 1000, "-"),
        ("closed", |rig| close(rig.connect().exchange()), 1000, "1000 SO"),
        ("only a SYN was seen", |rig| drop(rig.packet(&client(u32::MAX, 0, SYN, b""))), 1000, "1000 SO"),
        ("it is the same", |rig| live(rig), 0, "0 SO"),
        ("its number is before a candidate's", |rig| search(rig.connect().exchange()), GET_LEN, "-"),
    ];
    for (what, happens, start, after) in table {
        let mut rig = Rig::new(&[80]);
        happens(&mut rig);
        let flows = rig.stats.flows;
        assert_eq!(rig.packet(&client(start.wrapping_sub(1), 0, SYN, b"")), after, "{what}");
        assert_eq!(rig.stats.flows - flows, u64::from(after == "1000 SO"), "{what}");
        assert_eq!(rig.stats.stray_syns, u64::from(after == "-"), "{what}");
    }
}

#[test]
fn the_other_end_opens_one_when_this_is_over_and_its_port_allows_it() {
    for (ports, is_closed, after) in [
        (&[][..], true, "1000 SO"),
        (&[], false, "-"),
        (&[80, 40_000], true, "1000 SO"),
        (&[80], true, "0 S"),
    ] {
        let mut rig = Rig::new(ports);
        rig.connect().exchange();
        if is_closed {
            close(&mut rig);
        }
        assert_eq!(rig.packet(&turned(client(999, 0, SYN, b""))), after, "{ports:?}");
        assert_eq!(rig.stats.flows, 1 + u64::from(after == "1000 SO"), "{ports:?}");
        assert_eq!(rig.stats.stray_syns, u64::from(after == "-"), "{ports:?}");
    }
}
