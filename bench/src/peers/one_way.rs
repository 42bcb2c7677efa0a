//! The measure for streams: libzmq alone, one way. A DEALER sends as fast as it can, a ROUTER passes on what comes to
//! another DEALER, which counts. A message is one frame of payload, behind the routing id. Who is too fast waits.

use anyhow::{Context, Result, ensure};
use zmq::Message;

use super::sockets::{REPLY_MS, bind, socket};
use crate::load::{Count, ITEMS_A_LOOK, Load, PAYLOAD, Window};

/// Messages that may wait between two parts.
const HIGH_WATER: i32 = 10_000;
const READER: &[u8] = b"reader";

/// Passes on, until the parent ends it.
pub(crate) fn relay() -> Result<()> {
    let context = zmq::Context::new();
    let back = socket(&context, zmq::ROUTER, HIGH_WATER)?;
    let front = socket(&context, zmq::ROUTER, HIGH_WATER)?;
    // What does not fit waits, and is not dropped.
    front.set_router_mandatory(true)?;
    println!("ready {} {}", bind(&front)?, bind(&back)?);
    // The reader says where it is.
    let mut hello = front.recv_multipart(0)?;
    let reader = hello.swap_remove(0);
    let mut message = Message::new();
    loop {
        back.recv(&mut message, 0)?; // the sender's id
        back.recv(&mut message, 0)?;
        front.send(&reader, zmq::SNDMORE)?;
        front.send(std::mem::replace(&mut message, Message::new()), 0)?;
    }
}

/// Sends, until the parent ends it.
pub(crate) fn worker(endpoint: &str) -> Result<()> {
    let socket = socket(&zmq::Context::new(), zmq::DEALER, HIGH_WATER)?;
    socket.connect(endpoint)?;
    println!("ready");
    loop {
        socket.send(&[7; PAYLOAD][..], 0)?;
    }
}

/// Counts.
pub(crate) fn client(endpoint: &str, load: Load) -> Result<()> {
    load.needs_one_connection()?;
    let socket = socket(&zmq::Context::new(), zmq::DEALER, HIGH_WATER)?;
    socket.set_rcvtimeo(REPLY_MS)?;
    socket.connect(endpoint)?;
    socket.send(READER, 0)?;
    let (window, bell) = Window::open(load);
    let mut count = Count::new(window);
    let mut message = Message::new();
    loop {
        for _ in 0..ITEMS_A_LOOK {
            socket.recv(&mut message, 0).context("nothing came")?;
            ensure!(message.len() == PAYLOAD, "a message has {} bytes", message.len());
        }
        if !count.add(ITEMS_A_LOOK) {
            return count.tell(bell);
        }
    }
}
