//! The contracts of a service, as its workers report them. There are several contracts while workers of two builds run
//! at the same time.

use std::collections::BTreeMap;

use mdp_runtime::dynamic::Method;
use mdp_runtime::{Code, Idempotency, Status};

use crate::management::{AskError, Management, WorkerLine};

/// A contract, and the workers that have it and accept calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contract {
    /// Its schema hash in hex.
    pub(crate) hash: String,
    /// The ids of the workers, those with the most free slots first.
    pub(crate) workers: Vec<String>,
}

impl Management {
    /// Returns the contracts of a service's workers; the contract of most workers comes first.
    pub(crate) async fn contracts(&self, service: &str) -> Result<Vec<Contract>, AskError> {
        Ok(of(&self.workers(service).await?))
    }

    /// Returns the contracts of all services by name, by one question.
    pub(crate) async fn all_contracts(&self) -> Result<BTreeMap<String, Vec<Contract>>, AskError> {
        let mut by_service: BTreeMap<String, Vec<WorkerLine>> = BTreeMap::new();
        for worker in self.workers("").await? {
            by_service.entry(worker.service.clone()).or_default().push(worker);
        }
        Ok(by_service.into_iter().map(|(service, workers)| (service, of(&workers))).collect())
    }
}

/// Returns the contracts of these workers; the contract of most workers comes first.
fn of(workers: &[WorkerLine]) -> Vec<Contract> {
    let mut by_hash: BTreeMap<&str, Vec<&WorkerLine>> = BTreeMap::new();
    for worker in workers.iter().filter(|worker| !worker.draining) {
        if let Some(hash) = &worker.schema {
            by_hash.entry(hash).or_default().push(worker);
        }
    }
    let mut contracts = Vec::new();
    for (hash, mut workers) in by_hash {
        workers.sort_by_key(|worker| {
            std::cmp::Reverse(worker.capacity.saturating_sub(worker.running))
        });
        let workers = workers.into_iter().map(|worker| worker.id.clone()).collect();
        contracts.push(Contract { hash: hash.to_owned(), workers });
    }
    contracts.sort_by_key(|contract| std::cmp::Reverse(contract.workers.len()));
    contracts
}

/// Whether a call that ended with this status at one worker of a contract may be made at the next worker.
pub(crate) fn may_try_the_next(method: Method, status: &Status) -> bool {
    let safe = status.not_started() || method.idempotency() != Idempotency::Unknown;
    status.code() == Code::Unavailable && safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(id: &str, schema: Option<&str>, running: u64, draining: bool) -> WorkerLine {
        WorkerLine {
            id: id.into(),
            service: "a.A".into(),
            dialect: "rpc".into(),
            capacity: 4,
            running,
            draining,
            schema: schema.map(Into::into),
            done: None,
        }
    }

    #[test]
    fn contracts_are_those_of_workers_that_take_calls_the_most_common_first() {
        let workers = [
            worker("a", Some("01"), 0, false),
            worker("b", Some("02"), 3, false),
            worker("c", Some("02"), 1, false),
            worker("d", Some("03"), 0, true),
            worker("e", None, 0, false),
        ];
        let found = of(&workers);
        let told: Vec<_> =
            found.iter().map(|contract| (&*contract.hash, contract.workers.join(" "))).collect();
        assert_eq!(told, [("02", "c b".to_owned()), ("01", "a".to_owned())]);
    }
}
