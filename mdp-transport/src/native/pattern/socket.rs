//! The socket of a pattern.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use mdp_zmtp as zmtp;
use mdp_zmtp::{Config, Mechanism};

use super::super::address::Address;
use super::super::admission::Admission;
use super::super::closing::Closing;
use super::super::handshakes::Handshakes;
use super::super::inproc::Hub;
use super::super::open_files::OpenFiles;
use super::super::wire::{CLIENT_HANDSHAKE_MS, SERVER_HANDSHAKE_MS, zmtp_keys};
use super::ending::Ending;
use super::link::{Link, Target};
use super::listener::Listener;
use super::message::{Message, socket_type};
use super::peer::{Found, News, Peer};
use super::pipe::Door;
use super::places::Places;
use super::signals::{Part, Signals};
use super::subscribers::Subscribers;
use super::topics::Subscriptions;
use crate::ClientKeys;
use crate::error::{Operation, SocketError};
use crate::log_limit::LogLimit;
use crate::pattern_types::{Lost, Pattern, PatternMessage, PatternSettings, Wanted};
use crate::security::{AllowList, KeyPair};

/// A connection that has lasted so long has worked. After others, the pause before the next attempt grows.
const PROVEN: Duration = Duration::from_secs(1);
/// Frames beyond the second one are counted and dropped, so that the sender's mistake can be told. A message with more
/// frames than these ends its connection.
const FRAMES: usize = 16_384;
/// The frames of a message that may be as large as a frame can be.
const LARGE_FRAMES: usize = 2;
/// What is done for one part of the socket before it is the turn of the others.
const TURN: usize = 256;
/// The shortest time between two log lines about peers that break rules.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// The first byte of a message of ZMTP 3.0 that adds a subscription, and of one that takes it back.
const SUBSCRIBES: u8 = 1;
const CANCELS: u8 = 0;

/// The keys of one side.
pub(crate) enum Keys<'a> {
    /// This side connects to one server.
    Client(&'a ClientKeys),
    /// This side binds, and accepts the peers on this list.
    Server(&'a KeyPair, AllowList),
}

/// A socket of a pattern. Bytes move in [`ready`](Self::ready) and in [`drive`](Self::drive), and when a queue is full.
pub(crate) struct PatternSocket {
    pattern: Pattern,
    hub: Arc<Hub>,
    config: Arc<Config>,
    /// This side connects with keys.
    is_secure_client: bool,
    admission: Option<Admission>,
    /// The most messages that wait for each peer, and from each peer.
    max: usize,
    listeners: Vec<Listener>,
    links: Places<Link>,
    peers: Places<Box<Peer>>,
    /// Connections since the start.
    connections: u64,
    /// Handshakes of peers that have connected: their place, and the number of the connection. Each peer has a timer of
    /// its own.
    handshakes: Handshakes<(usize, u64)>,
    signals: Signals,
    /// The parts with news, while they are looked at.
    due: Vec<Part>,
    /// Peers with a message to receive.
    readable: VecDeque<usize>,
    /// Peers with room for a message. The next message is for the first one.
    roomy: VecDeque<usize>,
    /// Peers with something new to write.
    dirty: Vec<usize>,
    /// For a subscriber.
    subscriptions: Subscriptions,
    /// For a publisher.
    publishing: Option<Publishing>,
    /// For a pair: the other side.
    other: Option<usize>,
    log: LogLimit,
}

struct Publishing {
    subscribers: Subscribers,
    /// Peers that are not read until there is room for their notices.
    held: Vec<usize>,
    /// The number of the last message.
    number: u64,
    /// The peers of the last message.
    chosen: Vec<usize>,
    /// What all subscribers have lost.
    lost: u64,
    /// A message is refused if one of its subscribers has no room for it.
    refuses: bool,
    log: LogLimit,
}

impl PatternSocket {
    /// Makes a socket that is neither bound nor connected.
    pub(crate) fn new(
        hub: &Arc<Hub>,
        pattern: Pattern,
        settings: &PatternSettings,
        keys: Option<Keys<'_>>,
    ) -> Result<Self, SocketError> {
        let (mechanism, allowed) = match keys {
            None => (Mechanism::Null, None),
            Some(Keys::Client(keys)) => {
                let server = keys.server(0).ok_or_else(SocketError::no_endpoint)?;
                let server = zmtp::PublicKey::new(*server.as_bytes());
                (Mechanism::CurveClient { own: zmtp_keys(keys.own()), server }, None)
            }
            Some(Keys::Server(keys, allowed)) => {
                (Mechanism::CurveServer(zmtp_keys(keys)), Some(allowed))
            }
        };
        let limits = zmtp::Limits {
            frame_bytes: settings.frame_bytes,
            message_frames: FRAMES,
            message_bytes: settings.frame_bytes.saturating_mul(LARGE_FRAMES),
            ..zmtp::Limits::default()
        };
        let is_secure_client = matches!(mechanism, Mechanism::CurveClient { .. });
        let config = Config::new(socket_type(pattern)).mechanism(mechanism).limits(limits);
        let publishing = (pattern == Pattern::Publisher).then(|| Publishing {
            subscribers: Subscribers::new(settings.verbose),
            held: Vec::new(),
            number: 0,
            chosen: Vec::new(),
            lost: 0,
            refuses: false,
            log: LogLimit::new(BETWEEN_LINES),
        });
        Ok(PatternSocket {
            pattern,
            hub: Arc::clone(hub),
            config: Arc::new(config),
            is_secure_client,
            admission: allowed.map(Admission::new),
            max: usize::try_from(settings.waiting).unwrap_or(usize::MAX).max(1),
            listeners: Vec::new(),
            links: Places::default(),
            peers: Places::default(),
            connections: 0,
            handshakes: Handshakes::new(OpenFiles::new().max()),
            signals: Signals::default(),
            due: Vec::new(),
            readable: VecDeque::new(),
            roomy: VecDeque::new(),
            dirty: Vec::new(),
            subscriptions: Subscriptions::default(),
            publishing,
            other: None,
            log: LogLimit::new(BETWEEN_LINES),
        })
    }

    /// Binds an endpoint. Returns the endpoint with its port.
    pub(crate) fn bind(&mut self, endpoint: &str) -> Result<String, SocketError> {
        let failed = |error| SocketError::of_system(Operation::Bind, Some(endpoint), error);
        let waker = self.signals.waker(Part::Listener(self.listeners.len()));
        let (listener, bound) = match endpoint.strip_prefix("inproc://") {
            None => Listener::bind(endpoint, waker).map_err(failed)?,
            Some(name) => {
                let door = Door::new(self.pattern, self.max);
                let name = self.hub.open(name, &door);
                let name = name.ok_or_else(|| failed(ErrorKind::AddrInUse.into()))?;
                (Listener::local(door, name, waker), endpoint.to_owned())
            }
        };
        listener.wake();
        self.listeners.push(listener);
        Ok(bound)
    }

    /// Connects to an endpoint, in the background, and again after each loss.
    pub(crate) fn connect(&mut self, endpoint: &str) -> Result<(), SocketError> {
        let address = Address::of(endpoint)
            .map_err(|error| SocketError::of_system(Operation::Connect, Some(endpoint), error))?;
        let (hub, pattern, max) = (Arc::clone(&self.hub), self.pattern, self.max);
        let target = Target { hub, address, endpoint: endpoint.into(), pattern, max };
        let waker = self.signals.waker(Part::Link(self.links.next()));
        self.links.add(Link::new(target, waker));
        Ok(())
    }

    /// Disconnects from an endpoint. Messages that wait for it are dropped.
    pub(crate) fn disconnect(&mut self, endpoint: &str) -> Result<(), SocketError> {
        let found = self.links.numbered().find(|(_, link)| link.endpoint() == endpoint);
        let Some(place) = found.map(|(place, _)| place) else {
            let error = io::Error::new(ErrorKind::NotFound, "this socket does not connect to it");
            return Err(SocketError::of_system(Operation::Connect, Some(endpoint), error));
        };
        self.links.remove(place);
        let peer = self.peers.numbered().find(|(_, peer)| peer.link() == Some(place));
        if let Some(peer) = peer.map(|(peer, _)| peer) {
            self.end(peer, &Ending::Disconnected);
        }
        Ok(())
    }

    /// Starts or ends a subscription.
    pub(crate) fn subscribe(&mut self, topic: &[u8], add: bool) {
        let topic = Bytes::copy_from_slice(topic);
        match add {
            true => self.subscriptions.add(&topic),
            false => {
                if !self.subscriptions.remove(&topic) {
                    return;
                }
            }
        }
        for (place, peer) in self.peers.numbered() {
            if peer.joined().is_some() {
                peer.subscribe(&topic, add);
                mark_dirty(peer, place, &mut self.dirty);
            }
        }
    }

    /// Sends a message. `false`: there is no room for it.
    pub(crate) fn send(
        &mut self,
        topic: Option<&Bytes>,
        record: &Bytes,
    ) -> Result<bool, SocketError> {
        let message = Message { topic: topic.cloned(), record: record.clone() };
        match self.pattern {
            Pattern::Publisher => {
                self.choose(&message);
                if self.publishing.as_ref().is_some_and(|all| all.refuses) && self.one_is_full() {
                    return Ok(false);
                }
                self.distribute(&message);
                Ok(true)
            }
            Pattern::Pusher | Pattern::Pair => Ok(self.push(message)),
            Pattern::Subscriber | Pattern::Puller => Err(SocketError::of_system(
                Operation::Use,
                None,
                io::Error::new(ErrorKind::Unsupported, "this side of the pattern only receives"),
            )),
        }
    }

    /// Sends a message to the subscribers that have room for it. `false`: at least one subscriber had no room.
    pub(crate) fn publish(&mut self, topic: Option<&Bytes>, record: &Bytes) -> bool {
        let message = Message { topic: topic.cloned(), record: record.clone() };
        self.choose(&message);
        self.distribute(&message)
    }

    /// Sets whether a message is refused if one of its subscribers has no room for it.
    pub(crate) fn refuse_if_full(&mut self, refuse: bool) {
        if let Some(publishing) = &mut self.publishing {
            publishing.refuses = refuse;
        }
    }

    /// Chooses the peers of a message, each once.
    fn choose(&mut self, message: &Message) {
        let Some(publishing) = &mut self.publishing else { return };
        let Publishing { subscribers, number, chosen, .. } = publishing;
        *number += 1;
        chosen.clear();
        for place in subscribers.of(message.topic()) {
            let peer = self.peers.get_mut(place);
            if peer.is_some_and(|peer| !peer.was_offered(*number)) {
                chosen.push(place);
            }
        }
    }

    /// Whether one of the chosen peers has no room.
    fn one_is_full(&mut self) -> bool {
        let Some(publishing) = &self.publishing else { return false };
        publishing.chosen.iter().any(|place| {
            let peer = self.peers.get_mut(*place);
            peer.is_some_and(|peer| !makes_room(peer))
        })
    }

    /// Sends a message to the chosen peers. `false`: at least one of them had no room.
    fn distribute(&mut self, message: &Message) -> bool {
        let Some(publishing) = &mut self.publishing else { return true };
        let before = publishing.lost;
        for place in &publishing.chosen {
            let Some(peer) = self.peers.get_mut(*place) else { continue };
            if makes_room(peer) {
                peer.put(message.clone());
                mark_dirty(peer, *place, &mut self.dirty);
            } else {
                peer.loses();
                publishing.lost += 1;
            }
        }
        publishing.lost == before
    }

    /// Gives a message to the next peer with room. `false`: there is none.
    fn push(&mut self, message: Message) -> bool {
        while let Some(place) = self.roomy.pop_front() {
            let Some(peer) = self.peers.get_mut(place) else { continue };
            peer.listed().roomy = false;
            if !makes_room(peer) {
                continue;
            }
            peer.put(message);
            mark_dirty(peer, place, &mut self.dirty);
            if !peer.has_room() {
                peer.flush();
            }
            self.offer(place);
            return true;
        }
        false
    }

    /// Lists a peer that has room.
    fn offer(&mut self, place: usize) {
        if !matches!(self.pattern, Pattern::Pusher | Pattern::Pair) {
            return;
        }
        let Some(peer) = self.peers.get_mut(place) else { return };
        if peer.has_room() && !std::mem::replace(&mut peer.listed().roomy, true) {
            self.roomy.push_back(place);
        }
    }

    /// Messages that each subscriber has lost, for those that are connected.
    pub(crate) fn losses(&self) -> Vec<Lost> {
        let losing = self.peers.iter().filter(|peer| peer.lost() > 0);
        losing.map(|peer| Lost { host: peer.host().cloned(), messages: peer.lost() }).collect()
    }

    /// Messages that all subscribers have lost, since the start.
    pub(crate) fn lost(&self) -> u64 {
        self.publishing.as_ref().map_or(0, |publishing| publishing.lost)
    }

    /// Receives the next message, if there is one. The peers take turns.
    pub(crate) fn receive(&mut self) -> Option<PatternMessage> {
        if self.readable.is_empty() {
            self.drive();
        }
        while let Some(place) = self.readable.pop_front() {
            let Some(peer) = self.peers.get_mut(place) else { continue };
            peer.listed().readable = false;
            let message = peer.take();
            let is_over = peer.is_over();
            if peer.has_messages() {
                peer.listed().readable = true;
                match is_over {
                    // What is left of a connection comes before what the next one brings.
                    true => self.readable.push_front(place),
                    false => self.readable.push_back(place),
                }
            } else if is_over {
                self.peers.remove(place);
            }
            if self.peers.get_mut(place).is_some_and(|peer| peer.resumes()) {
                self.serve(place);
            }
            if message.is_some() {
                return message;
            }
        }
        None
    }

    /// The next notice of a subscriber to a publisher. For instance, byte 1 and a topic mean a new subscription.
    pub(crate) fn notice(&mut self) -> Option<Bytes> {
        if self.publishing.as_ref().is_some_and(|all| !all.subscribers.has_notices()) {
            self.drive();
        }
        let publishing = self.publishing.as_mut()?;
        let notice = publishing.subscribers.notice()?;
        if publishing.subscribers.has_room() {
            for place in publishing.held.drain(..) {
                if let Some(peer) = self.peers.get_mut(place) {
                    peer.listed().held = false;
                    peer.wake();
                }
            }
        }
        Some(notice)
    }

    /// Waits for one of these events. Bytes move meanwhile in both directions.
    pub(crate) async fn ready(&mut self, wanted: Wanted) {
        poll_fn(|cx| {
            // A signal from now on wakes the task.
            self.signals.watch(cx);
            self.drive();
            let has_message = match &self.publishing {
                Some(publishing) => publishing.subscribers.has_notices(),
                None => !self.readable.is_empty(),
            };
            let is_ready = (wanted.message && has_message) || (wanted.room && self.has_room());
            if is_ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// A publisher has room always: it drops what does not fit.
    fn has_room(&self) -> bool {
        !self.roomy.is_empty() || self.pattern == Pattern::Publisher
    }

    /// Moves what can be moved without waiting.
    pub(crate) fn drive(&mut self) {
        self.flush();
        let mut due = std::mem::take(&mut self.due);
        // One look at each part: a part that is woken meanwhile has woken the task, too.
        self.signals.take(&mut due);
        for part in due.drain(..) {
            match part {
                Part::Listener(place) => self.accept(place),
                Part::Link(place) => self.follow(place),
                Part::Peer(place) => self.serve(place),
            }
        }
        self.due = due;
        self.flush();
    }

    /// Writes to the peers that have something new.
    fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for place in dirty.drain(..) {
            if let Some(peer) = self.peers.get_mut(place) {
                peer.listed().dirty = false;
                peer.flush();
                self.offer(place);
            }
        }
        self.dirty = dirty;
    }

    /// Accepts connections.
    fn accept(&mut self, place: usize) {
        for _ in 0..TURN {
            let Some(listener) = self.listeners.get_mut(place) else { return };
            let Poll::Ready(found) = listener.poll_accept() else { return };
            let peer = self.peers.next();
            match self.add(found, None) {
                Ok(()) => self.limit_handshakes(peer),
                Err(error) => tracing::warn!(%error, "a connection was not accepted"),
            }
        }
        if let Some(listener) = self.listeners.get(place) {
            listener.wake();
        }
    }

    /// Ends the handshake of another peer if this new one is one too many.
    fn limit_handshakes(&mut self, place: usize) {
        self.handshakes.begin(std::time::Instant::now(), (place, self.connections));
        let peers = &self.peers;
        let host = |(place, number)| {
            // The place may have another peer by now.
            let peer = peers.get(place).filter(|peer| peer.number() == number)?;
            peer.joined().is_none().then(|| peer.host())
        };
        for (surplus, _) in self.handshakes.surplus(host) {
            self.end(surplus, &Ending::Surplus);
        }
    }

    /// Takes a new connection of a link.
    fn follow(&mut self, place: usize) {
        let Some(link) = self.links.get_mut(place) else { return };
        let Poll::Ready(found) = link.poll() else { return };
        if let Err(error) = self.add(found, Some(place))
            && let Some(link) = self.links.get_mut(place)
        {
            link.fail(&error, VecDeque::new());
        }
    }

    fn add(&mut self, found: Found, link: Option<usize>) -> io::Result<()> {
        let place = self.peers.next();
        let waker = self.signals.waker(Part::Peer(place));
        let handshake = if link.is_some() { CLIENT_HANDSHAKE_MS } else { SERVER_HANDSHAKE_MS };
        let handshake = Duration::from_millis(handshake);
        self.connections += 1;
        let number = self.connections;
        let peer = Peer::new(found, number, &self.config, handshake, waker, link, self.max)?;
        self.peers.add(Box::new(peer));
        self.serve(place);
        Ok(())
    }

    /// Reads and writes the connection of a peer.
    fn serve(&mut self, place: usize) {
        if let Some(peer) = self.peers.get_mut(place) {
            peer.flush();
        }
        for _ in 0..TURN {
            let Some(peer) = self.peers.get_mut(place) else { return };
            if let Some(publishing) = &mut self.publishing
                && !publishing.subscribers.has_room()
            {
                if !std::mem::replace(&mut peer.listed().held, true) {
                    publishing.held.push(place);
                }
                return;
            }
            match peer.next(self.admission.as_mut()) {
                Poll::Pending => return self.offer(place),
                Poll::Ready(Ok(news)) => self.hear(place, news),
                Poll::Ready(Err(ending)) => return self.end(place, &ending),
            }
        }
        // The others come first.
        if let Some(peer) = self.peers.get_mut(place) {
            peer.wake();
        }
    }

    fn hear(&mut self, place: usize, news: News) {
        match news {
            News::Joined => self.join(place),
            News::Subscription { topic, add } => self.change(place, &topic, add),
            News::Message(message) => match self.pattern {
                Pattern::Publisher => match (message.first.split_first(), message.frames) {
                    (Some((&SUBSCRIBES, topic)), 1) => self.change(place, topic, true),
                    (Some((&CANCELS, topic)), 1) => self.change(place, topic, false),
                    _ => tracing::debug!("a subscriber has sent what is no subscription"),
                },
                Pattern::Subscriber if !self.subscriptions.wants(&message.first) => {}
                _ => {
                    let Some(peer) = self.peers.get_mut(place) else { return };
                    peer.receive(message);
                    if !std::mem::replace(&mut peer.listed().readable, true) {
                        self.readable.push_back(place);
                    }
                }
            },
        }
    }

    /// The handshake of a peer is over.
    fn join(&mut self, place: usize) {
        if self.pattern == Pattern::Pair && self.other.is_some() {
            return self.end(place, &Ending::Paired);
        }
        let Some(peer) = self.peers.get_mut(place) else { return };
        tracing::debug!(host = peer.host().map(|host| &**host), "connected");
        if self.pattern == Pattern::Pair {
            self.other = Some(place);
        }
        let link = peer.link().and_then(|link| self.links.get_mut(link));
        peer.join(link.map(Link::take_kept).unwrap_or_default());
        for topic in self.subscriptions.all() {
            peer.subscribe(topic, true);
        }
        mark_dirty(peer, place, &mut self.dirty);
        self.offer(place);
    }

    /// A peer changes its subscriptions.
    fn change(&mut self, place: usize, topic: &[u8], add: bool) {
        let Some(publishing) = &mut self.publishing else { return };
        if let Err(ending) = publishing.subscribers.change(place, topic, add) {
            self.end(place, &ending);
        }
    }

    /// Ends a connection. What came over it before is still received.
    fn end(&mut self, place: usize, ending: &Ending) {
        let Some(peer) = self.peers.get_mut(place).filter(|peer| !peer.is_over()) else { return };
        let (joined, link, lost) = (peer.joined(), peer.link(), peer.lost());
        let unsent = peer.end();
        let is_empty = !peer.has_messages();
        let host = peer.host().map(|host| &**host);
        tracing::debug!(host, reason = %ending, "connection ended");
        if lost > 0
            && let Some(publishing) = &mut self.publishing
            && let Some(others) = publishing.log.pass()
        {
            tracing::info!(host, lost, others, "a subscriber has gone that had lost messages");
        }
        if ending.is_fault()
            && joined.is_some()
            && let Some(others) = self.log.pass()
        {
            tracing::warn!(host, reason = %ending, others, "a peer broke the rules; its connection is closed");
        }
        if is_empty {
            self.peers.remove(place);
        }
        self.roomy.retain(|other| *other != place);
        if let Some(publishing) = &mut self.publishing {
            publishing.subscribers.leave(place);
        }
        if self.other == Some(place) {
            self.other = None;
        }
        let Some(link) = link.and_then(|link| self.links.get_mut(link)) else { return };
        // A publisher's messages are for those who listen now.
        let kept = if self.publishing.is_some() { VecDeque::new() } else { unsent };
        match joined {
            _ if ending.is_fault() => link.fail(ending, kept),
            // A server that does not know a key, or has another one itself, may close without a word.
            None if self.is_secure_client => link.fail(&Ending::Handshake, kept),
            joined => link.lose(joined.is_some_and(|since| since.elapsed() >= PROVEN), kept),
        }
    }

    /// Ends the socket after it has written its messages.
    pub(crate) fn into_closing(self) -> Closing {
        let PatternSocket { listeners, links, peers, .. } = self;
        drop((listeners, links));
        Closing::of(peers.into_values().filter_map(|peer| peer.into_closing()).collect())
    }
}

/// Whether a peer has room, perhaps after a write.
fn makes_room(peer: &mut Peer) -> bool {
    if !peer.has_room() {
        peer.flush();
    }
    peer.has_room()
}

fn mark_dirty(peer: &mut Peer, place: usize, dirty: &mut Vec<usize>) {
    if !std::mem::replace(&mut peer.listed().dirty, true) {
        dirty.push(place);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
