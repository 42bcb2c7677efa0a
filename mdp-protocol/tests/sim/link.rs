//! Records on their way: sent, delayed, lost, delivered; connections made and found broken.

use mdp_protocol::broker::Input;
use mdp_protocol::wire::{DisconnectReason, Record};

use crate::actors::{Letter, Role};
use crate::body::{Msg, call_of, is_part, through_bytes};
use crate::ledger::Check;
use crate::net::{ConnId, Net, SocketId};
use crate::world::{Event, Who, World};

impl World {
    /// A peer gives a record to its socket.
    pub(crate) fn send_up(&mut self, socket: SocketId, msg: Msg) {
        let msg = if self.plan.as_bytes { through_bytes(&msg) } else { msg };
        // A DEALER whose queue is full makes its owner wait, so a peer does not lose what it says
        // once and never again.
        let once = matches!(msg, Record::Hello { .. } | Record::Ready { .. } | Record::Drain)
            || is_part(&msg);
        if !once && self.rng.per_mille(self.plan.drop) {
            return;
        }
        match self.net.sockets[socket].conn {
            Some(conn) if self.net.conns[conn].cut => self.net.conns[conn].limbo.push_back(msg),
            Some(conn) => self.put_up(conn, msg),
            None => self.net.sockets[socket].outbox.push_back(msg),
        }
    }

    fn put_up(&mut self, conn: ConnId, msg: Msg) {
        let delay = self.rng.range(0, self.plan.delay);
        let line = &mut self.net.conns[conn].up;
        line.queue.push_back(msg);
        let at = line.arrival(self.now, delay);
        self.at(at, Event::Up(conn));
    }

    /// The broker gives a record to its socket. `Err` gives it back: there is no such connection,
    /// or its queue is full.
    pub(crate) fn send_down(&mut self, conn: ConnId, msg: Msg) -> Result<(), Msg> {
        if self.net.conns[conn].gone || self.rng.per_mille(self.plan.full) {
            return Err(msg);
        }
        if self.net.conns[conn].cut {
            return Ok(());
        }
        // A client takes DISCONNECT(Shutdown) for a promise that every FINAL before it has come.
        // ROUTER_MANDATORY keeps it: nothing is dropped there without the broker being told.
        let promise = matches!(msg, Record::Disconnect(DisconnectReason::Shutdown));
        let broken_promise = promise && self.net.conns[conn].dropped;
        if broken_promise || (!is_part(&msg) && self.rng.per_mille(self.plan.drop)) {
            self.net.conns[conn].dropped = true;
            return Ok(());
        }
        let msg = if self.plan.as_bytes { through_bytes(&msg) } else { msg };
        let delay = self.rng.range(0, self.plan.delay);
        let line = &mut self.net.conns[conn].down;
        line.queue.push_back(msg);
        let at = line.arrival(self.now, delay);
        self.at(at, Event::Down(conn));
        Ok(())
    }

    pub(crate) fn arrive_up(&mut self, conn: ConnId) -> Check {
        let line = &mut self.net.conns[conn].up;
        if line.blocked_until > self.now {
            let at = line.blocked_until;
            self.at(at, Event::Up(conn));
            return Ok(());
        }
        let Some(msg) = line.queue.pop_front() else { return Ok(()) };
        if self.net.conns[conn].broker_life != self.broker.process.life {
            return Ok(());
        }
        self.note_record(b'^', conn, &msg);
        self.give(Who::Broker, Letter::FromPeer(conn, msg))
    }

    pub(crate) fn arrive_down(&mut self, conn: ConnId) -> Check {
        let line = &mut self.net.conns[conn].down;
        if line.blocked_until > self.now {
            let at = line.blocked_until;
            self.at(at, Event::Down(conn));
            return Ok(());
        }
        let Some(msg) = line.queue.pop_front() else { return Ok(()) };
        let (socket, peer) = (self.net.conns[conn].socket, self.net.conns[conn].peer);
        if !self.net.sockets[socket].open {
            return Ok(());
        }
        self.note_record(b'v', conn, &msg);
        self.give(Who::Peer(peer), Letter::FromBroker(socket, msg))?;
        self.look_at_unread()
    }

    fn note_record(&mut self, way: u8, conn: ConnId, msg: &Msg) {
        let numbers = [way.into(), conn as u64, msg.command() as u64, call_of(msg)];
        let peer = self.net.conns[conn].peer;
        self.trace.note(self.now, &numbers, || {
            format!("{} peer {peer} conn {conn}: {msg:?}", char::from(way))
        });
    }

    /// A socket tries to connect, and again later if the broker is not there.
    pub(crate) fn connect(&mut self, socket: SocketId) {
        if !self.net.sockets[socket].open || self.net.sockets[socket].conn.is_some() {
            return;
        }
        if !self.broker.process.up {
            let pause = self.rng.range(50, 300);
            return self.after(pause, Event::Connect(socket));
        }
        let conn = self.net.connect(socket, self.broker.process.life);
        let peer = self.net.sockets[socket].peer;
        self.trace.note(self.now, &[1, conn as u64], || format!("  peer {peer} is conn {conn}"));
        while let Some(msg) = self.net.sockets[socket].outbox.pop_front() {
            self.put_up(conn, msg);
        }
    }

    /// A peer opens a new socket; the one that it had is closed first.
    pub(crate) fn open_socket(&mut self, peer: usize) {
        self.close_socket(peer);
        let socket = self.net.open_socket(peer);
        self.peers[peer].socket = Some(socket);
        let pause = self.rng.range(0, 10);
        self.after(pause, Event::Connect(socket));
    }

    /// A peer closes its socket in good order: what was sent still arrives.
    pub(crate) fn close_socket(&mut self, peer: usize) {
        let Some(socket) = self.peers[peer].socket.take() else { return };
        self.net.sockets[socket].open = false;
        self.net.sockets[socket].outbox.clear();
        if let Some(conn) = self.net.sockets[socket].conn
            && !self.net.conns[conn].cut
        {
            let at = self.net.conns[conn].up.last.max(self.now) + self.rng.range(0, 50);
            self.at(at, Event::BrokerSees(conn));
        }
    }

    /// A connection breaks. Of what is under way a part arrives; of what the peer has written the
    /// rest may go out on the next connection.
    pub(crate) fn cut(&mut self, conn: ConnId) {
        if self.net.conns[conn].cut {
            return;
        }
        let (up, down) = (&self.net.conns[conn].up.queue, &self.net.conns[conn].down.queue);
        let up_left = self.rng.range(0, up.len() as u64) as usize;
        let down_left = self.rng.range(0, down.len() as u64) as usize;
        let broken = &mut self.net.conns[conn];
        broken.cut = true;
        broken.limbo = broken.up.queue.split_off(up_left);
        broken.down.queue.truncate(down_left);
        self.trace.note(self.now, &[2, conn as u64], || format!("  conn {conn} breaks"));
        for event in [Event::PeerSees(conn), Event::BrokerSees(conn)] {
            // A side that gets no RST finds out late.
            let longest = if self.rng.percent(15) { 8_000 } else { 100 };
            let pause = self.rng.range(0, longest);
            self.after(pause, event);
        }
    }

    /// The broker's transport finds out that a connection is gone, behind what came on it, and often
    /// says so.
    pub(crate) fn broker_sees(&mut self, conn: ConnId) -> Check {
        if !self.net.conns[conn].up.queue.is_empty() {
            self.broker_hears_leaving(conn)?;
            self.after(5, Event::BrokerSees(conn));
            return Ok(());
        }
        self.net.conns[conn].gone = true;
        self.net.conns[conn].down.queue.clear();
        let process = &self.broker.process;
        if process.up && !process.frozen && self.rng.percent(50) {
            self.broker_input(Input::ConnectionLost)?;
        }
        Ok(())
    }

    /// The broker's transport sees the end of a connection behind what it has not read, and often says so.
    fn broker_hears_leaving(&mut self, conn: ConnId) -> Check {
        let process = &self.broker.process;
        let same = self.net.conns[conn].broker_life == process.life;
        if !same || !process.up || process.frozen || self.rng.percent(50) {
            return Ok(());
        }
        let machine = self.broker.machine.as_ref();
        let session = machine.and_then(|machine| machine.session_at(&World::route_of(conn)));
        if let Some(session) = session {
            self.net.conns[conn].leaving = true;
            self.broker_input(Input::Leaving { session })?;
        }
        Ok(())
    }

    /// libzmq at the peer finds out. It tells the socket's owner, or connects again without a word.
    pub(crate) fn peer_sees(&mut self, conn: ConnId) -> Check {
        let socket = self.net.conns[conn].socket;
        let mut left = std::mem::take(&mut self.net.conns[conn].limbo);
        if !self.net.sockets[socket].open || self.net.sockets[socket].conn != Some(conn) {
            return Ok(());
        }
        let peer = self.net.sockets[socket].peer;
        let hostile = matches!(self.peers[peer].role, Role::Hostile(_));
        if !hostile && self.rng.percent(70) {
            return self.give(Who::Peer(peer), Letter::Lost(socket));
        }
        let lost = self.rng.range(0, left.len() as u64) as usize;
        left.drain(..lost);
        left.append(&mut self.net.sockets[socket].outbox);
        self.net.sockets[socket].outbox = left;
        self.net.sockets[socket].conn = None;
        let pause = self.rng.range(1, 200);
        self.after(pause, Event::Connect(socket));
        Ok(())
    }

    /// The conns to a broker whose process vanishes.
    pub(crate) fn cut_all(&mut self) {
        for conn in self.net.live() {
            self.cut(conn);
        }
    }

    /// All partitions end: what waited arrives now.
    pub(crate) fn unblock(&mut self) {
        for conn in 0..self.net.conns.len() {
            let it = &mut self.net.conns[conn];
            let (up, down) = (&mut it.up, &mut it.down);
            let ups = if up.blocked_until > self.now { up.queue.len() } else { 0 };
            let downs = if down.blocked_until > self.now { down.queue.len() } else { 0 };
            (up.blocked_until, down.blocked_until) = (0, 0);
            (0..ups).for_each(|_| self.after(0, Event::Up(conn)));
            (0..downs).for_each(|_| self.after(0, Event::Down(conn)));
        }
    }

    pub(crate) fn route_of(conn: ConnId) -> [u8; 5] {
        Net::route(conn)
    }
}
