//! Writes lines to a file, pipe or terminal on a separate thread. A caller never waits, and no error ends the program:
//! lines that cannot be written are dropped and counted.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use mdp_runtime::ends;

/// The limits of lines that wait for the thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) lines: usize,
    pub(super) bytes: usize,
}

impl Bounds {
    /// Enough for a busy second, and no more memory than one large message.
    pub(super) const DEFAULT: Bounds = Bounds { lines: 4_096, bytes: 1 << 20 };
}

/// The pause after a write to a non-blocking pipe that is full. Another process may have made the pipe non-blocking.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// The lines of one output. All clones share it. The thread ends with the process.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    bounds: Bounds,
    state: Mutex<State>,
    came: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Entry>,
    /// The bytes of the waiting lines and of the line that is being written.
    bytes: usize,
    /// A line is being written.
    busy: bool,
    dropped: u64,
}

enum Entry {
    Line(Vec<u8>),
    /// This many lines were dropped here, because there was no room.
    Gap(u64),
}

impl Lines {
    /// Starts the thread. `report` makes the line with the number of missing lines. That line is written in their
    /// place, or as soon as the output works again.
    pub(super) fn start(
        name: &'static str,
        bounds: Bounds,
        out: impl Write + Send + 'static,
        report: impl Fn(u64) -> Vec<u8> + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            bounds,
            state: Mutex::default(),
            came: Condvar::new(),
            written: Condvar::new(),
        });
        let lines = Lines(Arc::clone(&shared));
        let mut writer = Writer { out, report, cut: false, missing: 0 };
        let run = move || loop {
            let entry = shared.next();
            // After a panic only the line is lost, as after an error. The next line may succeed.
            let lost = ends::catch(|| writer.write(&entry)).unwrap_or_else(|_| writer.give_up());
            shared.is_over(&entry, lost);
        };
        ends::thread(name, run, |end: Result<(), _>| drop(end))?;
        Ok(lines)
    }

    /// Adds a line, or several lines that belong together, with their newlines.
    pub(super) fn say(&self, line: &[u8]) {
        let mut state = self.0.lock();
        let Bounds { lines, bytes } = self.0.bounds;
        if state.waiting.len() >= lines || state.bytes.saturating_add(line.len()) > bytes {
            state.dropped += 1;
            match state.waiting.back_mut() {
                Some(Entry::Gap(missing)) => *missing += 1,
                _ => state.waiting.push_back(Entry::Gap(1)),
            }
        } else {
            state.bytes += line.len();
            state.waiting.push_back(Entry::Line(line.to_vec()));
        }
        drop(state);
        self.0.came.notify_one();
    }

    /// Waits until all lines are written or have failed, for at most this time. `false`: the time was too short.
    pub(super) fn flush(&self, within: Duration) -> bool {
        let waits = |state: &mut State| state.busy || !state.waiting.is_empty();
        let state = self.0.lock();
        let waited = self.0.written.wait_timeout_while(state, within, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Returns the number of lines dropped since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }
}

/// As a writer, this accepts one line for each write, and never fails.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.say(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next entry to write.
    fn next(&self) -> Entry {
        let mut state = self.lock();
        loop {
            if let Some(entry) = state.waiting.pop_front() {
                state.busy = true;
                return entry;
            }
            state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn is_over(&self, entry: &Entry, lost: bool) {
        let mut state = self.lock();
        state.busy = false;
        if let Entry::Line(line) = entry {
            state.bytes -= line.len();
            state.dropped += u64::from(lost);
        }
        drop(state);
        self.written.notify_all();
    }
}

/// The thread's data.
struct Writer<W, R> {
    out: W,
    report: R,
    /// The last write failed in the middle of a line.
    cut: bool,
    /// Lines that were dropped since the last report.
    missing: u64,
}

impl<W: Write, R: Fn(u64) -> Vec<u8>> Writer<W, R> {
    /// Writes the report about missing lines, if there are any, then the line. `true`: the line is lost.
    fn write(&mut self, entry: &Entry) -> bool {
        if let Entry::Gap(missing) = entry {
            self.missing += missing;
        }
        if self.missing > 0 {
            let report = (self.report)(self.missing);
            if self.put(&report) {
                self.missing = 0;
            }
        }
        let Entry::Line(line) = entry else { return false };
        let lost = self.missing > 0 || !self.put(line);
        self.missing += u64::from(lost);
        lost
    }

    /// Handles a panic while an entry was written. `true`: its line is lost.
    fn give_up(&mut self) -> bool {
        self.cut = true;
        self.missing += 1;
        true
    }

    /// Whether the whole line was written.
    fn put(&mut self, line: &[u8]) -> bool {
        if self.cut {
            if !self.put_bytes(b"\n") {
                return false;
            }
            self.cut = false;
        }
        self.put_bytes(line)
    }

    fn put_bytes(&mut self, mut bytes: &[u8]) -> bool {
        let whole = bytes.len();
        while !bytes.is_empty() {
            match self.out.write(bytes) {
                Ok(written) if written > 0 => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(TRY_AGAIN),
                Ok(_) | Err(_) => {
                    self.cut |= bytes.len() < whole;
                    return false;
                }
            }
        }
        true
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
