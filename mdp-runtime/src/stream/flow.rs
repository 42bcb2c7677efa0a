//! The streams of one call, between the driver and the code that reads and writes them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use mdp_protocol::wire::{Part, units};
use mdp_protocol::{Key, Payload};
use tokio::sync::Notify;

use mdp_call::body::Body;
use mdp_call::compress::Packing;

/// Maximum number of items in an inbox that are slices of their packets. A longer inbox means a slow reader; further
/// items are copied, so that large packets are freed.
const MAX_SLICES: usize = 128;

/// Carries the parts of a call's streams further: a driver, or the other end in memory.
pub(crate) trait Carrier: Send + Sync {
    /// Sends a part; the credit for an item was already paid.
    fn send(&self, flow: &Arc<Flow>, part: Part<Body>);
    /// Sends several parts, in order.
    fn send_all(&self, flow: &Arc<Flow>, parts: &mut Vec<Part<Body>>) {
        for part in parts.drain(..) {
            self.send(flow, part);
        }
    }
    /// Lets the other side send this many more units.
    fn taken(&self, flow: &Arc<Flow>, units: u32);
    /// Cancels the call. Only a client's end does this.
    fn abandon(&self, flow: &Arc<Flow>);
}

/// One end of a call's streams.
pub(crate) struct Flow {
    half: Arc<Half>,
    carrier: Box<dyn Carrier>,
    /// The key by which a driver knows the call.
    call: OnceLock<Key>,
    /// The credit that this end has granted to the other end.
    window: u32,
    packing: Packing,
    abandoned: AtomicBool,
    gone: Notify,
}

impl Flow {
    pub(crate) fn new(carrier: impl Carrier + 'static, window: u32, packing: Packing) -> Self {
        Flow { packing, ..Flow::of_half(Arc::default(), carrier, window) }
    }

    fn of_half(half: Arc<Half>, carrier: impl Carrier + 'static, window: u32) -> Self {
        Flow {
            half,
            carrier: Box::new(carrier),
            call: OnceLock::new(),
            window,
            packing: Packing::default(),
            abandoned: AtomicBool::new(false),
            gone: Notify::new(),
        }
    }

    pub(crate) fn call(&self) -> Option<Key> {
        self.call.get().copied()
    }

    /// Sets the key by which the driver knows the call.
    pub(crate) fn name(&self, call: Key) {
        // A call has one key.
        let _ = self.call.set(call);
    }

    /// How the stream's items are compressed.
    pub(crate) fn packing(&self) -> Packing {
        self.packing
    }

    pub(crate) fn half(&self) -> &Half {
        &self.half
    }

    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    /// The number of units to take before credit is returned to the other side.
    pub(crate) fn tell_after(&self) -> u32 {
        (self.window / 2).max(1)
    }

    pub(crate) fn send(self: &Arc<Self>, part: Part<Body>) {
        self.carrier.send(self, part);
    }

    pub(crate) fn send_all(self: &Arc<Self>, parts: &mut Vec<Part<Body>>) {
        if !parts.is_empty() {
            self.carrier.send_all(self, parts);
        }
    }

    pub(crate) fn taken(self: &Arc<Self>, units: u32) {
        self.carrier.taken(self, units);
    }

    /// Ends a client's requests before they are complete, which cancels the call.
    pub(crate) fn abandon(self: &Arc<Self>) {
        self.abandoned.store(true, Ordering::Release);
        self.gone.notify_one();
        self.carrier.abandon(self);
    }

    /// Waits until [`give_up`](Self::give_up) is called. Supports one waiting task.
    pub(crate) async fn abandoned(&self) {
        self.gone.notified().await;
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }
}

/// The received items of one end, and its send credit.
#[derive(Default)]
pub(crate) struct Half {
    inbox: Mutex<Inbox>,
    gate: Mutex<Gate>,
    /// The call is over. Written while the gate is locked.
    over: AtomicBool,
}

#[derive(Default)]
struct Inbox {
    items: VecDeque<Body>,
    /// The metadata of OPEN.
    opened: Option<Bytes>,
    end: Option<InboxEnd>,
    reader: Option<Waker>,
}

/// The reason why no more items come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InboxEnd {
    /// The other side has ended the stream.
    Complete,
    /// The call is over.
    Cut,
}

/// The send credit.
#[derive(Default)]
struct Gate {
    units: i64,
    writer: Option<Waker>,
}

/// The error of sending when the call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over;

/// The driver's side.
impl Half {
    /// Stores a received part.
    pub(crate) fn put(&self, part: Part<Body>) {
        let mut inbox = lock(&self.inbox);
        match part {
            Part::Item(item) => {
                let many = inbox.items.len() >= MAX_SLICES;
                inbox.items.push_back(if many { item.detach() } else { item });
            }
            Part::Open(meta) => inbox.opened = Some(meta.detach().meta()),
            Part::End => inbox.end = Some(InboxEnd::Complete),
        }
        wake(inbox);
    }

    /// Adds this many units of send credit.
    pub(crate) fn credit(&self, units: u32) {
        let mut gate = lock(&self.gate);
        gate.units += i64::from(units);
        let writer = gate.writer.take();
        drop(gate);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// Marks the call as over. Received items can still be read.
    pub(crate) fn close(&self) {
        let mut inbox = lock(&self.inbox);
        inbox.end.get_or_insert(InboxEnd::Cut);
        wake(inbox);
        let mut gate = lock(&self.gate);
        self.over.store(true, Ordering::Release);
        let writer = gate.writer.take();
        drop(gate);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

/// The reader's and the writer's side.
impl Half {
    /// Takes all received items. The end is reported after the last item.
    pub(crate) fn poll_items(
        &self,
        cx: &mut Context<'_>,
        items: &mut VecDeque<Body>,
    ) -> Poll<Option<InboxEnd>> {
        let mut inbox = lock(&self.inbox);
        if !inbox.items.is_empty() {
            std::mem::swap(&mut inbox.items, items);
            return Poll::Ready(None);
        }
        if let Some(end) = inbox.end {
            return Poll::Ready(Some(end));
        }
        remember(&mut inbox.reader, cx);
        Poll::Pending
    }

    /// Waits until the stream is open: until OPEN or an item has arrived. Returns the metadata of OPEN. The end of the
    /// call is reported elsewhere.
    pub(crate) fn poll_open(&self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let mut inbox = lock(&self.inbox);
        if inbox.opened.is_none() && inbox.items.is_empty() {
            remember(&mut inbox.reader, cx);
            return Poll::Pending;
        }
        Poll::Ready(inbox.opened.clone().unwrap_or_default())
    }

    /// Takes the metadata of OPEN, once.
    pub(crate) fn take_opened(&self) -> Option<Bytes> {
        lock(&self.inbox).opened.take()
    }

    /// Waits until there is credit, and takes all of it.
    pub(crate) fn poll_credit(&self, cx: &mut Context<'_>) -> Poll<Result<i64, Over>> {
        let mut gate = lock(&self.gate);
        if self.is_over() {
            return Poll::Ready(Err(Over));
        }
        if gate.units > 0 {
            return Poll::Ready(Ok(std::mem::take(&mut gate.units)));
        }
        remember(&mut gate.writer, cx);
        Poll::Pending
    }

    /// Whether the call is over.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

/// The units of credit that an item costs.
pub(crate) fn cost(item: &Body) -> u32 {
    units(item.size())
}

fn wake(mut inbox: MutexGuard<'_, Inbox>) {
    let reader = inbox.reader.take();
    drop(inbox);
    if let Some(reader) = reader {
        reader.wake();
    }
}

fn remember(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        _ => *waker = Some(cx.waker().clone()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Flow {
    /// The end of a call that is over.
    pub(crate) fn closed() -> Arc<Flow> {
        let (flow, _) = joined(1);
        flow.half().close();
        Arc::new(flow)
    }
}

/// Connects the two ends of a call in memory. Credit goes directly from one end to the other.
struct Joined {
    other: Arc<Half>,
}

impl Carrier for Joined {
    fn send(&self, _flow: &Arc<Flow>, part: Part<Body>) {
        self.other.put(part);
    }

    fn taken(&self, _flow: &Arc<Flow>, units: u32) {
        self.other.credit(units);
    }

    fn abandon(&self, _flow: &Arc<Flow>) {
        self.other.close();
    }
}

/// The client's and the worker's end of a call without a broker.
pub(crate) fn joined(window: u32) -> (Flow, Flow) {
    let (client, worker) = (Arc::<Half>::default(), Arc::<Half>::default());
    client.credit(window);
    worker.credit(window);
    let to_worker = Joined { other: Arc::clone(&worker) };
    let to_client = Joined { other: Arc::clone(&client) };
    (Flow::of_half(client, to_worker, window), Flow::of_half(worker, to_client, window))
}
