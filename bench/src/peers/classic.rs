//! The measure for classic MDP: a relay that moves the frames of MDP/0.2 and does nothing else, with a client and
//! workers on bare sockets, which our broker serves as well.
//!
//! The relay gives each worker one request at a time, the one that has waited longest first, as a broker of RFC 18
//! does. It has no services, no heartbeats, no limits and no table of calls.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use zmq::{Message, Socket};

use super::sockets::{HIGH_WATER, REPLY_MS, bind, socket};
use crate::load::{Load, PAYLOAD, Times, Window};

/// Workers, each with a socket of its own, in one process.
const WORKERS: usize = 32;
const SERVICE: &[u8] = b"echo";

/// Between clients and workers, until the parent ends it.
pub(crate) fn relay() -> Result<()> {
    let socket = socket(&zmq::Context::new(), zmq::ROUTER, HIGH_WATER)?;
    println!("ready {}", bind(&socket)?);
    let mut idle: VecDeque<Message> = VecDeque::new();
    let mut waiting: VecDeque<(Message, Message)> = VecDeque::new();
    loop {
        let from = socket.recv_msg(0)?;
        let signature = socket.recv_msg(0)?;
        let command = socket.recv_msg(0)?;
        if &*signature == b"MDPC02" {
            let _service = socket.recv_msg(0)?;
            waiting.push_back((from, socket.recv_msg(0)?));
        } else if command.first() == Some(&4) {
            let client = socket.recv_msg(0)?;
            let _delimiter = socket.recv_msg(0)?;
            let body = socket.recv_msg(0)?;
            socket.send(client, zmq::SNDMORE)?;
            socket.send("MDPC02", zmq::SNDMORE)?;
            socket.send(&[3_u8][..], zmq::SNDMORE)?;
            socket.send(SERVICE, zmq::SNDMORE)?;
            socket.send(body, 0)?;
            idle.push_back(from);
        } else if command.first() == Some(&1) {
            let _service = socket.recv_msg(0)?;
            idle.push_back(from);
        }
        while !idle.is_empty() && !waiting.is_empty() {
            let (Some(worker), Some((client, body))) = (idle.pop_front(), waiting.pop_front())
            else {
                break;
            };
            socket.send(worker, zmq::SNDMORE)?;
            socket.send("MDPW02", zmq::SNDMORE)?;
            socket.send(&[2_u8][..], zmq::SNDMORE)?;
            socket.send(client, zmq::SNDMORE)?;
            socket.send("", zmq::SNDMORE)?;
            socket.send(body, 0)?;
        }
    }
}

/// Workers that send each body back, until the parent ends them.
pub(crate) fn worker(endpoint: &str) -> Result<()> {
    let context = zmq::Context::new();
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        let socket = socket(&context, zmq::DEALER, HIGH_WATER)?;
        socket.connect(endpoint)?;
        socket.send_multipart([b"MDPW02".as_slice(), b"\x01", SERVICE], 0)?;
        workers.push(socket);
    }
    println!("ready");
    let mut beat = Instant::now();
    loop {
        let mut items: Vec<_> =
            workers.iter().map(|socket| socket.as_poll_item(zmq::POLLIN)).collect();
        zmq::poll(&mut items, 500)?;
        let readable: Vec<bool> = items.iter().map(zmq::PollItem::is_readable).collect();
        for (socket, _) in workers.iter().zip(readable).filter(|(_, readable)| *readable) {
            answer(socket)?;
        }
        if beat.elapsed().as_secs() >= 1 {
            beat = Instant::now();
            for socket in &workers {
                socket.send_multipart([b"MDPW02".as_slice(), b"\x05"], 0)?;
            }
        }
    }
}

/// Answers the requests that have come on one socket.
fn answer(socket: &Socket) -> Result<()> {
    loop {
        match socket.recv_msg(zmq::DONTWAIT) {
            Err(zmq::Error::EAGAIN) => return Ok(()),
            signature => drop(signature?),
        }
        let command = socket.recv_msg(0)?;
        if command.first() != Some(&2) {
            ensure!(!command.get_more(), "the worker was told {:?}", command.first());
            continue; // a heartbeat
        }
        let address = socket.recv_msg(0)?;
        let delimiter = socket.recv_msg(0)?;
        let body = socket.recv_msg(0)?;
        socket.send("MDPW02", zmq::SNDMORE)?;
        socket.send(&[4_u8][..], zmq::SNDMORE)?;
        socket.send(address, zmq::SNDMORE)?;
        socket.send(delimiter, zmq::SNDMORE)?;
        socket.send(body, 0)?;
    }
}

/// Keeps a window of requests in flight and measures. Replies come in any order, so a request's number is in its
/// body.
pub(crate) fn client(endpoint: &str, load: Load) -> Result<()> {
    load.needs_one_connection()?;
    let socket = socket(&zmq::Context::new(), zmq::DEALER, HIGH_WATER)?;
    socket.set_rcvtimeo(REPLY_MS)?;
    socket.connect(endpoint)?;
    let (window, bell) = Window::open(load);
    let mut times = Times::default();
    let mut sent = vec![Instant::now(); load.in_flight];
    let mut payload = [7; PAYLOAD];
    let mut send = |place: usize, at: Instant, sent: &mut [Instant]| -> Result<()> {
        *sent.get_mut(place).context("a place of its own")? = at;
        payload.first_chunk_mut::<8>().context("room")?.copy_from_slice(&place.to_be_bytes());
        socket.send("MDPC02", zmq::SNDMORE)?;
        socket.send(&[1_u8][..], zmq::SNDMORE)?;
        socket.send(SERVICE, zmq::SNDMORE)?;
        Ok(socket.send(&payload[..], 0)?)
    };
    for place in 0..load.in_flight {
        send(place, Instant::now(), &mut sent)?;
    }
    loop {
        let place = receive(&socket)?;
        let now = Instant::now();
        let at = *sent.get(place).context("a reply to no request")?;
        times.add(&window, at, now);
        if !window.is_open(now) {
            return times.tell(bell);
        }
        send(place, now, &mut sent)?;
    }
}

fn receive(socket: &Socket) -> Result<usize> {
    let _signature = socket.recv_msg(0).context("no reply")?;
    let command = socket.recv_msg(0)?;
    ensure!(command.first() == Some(&3), "not a final reply");
    let _service = socket.recv_msg(0)?;
    let body = socket.recv_msg(0)?;
    ensure!(body.len() == PAYLOAD, "the reply has {} bytes", body.len());
    let place = *body.first_chunk::<8>().context("a number")?;
    Ok(usize::from_be_bytes(place))
}
