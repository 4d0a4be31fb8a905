//! What leaves the kernel follows the sample rate, not the traffic.

use std::path::Path;

use crate::common::{SHADOW_LAB, root};
use shadow_tests::{
    bench::{
        share::{MOST_AT_ONE_PERCENT, Share},
        traffic::{self, Traffic},
    },
    lab::Lab,
};
use shadow_userspace::capture::AttachMode;

/// So many that a right kernel exceeds the bound at 1 % about once in a hundred million runs: 40 ± 6 requests are
/// drawn, and 80 would be too many.
const REQUESTS: u32 = 4000;

#[test]
fn events_at_one_percent_are_at_most_two_percent_of_all() {
    if !root() {
        return;
    }
    let lab = Lab::new().unwrap();
    let _service = traffic::service(&lab, Path::new(SHADOW_LAB)).unwrap();
    let traffic = [Traffic::gets(64, REQUESTS), Traffic::posts(1000, REQUESTS / 40)];
    for attach in [AttachMode::Tc, AttachMode::XdpNative, AttachMode::XdpGeneric] {
        let measure = |rate: &str| Share::measure(&lab, attach, rate.parse().unwrap(), &traffic).unwrap();
        let (none, few, all) = (measure("0%"), measure("1%"), measure("100%"));
        let words = format!("{attach:?}: {none:?}\n{few:?}\n{all:?}");
        assert_eq!((none.records, none.bytes), (0, 0), "{words}");
        assert!(few.records > 0 && few.percent_of(&all).0 <= MOST_AT_ONE_PERCENT, "{words}");
        let bytes: usize = traffic.iter().map(|part| part.request.len() * part.requests as usize).sum();
        assert!(all.records >= u64::from(all.requests) && all.bytes >= bytes as u64, "{words}");
        // That nothing was exported is because of the rate, and not because it wasn't seen.
        assert!(none.matched.min(few.matched) >= u64::from(all.requests), "{words}");
    }
}
