//! Wakes the router's thread. Its other end is the poll in which the thread waits.

use std::io;
use std::sync::Arc;

use mio::{Poll, Token};

/// The token of wake-ups. Connections have smaller ones.
pub(super) const WOKEN: Token = Token(usize::MAX);

/// Wakes the thread. Clones wake the same thread.
#[derive(Clone, Debug)]
pub(crate) struct WakeHandle(Arc<mio::Waker>);

/// The poll of the thread.
pub(crate) struct Wait {
    pub(super) poll: Poll,
    pub(super) handle: WakeHandle,
}

impl WakeHandle {
    pub(crate) fn pair() -> io::Result<(Self, Wait)> {
        let poll = Poll::new()?;
        let handle = WakeHandle(Arc::new(mio::Waker::new(poll.registry(), WOKEN)?));
        Ok((handle.clone(), Wait { poll, handle }))
    }

    pub(crate) fn wake(&self) {
        if let Err(error) = self.0.wake() {
            tracing::error!(%error, "could not wake the broker's thread");
        }
    }
}
