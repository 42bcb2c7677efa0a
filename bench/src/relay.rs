//! The measure: libzmq alone. ROUTER and DEALER with `zmq_proxy` between them, a blocking worker
//! that sends back what it gets, and a blocking client that keeps a window in flight. A message is
//! two frames, a call number and the payload, behind the routing id.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use zmq::{Message, Socket, SocketType};

use crate::load::{Load, PAYLOAD, Times, Window};

/// Beyond any window, so that nothing is ever dropped.
const HIGH_WATER: i32 = 1_000_000;
const REPLY_MS: i32 = 10_000;

/// Between clients and workers, until the parent ends it.
pub(crate) fn proxy() -> Result<()> {
    let context = zmq::Context::new();
    let front = socket(&context, zmq::ROUTER)?;
    let back = socket(&context, zmq::DEALER)?;
    println!("ready {} {}", bind(&front)?, bind(&back)?);
    zmq::proxy(&front, &back).context("the proxy ended")
}

/// Sends each message back as it came, until the parent ends it.
pub(crate) fn worker(endpoint: &str) -> Result<()> {
    let socket = socket(&zmq::Context::new(), zmq::DEALER)?;
    socket.connect(endpoint)?;
    println!("ready");
    loop {
        let frame = socket.recv_msg(0)?;
        let flags = if frame.get_more() { zmq::SNDMORE } else { 0 };
        socket.send(frame, flags)?;
    }
}

/// Keeps a window of requests in flight and measures.
pub(crate) fn client(endpoint: &str, load: Load) -> Result<()> {
    let socket = socket(&zmq::Context::new(), zmq::DEALER)?;
    socket.set_rcvtimeo(REPLY_MS)?;
    socket.connect(endpoint)?;
    let (window, bell) = Window::open(load);
    let mut times = Times::default();
    let mut sent = VecDeque::with_capacity(load.in_flight);
    let mut call = 0_u64;
    let mut send = |at: Instant, sent: &mut VecDeque<(u64, Instant)>| {
        call += 1;
        sent.push_back((call, at));
        socket.send(&call.to_be_bytes()[..], zmq::SNDMORE)?;
        socket.send(&[7; PAYLOAD][..], 0)
    };
    for _ in 0..load.in_flight {
        send(Instant::now(), &mut sent)?;
    }
    loop {
        let reply = receive(&socket)?;
        let now = Instant::now();
        // One way there and back, so the replies come in the order of their requests.
        let (call, at) = sent.pop_front().context("more replies than requests")?;
        if reply != call {
            bail!("reply {reply} came, not {call}");
        }
        times.add(&window, at, now);
        if !window.is_open(now) {
            return times.tell(bell);
        }
        send(now, &mut sent)?;
    }
}

/// The number of the call that a reply belongs to.
fn receive(socket: &Socket) -> Result<u64> {
    let number = socket.recv_msg(0).context("no reply")?;
    let mut payload = Message::new();
    socket.recv(&mut payload, 0)?;
    let number = number[..].try_into().context("the call number has eight bytes")?;
    if payload.len() != PAYLOAD {
        bail!("the reply has {} bytes", payload.len());
    }
    Ok(u64::from_be_bytes(number))
}

fn socket(context: &zmq::Context, kind: SocketType) -> Result<Socket> {
    let socket = context.socket(kind)?;
    socket.set_sndhwm(HIGH_WATER)?;
    socket.set_rcvhwm(HIGH_WATER)?;
    socket.set_linger(0)?;
    Ok(socket)
}

fn bind(socket: &Socket) -> Result<String> {
    socket.bind("tcp://127.0.0.1:*")?;
    match socket.get_last_endpoint()? {
        Ok(endpoint) => Ok(endpoint),
        Err(_) => bail!("the endpoint is not a text"),
    }
}
