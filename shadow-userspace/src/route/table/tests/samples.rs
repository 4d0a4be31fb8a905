//! How many requests get copies.

use super::*;

/// Sends `count` requests through a kernel that samples as the table asks for, and counts the copies of each shadow.
fn mirrored(table: &RouteTable, count: u32, shadows: usize, random: &mut impl Rng) -> Vec<u32> {
    let (by, rate) = table.kernel_sampling();
    through(table, (by, rate.threshold()), count, shadows, random)
}

/// As [`mirrored`], with this sampling of the kernel. Every request is another client's, and another user's.
fn through(
    table: &RouteTable,
    (by, threshold): (SampleBy, u64),
    count: u32,
    shadows: usize,
    random: &mut impl Rng,
) -> Vec<u32> {
    const SEED: u32 = 0x5eed;
    let mut copies = vec![0; shadows];
    for _ in 0..count {
        let number = random.next_u32();
        let (flow, head) = (flow(number), get(&format!("X-User: {number}\r\n")));
        if u64::from(SampleBy::draw(by as u32, &flow, SEED, random.next_u32())) >= threshold {
            continue;
        }
        let dice = Dice::new(by, threshold, SEED, random.next_u32());
        if let Decision::Copies(0, mirrored) = table.decide(&head, &flow, dice) {
            mirrored.iter().for_each(|&shadow| copies[shadow] += 1);
        }
    }
    copies
}

fn assert_share(got: u32, count: u32, percent: f64, what: &str) {
    let (count, share) = (f64::from(count), percent / 100.0);
    let (expected, margin) = (count * share, three_sigma(count, share));
    assert!((f64::from(got) - expected).abs() <= margin, "{what}: {got}, not {expected} ± {margin}");
}

fn keys() -> [SampleKey; 4] {
    let header = SampleKey::Header("x-user".parse().unwrap());
    [SampleKey::Request, SampleKey::Connection, SampleKey::ClientIp, header]
}

/// Istio's `TestMirroring`: so many percent, give or take so many.
#[test]
fn istio_mirror_percentages() {
    let mut random = random();
    for (percent, margin) in [(100, 0), (50, 10), (10, 5), (0, 0)] {
        let table = RouteTable::new(&[route("all", &[f64::from(percent)])]);
        let got = mirrored(&table, 100, 1, &mut random)[0];
        assert!(got.abs_diff(percent) <= margin, "{percent} %: {got} of 100");
    }
}

/// Gateway API's `HTTPRouteRequestPercentageMirror`: 500 requests for each share.
#[test]
fn gateway_api_request_percentage_mirror() {
    let mut random = random();
    for (numerator, denominator) in [(20, 100), (50, 100), (1, 2), (35, 100), (5, 1000)] {
        let rate = SampleRate::from_fraction(numerator, denominator).unwrap();
        let table = RouteTable::new(&[route("all", &[rate.percent()])]);
        assert_share(mirrored(&table, 500, 1, &mut random)[0], 500, rate.percent(), &rate.to_string());
    }
}

/// Gateway API's `HTTPRouteRequestMultipleMirrors`: each shadow gets its own share.
#[test]
fn every_shadow_gets_its_share_whatever_is_sampled_by() {
    const COUNT: u32 = 10_000;
    let percentages = [5.0, 40.0, 12.5, 0.0, 100.0];
    let mut random = random();
    for key in keys() {
        // The highest is 40 % in the first table and 100 % in the second.
        for shadows in [4, 5] {
            let table = RouteTable::new(&[sampled_by(route("all", &percentages[..shadows]), key.clone())]);
            let got = mirrored(&table, COUNT, shadows, &mut random);
            for (&got, percent) in got.iter().zip(percentages) {
                assert_share(got, COUNT, percent, &format!("{key:?} {percent} %"));
            }
        }
    }
}

/// One route needs more than the other, or another draw: neither gets more or less for that.
#[test]
fn routes_do_not_change_each_others_share() {
    const COUNT: u32 = 10_000;
    let mut random = random();
    for first in keys() {
        for second in keys() {
            let table = RouteTable::new(&[
                sampled_by(route("all", &[10.0]), first.clone()),
                sampled_by(route("other", &[30.0]), second.clone()),
            ]);
            let got = mirrored(&table, COUNT, 1, &mut random)[0];
            assert_share(got, COUNT, 10.0, &format!("{first:?} beside {second:?}"));
        }
    }
}

#[test]
fn the_share_stays_while_the_kernels_rate_changes() {
    const COUNT: u32 = 2_000;
    let mut random = random();
    let table = RouteTable::new(&[route("all", &[20.0, 5.0])]);
    let rates = [20.0, 100.0, 35.0, 20.0, 99.9];
    let mut sum = [0, 0];
    for rate in rates {
        let sampling = (SampleBy::Request, percent(rate).threshold());
        let got = through(&table, sampling, COUNT, 2, &mut random);
        sum[0] += got[0];
        sum[1] += got[1];
    }
    assert_share(sum[0], 5 * COUNT, 20.0, "the first");
    assert_share(sum[1], 5 * COUNT, 5.0, "the second");
}

proptest! {
    /// Samples nest: among shadows, and when a rate is raised.
    #[test]
    fn a_higher_percentage_has_all_of_a_lower(
        key in 0_usize..4,
        low in 0.0..=100.0,
        more in 0.0..=100.0,
        draws in proptest::collection::vec(any::<(u32, u32)>(), 100),
    ) {
        let high = f64::min(low + (100.0 - low) * more / 100.0, 100.0);
        let [_, _, _, by_header] = keys();
        let key = [SampleKey::Request, SampleKey::Connection, SampleKey::ClientIp, by_header][key].clone();
        let both = RouteTable::new(&[sampled_by(route("all", &[low, high]), key.clone())]);
        let one = RouteTable::new(&[sampled_by(route("all", &[low]), key)]);
        for (client, draw) in draws {
            let (flow, head) = (flow(client), get(&format!("X-User: {client}\r\n")));
            let decide = |table: &RouteTable| table.decide(&head, &flow, Dice::undrawn(1, draw));
            one.set_rate("all", percent(low)).unwrap();
            let before = decide(&one);
            one.set_rate("all", percent(high)).unwrap();
            let after = decide(&one);
            match decide(&both) {
                Decision::Copies(0, shadows) => {
                    prop_assert_eq!(shadows.last(), Some(&1), "the higher has it");
                    prop_assert_eq!(&after, &copies(0, &[0]));
                    prop_assert_eq!(before == copies(0, &[0]), shadows.len() == 2);
                }
                other => {
                    prop_assert_eq!(&other, &Decision::Pass(PassReason::NotDrawn));
                    prop_assert_eq!((&before, &after), (&other, &other));
                }
            }
        }
    }
}
