//! The log of a long-running command: to standard error, on a separate thread. Writing the log can never block or end
//! the program.

mod lines;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use tracing::dispatcher::{self, Dispatch};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::Failure;
use lines::{Bounds, Lines};

/// The time limit for the last lines when the program ends, and for the first lines on standard output.
const FLUSH: Duration = Duration::from_secs(1);

/// The lines of standard error, once the log is set up.
static LOG: OnceLock<Lines> = OnceLock::new();

/// Starts the log on standard error, with the filter of `--log`, else of RUST_LOG, else `info`. Panics are logged, too.
pub(crate) fn start(filter: Option<&str>) -> Result<(), Failure> {
    let from_env = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.is_empty());
    let text = filter.or(from_env.as_deref()).unwrap_or("info");
    let filter = EnvFilter::builder()
        .parse(text)
        .with_context(|| format!("`{text}` is not a log filter"))
        .map_err(Failure::wrong)?;
    let started = own_file(io::stderr()).and_then(|file| {
        let report = report();
        Lines::start("mdp-log", Bounds::DEFAULT, file, report)
    });
    let lines = started.context("could not start the log").map_err(Failure::failed)?;
    let lines = LOG.get_or_init(|| lines);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || lines).init();
    panic::set_hook(Box::new(|info| say(&panicked(info))));
    Ok(())
}

/// Writes a line of the program itself to standard error, through the log if there is one. No failure ends the program.
pub(crate) fn say(line: &str) {
    match LOG.get() {
        Some(lines) => lines.say(line.as_bytes()),
        // The command ends soon, or a person reads its output: it waits for the reader, if there is one.
        None => drop(io::stderr().write_all(line.as_bytes())),
    }
}

/// Waits until the log is written, for a limited time.
pub(crate) fn flush() {
    if let Some(lines) = LOG.get() {
        lines.flush(FLUSH);
    }
}

/// Returns the number of log lines that were dropped because they could not be written.
pub(crate) fn dropped() -> u64 {
    LOG.get().map_or(0, Lines::dropped)
}

/// Writes to standard output for other programs, and waits for at most a second until it is written.
pub(crate) fn announce(text: &str) -> io::Result<()> {
    let out = Lines::start("mdp-out", Bounds::DEFAULT, own_file(io::stdout())?, |_| Vec::new())?;
    out.say(text.as_bytes());
    if !out.flush(FLUSH) {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "the reader does not read"));
    }
    match out.dropped() {
        0 => Ok(()),
        _ => Err(io::Error::other("it cannot be written")),
    }
}

/// The output without the lock of `std`, which a blocked write would keep.
fn own_file(output: impl AsFd) -> io::Result<File> {
    Ok(output.as_fd().try_clone_to_owned()?.into())
}

fn panicked(info: &PanicHookInfo<'_>) -> String {
    let current = thread::current();
    let mut text = format!("thread '{}' {info}\n", current.name().unwrap_or("<unnamed>"));
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        text += &format!("{backtrace}\n");
    }
    text
}

/// Makes the line with the number of missing lines, in the form of all other lines.
fn report() -> impl Fn(u64) -> Vec<u8> {
    let text = Text::default();
    let written = text.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(LevelFilter::WARN);
    let dispatch: Dispatch = subscriber.with_writer(written).into();
    move |lines| {
        dispatcher::with_default(&dispatch, || {
            tracing::warn!(lines, "lines of the log are missing here: they could not be written");
        });
        std::mem::take(&mut *text.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Text {
    type Writer = Text;

    fn make_writer(&self) -> Text {
        self.clone()
    }
}
