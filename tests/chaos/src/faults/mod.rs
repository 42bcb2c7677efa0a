//! The faults, as a table.

use std::time::Duration;

use crate::check::Book;
use crate::cluster::Cluster;
use crate::program::Setup;
use crate::report::Report;

mod broker;
mod clients;
mod network;
pub(crate) mod overload;
mod system;
mod workers;

/// A fault: what is done, and what must hold all the same, beside what always must (`Book::contract`).
pub(crate) struct Fault {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) done: &'static str,
    pub(crate) promise: &'static str,
    run: fn(&Setup) -> Vec<Report>,
}

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        id: "F1",
        title: "workers are killed",
        done: "One worker of those under load is killed (SIGKILL) every 200 ms (in CI every 500 ms), and another one started in its place.",
        promise: "All idempotent calls succeed. No other call starts twice.",
        run: workers::killed,
    },
    Fault {
        id: "F2",
        title: "a worker is frozen",
        done: "One worker of those under load is stopped (SIGSTOP) for 10 s, then goes on (SIGCONT), 20 times (in CI for 6 s, once).",
        promise: "3.5 s after it was stopped it is given nothing. Its late replies reach nobody. It registers again and serves.",
        run: workers::frozen,
    },
    Fault {
        id: "F5",
        title: "the broker is killed",
        done: "The broker is killed (SIGKILL) every 10 s and started again after 1 s, for 5 min (in CI twice).",
        promise: "99.9 % of the idempotent calls succeed within their deadline of 10 s.",
        run: broker::killed,
    },
    Fault {
        id: "F6",
        title: "the network is cut",
        done: "Half of the workers and half of the clients are in another network namespace than the broker. The link between them is \
               down for 30 s, 10 times; then what one side sends is lost for 30 s, 10 times, from each side in turn (in CI 5 s, once of each kind).",
        promise: "5 s after a cut all are served again. Clients on the broker's side lose no idempotent call.",
        run: network::partitions,
    },
    Fault {
        id: "F7",
        title: "clients are killed with calls under way",
        done: "500 clients (in CI 50) are killed at once (SIGKILL) while each of them has 100 calls of 1 s under way.",
        promise: "5 s later the broker holds nothing of them.",
        run: clients::killed,
    },
    Fault {
        id: "F8",
        title: "clients do not read",
        done: "20 clients ask for four replies of 512 KiB a second each and read none, beside the load.",
        promise: "Others notice nothing, and what was refused is counted.",
        run: clients::not_reading,
    },
    Fault {
        id: "F13",
        title: "the wall clock jumps",
        done: "The wall clock of the broker and of all workers jumps a day ahead, a day behind and back, again and again (libfaketime).",
        promise: "No call fails or expires.",
        run: system::clock_jumps,
    },
    Fault {
        id: "F14",
        title: "the broker is frozen",
        done: "The broker is stopped (SIGSTOP) for 2 s and goes on, 10 times (in CI once), and then for 20 s (5 s), after which its peers have left it.",
        promise: "After 2 s no call fails. After 20 s all clients are served and all workers serve again within 1 s.",
        run: broker::frozen,
    },
    Fault {
        id: "F15",
        title: "the broker runs out of files",
        done: "The broker may have 256 files open, and 400 connections come that say nothing.",
        promise: "The load that is connected is not harmed, and a new client is served within 3 s after the flood.",
        run: system::files_run_out,
    },
    Fault {
        id: "F18",
        title: "signals come without pause",
        done: "SIGUSR1 comes 1,000 times a second to each process. Workers and clients of this test have a handler for it, as a \
               program must that is to outlive a SIGUSR1: the toolkit installs none, and the default ends the process. `mdp broker` ignores it.",
        promise: "No call fails.",
        run: system::signals,
    },
    Fault {
        id: "F20",
        title: "workers are replaced",
        done: "A new worker is started and an old one told to end (SIGTERM), one after another, until all are replaced, 20 times (in CI twice).",
        promise: "No call fails. Each worker ends within its grace and 2 s.",
        run: workers::rolling,
    },
    Fault {
        id: "F21",
        title: "handlers panic",
        done: "One handler in ten panics.",
        promise: "Its call ends with INTERNAL, no other call fails, and no worker ends.",
        run: workers::panicking,
    },
    Fault {
        id: "F22",
        title: "more is asked for than there is capacity",
        done: "One worker with four slots, or eight workers with one, of 20 ms; with a tail one call in ten takes twenty times as long. \
               The capacity is measured first, by eight calls at a time. Then 1.1 to 10 times as much is offered, with deadlines of 0.5, 2 and 10 s. Then half \
               of the capacity, to see when all is well again. At last two clients, one of which asks for ten times as much as the other.",
        promise: "Goodput stays at 85 % of the capacity (75 % with a tail), at most 5 % of the handlers start in vain, a refusal comes \
                  within 10 ms (p99; in CI 50 ms), and 2 s after the load all is well. A client that asks for little gets it.",
        run: overload::cases,
    },
];

pub(crate) fn find(id: &str) -> Option<&'static Fault> {
    FAULTS.iter().find(|fault| fault.id == id)
}

pub(crate) fn run(fault: &'static Fault, setup: &Setup) -> Vec<Report> {
    let mut reports = (fault.run)(setup);
    reports.iter_mut().for_each(|report| report.id = fault.id);
    reports
}

/// A report with what was counted, and what holds whatever happens.
fn concluded(cluster: &mut Cluster<'_>, load: String, book: &Book) -> Report {
    let mut report = Report { load, ..Report::default() };
    report.figure(book.tally().words());
    let lost = cluster.lost();
    if !lost.is_empty() {
        report.figure(format!("The broker lost sessions, by its log: {lost:?}"));
    }
    report.promises.extend(book.contract(cluster.setup.slack()));
    let ended = cluster.ended();
    report.promise("no process ends that should not", ended == 0, format!("{ended} ended"));
    report
}

/// The cadence of what is done to a cluster; it waits for nothing.
fn pause(time: Duration) {
    std::thread::sleep(time);
}
