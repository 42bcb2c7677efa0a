//! Computes rates from two samples of a broker's counters.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::management::{Done, MethodLine, Numbers, ServiceLine, WorkerLine};

/// One sample of the broker's state.
#[derive(Debug)]
pub(super) struct Sample {
    at: Instant,
    pub(super) services: Vec<ServiceLine>,
    pub(super) workers: Vec<WorkerLine>,
    pub(super) methods: Vec<MethodLine>,
    pub(super) counters: Numbers,
    /// The counters, by owner.
    done: BTreeMap<Of, Done>,
}

/// The owner of counters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    Service(String),
    Method(String, String),
    Worker(String, String),
}

/// The activity between two samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) calls: f64,
    pub(super) errors: f64,
    /// The mean milliseconds that a call waited and ran. `None` without calls.
    pub(super) waited: Option<f64>,
    pub(super) ran: Option<f64>,
}

impl Sample {
    pub(super) fn new(
        mut services: Vec<ServiceLine>,
        workers: Vec<WorkerLine>,
        methods: Vec<MethodLine>,
        counters: Numbers,
    ) -> Self {
        services.sort_by(|a, b| a.service.cmp(&b.service));
        let mut done: BTreeMap<Of, Done> = BTreeMap::new();
        for line in &methods {
            add(done.entry(Of::Service(line.service.clone())).or_default(), &line.done);
            done.insert(Of::Method(line.service.clone(), line.method.clone()), line.done.clone());
        }
        for line in &workers {
            if let Some(of_worker) = &line.done {
                done.insert(Of::Worker(line.service.clone(), line.id.clone()), of_worker.clone());
            }
        }
        Sample { at: Instant::now(), services, workers, methods, counters, done }
    }

    pub(super) fn done(&self, of: &Of) -> Option<&Done> {
        self.done.get(of)
    }

    /// Computes the rates since `before`.
    pub(super) fn since(&self, before: Option<&Sample>, of: &Of) -> Rates {
        let Some((before, now)) = before.zip(self.done(of)) else { return Rates::default() };
        let seconds = (self.at - before.at).as_secs_f64();
        // A new owner started at zero. A restarted one has lower counters than before.
        let nothing = Done::default();
        let then = before.done(of).filter(|then| then.requests <= now.requests).unwrap_or(&nothing);
        rates(then, now, seconds)
    }
}

fn rates(then: &Done, now: &Done, seconds: f64) -> Rates {
    let more = |now: u64, then: u64| now.saturating_sub(then) as f64;
    let calls = more(now.requests, then.requests);
    let mean = |sum: f64| (calls > 0.0).then(|| sum / calls);
    let a_second = |count: f64| if seconds > 0.0 { count / seconds } else { 0.0 };
    Rates {
        calls: a_second(calls),
        errors: a_second(more(now.errors, then.errors)),
        waited: mean(more(now.queued_ms, then.queued_ms)),
        ran: mean(more(now.running_ms, then.running_ms)),
    }
}

fn add(sum: &mut Done, more: &Done) {
    sum.requests += more.requests;
    sum.errors += more.errors;
    sum.redispatched += more.redispatched;
    sum.queued_ms += more.queued_ms;
    sum.running_ms += more.running_ms;
    let later =
        more.last_error_ms_ago.is_some_and(|ms| sum.last_error_ms_ago.is_none_or(|own| ms < own));
    if later {
        (sum.last_error, sum.last_error_ms_ago) = (more.last_error.clone(), more.last_error_ms_ago);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn done(requests: u64, errors: u64, queued_ms: u64, running_ms: u64) -> Done {
        Done { requests, errors, queued_ms, running_ms, ..Done::default() }
    }

    #[test]
    fn rates_are_of_the_time_between_two_looks() {
        let found = rates(&done(100, 5, 1_000, 4_000), &done(140, 9, 1_200, 4_100), 2.0);
        let wanted = Rates { calls: 20.0, errors: 2.0, waited: Some(5.0), ran: Some(2.5) };
        assert_eq!(found, wanted);
        assert_eq!(rates(&done(7, 0, 0, 0), &done(7, 0, 0, 0), 1.0), Rates::default());
    }

    #[test]
    fn a_service_is_the_sum_of_its_methods_with_the_error_that_came_last() {
        let line = |method: &str, code: Option<&str>, ago: Option<u64>| MethodLine {
            service: "s.S".into(),
            method: method.into(),
            done: Done {
                last_error: code.map(str::to_owned),
                last_error_ms_ago: ago,
                ..done(10, 1, 0, 0)
            },
        };
        let methods = vec![
            line("A", Some("NOT_FOUND"), Some(900)),
            line("B", Some("INTERNAL"), Some(20)),
            line("C", None, None),
        ];
        let sample = Sample::new(Vec::new(), Vec::new(), methods, Numbers::new());
        let whole = sample.done(&Of::Service("s.S".into())).unwrap();
        assert_eq!((whole.requests, whole.errors), (30, 3));
        assert_eq!(whole.last_error.as_deref(), Some("INTERNAL"));
    }
}
