//! What ships: a thread that takes batches out of the buffer and calls the logger worker, again and again until each is stored.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use mdp_runtime::{ClientBuilder, Code, Status};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::buffer::{Bounds, Buffer};
use crate::layer::{NotShipped, StartError, micros, this_thread_ships};
use crate::pb::log_client::LogClient;
use crate::pb::{Event, Source, WriteRequest};
use crate::service::NAME_BYTES;

/// The most events of a batch, and their bytes; but never more than a quarter of the buffer, so that it has a choice of what
/// to drop.
const BATCH_EVENTS: usize = 500;
const BATCH_BYTES: usize = 256 * 1024;
/// How long the first event of a batch waits for others.
const LINGER: Duration = Duration::from_millis(50);
/// How long a call waits for the broker and the worker before it is made anew.
const CALL: Duration = Duration::from_secs(5);
/// The pause after a call that failed: the first one, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Ships what is pushed. Events that are logged on its own thread are none of its business.
#[derive(Debug)]
pub(crate) struct Shipper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something was settled.
    settled: Condvar,
    /// There is something to do for the thread.
    work: Notify,
    batch: Bounds,
}

#[derive(Debug)]
struct State {
    buffer: Buffer,
    /// How many wait in [`Shipper::flush`]: nothing lingers then.
    hurried: usize,
    /// No more events are taken.
    closed: bool,
    /// The thread ends.
    stopped: bool,
}

impl Shipper {
    pub(crate) fn start(
        name: String,
        bounds: Bounds,
        broker: ClientBuilder,
    ) -> Result<Self, StartError> {
        let buffer = Buffer::new(bounds);
        let shared = Arc::new(Shared {
            state: Mutex::new(State { buffer, hurried: 0, closed: false, stopped: false }),
            settled: Condvar::new(),
            work: Notify::new(),
            batch: Bounds {
                events: BATCH_EVENTS.min(bounds.events / 4).max(1),
                bytes: BATCH_BYTES.min(bounds.bytes / 4).max(1),
            },
        });
        let (started, outcome) = sync_channel(1);
        let of_thread = Arc::clone(&shared);
        let run = move || ship(&of_thread, name, broker, &started);
        let thread = std::thread::Builder::new().name("cloud-logger".into()).spawn(run)?;
        // It ends without a word only if it panics.
        outcome.recv().unwrap_or_else(|_| Err(io::Error::other("the thread is gone").into()))?;
        Ok(Shipper { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Adds an event. It waits for nobody but for those who add others, and for the thread while it takes a batch out.
    pub(crate) fn push(&self, event: Event) {
        let mut state = self.shared.lock();
        if state.closed {
            return;
        }
        let before = state.buffer.waiting();
        state.buffer.push(event);
        // The thread is told of the first event and of a full batch, not of each.
        let now = state.buffer.waiting();
        let wakes =
            before == 0 || before < self.shared.batch.events && now >= self.shared.batch.events;
        drop(state);
        if wakes {
            self.shared.work.notify_one();
        }
    }

    pub(crate) fn flush(&self, within: Duration) -> Result<(), NotShipped> {
        let shared = &self.shared;
        let deadline = Instant::now().checked_add(within);
        let mut state = shared.lock();
        let mark = state.buffer.mark();
        state.hurried += 1;
        shared.work.notify_one();
        while !state.buffer.is_settled(mark) && !state.stopped {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            let left = left.unwrap_or(Duration::MAX);
            let waited = shared.settled.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.hurried -= 1;
        if state.buffer.is_settled(mark) { Ok(()) } else { Err(left_in(&state.buffer)) }
    }

    pub(crate) fn shutdown(&self, within: Duration) -> Result<(), NotShipped> {
        self.shared.lock().closed = true;
        let flushed = self.flush(within);
        let mut state = self.shared.lock();
        state.stopped = true;
        let left = left_in(&state.buffer);
        drop(state);
        self.shared.work.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It panicked: what is left was counted above.
            let _ = thread.join();
        }
        flushed.map_err(|_| left)
    }

    pub(crate) fn waiting(&self) -> (usize, usize) {
        let state = self.shared.lock();
        (state.buffer.events(), state.buffer.bytes())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a batch: until it is full, has lingered, or somebody flushes. `None`: the shipping ends.
    async fn next_batch(&self) -> Option<Vec<Event>> {
        let mut linger = None;
        loop {
            {
                let mut state = self.lock();
                if state.stopped {
                    return None;
                }
                if state.buffer.has_waiting() {
                    let until = *linger.get_or_insert_with(|| Instant::now() + LINGER);
                    let full = state.buffer.waiting() >= self.batch.events;
                    if full || state.hurried > 0 || Instant::now() >= until {
                        let now = micros(SystemTime::now());
                        return Some(state.buffer.take(self.batch.events, self.batch.bytes, now));
                    }
                }
            }
            // Woken by the first event, a full batch, somebody who flushes, or the end.
            let woken = self.work.notified();
            match linger {
                Some(until) => drop(tokio::time::timeout_at(until.into(), woken).await),
                None => woken.await,
            }
        }
    }

    /// Waits until the shipping ends.
    async fn stopped(&self) {
        while !self.lock().stopped {
            self.work.notified().await;
        }
    }

    fn settle(&self, batch: &[Event], stored: bool) {
        let mut state = self.lock();
        if stored {
            state.buffer.settle()
        } else {
            state.buffer.refuse(batch)
        }
        drop(state);
        self.settled.notify_all();
    }
}

fn left_in(buffer: &Buffer) -> NotShipped {
    NotShipped { events: buffer.events(), dropped: buffer.untold() }
}

/// The thread: a runtime of its own, so that it needs none of the program's, and all that the client logs is logged here.
fn ship(
    shared: &Shared,
    name: String,
    broker: ClientBuilder,
    started: &SyncSender<Result<(), StartError>>,
) {
    this_thread_ships();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(error.into()))),
    };
    runtime.block_on(async {
        let client = match broker.open_lazy() {
            Ok(client) => client,
            Err(error) => return drop(started.send(Err(error.into()))),
        };
        // Whoever started it waits for this word.
        let _ = started.send(Ok(()));
        ship_batches(shared, &LogClient::new(client.clone()), name).await;
        client.shutdown(Duration::ZERO).await;
    });
}

async fn ship_batches(shared: &Shared, log: &LogClient, name: String) {
    let (mut source, mut sequence) = (source(name.clone()), 1);
    while let Some(events) = shared.next_batch().await {
        let mut request = WriteRequest { source: Some(source.clone()), sequence, events };
        let mut pause = PAUSES.0;
        loop {
            let ended = tokio::select! {
                ended = write(log, &request, &mut pause) => ended,
                () = shared.stopped() => return,
            };
            match ended {
                Ended::Stored => sequence += 1,
                // The number is still to come: the worker knows no batch of it.
                Ended::Refused => {}
                Ended::Strange => {
                    (source, sequence) = (self::source(name.clone()), 1);
                    (request.source, request.sequence) = (Some(source.clone()), sequence);
                    continue;
                }
            }
            shared.settle(&request.events, matches!(ended, Ended::Stored));
            break;
        }
    }
}

/// What has become of a batch.
enum Ended {
    Stored,
    /// The worker will never take it.
    Refused,
    /// It does not follow what the worker knows of the source: the database is another one, or somebody else has written under
    /// the source's id. Under another id it is the first.
    Strange,
}

/// Sends a batch until it is stored: it is numbered, so it is stored once.
async fn write(log: &LogClient, request: &WriteRequest, pause: &mut Duration) -> Ended {
    loop {
        let status = match log.write(request.clone()).timeout(CALL).await {
            Ok(_) => return Ended::Stored,
            Err(status) if status.code() == Code::InvalidArgument => {
                tracing::error!(%status, batch = request.sequence, "a batch of the log was refused, and is dropped");
                return Ended::Refused;
            }
            Err(status) => status,
        };
        complain(request, &status);
        // Not all processes at once when the broker is back.
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        *pause = (*pause * 2).min(PAUSES.1);
        if matches!(status.code(), Code::FailedPrecondition | Code::PermissionDenied) {
            return Ended::Strange;
        }
    }
}

/// For the program's other layers; this one does not hear it.
fn complain(request: &WriteRequest, status: &Status) {
    tracing::warn!(%status, batch = request.sequence, "a batch of the log is not stored yet, and is sent again");
}

fn source(mut name: String) -> Source {
    let end = (0..=NAME_BYTES).rev().find(|end| name.is_char_boundary(*end));
    name.truncate(end.unwrap_or(0));
    Source { id: Uuid::new_v4().to_string(), name, process: std::process::id() }
}
