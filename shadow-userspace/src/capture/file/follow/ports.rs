//! The service ports that were asked for.

/// A bit for each port; none where any may be one.
#[derive(Debug)]
pub(super) struct Ports(Option<Box<[u64; 1024]>>);

/// Which way a packet may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sides {
    ToService,
    FromService,
    Either,
    Neither,
}

impl Ports {
    pub(super) fn new(ports: &[u16]) -> Self {
        let mut bits = Box::new([0; 1024]);
        for &port in ports {
            if let Some(word) = bits.get_mut(usize::from(port) / 64) {
                *word |= 1 << (port % 64);
            }
        }
        Self((!ports.is_empty()).then_some(bits))
    }

    /// Whether any port may be one.
    pub(super) const fn are_any(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    pub(super) fn sides(&self, source: u16, dest: u16) -> Sides {
        let Some(bits) = &self.0 else { return Sides::Either };
        let has =
            |port: u16| bits.get(usize::from(port) / 64).is_some_and(|word| word >> (port % 64) & 1 != 0);
        match (has(source), has(dest)) {
            (false, true) => Sides::ToService,
            (true, false) => Sides::FromService,
            (true, true) => Sides::Either,
            (false, false) => Sides::Neither,
        }
    }
}
