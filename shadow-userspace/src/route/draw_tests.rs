//! Where the numbers come from, and how they are spread.

use proptest::prelude::*;

use super::*;
use crate::route::testing::{flow, get, random, three_sigma};

fn number(key: &SampleKey, lines: &str, random: u32) -> u32 {
    Dice::undrawn(7, random).number(key, &get(lines), &flow(1))
}

fn by_header() -> SampleKey {
    SampleKey::Header("x-user".parse().unwrap())
}

fn by_cookie() -> SampleKey {
    SampleKey::Cookie("id".to_owned())
}

#[test]
fn the_first_of_several_values_counts() {
    for (key, lines, first) in [
        (by_header(), "X-User: a\r\nX-User: b\r\n", "X-User: a\r\n"),
        (by_cookie(), "Cookie: id=a; id=b\r\n", "Cookie: id=a\r\n"),
    ] {
        assert_eq!(number(&key, lines, 0), number(&key, first, 1), "{lines}");
    }
}

#[test]
fn the_kernels_hashes_are_taken_over() {
    for number in 0..100 {
        let flow = flow(number);
        for (key, by) in
            [(SampleKey::Connection, SampleBy::Connection), (SampleKey::ClientIp, SampleBy::ClientIp)]
        {
            let ours = Dice::new(by, 1 << 20, 42, 9).number(&key, &get(""), &flow);
            assert_eq!(ours, SampleBy::draw(by as u32, &flow, 42, 1), "{key:?}");
        }
    }
}

/// The rule that users may reckon with.
#[test]
fn a_value_is_hashed_in_the_same_way_for_ever() {
    // printf alice | sha256sum
    assert_eq!(number(&by_header(), "X-User: alice\r\n", 0), 0x2bd8_06c9);
    assert_eq!(number(&by_cookie(), "Cookie: id=alice\r\n", 0), 0x2bd8_06c9);
}

#[test]
fn cookies_are_found_by_name() {
    let alice = stable(b"alice");
    for (lines, expected) in [
        ("Cookie: a=b; id=alice; c=d\r\n", alice),
        ("Cookie: a=b;id=alice\r\n", alice),
        ("Cookie: a=b ;\t id = alice \r\n", alice),
        ("Cookie: a=b\r\nCookie: c; id=alice\r\n", alice),
        ("Cookie: id=alice; id=bob\r\n", alice),
        ("Cookie: id=a=b\r\n", stable(b"a=b")),
        ("Cookie: id=\"alice\"\r\n", stable(b"\"alice\"")),
        // Not there, or says nothing: drawn for by itself.
        ("Cookie: xid=alice; ID=alice; id\r\n", 99),
        ("Cookie: a=id=alice\r\n", 99),
        ("Cookie: id=\r\n", 99),
        ("Cookie: ;;=; =alice\r\n", 99),
        ("", 99),
    ] {
        assert_eq!(number(&by_cookie(), lines, 99), expected, "{lines}");
    }
}

#[test]
fn without_a_value_each_request_is_drawn_for() {
    for lines in ["", "X-User:\r\n", "X-Other: alice\r\n"] {
        for random in [0, 17, u32::MAX] {
            assert_eq!(number(&by_header(), lines, random), random, "{lines}");
        }
    }
}

/// GoReplay's `--http-header-limiter`, and our own rule: the share of values that fall below a threshold is that share.
#[test]
fn hashes_of_values_are_spread_evenly() {
    const VALUES: u32 = 10_000;
    for prefix in ["user-", "", "\u{e9}-0000-", "0123456789abcdef0123456789abcdef-"] {
        for share in [0.01, 0.1, 0.25, 0.5, 0.9] {
            let below = |value: &u32| {
                f64::from(stable(format!("{prefix}{value}").as_bytes())) < share * 4_294_967_296.0
            };
            let count = f64::from(u32::try_from((0..VALUES).filter(below).count()).unwrap());
            let expected = f64::from(VALUES) * share;
            let margin = three_sigma(f64::from(VALUES), share);
            assert!(
                (count - expected).abs() <= margin,
                "{prefix} {share}: {count}, not {expected} ± {margin}"
            );
        }
    }
}

#[test]
fn what_the_kernel_drew_is_below_its_threshold() {
    let mut random = random();
    for threshold in [1, 1000, FULL_RATE / 10, FULL_RATE - 1, FULL_RATE] {
        for draw in (0..1000).map(|_| random.next_u32()).chain([0, u32::MAX]) {
            let number = Dice::new(SampleBy::Request, threshold, 0, draw).roll();
            assert!(u64::from(number) < threshold);
        }
        assert_eq!(u64::from(Dice::new(SampleBy::Request, threshold, 0, u32::MAX).roll()) + 1, threshold);
    }
    // It drew connections: nothing is known of this request.
    assert_eq!(Dice::new(SampleBy::Connection, 1000, 0, 1 << 31).roll(), 1 << 31);
    // More than everything is everything.
    assert_eq!(Dice::new(SampleBy::Request, u64::MAX, 0, u32::MAX).roll(), u32::MAX);
}

proptest! {
    #[test]
    fn what_is_kept_gives_one_number(value in "[a-z0-9]{1,12}", seed: u32, draws in any::<[u32; 2]>(), client: u32) {
        let [header, cookie] = [by_header(), by_cookie()];
        for (key, seeded) in
            [(header, false), (cookie, false), (SampleKey::Connection, true), (SampleKey::ClientIp, true)]
        {
            let [one, two] = [("/a", 0), ("/b", 1)].map(|(path, at)| {
                let text = format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-User: {value}\r\nCookie: id={value}\r\n\r\n");
                let head = RequestHead::parse(text).unwrap();
                // Neither the random number nor, for values, the agent's seed has a say.
                let seed = if seeded { seed } else { seed.wrapping_add(at) };
                let draw = draws[at as usize];
                Dice::undrawn(seed, draw).number(&key, &head, &flow(client))
            });
            prop_assert_eq!(one, two, "{:?}", key);
        }
    }
}
