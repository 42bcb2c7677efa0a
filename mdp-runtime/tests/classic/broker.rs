//! A small broker of classic MDP that takes RFC 7 and RFC 18 at their word. It shares nothing with the code that is
//! tested but libzmq: its frames are its own. What a peer does that the RFCs do not allow is noted as a fault.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

type Frames = Vec<Vec<u8>>;

/// What a test asks of the broker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// DISCONNECT to all workers.
    Dismiss,
    /// No heartbeats from now on, or heartbeats again.
    Mute(bool),
    /// Keep the replies for clients back, or let them go.
    Hold(bool),
    /// Forget the next request of a client.
    Swallow,
    Stop,
}

/// What has happened so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) faults: Vec<String>,
    pub(crate) readies: usize,
    pub(crate) disconnects: usize,
    pub(crate) heartbeats: usize,
    pub(crate) expired: usize,
    pub(crate) requests: usize,
    pub(crate) clients: HashSet<Vec<u8>>,
}

pub(crate) struct ClassicBroker {
    pub(crate) endpoint: String,
    orders: Sender<(Order, Sender<()>)>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

impl ClassicBroker {
    /// On a free port, with heartbeats of 100 ms and workers that may be silent for 5 s.
    pub(crate) fn start() -> Self {
        Self::with(Duration::from_millis(100), Duration::from_secs(5), "tcp://127.0.0.1:*")
    }

    pub(crate) fn with(heartbeat: Duration, expiry: Duration, endpoint: &str) -> Self {
        let router = zmq::Context::new().socket(zmq::ROUTER).unwrap();
        router.set_router_mandatory(true).unwrap();
        router.set_linger(0).unwrap();
        router.set_sndhwm(0).unwrap();
        // The port may still be given up by a broker that was there before.
        let until = Instant::now() + Duration::from_secs(10);
        while let Err(error) = router.bind(endpoint) {
            assert!(Instant::now() < until, "{error}");
            std::thread::sleep(Duration::from_millis(10));
        }
        let endpoint = router.get_last_endpoint().unwrap().unwrap();
        let (orders, inbox) = channel();
        let seen = Arc::<Mutex<Seen>>::default();
        let core = Core {
            router,
            heartbeat,
            expiry,
            seen: Arc::clone(&seen),
            workers: HashMap::new(),
            idle: VecDeque::new(),
            gone: HashSet::new(),
            queues: HashMap::new(),
            held: None,
            mute: false,
            swallow: false,
        };
        let thread = Some(std::thread::spawn(move || core.run(&inbox)));
        ClassicBroker { endpoint, orders, seen, thread }
    }

    /// Returns when the broker does so.
    pub(crate) fn order(&self, order: Order) {
        let (done, is_done) = channel();
        self.orders.send((order, done)).unwrap();
        let _ = is_done.recv();
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Nobody broke the rules.
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.seen().faults, [""; 0]);
    }

    pub(crate) fn stop(mut self) -> String {
        self.end();
        self.endpoint.clone()
    }

    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = self.orders.send((Order::Stop, channel().0));
            thread.join().unwrap();
        }
    }
}

impl Drop for ClassicBroker {
    fn drop(&mut self) {
        self.end();
    }
}

struct Core {
    router: zmq::Socket,
    heartbeat: Duration,
    expiry: Duration,
    seen: Arc<Mutex<Seen>>,
    workers: HashMap<Vec<u8>, Worker>,
    /// The least recently used first.
    idle: VecDeque<Vec<u8>>,
    /// Those that said DISCONNECT, or were told to go.
    gone: HashSet<Vec<u8>>,
    queues: HashMap<Vec<u8>, VecDeque<Request>>,
    held: Option<Vec<Frames>>,
    mute: bool,
    swallow: bool,
}

struct Worker {
    dialect: u8,
    service: Vec<u8>,
    heard: Instant,
    said: Instant,
    /// The client whose request it has.
    client: Option<(Vec<u8>, u8)>,
}

struct Request {
    client: Vec<u8>,
    dialect: u8,
    body: Frames,
}

impl Core {
    fn run(mut self, inbox: &Receiver<(Order, Sender<()>)>) {
        loop {
            while let Ok((order, done)) = inbox.try_recv() {
                match order {
                    Order::Stop => return,
                    Order::Dismiss => {
                        for id in self.workers.keys().cloned().collect::<Vec<_>>() {
                            self.dismiss(&id);
                        }
                    }
                    Order::Mute(mute) => self.mute = mute,
                    Order::Hold(true) => self.held = Some(Vec::new()),
                    Order::Hold(false) => {
                        for message in self.held.take().unwrap_or_default() {
                            self.send(message);
                        }
                    }
                    Order::Swallow => self.swallow = true,
                }
                let _ = done.send(());
            }
            if self.router.poll(zmq::POLLIN, 5).unwrap() > 0 {
                for _ in 0..100 {
                    let Ok(message) = self.router.recv_multipart(zmq::DONTWAIT) else { break };
                    self.hear(message);
                }
            }
            self.timers();
        }
    }

    fn fault(&self, what: impl Into<String>) {
        self.seen.lock().unwrap().faults.push(what.into());
    }

    fn count(&self, count: impl FnOnce(&mut Seen)) {
        count(&mut self.seen.lock().unwrap());
    }

    fn send(&self, message: Frames) {
        // A peer may have gone.
        let _ = self.router.send_multipart(message, zmq::DONTWAIT);
    }

    fn hear(&mut self, mut message: Frames) {
        let id = message.remove(0);
        let frame = |number: usize| message.get(number).map_or(&b"?"[..], |frame| frame);
        // RFC 7 has an empty frame first, RFC 18 has none.
        match (frame(0), frame(1)) {
            (b"", b"MDPC01") if message.len() >= 4 => {
                let body = message.split_off(3);
                self.request(id, 1, message.remove(2), body);
            }
            (b"MDPC02", b"\x01") if message.len() >= 4 => {
                let body = message.split_off(3);
                self.request(id, 2, message.remove(2), body);
            }
            (b"", b"MDPW01") => self.worker(id, 1, message.split_off(2)),
            (b"MDPW02", _) => self.worker(id, 2, message.split_off(1)),
            _ => self.fault(format!("not a message of classic MDP: {message:?}")),
        }
    }

    fn request(&mut self, client: Vec<u8>, dialect: u8, service: Vec<u8>, body: Frames) {
        self.count(|seen| {
            seen.requests += 1;
            seen.clients.insert(client.clone());
        });
        if std::mem::take(&mut self.swallow) {
            return;
        }
        let queue = self.queues.entry(service.clone()).or_default();
        queue.push_back(Request { client, dialect, body });
        self.dispatch(&service);
    }

    fn dispatch(&mut self, service: &[u8]) {
        loop {
            let of_service =
                |id: &Vec<u8>| self.workers.get(id).is_some_and(|w| w.service == service);
            let Some(place) = self.idle.iter().position(of_service) else { return };
            let Some(request) = self.queues.get_mut(service).and_then(VecDeque::pop_front) else {
                return;
            };
            let id = self.idle.remove(place).unwrap();
            let worker = self.workers.get_mut(&id).unwrap();
            worker.client = Some((request.client.clone(), request.dialect));
            worker.said = Instant::now();
            let command = header(worker.dialect, 2);
            let address = [request.client, Vec::new()];
            self.send([vec![id], command, address.into(), request.body].concat());
        }
    }

    fn worker(&mut self, id: Vec<u8>, dialect: u8, mut frames: Frames) {
        let command = if frames.is_empty() { Vec::new() } else { frames.remove(0) };
        let &[command] = command.as_slice() else {
            return self.fault(format!("a command of {} bytes", command.len()));
        };
        if self.gone.contains(&id) {
            // It may have been under way when it was told to go; but it never registers again on this socket.
            if command == 1 {
                self.fault("READY on a socket that was told to go");
            }
            return;
        }
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.heard = Instant::now();
        } else if command != 1 {
            // Of a broker that was there before.
            return self.dismiss(&id);
        }
        // MDP/0.2 has a number more.
        let (reply, heartbeat, disconnect) = if dialect == 1 { (3, 4, 5) } else { (4, 5, 6) };
        match command {
            1 if frames.len() != 1 => self.fault("READY wants a service and nothing else"),
            1 => self.ready(id, dialect, frames.remove(0)),
            3 | 4 if command == reply || (command == 3 && dialect == 2) => {
                self.answer(id, command == reply, frames);
            }
            _ if command == heartbeat => {
                self.count(|seen| seen.heartbeats += 1);
                if !frames.is_empty() {
                    self.fault("HEARTBEAT with frames");
                }
            }
            _ if command == disconnect => {
                self.count(|seen| seen.disconnects += 1);
                if !frames.is_empty() {
                    self.fault("DISCONNECT with frames");
                }
                self.forget(&id);
            }
            _ => self.fault(format!("command {command} of a worker")),
        }
    }

    fn ready(&mut self, id: Vec<u8>, dialect: u8, service: Vec<u8>) {
        self.count(|seen| seen.readies += 1);
        let now = Instant::now();
        let worker =
            Worker { dialect, service: service.clone(), heard: now, said: now, client: None };
        if self.workers.insert(id.clone(), worker).is_some() {
            self.fault("a second READY");
        }
        self.idle.push_back(id);
        self.dispatch(&service);
    }

    fn answer(&mut self, id: Vec<u8>, last: bool, mut frames: Frames) {
        if frames.len() < 3 || !frames[1].is_empty() {
            return self.fault("a reply without address, empty frame and body");
        }
        let body = frames.split_off(2);
        let worker = self.workers.get_mut(&id).unwrap();
        let Some((client, dialect)) = worker.client.clone() else {
            return self.fault("a reply to no request");
        };
        if frames[0] != client {
            return self.fault("a reply to another client than that of the request");
        }
        let service = worker.service.clone();
        if last {
            worker.client = None;
            self.idle.push_back(id);
        }
        if last || dialect == 2 {
            let mut head = vec![client];
            match dialect {
                1 => head.extend([Vec::new(), b"MDPC01".to_vec()]),
                _ => head.extend([b"MDPC02".to_vec(), vec![if last { 3 } else { 2 }]]),
            }
            head.push(service.clone());
            let message = [head, body].concat();
            match &mut self.held {
                Some(held) => held.push(message),
                None => self.send(message),
            }
        }
        self.dispatch(&service);
    }

    fn dismiss(&mut self, id: &[u8]) {
        let dialect = self.workers.get(id).map_or(2, |worker| worker.dialect);
        let number = if dialect == 1 { 5 } else { 6 };
        self.send([vec![id.to_vec()], header(dialect, number)].concat());
        self.forget(id);
    }

    fn forget(&mut self, id: &[u8]) {
        self.workers.remove(id);
        self.idle.retain(|other| other != id);
        self.gone.insert(id.to_vec());
    }

    fn timers(&mut self) {
        let now = Instant::now();
        let mut silent = Vec::new();
        let mut due = Vec::new();
        for (id, worker) in &mut self.workers {
            if now - worker.heard > self.expiry {
                silent.push(id.clone());
            } else if now - worker.said >= self.heartbeat && !self.mute {
                worker.said = now;
                let number = if worker.dialect == 1 { 4 } else { 5 };
                due.push([vec![id.clone()], header(worker.dialect, number)].concat());
            }
        }
        due.into_iter().for_each(|message| self.send(message));
        for id in silent {
            self.count(|seen| seen.expired += 1);
            self.dismiss(&id);
        }
    }
}

fn header(dialect: u8, command: u8) -> Frames {
    match dialect {
        1 => vec![Vec::new(), b"MDPW01".to_vec(), vec![command]],
        _ => vec![b"MDPW02".to_vec(), vec![command]],
    }
}
