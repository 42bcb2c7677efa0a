//! Which parts of a socket have news. Each part has a waker of its own, so a socket with many peers looks only at those
//! that were woken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

/// A part of a socket, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Listener(usize),
    Link(usize),
    Peer(usize),
}

/// The parts that were woken, and the task of the socket.
#[derive(Default)]
pub(super) struct Signals(Arc<Mutex<News>>);

#[derive(Default)]
struct News {
    due: Vec<Arc<Signal>>,
    task: Option<Waker>,
}

struct Signal {
    part: Part,
    /// The part is in the list.
    is_due: AtomicBool,
    news: Arc<Mutex<News>>,
}

impl Signals {
    /// The waker of a part.
    pub(super) fn waker(&self, part: Part) -> Waker {
        let news = Arc::clone(&self.0);
        Waker::from(Arc::new(Signal { part, is_due: AtomicBool::new(false), news }))
    }

    /// Wakes this task at the next signal.
    pub(super) fn watch(&self, cx: &Context<'_>) {
        let mut news = lock(&self.0);
        match &mut news.task {
            Some(task) => task.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// Takes the parts that were woken.
    pub(super) fn take(&self, to: &mut Vec<Part>) {
        for signal in lock(&self.0).due.drain(..) {
            // The part is looked at after this, so a signal from now on is a new one.
            signal.is_due.store(false, Ordering::Release);
            to.push(signal.part);
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut news = lock(&self.news);
        news.due.push(Arc::clone(self));
        let task = news.task.take();
        drop(news);
        if let Some(task) = task {
            task.wake();
        }
    }
}

fn lock(news: &Mutex<News>) -> MutexGuard<'_, News> {
    news.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn parts_are_listed_once_and_wake_the_task_once() {
        let (signals, count) = (Signals::default(), Arc::new(Count::default()));
        let (one, two) = (signals.waker(Part::Peer(1)), signals.waker(Part::Link(2)));
        let mut due = Vec::new();
        one.wake_by_ref();
        signals.watch(&Context::from_waker(&Waker::from(Arc::clone(&count))));
        one.wake_by_ref();
        two.wake_by_ref();
        two.wake_by_ref();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        signals.take(&mut due);
        assert_eq!(due, [Part::Peer(1), Part::Link(2)]);
        one.wake_by_ref();
        signals.take(&mut due);
        assert_eq!(due.len(), 3);
    }
}
