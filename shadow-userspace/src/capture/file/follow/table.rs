//! The flow table of a capture file: connections by their two ends, whichever way a packet goes.
//!
//! Invariant 4: never more flows than the limit. Beyond it, one is forgotten that wasn't used since the hand passed it
//! last (the clock algorithm), which costs a packet nothing but a bit.

use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::flow::Flow;
use crate::capture::file::packet::Endpoint;

#[derive(Debug)]
pub(super) struct Table {
    index: HashTable<u32>,
    slots: Vec<Flow>,
    /// Where to look next for one to forget.
    hand: usize,
    max_flows: usize,
    /// Keyed at random: nobody can choose connections that collide.
    keys: RandomState,
}

/// Where a connection would be.
#[derive(Debug)]
pub(super) struct Place {
    hash: u64,
}

impl Table {
    pub(super) fn new(max_flows: usize) -> Self {
        let index = HashTable::new();
        Self { index, slots: Vec::new(), hand: 0, max_flows: max_flows.max(1), keys: RandomState::default() }
    }

    /// The connection between two ends, given in either order.
    #[inline]
    pub(super) fn find(&mut self, one: &Endpoint, other: &Endpoint) -> Result<&mut Flow, Place> {
        let hash = hash(&self.keys, one, other);
        let found = self
            .index
            .find(hash, |&id| self.slots.get(id as usize).is_some_and(|flow| flow.is_between(one, other)));
        match found.and_then(|&id| self.slots.get_mut(id as usize)) {
            Some(flow) => Ok(flow),
            None => Err(Place { hash }),
        }
    }

    /// Adds a connection that wasn't found; says whether another was forgotten for it.
    pub(super) fn insert(&mut self, Place { hash }: Place, flow: Flow) -> (&mut Flow, bool) {
        let is_full = self.slots.len() >= self.max_flows;
        let id = if is_full {
            let id = self.forget();
            if let Some(slot) = self.slots.get_mut(id) {
                *slot = flow;
            }
            id
        } else {
            self.slots.push(flow);
            self.slots.len() - 1
        };
        let Self { index, slots, keys, .. } = self;
        // The limit is far below 2^32.
        index.insert_unique(hash, id as u32, |&id| {
            slots.get(id as usize).map_or(0, |flow| hash_of(keys, flow))
        });
        (&mut slots[id], is_full)
    }

    /// Takes a flow out of the index; its slot is free.
    fn forget(&mut self) -> usize {
        loop {
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            let hand = self.hand;
            // There is at least one slot.
            let Some(flow) = self.slots.get_mut(hand) else { return 0 };
            if !std::mem::take(&mut flow.used) {
                let hash = hash_of(&self.keys, flow);
                if let Ok(entry) = self.index.find_entry(hash, |&id| id as usize == hand) {
                    entry.remove();
                }
                return hand;
            }
        }
    }
}

fn hash_of(keys: &RandomState, flow: &Flow) -> u64 {
    let (client, service) = flow.ends();
    hash(keys, &client, &service)
}

/// The same for both orders.
#[inline]
fn hash(keys: &RandomState, one: &Endpoint, other: &Endpoint) -> u64 {
    let of = |end: &Endpoint| {
        let mut hasher = keys.build_hasher();
        hasher.write_u128(u128::from_ne_bytes(end.addr));
        hasher.write_u16(end.port);
        hasher.finish()
    };
    of(one).wrapping_add(of(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(port: u16) -> Endpoint {
        Endpoint { addr: [7; 16], port }
    }

    fn add(table: &mut Table, port: u16) -> bool {
        let Err(place) = table.find(&end(port), &end(80)) else { panic!("{port} is there") };
        table.insert(place, Flow::opened(&end(port), &end(80), 0)).1
    }

    fn has(table: &mut Table, port: u16) -> bool {
        let (there, back) =
            (table.find(&end(port), &end(80)).is_ok(), table.find(&end(80), &end(port)).is_ok());
        assert_eq!(there, back, "both ways round");
        there
    }

    #[test]
    fn a_connection_is_between_its_two_ends() {
        let ends =
            [(1, 80), (1, 90), (2, 80), (2, 90)].map(|(addr, port)| Endpoint { addr: [addr; 16], port });
        let pairs = || ends.iter().flat_map(|one| ends.iter().map(move |other| (one, other)));
        for (client, service) in pairs() {
            let flow = Flow::opened(client, service, 0);
            for (one, other) in pairs() {
                let expected = (one, other) == (client, service) || (other, one) == (client, service);
                assert_eq!(
                    flow.is_between(one, other),
                    expected,
                    "{client:?} {service:?}: {one:?} {other:?}"
                );
            }
        }
    }

    #[test]
    fn a_full_table_forgets_what_is_not_in_use() {
        let mut table = Table::new(100);
        assert!((1..=100).all(|port| !add(&mut table, port)));
        // New flows count as in use; after one round of the hand none does.
        for port in 101..=200 {
            assert!(add(&mut table, port));
        }
        assert_eq!((table.slots.len(), table.index.len()), (100, 100));
        assert_eq!((1..=200).filter(|&port| has(&mut table, port)).count(), 100);
        for slot in &mut table.slots {
            slot.used = false;
        }
        for port in 101..=150 {
            table.find(&end(port), &end(80)).unwrap().used = true;
        }
        assert!((201..=250).all(|port| add(&mut table, port)));
        assert!((101..=150).all(|port| has(&mut table, port)));
        assert!((151..=200).all(|port| !has(&mut table, port)));
    }
}
