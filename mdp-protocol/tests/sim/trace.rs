//! What happened in a world: a hash that tells two runs apart, and on demand every line of it.

/// Collects the trace of one run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    loud: bool,
}

impl Trace {
    pub(crate) fn new(loud: bool) -> Self {
        Trace { hash: 0xcbf2_9ce4_8422_2325, loud }
    }

    /// Notes an event by its numbers; `line` is its text for a person who replays the seed.
    pub(crate) fn note(&mut self, now: u64, numbers: &[u64], line: impl FnOnce() -> String) {
        for number in core::iter::once(&now).chain(numbers) {
            self.hash = (self.hash ^ number).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
        }
        if self.loud {
            println!("{:>7}.{:03}  {}", now / 1_000, now % 1_000, line());
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}
