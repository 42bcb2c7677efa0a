//! The call whose handler currently runs on this thread. Calls that the handler makes end with that call.

use std::cell::Cell;
use std::time::Instant;

thread_local! {
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Current {
    deadline: Instant,
    may_block: bool,
}

/// Ends the scope of a poll, or of a blocking handler, when it is dropped.
pub(crate) struct Scope {
    before: Option<Current>,
}

/// Marks this thread as polling a handler with this deadline, until the scope is dropped.
pub(crate) fn enter(deadline: Instant) -> Scope {
    set(Current { deadline, may_block: false })
}

/// Marks this thread as running a blocking handler with this deadline, until the scope is dropped.
pub(crate) fn enter_blocking(deadline: Instant) -> Scope {
    set(Current { deadline, may_block: true })
}

fn set(current: Current) -> Scope {
    Scope { before: CURRENT.replace(Some(current)) }
}

impl Drop for Scope {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

fn get() -> Option<Current> {
    // A thread that is ending has no handler.
    CURRENT.try_with(Cell::get).ok().flatten()
}

/// The deadline of the handler on this thread.
pub(crate) fn deadline() -> Option<Instant> {
    get().map(|current| current.deadline)
}

/// Whether a handler is polled on this thread, which therefore must not block.
pub(crate) fn is_polled() -> bool {
    get().is_some_and(|current| !current.may_block)
}
