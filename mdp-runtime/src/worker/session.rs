//! One session of a worker: its driver, and the two threads that share the driver.

use std::future::{Future, poll_fn};
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use mdp_protocol::ConnectionState;
use tokio::sync::{mpsc, watch};

use super::driver::{self, WorkerCommand, WorkerDriver};
use super::hand_off::HandOff;
use crate::connection;
use crate::error::{ServeError, WorkerFailure};
use mdp_transport::ends::{self, Panicked};

/// The handle of a session's driver.
pub(super) struct Session {
    pub(super) commands: mpsc::UnboundedSender<WorkerCommand>,
    pub(super) state: watch::Receiver<ConnectionState>,
    pub(super) over: watch::Receiver<bool>,
    pub(super) failure: Arc<OnceLock<WorkerFailure>>,
    pub(super) hand_off: Arc<HandOff<Box<WorkerDriver>>>,
}

impl Session {
    /// Starts the threads of a driver.
    pub(super) fn start(
        driver: WorkerDriver,
        commands: mpsc::UnboundedSender<WorkerCommand>,
        state: watch::Receiver<ConnectionState>,
        told: watch::Sender<ConnectionState>,
    ) -> Result<Self, ServeError> {
        let over = driver.over();
        let failure = driver.failure();
        let hand_off = Arc::new(HandOff::new());
        let fate = Fate {
            failure: Arc::clone(&failure),
            state: told,
            commands: commands.downgrade(),
            hand_off: Arc::clone(&hand_off),
        };
        start_socket_thread("mdp-standby", fate.clone(), None)?;
        // The standby thread waits from here on: dropping the worker, or this error, ends that thread.
        let driving = start_socket_thread("mdp-worker", fate, Some(Box::new(driver)));
        driving.inspect_err(|_| hand_off.finish())?;
        Ok(Session { commands, state, over, failure, hand_off })
    }
}

/// The state of all sessions together, kept up to date by a task.
pub(super) fn together(
    runtime: &tokio::runtime::Handle,
    sessions: &[Session],
) -> watch::Receiver<ConnectionState> {
    let mut states: Vec<_> = sessions.iter().map(|session| session.state.clone()).collect();
    let (told, state) = watch::channel(ConnectionState::Connecting { endpoint: 0 });
    runtime.spawn(async move {
        loop {
            let now: Vec<_> =
                states.iter_mut().map(|state| state.borrow_and_update().clone()).collect();
            let Some(state) = connection::together(now.iter()) else { return };
            let is_over = state == ConnectionState::Closed;
            told.send_if_modified(|before| {
                let is_new = *before != state;
                if is_new {
                    *before = state;
                }
                is_new
            });
            if is_over {
                return;
            }
            let mut changes: Vec<_> =
                states.iter_mut().map(|state| Box::pin(state.changed())).collect();
            // A session that has ended says so before its sender is dropped.
            poll_fn(|cx| {
                let mut changed = false;
                for change in &mut changes {
                    changed |= matches!(change.as_mut().poll(cx), Poll::Ready(Ok(())));
                }
                if changed { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    });
    state
}

/// Notified when one of a worker's threads panics.
#[derive(Clone)]
struct Fate {
    failure: Arc<OnceLock<WorkerFailure>>,
    state: watch::Sender<ConnectionState>,
    commands: mpsc::WeakUnboundedSender<WorkerCommand>,
    hand_off: Arc<HandOff<Box<WorkerDriver>>>,
}

impl Fate {
    fn told(&self, end: Result<(), Panicked>) {
        if end.is_ok() {
            return;
        }
        // Only the first failure counts.
        let _ = self.failure.set(WorkerFailure::Panicked);
        // If the other thread drives the socket, it must end too.
        if let Some(commands) = self.commands.upgrade() {
            let _ = commands.send(driver::NO_GRACE);
        }
        self.hand_off.finish();
        self.state.send_replace(ConnectionState::Closed);
    }
}

/// Starts one of the two threads that share a worker's socket.
fn start_socket_thread(
    name: &'static str,
    fate: Fate,
    first: Option<Box<WorkerDriver>>,
) -> Result<(), ServeError> {
    let hand_off = Arc::clone(&fate.hand_off);
    let io = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(ServeError::Thread)?;
    let drive = move || {
        let _entered = io.enter();
        let mut next = first;
        while let Some(driver) = next.take().or_else(|| hand_off.take_over()) {
            driver.run(&io, &hand_off);
        }
    };
    ends::thread(name, drive, move |end| fate.told(end)).map_err(ServeError::Thread)?;
    Ok(())
}
