//! The connections of a router, each under a route that is never used again.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;

use bytes::Bytes;
use mdp_protocol::Identity;
use mio::{Registry, Token};

use super::admission::Admission;
use super::incomplete::{Begun, Incomplete};
use super::inproc::Mailbox;
use super::stream::Accepted;
use super::wire::{Event, ServerSide, Wire};
use crate::packet::{InPacket, OutPacket};

/// The reason of an end that the peer has made.
pub(super) const CLOSED: &str = "the peer has closed it";
/// The bytes of a route.
pub(super) const ROUTE: usize = 8;

/// The address of a connection of a router: its place, and the number of connections that had the place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route([u8; ROUTE]);

impl From<[u8; ROUTE]> for Route {
    fn from(bytes: [u8; ROUTE]) -> Self {
        Route(bytes)
    }
}

impl Route {
    fn new(place: usize, turn: u32) -> Self {
        // There are never 2^32 connections at a time.
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        Route(((u64::from(turn) << 32) | u64::from(place)).to_be_bytes())
    }

    /// The routing id.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn place(self) -> usize {
        (u64::from_be_bytes(self.0) & u64::from(u32::MAX)) as usize
    }

    fn turn(self) -> u32 {
        (u64::from_be_bytes(self.0) >> 32) as u32
    }
}

#[derive(Default)]
pub(super) struct Connections {
    slots: Vec<Slot>,
    free: Vec<usize>,
    locals: HashMap<u64, Route>,
}

#[derive(Default)]
struct Slot {
    turn: u32,
    connection: Option<Box<Connection>>,
}

/// A connection of the router.
pub(super) struct Connection {
    way: Way,
    identity: Identity,
    /// The host of the peer.
    host: Option<Arc<str>>,
    /// The connection is in the router's list of those that may have input.
    listed: bool,
    /// The router's owner does not want messages of this peer now.
    paused: bool,
    /// Messages of a paused peer of this process. Their number is limited as that of all messages that the router has not
    /// taken.
    held: VecDeque<InPacket>,
    /// The message that it has begun, if that is large.
    begun: Begun,
    /// It was asked to take a message before.
    asked: bool,
    /// The peer had left before that.
    has_left: bool,
}

enum Way {
    Remote(Box<Remote>),
    Local(Arc<Mailbox>),
}

struct Remote {
    stream: Accepted,
    wire: Wire,
    /// The last read took all that was there.
    drained: bool,
    /// The peer has closed its side, so the end must be read even after a short read.
    closing: bool,
    /// The connection has failed, so its rest need not be waited for.
    failed: bool,
    /// The connection takes nothing more.
    broken: bool,
}

impl Connections {
    /// Adds a connection, and watches it.
    pub(super) fn add(
        &mut self,
        registry: &Registry,
        mut connection: Connection,
    ) -> io::Result<Route> {
        let route = self.next_route();
        if let Way::Remote(remote) = &mut connection.way {
            remote.stream.register(registry, Token(route.place()))?;
        }
        self.put(route, connection);
        Ok(route)
    }

    /// Adds a connection within the process.
    pub(super) fn add_local(&mut self, mailbox: Arc<Mailbox>) -> Route {
        let route = self.next_route();
        self.locals.insert(mailbox.number(), route);
        let way = Way::Local(mailbox);
        let identity = Identity::anonymous();
        let connection = Connection {
            way,
            identity,
            host: None,
            listed: false,
            paused: false,
            held: VecDeque::new(),
            begun: None,
            asked: false,
            has_left: false,
        };
        self.put(route, connection);
        route
    }

    fn next_route(&self) -> Route {
        let place = self.free.last().copied().unwrap_or(self.slots.len());
        Route::new(place, self.slots.get(place).map_or(0, |slot| slot.turn))
    }

    fn put(&mut self, route: Route, connection: Connection) {
        let place = route.place();
        if self.slots.len() <= place {
            self.slots.resize_with(place + 1, Slot::default);
        }
        self.free.pop();
        if let Some(slot) = self.slots.get_mut(place) {
            slot.connection = Some(Box::new(connection));
        }
    }

    pub(super) fn get(&self, route: Route) -> Option<&Connection> {
        let slot = self.slots.get(route.place()).filter(|slot| slot.turn == route.turn())?;
        slot.connection.as_deref()
    }

    pub(super) fn get_mut(&mut self, route: Route) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(route.place()).filter(|slot| slot.turn == route.turn())?;
        slot.connection.as_deref_mut()
    }

    /// The connection at a place, with its route.
    pub(super) fn at(&mut self, place: usize) -> Option<(Route, &mut Connection)> {
        let slot = self.slots.get_mut(place)?;
        let route = Route::new(place, slot.turn);
        slot.connection.as_deref_mut().map(|connection| (route, connection))
    }

    /// The route of a peer in this process.
    pub(super) fn of_local(&self, mailbox: &Mailbox) -> Option<Route> {
        self.locals.get(&mailbox.number()).copied()
    }

    pub(super) fn remove(&mut self, route: Route) -> Option<Box<Connection>> {
        let slot = self.slots.get_mut(route.place()).filter(|slot| slot.turn == route.turn())?;
        let connection = slot.connection.take()?;
        slot.turn = slot.turn.wrapping_add(1);
        self.free.push(route.place());
        if let Way::Local(mailbox) = &connection.way {
            self.locals.remove(&mailbox.number());
        }
        Some(connection)
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.slots.iter_mut().filter_map(|slot| slot.connection.as_deref_mut())
    }

    /// Writes what waits. Whether something still waits.
    pub(super) fn flush(&mut self) -> bool {
        self.all().fold(false, |waiting, connection| {
            let written = connection.write();
            waiting | matches!(written, Ok(false))
        })
    }

    /// Ends the writing of all connections. Their peers read the end, and close them.
    pub(super) fn end_writing(&mut self) {
        for connection in self.all() {
            match &mut connection.way {
                Way::Local(mailbox) => mailbox.close(),
                Way::Remote(remote) => remote.stream.end_writing(),
            }
        }
    }

    /// Reads all connections again, those that were paused and those that waited for room. Returns those that were not
    /// listed.
    pub(super) fn resume_all(&mut self) -> Vec<Route> {
        let mut routes = Vec::new();
        for (place, slot) in self.slots.iter_mut().enumerate() {
            let route = Route::new(place, slot.turn);
            if let Some(connection) = slot.connection.as_deref_mut() {
                connection.pause(false);
                routes.extend(connection.begins().then_some(route));
            }
        }
        routes
    }

    /// Whether there is a connection to another process.
    pub(super) fn has_remote(&self) -> bool {
        let mut all = self.slots.iter().filter_map(|slot| slot.connection.as_deref());
        all.any(|connection| matches!(connection.way, Way::Remote(_)))
    }
}

impl Connection {
    pub(super) fn new(stream: Accepted, side: &ServerSide) -> io::Result<Self> {
        let host = stream.host().map(Arc::from);
        let wire = side.wire()?;
        let remote =
            Remote { stream, wire, drained: false, closing: false, failed: false, broken: false };
        let way = Way::Remote(Box::new(remote));
        Ok(Connection {
            way,
            identity: Identity::anonymous(),
            host,
            listed: true,
            paused: false,
            held: VecDeque::new(),
            begun: None,
            asked: false,
            has_left: false,
        })
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    pub(super) fn host(&self) -> Option<&Arc<str>> {
        self.host.as_ref()
    }

    /// Whether the handshake was over once, even if the connection has ended since.
    pub(super) fn was_ready(&self) -> bool {
        match &self.way {
            Way::Remote(remote) => remote.wire.was_ready(),
            Way::Local(_) => true,
        }
    }

    /// Whether something waits to be written.
    pub(super) fn has_output(&self) -> bool {
        match &self.way {
            Way::Remote(remote) => remote.wire.has_output(),
            Way::Local(_) => false,
        }
    }

    /// Whether it takes messages. One whose peer has left before the first of them never does: what a worker said before it
    /// gave this broker up may have waited here until now, and calls that are sent to it would count as given to a worker.
    /// A peer that leaves later may have sent replies, which are read first.
    pub(super) fn takes_messages(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.asked, true);
        match &self.way {
            Way::Remote(remote) if remote.broken || !remote.wire.is_ready() => return false,
            Way::Remote(remote) if first => {
                self.has_left = remote.closing || remote.stream.has_ended();
            }
            Way::Local(mailbox) if first => self.has_left = mailbox.has_left(),
            _ => {}
        }
        !self.has_left
    }

    /// The connection may have input. Whether it is to be listed: it is not yet.
    pub(super) fn begins(&mut self) -> bool {
        if let Way::Remote(remote) = &mut self.way {
            // More came after the last read.
            remote.drained = false;
        }
        !std::mem::replace(&mut self.listed, true)
    }

    /// Whether the connection is not read now.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether a part of a message is there.
    pub(super) fn has_part(&self) -> bool {
        matches!(&self.way, Way::Remote(remote) if remote.wire.part().came > 0)
    }

    /// Stops reading the connection, or reads it again. Returns the messages to receive next.
    pub(super) fn pause(&mut self, paused: bool) -> VecDeque<InPacket> {
        self.paused = paused;
        if paused { VecDeque::new() } else { std::mem::take(&mut self.held) }
    }

    /// Keeps a message of a paused peer of this process.
    pub(super) fn hold(&mut self, packet: InPacket) {
        self.held.push_back(packet);
    }

    /// The queue of a peer of this process.
    pub(super) fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        match &self.way {
            Way::Local(mailbox) => Some(mailbox),
            Way::Remote(_) => None,
        }
    }

    /// The peer has closed its side, or the connection has `failed`. `true`: this was not known, and the handshake is over.
    pub(super) fn is_closing(&mut self, failed: bool) -> bool {
        let Way::Remote(remote) = &mut self.way else { return false };
        remote.failed |= failed;
        !std::mem::replace(&mut remote.closing, true) && remote.wire.was_ready()
    }

    /// Whether the peer has closed its side, and the connection is not read to find that end. What the peer sent before
    /// has no receiver for its replies.
    pub(super) fn ends_unread(&self) -> bool {
        self.paused && matches!(&self.way, Way::Remote(remote) if remote.closing)
    }

    /// The connection has no input any more.
    pub(super) fn rests(&mut self) {
        self.listed = false;
    }

    /// The large message that the connection has begun.
    pub(super) fn begun(&mut self) -> &mut Begun {
        &mut self.begun
    }

    /// The next message. `None`: nothing is there now, or nothing more may be read now.
    ///
    /// # Errors
    ///
    /// The connection is over, for this reason.
    pub(super) fn next(
        &mut self,
        route: Route,
        scratch: &mut [u8],
        mut admission: Option<&mut Admission>,
        incomplete: &mut Incomplete<Route>,
    ) -> Result<Option<InPacket>, String> {
        let Way::Remote(remote) = &mut self.way else { return Ok(None) };
        loop {
            match remote.wire.next() {
                Ok(Some(Event::Message(packet))) => {
                    incomplete.is_complete(&mut self.begun, route, remote.wire.part());
                    return Ok(Some(packet));
                }
                Ok(Some(Event::Asks(key))) => {
                    // Only a router with keys is asked, and it has a list.
                    let host = self.host.as_deref();
                    let admitted =
                        admission.as_mut().is_some_and(|admission| admission.admits(host, &key));
                    if admitted {
                        self.identity = Identity::of_key(*key.as_bytes());
                    }
                    remote.wire.admit(admitted);
                    remote.write();
                }
                Ok(Some(Event::Ready | Event::Subscription { .. })) => remote.write(),
                Ok(None) => {
                    remote.write();
                    if !incomplete.may_read(&mut self.begun, route, remote.wire.part()) {
                        return if remote.failed { Err(CLOSED.into()) } else { Ok(None) };
                    }
                    if !remote.read(scratch)? {
                        remote.wire.release();
                        return Ok(None);
                    }
                }
                Err(error) => {
                    remote.write();
                    return Err(error.to_string());
                }
            }
        }
    }

    /// Reads and drops what is there. `false`: the connection is over.
    pub(super) fn drain(&mut self, scratch: &mut [u8]) -> bool {
        let Way::Remote(remote) = &mut self.way else { return true };
        loop {
            match remote.stream.read(scratch) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    pub(super) fn put(&mut self, packet: &mut OutPacket, with: Option<Box<dyn Send>>) {
        match &mut self.way {
            Way::Remote(remote) => remote.wire.put(packet, with),
            Way::Local(mailbox) => mailbox.post(packet.take(), with),
        }
    }

    pub(super) fn put_frames<'a>(
        &mut self,
        heads: impl Iterator<Item = &'a [u8]>,
        body: &'a [Bytes],
        with: Option<Box<dyn Send>>,
    ) {
        match &mut self.way {
            Way::Remote(remote) => remote.wire.put_frames(heads, body, with),
            Way::Local(mailbox) => {
                let mut all = heads.map(Bytes::copy_from_slice).chain(body.iter().cloned());
                let first = all.next().unwrap_or_default();
                mailbox.post(InPacket { first, frames: all.collect() }, with);
            }
        }
    }

    /// Writes what waits, as far as the connection takes it. `true`: nothing waits.
    pub(super) fn write(&mut self) -> io::Result<bool> {
        match &mut self.way {
            Way::Remote(remote) if remote.broken => Err(ErrorKind::BrokenPipe.into()),
            Way::Remote(remote) => {
                let Remote { stream, wire, .. } = &mut **remote;
                let written = wire.write(stream);
                remote.broken = written.is_err();
                written
            }
            Way::Local(_) => Ok(true),
        }
    }

    /// The router ends the connection.
    pub(super) fn close(&mut self, registry: &Registry) {
        match &mut self.way {
            Way::Remote(remote) => remote.stream.deregister(registry),
            Way::Local(mailbox) => mailbox.close(),
        }
    }
}

impl Remote {
    /// Reads what is there. `false`: nothing.
    fn read(&mut self, scratch: &mut [u8]) -> Result<bool, String> {
        if std::mem::take(&mut self.drained) && !self.closing {
            return Ok(false);
        }
        loop {
            let window = self.wire.window();
            let has_window = window.is_some();
            let place = window.unwrap_or(&mut *scratch);
            let room = place.len();
            match self.stream.read(place) {
                Ok(0) => return Err(CLOSED.into()),
                Ok(read) => {
                    self.drained = read < room;
                    match has_window {
                        true => self.wire.came(read),
                        false => self.wire.feed(scratch.get(..read).unwrap_or_default()),
                    }
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Writes what waits; if that fails, the next read tells why.
    fn write(&mut self) {
        self.broken |= self.wire.write(&mut self.stream).is_err();
    }
}
