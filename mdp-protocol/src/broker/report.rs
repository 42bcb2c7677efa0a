//! A report for an operator's tools: all counters at one moment.

use alloc::vec::Vec;

use super::Broker;
use crate::payload::Payload;
use crate::wire::listing::{MethodLine, ServiceLine, Stats, WorkerLine};

/// All counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The counters of the broker as a whole.
    pub stats: Stats,
    /// Whether the broker drains and takes no new calls.
    pub draining: bool,
    /// The current services.
    pub services: Vec<ServiceLine>,
    /// The methods that were called since the start, and for each service a line without method for the rest.
    pub methods: Vec<MethodLine>,
    /// The current workers, with a line for each service that they offer.
    pub workers: Vec<WorkerLine>,
}

impl<P: Payload> Broker<P> {
    /// All counters. Visits each service, method and worker.
    pub fn report(&self) -> Report {
        let workers = self.services.workers();
        let mut workers: Vec<WorkerLine> =
            workers.filter_map(|(_, worker)| self.worker_line(worker)).collect();
        workers.sort_unstable_by(|a, b| (&a.service, &a.id).cmp(&(&b.service, &b.id)));
        Report {
            stats: self.stats(),
            draining: self.closing.is_some(),
            services: self.service_lines(),
            methods: self.method_lines(None),
            workers,
        }
    }
}
