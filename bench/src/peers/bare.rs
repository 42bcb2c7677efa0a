//! What connections cost in libzmq alone: a ROUTER that answers each message, and many DEALERs that have sent one.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::sockets::{REPLY_MS, bind};

/// Sockets of one context; libzmq allows 1,023.
const A_CONTEXT: usize = 500;

/// Answers, until the parent ends it. What there is for each connection, it has.
pub(crate) fn router() -> Result<()> {
    let socket = zmq::Context::new().socket(zmq::ROUTER)?;
    println!("ready {}", bind(&socket)?);
    loop {
        let frame = socket.recv_msg(0)?;
        let flags = if frame.get_more() { zmq::SNDMORE } else { 0 };
        socket.send(frame, flags)?;
    }
}

/// Connects, sends, hears, and stays.
pub(crate) fn dealers(endpoint: &str, count: usize) -> Result<()> {
    let contexts: Vec<_> = (0..count.div_ceil(A_CONTEXT)).map(|_| zmq::Context::new()).collect();
    let mut sockets = Vec::with_capacity(count);
    for number in 0..count {
        let socket = contexts.get(number / A_CONTEXT).context("a context")?.socket(zmq::DEALER)?;
        socket.set_linger(0)?;
        socket.set_rcvtimeo(REPLY_MS)?;
        socket.connect(endpoint)?;
        // As much as a session begins with.
        socket.send(&[7; 64][..], 0)?;
        sockets.push(socket);
    }
    for socket in &sockets {
        socket.recv_msg(0).context("no answer")?;
    }
    println!("ready");
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}
