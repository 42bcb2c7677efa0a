//! Connections within the process: queues of messages, without a socket. Those of patterns are in `pattern`.
//!
//! A router takes the messages of all its peers from one [`Inbox`]. A dealer has a [`Mailbox`] of its own. So the order
//! of a connection's messages is kept in both directions.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use tokio::sync::Notify;

use super::pattern::{Door, Pipe};
use crate::packet::InPacket;

/// Maximum number of messages of a dealer that the router has not taken yet.
const MAX_WAITING: usize = 1_000;

/// The sockets of a context that are bound to a name, and those that wait for a name to be bound.
#[derive(Default)]
pub(crate) struct Hub {
    bound: Mutex<HashMap<Box<str>, Place>>,
    /// Notifies sockets that connect of newly bound names.
    news: Notify,
    /// The number of the next connection.
    next: AtomicU64,
}

/// What is bound to a name.
enum Place {
    Router(Arc<Inbox>),
    Pattern(Arc<Door>),
}

/// The messages of all dealers for one router.
pub(super) struct Inbox {
    letters: Mutex<VecDeque<Letter>>,
    /// The connections whose dealers have ended, before their letters say so.
    left: Mutex<Vec<Arc<Mailbox>>>,
    has_left: AtomicBool,
    /// Wakes the router's thread.
    wake: Box<dyn Fn() + Send + Sync>,
    /// The router was woken, and has not looked into the inbox yet.
    woken: AtomicBool,
    closed: AtomicBool,
}

/// An event of a connection, for the router.
pub(super) enum Letter {
    Opened(Arc<Mailbox>),
    Message(Arc<Mailbox>, InPacket),
    Closed(Arc<Mailbox>),
}

/// A connection, and the messages for its dealer.
pub(super) struct Mailbox {
    /// The connection's number in its context.
    number: u64,
    messages: Mutex<VecDeque<Posted>>,
    /// Messages of the dealer that the router has not taken yet.
    waiting: AtomicUsize,
    /// The router has ended.
    closed: AtomicBool,
    /// The dealer has ended.
    left: AtomicBool,
    /// The dealer's task, while it waits.
    task: Mutex<Option<Waker>>,
}

/// A message for a dealer, and the value that is dropped when the dealer takes the message.
struct Posted {
    packet: InPacket,
    _with: Option<Box<dyn Send>>,
}

/// A name that is taken until this is dropped.
pub(super) struct Name {
    hub: Arc<Hub>,
    name: Box<str>,
}

/// A router's name. The router's peers see the end when this is dropped.
pub(super) struct Bound {
    name: Option<Name>,
    inbox: Arc<Inbox>,
}

/// The dealer's side of a connection.
pub(crate) struct Connected {
    inbox: Arc<Inbox>,
    mailbox: Arc<Mailbox>,
}

impl Hub {
    /// Binds a router to a name. `None`: another socket has it.
    pub(super) fn bind(self: &Arc<Self>, name: &str, inbox: &Arc<Inbox>) -> Option<Bound> {
        let name = self.take(name, Place::Router(Arc::clone(inbox)))?;
        Some(Bound { name: Some(name), inbox: Arc::clone(inbox) })
    }

    /// Binds the socket of a pattern to a name. `None`: another socket has it.
    pub(super) fn open(self: &Arc<Self>, name: &str, door: &Arc<Door>) -> Option<Name> {
        self.take(name, Place::Pattern(Arc::clone(door)))
    }

    fn take(self: &Arc<Self>, name: &str, place: Place) -> Option<Name> {
        let mut bound = lock(&self.bound);
        if bound.contains_key(name) {
            return None;
        }
        bound.insert(name.into(), place);
        drop(bound);
        self.news.notify_waiters();
        Some(Name { hub: Arc::clone(self), name: name.into() })
    }

    /// Connects to a name. `None`: no router has it.
    pub(crate) fn connect(&self, name: &str) -> Option<Connected> {
        let inbox = match lock(&self.bound).get(name)? {
            Place::Router(inbox) => Arc::clone(inbox),
            Place::Pattern(_) => return None,
        };
        let mailbox = Arc::new(Mailbox {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            messages: Mutex::default(),
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            left: AtomicBool::new(false),
            task: Mutex::default(),
        });
        inbox.put(Letter::Opened(Arc::clone(&mailbox)));
        Some(Connected { inbox, mailbox })
    }

    /// Connects to a name as soon as a router has it.
    pub(super) async fn connected(&self, name: &str) -> Connected {
        self.when(|| self.connect(name)).await
    }

    /// Connects to a name as soon as a socket has it whose pattern fits.
    pub(super) async fn joined(
        &self,
        name: &str,
        connect: impl Fn(&Door) -> Option<Pipe> + Send,
    ) -> Pipe {
        let door = || match lock(&self.bound).get(name)? {
            Place::Pattern(door) => Some(Arc::clone(door)),
            Place::Router(_) => None,
        };
        self.when(|| connect(&*door()?)).await
    }

    /// Tries at once, and after each newly bound name.
    async fn when<T>(&self, attempt: impl Fn() -> Option<T>) -> T {
        loop {
            let news = self.news.notified();
            let mut news = std::pin::pin!(news);
            news.as_mut().enable();
            if let Some(done) = attempt() {
                return done;
            }
            news.await;
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hub")
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        lock(&self.hub.bound).remove(&self.name);
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.name = None;
        self.inbox.close();
    }
}

impl Inbox {
    pub(super) fn new(wake: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Inbox {
            letters: Mutex::default(),
            left: Mutex::default(),
            has_left: AtomicBool::new(false),
            wake: Box::new(wake),
            woken: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        })
    }

    fn put(&self, letter: Letter) {
        lock(&self.letters).push_back(letter);
        if !self.woken.swap(true, Ordering::AcqRel) {
            (self.wake)();
        }
    }

    /// Moves the letters that have arrived to the end of `to`.
    pub(super) fn take(&self, to: &mut VecDeque<Letter>) {
        // Letters from now on wake the router again.
        self.woken.store(false, Ordering::Release);
        to.append(&mut lock(&self.letters));
    }

    /// Takes the connections whose dealers have ended since the last call.
    pub(super) fn take_left(&self) -> Vec<Arc<Mailbox>> {
        match self.has_left.load(Ordering::Acquire) && self.has_left.swap(false, Ordering::AcqRel) {
            true => std::mem::take(&mut *lock(&self.left)),
            false => Vec::new(),
        }
    }

    fn leave(&self, mailbox: &Arc<Mailbox>) {
        lock(&self.left).push(Arc::clone(mailbox));
        self.has_left.store(true, Ordering::Release);
        self.put(Letter::Closed(Arc::clone(mailbox)));
    }

    /// Whether there are letters.
    pub(super) fn has_letters(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    /// The router ends: dealers that connect or send from now on see it.
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for letter in lock(&self.letters).drain(..) {
            let (Letter::Opened(mailbox) | Letter::Message(mailbox, _) | Letter::Closed(mailbox)) =
                letter;
            mailbox.close();
        }
    }
}

impl Mailbox {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The router has taken a message of the dealer.
    pub(super) fn is_taken(&self) {
        if self.waiting.fetch_sub(1, Ordering::AcqRel) == MAX_WAITING {
            self.wake();
        }
    }

    /// Adds a message for the dealer. `with` is dropped when the dealer takes it.
    pub(super) fn post(&self, packet: InPacket, with: Option<Box<dyn Send>>) {
        lock(&self.messages).push_back(Posted { packet, _with: with });
        self.wake();
    }

    /// Whether the dealer has ended.
    pub(super) fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// The router ends the connection.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(task) = lock(&self.task).take() {
            task.wake();
        }
    }
}

impl Connected {
    /// Takes the next message.
    pub(super) fn receive(&self) -> Option<InPacket> {
        lock(&self.mailbox.messages).pop_front().map(|posted| posted.packet)
    }

    pub(super) fn has_messages(&self) -> bool {
        !lock(&self.mailbox.messages).is_empty()
    }

    /// Whether the router takes a further message now.
    pub(super) fn has_room(&self) -> bool {
        self.mailbox.waiting.load(Ordering::Acquire) < MAX_WAITING
    }

    /// Sends a message, even if there is no [room](Self::has_room).
    pub(crate) fn send(&self, packet: InPacket) {
        self.mailbox.waiting.fetch_add(1, Ordering::AcqRel);
        self.inbox.put(Letter::Message(Arc::clone(&self.mailbox), packet));
    }

    /// Whether the router has ended, and all its messages were taken.
    pub(super) fn is_lost(&self) -> bool {
        let closed = self.inbox.closed.load(Ordering::Acquire)
            || self.mailbox.closed.load(Ordering::Acquire);
        closed && !self.has_messages()
    }

    /// Wakes this task at the next message, when there is room again, and at the end of the router. The task looks for
    /// them after this call.
    pub(super) fn register(&self, cx: &Context<'_>) {
        *lock(&self.mailbox.task) = Some(cx.waker().clone());
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.mailbox.left.store(true, Ordering::Release);
        // What the dealer does not take any more is dropped now, with what counts it.
        lock(&self.mailbox.messages).clear();
        self.inbox.leave(&self.mailbox);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use bytes::Bytes;

    use super::*;

    fn packet(text: &'static str) -> InPacket {
        InPacket { first: Bytes::from_static(text.as_bytes()), frames: Vec::new() }
    }

    #[tokio::test]
    async fn messages_go_both_ways_and_the_end_is_seen() {
        let (hub, woken) = (Arc::new(Hub::default()), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&woken);
        let inbox = Inbox::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert!(hub.connect("a").is_none());
        let early = tokio::spawn({
            let hub = Arc::clone(&hub);
            async move { hub.connected("a").await }
        });
        tokio::task::yield_now().await;
        let bound = hub.bind("a", &inbox).unwrap();
        assert!(hub.bind("a", &inbox).is_none());
        let dealer = early.await.unwrap();
        dealer.send(packet("one"));
        dealer.send(packet("two"));
        assert_eq!(woken.load(Ordering::Relaxed), 1, "woken once until it looks");
        let mut letters = VecDeque::new();
        inbox.take(&mut letters);
        let Some(Letter::Opened(mailbox)) = letters.pop_front() else { panic!("not opened") };
        for wanted in ["one", "two"] {
            let Some(Letter::Message(from, packet)) = letters.pop_front() else {
                panic!("{wanted}")
            };
            assert_eq!((from.number(), &*packet.first), (mailbox.number(), wanted.as_bytes()));
            from.is_taken();
        }
        let waits = tokio::spawn(std::future::poll_fn({
            let dealer = Arc::new(dealer);
            let waits = Arc::clone(&dealer);
            move |cx| {
                waits.register(cx);
                if waits.has_messages() { Poll::Ready(Arc::clone(&dealer)) } else { Poll::Pending }
            }
        }));
        tokio::task::yield_now().await;
        mailbox.post(packet("back"), None);
        let dealer = waits.await.unwrap();
        assert!(dealer.has_messages());
        drop(bound);
        assert!(!dealer.is_lost(), "its last message comes first");
        assert_eq!(&*dealer.receive().unwrap().first, b"back");
        assert!(dealer.is_lost() && hub.connect("a").is_none());
        drop(dealer);
        inbox.take(&mut letters);
        assert!(matches!(letters.pop_front(), Some(Letter::Closed(_))));
    }

    #[test]
    fn a_dealer_has_room_until_its_messages_wait() {
        let hub = Arc::new(Hub::default());
        let inbox = Inbox::new(|| {});
        let _bound = hub.bind("a", &inbox).unwrap();
        let dealer = hub.connect("a").unwrap();
        for _ in 0..MAX_WAITING {
            assert!(dealer.has_room());
            dealer.send(packet("x"));
        }
        assert!(!dealer.has_room());
        let mut letters = VecDeque::new();
        inbox.take(&mut letters);
        dealer.mailbox.is_taken();
        assert!(dealer.has_room());
    }
}
