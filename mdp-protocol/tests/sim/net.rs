//! ZeroMQ as the machines meet it: a DEALER socket at each peer, one ROUTER at the broker, and
//! between them connections that keep order, break, and come again under a new routing id.

use std::collections::VecDeque;

use mdp_protocol::Payload;

use crate::body::Msg;

pub(crate) type SocketId = usize;
pub(crate) type ConnId = usize;

/// A peer's DEALER. It outlives its connections: what is sent while there is none waits in it.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) peer: usize,
    pub(crate) open: bool,
    pub(crate) conn: Option<ConnId>,
    pub(crate) outbox: VecDeque<Msg>,
}

/// One connection, which is one routing id at the broker.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) socket: SocketId,
    pub(crate) peer: usize,
    /// The life of the broker that accepted it.
    pub(crate) broker_life: u32,
    pub(crate) up: Line,
    pub(crate) down: Line,
    /// Broken, though a side may not know it yet.
    pub(crate) cut: bool,
    /// A record was lost on its way down, though the connection lives on.
    pub(crate) dropped: bool,
    /// The broker was told that the peer has closed its side, before it read all that the peer had sent.
    pub(crate) leaving: bool,
    /// The broker's transport knows that it is gone.
    pub(crate) gone: bool,
    /// What the peer wrote to it after it broke, or what was still on the peer's side then.
    pub(crate) limbo: VecDeque<Msg>,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) queue: VecDeque<Msg>,
    /// When the last record arrives; none overtakes it.
    pub(crate) last: u64,
    /// Nothing arrives before.
    pub(crate) blocked_until: u64,
}

/// All sockets and connections that there ever were; their number is what grows, not their content.
#[derive(Debug, Default)]
pub(crate) struct Net {
    pub(crate) sockets: Vec<Socket>,
    pub(crate) conns: Vec<Conn>,
}

impl Net {
    pub(crate) fn open_socket(&mut self, peer: usize) -> SocketId {
        self.sockets.push(Socket { peer, open: true, conn: None, outbox: VecDeque::new() });
        self.sockets.len() - 1
    }

    pub(crate) fn connect(&mut self, socket: SocketId, broker_life: u32) -> ConnId {
        self.conns.push(Conn {
            socket,
            peer: self.sockets[socket].peer,
            broker_life,
            up: Line::default(),
            down: Line::default(),
            cut: false,
            dropped: false,
            leaving: false,
            gone: false,
            limbo: VecDeque::new(),
        });
        let conn = self.conns.len() - 1;
        self.sockets[socket].conn = Some(conn);
        conn
    }

    /// The connections that work.
    pub(crate) fn live(&self) -> Vec<ConnId> {
        let live = |conn: &&ConnId| !self.conns[**conn].cut && !self.conns[**conn].gone;
        let current: Vec<ConnId> =
            self.sockets.iter().filter(|socket| socket.open).filter_map(|s| s.conn).collect();
        current.iter().filter(live).copied().collect()
    }

    /// The routing id of a connection: five bytes like those that ROUTER makes.
    pub(crate) fn route(conn: ConnId) -> [u8; 5] {
        let [a, b, c, d] = (conn as u32).to_be_bytes();
        [0, a, b, c, d]
    }

    /// The bytes that the broker's transport has taken for a connection and has not handed over.
    pub(crate) fn unread(&self, conn: ConnId) -> usize {
        match self.conns.get(conn) {
            Some(conn) if !conn.cut && !conn.gone => conn.down.queue.iter().map(weight).sum(),
            _ => 0,
        }
    }

    pub(crate) fn conn_of(route: &[u8]) -> ConnId {
        u32::from_be_bytes(route[1..5].try_into().unwrap()) as ConnId
    }
}

/// What a record takes on its way.
pub(crate) fn weight(msg: &Msg) -> usize {
    16 + msg.body().map_or(0, Payload::size)
}

impl Line {
    /// When a record sent now arrives, behind all before it.
    pub(crate) fn arrival(&mut self, now: u64, delay: u64) -> u64 {
        self.last = self.last.max(now + delay);
        self.last
    }
}
