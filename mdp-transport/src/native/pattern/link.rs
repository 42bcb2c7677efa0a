//! An endpoint that a socket connects to, again and again.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use super::super::address::Address;
use super::super::inproc::Hub;
use super::super::stream::{Patience, Stream};
use super::message::Message;
use super::peer::Found;
use crate::pattern_types::Pattern;

/// The pause before the second attempt to connect; it doubles up to the longest one.
const RETRY: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);
/// The longest pause after a fault, such as a key that is not allowed. It does not mend itself soon.
const LONGEST_OF_FAULTS: Duration = Duration::from_secs(5);

type Attempt = Pin<Box<dyn Future<Output = io::Result<Found>> + Send>>;

pub(super) struct Link {
    target: Arc<Target>,
    waker: Waker,
    /// `None`: there is a connection.
    attempt: Option<Attempt>,
    pause: Duration,
    /// Faults in a row.
    faults: u32,
    /// Messages that the last connection has not sent.
    kept: VecDeque<Message>,
}

/// Where to connect.
pub(super) struct Target {
    pub(super) hub: Arc<Hub>,
    pub(super) address: Address,
    pub(super) endpoint: Box<str>,
    pub(super) pattern: Pattern,
    /// The most messages that wait for this side, within the process.
    pub(super) max: usize,
}

impl Target {
    async fn attempt(self: Arc<Self>, pause: Duration) -> io::Result<Found> {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        match &self.address {
            Address::Inproc(name) => {
                let connect = |door: &super::Door| door.connect(self.pattern, self.max);
                Ok(Found::Local(self.hub.joined(name, connect).await))
            }
            address => Stream::connect(address, Patience::Long).await.map(Found::Remote),
        }
    }
}

impl Link {
    pub(super) fn new(target: Target, waker: Waker) -> Self {
        let (target, kept) = (Arc::new(target), VecDeque::new());
        let mut link =
            Link { target, waker, attempt: None, pause: Duration::ZERO, faults: 0, kept };
        link.begin();
        link
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.target.endpoint
    }

    fn begin(&mut self) {
        self.attempt = Some(Box::pin(Arc::clone(&self.target).attempt(self.pause)));
        self.waker.wake_by_ref();
    }

    /// A new connection. Names are resolved anew for each attempt.
    pub(super) fn poll(&mut self) -> Poll<Found> {
        loop {
            let mut cx = Context::from_waker(&self.waker);
            let Some(attempt) = &mut self.attempt else { return Poll::Pending };
            match ready!(attempt.as_mut().poll(&mut cx)) {
                Ok(found) => {
                    self.attempt = None;
                    return Poll::Ready(found);
                }
                Err(error) => {
                    tracing::debug!(endpoint = self.endpoint(), %error, "no connection yet");
                    self.pause = longer(self.pause, LONGEST);
                    self.begin();
                }
            }
        }
    }

    /// The messages for the new connection.
    pub(super) fn take_kept(&mut self) -> VecDeque<Message> {
        std::mem::take(&mut self.kept)
    }

    /// The connection is over. `proven`: it had worked. Its messages are kept for the next one.
    pub(super) fn lose(&mut self, proven: bool, kept: VecDeque<Message>) {
        if proven {
            (self.pause, self.faults) = (Duration::ZERO, 0);
        }
        self.pause = longer(self.pause, LONGEST);
        self.kept.extend(kept);
        self.begin();
    }

    /// The connection ended with a fault, which is logged less and less often, because this may go on forever.
    pub(super) fn fail(&mut self, reason: &dyn std::fmt::Display, kept: VecDeque<Message>) {
        self.faults = self.faults.saturating_add(1);
        self.pause = longer(self.pause, LONGEST_OF_FAULTS);
        if self.faults.is_power_of_two() {
            tracing::warn!(
                endpoint = self.endpoint(),
                times = self.faults,
                next_attempt = ?self.pause,
                %reason,
                "a connection has failed"
            );
        }
        self.kept.extend(kept);
        self.begin();
    }
}

fn longer(pause: Duration, longest: Duration) -> Duration {
    (pause * 2).clamp(RETRY, longest.max(pause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let mut pauses = vec![longer(Duration::ZERO, LONGEST)];
        while pauses.len() < 8 {
            pauses.push(longer(pauses[pauses.len() - 1], LONGEST));
        }
        assert_eq!(
            pauses.iter().map(Duration::as_millis).collect::<Vec<_>>()[..6],
            [50, 100, 200, 400, 800, 1_000]
        );
        assert_eq!(pauses[7], LONGEST);
        assert_eq!(longer(LONGEST, LONGEST_OF_FAULTS), Duration::from_secs(2));
        assert_eq!(longer(LONGEST_OF_FAULTS, LONGEST), LONGEST_OF_FAULTS);
    }
}
