//! A broker's counters in the text format of Prometheus, version 0.0.4.
//!
//! Names begin with `mdp_`, times are in seconds, counters count from the broker's start. The number of series is bounded:
//! a service has gauges while it has a worker ([`Limits::services`](mdp_protocol::Limits::services)); a service has counters from its first
//! worker on and a method from its first answer on, at most [`Limits::methods`](mdp_protocol::Limits::methods) of each. Nothing that a
//! client says makes a series. Of workers the first 1,000 in order of service and id have series, `mdp_workers_left_out` says how
//! many have none.
//!
//! ```
//! use mdp_protocol::broker::Report;
//! let text = mdp_runtime::metrics::prometheus(&Report::default());
//! assert!(text.contains("# TYPE mdp_calls_running gauge\nmdp_calls_running 0\n"));
//! ```

use std::fmt::Write;

use mdp_protocol::broker::{CallStats, Name, Report, ServiceLine, Stats};

/// The content type of this format in HTTP.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Maximum number of workers with their own series.
const MAX_WORKERS: usize = 1_000;

/// Returns the report as text.
pub fn prometheus(report: &Report) -> String {
    let mut text = Text::default();
    of_broker(&mut text, report);
    of_services(&mut text, report);
    of_methods(&mut text, report);
    of_workers(&mut text, report);
    text.0
}

fn of_broker(text: &mut Text, report: &Report) {
    let stats = &report.stats;
    for (name, help, value) in gauges(stats) {
        text.head(name, "gauge", help);
        text.line(name, &[], value);
    }
    text.head("mdp_draining", "gauge", "1 if the broker is shutting down and takes no new calls.");
    text.line("mdp_draining", &[], u8::from(report.draining));
    for (name, help, value) in counters(stats) {
        text.head(name, "counter", help);
        text.line(name, &[], value);
    }
    let name = "mdp_calls_ended_by_broker_total";
    text.head(name, "counter", "Calls that the broker itself ended, by reason.");
    for (reason, count) in stats.reasons.iter() {
        text.line(name, &[("reason", reason.name())], count);
    }
}

fn gauges(stats: &Stats) -> [(&'static str, &'static str, usize); 7] {
    [
        ("mdp_sessions", "Clients and workers that are connected.", stats.sessions),
        (
            "mdp_services",
            "Services with a worker, or with calls that wait for one.",
            stats.services,
        ),
        ("mdp_calls_queued", "Calls that wait for a worker.", stats.queued),
        ("mdp_calls_running", "Calls that workers hold.", stats.running),
        (
            "mdp_held_bytes",
            "Bytes of calls that the broker holds, waiting or kept for another attempt.",
            stats.held_bytes,
        ),
        (
            "mdp_unread_bytes",
            "Bytes that peers have not read yet, of the peers with 16 KiB or more.",
            stats.unread_bytes,
        ),
        (
            "mdp_paused_clients",
            "Classic clients that are not read, since a request of theirs waits for room.",
            stats.paused,
        ),
    ]
}

fn counters(stats: &Stats) -> [(&'static str, &'static str, u64); 17] {
    [
        ("mdp_calls_total", "Calls accepted.", stats.requests),
        (
            "mdp_dispatched_total",
            "Calls given to a worker, each attempt counted.",
            stats.dispatched,
        ),
        (
            "mdp_redispatched_total",
            "Calls given to another worker after the first was lost.",
            stats.redispatched,
        ),
        ("mdp_replies_total", "Workers' answers passed on to clients.", stats.replies),
        ("mdp_expired_total", "Calls ended by their deadline.", stats.expired),
        ("mdp_cancelled_total", "Calls that their clients gave up.", stats.cancelled),
        (
            "mdp_refused_total",
            "Calls that the broker refused or ended for other reasons.",
            stats.refused,
        ),
        (
            "mdp_unread_refused_total",
            "Calls refused because their client does not read; also among those refused.",
            stats.unread_refused,
        ),
        (
            "mdp_unread_ended_total",
            "Sessions ended because their peer did not read.",
            stats.unread_ended,
        ),
        ("mdp_discarded_total", "Calls that hooks discarded.", stats.discarded),
        ("mdp_late_total", "Workers' answers to calls that had ended.", stats.late),
        ("mdp_denied_total", "Calls, offers and questions against the policy.", stats.denied),
        ("mdp_unwanted_total", "Workers' answers that their clients cannot take.", stats.unwanted),
        (
            "mdp_unanswered_total",
            "Raw calls of classic clients that ended without an answer.",
            stats.unanswered,
        ),
        ("mdp_invalid_total", "Messages, records and metadata that are invalid.", stats.invalid),
        ("mdp_turned_away_total", "Answers to peers that have no session.", stats.turned_away),
        (
            "mdp_worker_stalls_total",
            "Workers that left until their handlers can run again.",
            stats.stalled,
        ),
    ]
}

fn of_services(text: &mut Text, report: &Report) {
    type Of = fn(&ServiceLine) -> u64;
    let gauges: [(&str, &str, Of); 4] = [
        ("mdp_service_workers", "Workers of a service.", |line| line.workers as u64),
        ("mdp_service_capacity", "Calls that a service's workers take at once.", |line| {
            line.capacity
        }),
        ("mdp_service_calls_running", "Calls that a service's workers hold.", |line| line.running),
        ("mdp_service_calls_queued", "Calls that wait for a worker.", |line| line.queued as u64),
    ];
    let waiting = report.services.iter().filter(|line| line.workers == 0);
    let (names, calls) =
        waiting.fold((0, 0), |(names, calls), line| (names + 1, calls + line.queued));
    text.head("mdp_unserved_services", "gauge", "Services without a worker for which calls wait.");
    text.line("mdp_unserved_services", &[], names);
    text.head(
        "mdp_unserved_calls_queued",
        "gauge",
        "Calls that wait for a service without a worker.",
    );
    text.line("mdp_unserved_calls_queued", &[], calls);
    for (name, help, value) in gauges {
        text.head(name, "gauge", help);
        for line in report.services.iter().filter(|line| line.workers > 0) {
            text.line(name, &[("service", &shown(&line.service))], value(line));
        }
    }
}

/// A counter of calls: the name, the help text, and the value.
type Count = (&'static str, &'static str, fn(&CallStats) -> f64);

const METHOD: [Count; 5] = [
    ("mdp_method_calls_total", "Calls accepted.", |call_stats| call_stats.requests as f64),
    ("mdp_method_errors_total", "Calls that ended with a code other than OK.", |call_stats| {
        call_stats.errors as f64
    }),
    (
        "mdp_method_redispatched_total",
        "Calls given to another worker after a loss.",
        |call_stats| call_stats.redispatched as f64,
    ),
    (
        "mdp_method_queued_seconds_total",
        "How long calls waited for a worker, in sum.",
        |call_stats| call_stats.queued.as_ms() as f64 / 1e3,
    ),
    ("mdp_method_running_seconds_total", "How long workers held calls, in sum.", |call_stats| {
        call_stats.running.as_ms() as f64 / 1e3
    }),
];

fn of_methods(text: &mut Text, report: &Report) {
    for (name, help, value) in METHOD {
        text.head(name, "counter", help);
        for line in &report.methods {
            let (service, method) = (shown(&line.service), shown(&line.method));
            text.line(name, &[("service", &service), ("method", &method)], value(&line.call_stats));
        }
    }
}

const WORKER: [Count; 3] = [
    ("mdp_worker_calls_total", "Calls given to a worker.", |call_stats| call_stats.requests as f64),
    (
        "mdp_worker_errors_total",
        "Calls that a worker ended with a code other than OK.",
        |call_stats| call_stats.errors as f64,
    ),
    ("mdp_worker_running_seconds_total", "How long a worker held calls, in sum.", |call_stats| {
        call_stats.running.as_ms() as f64 / 1e3
    }),
];

fn of_workers(text: &mut Text, report: &Report) {
    let name = "mdp_workers_left_out";
    text.head(
        name,
        "gauge",
        "Workers without series of their own, because there are too many workers.",
    );
    text.line(name, &[], report.workers.len().saturating_sub(MAX_WORKERS));
    let shown_workers = || {
        let workers = report.workers.iter().take(MAX_WORKERS);
        workers.map(|line| (shown(&line.service), shown(&line.id), line))
    };
    let name = "mdp_worker_calls_running";
    text.head(name, "gauge", "Calls that a worker holds.");
    for (service, worker, line) in shown_workers() {
        text.line(name, &[("service", &service), ("worker", &worker)], line.running);
    }
    for (name, help, value) in WORKER {
        text.head(name, "counter", help);
        for (service, worker, line) in shown_workers() {
            text.line(name, &[("service", &service), ("worker", &worker)], value(&line.call_stats));
        }
    }
}

/// Names are printable ASCII, so the conversion loses nothing.
fn shown(name: &Name) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (number, (label, text)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{}\"", escaped(text));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{after} {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_label() {
        let mut text = Text::default();
        text.line("x", &[("service", "a\"} 1\\"), ("method", "")], 7);
        assert_eq!(text.0, "x{service=\"a\\\"} 1\\\\\",method=\"\"} 7\n");
    }

    #[test]
    fn each_series_has_its_type_before_it_and_stands_once() {
        let text = prometheus(&Report::default());
        let mut known = std::collections::BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                assert!(known.insert(rest.split(' ').next().unwrap_or_default()), "{line}");
            } else if !line.starts_with('#') {
                let name = line.split([' ', '{']).next().unwrap_or_default();
                assert!(known.contains(name), "{line}");
            }
        }
        assert!(known.len() >= 30, "{}", known.len());
    }
}
