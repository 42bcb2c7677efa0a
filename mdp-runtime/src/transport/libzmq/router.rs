//! The broker's ROUTER socket.

use mdp_protocol::Limits;

use crate::transport::libzmq::frame;

/// Silent connects and half-open connections end after this.
const HANDSHAKE_MS: i32 = 2_000;
const LINGER_MS: i32 = 1_000;

/// When the kernel asks whether a silent connection is alive, how often it asks again, and after how
/// many questions it gives the connection up.
const KEEPALIVE_IDLE_S: i32 = 10;
const KEEPALIVE_AGAIN_S: i32 = 5;
const KEEPALIVE_COUNT: i32 = 3;

/// Sets the options of the socket before it is bound.
pub(crate) fn set_up(router: &mut zmq::Socket, limits: &Limits) -> zmq::Result<()> {
    router.set_router_mandatory(true)?;
    router.set_linger(LINGER_MS)?;
    router.set_maxmsgsize(i64::try_from(limits.frame_bytes).unwrap_or(i64::MAX))?;
    router.set_handshake_ivl(HANDSHAKE_MS)?;
    // Not libzmq's own heartbeats (ZMQ_HEARTBEAT_IVL): when a peer vanishes whose input is stopped because
    // the broker cannot keep up, their timer aborts the process (libzmq's issue 4841).
    router.set_tcp_keepalive(1)?;
    router.set_tcp_keepalive_idle(KEEPALIVE_IDLE_S)?;
    router.set_tcp_keepalive_intvl(KEEPALIVE_AGAIN_S)?;
    router.set_tcp_keepalive_cnt(KEEPALIVE_COUNT)?;
    // A peer that has no room for anything is given up as soon as one that does not answer: what waits for it is memory.
    frame::set_tcp_maxrt(router, 1_000 * (KEEPALIVE_IDLE_S + KEEPALIVE_COUNT * KEEPALIVE_AGAIN_S))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::transport::Runtime;

    /// A peer that vanishes while the broker is far behind is no reason to abort, and what it sent is
    /// not lost.
    #[test]
    fn a_flood_whose_sender_vanishes_is_read_to_its_end() {
        let runtime = Runtime::new();
        let mut router = runtime.socket(zmq::ROUTER).unwrap();
        set_up(&mut router, &Limits::default()).unwrap();
        router.set_rcvtimeo(500).unwrap();
        router.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = router.get_last_endpoint().unwrap().unwrap();
        let elsewhere = Runtime::new();
        let sender = elsewhere.socket(zmq::DEALER).unwrap();
        sender.set_linger(0).unwrap();
        sender.set_sndtimeo(300).unwrap();
        sender.set_rcvhwm(1).unwrap();
        sender.connect(&endpoint).unwrap();
        let flood = vec![7_u8; 10_000];
        // What it leaves unread makes its end a reset of the connection.
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
        // Longer than libzmq's heartbeats, had they been on at 2 s.
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
