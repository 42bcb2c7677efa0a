//! The messages of a connection as bytes: ZMTP in both directions, and the bytes that wait.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use mdp_protocol::Limits;
use mdp_zmtp as zmtp;
use mdp_zmtp::{
    Config, Connection, Error, Mechanism, Part, Refusal, Seed, SocketType, SocketTypes, Time,
};
use tokio::io::ReadBuf;

use super::incomplete::MessagePart;
use super::outgoing::Outgoing;
use super::stream::Stream;
use crate::buffers;
use crate::packet::{InPacket, OutPacket};
use crate::security::{HandshakeFault, KeyPair, PublicKey};

/// The largest frame in bytes that a worker or a client accepts from a broker, and the most frames of a message.
const FRAME_BYTES: usize = 64 << 20;
const FRAMES: usize = 1_025;
/// The bytes that a task reads at once.
const READ: usize = 64 * 1024;
/// A frame of at least this many bytes is read into a buffer of its own.
const LARGE: usize = READ;
/// The first part of such a buffer. It grows with the bytes that come.
const FIRST_PART: usize = READ / 2;
/// The most memory that the announced length of a frame reserves. The rest comes with the bytes.
const MAX_RESERVED: usize = 4 << 20;
/// The time in which a client's handshake must end, in milliseconds.
pub(super) const CLIENT_HANDSHAKE_MS: u64 = 30_000;
/// The time in which a server's handshake must end, in milliseconds.
pub(super) const SERVER_HANDSHAKE_MS: u64 = 2_000;

thread_local! {
    /// The buffer into which the tasks of a thread read, one after another.
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

/// A connection: its protocol, its input that was not taken yet, its output that was not written yet.
pub(super) struct Wire {
    zmtp: Connection,
    input: BytesMut,
    /// A large frame that is being read. `input` is empty until it is complete.
    large: Option<Large>,
    /// No further event is in the input.
    parsed: bool,
    /// The handshake was over once, even if the connection has ended since.
    was_ready: bool,
    out: Outgoing,
    begun: Instant,
}

/// The body of a large frame.
struct Large {
    /// Unless it was used before, at most twice as long as what came, or [`FIRST_PART`].
    buffer: Vec<u8>,
    /// The memory that it has had from the start, because it was used before.
    reused: usize,
    /// What of it came.
    came: usize,
    /// The bytes of the body.
    all: usize,
}

impl Large {
    fn new(all: usize) -> Self {
        let buffer = buffers::take_used(all.min(MAX_RESERVED));
        let reused = if buffer.is_empty() { 0 } else { buffer.capacity() };
        Large { buffer, reused, came: 0, all }
    }

    /// The memory that it has.
    fn held(&self) -> usize {
        self.reused.max(self.buffer.len())
    }

    fn is_complete(&self) -> bool {
        self.came == self.all
    }

    /// The part of the buffer into which the next bytes are read. Empty: all are there.
    fn window(&mut self) -> &mut [u8] {
        if self.came == self.buffer.len() && !self.is_complete() {
            let more = self.buffer.len().saturating_mul(2).max(FIRST_PART);
            self.buffer.resize(more.min(self.all), 0);
        }
        self.buffer.get_mut(self.came..).unwrap_or_default()
    }

    /// Takes what it needs of these octets, and returns the rest.
    fn feed<'o>(&mut self, octets: &'o [u8]) -> &'o [u8] {
        let mut rest = octets;
        while !rest.is_empty() && !self.is_complete() {
            let window = self.window();
            let count = window.len().min(rest.len());
            let (taken, left) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            if let Some(place) = window.get_mut(..taken.len()) {
                place.copy_from_slice(taken);
            }
            self.came += taken.len();
            rest = left;
        }
        rest
    }
}

/// What came over the connection.
pub(super) enum Event {
    /// The handshake is over.
    Ready,
    Message(InPacket),
    /// May the owner of this key connect? [`Wire::admit`] is the answer.
    Asks(PublicKey),
    /// A subscriber adds this topic, or takes it back. Only publishers get this.
    Subscription {
        topic: Bytes,
        add: bool,
    },
}

/// The settings of all connections that a router accepts.
pub(super) struct ServerSide(Arc<Config>);

/// The settings of a connection that a dealer makes.
pub(super) struct ClientSide {
    config: Arc<Config>,
    secure: bool,
}

impl ServerSide {
    pub(super) fn new(keys: Option<&KeyPair>, limits: &Limits) -> Self {
        let mechanism =
            keys.map_or(Mechanism::Null, |keys| Mechanism::CurveServer(zmtp_keys(keys)));
        let limits = zmtp::Limits {
            handshake_ms: SERVER_HANDSHAKE_MS,
            frame_bytes: limits.frame_bytes,
            // A message with one frame too many is read, so that its sender hears why it was refused.
            message_frames: limits.frames.saturating_add(1 + MORE_FRAMES),
            message_bytes: limits.frame_bytes.saturating_mul(LARGE_FRAMES),
            ..zmtp::Limits::default()
        };
        let types = [SocketType::Req, SocketType::Dealer, SocketType::Router];
        let config = Config::new(SocketType::Router).accept(SocketTypes::of(&types));
        ServerSide(Arc::new(config.mechanism(mechanism).limits(limits)))
    }

    pub(super) fn wire(&self) -> io::Result<Wire> {
        Wire::new(&self.0)
    }
}

/// The frames of a message that may be as large as a frame can be. A packet of MDP/RPC has up to 16
/// payloads of any size.
const LARGE_FRAMES: usize = 18;
/// Frames beyond the limit of a message that do not end its connection.
const MORE_FRAMES: usize = 64;

impl ClientSide {
    pub(super) fn new(keys: Option<(&KeyPair, &PublicKey)>) -> Self {
        let mechanism = keys.map_or(Mechanism::Null, |(own, server)| Mechanism::CurveClient {
            own: zmtp_keys(own),
            server: zmtp::PublicKey::new(*server.as_bytes()),
        });
        let limits = zmtp::Limits {
            handshake_ms: CLIENT_HANDSHAKE_MS,
            frame_bytes: FRAME_BYTES,
            message_frames: FRAMES,
            message_bytes: FRAME_BYTES.saturating_mul(LARGE_FRAMES),
            ..zmtp::Limits::default()
        };
        let config = Config::new(SocketType::Dealer).mechanism(mechanism).limits(limits);
        ClientSide { config: Arc::new(config), secure: keys.is_some() }
    }

    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    pub(super) fn wire(&self) -> io::Result<Wire> {
        Wire::new(&self.config)
    }
}

pub(super) fn zmtp_keys(keys: &KeyPair) -> zmtp::KeyPair {
    zmtp::KeyPair::new(keys.secret().expose())
}

impl Wire {
    pub(super) fn new(config: &Arc<Config>) -> io::Result<Self> {
        let seed = Seed::fill(getrandom::fill).map_err(io::Error::other)?;
        let mut out = Outgoing::default();
        let zmtp = Connection::new(config, seed, Time::from_ms(0), out.output());
        Ok(Wire {
            zmtp,
            input: BytesMut::new(),
            large: None,
            parsed: true,
            was_ready: false,
            out,
            begun: Instant::now(),
        })
    }

    fn now(&self) -> Time {
        Time::from_ms(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Whether the handshake is over.
    pub(super) fn is_ready(&self) -> bool {
        self.zmtp.is_ready()
    }

    /// Whether the handshake was over once, even if the connection has ended since.
    pub(super) fn was_ready(&self) -> bool {
        self.was_ready
    }

    /// Whether there may be a message without a look at the stream.
    pub(super) fn has_input(&self) -> bool {
        !self.parsed
    }

    /// Takes the next event out of the input.
    ///
    /// # Errors
    ///
    /// The connection is over. What waits, which may have the reason for the other side, is to be written.
    pub(super) fn next(&mut self) -> Result<Option<Event>, Error> {
        if self.parsed {
            return Ok(None);
        }
        let now = self.now();
        loop {
            let event = match self.large.take_if(|large| large.is_complete()) {
                Some(large) => {
                    match self.zmtp.end_large(now, buffers::into_bytes(large.buffer))? {
                        // More frames of the message follow.
                        None => continue,
                        event => event,
                    }
                }
                None => self.zmtp.receive(now, &mut self.input, self.out.output())?,
            };
            return Ok(Some(match event {
                None => {
                    self.parsed = true;
                    self.read_large(now);
                    return Ok(None);
                }
                Some(zmtp::Event::Message(message)) => {
                    let (first, frames) = message.into_parts();
                    Event::Message(InPacket { first, frames })
                }
                Some(zmtp::Event::Ready(_)) => {
                    self.was_ready = true;
                    Event::Ready
                }
                Some(zmtp::Event::Admission(peer)) => {
                    // CURVE has checked it.
                    let key = peer.key().map(|key| *key.as_bytes()).unwrap_or_default();
                    Event::Asks(PublicKey::from_bytes(key))
                }
                Some(zmtp::Event::Subscribe(topic)) => Event::Subscription { topic, add: true },
                Some(zmtp::Event::Cancel(topic)) => Event::Subscription { topic, add: false },
                Some(_) => continue,
            }));
        }
    }

    /// Begins or goes on to read the body of a large frame into a buffer of its own.
    fn read_large(&mut self, now: Time) {
        if self.large.is_some() {
            // A slow frame is no silence.
            return self.zmtp.touch(now);
        }
        if self.zmtp.missing() == 0 {
            return;
        }
        if let Some(bytes) = self.zmtp.begin_large(&mut self.input, LARGE) {
            let mut large = Large::new(bytes);
            // Nothing is left: the frame is not complete.
            large.feed(&self.input);
            self.input = BytesMut::new();
            self.large = Some(large);
        }
    }

    /// Answers [`Event::Asks`].
    pub(super) fn admit(&mut self, admitted: bool) {
        let out = self.out.output();
        // An error means that nobody asks.
        let _ = match admitted {
            true => self.zmtp.admit(out),
            false => self.zmtp.refuse(Refusal::Denied, out),
        };
        self.parsed = false;
    }

    /// Adds octets that came.
    pub(super) fn feed(&mut self, octets: &[u8]) {
        let octets = match &mut self.large {
            Some(large) => large.feed(octets),
            None => octets,
        };
        self.input.reserve(octets.len().max(self.zmtp.missing().min(MAX_RESERVED)));
        self.input.extend_from_slice(octets);
        self.parsed = false;
    }

    /// The place into which the next octets are best read. They are announced with [`came`](Self::came). `None`: any place,
    /// and [`feed`](Self::feed).
    pub(super) fn window(&mut self) -> Option<&mut [u8]> {
        self.large.as_mut().map(Large::window).filter(|window| !window.is_empty())
    }

    /// So many octets were read into the [`window`](Self::window).
    pub(super) fn came(&mut self, octets: usize) {
        if let Some(large) = &mut self.large {
            large.came += octets;
        }
        self.parsed = false;
    }

    /// Reads what is there.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
    ) -> Poll<io::Result<()>> {
        if let Some(window) = self.window() {
            let mut read = ReadBuf::new(window);
            ready!(stream.poll_read(cx, &mut read))?;
            let octets = read.filled().len();
            if octets == 0 {
                return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
            }
            self.came(octets);
            return Poll::Ready(Ok(()));
        }
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            let Poll::Ready(done) = stream.poll_read(cx, &mut read) else {
                buffers::rest();
                return Poll::Pending;
            };
            done?;
            if read.filled().is_empty() {
                return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
            }
            self.feed(read.filled());
            Poll::Ready(Ok(()))
        })
    }

    /// Adds a packet, and empties it. `with` is dropped when it is written.
    pub(super) fn put(&mut self, packet: &mut OutPacket, with: Option<Box<dyn Send>>) {
        let first = std::iter::once(Part::Copied(&packet.first));
        self.send(first.chain(packet.frames.iter().map(Part::Shared)), with);
        packet.clear();
    }

    /// Adds a message of these frames. `with` is dropped when it is written.
    pub(super) fn put_frames<'a>(
        &mut self,
        heads: impl Iterator<Item = &'a [u8]>,
        body: &'a [Bytes],
        with: Option<Box<dyn Send>>,
    ) {
        self.send(heads.map(Part::Copied).chain(body.iter().map(Part::Shared)), with);
    }

    fn send<'a>(&mut self, parts: impl Iterator<Item = Part<'a>>, with: Option<Box<dyn Send>>) {
        // A connection that has ended is noticed when it is read.
        if let Err(error) = self.zmtp.send(parts, self.out.output()) {
            tracing::debug!(%error, "a message is not sent");
        }
        if let Some(with) = with {
            self.out.guard(with);
        }
    }

    /// Adds a subscription, or takes one back.
    pub(super) fn subscribe(&mut self, topic: &[u8], add: bool) {
        let out = self.out.output();
        let sent = match add {
            true => self.zmtp.subscribe(topic, out),
            false => self.zmtp.cancel(topic, out),
        };
        // A connection that has ended is noticed when it is read.
        if let Err(error) = sent {
            tracing::debug!(%error, "a subscription is not sent");
        }
    }

    /// What there is of a message that is not complete.
    #[inline]
    pub(super) fn part(&self) -> MessagePart {
        let bytes = self.zmtp.incomplete_bytes() + self.input.len();
        let (came, held) = self.large.as_ref().map_or((0, 0), |large| (large.came, large.held()));
        MessagePart { came: bytes + came, held: bytes + held }
    }

    /// The bytes that wait to be written.
    pub(super) fn waiting(&self) -> usize {
        self.out.waiting()
    }

    /// Whether something waits to be written.
    pub(super) fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// Writes what waits, as far as `to` takes it. `true`: nothing waits any more.
    pub(super) fn write(&mut self, to: &mut impl Write) -> io::Result<bool> {
        self.out.write(to)
    }

    /// Writes all that waits.
    pub(super) async fn write_all(&mut self, stream: &Stream) -> io::Result<()> {
        while !self.write(&mut &*stream)? {
            poll_fn(|cx| stream.poll_write_ready(cx)).await?;
        }
        Ok(())
    }

    /// Drops what waits: the stream takes nothing more.
    pub(super) fn stop_writing(&mut self) {
        self.out = Outgoing::default();
    }

    /// Gives back the memory of a connection that is idle.
    pub(super) fn release(&mut self) {
        self.out.release();
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
    }
}

/// The fault of a handshake, as the connecting side reports it.
pub(super) fn fault_of(error: &Error) -> HandshakeFault {
    match error {
        Error::Refused { .. } => match error.refusal() {
            Some(Refusal::Temporary) => HandshakeFault::Ended,
            Some(Refusal::Denied) => HandshakeFault::Refused { status: 400 },
            Some(Refusal::Failed) => HandshakeFault::Refused { status: 500 },
            None => HandshakeFault::Protocol { code: 0 },
        },
        Error::Mechanism { .. } | Error::BothServers => HandshakeFault::Mechanism,
        Error::HandshakeTime { .. } => HandshakeFault::Ended,
        _ => HandshakeFault::Protocol { code: 0 },
    }
}
