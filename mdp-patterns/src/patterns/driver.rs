//! The task that owns a socket.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::error::RecvError;
use super::last_values::LastValues;
use super::parts::{Layout, Parts};
use super::reconnect::{Reconnect, Step};
use mdp_transport::pattern::{self, PatternSocket, Wanted};
use mdp_transport::{Context, Registration, SocketError, close_all};

/// The number of messages that are handled before the loop turns to the other direction.
const BURST: usize = 128;

/// The commands of handles.
pub(super) enum PatternCommand {
    /// Send a message.
    Send(Outgoing),
    /// Begin or end a subscription.
    Subscribe {
        topic: Bytes,
        add: bool,
        /// Notified when the change is done.
        done: oneshot::Sender<()>,
    },
    /// Notifies the sender when all earlier commands are done.
    Flush(oneshot::Sender<()>),
}

pub(super) struct Outgoing {
    pub(super) parts: Parts,
    /// Notified when the socket has the message. If the receiver is gone, the message is not sent.
    pub(super) taken: Option<oneshot::Sender<()>>,
}

/// A received message, for the handle.
pub(super) type Arrival = Result<Parts, RecvError>;

/// The additional state of a publisher's task.
pub(super) struct Publishing {
    pub(super) counts: Arc<Counts>,
    pub(super) last_values: Option<LastValues>,
}

/// The counters that a publisher's handles can read.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) overruns: AtomicU64,
    pub(super) evicted: AtomicU64,
    /// What all subscribers have lost. Empty: the transport does not tell.
    pub(super) lost: OnceLock<AtomicU64>,
}

impl Counts {
    /// Reads what the socket knows of losses.
    pub(super) fn look_at(&self, socket: &PatternSocket) {
        if let Some(lost) = socket.lost() {
            self.lost.get_or_init(AtomicU64::default).store(lost, Ordering::Relaxed);
        }
    }
}

pub(super) struct PatternDriver {
    pub(super) socket: PatternSocket,
    pub(super) layout: Layout,
    pub(super) context: Context,
    pub(super) commands: mpsc::Receiver<PatternCommand>,
    /// Where received messages go; `None`: none are read.
    pub(super) inbox: Option<mpsc::Sender<Arrival>>,
    pub(super) publishing: Option<Publishing>,
    /// With CURVE, accepts peers for as long as it is held.
    pub(super) _registration: Option<Registration>,
    /// For a socket that connects to other programs.
    pub(super) reconnect: Option<Reconnect>,
    /// The message for which the socket had no room.
    pub(super) held: Option<Outgoing>,
    /// True, or closed with all handles: the task ends.
    pub(super) stop: watch::Receiver<bool>,
    /// Dropped when the socket is closed.
    pub(super) done: watch::Sender<()>,
}

/// A driver that always stops watching its socket's events, wherever the driver ends: otherwise libzmq would wait for a
/// reader of the events, with its only I/O thread. A native socket has no events.
pub(super) struct Running(Option<PatternDriver>);

impl Running {
    /// Must be called on tokio.
    pub(super) fn new(driver: PatternDriver) -> Self {
        Running(Some(driver))
    }

    /// The driver, before it runs.
    pub(super) fn driver(&mut self) -> Option<&mut PatternDriver> {
        self.0.as_mut()
    }

    /// Carries messages, then closes the socket.
    pub(super) async fn run(mut self) {
        if let Some(driver) = &mut self.0 {
            driver.carry().await;
        }
        if let Some(driver) = self.0.take() {
            driver.close().await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(driver) = &mut self.0 {
            driver.watch_no_more();
        }
    }
}

impl PatternDriver {
    async fn carry(&mut self) {
        let mut result = self.work().await;
        if result.is_ok() {
            result = self.finish();
        }
        if let Err(error) = result {
            tracing::warn!(%error, "a socket failed");
            if let Some(inbox) = &self.inbox {
                // A reader with a full inbox sees the end without its cause.
                drop(inbox.try_send(Err(RecvError::Socket(error))));
            }
        }
    }

    async fn close(mut self) {
        self.watch_no_more();
        close_all(&self.context, vec![pattern::into_closing(self.socket)]).await;
        drop(self.done);
    }

    /// Watches the socket's connections to these endpoints.
    pub(super) fn watch(&mut self, endpoints: Vec<String>) -> Result<(), SocketError> {
        self.reconnect = Some(Reconnect::watch(&self.context, &mut self.socket, endpoints)?);
        Ok(())
    }

    fn watch_no_more(&mut self) {
        if let Some(reconnect) = self.reconnect.take() {
            reconnect.end(&mut self.socket);
        }
    }

    /// Carries messages until the task must stop.
    async fn work(&mut self) -> Result<(), SocketError> {
        loop {
            tokio::task::coop::consume_budget().await;
            // Commands that come without a pause must not keep the socket from its peers.
            self.socket.drive();
            self.receive()?;
            self.send_held()?;
            self.publish_last_values()?;
            self.reconnect();
            // Read once: the reader may make room at any moment.
            let full = self.inbox.as_ref().is_some_and(|inbox| inbox.capacity() == 0);
            let wanted = self.wanted(full);
            let due = self.due();
            tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return Ok(()),
                command = self.commands.recv(), if self.held.is_none() => match command {
                    Some(command) => self.perform_burst(command)?,
                    None => return Ok(()),
                },
                () = room(&self.inbox), if full => {}
                () = withdrawn(&mut self.held) => self.held = None,
                () = at(due) => {}
                event = event(&mut self.reconnect) => event?,
                ready = self.socket.ready(wanted) => ready?,
            }
        }
    }

    /// Sends the messages that handles have handed over. A message that the socket does not accept now is not sent, and
    /// its sender gets an error.
    fn finish(&mut self) -> Result<(), SocketError> {
        self.commands.close();
        self.send_held()?;
        self.held = None;
        while let Ok(command) = self.commands.try_recv() {
            self.perform(command)?;
            self.held = None;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<(), SocketError> {
        for _ in 0..BURST {
            if let Some(publishing) = &mut self.publishing {
                let Some(notice) = self.socket.notice()? else { break };
                publishing.hear(&notice);
                continue;
            }
            let Some(inbox) = &self.inbox else { break };
            if inbox.is_closed() {
                self.inbox = None;
                break;
            }
            if inbox.capacity() == 0 {
                break;
            }
            let Some(message) = self.socket.receive()? else { break };
            // The inbox has room, unless its reader has just gone.
            drop(inbox.try_send(self.layout.parts(message)));
        }
        Ok(())
    }

    fn perform_burst(&mut self, first: PatternCommand) -> Result<(), SocketError> {
        self.perform(first)?;
        for _ in 1..BURST {
            if self.held.is_some() {
                break;
            }
            let Ok(command) = self.commands.try_recv() else { break };
            self.perform(command)?;
        }
        Ok(())
    }

    fn perform(&mut self, command: PatternCommand) -> Result<(), SocketError> {
        match (command, &mut self.publishing) {
            (PatternCommand::Send(message), Some(publishing)) => {
                publishing.publish(&mut self.socket, &message.parts)
            }
            (PatternCommand::Send(message), None) => {
                self.held = Some(message);
                self.send_held()
            }
            (PatternCommand::Flush(done), _) => {
                let _ = done.send(());
                Ok(())
            }
            (PatternCommand::Subscribe { topic, add, done }, _) => {
                self.socket.subscribe(&topic, add)?;
                // The caller may be gone.
                let _ = done.send(());
                Ok(())
            }
        }
    }

    fn send_held(&mut self) -> Result<(), SocketError> {
        let Some(message) = self.held.take() else { return Ok(()) };
        if message.taken.as_ref().is_some_and(oneshot::Sender::is_closed) {
            return Ok(());
        }
        let Parts { topic, record } = &message.parts;
        if !self.socket.send(topic.as_ref(), record)? {
            self.held = Some(message);
        } else if let Some(taken) = message.taken {
            // The caller may have just gone.
            let _ = taken.send(());
        }
        Ok(())
    }

    fn publish_last_values(&mut self) -> Result<(), SocketError> {
        match &mut self.publishing {
            Some(publishing) => publishing.round(&mut self.socket),
            None => Ok(()),
        }
    }

    /// Reconnects the endpoints that libzmq has given up.
    fn reconnect(&mut self) {
        let Some(reconnect) = &mut self.reconnect else { return };
        let now = Instant::now();
        reconnect.hear(now);
        while let Some((step, endpoints)) = reconnect.step(now) {
            for endpoint in endpoints {
                let done = match step {
                    Step::Disconnect => self.socket.disconnect(&endpoint),
                    Step::Connect => self.socket.connect(&endpoint),
                };
                tracing::debug!(?step, endpoint, ?done, "a connection was given up by libzmq");
            }
        }
    }

    /// The next moment at which there is work.
    fn due(&self) -> Option<Instant> {
        let last_values = self.publishing.as_ref().and_then(Publishing::due);
        let reconnect = self.reconnect.as_ref().and_then(Reconnect::due);
        last_values.into_iter().chain(reconnect).min()
    }

    /// The socket events to wait for.
    fn wanted(&self, full: bool) -> Wanted {
        let read = self.inbox.is_some() && !full;
        Wanted { message: read || self.publishing.is_some(), room: self.held.is_some() }
    }
}

impl Publishing {
    fn publish(&mut self, socket: &mut PatternSocket, parts: &Parts) -> Result<(), SocketError> {
        if let (Some(last), Some(topic)) = (&mut self.last_values, &parts.topic)
            && last.set(topic, &parts.record)
        {
            self.counts.evicted.fetch_add(1, Ordering::Relaxed);
        }
        self.send(socket, parts)
    }

    fn send(&self, socket: &mut PatternSocket, parts: &Parts) -> Result<(), SocketError> {
        if !socket.publish(parts.topic.as_ref(), &parts.record)? {
            self.counts.overruns.fetch_add(1, Ordering::Relaxed);
            self.counts.look_at(socket);
        }
        Ok(())
    }

    fn hear(&mut self, notice: &Bytes) {
        if let Some(last) = &mut self.last_values {
            last.hear(notice);
        }
    }

    fn due(&self) -> Option<Instant> {
        self.last_values.as_ref().and_then(LastValues::due)
    }

    fn round(&mut self, socket: &mut PatternSocket) -> Result<(), SocketError> {
        let Some(last) = &mut self.last_values else { return Ok(()) };
        if last.due().is_none() {
            return Ok(());
        }
        let round = last.round(Instant::now());
        round.iter().try_for_each(|parts| self.send(socket, parts))
    }
}

/// Waits until the task must stop, or all handles are gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Waits until there is room in an inbox, or its reader is gone.
async fn room(inbox: &Option<mpsc::Sender<Arrival>>) {
    match inbox {
        Some(inbox) => drop(inbox.reserve().await),
        None => pending().await,
    }
}

/// Waits until the sender of the held message is gone.
async fn withdrawn(held: &mut Option<Outgoing>) {
    match held {
        Some(Outgoing { taken: Some(taken), .. }) => taken.closed().await,
        _ => pending().await,
    }
}

/// Waits for an event of the socket's connections.
async fn event(reconnect: &mut Option<Reconnect>) -> Result<(), SocketError> {
    match reconnect {
        Some(reconnect) => reconnect.ready().await,
        None => pending().await,
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
