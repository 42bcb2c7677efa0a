//! Peers written on bare sockets from the RFCs' text, and a broker for them.

use std::time::{Duration, Instant};

use mdp_runtime::{Broker, BrokerBuilder};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long nothing must come to be taken for silence.
const QUIET: Duration = Duration::from_millis(250);

pub(crate) type Frames = Vec<Vec<u8>>;

/// The two dialects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mdp {
    V01,
    V02,
}

pub(crate) use Mdp::{V01, V02};

pub(crate) const BOTH: [Mdp; 2] = [V01, V02];

/// A broker with a setting or two, and its endpoint.
pub(crate) fn broker(set: impl FnOnce(BrokerBuilder) -> BrokerBuilder) -> (Broker, String) {
    let builder = Broker::builder().bind("tcp://127.0.0.1:*");
    let broker = set(builder).start().unwrap();
    let endpoint = broker.endpoints()[0].clone();
    (broker, endpoint)
}

pub(crate) fn frames(frames: &[&[u8]]) -> Frames {
    frames.iter().map(|frame| frame.to_vec()).collect()
}

/// A DEALER, or a REQ, that speaks one dialect.
pub(crate) struct Peer {
    socket: zmq::Socket,
    pub(crate) mdp: Mdp,
}

impl Peer {
    pub(crate) fn connect(endpoint: &str, mdp: Mdp) -> Self {
        Peer::with(endpoint, mdp, zmq::DEALER)
    }

    /// A peer that sets its routing id.
    pub(crate) fn with_id(endpoint: &str, mdp: Mdp, id: &[u8]) -> Self {
        let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_identity(id).unwrap();
        socket.connect(endpoint).unwrap();
        Peer { socket, mdp }
    }

    pub(crate) fn with(endpoint: &str, mdp: Mdp, kind: zmq::SocketType) -> Self {
        let socket = zmq::Context::new().socket(kind).unwrap();
        socket.set_linger(0).unwrap();
        socket.connect(endpoint).unwrap();
        Peer { socket, mdp }
    }

    /// A worker that has said READY, and that the broker knows.
    pub(crate) fn worker(endpoint: &str, mdp: Mdp, service: &str) -> Self {
        let peer = Peer::connect(endpoint, mdp);
        peer.ready(service);
        let asks = Peer::connect(endpoint, V02);
        let deadline = Instant::now() + PATIENCE;
        while asks.ask(b"mmi.service", &[service.as_bytes()]) != frames(m![b"200"]) {
            assert!(Instant::now() < deadline, "{service} is not there");
        }
        peer
    }

    /// Sends frames as they are.
    pub(crate) fn send(&self, frames: &[&[u8]]) {
        self.socket.send_multipart(frames, 0).unwrap();
    }

    /// The next message, whatever it is.
    pub(crate) fn any(&self, patience: Duration) -> Option<Frames> {
        self.socket.set_rcvtimeo(patience.as_millis() as i32).unwrap();
        self.socket.recv_multipart(0).ok()
    }

    /// The next message but for heartbeats.
    pub(crate) fn receive(&self) -> Frames {
        self.next(PATIENCE).expect("nothing came")
    }

    /// Nothing comes but heartbeats.
    pub(crate) fn hears_nothing(&self) {
        assert_eq!(self.next(QUIET), None);
    }

    /// Nothing at all comes.
    pub(crate) fn hears_silence(&self) {
        assert_eq!(self.any(QUIET), None);
    }

    fn next(&self, patience: Duration) -> Option<Frames> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.checked_duration_since(Instant::now())?;
            let message = self.any(left.max(Duration::from_millis(1)))?;
            if message != self.heartbeat_frames() {
                return Some(message);
            }
        }
    }

    /// Waits for a HEARTBEAT, and gives how long that took.
    pub(crate) fn wait_heartbeat(&self) -> Duration {
        let start = Instant::now();
        loop {
            let message = self.any(PATIENCE).expect("no heartbeat");
            if message == self.heartbeat_frames() {
                return start.elapsed();
            }
        }
    }

    pub(crate) fn ready(&self, service: &str) {
        match self.mdp {
            V01 => self.send(m![b"", b"MDPW01", b"\x01", service.as_bytes()]),
            V02 => self.send(m![b"MDPW02", b"\x01", service.as_bytes()]),
        }
    }

    pub(crate) fn heartbeat_frames(&self) -> Frames {
        match self.mdp {
            V01 => frames(m![b"", b"MDPW01", b"\x04"]),
            V02 => frames(m![b"MDPW02", b"\x05"]),
        }
    }

    pub(crate) fn disconnect_frames(&self) -> Frames {
        match self.mdp {
            V01 => frames(m![b"", b"MDPW01", b"\x05"]),
            V02 => frames(m![b"MDPW02", b"\x06"]),
        }
    }

    pub(crate) fn send_all(&self, frames: &Frames) {
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        self.send(&frames);
    }

    pub(crate) fn heartbeat(&self) {
        self.send_all(&self.heartbeat_frames());
    }

    pub(crate) fn disconnect(&self) {
        self.send_all(&self.disconnect_frames());
    }

    /// The next message is DISCONNECT, and nothing follows it.
    pub(crate) fn is_told_to_go(&self) {
        assert_eq!(self.receive(), self.disconnect_frames());
        self.hears_silence();
    }

    /// A client's request.
    pub(crate) fn request(&self, service: &[u8], body: &[&[u8]]) {
        let mut frames: Vec<&[u8]> = match self.mdp {
            V01 => vec![b"", b"MDPC01", service],
            V02 => vec![b"MDPC02", b"\x01", service],
        };
        frames.extend(body);
        self.send(&frames);
    }

    /// The body of the reply to a client, the final one or a partial one.
    pub(crate) fn reply(&self, service: &[u8], last: bool) -> Frames {
        let mut message = self.receive();
        let head = match (self.mdp, last) {
            (V01, _) => frames(m![b"", b"MDPC01", service]),
            (V02, false) => frames(m![b"MDPC02", b"\x02", service]),
            (V02, true) => frames(m![b"MDPC02", b"\x03", service]),
        };
        let body = message.split_off(3);
        assert_eq!(message, head);
        body
    }

    /// A request and the reply to it.
    pub(crate) fn ask(&self, service: &[u8], body: &[&[u8]]) -> Frames {
        self.request(service, body);
        self.reply(service, true)
    }

    /// The address and body of a request to a worker.
    pub(crate) fn task(&self) -> (Vec<u8>, Frames) {
        let mut message = self.receive();
        let head = match self.mdp {
            V01 => frames(m![b"", b"MDPW01", b"\x02"]),
            V02 => frames(m![b"MDPW02", b"\x02"]),
        };
        let mut rest = message.split_off(head.len());
        assert_eq!(message, head);
        let body = rest.split_off(2);
        assert_eq!(rest[1], b"", "an empty frame behind the address");
        (rest.swap_remove(0), body)
    }

    /// A worker's reply, the final one or a partial one.
    pub(crate) fn answer(&self, address: &[u8], last: bool, body: &[&[u8]]) {
        let mut frames: Vec<&[u8]> = match (self.mdp, last) {
            (V01, _) => vec![b"", b"MDPW01", b"\x03"],
            (V02, false) => vec![b"MDPW02", b"\x03"],
            (V02, true) => vec![b"MDPW02", b"\x04"],
        };
        frames.extend([address, b""]);
        frames.extend(body);
        self.send(&frames);
    }
}

/// Waits until something holds.
pub(crate) fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it never held");
        std::thread::sleep(Duration::from_millis(5));
    }
}
