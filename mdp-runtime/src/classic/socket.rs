//! A socket of classic MDP: messages in both directions, and a queue of messages that wait for room.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use mdp_protocol::Limits;
use mdp_protocol::wire::classic::{self, Command, Form};

use crate::peer::ConnectOptions;
use mdp_transport::{Closing, Dealer, InPacket, SocketError};

pub(crate) struct Socket {
    link: Dealer,
    form: Form,
    /// Messages for which the socket had no room.
    out: VecDeque<Vec<Bytes>>,
    /// A message was sent or received since the last check of the socket.
    touched: bool,
    /// Whether the socket was connected at the last check.
    connected: bool,
    /// Whether changes of the connection are reported.
    watched: bool,
}

impl Socket {
    /// Connects a worker's socket.
    pub(crate) fn connect(
        options: &ConnectOptions,
        endpoint: usize,
        form: Form,
    ) -> Result<Self, SocketError> {
        Ok(Socket::new(Socket::link(options, endpoint, false)?, form, false))
    }

    /// Connects a client's socket, which reports changes of its connection.
    pub(crate) fn watched(
        options: &ConnectOptions,
        endpoint: usize,
        form: Form,
    ) -> Result<Self, SocketError> {
        Ok(Socket::new(Socket::link(options, endpoint, true)?, form, true))
    }

    fn link(
        options: &ConnectOptions,
        number: usize,
        immediate: bool,
    ) -> Result<Dealer, SocketError> {
        let endpoint = options.endpoints.get(number).ok_or_else(SocketError::no_endpoint)?;
        let keys = options.keys.as_ref().map(|keys| (keys, number));
        Dealer::connect_classic(&options.context, endpoint, keys, immediate)
    }

    fn new(link: Dealer, form: Form, watched: bool) -> Self {
        Socket { link, form, out: VecDeque::new(), touched: true, connected: false, watched }
    }

    /// Moves the socket to the tokio runtime of the caller.
    pub(crate) fn moved(self) -> Result<Self, SocketError> {
        Ok(Socket { link: self.link.moved()?, touched: true, ..self })
    }

    /// Ends the socket after it has written its messages.
    pub(crate) fn into_closing(self) -> Closing {
        self.link.into_closing()
    }

    /// Queues a message. [`flush`](Self::flush) sends it as soon as the socket has room.
    pub(crate) fn say(&mut self, command: Command<'_>, body: Vec<Bytes>) {
        let mut frames = Vec::with_capacity(body.len() + 5);
        classic::put(self.form, command, |frame| frames.push(Bytes::copy_from_slice(frame)));
        frames.extend(body);
        self.out.push_back(frames);
    }

    /// Returns the number of messages that wait for room.
    pub(crate) fn waiting(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn flush(&mut self) -> Result<(), SocketError> {
        while let Some(frames) = self.out.front() {
            self.touched = true;
            if !self.link.send_frames(frames)? {
                break;
            }
            self.out.pop_front();
        }
        Ok(())
    }

    /// Receives the frames of the next message, if there is one.
    pub(crate) fn receive(&mut self, limits: &Limits) -> Result<Option<Vec<Bytes>>, SocketError> {
        self.touched = true;
        Ok(self.link.receive(limits)?.map(InPacket::into_frames))
    }

    pub(crate) fn is_readable(&mut self) -> bool {
        self.touched = true;
        self.link.is_readable()
    }

    /// Whether there is a connection; only for a [`watched`](Self::watched) socket. After this call, a change of the
    /// connection ends the wait.
    pub(crate) fn look_whether_connected(&mut self) -> bool {
        self.touched = true;
        self.connected = self.link.look().1;
        self.connected
    }

    /// Waits for a message, for room for a waiting message, or for a change of the connection.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if std::mem::take(&mut self.touched) && self.has_news() {
                self.touched = true;
                return Poll::Ready(());
            }
            ready!(self.link.poll_sign(cx));
            self.touched = true;
        }
    }

    fn has_news(&self) -> bool {
        let (readable, room) = self.link.look();
        readable || (room && !self.out.is_empty()) || (self.watched && room != self.connected)
    }
}
