//! Which resets are taken, and what becomes of a connection that goes on all the same.

use super::*;

/// The largest window that TCP can offer.
const WINDOW: u32 = 1 << 30;

/// The service's bytes end at `OK_LEN`.
fn with_an_exchange() -> Rig {
    let mut rig = Rig::new(&[80]);
    rig.connect().exchange();
    rig
}

#[test]
fn the_service_resets_at_its_end_or_ahead_of_it() {
    for (place, is_taken) in [
        (OK_LEN, true),
        (OK_LEN + 1, true),
        (OK_LEN + WINDOW - 1, true),
        (OK_LEN + WINDOW, false),
        (OK_LEN - 1, false),
        (OK_LEN.wrapping_sub(WINDOW), false),
    ] {
        let mut rig = with_an_exchange();
        let (after, next) =
            if is_taken { ("0 S", format!("{GET_LEN} SOU")) } else { ("-", "0 SO".to_owned()) };
        assert_eq!(rig.packet(&service(place, GET_LEN, RST_ACK, b"")), after, "{place}");
        assert_eq!(rig.stats.stray_resets, u64::from(!is_taken), "{place}");
        // The receiver may not have taken it; then the next start is to be searched.
        assert_eq!(rig.client(GET_LEN, OK_LEN, GET), next, "{place}");
    }
}

#[test]
fn the_end_is_that_of_the_last_bytes_seen() {
    let mut refused = Rig::new(&[80]);
    refused.packet(&client(u32::MAX, 0, SYN, b""));
    assert_eq!(refused.packet(&service(0, 0, RST_ACK, b"")), "0 S", "nothing was seen of the service");

    let mut accepted = Rig::new(&[80]);
    accepted.connect();
    assert_eq!(accepted.packet(&service(u32::MAX, 0, RST_ACK, b"")), "-", "its SYN counts");
    assert_eq!(accepted.packet(&service(0, 0, RST_ACK, b"")), "0 S");

    for (what, again) in [
        ("its SYN again", service(u32::MAX, 0, SYN | ACK, b"")),
        ("old bytes again", service(0, GET_LEN, ACK, &OK[..5])),
    ] {
        let mut rig = with_an_exchange();
        assert_eq!(rig.packet(&again), "0 S", "{what}");
        assert_eq!(rig.packet(&service(5, GET_LEN, RST_ACK, b"")), "-", "{what}");
    }
    let mut rig = with_an_exchange();
    assert_eq!(rig.packet(&service(OK_LEN + 9, GET_LEN, ACK, b"")), "0 S", "without bytes it shows none");
    assert_eq!(rig.packet(&service(OK_LEN, GET_LEN, RST_ACK, b"")), "0 S");
}

#[test]
fn a_reset_is_no_consent() {
    let mut rig = with_an_exchange();
    assert_eq!(rig.packet(&client(999, 0, SYN, b"")), "-");
    assert_eq!(rig.packet(&service(OK_LEN, 1000, SYN | RST_ACK, b"")), "0 S");
    assert_eq!(rig.packet(&client(1000, OK_LEN, ACK, b"x")), "-", "it is no connection that begins");
}

#[test]
fn what_is_left_stays_so_after_a_reset() {
    for reset in [client(GET_LEN, OK_LEN, RST, b""), service(OK_LEN, GET_LEN, RST, b"")] {
        let mut rig = with_an_exchange();
        rig.tell(0, Resync::LEAVE);
        assert_eq!(rig.packet(&reset), "no run");
        assert_eq!(rig.client(GET_LEN, OK_LEN, GET), "-");
        assert_eq!((rig.stats.left_alone, rig.stats.candidates), (1, 0));
    }
}

#[test]
fn a_client_of_which_nothing_was_seen_may_reset_anywhere() {
    let mut rig = Rig::new(&[80]);
    assert_eq!(rig.service(0, 0, OK), "-");
    assert_eq!(rig.packet(&client(7, OK_LEN, RST, b"")), "no run");
    assert_eq!(rig.packet(&client(999, 0, SYN, b"")), "1000 SO", "it is over");
}
