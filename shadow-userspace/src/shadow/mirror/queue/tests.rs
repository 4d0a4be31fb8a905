//! The bounds to the copy, and the order against a plain model.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

fn flow(number: u16) -> FlowKey {
    FlowKey { client_port: number, ..FlowKey::default() }
}

fn queue(places: usize, waiting: usize, bytes: usize, order: Order) -> Queue<u32> {
    Queue::new(QueueLimits { places, waiting, bytes }, order)
}

fn goes(pushed: Pushed<u32>) -> Turn {
    match pushed {
        Pushed::Goes(_, turn) => turn,
        other => panic!("{other:?}"),
    }
}

#[test]
fn places_fill_then_the_queue_then_nothing_is_taken() {
    let mut queue = queue(2, 2, 100, Order::None);
    let (first, _second) = (goes(queue.push(&flow(1), 60, 1)), goes(queue.push(&flow(1), 60, 2)));
    assert_eq!(queue.push(&flow(1), 60, 3), Pushed::Waits);
    assert_eq!(queue.push(&flow(1), 41, 4), Pushed::Full(4), "too many bytes");
    assert_eq!(queue.push(&flow(1), 40, 5), Pushed::Waits);
    assert_eq!(queue.push(&flow(1), 0, 6), Pushed::Full(6), "too many copies");
    assert_eq!((queue.in_flight(), queue.waiting(), queue.bytes()), (2, 2, 100));
    assert!(!queue.has_room(&flow(1), 0));
    let (third, turn) = queue.next(first).unwrap();
    assert_eq!((third, queue.waiting(), queue.bytes()), (3, 1, 40));
    assert!(queue.has_room(&flow(1), 60) && !queue.has_room(&flow(1), 61));
    queue.close();
    assert_eq!(queue.push(&flow(1), 1, 7), Pushed::Closed(7));
    assert_eq!(queue.drain(), [5]);
    assert_eq!(queue.next(turn), None);
    assert_eq!((queue.in_flight(), queue.waiting(), queue.bytes(), queue.is_idle()), (1, 0, 0, false));
}

#[test]
fn without_a_queue_nothing_waits() {
    let mut queue = queue(1, 0, 100, Order::None);
    let turn = goes(queue.push(&flow(1), 1, 1));
    assert_eq!(queue.push(&flow(2), 1, 2), Pushed::Full(2));
    assert_eq!(queue.next(turn), None);
    assert!(queue.is_idle() && queue.has_room(&flow(2), 101));
    let _last = goes(queue.push(&flow(2), 1, 3));
}

#[test]
fn a_connection_that_waits_holds_up_no_other() {
    let mut queue = queue(2, 10, 100, Order::PerConnection);
    let slow = goes(queue.push(&flow(1), 1, 1));
    assert_eq!(queue.push(&flow(1), 1, 2), Pushed::Waits);
    let mut turn = goes(queue.push(&flow(2), 1, 3));
    assert_eq!(queue.push(&flow(2), 1, 4), Pushed::Waits);
    assert_eq!(queue.push(&flow(3), 1, 5), Pushed::Waits);
    // The third was ready before the next of the second.
    for expected in [5, 4] {
        let (item, next) = queue.next(turn).unwrap();
        assert_eq!(item, expected);
        turn = next;
    }
    assert_eq!(queue.next(turn), None);
    let (item, last) = queue.next(slow).unwrap();
    assert_eq!((item, queue.next(last)), (2, None));
    assert!(queue.is_idle() && queue.behind.is_empty(), "what is over is forgotten");
}

#[test]
fn what_is_drained_leaves_no_line_behind() {
    let mut queue = queue(1, 10, 100, Order::PerConnection);
    let turn = goes(queue.push(&flow(1), 1, 1));
    for item in 2..6 {
        assert_eq!(queue.push(&flow(item as u16 / 2), 1, item), Pushed::Waits);
    }
    let mut drained = queue.drain();
    drained.sort_unstable();
    assert_eq!(drained, [2, 3, 4, 5]);
    assert_eq!(queue.next(turn), None);
    assert!(queue.is_idle());
}

#[derive(Clone, Debug)]
enum Step {
    Push { flow: u16 },
    Finish(Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..4_u16).prop_map(|flow| Step::Push { flow }),
        1 => any::<Index>().prop_map(Step::Finish)
    ]
}

proptest! {
    /// Of each connection in order and one at a time; nothing waits that could go; everything goes once.
    #[test]
    fn lines_keep_their_order_and_places_are_used(
        steps in vec(step(), 1..200),
        places in 1..4_usize,
        waiting in 0..20_usize,
    ) {
        let mut queue = queue(places, waiting, usize::MAX, Order::PerConnection);
        // By connection: what was taken and did not go yet, in order; and what goes.
        let mut lines: BTreeMap<u16, Vec<u32>> = BTreeMap::new();
        let mut going: Vec<(u16, Turn)> = Vec::new();
        for (number, step) in (0..).zip(&steps) {
            match step {
                Step::Push { flow: line } => match queue.push(&flow(*line), 1, number) {
                    Pushed::Goes(item, turn) => {
                        prop_assert_eq!(item, number);
                        prop_assert!(lines.get(line).is_none_or(Vec::is_empty));
                        prop_assert!(going.iter().all(|(going, _)| going != line));
                        going.push((*line, turn));
                    }
                    Pushed::Waits => lines.entry(*line).or_default().push(number),
                    Pushed::Full(item) => {
                        prop_assert_eq!((item, queue.waiting()), (number, waiting));
                    }
                    Pushed::Closed(_) => prop_assert!(false),
                },
                Step::Finish(_) if going.is_empty() => {}
                Step::Finish(index) => {
                    let (_, turn) = going.swap_remove(index.index(going.len()));
                    if let Some((item, turn)) = queue.next(turn) {
                        let line = turn.line.unwrap().client_port;
                        prop_assert_eq!(lines.get_mut(&line).unwrap().remove(0), item);
                        prop_assert!(going.iter().all(|(going, _)| *going != line));
                        going.push((line, turn));
                    }
                }
            }
            let waits: usize = lines.values().map(Vec::len).sum();
            prop_assert_eq!((queue.in_flight(), queue.waiting()), (going.len(), waits));
            prop_assert!(going.len() <= places && waits <= waiting);
            let could_go = lines.iter().any(|(line, waiting)| {
                !waiting.is_empty() && going.iter().all(|(going, _)| going != line)
            });
            prop_assert!(going.len() == places || !could_go);
            prop_assert!(queue.behind.len() <= places + waiting);
        }
    }
}
