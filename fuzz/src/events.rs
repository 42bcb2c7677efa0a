//! What peers of all dialects may do, as noise makes it.

use arbitrary::Arbitrary;
use mdp_protocol::broker::Input;
use mdp_protocol::wire::{
    CallKind, Direction, DisconnectReason, Part, Record, Reply, begin, put,
};
use mdp_protocol::{Code, Span};

use crate::body::Body;
use crate::{Frames, Stage};

#[derive(Arbitrary, Debug)]
pub enum Event {
    Noise(u8, Frames),
    Classic(u8, Classic),
    Rpc(u8, Vec<Rpc>),
    Wait(u16),
    Lost(u8),
    ConnectionLost,
    ShutDown,
}

/// What a classic peer says, with an address that may be right.
#[derive(Arbitrary, Debug)]
pub enum Classic {
    Request { second: bool, service: u8, tunnel: Option<Rpc>, body: u8 },
    Ready { second: bool, service: u8 },
    Answer { second: bool, last: bool, address: Option<u8>, tunnel: Option<Rpc>, body: u8 },
    Heartbeat { second: bool },
    Disconnect { second: bool },
}

#[derive(Arbitrary, Debug)]
pub enum Rpc {
    Hello(u8),
    Ready(u8, u8),
    Request { call: u8, service: u8, timeout: u16, idempotent: bool, kind: u8, raw: bool, target: bool },
    Final { handle: Option<u8>, code: u8, not_started: bool, raw: bool },
    Item { handle: Option<u8>, replies: bool, raw: bool },
    Part { handle: Option<u8>, replies: bool, end: bool },
    Credit { handle: Option<u8>, replies: bool, units: u16 },
    Cancel(u8),
    Heartbeat,
    Drain,
    Disconnect,
}

/// Lets an event happen.
pub fn play(stage: &mut Stage, event: Event) {
    match event {
        Event::Noise(peer, Frames(frames)) => stage.message(&route(peer), &frames),
        Event::Classic(peer, said) => {
            let frames = classic(stage, &route(peer), said);
            stage.message(&route(peer), &frames);
        }
        Event::Rpc(peer, records) => {
            let mut packet = Vec::new();
            begin(&mut packet);
            for record in records.iter().take(16) {
                write(stage, &route(peer), record, &mut packet);
            }
            stage.message(&route(peer), &[packet]);
        }
        Event::Wait(time) => stage.wait(time.into()),
        Event::Lost(peer) => stage.lost(&route(peer)),
        Event::ConnectionLost => stage.handle(Input::ConnectionLost),
        Event::ShutDown => stage.handle(Input::Shutdown { grace: Span::from_secs(1) }),
    }
}

fn route(peer: u8) -> Vec<u8> {
    vec![peer % 8 + 1]
}

fn service(number: u8) -> Vec<u8> {
    [b"a", b"b", b"c", b"d", b"e"][usize::from(number % 5)].to_vec()
}

fn handle(stage: &Stage, route: &[u8], other: Option<u8>) -> u64 {
    match other {
        None => stage.last.get(route).copied().unwrap_or(1),
        Some(number) => 1 << 32 | u64::from(number),
    }
}

fn classic(stage: &Stage, route: &[u8], said: Classic) -> Vec<Vec<u8>> {
    let tunnel = |record: Option<Rpc>, body: u8| match record {
        Some(record) => {
            let mut packet = Vec::new();
            write(stage, route, &record, &mut packet);
            vec![packet]
        }
        None => vec![vec![7; usize::from(body)]; usize::from(body % 4)],
    };
    let head = |second: bool, client: bool| match (second, client) {
        (false, true) => vec![Vec::new(), b"MDPC01".to_vec()],
        (true, true) => vec![b"MDPC02".to_vec(), vec![1]],
        (false, false) => vec![Vec::new(), b"MDPW01".to_vec()],
        (true, false) => vec![b"MDPW02".to_vec()],
    };
    match said {
        Classic::Request { second, service: name, tunnel: record, body } => {
            let mut frames = head(second, true);
            frames.push(service(name));
            frames.extend(tunnel(record, body));
            frames
        }
        Classic::Ready { second, service: name } => {
            let mut frames = head(second, false);
            frames.extend([vec![1], service(name)]);
            frames
        }
        Classic::Answer { second, last, address, tunnel: record, body } => {
            let mut frames = head(second, false);
            let address = handle(stage, route, address).to_be_bytes().to_vec();
            frames.extend([vec![if second && last { 4 } else { 3 }], address, Vec::new()]);
            frames.extend(tunnel(record, body));
            frames
        }
        Classic::Heartbeat { second } => {
            let mut frames = head(second, false);
            frames.push(vec![if second { 5 } else { 4 }]);
            frames
        }
        Classic::Disconnect { second } => {
            let mut frames = head(second, false);
            frames.push(vec![if second { 6 } else { 5 }]);
            frames
        }
    }
}

fn write(stage: &Stage, route: &[u8], record: &Rpc, packet: &mut Vec<u8>) {
    type Said = Record<Vec<u8>, ()>;
    let raw_body = |raw: bool, name: Vec<u8>| match raw {
        true => Body::of_frames(&name, &[vec![1; 20]]),
        false => Body::of_path(&name, &[1; 20]),
    };
    // A raw call may hide a typed one, of the same service or of another.
    let hidden = |name: Vec<u8>, other: u8| {
        let mut packet = Vec::new();
        begin(&mut packet);
        let said: Said = Record::Request {
            call: 1,
            timeout: Span::from_secs(1),
            idempotent: false,
            attempt: 1,
            peer: b"x ann".to_vec(),
            kind: CallKind::Unary,
            body: (),
        };
        Body::of_path(&[&*service(other), b"/M"].concat(), b"").put(&mut packet, &said);
        Body::of_frames(&name, &[packet])
    };
    let of = |replies: bool| if replies { Direction::Replies } else { Direction::Requests };
    let (said, body): (Said, Option<Body>) = match record {
        Rpc::Hello(id) => {
            let id = if id % 4 == 0 { Vec::new() } else { service(*id) };
            (Record::Hello { id, heartbeat: Span::from_secs(1), liveness: 3 }, None)
        }
        Rpc::Ready(name, capacity) => {
            let capacity = u32::from(capacity % 5);
            let schema = (name % 3 != 0).then_some([name % 3; 16]);
            (Record::Ready { service: service(*name), capacity, shared: capacity % 2 == 0, schema }, None)
        }
        Rpc::Request { call, service: name, timeout, idempotent, kind, raw, target } => {
            let kind = CallKind::new(kind & 1 != 0, kind & 2 != 0);
            let peer = if *target { service(*call) } else { Vec::new() };
            let path = if *raw { service(*name) } else { [&*service(*name), b"/M"].concat() };
            let request = Record::Request {
                call: (*call).into(),
                timeout: Span::from_ms((*timeout).into()),
                idempotent: *idempotent,
                attempt: 1,
                peer,
                kind,
                body: (),
            };
            let body = match *raw && call % 3 == 0 {
                true => hidden(path, call / 3),
                false => raw_body(*raw, path),
            };
            (request, Some(body))
        }
        Rpc::Final { handle: other, code, not_started, raw } => {
            let end = Record::Final {
                call: handle(stage, route, *other),
                code: Code::from_u32((*code % 17).into()),
                not_started: *not_started,
                attempt: 0,
                peer: Vec::new(),
                reply: Reply::Body(()),
            };
            (end, Some(raw_body(*raw, Vec::new())))
        }
        Rpc::Item { handle: other, replies, raw } => {
            let call = handle(stage, route, *other);
            let item = Record::Data { call, of: of(*replies), part: Part::Item(()) };
            (item, Some(raw_body(*raw, Vec::new())))
        }
        Rpc::Part { handle: other, replies, end } => {
            let call = handle(stage, route, *other);
            let part = if *end { Part::End } else { Part::Open(()) };
            (Record::Data { call, of: of(*replies), part }, None)
        }
        Rpc::Credit { handle: other, replies, units } => {
            let call = handle(stage, route, *other);
            (Record::Credit { call, of: of(*replies), units: (*units).into() }, None)
        }
        Rpc::Cancel(call) => (Record::Cancel { call: (*call).into() }, None),
        Rpc::Heartbeat => (Record::Heartbeat, None),
        Rpc::Drain => (Record::Drain, None),
        Rpc::Disconnect => (Record::Disconnect(DisconnectReason::Shutdown), None),
    };
    match body {
        Some(body) => body.put(packet, &said),
        None => put(packet, &said),
    }
}
