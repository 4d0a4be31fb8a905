//! A stream in pieces, as a network would cut it.

/// The first two bytes of what a target gets say how the rest is cut.
#[derive(Clone, Copy)]
pub(super) struct Pieces<'a> {
    pub(super) seed: u32,
    /// The whole stream.
    pub(super) stream: &'a [u8],
}

impl<'a> Pieces<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        match data.split_first_chunk() {
            Some((seed, stream)) => Self { seed: u16::from_le_bytes(*seed).into(), stream },
            None => Self { seed: 0, stream: &[] },
        }
    }

    /// The pieces; none is empty, most are small.
    pub(super) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let Self { mut seed, mut stream } = self;
        std::iter::from_fn(move || {
            // A linear congruential generator (Numerical Recipes) is random enough.
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let length = 1 + (seed >> 16) as usize % if seed >> 31 == 0 { 4 } else { 64 };
            let (piece, rest) = stream.split_at_checked(length).unwrap_or((stream, &[]));
            stream = rest;
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// A place in the stream and a number of bytes behind it.
    pub(super) fn hole(self) -> (usize, usize) {
        let seed = self.seed as usize;
        let at = seed % (self.stream.len() + 1);
        (at, (seed >> 4) % (self.stream.len() - at + 1))
    }
}
