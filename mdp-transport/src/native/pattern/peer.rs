//! One peer of a socket: its connection, what it has sent, and what waits for it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use mdp_zmtp::Config;
use tokio::time::{Instant, Sleep, sleep};

use super::super::admission::Admission;
use super::super::stream::Stream;
use super::super::wire::{Event, Wire};
use super::ending::Ending;
use super::message::Message;
use super::pipe::{Item, Pipe};
use crate::pattern_types::PatternMessage;

/// A peer's messages are turned into bytes while fewer than these wait to be written. All others stay as they are, and
/// share their memory with the same messages for other peers.
const ENCODED: usize = 32 * 1024;

/// The time for the rest of what a peer has sent, when its connection takes nothing more. Usually the end comes at once.
const LEFT: Duration = Duration::from_secs(1);

/// A new connection.
pub(super) enum Found {
    Remote(Stream),
    Local(Pipe),
}

/// What a peer has done.
pub(super) enum News {
    /// Its handshake is over.
    Joined,
    Message(PatternMessage),
    Subscription {
        topic: Bytes,
        add: bool,
    },
}

pub(super) struct Peer {
    way: Way,
    /// The number of the connection.
    number: u64,
    waker: Waker,
    host: Option<Arc<str>>,
    /// The place of the link that has made the connection.
    link: Option<usize>,
    /// Ends a handshake that takes too long, and a connection that takes nothing more.
    until: Option<Pin<Box<Sleep>>>,
    joined: Option<Instant>,
    /// The connection takes nothing more.
    is_broken: bool,
    /// Received messages.
    inbox: VecDeque<PatternMessage>,
    /// The inbox was full when the connection was read.
    is_held: bool,
    /// Messages to send.
    queue: VecDeque<Message>,
    /// The most messages in the inbox, and in the queue.
    max: usize,
    /// Messages that found no room in the queue.
    lost: u64,
    listed: Listed,
    /// The number of the last message that was offered to this peer.
    offered: u64,
}

enum Way {
    Remote(Box<(Stream, Wire)>),
    Local(Pipe),
    /// The connection is over. Only received messages are left.
    Over,
}

/// The lists of the socket in which the peer is.
#[derive(Default)]
pub(super) struct Listed {
    /// Those with a message to receive.
    pub(super) readable: bool,
    /// Those that take a message.
    pub(super) roomy: bool,
    /// Those with something new to write.
    pub(super) dirty: bool,
    /// Those that are not read until there is room for notices.
    pub(super) held: bool,
}

impl Peer {
    /// Begins a connection. Its handshake must end within this time.
    pub(super) fn new(
        found: Found,
        number: u64,
        config: &Arc<Config>,
        handshake: Duration,
        waker: Waker,
        link: Option<usize>,
        max: usize,
    ) -> io::Result<Self> {
        let (way, host, until) = match found {
            Found::Remote(stream) => {
                let host = stream.host().map(Arc::from);
                let way = Way::Remote(Box::new((stream, Wire::new(config)?)));
                (way, host, Some(Box::pin(sleep(handshake))))
            }
            Found::Local(pipe) => (Way::Local(pipe), None, None),
        };
        Ok(Peer {
            way,
            number,
            waker,
            host,
            link,
            until,
            joined: None,
            is_broken: false,
            inbox: VecDeque::new(),
            is_held: false,
            queue: VecDeque::new(),
            max,
            lost: 0,
            listed: Listed::default(),
            offered: 0,
        })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn host(&self) -> Option<&Arc<str>> {
        self.host.as_ref()
    }

    /// The link that has made the connection.
    pub(super) fn link(&self) -> Option<usize> {
        self.link
    }

    /// When the handshake was over. `None`: it is not.
    pub(super) fn joined(&self) -> Option<Instant> {
        self.joined
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.way, Way::Over)
    }

    pub(super) fn listed(&mut self) -> &mut Listed {
        &mut self.listed
    }

    /// Messages that found no room in the queue.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    pub(super) fn loses(&mut self) {
        self.lost += 1;
    }

    /// Whether the message of this number was offered to the peer before. It counts as offered from now on.
    pub(super) fn was_offered(&mut self, number: u64) -> bool {
        std::mem::replace(&mut self.offered, number) == number
    }

    /// The handshake is over. `kept` comes first in the queue.
    pub(super) fn join(&mut self, kept: VecDeque<Message>) {
        (self.joined, self.queue) = (Some(Instant::now()), kept);
        if !self.is_broken {
            self.until = None;
        }
    }

    /// Looks at the connection again, soon.
    pub(super) fn wake(&self) {
        self.waker.wake_by_ref();
    }

    /// Whether the queue takes a message.
    pub(super) fn has_room(&self) -> bool {
        self.joined.is_some() && !self.is_broken && !self.is_over() && self.queue.len() < self.max
    }

    /// Adds a message to the queue.
    pub(super) fn put(&mut self, message: Message) {
        self.queue.push_back(message);
    }

    /// Sends a subscription.
    pub(super) fn subscribe(&mut self, topic: &Bytes, add: bool) {
        match &mut self.way {
            Way::Remote(parts) => parts.1.subscribe(topic, add),
            Way::Local(pipe) => pipe.subscribe(topic.clone(), add),
            Way::Over => {}
        }
    }

    /// Writes what waits, as far as the connection takes it.
    pub(super) fn flush(&mut self) {
        let mut cx = Context::from_waker(&self.waker);
        match &mut self.way {
            Way::Remote(parts) if !self.is_broken => {
                if let Err(error) = write(&mut cx, parts, &mut self.queue) {
                    tracing::debug!(%error, "a connection takes nothing more");
                    self.is_broken = true;
                    self.until = Some(Box::pin(sleep(LEFT)));
                    parts.1.stop_writing();
                    self.waker.wake_by_ref();
                }
            }
            Way::Local(pipe) => {
                while let Some(message) = self.queue.pop_front() {
                    if let Err(message) = pipe.send(message, &cx) {
                        self.queue.push_front(message);
                        return;
                    }
                }
            }
            Way::Remote(_) | Way::Over => {}
        }
    }

    /// The next thing that the peer has done. Pending: the peer is woken when there is more, or its inbox is full.
    pub(super) fn next(
        &mut self,
        mut admission: Option<&mut Admission>,
    ) -> Poll<Result<News, Ending>> {
        if self.inbox.len() >= self.most_received() {
            self.is_held = true;
            return Poll::Pending;
        }
        let mut cx = Context::from_waker(&self.waker);
        if let Some(until) = &mut self.until
            && until.as_mut().poll(&mut cx).is_ready()
        {
            let is_over = self.joined.is_some();
            return Poll::Ready(Err(if is_over { Ending::Closed } else { Ending::HandshakeTime }));
        }
        match &mut self.way {
            Way::Over => Poll::Pending,
            Way::Local(_) if self.joined.is_none() => Poll::Ready(Ok(News::Joined)),
            Way::Local(pipe) => Poll::Ready(match ready!(pipe.poll_receive(&cx)) {
                Some(Item::Message(message)) => Ok(News::Message(message.into())),
                Some(Item::Subscription { topic, add }) => Ok(News::Subscription { topic, add }),
                None => Err(Ending::Closed),
            }),
            Way::Remote(parts) => loop {
                match parts.1.next() {
                    Ok(Some(Event::Message(packet))) => {
                        return Poll::Ready(Ok(News::Message(packet.into())));
                    }
                    Ok(Some(Event::Subscription { topic, add })) => {
                        return Poll::Ready(Ok(News::Subscription { topic, add }));
                    }
                    Ok(Some(Event::Ready)) => return Poll::Ready(Ok(News::Joined)),
                    Ok(Some(Event::Asks(key))) => {
                        // Only a socket with keys is asked, and it has a list.
                        let host = self.host.as_deref();
                        let admitted =
                            admission.as_mut().is_some_and(|list| list.admits(host, &key));
                        parts.1.admit(admitted);
                    }
                    Ok(None) => {
                        // Answers of the protocol.
                        if !self.is_broken && write(&mut cx, parts, &mut self.queue).is_err() {
                            self.is_broken = true;
                            self.until = Some(Box::pin(sleep(LEFT)));
                            parts.1.stop_writing();
                            self.waker.wake_by_ref();
                        }
                        let (stream, wire) = &mut **parts;
                        match wire.poll_read(&mut cx, stream) {
                            Poll::Ready(Ok(())) => {}
                            Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                            Poll::Pending => {
                                wire.release();
                                return Poll::Pending;
                            }
                        }
                    }
                    Err(error) => {
                        // The last words are for the other side. If they cannot be written, it has gone.
                        let (stream, wire) = &mut **parts;
                        let _ = wire.write(&mut &*stream);
                        return Poll::Ready(Err(Ending::Protocol(error)));
                    }
                }
            },
        }
    }

    /// The most messages in the inbox. Within the process the pipe holds the others.
    fn most_received(&self) -> usize {
        match &self.way {
            Way::Remote(_) => self.max,
            Way::Local(_) | Way::Over => 1,
        }
    }

    /// Adds a received message.
    pub(super) fn receive(&mut self, message: PatternMessage) {
        self.inbox.push_back(message);
    }

    pub(super) fn has_messages(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Takes the next received message.
    pub(super) fn take(&mut self) -> Option<PatternMessage> {
        self.inbox.pop_front()
    }

    /// Whether the connection is to be read again: it was not because of a full inbox, which has room now.
    pub(super) fn resumes(&mut self) -> bool {
        let resumes = self.is_held && self.inbox.len() <= self.most_received() / 2;
        self.is_held &= !resumes;
        resumes
    }

    /// Ends the connection. Received messages stay. Returns the messages that were not sent.
    pub(super) fn end(&mut self) -> VecDeque<Message> {
        (self.way, self.until, self.link) = (Way::Over, None, None);
        std::mem::take(&mut self.queue)
    }

    /// Ends the connection after its messages: the stream, and all that waits to be written to it.
    pub(super) fn into_closing(self) -> Option<(Stream, Wire)> {
        if self.joined.is_none() || self.is_broken {
            return None;
        }
        let mut queue = self.queue;
        match self.way {
            Way::Remote(parts) => {
                let (stream, mut wire) = *parts;
                queue.drain(..).for_each(|message| encode(&mut wire, &message));
                Some((stream, wire))
            }
            Way::Local(pipe) => {
                queue.drain(..).for_each(|message| pipe.send_last(message));
                None
            }
            Way::Over => None,
        }
    }
}

/// Writes what waits, as far as the stream takes it. If it does not take all, the task is woken when it takes more.
fn write(
    cx: &mut Context<'_>,
    parts: &mut (Stream, Wire),
    queue: &mut VecDeque<Message>,
) -> io::Result<()> {
    let (stream, wire) = parts;
    loop {
        while wire.is_ready()
            && wire.waiting() < ENCODED
            && let Some(message) = queue.pop_front()
        {
            encode(wire, &message);
        }
        if !wire.has_output() {
            return Ok(());
        }
        if !wire.write(&mut &*stream)? {
            match stream.poll_write_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return Ok(()),
            }
        }
    }
}

fn encode(wire: &mut Wire, message: &Message) {
    let Message { topic, record } = message;
    match topic {
        None => wire.put_frames(std::iter::empty(), std::slice::from_ref(record), None),
        Some(topic) => {
            wire.put_frames(std::iter::empty(), &[topic.clone(), record.clone()], None);
        }
    }
}
