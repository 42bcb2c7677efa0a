//! Connections of patterns within the process: a queue in each direction.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::message::{Message, fits};
use crate::pattern_types::Pattern;

/// What one side has sent.
pub(super) enum Item {
    Message(Message),
    /// A subscriber adds this topic, or takes it back.
    Subscription {
        topic: Bytes,
        add: bool,
    },
}

/// One side of a connection. The other side sees when this one is dropped.
pub(in crate::native) struct Pipe {
    to: Arc<Lane>,
    from: Arc<Lane>,
}

/// One direction.
struct Lane {
    state: Mutex<State>,
    /// The most messages that wait for the reader.
    max: usize,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    /// How many of the items are messages.
    messages: usize,
    /// One of the sides has gone.
    is_over: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    /// Both sides of a connection, and the most messages that wait for each of them.
    fn pair(one: usize, other: usize) -> (Pipe, Pipe) {
        let lane = |max| Arc::new(Lane { state: Mutex::default(), max });
        let (to_one, to_other) = (lane(one), lane(other));
        let first = Pipe { to: Arc::clone(&to_other), from: Arc::clone(&to_one) };
        (first, Pipe { to: to_one, from: to_other })
    }

    /// Sends a message. If there is no room, the message comes back, and the task is woken when there is.
    pub(super) fn send(&self, message: Message, cx: &Context<'_>) -> Result<(), Message> {
        let mut state = lock(&self.to.state);
        if state.messages >= self.to.max && !state.is_over {
            state.writer = Some(cx.waker().clone());
            return Err(message);
        }
        state.messages += 1;
        put(state, Item::Message(message));
        Ok(())
    }

    /// Sends a message even if there is no room.
    pub(super) fn send_last(&self, message: Message) {
        let mut state = lock(&self.to.state);
        state.messages += 1;
        put(state, Item::Message(message));
    }

    pub(super) fn subscribe(&self, topic: Bytes, add: bool) {
        put(lock(&self.to.state), Item::Subscription { topic, add });
    }

    /// What the other side has sent next. `None`: it has gone.
    pub(super) fn poll_receive(&self, cx: &Context<'_>) -> Poll<Option<Item>> {
        let mut state = lock(&self.from.state);
        let Some(item) = state.items.pop_front() else {
            if state.is_over {
                return Poll::Ready(None);
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        if matches!(item, Item::Message(_)) {
            state.messages = state.messages.saturating_sub(1);
        }
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        Poll::Ready(Some(item))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        for lane in [&self.to, &self.from] {
            let mut state = lock(&lane.state);
            state.is_over = true;
            let wakers = [state.reader.take(), state.writer.take()];
            drop(state);
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }
}

fn put(mut state: MutexGuard<'_, State>, item: Item) {
    if state.is_over {
        return;
    }
    state.items.push_back(item);
    let reader = state.reader.take();
    drop(state);
    if let Some(reader) = reader {
        reader.wake();
    }
}

/// The other end of a bound name.
pub(in crate::native) struct Door {
    pattern: Pattern,
    /// The most messages that wait for the bound socket, from each peer.
    max: usize,
    arrivals: Mutex<Arrivals>,
}

#[derive(Default)]
struct Arrivals {
    pipes: VecDeque<Pipe>,
    task: Option<Waker>,
}

impl Door {
    pub(super) fn new(pattern: Pattern, max: usize) -> Arc<Self> {
        Arc::new(Door { pattern, max, arrivals: Mutex::default() })
    }

    /// Connects a socket of this pattern, for which at most `max` messages wait. `None`: the patterns do not fit.
    pub(super) fn connect(&self, pattern: Pattern, max: usize) -> Option<Pipe> {
        if !fits(self.pattern, pattern) {
            tracing::debug!(ours = ?pattern, theirs = ?self.pattern, "these patterns do not fit");
            return None;
        }
        let (pipe, other) = Pipe::pair(max, self.max);
        let mut arrivals = lock(&self.arrivals);
        arrivals.pipes.push_back(other);
        let task = arrivals.task.take();
        drop(arrivals);
        if let Some(task) = task {
            task.wake();
        }
        Some(pipe)
    }

    pub(super) fn poll_arrival(&self, cx: &Context<'_>) -> Poll<Pipe> {
        let mut arrivals = lock(&self.arrivals);
        match arrivals.pipes.pop_front() {
            Some(pipe) => Poll::Ready(pipe),
            None => {
                arrivals.task = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &'static str) -> Message {
        Message { topic: None, record: Bytes::from_static(text.as_bytes()) }
    }

    #[test]
    fn a_full_queue_refuses_and_the_end_comes_last() {
        let door = Door::new(Pattern::Puller, 2);
        assert!(door.connect(Pattern::Pair, 1).is_none(), "does not fit");
        let cx = Context::from_waker(Waker::noop());
        assert!(door.poll_arrival(&cx).is_pending());
        let pusher = door.connect(Pattern::Pusher, 1).unwrap();
        let Poll::Ready(puller) = door.poll_arrival(&cx) else { panic!("nobody came") };
        assert!(pusher.send(message("1"), &cx).is_ok() && pusher.send(message("2"), &cx).is_ok());
        assert!(pusher.send(message("3"), &cx).is_err());
        let receive = || match puller.poll_receive(&cx) {
            Poll::Ready(Some(Item::Message(message))) => Some(message.record),
            _ => None,
        };
        assert_eq!(receive().unwrap(), "1");
        assert!(pusher.send(message("3"), &cx).is_ok());
        pusher.send_last(message("4"));
        drop(pusher);
        for text in ["2", "3", "4"] {
            assert_eq!(receive().unwrap(), text);
        }
        assert!(matches!(puller.poll_receive(&cx), Poll::Ready(None)));
        // Nobody reads this.
        assert!(puller.send(message("5"), &cx).is_ok());
    }
}
