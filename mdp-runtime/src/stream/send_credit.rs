//! The credit of the sender of a stream.

use std::task::{Context, Poll, ready};

use mdp_protocol::wire::units;

use super::flow::{Half, Over};

/// Credit that was taken from the gate in advance, so that not every item has to lock the gate.
#[derive(Debug, Default)]
pub(crate) struct SendCredit {
    /// Below zero after an item that cost more than the available credit.
    units: i64,
}

impl SendCredit {
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

    /// Pays for an item of this size; call this after [`poll_ready`](Self::poll_ready).
    pub(crate) fn pay(&mut self, size: usize) {
        self.units -= i64::from(units(size));
    }
}
