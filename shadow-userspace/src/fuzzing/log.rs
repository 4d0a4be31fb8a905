//! What a decoder tells, in a form that can be compared, and the rules that hold whatever it reads.

/// What was told of one message after the other; neighbouring pieces of a body are one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    told: Vec<(Told, Vec<u8>)>,
    /// Body bytes of the current message, holes included, and how many its head promised.
    body: u64,
    promised: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Start,
    Interim,
    Head,
    Body,
    Trailers,
    End,
    /// Nothing follows.
    Last,
}

impl Log {
    pub(super) fn add(&mut self, told: Told, bytes: &[u8]) {
        let before = self.told.last_mut();
        assert!(before.as_ref().is_none_or(|(before, _)| *before != Told::Last), "{told:?} follows the last");
        match (told, before) {
            (Told::Body, Some((Told::Body, body))) => body.extend_from_slice(bytes),
            (Told::Body, Some((Told::Head, _))) => self.told.push((told, bytes.to_vec())),
            (Told::Body, before) => panic!("a body behind {before:?}"),
            (Told::End | Told::Trailers, None | Some((Told::End, _))) => panic!("{told:?} of nothing"),
            _ => self.told.push((told, bytes.to_vec())),
        }
        match told {
            Told::Body => {
                assert!(!bytes.is_empty());
                self.body += bytes.len() as u64;
            }
            Told::End => assert_eq!(self.promised.unwrap_or(self.body), self.body),
            _ => {}
        }
    }

    /// A head, and how long its body is if it says so.
    pub(super) fn head(&mut self, raw: &[u8], promised: Option<u64>) {
        self.add(Told::Head, raw);
        (self.body, self.promised) = (0, promised);
    }

    pub(super) fn trailers<B: AsRef<[u8]>>(&mut self, fields: &[(B, B)]) {
        let lines: Vec<&[u8]> =
            fields.iter().flat_map(|(name, value)| [name.as_ref(), value.as_ref()]).collect();
        self.add(Told::Trailers, &lines.join(&b'\n'));
    }

    /// So many bytes of a body are missing.
    pub(super) fn hole(&mut self, bytes: u64) {
        self.body += bytes;
    }

    /// All but bodies.
    pub(super) fn frame(&self) -> Vec<&(Told, Vec<u8>)> {
        self.told.iter().filter(|(told, _)| *told != Told::Body).collect()
    }

    /// The length of all bodies, in bytes.
    pub(super) fn body_bytes(&self) -> usize {
        let bodies = self.told.iter().filter(|(told, _)| *told == Told::Body);
        bodies.map(|(_, bytes)| bytes.len()).sum()
    }
}
