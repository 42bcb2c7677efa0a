//! Attacks on a broker: docs/attacks.md. Its numbers are a tenth of those there, unless MDP_ATTACKS is `full`.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod bombs;
mod capacity;
mod cluster;
mod connections;
mod everything;
mod floods;
mod frames;
mod ids;
mod list;
mod load;
mod log;
mod metadata;
mod names;
#[path = "../../../support/process.rs"]
mod process;
#[path = "../../../support/raw.rs"]
mod raw;
mod replies;
mod restart;
mod strangers;
mod unread;
mod workers;
#[path = "../../../support/zmtp.rs"]
mod zmtp;

use std::io::Write;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Whoever measures is alone: the other tests of this process wait.
static TURNS: LazyLock<RwLock<()>> = LazyLock::new(RwLock::default);

async fn alone() -> RwLockWriteGuard<'static, ()> {
    TURNS.write().await
}

/// Beside others that do not measure.
async fn together() -> RwLockReadGuard<'static, ()> {
    TURNS.read().await
}

/// Whether the broker has the native transport, which it takes from the environment, as this process does.
pub(crate) fn is_native() -> bool {
    std::env::var_os("MDP_TRANSPORT").is_none_or(|transport| transport != "libzmq")
}

fn is_full() -> bool {
    std::env::var("MDP_ATTACKS").is_ok_and(|counts| counts == "full")
}

/// How many there are of what an attack of so many has.
fn count(full: u64) -> u64 {
    if is_full() { full } else { full.div_ceil(10) }
}

/// The same where a tenth takes a debug build too long: its broker looks at all its tables again and again. `.ci/nightly`
/// runs an optimised build.
fn rate(full: u64) -> u64 {
    let part = if cfg!(debug_assertions) { 40 } else { 10 };
    if is_full() { full } else { full.div_ceil(part) }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Tells what was measured, also when the test is not one of those that fail.
fn report(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}
