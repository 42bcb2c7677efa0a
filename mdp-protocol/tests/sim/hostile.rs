//! A peer that says valid records without regard to the protocol.

use std::sync::Arc;

use mdp_protocol::wire::{CallKind, Direction, DisconnectReason, Part, Record, Reply};
use mdp_protocol::{Code, Key, Span};

use crate::actors::{HostileActor, Role};
use crate::body::{Body, Kind, Msg, NOBODY, Shape, outgoing};
use crate::world::{Event, Who, World};

impl World {
    /// Says something, and more later.
    pub(crate) fn hostile_speaks(&mut self, peer: usize, life: u32) {
        let process = &self.peers[peer].process;
        if !self.storm || !process.up || process.life != life {
            return;
        }
        let frozen = process.frozen;
        let pause = self.rng.around(30);
        self.after(pause, Event::Hostile { peer, life });
        if frozen {
            return;
        }
        if self.rng.percent(2) || self.peers[peer].socket.is_none() {
            self.hostile_connects(peer);
        }
        let Some(socket) = self.peers[peer].socket else { return };
        if self.hostile_comes_again() {
            // As if its session had ended meanwhile; where that is so, what is it now?
            let (heartbeat, liveness) = (Span::from_secs(1), 3);
            let hello = Record::Hello { id: Arc::from([]), heartbeat, liveness };
            self.send_up(socket, outgoing(hello, peer));
            let request = self.classic_request(peer);
            self.send_up(socket, outgoing(request, peer));
            return;
        }
        let msg = self.hostile_word(peer);
        self.send_up(socket, outgoing(msg, peer));
    }

    pub(crate) fn hostile_hears(&mut self, peer: usize, msg: Msg) {
        let Role::Hostile(hostile) = &mut self.peers[peer].role else { return };
        match msg {
            Record::Request { call, kind, body, .. } => {
                hostile.held.push((call, body.uid, kind));
            }
            Record::Credit { call, of, .. } => hostile.rich.push((call, of)),
            Record::Disconnect(_) => {
                hostile.rich.clear();
                hostile.held.clear();
                hostile.own.clear();
                if self.rng.percent(50) {
                    self.hostile_connects(peer);
                }
            }
            _ => {}
        }
    }

    /// A new socket, and perhaps another manner.
    pub(crate) fn hostile_connects(&mut self, peer: usize) {
        self.open_socket(peer);
        let sly = self.rng.percent(60);
        self.peers[peer].role = Role::Hostile(HostileActor { sly, ..HostileActor::default() });
    }

    fn hostile_word(&mut self, peer: usize) -> Msg {
        // One that behaves most of the time stays long enough to be given calls.
        let Role::Hostile(HostileActor { sly, greeted, .. }) = self.peers[peer].role else {
            return Record::Heartbeat;
        };
        let word = match sly && !self.rng.percent(2) {
            true if greeted < 2 => u64::from(3 * greeted),
            true => self.rng.pick(&[5, 10, 10, 12, 16, 16, 16]),
            false => self.rng.range(0, 20),
        };
        if let Role::Hostile(hostile) = &mut self.peers[peer].role {
            hostile.greeted += 1;
        }
        match word {
            0..=2 => Record::Hello {
                id: self.hostile_id(),
                heartbeat: Span::from_ms(self.rng.pick(&[0, 1_000, 90_000])),
                liveness: self.rng.range(0, 255) as u8,
            },
            3..=4 => Record::Ready {
                service: self.hostile_service(),
                capacity: self.rng.pick(&[1, 1, 3, 1_000, 0, 1_000_000]),
                shared: self.rng.percent(30),
                schema: peer.is_multiple_of(2).then_some([peer as u8; 16]),
            },
            5..=6 => self.hostile_request(peer),
            7..=10 => self.hostile_final(peer),
            11 => Record::Cancel { call: self.some_handle() },
            12 => Record::Heartbeat,
            13 => Record::Drain,
            16..=18 => self.hostile_part(peer),
            19 => Record::Grant {
                service: self.hostile_service(),
                slots: self.rng.pick(&[0, 1, 2, 1_000, u32::MAX]),
                number: self.rng.range(0, 3),
            },
            20 => Record::Demand { service: self.hostile_service(), calls: 1 },
            14 => Record::Disconnect(DisconnectReason::from_u32(self.rng.range(0, 15) as u32)),
            _ => Record::Welcome {
                id: self.hostile_id(),
                heartbeat: Span::ZERO,
                liveness: 0,
                frame_bytes: 0,
            },
        }
    }

    fn hostile_id(&mut self) -> Arc<[u8]> {
        let id = self.rng.pick(&["evil", "w0", "w1", "p-1", "", "no good"]);
        Arc::from(id.as_bytes())
    }

    fn hostile_service(&mut self) -> Arc<[u8]> {
        let name = self.rng.pick(&["s0.S", "s0.S", "s1.S", "s2.S", "own.S", "mmi.x", "", "a b"]);
        Arc::from(name.as_bytes())
    }

    fn hostile_request(&mut self, peer: usize) -> Msg {
        let path = self.rng.pick(&["s0.S/M", "s1.S/M", "own.S/M", "none.S/X", "", "//"]);
        let size = self.rng.range(0, self.plan.size) as u32;
        let by = peer as u32;
        let (path, form) = self.some_shape(path);
        let call = self.some_handle();
        let kind = CallKind::new(self.rng.percent(40), self.rng.percent(40));
        if let Role::Hostile(hostile) = &mut self.peers[peer].role {
            hostile.own.push(call);
        }
        Record::Request {
            call,
            timeout: Span::from_ms(self.rng.pick(&[0, 1, 100, 5_000])),
            idempotent: self.rng.percent(50),
            attempt: self.rng.range(0, 255) as u8,
            peer: if self.rng.percent(20) { self.hostile_id() } else { Arc::from([]) },
            kind,
            body: Body { path, kind: Kind::Request, uid: NOBODY, by, run: 0, n: 0, size, form },
        }
    }

    /// A call as an honest client makes it.
    fn classic_request(&mut self, peer: usize) -> Msg {
        let (path, form) = (Arc::from(&b"s0.S/M"[..]), Shape::Typed);
        let (by, kind) = (peer as u32, Kind::Request);
        Record::Request {
            call: self.rng.range(1 << 40, 1 << 50),
            timeout: Span::from_secs(5),
            idempotent: true,
            attempt: 1,
            peer: Arc::from([]),
            kind: CallKind::Unary,
            body: Body { path, kind, uid: NOBODY, by, run: 0, n: 0, size: 10, form },
        }
    }

    /// Most calls are typed, some are raw, and some are raw and hide a typed one.
    fn some_shape(&mut self, path: &str) -> (Arc<[u8]>, Shape) {
        let form = self.rng.pick(&[Shape::Typed, Shape::Typed, Shape::Raw, Shape::Tunnel]);
        let service = path.split('/').next().unwrap_or_default();
        let name = if form == Shape::Typed { path } else { service };
        (Arc::from(name.as_bytes()), form)
    }

    /// A part or credit for a call that it has or made, or for any call that there may be.
    fn hostile_part(&mut self, peer: usize) -> Msg {
        let Role::Hostile(hostile) = &self.peers[peer].role else { return Record::Heartbeat };
        let held = hostile.held.last().copied();
        let own = hostile.own.last().copied();
        let mut of = self.rng.pick(&[Direction::Requests, Direction::Replies]);
        let mut credit = self.rng.percent(40);
        let rich = hostile.rich.last().copied();
        let (call, uid) = match (held, own) {
            // Within its credit, for once, so that it comes as far as to break another rule.
            _ if rich.is_some() && self.rng.percent(50) => {
                let (call, own) = rich.unwrap_or((0, of));
                (of, credit) = (own, false);
                (call, NOBODY)
            }
            // As the one who holds it: items of its replies, credit for its requests.
            (Some((call, uid, kind)), _) if self.rng.percent(60) => {
                if hostile.sly {
                    credit = kind.streams(Direction::Requests) && (credit || kind.streams(of));
                    of = if credit { Direction::Requests } else { Direction::Replies };
                    if !credit && !kind.streams(of) {
                        return Record::Heartbeat;
                    }
                }
                (call, uid)
            }
            (_, Some(call)) if self.rng.percent(60) => (call, NOBODY),
            _ if hostile.sly => return Record::Heartbeat,
            _ => (self.some_handle(), NOBODY),
        };
        if credit {
            let units = self.rng.pick(&[0, 1, 5, 1_000, u32::MAX]);
            return Record::Credit { call, of, units };
        }
        let size = self.rng.range(0, 3_000) as u32;
        let body = Body::item(Kind::Forged, uid, peer, 0, 0, size);
        let part = match self.rng.range(0, 9) {
            0 => Part::Open(body),
            1 | 2 => Part::End,
            _ => Part::Item(body),
        };
        Record::Data { call, of, part }
    }

    /// A reply to a call that it has, or to any call that there may be.
    fn hostile_final(&mut self, peer: usize) -> Msg {
        let Role::Hostile(hostile) = &mut self.peers[peer].role else { return Record::Heartbeat };
        let sly = hostile.sly;
        let own = if self.rng.percent(60) { hostile.held.pop() } else { None };
        if sly && own.is_none() && !self.rng.percent(5) {
            return Record::Heartbeat;
        }
        let (call, uid) = match own {
            Some((call, uid, _)) => (call, uid),
            None => (self.some_handle(), NOBODY),
        };
        Record::Final {
            call,
            code: Code::from_u32(self.rng.range(0, 17) as u32),
            not_started: self.rng.percent(30),
            attempt: self.rng.range(0, 255) as u8,
            peer: Arc::from([]),
            reply: Reply::Body(Body::reply(Kind::Forged, uid, peer, 0)),
        }
    }

    /// A handle as the broker makes them, or one that it gave to somebody not long ago: whoever
    /// knows a handle must gain nothing by it.
    fn some_handle(&mut self) -> u64 {
        if !self.broker.handles.is_empty() && self.rng.percent(50) {
            let known = self.rng.below(self.broker.handles.len());
            return self.broker.handles[known];
        }
        let (generation, index) = (self.rng.range(0, 12), self.rng.range(0, 8));
        let handle = generation << 32 | index;
        Key::from_u64(handle).map_or(handle, Key::as_u64)
    }

    /// What cannot be read, from a hostile peer.
    pub(crate) fn hostile_noise(&mut self) -> crate::ledger::Check {
        let hostiles = self.plan.workers + self.plan.clients..self.peers.len();
        for peer in hostiles {
            let Some(socket) = self.peers[peer].socket else { continue };
            let Some(conn) = self.net.sockets[socket].conn else { continue };
            let fresh = self.net.conns[conn].broker_life == self.broker.process.life;
            if fresh && !self.net.conns[conn].cut && !self.process(Who::Broker).frozen {
                self.broker_hears_noise(conn)?;
            }
        }
        Ok(())
    }
}
