//! A socket of one of the patterns, as its task sees it.

use bytes::Bytes;
use tokio::io::unix::AsyncFd;

use super::error::RecvError;
use super::reconnect::Step;
use super::topic::Topic;
use crate::transport::libzmq::frame::{self, Polled};
use crate::pack::retry_interrupted;

/// A message as it travels.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// `None` where messages have none.
    pub(super) topic: Option<Bytes>,
    pub(super) record: Bytes,
}

/// What a message is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) topics: bool,
    /// The most bytes of a frame.
    pub(super) most: usize,
}

pub(super) struct Socket {
    polled: AsyncFd<Polled>,
    layout: Layout,
}

impl Socket {
    /// Must be called on tokio.
    pub(super) fn new(socket: zmq::Socket, layout: Layout) -> zmq::Result<Self> {
        Ok(Socket { polled: frame::polled(socket)?, layout })
    }

    pub(super) fn into_socket(self) -> zmq::Socket {
        self.polled.into_inner().socket
    }

    /// The next message, if one is there.
    pub(super) fn receive(&mut self) -> zmq::Result<Option<Result<Parts, RecvError>>> {
        let Some(first) = self.frame()? else { return Ok(None) };
        let mut frames = 1;
        let mut more = first.get_more();
        let mut second = None;
        while more {
            // The frames of a message come together. What is too much is dropped here, one after another.
            let Some(next) = self.frame()? else { break };
            more = next.get_more();
            frames += 1;
            second.get_or_insert(next);
        }
        Ok(Some(self.layout.parts(first, second, frames)))
    }

    /// The next word of a subscriber to a publisher: 1 and the topic that it subscribes to, for instance.
    pub(super) fn notice(&mut self) -> zmq::Result<Option<Bytes>> {
        Ok(self.frame()?.map(frame::bytes))
    }

    fn frame(&self) -> zmq::Result<Option<zmq::Message>> {
        match retry_interrupted(|| self.polled.get_ref().socket.recv_msg(zmq::DONTWAIT)) {
            Ok(frame) => Ok(Some(frame)),
            Err(zmq::Error::EAGAIN) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a message. `false`: there is no room for it.
    pub(super) fn send(&mut self, parts: &Parts) -> zmq::Result<bool> {
        let socket = &mut self.polled.get_mut().socket;
        let mut share = |frame: &Bytes, flags| {
            retry_interrupted(|| frame::send_shared(socket, frame.clone(), zmq::DONTWAIT | flags))
        };
        let sent = match &parts.topic {
            None => share(&parts.record, 0),
            Some(topic) => match share(topic, zmq::SNDMORE) {
                // libzmq takes the rest of a message whose first frame it took.
                Ok(()) => return share(&parts.record, 0).map(|()| true),
                refused => refused,
            },
        };
        match sent {
            Ok(()) => Ok(true),
            Err(zmq::Error::EAGAIN) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a message to those subscribers that have room for it. `false`: one has none.
    pub(super) fn publish(&mut self, parts: &Parts) -> zmq::Result<bool> {
        if self.send(parts)? {
            return Ok(true);
        }
        self.refuse_if_full(false)?;
        let sent = self.send(parts);
        self.refuse_if_full(true)?;
        sent.map(|_| false)
    }

    /// Whether a message is refused that one of those it is for has no room for.
    pub(super) fn refuse_if_full(&mut self, refuse: bool) -> zmq::Result<()> {
        let socket = &mut self.polled.get_mut().socket;
        frame::set_xpub_nodrop(socket, refuse)
    }

    pub(super) fn subscribe(&mut self, topic: &[u8], add: bool) -> zmq::Result<()> {
        let socket = &self.polled.get_ref().socket;
        if add { socket.set_subscribe(topic) } else { socket.set_unsubscribe(topic) }
    }

    /// Waits until one of these events is there.
    pub(super) async fn ready(&mut self, wanted: zmq::PollEvents) -> zmq::Result<()> {
        ready(&mut self.polled, wanted).await
    }

    /// Tells of these events there, in place of any others.
    pub(super) fn monitor(&mut self, place: &str, events: i32) -> zmq::Result<()> {
        self.polled.get_ref().socket.monitor(place, events)
    }

    /// Binds an endpoint, and gives it with the port that it took.
    pub(super) fn bind(&mut self, endpoint: &str) -> zmq::Result<String> {
        let socket = &self.polled.get_ref().socket;
        // With it, libzmq shows an IPv4 address in IPv6's form.
        socket.set_ipv6(endpoint.contains('['))?;
        socket.bind(endpoint)?;
        Ok(socket.get_last_endpoint()?.unwrap_or_else(|_| endpoint.to_owned()))
    }

    /// Connects to an endpoint.
    pub(super) fn connect(&mut self, endpoint: &str) -> zmq::Result<()> {
        let socket = &self.polled.get_ref().socket;
        // With it, libzmq looks names up as IPv6 only, and `localhost` would miss most peers.
        socket.set_ipv6(endpoint.contains('['))?;
        socket.connect(endpoint)
    }

    /// Begins anew with an endpoint, or ends with it.
    pub(super) fn step(&mut self, step: Step, endpoint: &str) -> zmq::Result<()> {
        match step {
            Step::Disconnect => self.polled.get_ref().socket.disconnect(endpoint),
            Step::Connect => self.connect(endpoint),
        }
    }
}

/// Waits until one of these events is there.
pub(super) async fn ready(
    polled: &mut AsyncFd<Polled>,
    wanted: zmq::PollEvents,
) -> zmq::Result<()> {
    loop {
        if polled.get_ref().socket.get_events()?.intersects(wanted) {
            return Ok(());
        }
        let mut guard = polled.readable_mut().await.map_err(|_| zmq::Error::ETERM)?;
        // First forget the edge, then look: an edge in between is a new one.
        guard.clear_ready();
    }
}

impl Layout {
    /// The parts of a message that came, of which there are `frames`.
    fn parts(
        self,
        first: zmq::Message,
        second: Option<zmq::Message>,
        frames: usize,
    ) -> Result<Parts, RecvError> {
        let expected = if self.topics { 2 } else { 1 };
        let (first, second) = (frame::bytes(first), second.map(frame::bytes));
        // Of a topic that is too long an error has nothing: it may be kept for long.
        let topic = (self.topics && first.len() <= self.most).then(|| Topic::from(first.clone()));
        match (self.topics, second) {
            _ if frames != expected => Err(RecvError::Frames { topic, expected, found: frames }),
            (true, Some(record)) => {
                self.check(&first, None)?;
                self.check(&record, topic)?;
                Ok(Parts { topic: Some(first), record })
            }
            _ => {
                self.check(&first, None)?;
                Ok(Parts { topic: None, record: first })
            }
        }
    }

    fn check(self, frame: &Bytes, topic: Option<Topic>) -> Result<(), RecvError> {
        match frame.len() > self.most {
            true => Err(RecvError::TooLarge { topic, bytes: frame.len(), most: self.most }),
            false => Ok(()),
        }
    }
}
