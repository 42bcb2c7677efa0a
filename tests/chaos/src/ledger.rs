//! What workers and clients write down: a line for each event, with one write to a file that is appended to, before
//! what it is about goes on. So a process that is killed has lost no line.
//!
//! ```text
//! S ID TIME DEADLINE_MS                        a client sends a call
//! E ID TIME CODE REASON NOT_STARTED ATTEMPTS   its outcome
//! B ID TIME WORKER WALL                        a handler begins
//! P CLIENT PHASE BEGUN ENDED                   a client has made all calls of a phase of its load
//! ```
//!
//! Times are microseconds of the system's monotonic clock, which all processes share; WALL is the seconds of the wall clock.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

pub(crate) struct Ledger {
    file: File,
}

impl Ledger {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Ledger { file: OpenOptions::new().append(true).create(true).open(path)? })
    }

    /// A line, in one write.
    pub(crate) fn write(&self, line: fmt::Arguments<'_>) -> io::Result<()> {
        (&self.file).write_all(format!("{line}\n").as_bytes())
    }
}

/// Microseconds of the clock that all processes share.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap() * 1_000_000 + u64::try_from(time.tv_nsec).unwrap() / 1_000
}

/// Seconds of the wall clock.
pub(crate) fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Which method a call is of. It follows from its id, so the ledger need not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Again,
    Once,
    Look,
}

impl Method {
    pub(crate) fn of(id: u64) -> Self {
        match counter(id) % 3 {
            0 => Method::Again,
            1 => Method::Once,
            _ => Method::Look,
        }
    }

    /// Whether it may be run again.
    pub(crate) fn is_idempotent(self) -> bool {
        self != Method::Once
    }
}

/// The id of a call: 16 bits for the client's process, 8 for the phase of its load, 40 to count.
pub(crate) fn id(client: u16, phase: u8, counter: u64) -> u64 {
    u64::from(client) << 48 | u64::from(phase) << 40 | counter & ((1 << 40) - 1)
}

pub(crate) fn counter(id: u64) -> u64 {
    id & ((1 << 40) - 1)
}

/// Whether the handler of a call panics, where one in ten is to.
pub(crate) fn panics_at(id: u64) -> bool {
    counter(id) % 10 == 3
}

/// Whether a call is slow, where one in ten is to: exactly one of each ten, in a random place of these. A fixed place would
/// give all slow calls to half of the connections.
pub(crate) fn is_slow(id: u64) -> bool {
    let (tens, place) = (counter(id) / 10, counter(id) % 10);
    mixed((id & !((1 << 40) - 1)) | tens) % 10 == place
}

pub(crate) fn client(id: u64) -> u16 {
    (id >> 48) as u16
}

pub(crate) fn phase(id: u64) -> u8 {
    (id >> 40) as u8
}

/// A number that looks like chance and follows from another one (splitmix64).
pub(crate) fn mixed(of: u64) -> u64 {
    let mut z = of.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Bytes that belong to a call, and to no other one: of its request, and with another salt of its reply.
pub(crate) fn padding(id: u64, salt: u64, len: usize) -> Vec<u8> {
    let word = mixed(id ^ salt << 56).to_le_bytes();
    let mut bytes = word.repeat(len.div_ceil(word.len()));
    bytes.truncate(len);
    bytes
}
