//! Which addresses copies try, in order: turn, leaving out and coming back, resolution.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::shadow::client::resolve::Answer;

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 80))
}

fn state(addresses: &[u8]) -> State {
    let mut state = State::default();
    let addresses = addresses.iter().copied().map(address).collect();
    state.update(Ok(addresses), Duration::MAX / 4, Instant::now());
    state
}

/// The last digits of the next copy's addresses.
fn pick(state: &mut State, now: Instant) -> Vec<u8> {
    let candidates = state.pick(now).unwrap_or_default();
    candidates
        .iter()
        .map(|candidate| match candidate {
            SocketAddr::V4(address) => address.ip().octets()[3],
            SocketAddr::V6(_) => 0,
        })
        .collect()
}

fn refuse(state: &mut State, last: u8, now: Instant) -> Duration {
    let known = state.find(address(last)).unwrap();
    known.refusals += 1;
    known.left_out_until = Some(now + known.pause());
    known.pause()
}

#[test]
fn copies_take_turns() {
    let now = Instant::now();
    let mut state = state(&[1, 2, 3, 2]);
    let turns: Vec<_> = (0..4).map(|_| pick(&mut state, now)).collect();
    assert_eq!(turns, [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 2, 3]]);
    assert!(pick(&mut State::default(), now).is_empty());
    let mut many = self::state(&[1, 2, 3, 4, 5, 6]);
    assert_eq!(pick(&mut many, now).len(), TRIES);
    for last in 1..=4 {
        refuse(&mut many, last, now);
    }
    assert_eq!(pick(&mut many, now).len(), TRIES);
}

#[test]
fn an_address_that_refuses_comes_last_until_one_copy_finds_it_back() {
    let now = Instant::now();
    let mut state = state(&[1, 2]);
    refuse(&mut state, 1, now);
    assert_eq!(pick(&mut state, now), [2, 1]);
    assert_eq!(pick(&mut state, now), [2, 1]);
    let later = now + Duration::from_millis(1001);
    assert_eq!(pick(&mut state, later), [1, 2], "one copy tries");
    let others: Vec<_> = (0..3).map(|_| pick(&mut state, later)).collect();
    assert_eq!(others, [[2, 1], [2, 1], [2, 1]], "the others wait for what it finds");
    let known = state.find(address(1)).unwrap();
    (known.refusals, known.left_out_until) = (0, None);
    let turns: Vec<_> = (0..4).map(|_| pick(&mut state, later)[0]).collect();
    assert_eq!(turns.iter().filter(|&&first| first == 1).count(), 2);
}

#[test]
fn it_is_left_out_ever_longer_up_to_half_a_minute() {
    let now = Instant::now();
    let mut state = state(&[1, 2]);
    let pauses: Vec<_> = (0..8).map(|_| refuse(&mut state, 1, now).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
}

#[test]
fn refusals_count_until_a_connection_is_made() {
    let addresses = Addresses::fixed(address(1));
    let known = || addresses.inner.lock().find(address(1)).unwrap().clone();
    for refusals in 1..=2 {
        addresses.refused(address(1));
        assert_eq!((known().refusals, known().left_out_until.is_some()), (refusals, true));
    }
    addresses.reached(address(1));
    assert_eq!((known().refusals, known().left_out_until), (0, None));
}

#[test]
fn if_all_refuse_the_one_that_did_longest_ago_is_tried_first() {
    let now = Instant::now();
    let mut state = state(&[1, 2]);
    refuse(&mut state, 2, now);
    refuse(&mut state, 1, now + Duration::from_millis(1));
    assert_eq!(pick(&mut state, now + Duration::from_millis(2)), [2, 1]);
}

#[test]
fn what_is_known_of_an_address_outlasts_a_resolution_and_old_ones_outlast_a_failed_one() {
    let now = Instant::now();
    let mut state = state(&[1, 2]);
    refuse(&mut state, 1, now);
    state.update(Ok(vec![address(3), address(1)]), Duration::from_secs(30), now);
    assert_eq!(pick(&mut state, now), [3, 1]);
    for (answer, first) in [(Ok(Vec::new()), true), (Err(io::ErrorKind::NotFound.into()), false)] {
        let said = state.update(answer, Duration::from_secs(30), now);
        assert_eq!(said.is_some(), first, "it is said once");
        assert_eq!((pick(&mut state, now), state.due), (vec![3, 1], Some(now + RETRY)));
    }
    let soon = Duration::from_millis(5);
    state.update(Ok(Vec::new()), soon, now);
    assert_eq!(state.due, Some(now + soon));
}

/// Never answers, and counts how often it is asked.
#[derive(Debug)]
struct Hangs(Arc<AtomicU64>);

impl Resolve for Hangs {
    fn name(&self) -> &str {
        "v2.test"
    }

    fn resolve(&self) -> Answer {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn only_one_resolution_is_under_way() {
    let asked = Arc::new(AtomicU64::new(0));
    let addresses = Addresses::resolved(Box::new(Hangs(Arc::clone(&asked))), Duration::ZERO);
    for _ in 0..3 {
        let deadline = Instant::now() + Duration::from_millis(10);
        assert_eq!(addresses.candidates(deadline).await, None);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
