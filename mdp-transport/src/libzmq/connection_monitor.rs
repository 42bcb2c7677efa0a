//! Finds connections that broke. libzmq reports that a connection broke, but not whose connection, and it removes the
//! routing id a little later. So after each loss the broker checks twice which peers it cannot reach.

use std::sync::atomic::{AtomicU64, Ordering};

use mdp_protocol::{Span, Time};

use super::context::Context;

/// The time after which the routing id is gone, unless the machine is busy.
const SOON: Span = Span::from_ms(2);
/// The time after which the routing id is gone on a busy machine, too.
const LATER: Span = Span::from_ms(50);

/// The shortest time between two checks, however many connections break.
const BETWEEN: Span = Span::from_ms(10);

/// Watches the broker's socket for connections that end.
pub(super) struct ConnectionMonitor {
    events: zmq::Socket,
    times: Times,
}

impl ConnectionMonitor {
    pub(super) fn watch(context: &Context, router: &zmq::Socket) -> zmq::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let endpoint =
            format!("inproc://mdp.connection-monitor.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        router.monitor(&endpoint, i32::from(zmq::SocketEvent::DISCONNECTED.to_raw()))?;
        let events = context.socket(zmq::PAIR)?;
        events.set_linger(0)?;
        // With a limit, a full queue would make libzmq's I/O thread wait for this thread.
        events.set_rcvhwm(0)?;
        events.connect(&endpoint)?;
        Ok(ConnectionMonitor { events, times: Times::default() })
    }

    pub(super) fn as_poll_item(&self) -> zmq::PollItem<'_> {
        self.events.as_poll_item(zmq::POLLIN)
    }

    /// The time of the next check.
    pub(super) fn next(&self) -> Option<Time> {
        self.times.next()
    }

    /// Reads the events. Returns whether it is time to check.
    pub(super) fn due(&mut self, now: Time) -> bool {
        let mut any = false;
        while self.events.recv_msg(zmq::DONTWAIT).is_ok() {
            any = true;
        }
        if any {
            self.times.lost(now);
        }
        self.times.due(now)
    }
}

/// The times of the checks.
#[derive(Debug, Default)]
struct Times {
    soon: Option<Time>,
    later: Option<Time>,
    last: Option<Time>,
}

impl Times {
    fn next(&self) -> Option<Time> {
        self.soon.into_iter().chain(self.later).min()
    }

    fn lost(&mut self, now: Time) {
        let earliest = self.last.map_or(now, |last| last + BETWEEN);
        self.soon.get_or_insert((now + SOON).max(earliest));
        self.later = Some(now + LATER);
    }

    fn due(&mut self, now: Time) -> bool {
        let due = |at: &mut Option<Time>| at.take_if(|at| now >= *at).is_some();
        let due = due(&mut self.soon) | due(&mut self.later);
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(losses: impl Fn(u64) -> bool, ms: u64) -> Vec<u64> {
        let mut times = Times::default();
        let look = |ms: &u64| {
            let now = Time::from_ms(*ms);
            if losses(*ms) {
                times.lost(now);
            }
            times.due(now)
        };
        (0..ms).filter(look).collect()
    }

    #[test]
    fn a_loss_is_looked_for_twice() {
        assert_eq!(looks(|ms| ms == 10, 1_000), [12, 60]);
        assert_eq!(looks(|ms| ms == 10 || ms == 13, 1_000), [12, 22, 63]);
    }

    #[test]
    fn however_many_break_it_is_looked_for_a_hundred_times_a_second() {
        assert_eq!(looks(|_| true, 1_000).len(), 100);
    }
}
