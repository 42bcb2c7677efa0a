//! The choice of the next endpoint, and the pause before the attempt.

use super::SessionConfig;
use crate::rng::Rng;
use crate::time::Span;

#[derive(Debug)]
pub(crate) struct Backoff {
    rng: Rng,
    endpoint: usize,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Self {
        Backoff { rng: Rng::new(seed), endpoint: 0, failures: 0 }
    }

    /// The index of the endpoint to connect to.
    pub(crate) fn endpoint(&self) -> usize {
        self.endpoint
    }

    /// How long the endpoint has to answer.
    pub(crate) fn patience(&self, config: &SessionConfig) -> Span {
        config.handshake.times(1 << self.failures.min(3))
    }

    /// The attempt succeeded: the pauses start again at the shortest.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The attempt at this endpoint is over. Returns the pause before the next one.
    pub(crate) fn failed(&mut self, config: &SessionConfig) -> Span {
        let endpoints = config.endpoints.max(1);
        self.endpoint = (self.endpoint + 1) % endpoints;
        self.failures = self.failures.saturating_add(1);
        // Each endpoint is tried once before the pauses grow.
        let round = (self.failures - 1) / u32::try_from(endpoints).unwrap_or(u32::MAX);
        let max = config.backoff_first.times(1 << round.min(20));
        let max = max.min(config.max_backoff).as_ms();
        Span::from_ms(self.rng.between(max / 2, max))
    }
}
