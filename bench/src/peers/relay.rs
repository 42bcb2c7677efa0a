//! The measure: libzmq alone. ROUTER and DEALER with `zmq_proxy` between them, a blocking worker
//! that sends back what it gets, and a blocking client that keeps a window in flight. A message is
//! two frames, a call number and the payload, behind the routing id.

use std::collections::VecDeque;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use zmq::{Message, Socket};

use super::sockets::{HIGH_WATER, REPLY_MS, bind, socket};
use crate::load::{Load, Pace, Ticks, Times, Window};

/// Where the one who keeps the pace speaks to the client.
const PACE: &str = "inproc://pace";

/// Between clients and workers, until the parent ends it.
pub(crate) fn proxy() -> Result<()> {
    let context = zmq::Context::new();
    let front = socket(&context, zmq::ROUTER, HIGH_WATER)?;
    let back = socket(&context, zmq::DEALER, HIGH_WATER)?;
    println!("ready {} {}", bind(&front)?, bind(&back)?);
    zmq::proxy(&front, &back).context("the proxy ended")
}

/// Workers, each with a thread, that send each message back as it came, until the parent ends them.
pub(crate) fn worker(endpoint: &str, workers: usize) -> Result<()> {
    let context = zmq::Context::new();
    let mut all = Vec::new();
    for _ in 0..workers {
        let socket = socket(&context, zmq::DEALER, HIGH_WATER)?;
        socket.connect(endpoint)?;
        all.push(socket);
    }
    println!("ready");
    let last = all.pop().context("no worker")?;
    let others: Vec<_> =
        all.into_iter().map(|socket| thread::spawn(|| send_back(socket))).collect();
    send_back(last)?;
    others
        .into_iter()
        .try_for_each(|other| other.join().map_err(|_| anyhow!("a worker panicked"))?)
}

fn send_back(socket: Socket) -> Result<()> {
    loop {
        let frame = socket.recv_msg(0)?;
        let flags = if frame.get_more() { zmq::SNDMORE } else { 0 };
        socket.send(frame, flags)?;
    }
}

/// Calls as the load says, and measures.
pub(crate) fn client(endpoint: &str, load: Load) -> Result<()> {
    let context = zmq::Context::new();
    let mut all = Vec::new();
    for _ in 0..load.connections {
        let socket = socket(&context, zmq::DEALER, HIGH_WATER)?;
        socket.set_rcvtimeo(REPLY_MS)?;
        socket.connect(endpoint)?;
        let body = load.body().to_vec();
        all.push(Calls { socket, body, sent: VecDeque::new(), number: 0 });
    }
    match (all.len(), all.pop()) {
        (1, Some(calls)) if load.rate > 0.0 => open(&context, calls, load),
        (1, Some(calls)) => closed(calls, load),
        (_, Some(calls)) if load.rate == 0.0 => {
            all.push(calls);
            closed_over_many(all, load)
        }
        _ => bail!("a fixed rate wants one connection"),
    }
}

/// Keeps a window in flight over several connections.
fn closed_over_many(mut all: Vec<Calls>, load: Load) -> Result<()> {
    let (window, bell) = Window::open(load);
    let mut times = Times::default();
    let each = load.in_flight / all.len().max(1);
    for calls in &mut all {
        for _ in 0..each {
            calls.send(Instant::now())?;
        }
    }
    loop {
        let mut items: Vec<_> =
            all.iter().map(|calls| calls.socket.as_poll_item(zmq::POLLIN)).collect();
        ensure!(zmq::poll(&mut items, REPLY_MS.into())? > 0, "no reply");
        let ready: Vec<_> = items.iter().map(zmq::PollItem::is_readable).collect();
        for (calls, _) in all.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            // Each in its turn.
            for _ in 0..each {
                let Some(at) = calls.receive(zmq::DONTWAIT)? else { break };
                let now = Instant::now();
                times.add(&window, at, now);
                if !window.is_open(now) {
                    return times.tell(bell);
                }
                calls.send(now)?;
            }
        }
    }
}

/// Keeps a window in flight.
fn closed(mut calls: Calls, load: Load) -> Result<()> {
    let (window, bell) = Window::open(load);
    let mut times = Times::default();
    for _ in 0..load.in_flight {
        calls.send(Instant::now())?;
    }
    loop {
        let at = calls.receive(0)?.context("no reply")?;
        let now = Instant::now();
        times.add(&window, at, now);
        if !window.is_open(now) {
            return times.tell(bell);
        }
        calls.send(now)?;
    }
}

/// Calls at a fixed rate. A call's time counts from the moment at which it was due.
fn open(context: &zmq::Context, mut calls: Calls, load: Load) -> Result<()> {
    let ticks = context.socket(zmq::PAIR)?;
    ticks.bind(PACE)?;
    let tell = context.socket(zmq::PAIR)?;
    tell.connect(PACE)?;
    let (window, bell) = Window::open(load);
    let pace = Pace::new(load);
    pace.keep(window, move |Ticks { first, count }| {
        tell.send([first.to_be_bytes(), count.to_be_bytes()].concat(), 0).is_ok()
    });
    let mut times = Times::default();
    while window.is_open(Instant::now()) {
        let mut items = [calls.socket.as_poll_item(zmq::POLLIN), ticks.as_poll_item(zmq::POLLIN)];
        zmq::poll(&mut items, 100)?;
        while let Some(at) = calls.receive(zmq::DONTWAIT)? {
            times.add(&window, at, Instant::now());
        }
        match ticks.recv_msg(zmq::DONTWAIT) {
            Ok(due) => {
                let (first, count) = due.split_first_chunk::<8>().context("two numbers")?;
                let count = count.first_chunk::<8>().context("two numbers")?;
                let first = u64::from_be_bytes(*first);
                for number in first..first + u64::from_be_bytes(*count) {
                    calls.send(pace.due(number))?;
                }
            }
            Err(zmq::Error::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // What is still under way was begun, and counts with the time that it has taken.
    for (_, at) in calls.sent.drain(..) {
        times.add(&window, at, window.last());
    }
    times.tell(bell)
}

/// The calls of a client, and those that are under way.
struct Calls {
    socket: Socket,
    body: Vec<u8>,
    /// With one worker, replies come in the order of their requests: the first is the one.
    sent: VecDeque<(u64, Instant)>,
    number: u64,
}

impl Calls {
    /// Sends a request whose time begins at `at`.
    fn send(&mut self, at: Instant) -> Result<()> {
        self.number += 1;
        self.sent.push_back((self.number, at));
        self.socket.send(&self.number.to_be_bytes()[..], zmq::SNDMORE)?;
        Ok(self.socket.send(&self.body[..], 0)?)
    }

    /// When the call that a reply has come for began; `None` if none has come.
    fn receive(&mut self, flags: i32) -> Result<Option<Instant>> {
        let number = match self.socket.recv_msg(flags) {
            Ok(number) => number,
            Err(zmq::Error::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut payload = Message::new();
        self.socket.recv(&mut payload, 0)?;
        let number = number[..].try_into().context("the call number has eight bytes")?;
        let number = u64::from_be_bytes(number);
        ensure!(payload.len() == self.body.len(), "the reply has {} bytes", payload.len());
        let place = self.sent.iter().position(|(call, _)| *call == number);
        let sent = place.and_then(|place| self.sent.remove(place));
        sent.map(|(_, at)| Some(at)).with_context(|| format!("reply {number} is to no request"))
    }
}
