//! Packets on their way out, one for each session that has something to be told.

use mdp_protocol::Key;
use mdp_protocol::broker::Outgoing;

use crate::body::Body;
use crate::pack::{Packer, Received};

/// What is gathered for each session, and for whom something is.
#[derive(Default)]
pub(super) struct Outbox {
    /// By the place of the session's key.
    peers: Vec<Option<Peer>>,
    waiting: Vec<Key>,
}

struct Peer {
    key: Key,
    route: Box<[u8]>,
    packer: Packer,
    /// It stands in `waiting`.
    queued: bool,
    /// A packet could not be sent. Nothing follows it: a client that hears the broker's farewell may
    /// rely on having heard all before it (wire.md R49).
    broken: bool,
}

/// What could not be sent to a session.
pub(super) struct Failed {
    pub(super) session: Key,
    pub(super) error: zmq::Error,
    pub(super) packet: Received,
}

impl Outbox {
    pub(super) fn open(&mut self, key: Key, route: Box<[u8]>) {
        let place = key.index() as usize;
        if self.peers.len() <= place {
            self.peers.resize_with(place + 1, || None);
        }
        if let Some(peer) = self.peers.get_mut(place) {
            *peer =
                Some(Peer { key, route, packer: Packer::default(), queued: false, broken: false });
        }
    }

    /// Adds a record for a session. A packet that is full goes at once.
    pub(super) fn put(
        &mut self,
        socket: &mut zmq::Socket,
        to: Key,
        record: &Outgoing<Body>,
    ) -> Result<(), Failed> {
        let Some(peer) = peer(&mut self.peers, to) else { return Ok(()) };
        if peer.broken {
            return Ok(());
        }
        peer.packer.put(record);
        if peer.packer.is_full() {
            return peer.flush(socket);
        }
        if !peer.queued {
            peer.queued = true;
            self.waiting.push(to);
        }
        Ok(())
    }

    /// Where a session is that can still be sent to.
    pub(super) fn route(&self, to: Key) -> Option<&[u8]> {
        let peer = self.peers.get(to.index() as usize)?.as_ref();
        peer.filter(|peer| peer.key == to && !peer.broken).map(|peer| &*peer.route)
    }

    /// Nothing more is sent to a session.
    pub(super) fn break_off(&mut self, to: Key) {
        if let Some(peer) = peer(&mut self.peers, to) {
            peer.broken = true;
        }
    }

    /// Sends what is gathered, for one session after another; stops at the first that fails.
    pub(super) fn flush(&mut self, socket: &mut zmq::Socket) -> Result<(), Failed> {
        while let Some(key) = self.waiting.pop() {
            if let Some(peer) = peer(&mut self.peers, key) {
                peer.queued = false;
                peer.flush(socket)?;
            }
        }
        Ok(())
    }

    /// Sends what is left for a session, as far as that is possible, and forgets it.
    pub(super) fn close(&mut self, socket: &mut zmq::Socket, key: Key) {
        let place = key.index() as usize;
        if let Some(slot) = self.peers.get_mut(place)
            && slot.as_ref().is_some_and(|peer| peer.key == key)
            && let Some(mut peer) = slot.take()
        {
            // Whoever is closed has lost what could not be sent.
            let _ = peer.flush(socket);
        }
    }
}

impl Peer {
    fn flush(&mut self, socket: &mut zmq::Socket) -> Result<(), Failed> {
        if self.packer.is_empty() {
            return Ok(());
        }
        send_to(socket, &self.route, &mut self.packer).map_err(|error| {
            self.broken = true;
            Failed { session: self.key, error, packet: self.packer.take() }
        })
    }
}

fn peer(peers: &mut [Option<Peer>], key: Key) -> Option<&mut Peer> {
    peers.get_mut(key.index() as usize)?.as_mut().filter(|peer| peer.key == key)
}

/// Sends a packet to whoever is behind a routing id. EHOSTUNREACH: nobody is; EAGAIN: whoever is
/// there takes nothing more.
pub(super) fn send_to(
    socket: &mut zmq::Socket,
    route: &[u8],
    packer: &mut Packer,
) -> zmq::Result<()> {
    crate::pack::retry_interrupted(|| socket.send(route, zmq::DONTWAIT | zmq::SNDMORE))?;
    packer.send(socket, zmq::DONTWAIT)
}
