//! Our side: a connection over a blocking TCP socket, which does what a driver does.

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use mdp_zmtp::{
    Config, Connection, Error, Event, KeyPair, Mechanism, Message, Output, PublicKey, Refusal,
    Seed, Time,
};

/// Every wait of a test ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const ROOM: usize = 64 << 10;

/// What ended a connection.
#[derive(Debug)]
pub(crate) enum End {
    Error(Error),
    Closed,
}

pub(crate) struct Peer {
    stream: TcpStream,
    began: Instant,
    pub(crate) connection: Connection,
    input: BytesMut,
    out: Output,
    messages: VecDeque<Message>,
    /// The peer, when the connection is ready.
    pub(crate) ready: Option<mdp_zmtp::Peer>,
    /// What is said to clients of CURVE. `None`: they are admitted.
    pub(crate) refusal: Option<Refusal>,
}

impl Peer {
    pub(crate) fn connect(endpoint: &str, config: Config) -> Self {
        let address = endpoint.strip_prefix("tcp://").unwrap();
        Peer::new(TcpStream::connect(address).unwrap(), config)
    }

    pub(crate) fn accept(listener: &TcpListener, config: Config) -> Self {
        Peer::new(listener.accept().unwrap().0, config)
    }

    fn new(stream: TcpStream, config: Config) -> Self {
        stream.set_nodelay(true).unwrap();
        let mut out = Output::new();
        let connection = Connection::new(&Arc::new(config), seed(), Time::from_ms(0), &mut out);
        Peer {
            stream,
            began: Instant::now(),
            connection,
            input: BytesMut::new(),
            out,
            messages: VecDeque::new(),
            ready: None,
            refusal: None,
        }
    }

    /// Runs until the connection is ready.
    pub(crate) fn handshake(&mut self) -> Result<mdp_zmtp::Peer, End> {
        while self.ready.is_none() {
            self.turn(PATIENCE)?;
        }
        Ok(self.ready.clone().unwrap())
    }

    pub(crate) fn send(&mut self, frames: &[Bytes]) {
        self.connection.send(frames, &mut self.out).unwrap();
        self.flush().unwrap();
    }

    pub(crate) fn receive(&mut self) -> Result<Vec<Bytes>, End> {
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Ok(message.into_frames());
            }
            self.turn(PATIENCE)?;
        }
    }

    /// Runs for this long.
    pub(crate) fn run(&mut self, time: Duration) -> Result<(), End> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.turn(left)?;
        }
        Ok(())
    }

    /// Writes, waits for octets or the next deadline, and handles them.
    fn turn(&mut self, most: Duration) -> Result<(), End> {
        self.flush()?;
        let due = self.connection.next_deadline();
        let due =
            due.map(|due| Duration::from_millis(due.as_ms().saturating_sub(self.now().as_ms())));
        let wait = due.map_or(most, |due| due.min(most)).max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(wait)).unwrap();
        let old = self.input.len();
        self.input.resize(old + self.connection.missing().max(ROOM), 0);
        let read = self.stream.read(&mut self.input[old..]);
        self.input.truncate(old + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => return Err(End::Closed),
            Ok(_) => self.handle()?,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                assert!(most < PATIENCE || due.is_some(), "nothing has come");
            }
            Err(_) => return Err(End::Closed),
        }
        let now = self.now();
        self.connection.tick(now, &mut self.out).map_err(End::Error)?;
        self.flush()
    }

    fn handle(&mut self) -> Result<(), End> {
        loop {
            let now = self.now();
            let event = self.connection.receive(now, &mut self.input, &mut self.out);
            // What is to be said is said, also before an end.
            self.flush()?;
            match event.map_err(End::Error)? {
                None => return Ok(()),
                Some(Event::Ready(peer)) => self.ready = Some(peer),
                Some(Event::Message(message)) => self.messages.push_back(message),
                Some(Event::Admission(_)) => match self.refusal {
                    None => self.connection.admit(&mut self.out).unwrap(),
                    Some(refusal) => self.connection.refuse(refusal, &mut self.out).unwrap(),
                },
                Some(other) => panic!("{other:?}"),
            }
        }
    }

    fn flush(&mut self) -> Result<(), End> {
        while !self.out.is_empty() {
            let chunks: Vec<IoSlice<'_>> = self.out.chunks().take(64).map(IoSlice::new).collect();
            let count = self.stream.write_vectored(&chunks).map_err(|_| End::Closed)?;
            self.out.advance(count);
        }
        Ok(())
    }

    fn now(&self) -> Time {
        Time::from_ms(self.began.elapsed().as_millis().try_into().unwrap())
    }
}

/// Random octets, from the keys that libzmq makes.
fn seed() -> Seed {
    Seed::fill(|part| {
        let random = zmq::CurveKeyPair::new().unwrap().secret_key;
        part.copy_from_slice(&random[..part.len()]);
        Ok::<(), ()>(())
    })
    .unwrap()
}

/// The keys of both sides.
pub(crate) struct Keys {
    pub(crate) server: zmq::CurveKeyPair,
    pub(crate) client: zmq::CurveKeyPair,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let [server, client] = [(); 2].map(|()| zmq::CurveKeyPair::new().unwrap());
        Keys { server, client }
    }

    pub(crate) fn our_server(&self) -> Mechanism {
        Mechanism::CurveServer(KeyPair::new(&self.server.secret_key))
    }

    pub(crate) fn our_client(&self) -> Mechanism {
        let own = KeyPair::new(&self.client.secret_key);
        Mechanism::CurveClient { own, server: PublicKey::new(self.server.public_key) }
    }

    pub(crate) fn their_server(&self, socket: &zmq::Socket) {
        socket.set_curve_server(true).unwrap();
        socket.set_curve_secretkey(&self.server.secret_key).unwrap();
    }

    pub(crate) fn their_client(&self, socket: &zmq::Socket) {
        socket.set_curve_serverkey(&self.server.public_key).unwrap();
        socket.set_curve_publickey(&self.client.public_key).unwrap();
        socket.set_curve_secretkey(&self.client.secret_key).unwrap();
    }
}

/// A socket of libzmq whose waits end.
pub(crate) fn socket(context: &zmq::Context, kind: zmq::SocketType) -> zmq::Socket {
    let socket = context.socket(kind).unwrap();
    let patience = i32::try_from(PATIENCE.as_millis()).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_rcvtimeo(patience).unwrap();
    socket.set_sndtimeo(patience).unwrap();
    socket
}

/// Binds libzmq's socket. Returns its endpoint.
pub(crate) fn bind(socket: &zmq::Socket) -> String {
    socket.bind("tcp://127.0.0.1:*").unwrap();
    socket.get_last_endpoint().unwrap().unwrap()
}

/// Our listener, and its endpoint.
pub(crate) fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}
