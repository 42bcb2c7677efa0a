//! The call that the handler on this thread works on, while it is polled: calls that it makes end with
//! it.

use std::cell::Cell;
use std::time::Instant;

thread_local! {
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Ends the scope of a poll.
pub(super) struct Scope {
    before: Option<Instant>,
}

/// Until the scope is dropped, a handler with this deadline is polled on this thread.
pub(super) fn enter(deadline: Instant) -> Scope {
    Scope { before: DEADLINE.replace(Some(deadline)) }
}

impl Drop for Scope {
    fn drop(&mut self) {
        DEADLINE.set(self.before);
    }
}

/// The deadline of the handler that is polled on this thread.
pub(crate) fn deadline() -> Option<Instant> {
    // A thread that ends has no handler.
    DEADLINE.try_with(Cell::get).ok().flatten()
}
