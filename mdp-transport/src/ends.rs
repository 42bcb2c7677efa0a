//! Catches panics of handlers and hooks, and starts threads and tasks so that their ends are reported. Not part of the
//! public interface, but the program `mdp` uses it, too.
//!
//! Panics are caught only here. The payload of a panic can be any value, even one whose `Drop` panics, so it is dropped
//! within a second catch. A thread or a task that is started here never ends without a report to the code that relies
//! on it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

/// The message of a panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    words: String,
}

impl Panicked {
    fn of(payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        discard(payload);
        Panicked { words: text.unwrap_or_else(|| "no message".to_owned()) }
    }

    /// Returns the text of the panic, for the log.
    pub fn words(&self) -> &str {
        &self.words
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// Runs a function and catches its panic. Data that the function shares must be usable after a panic, too.
///
/// # Errors
///
/// The function panicked.
pub fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(run)).map_err(Panicked::of)
}

/// Drops a value whose `Drop` may panic.
pub fn discard<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // Dropping the payload may panic again, without an end. The payload is leaked instead.
        std::mem::forget(payload);
    }
}

/// Writes to the log. If the subscriber panics, only the line is lost.
pub fn say(line: impl FnOnce()) {
    // The result is ignored: a failing log cannot be reported anywhere.
    let _ = catch(line);
}

/// Starts a thread of this name. At its end the thread calls `ended` with the result of `run`, or with its panic.
///
/// # Errors
///
/// The system cannot start a thread.
pub fn thread<T>(
    name: &'static str,
    run: impl FnOnce() -> T + Send + 'static,
    ended: impl FnOnce(Result<T, Panicked>) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let whole = move || {
        let end = catch(run);
        let panicked = end.as_ref().err().cloned();
        // The code that relies on the thread comes first. This may run the user's code, when it wakes a task.
        let told = catch(move || ended(end));
        if let Some(panicked) = panicked {
            say(|| tracing::error!(thread = name, words = panicked.words(), "a thread panicked"));
        }
        if let Err(panicked) = told {
            let words = panicked.words();
            say(|| {
                tracing::error!(thread = name, words, "the callback for a thread's end panicked")
            });
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(whole)
}

/// A future that returns a panic as its output. A panic while the future is dropped is caught, too.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Caught<F>(Option<Pin<Box<F>>>);

/// Catches the panics of a future.
pub fn caught<F: Future>(future: F) -> Caught<F> {
    Caught(Some(Box::pin(future)))
}

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.0 else { return Poll::Pending };
        let end = match catch(|| future.as_mut().poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panicked) => Err(panicked),
        };
        self.end();
        Poll::Ready(end)
    }
}

impl<F> Caught<F> {
    fn end(&mut self) {
        if let Some(future) = self.0.take() {
            discard(future);
        }
    }
}

impl<F> Drop for Caught<F> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs a task. If the task panics, the panic is logged under this name and reported to `ended`.
pub async fn task(name: &'static str, run: impl Future<Output = ()>, ended: impl FnOnce(Panicked)) {
    if let Err(panicked) = caught(run).await {
        let words = panicked.words().to_owned();
        let told = catch(move || ended(panicked));
        say(|| tracing::error!(task = name, words, "a task panicked"));
        if let Err(panicked) = told {
            let words = panicked.words();
            say(|| tracing::error!(task = name, words, "the callback for a task's end panicked"));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)] // tests
mod tests {
    use std::panic::panic_any;
    use std::sync::mpsc::channel;

    use super::*;

    /// Panics when it is dropped, this many times.
    struct Bomb(u32);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 > 0 {
                panic_any(Bomb(self.0 - 1));
            }
        }
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_is_dropped_all_the_same() {
        for depth in 0..4 {
            assert_eq!(catch(|| panic_any(Bomb(depth))), Err::<(), _>(no_message()));
        }
        assert_eq!(catch(|| panic!("{}", 1)).map(|(): ()| ()).unwrap_err().words(), "1");
        assert_eq!(catch(|| panic!("text")).map(|(): ()| ()).unwrap_err().words(), "text");
        assert_eq!(catch(|| 1), Ok(1));
        discard(Bomb(3));
    }

    fn no_message() -> Panicked {
        Panicked { words: "no message".to_owned() }
    }

    #[test]
    fn the_end_of_a_thread_is_told_whatever_it_is() {
        for depth in [None, Some(0), Some(3)] {
            let (told, end) = channel();
            let run = move || match depth {
                Some(depth) => panic_any(Bomb(depth)),
                None => 1,
            };
            let ended = move |end| {
                told.send(end).unwrap();
                panic_any(Bomb(1));
            };
            let thread = thread("test", run, ended).unwrap();
            assert_eq!(end.recv(), Ok(depth.map_or(Ok(1), |_| Err(no_message()))));
            thread.join().unwrap();
        }
    }

    #[tokio::test]
    async fn a_future_may_panic_when_it_is_polled_and_when_it_is_dropped() {
        assert_eq!(caught(async { panic_any(Bomb(2)) }).await, Err::<(), _>(no_message()));
        let waits = |bomb: Bomb| async move {
            tokio::task::yield_now().await;
            std::future::pending::<()>().await;
            drop(bomb);
        };
        let mut dropped = caught(waits(Bomb(2)));
        tokio::select! {
            biased;
            _ = &mut dropped => {}
            () = std::future::ready(()) => {}
        }
        drop(dropped);
    }
}
