//! What the machine does to processes: its clock jumps, files run out, signals come.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{concluded, pause};
use crate::cluster::{BrokerLaunch, Cluster, Launch, Load, workers};
use crate::ledger::{now, wall};
use crate::program::Setup;
use crate::report::Report;
use crate::zmtp::shake_hands;

/// F13.
pub(super) fn clock_jumps(setup: &Setup) -> Vec<Report> {
    let Some(library) = faketime() else {
        return vec![Report::skipped(
            "there is no libfaketime; Debian's package `faketime` has it, and .ci/run installs it",
        )];
    };
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    // Whole at once: the library reads it at any time.
    let set = |offset: &str| {
        let new = folder.path().join("new");
        std::fs::write(&new, offset).unwrap();
        std::fs::rename(&new, &clock).unwrap();
    };
    set("+0");
    let env = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        // The jump is the wall clock's; the monotonic one has none.
        ("DONT_FAKE_MONOTONIC", "1"),
    ];
    let env = env.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let launch = Launch { env, ..Launch::default() };
    let count = workers(setup);
    let how = BrokerLaunch { launch: launch.clone(), ..BrokerLaunch::default() };
    let mut cluster = Cluster::broker(setup, how);
    for _ in 0..count {
        cluster.add_worker(&launch, 64);
    }
    cluster.wait_workers();
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", cluster.broker.id()));
    let loaded = maps.is_ok_and(|maps| maps.contains("libfaketime"));
    let load = Load::standard(setup, setup.pick(60.0, 7.0));
    cluster.load(&load, &Launch::default());
    let every = Duration::from_secs_f64(setup.pick(5.0, 1.5));
    let mut jumps = 0;
    for offset in ["+1d", "-1d", "+0"].into_iter().cycle() {
        pause(every);
        if !cluster.goes_on(0.5) {
            break;
        }
        set(offset);
        jumps += 1;
    }
    let book = cluster.finish();
    let expired = cluster.metric("mdp_expired_total ").unwrap_or(-1.0);
    let mut report = concluded(&mut cluster, load.words(count), &book);
    // The workers say what their wall clock was.
    let truth = wall() as i64 - (now() / 1_000_000) as i64;
    let apart =
        |begun: &crate::check::Begun| begun.wall as i64 - (truth + (begun.at / 1_000_000) as i64);
    let starts = || book.calls.values().flat_map(|call| &call.starts);
    let ahead = starts().filter(|begun| apart(begun) > 80_000).count();
    let behind = starts().filter(|begun| apart(begun) < -80_000).count();
    report.promise(
        "the clocks jumped",
        loaded && ahead > 0 && behind > 0,
        format!("{jumps} jumps; {ahead} handlers started a day ahead, {behind} a day behind"),
    );
    report.promises.push(book.tally().no_failure());
    report.promise("no call expires", expired == 0.0, format!("{expired} expired"));
    vec![report]
}

fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    let libraries =
        folders.filter_map(|folder| Some(folder.ok()?.path().join("faketime/libfaketimeMT.so.1")));
    libraries.into_iter().find(|library| library.exists())
}

/// F15.
pub(super) fn files_run_out(setup: &Setup) -> Vec<Report> {
    let count = workers(setup);
    let limited = ["sh", "-c", "ulimit -n 256; exec \"$0\" \"$@\""].map(String::from).to_vec();
    let launch = Launch { before: limited, ..Launch::default() };
    let mut cluster = Cluster::broker(setup, BrokerLaunch { launch, ..BrokerLaunch::default() });
    for _ in 0..count {
        cluster.add_worker(&Launch::default(), 64);
    }
    cluster.wait_workers();
    let load = Load::standard(setup, setup.pick(40.0, 8.0));
    cluster.load(&load, &Launch::default());
    pause(Duration::from_secs(1));
    let address = cluster.endpoints[0].trim_start_matches("tcp://").parse().unwrap();
    let begun = Instant::now();
    let rounds = setup.pick(8, 1);
    let (mut held, mut max_files) = (0, 0);
    for _ in 0..rounds {
        let (connections, files) = flood(address, cluster.broker.id());
        held += connections;
        max_files = max_files.max(files);
    }
    let flood = begun.elapsed();
    let over = now();
    let new = Load { processes: 1, clients: 1, phases: vec![(20.0, 2.0)], ..load.clone() };
    cluster.load(&new, &Launch::default());
    let newcomer = load.processes as u16;
    let book = cluster.finish();
    let mut report = concluded(&mut cluster, load.words(count), &book);
    report.figure(format!(
        "{held} of {} silent connections came about in {flood:.1?}; the broker had at most {max_files} files open",
        400 * rounds
    ));
    // Connections whose handshake is not over may have half of the files.
    let premise = "the flood took half of the files at least";
    report.promise(premise, max_files >= 128, format!("{max_files} of 256"));
    report.promises.push(book.tally().no_failure());
    let first = book.of_client(newcomer).filter(|(_, call)| call.is_ok());
    let first = first.filter_map(|(_, call)| call.ended_at()).min();
    let after = first.map(|at| at.saturating_sub(over) as f64 / 1e6);
    report.promise(
        "a new client is served within 3 s after the flood",
        after.is_some_and(|after| after <= 3.0),
        after.map_or("it was not".into(), |after| format!("after {after:.2} s")),
    );
    vec![report]
}

/// 400 connections that say nothing after their handshake, for a second from when they are there. How many came about, and how many files the broker
/// had open at most.
fn flood(address: SocketAddr, broker: u32) -> (usize, usize) {
    const THREADS: usize = 8;
    // Behind the broker's files there is the kernel's queue, and behind that nobody answers.
    let patience = Duration::from_millis(500);
    let connect = || -> Vec<TcpStream> {
        (0..400 / THREADS)
            .filter_map(|_| {
                let mut stream = TcpStream::connect_timeout(&address, patience).ok()?;
                // A native broker limits how many may be silent before that.
                shake_hands(&mut stream).ok()?;
                Some(stream)
            })
            .collect()
    };
    let mut max = 0;
    let mut look = || {
        let files = std::fs::read_dir(format!("/proc/{broker}/fd"));
        max = max.max(files.map_or(0, Iterator::count));
        pause(Duration::from_millis(10));
    };
    let silent: Vec<TcpStream> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(connect)).collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            look();
        }
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let there = Instant::now();
    while there.elapsed() < Duration::from_secs(1) {
        look();
    }
    (silent.len(), max)
}

/// F18.
pub(super) fn signals(setup: &Setup) -> Vec<Report> {
    let count = workers(setup);
    let mut cluster = Cluster::start(setup, count);
    let load = Load::standard(setup, setup.pick(60.0, 6.0));
    cluster.load(&load, &Launch::default());
    let all = cluster.workers.iter().map(|worker| &worker.process).chain(&cluster.clients);
    let ids = all.chain([&cluster.broker]).map(crate::process::Process::id);
    let ids: Vec<Pid> = ids.filter_map(|id| Pid::from_raw(id.cast_signed())).collect();
    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = Instant::now();
    let left = cluster.left();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let due = begun + Duration::from_millis(rounds.fetch_add(1, Ordering::Relaxed));
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                for id in &ids {
                    // One that has ended is found below.
                    let _ = kill_process(*id, Signal::USR1);
                }
            }
        });
        pause(left);
        stop.store(true, Ordering::Relaxed);
    });
    let rate = rounds.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    let book = cluster.finish();
    let mut report = concluded(&mut cluster, load.words(count), &book);
    report.figure(format!("{rate:.0} signals a second to each of {} processes", ids.len()));
    report.promise("1,000 signals a second to each process", rate > 900.0, format!("{rate:.0}"));
    report.promises.push(book.tally().no_failure());
    vec![report]
}
