//! The machine, the day and the versions, without which no figure says anything.

use std::fs;
use std::process::Command;

use crate::peers::nats;

/// What an output begins with.
pub(crate) fn describe() -> Vec<String> {
    let (major, minor, patch) = zmq::version();
    let nats = nats::version().unwrap_or_else(|| "not found".into());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    vec![
        format!("date: {}", today()),
        format!("machine: {cores} cores, {}, {:.1} GiB", processor(), memory_gib()),
        format!("kernel: {}", line_of("/proc/sys/kernel/osrelease")),
        format!("build: {}", env!("BUILD")),
        format!("load before (1, 5, 15 minutes): {}", load()),
        format!(
            "versions: mdp {}, libzmq {major}.{minor}.{patch}, nats-server {nats}, async-nats {}, \
             tonic {}, tarpc {}",
            env!("CARGO_PKG_VERSION"),
            env!("VERSION_OF_ASYNC_NATS"),
            env!("VERSION_OF_TONIC"),
            env!("VERSION_OF_TARPC"),
        ),
    ]
}

/// Lets this process and its children open as many files as they may: thousands of connections need them.
pub(crate) fn allow_many_files() {
    // Without it the crowds tell what they lack.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

fn today() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]).output();
    let text = output.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    text.map_or_else(|| "unknown".into(), |text| text.trim().into())
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let model = line.and_then(|line| line.split_once(':')).map(|(_, model)| model.trim());
    model.unwrap_or("unknown processor").into()
}

fn memory_gib() -> f64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib =
        line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.parse().ok());
    kib.unwrap_or(f64::NAN) / 1_048_576.0
}

fn load() -> String {
    let line = line_of("/proc/loadavg");
    line.splitn(4, ' ').take(3).collect::<Vec<_>>().join(", ")
}

fn line_of(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "unknown".into(), |text| text.trim().into())
}
