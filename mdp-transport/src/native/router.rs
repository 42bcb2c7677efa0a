//! The broker's socket: one thread reads and writes all connections.
//!
//! The thread waits in [`Router::wait`], and takes messages one by one with [`Router::receive`]. Connections with input
//! take turns, message by message. A connection that has ended, or that was never made, leaves nothing behind.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mdp_protocol::wire::SIGNATURE;
use mdp_protocol::{Identity, Limits, Span};
use mio::{Events, Token};

use super::admission::Admission;
use super::connections::{CLOSED, Connection, Connections, ROUTE, Route};
use super::handshakes::Handshakes;
use super::incomplete::Incomplete;
use super::inproc::{Bound, Hub, Inbox, Letter};
use super::listeners::Listeners;
use super::waker::{WOKEN, Wait};
use super::wire::ServerSide;
use crate::buffers;
use crate::error::{Operation, SocketError, Unsent};
use crate::packet::{InPacket, OutPacket};
use crate::security::{AllowList, KeyPair};

/// The time in which a closed router may continue to write.
const LINGER: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);
/// The number of events that one look at the system takes.
const EVENTS: usize = 1_024;
/// The number of receives after which the router looks at all connections.
const LOOK_AFTER: u32 = 64;
/// The router accepts at most this many connections, and then reads what they have sent. So a handshake whose bytes have
/// arrived is complete before the router looks for surplus handshakes.
const ACCEPTS: usize = 64;
/// The limit on messages that are not complete is told again after this time.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// The bytes that are read at once.
const READ: usize = 64 * 1024;

/// A bound socket, and all that its thread waits for.
pub(crate) struct Router {
    wait: Wait,
    events: Events,
    listeners: Listeners,
    connections: Connections,
    /// Connections that may have input.
    ready: VecDeque<Route>,
    round: Round,
    handshakes: Handshakes<Route>,
    incomplete: Incomplete<Route>,
    told_no_room: Option<Instant>,
    /// Peers that had finished their handshake, and have gone.
    lost: VecDeque<Route>,
    /// Peers that have closed their side. What they have sent before is still read.
    leaving: Vec<Route>,
    /// Peers of which a part of a message came.
    alive: Vec<Route>,
    side: ServerSide,
    admission: Option<Admission>,
    inbox: Arc<Inbox>,
    letters: VecDeque<Letter>,
    /// Receives since the last look at all connections.
    received: u32,
    /// The next message is looked for among those of this process first.
    local_first: bool,
    names: Vec<Bound>,
    endpoints: Vec<String>,
    /// The buffer into which connections are read, one after another.
    scratch: Box<[u8]>,
    max_frames: usize,
}

/// The reading of all connections that had input at one moment. After it, all is read that had come until then: this thread
/// may have stood still for a while, and what a peer sent in time must not count as late.
struct Round {
    since: Instant,
    /// Connections that are still to be read.
    left: usize,
}

/// A received message.
pub(crate) struct Message {
    pub(crate) from: Route,
    pub(crate) identity: Identity,
    pub(crate) local: bool,
    pub(crate) packet: InPacket,
}

impl Router {
    /// Makes a socket that is bound to these endpoints. With `curve` it accepts only peers with keys of this list.
    pub(crate) fn bind(
        hub: &Arc<Hub>,
        limits: &Limits,
        endpoints: &[String],
        curve: Option<(&KeyPair, AllowList)>,
        wait: Wait,
    ) -> Result<Self, SocketError> {
        let handle = wait.handle.clone();
        let inbox = Inbox::new(move || handle.wake());
        let mut listeners = Listeners::default();
        let (mut names, mut bound) = (Vec::new(), Vec::new());
        for endpoint in endpoints {
            let failed = |error| SocketError::of_system(Operation::Bind, Some(endpoint), error);
            match endpoint.strip_prefix("inproc://") {
                Some(name) => {
                    let name = hub.bind(name, &inbox);
                    names.push(name.ok_or_else(|| failed(ErrorKind::AddrInUse.into()))?);
                    bound.push(endpoint.clone());
                }
                None => {
                    let registry = wait.poll.registry();
                    bound.push(listeners.bind(registry, endpoint).map_err(failed)?);
                }
            }
        }
        let (keys, allowed) = curve.map_or((None, None), |(keys, list)| (Some(keys), Some(list)));
        Ok(Router {
            wait,
            events: Events::with_capacity(EVENTS),
            connections: Connections::default(),
            ready: VecDeque::new(),
            round: Round { since: Instant::now(), left: 0 },
            handshakes: Handshakes::new(listeners.max_open_files()),
            incomplete: Incomplete::new(limits.incomplete_bytes),
            told_no_room: None,
            listeners,
            lost: VecDeque::new(),
            leaving: Vec::new(),
            alive: Vec::new(),
            side: ServerSide::new(keys, limits),
            admission: allowed.map(Admission::new),
            inbox,
            letters: VecDeque::new(),
            received: 0,
            local_first: false,
            names,
            endpoints: bound,
            scratch: vec![0; READ].into(),
            max_frames: limits.frames,
        })
    }

    pub(crate) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Receives the next message, if there is one.
    pub(crate) fn receive(&mut self) -> Option<Message> {
        self.received += 1;
        if self.received >= LOOK_AFTER {
            // Connections with much input do not keep the others, and new ones, waiting. The next wait returns the error
            // again.
            let _ = self.poll(Some(Duration::ZERO));
        }
        // Neither side keeps the other one waiting.
        self.local_first = !self.local_first;
        match self.local_first {
            true => self.letter().or_else(|| self.remote()),
            false => self.remote().or_else(|| self.letter()),
        }
    }

    /// The next message of a peer in another process.
    fn remote(&mut self) -> Option<Message> {
        for route in self.incomplete.take_resumed() {
            if self.connections.get_mut(route).is_some_and(Connection::begins) {
                self.ready.push_back(route);
            }
        }
        while let Some(route) = self.ready.pop_front() {
            self.round.left = self.round.left.saturating_sub(1);
            let Some(connection) = self.connections.get_mut(route) else { continue };
            if connection.is_paused() {
                connection.rests();
                continue;
            }
            let (scratch, incomplete) = (&mut self.scratch, &mut self.incomplete);
            match connection.next(route, scratch, self.admission.as_mut(), incomplete) {
                Ok(Some(mut packet)) => {
                    let identity = connection.identity();
                    // The others come first.
                    self.ready.push_back(route);
                    limit_frames(&mut packet, self.max_frames);
                    return Some(Message { from: route, identity, local: false, packet });
                }
                Ok(None) => {
                    connection.rests();
                    if connection.has_part() {
                        self.alive.push(route);
                    }
                }
                Err(reason) => self.end(route, &reason),
            }
        }
        None
    }

    /// The next message of a peer in this process.
    fn letter(&mut self) -> Option<Message> {
        loop {
            if self.letters.is_empty() {
                if !self.inbox.has_letters() {
                    return None;
                }
                self.inbox.take(&mut self.letters);
            }
            match self.letters.pop_front()? {
                Letter::Opened(mailbox) => drop(self.connections.add_local(mailbox)),
                Letter::Message(mailbox, mut packet) => {
                    let from = self.connections.of_local(&mailbox);
                    let Some(from) = from else {
                        mailbox.is_taken();
                        continue;
                    };
                    if let Some(paused) = self.connections.get_mut(from)
                        && paused.is_paused()
                    {
                        // It is not taken yet, so the peer has less room.
                        paused.hold(packet);
                        continue;
                    }
                    mailbox.is_taken();
                    limit_frames(&mut packet, self.max_frames);
                    let identity = Identity::anonymous();
                    return Some(Message { from, identity, local: true, packet });
                }
                Letter::Closed(mailbox) => {
                    if let Some(route) = self.connections.of_local(&mailbox) {
                        self.connections.remove(route);
                        self.lost.push_back(route);
                    }
                }
            }
        }
    }

    /// Stops reading from a peer, or reads from it again.
    pub(crate) fn pause(&mut self, route: &[u8], paused: bool) {
        let Ok(route) = <[u8; ROUTE]>::try_from(route).map(Route::from) else { return };
        let Some(connection) = self.connections.get_mut(route) else { return };
        let held = connection.pause(paused);
        self.incomplete.pause(*connection.begun(), paused);
        if connection.ends_unread() {
            return self.end(route, CLOSED);
        }
        match connection.mailbox().cloned() {
            Some(mailbox) => {
                let letters = held.into_iter().rev();
                for packet in letters {
                    self.letters.push_front(Letter::Message(Arc::clone(&mailbox), packet));
                }
            }
            None if !paused && connection.begins() => self.ready.push_back(route),
            None => {}
        }
    }

    /// Returns the host of a peer. `None`: the peer is on this machine, or has gone.
    pub(crate) fn address(&self, route: Route) -> Option<&Arc<str>> {
        self.connections.get(route)?.host()
    }

    /// Whether there may be a message to receive.
    pub(crate) fn is_readable(&mut self) -> bool {
        if self.has_input() {
            return true;
        }
        // The next wait returns the error again.
        let _ = self.poll(Some(Duration::ZERO));
        self.has_input()
    }

    fn has_input(&self) -> bool {
        let has_room = self.incomplete.has_changed();
        has_room || !self.ready.is_empty() || !self.letters.is_empty() || self.inbox.has_letters()
    }

    /// Waits for a message, a lost connection or a call of the waker, and not longer than `timeout`, if there is one.
    pub(crate) fn wait(&mut self, timeout: Option<Span>) -> Result<(), SocketError> {
        let asked = timeout.map_or(LONGEST, |timeout| Duration::from_millis(timeout.as_ms()));
        let has_work = self.has_input() || self.listeners.is_waiting();
        let timeout = match has_work || !self.lost.is_empty() {
            true => Duration::ZERO,
            false => asked.min(LONGEST).min(self.next_look().unwrap_or(LONGEST)),
        };
        self.poll(Some(timeout))
            .map_err(|error| SocketError::of_system(Operation::Use, None, error))
    }

    /// The time until a handshake takes too long, or until a listener may accept again.
    fn next_look(&self) -> Option<Duration> {
        let ends = [self.handshakes.next_end(), self.incomplete.next_look()];
        let next = ends.into_iter().flatten().chain(self.listeners.retry_at()).min()?;
        // A millisecond more, so that the wait does not end too early.
        Some(next.saturating_duration_since(Instant::now()) + Duration::from_millis(1))
    }

    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.received = 0;
        buffers::rest();
        let before = Instant::now();
        match self.wait.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        let (mut writable, mut gone) = (Vec::new(), Vec::new());
        let mut events = 0;
        for event in &self.events {
            events += 1;
            match event.token() {
                WOKEN => {}
                token if Listeners::is_listener(token) => {
                    self.listeners.has_news(token);
                }
                Token(number) => {
                    let Some((route, connection)) = self.connections.at(number) else { continue };
                    // The system reports room together with input, also where nothing waits for it.
                    if event.is_writable() && connection.has_output() {
                        writable.push(route);
                    }
                    let closing = event.is_read_closed() || event.is_error();
                    if closing && connection.is_closing(event.is_error()) {
                        self.leaving.push(route);
                    }
                    if connection.ends_unread() {
                        gone.push(route);
                    }
                    if (closing || event.is_readable()) && connection.begins() {
                        self.ready.push_back(route);
                    }
                }
            }
        }
        for route in writable {
            self.write(route);
        }
        for route in gone {
            self.end(route, CLOSED);
        }
        if self.listeners.is_waiting()
            || self.listeners.retry_at().is_some_and(|at| at <= Instant::now())
        {
            self.accept();
        }
        // With as many events as fit there may be more.
        if self.round.left == 0 && events < EVENTS {
            let read_until = self.round.since;
            self.round = Round { since: before, left: self.ready.len() };
            self.end_slow_handshakes(read_until);
            self.end_slow_messages(read_until);
        }
        Ok(())
    }

    fn accept(&mut self) {
        let now = Instant::now();
        for _ in 0..ACCEPTS {
            let Some(stream) = self.listeners.accept() else { break };
            let registry = self.wait.poll.registry();
            let added = Connection::new(stream, &self.side)
                .and_then(|connection| self.connections.add(registry, connection));
            let route = match added {
                Ok(route) => route,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    continue;
                }
            };
            self.handshakes.begin(now, route);
            self.write(route);
            self.ready.push_back(route);
            let connections = &self.connections;
            let host = |route| {
                let open = connections.get(route).filter(|connection| !connection.was_ready());
                open.map(Connection::host)
            };
            for surplus in self.handshakes.surplus(host) {
                self.end(surplus, "too many handshakes at once");
            }
        }
    }

    /// `now`: all that had come until then was read.
    fn end_slow_handshakes(&mut self, now: Instant) {
        let is_open = |connections: &Connections, route| {
            connections.get(route).is_some_and(|connection| !connection.was_ready())
        };
        while let Some(route) =
            self.handshakes.next_slow(now, |route| is_open(&self.connections, route))
        {
            self.end(route, "the handshake took too long");
        }
    }

    /// `now`: all that had come until then was read.
    fn end_slow_messages(&mut self, now: Instant) {
        if self.incomplete.next_look().is_some() {
            self.tell_no_room();
            for route in self.incomplete.slow(now) {
                self.end(route, "its message took too long while others waited for room");
            }
        }
    }

    fn tell_no_room(&mut self) {
        let now = Instant::now();
        if self.told_no_room.is_none_or(|told| now.duration_since(told) >= TELL_AGAIN) {
            self.told_no_room = Some(now);
            tracing::warn!(
                "messages that are not complete have reached the limit incomplete_bytes; connections with large \
                 messages wait for each other"
            );
        }
    }

    /// Ends a connection.
    fn end(&mut self, route: Route, reason: &str) {
        let Some(mut connection) = self.connections.remove(route) else { return };
        self.incomplete.has_gone(connection.begun());
        connection.close(self.wait.poll.registry());
        match connection.was_ready() {
            true => {
                tracing::debug!(
                    host = connection.host().map(|host| &**host),
                    reason,
                    "connection ended"
                );
                self.lost.push_back(route);
            }
            false => tracing::debug!(
                host = connection.host().map(|host| &**host),
                reason,
                "handshake failed"
            ),
        }
    }

    /// Writes what waits for a peer, as far as its connection takes it.
    fn write(&mut self, route: Route) {
        if let Some(connection) = self.connections.get_mut(route)
            && connection.write().is_err()
            && connection.begins()
        {
            // What the peer has sent before is read first; then the connection ends.
            self.ready.push_back(route);
        }
    }

    /// Sends a packet to the peer with this route, without waiting. `with` is dropped after the packet is written or
    /// discarded, or on an error.
    pub(crate) fn send<T: Send + 'static>(
        &mut self,
        route: &[u8],
        packet: &mut OutPacket,
        with: Option<T>,
    ) -> Result<(), Unsent> {
        let (route, connection) = self.receiver(route)?;
        let with = with.map(|with| Box::new(with) as Box<dyn Send>);
        connection.put(packet, with);
        self.write(route);
        Ok(())
    }

    /// Sends a message of these frames: `heads`, which are copied, then `body`.
    pub(crate) fn send_frames<'a, T: Send + 'static>(
        &mut self,
        route: &[u8],
        heads: impl Iterator<Item = &'a [u8]>,
        body: &'a [Bytes],
        with: T,
    ) -> Result<(), Unsent> {
        let (route, connection) = self.receiver(route)?;
        connection.put_frames(heads, body, Some(Box::new(with)));
        self.write(route);
        Ok(())
    }

    /// The connection of a peer that takes messages.
    fn receiver(&mut self, route: &[u8]) -> Result<(Route, &mut Connection), Unsent> {
        let route = <[u8; ROUTE]>::try_from(route).map_err(|_| Unsent::Gone)?.into();
        let connection = self.connections.get_mut(route).ok_or(Unsent::Gone)?;
        if connection.takes_messages() { Ok((route, connection)) } else { Err(Unsent::Gone) }
    }

    /// Returns the next peer that has gone.
    pub(crate) fn next_lost(&mut self) -> Option<Route> {
        self.lost.pop_front()
    }

    /// Returns the peers that have closed their side since the last call.
    pub(crate) fn leaving(&mut self) -> Vec<Route> {
        let left = self.inbox.take_left();
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.extend(left.iter().filter_map(|mailbox| self.connections.of_local(mailbox)));
        leaving
    }

    /// Returns the peers of which a part of a message has come since the last call, or waits to be read.
    pub(crate) fn alive(&mut self) -> Vec<Route> {
        let mut alive = std::mem::take(&mut self.alive);
        if self.incomplete.next_look().is_some() {
            alive.extend(self.incomplete.waiting(Instant::now()));
        }
        alive
    }

    /// Closes the socket after it has written its messages. Blocks.
    pub(crate) fn close(mut self) {
        self.names.clear();
        self.listeners = Listeners::default();
        let until = Instant::now() + LINGER;
        loop {
            let waiting = self.connections.flush();
            let left = until.saturating_duration_since(Instant::now());
            if !waiting || left.is_zero() || self.poll(Some(left)).is_err() {
                break;
            }
        }
        // A connection that is closed with input that was not read is reset, and its peer may lose what it has not read.
        // So the input is read up to its end.
        self.connections.end_writing();
        self.ready.extend(self.connections.resume_all());
        while self.connections.has_remote() {
            while let Some(route) = self.ready.pop_front() {
                let Some(connection) = self.connections.get_mut(route) else { continue };
                connection.rests();
                if !connection.drain(&mut self.scratch) {
                    self.connections.remove(route);
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.poll(Some(left)).is_err() {
                break;
            }
        }
    }
}

/// Drops the frames beyond the limit but one, which shows that there were too many.
fn limit_frames(packet: &mut InPacket, max: usize) {
    let is_packet = packet.first.first() == Some(&SIGNATURE);
    packet.frames.truncate(if is_packet { max } else { max + 1 });
}
