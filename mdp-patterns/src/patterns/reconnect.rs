//! Reconnects endpoints for which libzmq does not reconnect by itself.
//!
//! libzmq reconnects a broken connection. It gives up a connection permanently if the other side sends bytes that are
//! not ZeroMQ's protocol, or a frame that is too large: a subscriber would get no more messages from a publisher that
//! has sent one such message. So the socket's events are watched: if no attempt to connect follows a loss, libzmq has
//! given up, and the endpoint is connected again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use mdp_transport::pattern::{self, Connections, PatternSocket};
use mdp_transport::{Context, SocketError};

/// How long libzmq has to show that it reconnects by itself; also the time for the rest of the old connection to close.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause before the next attempt, when several attempts in a row are given up.
const LONGEST: Duration = Duration::from_secs(5);
/// A connection that is given up this long after the last time counts as the first one again.
const FORGET: Duration = Duration::from_secs(60);
/// The maximum number of remembered addresses, to which the endpoints' names resolve.
const MAX_ADDRESSES: usize = 1_024;

/// The events of a socket that connects to endpoints.
pub(super) struct Reconnect {
    connections: Connections,
    lost_connections: LostConnections,
}

/// The next step for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Removes libzmq's old state of the endpoint.
    Disconnect,
    /// Connects again.
    Connect,
}

impl Reconnect {
    /// Watches a socket that is going to connect to these endpoints. Must be called on tokio.
    pub(super) fn watch(
        context: &Context,
        socket: &mut PatternSocket,
        endpoints: Vec<String>,
    ) -> Result<Self, SocketError> {
        Ok(Reconnect {
            connections: pattern::watch(context, socket)?,
            lost_connections: LostConnections::new(endpoints),
        })
    }

    /// Stops watching.
    pub(super) fn end(self, socket: &mut PatternSocket) {
        self.connections.end(socket);
    }

    /// Waits for an event.
    pub(super) async fn ready(&mut self) -> Result<(), SocketError> {
        self.connections.ready().await
    }

    /// Handles the available events.
    pub(super) fn hear(&mut self, now: Instant) {
        while let Some((lost, address)) = self.connections.next_change() {
            self.lost_connections.event(now, lost, &address);
        }
    }

    /// The moment of the next step.
    pub(super) fn due(&self) -> Option<Instant> {
        self.lost_connections.steps.values().map(|(at, _)| *at).min()
    }

    /// The next step that is due, with its endpoints.
    pub(super) fn step(&mut self, now: Instant) -> Option<(Step, Vec<String>)> {
        self.lost_connections.step(now)
    }
}

/// The connections that were lost.
struct LostConnections {
    endpoints: Vec<String>,
    /// The addresses that this socket connected to. Other lost connections came from outside.
    addresses: BTreeSet<String>,
    /// By address.
    steps: BTreeMap<String, (Instant, Step)>,
    /// How often in a row each address was given up, and when last: its server refuses this key, or does not speak
    /// ZeroMQ.
    given_up: BTreeMap<String, (u32, Instant)>,
}

impl LostConnections {
    fn new(endpoints: Vec<String>) -> Self {
        let (addresses, steps, given_up) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        LostConnections { endpoints, addresses, steps, given_up }
    }

    fn event(&mut self, now: Instant, lost: bool, address: &str) {
        if !lost {
            // libzmq reconnects by itself.
            self.steps.remove(address);
            if self.addresses.len() >= MAX_ADDRESSES {
                self.addresses.clear();
                self.given_up.clear();
            }
            self.addresses.insert(address.to_owned());
        } else if self.addresses.contains(address) {
            self.steps.insert(address.to_owned(), (now + PAUSE, Step::Disconnect));
        }
    }

    fn step(&mut self, now: Instant) -> Option<(Step, Vec<String>)> {
        let (address, (_, step)) = self.steps.iter().find(|(_, (at, _))| *at <= now)?;
        let (address, step) = (address.clone(), *step);
        let endpoints = self.endpoints_of(&address);
        match step {
            Step::Disconnect => {
                let pause = self.give_up(now, &address);
                self.steps.insert(address, (now + pause, Step::Connect));
            }
            Step::Connect => {
                self.steps.remove(&address);
            }
        }
        Some((step, endpoints))
    }

    /// Counts a connection that was given up. Returns the pause before the next attempt, which grows each time.
    fn give_up(&mut self, now: Instant, address: &str) -> Duration {
        let (times, last) = self.given_up.entry(address.to_owned()).or_insert((0, now));
        let again = now.saturating_duration_since(*last) < FORGET;
        *times = if again { times.saturating_add(1) } else { 1 };
        *last = now;
        let pause = PAUSE.saturating_mul(1 << (*times - 1).min(4)).min(LONGEST);
        // Logged less and less often, because this may go on forever.
        if times.is_power_of_two() {
            tracing::warn!(
                address,
                times,
                next_attempt = ?pause,
                "libzmq has given up a connection: the other side does not accept this key, or violated the protocol"
            );
        }
        pause
    }

    /// The endpoint of an address: the address itself, or all names that may resolve to it, because libzmq does not
    /// report which of them does.
    fn endpoints_of(&self, address: &str) -> Vec<String> {
        if self.endpoints.iter().any(|endpoint| endpoint == address) {
            return vec![address.to_owned()];
        }
        let port = split(address).map(|(_, port)| port);
        let named = self.endpoints.iter().filter(|endpoint| match split(endpoint) {
            Some((host, its)) => Some(its) == port && host.parse::<IpAddr>().is_err(),
            None => false,
        });
        named.cloned().collect()
    }
}

/// The host and the port of a tcp endpoint.
fn split(endpoint: &str) -> Option<(&str, &str)> {
    let (host, port) = endpoint.strip_prefix("tcp://")?.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: &str = "tcp://host:1";
    const PLAIN: &str = "tcp://10.0.0.2:2";
    const OTHER: &str = "tcp://[::1]:1";

    fn lost_connections() -> LostConnections {
        LostConnections::new(
            [NAMED, PLAIN, OTHER, "ipc:///a:1", "tcp://again:1"].map(Into::into).into(),
        )
    }

    #[test]
    fn a_loss_that_no_attempt_follows_is_mended() {
        let (mut lost_connections, now) = (lost_connections(), Instant::now());
        let cases: [(&str, &[&str]); 4] = [
            ("tcp://10.0.0.1:1", &[NAMED, "tcp://again:1"]),
            (PLAIN, &[PLAIN]),
            (OTHER, &[OTHER]),
            ("ipc:///a:1", &["ipc:///a:1"]),
        ];
        for (address, endpoints) in cases {
            let endpoints: Vec<String> = endpoints.iter().map(|&text| text.into()).collect();
            lost_connections.event(now, false, address);
            lost_connections.event(now, true, address);
            assert_eq!(lost_connections.step(now), None);
            let later = now + PAUSE;
            assert_eq!(lost_connections.step(later), Some((Step::Disconnect, endpoints.clone())));
            assert_eq!(lost_connections.step(later), None);
            let later = later + PAUSE;
            assert_eq!(lost_connections.step(later), Some((Step::Connect, endpoints)));
            assert_eq!(lost_connections.step(later), None);
        }
    }

    #[test]
    fn one_that_is_given_up_again_and_again_is_tried_ever_more_rarely() {
        let (mut lost_connections, mut now) = (lost_connections(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..6 {
            lost_connections.event(now, false, PLAIN);
            lost_connections.event(now, true, PLAIN);
            now += PAUSE;
            assert_eq!(lost_connections.step(now).map(|(step, _)| step), Some(Step::Disconnect));
            let begin = now;
            while lost_connections.step(now).is_none() {
                now += Duration::from_millis(100);
            }
            pauses.push((now - begin).as_millis());
        }
        assert_eq!(pauses, [1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
        now += FORGET;
        assert_eq!(lost_connections.give_up(now, PLAIN), PAUSE);
    }

    #[test]
    fn what_libzmq_mends_and_what_came_from_outside_is_left_alone() {
        let (mut lost_connections, now) = (lost_connections(), Instant::now());
        lost_connections.event(now, false, PLAIN);
        lost_connections.event(now, true, PLAIN);
        lost_connections.event(now, false, PLAIN);
        lost_connections.event(now, true, "tcp://10.9.9.9:1");
        assert_eq!(lost_connections.step(now + 10 * PAUSE), None);
        for number in 0..2 * MAX_ADDRESSES {
            lost_connections.event(now, false, &format!("tcp://10.0.0.1:{number}"));
        }
        assert!(lost_connections.addresses.len() <= MAX_ADDRESSES);
    }
}
