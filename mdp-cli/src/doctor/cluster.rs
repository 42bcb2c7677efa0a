//! Checks the broker and its services, from the broker's own reports.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Finding;
use crate::management::{AskError, BrokerLine, Management, ServiceLine, WorkerLine};

/// With a larger difference between clocks, the logs of several machines are hard to read, and tokens expire too early.
const CLOCKS_APART: Duration = Duration::from_secs(1);
/// The share of a limit from which a warning is shown.
const NEARLY_FULL: f64 = 0.8;

pub(super) async fn look(broker: &Management) -> Vec<Finding> {
    let start = Instant::now();
    let mut findings = match broker.broker().await {
        Ok(line) => of_broker(broker, &line, start.elapsed()).await,
        Err(error) => vec![refused("broker", error)],
    };
    match (broker.services().await, broker.workers("").await) {
        (Ok(services), Ok(workers)) => findings.extend(of_services(&services, &workers)),
        (Err(error), _) | (_, Err(error)) => findings.push(refused("services", error)),
    }
    findings
}

fn refused(check: &'static str, error: AskError) -> Finding {
    let mend = match error {
        AskError::Denied(_) => "give this key `manage = true` in the broker's policy",
        AskError::NotThere(_) => "bring the broker to this program's version",
        _ => "try again; check the broker's log if this continues",
    };
    Finding::failed(check, format!("{:#}", anyhow::anyhow!(error)), mend)
}

async fn of_broker(broker: &Management, line: &BrokerLine, way: Duration) -> Vec<Finding> {
    let mut findings = vec![version(&line.version), clock(line.time_ms, way)];
    findings.push(match line.draining {
        false => Finding::ok("draining", "the broker takes calls"),
        true => {
            let mend = "nothing, if it should end; otherwise start it again";
            Finding::warning("draining", "the broker is shutting down and takes no new calls", mend)
        }
    });
    match broker.counters().await {
        Ok(counters) => findings.push(limits(line, &counters)),
        Err(error) => findings.push(refused("limits", error)),
    }
    findings
}

fn version(broker: &str) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    match broker == own {
        true => Finding::ok("version", format!("the broker is mdp {broker}, as this program")),
        false => {
            let found = format!("the broker is mdp {broker}, this program {own}");
            Finding::warning("version", found, "bring both to the same version")
        }
    }
}

/// Compares the clocks. The broker read its clock at some moment between question and answer.
fn clock(broker_ms: u64, way: Duration) -> Finding {
    let own = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let apart = own.abs_diff(Duration::from_millis(broker_ms)).saturating_sub(way);
    match apart <= CLOCKS_APART {
        true => Finding::ok("clocks", format!("at most {:.0?} apart", apart.max(way))),
        false => {
            let found = format!("the broker's clock and this one are {apart:.1?} apart");
            Finding::warning("clocks", found, "let both machines keep their time by NTP")
        }
    }
}

fn limits(line: &BrokerLine, counters: &crate::management::Numbers) -> Finding {
    let used = [
        ("sessions", "sessions"),
        ("held_bytes", "held_bytes"),
        ("unread_bytes", "unread_bytes"),
        ("services", "services"),
    ];
    let near = used.iter().filter_map(|(limit, counter)| {
        let (max, now) = (*line.limits.get(*limit)?, *counters.get(*counter)?);
        let near = max > 0 && now as f64 >= max as f64 * NEARLY_FULL;
        near.then(|| format!("{limit}: {now} of {max}"))
    });
    let near: Vec<String> = near.collect();
    match near.is_empty() {
        true => Finding::ok("limits", "no limit is nearly reached"),
        false => {
            let mend = "raise the limit under [limits] in the broker's configuration, or find the peers that use so much";
            Finding::warning("limits", near.join(", "), mend)
        }
    }
}

fn of_services(services: &[ServiceLine], workers: &[WorkerLine]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for line in services {
        let name = &line.service;
        let taking = line.workers.saturating_sub(line.draining);
        if taking == 0 {
            let found = format!("{name} has no worker that takes calls, and {} wait", line.queued);
            findings.push(Finding::warning(
                "workers",
                found,
                "start a worker, or correct the service's name",
            ));
        } else if line.queued > 0 && line.running >= line.capacity {
            let found = format!(
                "{name}: all {} slots are taken, and {} calls wait",
                line.capacity, line.queued
            );
            findings.push(Finding::warning(
                "capacity",
                found,
                "start more workers, or give them more capacity",
            ));
        }
        if line.schemas.len() > 1 {
            findings.push(differing(line, workers));
        }
    }
    let draining = workers.iter().filter(|worker| worker.draining);
    for worker in draining {
        let found = format!(
            "{} of {} drains and holds {} calls",
            worker.id, worker.service, worker.running
        );
        let mend = "nothing, if it should end; a worker that stays in this state holds calls with late deadlines";
        findings.push(Finding::warning("draining", found, mend));
    }
    if findings.is_empty() {
        let found =
            format!("{} services, {} workers, all take calls", services.len(), workers.len());
        findings.push(Finding::ok("services", found));
    }
    findings
}

fn differing(line: &ServiceLine, workers: &[WorkerLine]) -> Finding {
    let groups = line.schemas.iter().map(|schema| {
        let own = workers.iter().filter(|worker| {
            worker.service == line.service && worker.schema.as_ref() == Some(schema)
        });
        let ids: Vec<&str> = own.map(|worker| worker.id.as_str()).collect();
        format!("{} has {}", ids.join(" and "), schema.get(..8).unwrap_or(schema))
    });
    let groups: Vec<String> = groups.collect();
    let found = format!(
        "the workers of {} were built from different schemas: {}",
        line.service,
        groups.join("; ")
    );
    let mend =
        "`mdp schema check` shows whether they are compatible; bring all workers to one version";
    Finding::warning("schemas", found, mend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;
    use crate::management::Numbers;

    fn ms_ago(ms: u64) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or_default() - ms
    }

    #[test]
    fn clocks_may_be_a_second_apart_and_as_long_as_the_way_takes() {
        assert_eq!(clock(ms_ago(0), Duration::ZERO).state, State::Ok);
        assert_eq!(clock(ms_ago(5_000), Duration::from_secs(5)).state, State::Ok);
        let early = clock(ms_ago(5_000), Duration::from_millis(10));
        assert!(early.state == State::Warning && early.found.contains("5.0s apart"), "{early:?}");
        let late = clock(ms_ago(0) + 60_000, Duration::from_millis(10));
        assert!(late.state == State::Warning && late.mend.is_some(), "{late:?}");
    }

    #[test]
    fn another_version_is_told() {
        assert_eq!(version(env!("CARGO_PKG_VERSION")).state, State::Ok);
        let other = version("0.0.1");
        assert!(other.state == State::Warning && other.found.contains("mdp 0.0.1"), "{other:?}");
    }

    #[test]
    fn limits_that_are_nearly_reached_are_named() {
        let numbers = |list: &[(&str, u64)]| -> Numbers {
            list.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
        };
        let limits_are = |max: &[(&str, u64)], now: &[(&str, u64)]| {
            let (version, limits) = (String::new(), numbers(max));
            let line = BrokerLine { version, time_ms: 0, draining: false, limits };
            super::limits(&line, &numbers(now))
        };
        let max = [("sessions", 10), ("held_bytes", 1_000), ("services", 0)];
        let well = limits_are(&max, &[("sessions", 7), ("held_bytes", 799), ("services", 5)]);
        assert_eq!(well.state, State::Ok);
        let near = limits_are(&max, &[("sessions", 8), ("held_bytes", 1_000)]);
        assert_eq!(near.state, State::Warning);
        assert_eq!(near.found, "sessions: 8 of 10, held_bytes: 1000 of 1000");
        // A broker that reports neither of them is not at fault.
        assert_eq!(limits_are(&[], &[]).state, State::Ok);
    }
}
