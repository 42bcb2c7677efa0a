//! The credit of whoever sends.

use std::task::{Context, Poll, ready};

use mdp_protocol::wire::units;

use super::flow::{Half, Over};

/// Credit that was taken from the gate, so that not every item has to go there.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    /// Below zero after an item that cost more than there was.
    units: i64,
}

impl Purse {
    /// Waits until an item may be sent.
    pub(crate) fn poll_ready(
        &mut self,
        half: &Half,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Over>> {
        if half.is_over() {
            return Poll::Ready(Err(Over));
        }
        while self.units <= 0 {
            match ready!(half.poll_credit(cx)) {
                Ok(units) => self.units += units,
                Err(over) => return Poll::Ready(Err(over)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Pays for an item of this size, for which [`poll_ready`](Self::poll_ready) was waited.
    pub(crate) fn pay(&mut self, size: usize) {
        self.units -= i64::from(units(size));
    }
}
