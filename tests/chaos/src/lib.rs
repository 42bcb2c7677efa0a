//! Faults under load, with real processes: a broker (`mdp broker`), workers and clients that write down what they do, an
//! open loop of calls, and a checker that counts from what was written which promises were kept.
//!
//! - `faults`: the table of faults, and what is done in each.
//! - `cluster`: the processes of a run. `netns`: two network namespaces with a link between them.
//! - `parts`: the workers and clients, which are this package's program again.
//! - `ledger`: what they write, a line for each event. `check`: what is counted from it.
//! - `report`: what was promised and what was found, as text and as Markdown.
//!
//! How to run it, and what it has found: docs/reliability.md.

// A harness names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod check;
mod cluster;
mod command_line;
mod faults;
mod ledger;
mod netns;
mod parts;
#[path = "../../support/process.rs"]
mod process;
mod program;
mod report;
#[path = "../../support/zmtp.rs"]
mod zmtp;

pub use command_line::main;

use std::io::Write;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

/// Faults that run at once in CI: each has a cluster of its own, and the machine two cores.
const AT_ONCE: usize = 2;

/// Runs a fault in the short form, and panics if a promise was not kept. `part` is this package's
/// program.
pub fn ci(id: &str, part: &Path) {
    let _turn = Turn::wait();
    let setup = program::Setup::new(part.to_owned(), false);
    let fault = faults::find(id).unwrap_or_else(|| panic!("there is no fault {id}"));
    let reports = faults::run(fault, &setup);
    for report in &reports {
        // Past the test harness, which shows nothing of a test that passes.
        std::io::stderr().write_all(report.text().as_bytes()).unwrap();
    }
    let skipped: Vec<&String> =
        reports.iter().filter_map(|report| report.skipped.as_ref()).collect();
    let all = std::env::var("MDP_CHAOS").is_ok_and(|which| which == "all");
    assert!(!all || skipped.is_empty(), "{id} was skipped, and MDP_CHAOS=all: {skipped:?}");
    let broken: Vec<String> = reports.iter().flat_map(|report| report.broken()).collect();
    assert!(broken.is_empty(), "{id}: {broken:#?}");
}

/// One of the turns that there are.
struct Turn;

static TURNS: (Mutex<usize>, Condvar) = (Mutex::new(AT_ONCE), Condvar::new());

impl Turn {
    fn wait() -> Self {
        let free = TURNS.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = TURNS.1.wait_while(free, |free| *free == 0).unwrap();
        *free -= 1;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TURNS.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        TURNS.1.notify_one();
    }
}
