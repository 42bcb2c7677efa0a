//! A ROUTER socket with a thread of its own: it is bound, tells its peers apart, waits, and hears of broken connections.
//! `message` receives and sends.

use std::path::Path;

use mdp_protocol::{Identity, Limits, Span, Time};

use super::close::Closing;
use super::connection_monitor::ConnectionMonitor;
use super::context::Context;
use super::curve;
use super::error::{binding, failed, opening};
use super::frame;
use super::identity::Identities;
use super::waker::Wakeups;
use super::zap::Registration;
use crate::arrival::Unproven;
use crate::error::{Operation, SocketError};
use crate::ipc_path;
use crate::security::KeyPair;

/// Milliseconds after which silent and half-open connections end.
const HANDSHAKE_MS: i32 = 2_000;
const LINGER_MS: i32 = 1_000;

/// Keepalive of the kernel: seconds until a silent connection is probed, seconds between probes, and the number of
/// probes before the connection ends.
const KEEPALIVE_IDLE_S: i32 = 10;
const KEEPALIVE_AGAIN_S: i32 = 5;
const KEEPALIVE_COUNT: i32 = 3;

/// The minimum memory in bytes of a message that waits for a peer, as the broker counts it. So the limit of bytes also
/// limits the number of messages. libzmq's own limit (`ZMQ_SNDHWM`) is at least this number: with its default of 1,000
/// messages, a peer that reads late would lose small replies.
const LEAST_MESSAGE: usize = 256;
const LEAST_HWM: usize = 1_000;

const INPROC: &str = "inproc://";
/// The longest wait in milliseconds.
const LONGEST_MS: u64 = 60_000;

/// A bound ROUTER socket, and all events that its thread waits for.
pub(crate) struct Router {
    context: Context,
    socket: zmq::Socket,
    monitor: ConnectionMonitor,
    wakeups: Wakeups,
    identities: Identities,
    endpoints: Vec<String>,
    /// The socket has an endpoint for peers of this process.
    inproc: bool,
    max_frames: usize,
}

impl Router {
    /// Makes a socket that is bound to these endpoints. With `curve` it accepts only peers on the registration's list.
    /// The limits apply to received messages.
    ///
    /// # Errors
    ///
    /// An error with an endpoint: it could not be bound. Else the socket could not be made.
    pub(crate) fn bind(
        context: &Context,
        limits: &Limits,
        endpoints: &[String],
        curve: Option<(&KeyPair, Registration)>,
        wakeups: Wakeups,
    ) -> Result<Self, SocketError> {
        let mut socket = context.socket(zmq::ROUTER).map_err(opening)?;
        set_up(&mut socket, limits).map_err(opening)?;
        if let Some((keys, registration)) = &curve {
            let domain = registration.domain();
            curve::set_up_server(&mut socket, keys, domain).map_err(opening)?;
        }
        let bound = endpoints.iter().map(|endpoint| bind(&socket, endpoint));
        let bound = bound.collect::<Result<_, _>>()?;
        Ok(Router {
            context: context.clone(),
            monitor: ConnectionMonitor::watch(context, &socket).map_err(opening)?,
            socket,
            wakeups,
            identities: Identities::new(curve.map(|(_, registration)| registration)),
            endpoints: bound,
            inproc: endpoints.iter().any(|endpoint| endpoint.starts_with(INPROC)),
            max_frames: limits.frames,
        })
    }

    /// Returns the endpoints with their ports.
    pub(crate) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// The sender of the message with this first frame; see [`Identities::of`].
    pub(super) fn identify(
        &mut self,
        route: &mut zmq::Message,
        guarded: bool,
    ) -> Result<Identity, Unproven> {
        self.identities.of(route, guarded)
    }

    /// Whether the peer with this routing id is in this process.
    pub(super) fn is_local(&self, route: &[u8]) -> bool {
        self.inproc && self.context.is_insider(route)
    }

    /// The most payload frames that a message may have.
    pub(super) fn max_frames(&self) -> usize {
        self.max_frames
    }

    /// The socket, for `message`.
    pub(super) fn socket(&mut self) -> &mut zmq::Socket {
        &mut self.socket
    }

    /// Whether there is a message to receive. The next receive returns an error.
    pub(crate) fn is_readable(&self) -> bool {
        self.socket.get_events().map_or(true, |found| found.contains(zmq::POLLIN))
    }

    /// Waits for a message, a lost connection or a call of the waker, and not longer than `timeout`, if there is one.
    pub(crate) fn wait(&self, timeout: Option<Span>) -> Result<(), SocketError> {
        let timeout = timeout.map_or(-1, |timeout| timeout.as_ms().min(LONGEST_MS) as i64);
        let router = self.socket.as_poll_item(zmq::POLLIN);
        let mut items = [router, self.wakeups.as_poll_item(), self.monitor.as_poll_item()];
        match zmq::poll(&mut items, timeout) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(failed(error)),
        }
        let [_, woken, _] = &items;
        if woken.is_readable() {
            self.wakeups.clear();
        }
        Ok(())
    }

    /// When to ask next whether a connection was [lost](Self::is_lost).
    pub(crate) fn next_look(&self) -> Option<Time> {
        self.monitor.next()
    }

    /// Whether a connection was lost. Only sending to each peer shows which one.
    pub(crate) fn is_lost(&mut self, now: Time) -> bool {
        self.monitor.due(now)
    }

    /// Whether no new peer can connect any more, because the handler that checks keys has ended.
    pub(crate) fn is_blind(&self) -> bool {
        self.identities.is_blind()
    }

    /// Closes the socket after it has written its messages. Blocks.
    pub(crate) fn close(self) {
        Closing(self.socket).close(&self.context);
    }
}

/// Binds an endpoint. Returns the endpoint with its port.
pub(super) fn bind(socket: &zmq::Socket, endpoint: &str) -> Result<String, SocketError> {
    if let Some(path) = endpoint.strip_prefix("ipc://").filter(|path| is_file(path)) {
        // libzmq removes whatever is there.
        ipc_path::make_way(Path::new(path))
            .map_err(|error| SocketError::of_system(Operation::Bind, Some(endpoint), error))?;
    }
    // With IPv6 enabled, libzmq shows an IPv4 address in the form of IPv6.
    let bound = socket.set_ipv6(endpoint.contains('['));
    let bound = bound.and_then(|()| socket.bind(endpoint));
    let last = bound.and_then(|()| socket.get_last_endpoint()).map_err(binding(endpoint))?;
    Ok(last.unwrap_or_else(|_| endpoint.to_owned()))
}

/// Whether a path of ipc is the path of a file: not a name of Linux, and not to be chosen.
fn is_file(path: &str) -> bool {
    !path.starts_with('@') && path != "*"
}

/// Sets the options of the socket before it is bound.
fn set_up(router: &mut zmq::Socket, limits: &Limits) -> zmq::Result<()> {
    router.set_router_mandatory(true)?;
    router.set_linger(LINGER_MS)?;
    router.set_maxmsgsize(i64::try_from(limits.frame_bytes).unwrap_or(i64::MAX))?;
    let max = (limits.unread_bytes_per_session / LEAST_MESSAGE).max(LEAST_HWM);
    router.set_sndhwm(i32::try_from(max).unwrap_or(i32::MAX))?;
    router.set_handshake_ivl(HANDSHAKE_MS)?;
    // libzmq's own heartbeats (ZMQ_HEARTBEAT_IVL) stay off. If a peer vanishes while its input is stopped because the
    // broker cannot keep up, their timer aborts the process (libzmq's issue 4841).
    router.set_tcp_keepalive(1)?;
    router.set_tcp_keepalive_idle(KEEPALIVE_IDLE_S)?;
    router.set_tcp_keepalive_intvl(KEEPALIVE_AGAIN_S)?;
    router.set_tcp_keepalive_cnt(KEEPALIVE_COUNT)?;
    // A peer without room is given up as soon as a peer that does not answer, because its waiting messages use memory.
    frame::set_tcp_maxrt(router, 1_000 * (KEEPALIVE_IDLE_S + KEEPALIVE_COUNT * KEEPALIVE_AGAIN_S))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// If a peer vanishes while the broker is far behind, the process must not abort, and the peer's messages are not
    /// lost.
    #[test]
    fn a_flood_whose_sender_vanishes_is_read_to_its_end() {
        let context = Context::new();
        let mut router = context.socket(zmq::ROUTER).unwrap();
        set_up(&mut router, &Limits::default()).unwrap();
        router.set_rcvtimeo(500).unwrap();
        router.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = router.get_last_endpoint().unwrap().unwrap();
        let elsewhere = Context::new();
        let sender = elsewhere.socket(zmq::DEALER).unwrap();
        sender.set_linger(0).unwrap();
        sender.set_sndtimeo(300).unwrap();
        sender.set_rcvhwm(1).unwrap();
        sender.connect(&endpoint).unwrap();
        let flood = vec![7_u8; 10_000];
        // The sender does not read everything, so its end resets the connection.
        sender.send(&flood, 0).unwrap();
        let route = router.recv_multipart(0).unwrap().swap_remove(0);
        for _ in 0..100 {
            router.send_multipart([&route, &flood], 0).unwrap();
        }
        let mut sent = 0;
        while sender.send(&flood, 0).is_ok() {
            sent += 1;
        }
        drop((sender, elsewhere));
        // Longer than libzmq's heartbeats would wait, if they were on with 2 s.
        let gone = Instant::now();
        while gone.elapsed() < Duration::from_millis(2_500) {
            assert!(router.get_events().unwrap().contains(zmq::POLLIN));
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut read = 0;
        while router.recv_multipart(0).is_ok() {
            read += 1;
        }
        assert!(sent > 1_000 && read >= 1_000, "{sent} sent, {read} read");
    }
}
