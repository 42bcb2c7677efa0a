//! The settings of a socket, and how the socket is made from them.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::driver::{Counts, PatternDriver, Publishing, Running};
use super::error::{RecvError, StartError};
use super::handle::{Inbox, Remote, checked};
use super::last_values::LastValues;
use super::pair::Pair;
use super::parts::Layout;
use super::publisher::Publisher;
use super::push::{Puller, Pusher};
use super::subscriber::Subscriber;
use super::topic::MAX_TOPIC_BYTES;
use mdp_call::codec::record::TypedMessage;
use mdp_transport::ClientKeys;
use mdp_transport::endpoint;
use mdp_transport::ends;
use mdp_transport::pattern::{self, Pattern, PatternKeys, PatternSettings, PatternSocket};
use mdp_transport::security::{CurveClient, CurveServer, KeyPair};
use mdp_transport::{Context, NoHandler, Registration};

const HIGH_WATER_MARK: u32 = 1_000;
const MESSAGE_BYTES: usize = 4 << 20;
const LAST_VALUE_TOPICS: usize = 1_000;

/// The number of messages between a socket's task and its handles, in each direction, unless the high water mark is
/// lower.
const HANDED_OVER: usize = 64;
/// The size of a subscription without its topic, and of a handshake command.
const COMMAND_BYTES: usize = 1_024;

/// Settings of a socket; `H` is the handle that the builder makes. For instance, [`Publisher::builder`] returns one.
///
/// ```
/// use mdp_runtime::patterns::Publisher;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `String` stands for a record here; as a message it is `google.protobuf.StringValue`.
/// let news = Publisher::<String>::builder()
///     .bind("tcp://127.0.0.1:*")
///     .bind("inproc://news")
///     .high_water_mark(10_000)
///     .last_value(true)
///     .start()?;
/// println!("{:?}", news.endpoints()); // with the port it took
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Builder<H> {
    endpoints: Vec<Endpoint>,
    context: Option<Context>,
    curve: Option<CurveClient>,
    curve_server: Option<CurveServer>,
    high_water_mark: u32,
    max_message_bytes: usize,
    /// For a subscriber.
    topics: Vec<Vec<u8>>,
    /// For a publisher.
    last_value: bool,
    last_value_topics: usize,
    handle: PhantomData<fn() -> H>,
}

#[derive(Clone, Debug)]
enum Endpoint {
    Bind(String),
    Connect(String),
}

impl<H> Builder<H> {
    pub(super) fn new() -> Self {
        Builder {
            endpoints: Vec::new(),
            context: None,
            curve: None,
            curve_server: None,
            high_water_mark: HIGH_WATER_MARK,
            max_message_bytes: MESSAGE_BYTES,
            topics: Vec::new(),
            last_value: false,
            last_value_topics: LAST_VALUE_TOPICS,
            handle: PhantomData,
        }
    }

    /// Adds an endpoint to bind: `tcp://127.0.0.1:5555`, `tcp://127.0.0.1:*` for any free port, `ipc:///run/news.sock`
    /// or `inproc://name`. May be called several times and combined with [`connect`](Self::connect), except for a
    /// [`Pair`].
    pub fn bind(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoints.push(Endpoint::Bind(endpoint.into()));
        self
    }

    /// Adds an endpoint to connect to, now or as soon as a peer binds it. May be called several times and combined with
    /// [`bind`](Self::bind), except for a [`Pair`].
    pub fn connect(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoints.push(Endpoint::Connect(endpoint.into()));
        self
    }

    /// Sets the ZeroMQ context. Default: [`Context::global`].
    pub fn context(mut self, context: &Context) -> Self {
        self.context = Some(context.clone());
        self
    }

    /// Encrypts connections over tcp and ipc with CURVE, if all endpoints are bound. Only peers with keys that `curve`
    /// allows are accepted. Default: no encryption.
    ///
    /// ```
    /// use mdp_runtime::patterns::{Publisher, Subscriber};
    /// use mdp_runtime::security::{CurveClient, CurveServer, KeyPair};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (publisher, ann) = (KeyPair::new()?, KeyPair::new()?);
    /// let ann_curve = CurveClient::new(*publisher.public()).key_pair(ann.clone());
    /// let news = Publisher::<String>::builder()
    ///     .bind("tcp://127.0.0.1:*")
    ///     .curve_server(CurveServer::new(publisher).allow([*ann.public()]))
    ///     .start()?;
    /// let _events = Subscriber::<String>::builder()
    ///     .connect(&news.endpoints()[0])
    ///     .curve(ann_curve)
    ///     .subscribe("")
    ///     .start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn curve_server(mut self, curve: CurveServer) -> Self {
        self.curve_server = Some(curve);
        self
    }

    /// Encrypts connections over tcp and ipc with CURVE, if all endpoints are connected to. Only servers with this
    /// public key are accepted: one key for all endpoints. Default: no encryption.
    pub fn curve(mut self, curve: CurveClient) -> Self {
        self.curve = Some(curve);
        self
    }

    /// Sets how many messages may wait to be sent to each peer, and how many received messages may wait from each peer.
    /// 0 counts as 1. The same number, at most 64, may wait between the socket and its handle. Default: 1,000.
    pub fn high_water_mark(mut self, messages: u32) -> Self {
        self.high_water_mark = messages.max(1);
        self
    }

    /// Sets the maximum size of a frame, sent or received, in bytes. A larger frame is an error on either side. A
    /// received frame larger than twice the maximum (and larger than 2 KiB) closes its sender's connection,
    /// without an error here. Default: 4 MiB.
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// Makes a socket of this pattern, with the sender to its task and the receiver of its messages.
    fn open<T>(
        &self,
        pattern: Pattern,
        publishing: Option<Publishing>,
    ) -> Result<(Remote, Inbox<T>), StartError> {
        let tokio = Handle::try_current().map_err(|_| StartError::NoTokio)?;
        self.check()?;
        let context = self.context.as_ref().unwrap_or_else(|| Context::global());
        let topics = matches!(pattern, Pattern::Publisher | Pattern::Subscriber);
        let layout = Layout { topics, max: self.max_message_bytes };
        let keys = self.keys(context)?;
        let (settings, of_socket) = (self.settings(pattern), keys.as_ref().map(Keys::of_socket));
        let socket = pattern::open(context, pattern, &settings, of_socket);
        let mut socket = socket.map_err(StartError::Socket)?;
        for topic in &self.topics {
            socket.subscribe(&checked(topic)?, true).map_err(StartError::Socket)?;
        }

        let room = usize::try_from(self.high_water_mark).unwrap_or(HANDED_OVER).min(HANDED_OVER);
        let (commands, orders) = mpsc::channel(room);
        let (arriving, arrivals) = mpsc::channel(room);
        let (stop, stopped) = watch::channel(false);
        let (done, over) = watch::channel(());
        let reads = matches!(pattern, Pattern::Subscriber | Pattern::Puller | Pattern::Pair);
        let inbox = reads.then_some(arriving);
        let told = inbox.clone();
        let mut running = Running::new(PatternDriver {
            socket,
            layout,
            context: context.clone(),
            commands: orders,
            inbox,
            publishing,
            _registration: keys.and_then(Keys::into_registration),
            reconnect: None,
            held: None,
            stop: stopped,
            done,
        });
        let endpoints = match running.driver() {
            Some(driver) => self.reach(driver)?,
            None => Vec::new(),
        };
        let ended = move |_| {
            if let Some(inbox) = told {
                // A reader with a full inbox sees the end without its cause.
                let _ = inbox.try_send(Err(RecvError::Panicked));
            }
        };
        tokio.spawn(ends::task("mdp-socket", running.run(), ended));
        tracing::debug!(?pattern, ?endpoints, "socket started");
        let remote = Remote {
            commands,
            stop: Arc::new(stop),
            done: over,
            endpoints: endpoints.into(),
            max: self.max_message_bytes,
        };
        Ok((remote, Inbox { arrivals, record: PhantomData }))
    }

    /// The keys of this side, if CURVE is set.
    fn keys(&self, context: &Context) -> Result<Option<Keys<'_>>, StartError> {
        let binds = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Bind(_));
        match (&self.curve_server, &self.curve) {
            (None, None) => Ok(None),
            (None, Some(curve)) if !self.endpoints.iter().any(binds) => {
                Ok(Some(Keys::Client(curve.prepare(context.has_curve(), 1)?)))
            }
            (Some(curve), None) if self.endpoints.iter().all(binds) => {
                curve.check(context.has_curve())?;
                // If the handler ends, connected peers stay, but no new peer is accepted.
                let registration = Registration::new(context, curve.allowed().clone(), || {})
                    .map_err(|failed| match failed {
                        NoHandler::Socket(error) => StartError::Authenticator(error),
                        NoHandler::Thread(error) => StartError::Thread(error),
                    })?;
                Ok(Some(Keys::Server(curve.keys(), registration)))
            }
            _ => Err(StartError::CurveSides),
        }
    }

    /// Binds and connects.
    fn reach(&self, driver: &mut PatternDriver) -> Result<Vec<String>, StartError> {
        if let Some(publishing) = &driver.publishing {
            publishing.counts.look_at(&driver.socket);
            driver.socket.refuse_if_full(true).map_err(StartError::Socket)?;
        }
        let outside = self.endpoints.iter().filter_map(Endpoint::outside);
        let outside: Vec<String> = outside.cloned().collect();
        if !outside.is_empty() {
            driver.watch(outside).map_err(StartError::Socket)?;
        }
        self.endpoints.iter().map(|endpoint| endpoint.open(&mut driver.socket)).collect()
    }

    fn check(&self) -> Result<(), StartError> {
        let endpoints: Vec<String> = self.endpoints.iter().map(Endpoint::name).cloned().collect();
        Ok(endpoint::check_all(&endpoints)?)
    }

    fn settings(&self, pattern: Pattern) -> PatternSettings {
        let frame_bytes = match pattern {
            // Subscribers send only subscriptions.
            Pattern::Publisher => MAX_TOPIC_BYTES + COMMAND_BYTES,
            // Frames slightly above the maximum are received, so that they can be reported.
            _ => self.max_message_bytes.saturating_mul(2).max(MAX_TOPIC_BYTES + COMMAND_BYTES),
        };
        let (waiting, verbose) = (self.high_water_mark, self.last_value);
        PatternSettings { waiting, frame_bytes, verbose }
    }
}

/// The keys of a socket.
enum Keys<'a> {
    Client(ClientKeys),
    Server(&'a KeyPair, Registration),
}

impl Keys<'_> {
    fn of_socket(&self) -> PatternKeys<'_> {
        match self {
            Keys::Client(keys) => PatternKeys::Client(keys),
            Keys::Server(keys, registration) => PatternKeys::Server(keys, registration),
        }
    }

    /// The registration that accepts peers for as long as it is held.
    fn into_registration(self) -> Option<Registration> {
        match self {
            Keys::Client(_) => None,
            Keys::Server(_, registration) => Some(registration),
        }
    }
}

impl Endpoint {
    fn name(&self) -> &String {
        match self {
            Endpoint::Bind(name) | Endpoint::Connect(name) => name,
        }
    }

    /// The endpoint, if the socket connects to it and it may be in another program.
    fn outside(&self) -> Option<&String> {
        match self {
            Endpoint::Connect(name) if !name.starts_with("inproc://") => Some(name),
            _ => None,
        }
    }

    /// Binds or connects, and returns the endpoint with its actual port.
    fn open(&self, socket: &mut PatternSocket) -> Result<String, StartError> {
        match self {
            Endpoint::Bind(name) => socket.bind(name).map_err(StartError::Bind),
            Endpoint::Connect(name) => match socket.connect(name) {
                Ok(()) => Ok(name.clone()),
                Err(error) => Err(StartError::Connect(error)),
            },
        }
    }
}

impl<T: TypedMessage> Builder<Publisher<T>> {
    /// Sets whether the last value of each topic is kept for later subscribers. After each new subscription the values
    /// of its topics are sent again, at most 20 times a second. Subscribers that have these values already get them
    /// again: a value may arrive twice, but never after a newer one. Default: `false`.
    pub fn last_value(mut self, keep: bool) -> Self {
        self.last_value = keep;
        self
    }

    /// Sets the maximum number of topics whose last value is kept. 0 counts as 1. Beyond that, the value of the
    /// topic that was published least recently is dropped and [counted](Publisher::evicted). If this number is not
    /// above [`high_water_mark`](Self::high_water_mark), a new subscriber has room for all values. Default: 1,000.
    pub fn last_value_topics(mut self, topics: usize) -> Self {
        self.last_value_topics = topics.max(1);
        self
    }

    /// Starts the publisher.
    ///
    /// # Errors
    ///
    /// An endpoint is invalid or cannot be bound, the CURVE settings cannot be used, the socket cannot be made, or
    /// there is no tokio runtime.
    pub fn start(self) -> Result<Publisher<T>, StartError> {
        let counts = Arc::<Counts>::default();
        let publishing = Publishing {
            counts: Arc::clone(&counts),
            last_values: self.last_value.then(|| LastValues::new(self.last_value_topics)),
        };
        let (remote, _) = self.open::<T>(Pattern::Publisher, Some(publishing))?;
        Ok(Publisher { remote, counts, record: PhantomData })
    }
}

impl<T: TypedMessage> Builder<Subscriber<T>> {
    /// Adds a topic to subscribe to: all topics that begin with it, or all topics with `""`. May be called several
    /// times. Default: no messages arrive until [`Subscriber::subscribe`].
    pub fn subscribe(mut self, topic: impl AsRef<[u8]>) -> Self {
        self.topics.push(topic.as_ref().to_vec());
        self
    }

    /// Starts the subscriber.
    ///
    /// # Errors
    ///
    /// An endpoint is invalid or cannot be bound, a topic is too long, the CURVE settings cannot be used, the socket
    /// cannot be made, or there is no tokio runtime.
    pub fn start(self) -> Result<Subscriber<T>, StartError> {
        let (remote, inbox) = self.open(Pattern::Subscriber, None)?;
        Ok(Subscriber { remote, inbox })
    }
}

impl<T: TypedMessage> Builder<Pusher<T>> {
    /// Starts the pusher.
    ///
    /// # Errors
    ///
    /// An endpoint is invalid or cannot be bound, the CURVE settings cannot be used, the socket cannot be made, or
    /// there is no tokio runtime.
    pub fn start(self) -> Result<Pusher<T>, StartError> {
        let (remote, _) = self.open::<T>(Pattern::Pusher, None)?;
        Ok(Pusher { remote, record: PhantomData })
    }
}

impl<T: TypedMessage> Builder<Puller<T>> {
    /// Starts the puller.
    ///
    /// # Errors
    ///
    /// An endpoint is invalid or cannot be bound, the CURVE settings cannot be used, the socket cannot be made, or
    /// there is no tokio runtime.
    pub fn start(self) -> Result<Puller<T>, StartError> {
        let (remote, inbox) = self.open(Pattern::Puller, None)?;
        Ok(Puller { remote, inbox })
    }
}

impl<T: TypedMessage> Builder<Pair<T>> {
    /// Starts this side of the pair.
    ///
    /// # Errors
    ///
    /// The number of endpoints is not one, the endpoint is invalid or cannot be bound, the CURVE settings cannot be
    /// used, the socket cannot be made, or there is no tokio runtime.
    pub fn start(self) -> Result<Pair<T>, StartError> {
        if self.endpoints.len() > 1 {
            return Err(StartError::Several(self.endpoints.len()));
        }
        let (remote, inbox) = self.open(Pattern::Pair, None)?;
        Ok(Pair::new(remote, inbox))
    }
}

impl<H> fmt::Debug for Builder<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("endpoints", &self.endpoints)
            .field("high_water_mark", &self.high_water_mark)
            .field("max_message_bytes", &self.max_message_bytes)
            .finish_non_exhaustive()
    }
}
