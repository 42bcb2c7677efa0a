//! The call that the handler on this thread works on, while it runs there: calls that it makes end with
//! it.

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

/// Ends the scope of a poll, or of a handler that blocks.
pub(crate) struct Scope {
    before: Option<Current>,
}

/// Until the scope is dropped, a handler with this deadline is polled on this thread.
pub(super) fn enter(deadline: Instant) -> Scope {
    set(Current { deadline, may_block: false })
}

/// Until the scope is dropped, a handler with this deadline has this thread for itself.
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
    // A thread that ends has no handler.
    CURRENT.try_with(Cell::get).ok().flatten()
}

/// The deadline of the handler on this thread.
pub(crate) fn deadline() -> Option<Instant> {
    get().map(|current| current.deadline)
}

/// Whether a handler is polled on this thread, which therefore must not wait.
pub(crate) fn is_polled() -> bool {
    get().is_some_and(|current| !current.may_block)
}
