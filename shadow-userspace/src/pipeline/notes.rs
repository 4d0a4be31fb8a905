//! Notes to the kernel about open runs: collected while segments are taken, told between batches.
//!
//! Bounded (invariant 4): of a flow only the latest note is kept, and of too many the oldest is forgotten. A note that
//! is lost costs nothing but records that nobody needs.

use std::collections::VecDeque;

use crate::capture::Note;

/// Notes kept at most.
const MAX_NOTES: usize = 4096;

/// The notes that were not told yet.
#[derive(Debug, Default)]
pub(super) struct Notes {
    queue: VecDeque<Note>,
    /// The number of the first in the queue; they are numbered as they come.
    first: u64,
}

/// The number of a note.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoteId(u64);

impl Notes {
    /// Keeps `note`, in place of the flow's `earlier` one if that was not told yet.
    pub(super) fn push(&mut self, note: Note, earlier: Option<NoteId>) -> NoteId {
        let place = earlier.and_then(|NoteId(id)| usize::try_from(id.checked_sub(self.first)?).ok());
        if let (Some(NoteId(id)), Some(known)) = (earlier, place.and_then(|place| self.queue.get_mut(place)))
        {
            *known = note;
            return NoteId(id);
        }
        if self.queue.len() == MAX_NOTES {
            self.queue.pop_front();
            self.first += 1;
        }
        self.queue.push_back(note);
        NoteId(self.first + self.queue.len() as u64 - 1)
    }

    /// Takes them out, the oldest first.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Note> {
        self.first += self.queue.len() as u64;
        self.queue.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use shadow_common::{FlowKey, Resync};

    use super::*;

    fn note(run: u32) -> Note {
        Note {
            flow: FlowKey::default(),
            resync: Resync { run, next: 0, what: Resync::LOST },
            is_forgotten: false,
        }
    }

    fn told(notes: &mut Notes) -> Vec<u32> {
        notes.take().map(|note| note.resync.run).collect()
    }

    #[test]
    fn a_later_note_takes_the_place_of_one_that_was_not_told() {
        let mut notes = Notes::default();
        let first = notes.push(note(1), None);
        notes.push(note(2), None);
        let again = notes.push(note(3), Some(first));
        assert_eq!(told(&mut notes), [3, 2]);
        let fourth = notes.push(note(4), Some(again));
        notes.push(note(5), Some(fourth));
        assert_eq!((told(&mut notes), told(&mut notes)), (vec![5], vec![]));
    }

    #[test]
    fn the_oldest_of_too_many_are_forgotten() {
        let mut notes = Notes::default();
        let first = notes.push(note(0), None);
        for run in 1..5000 {
            notes.push(note(run), None);
        }
        notes.push(note(5000), Some(first));
        assert_eq!(told(&mut notes), Vec::from_iter(5001 - 4096..=5000));
    }
}
