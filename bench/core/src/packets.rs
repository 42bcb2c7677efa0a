//! Packets of MDP/RPC: records to bytes and back.

use std::hint::black_box;

use mdp_protocol::wire::{self, CallKind, Record, Reply, Tail};
use mdp_protocol::{Code, Limits, Span};

use crate::{Case, Item};

/// Records in a packet.
const RECORDS: u64 = 64;
const TAIL: &[u8] = b"bench.v1.Echo/Echo\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const NAME: u8 = 18;

fn request(call: u64) -> Record<&'static [u8], Item> {
    Record::Request {
        call,
        timeout: Span::from_secs(10),
        idempotent: false,
        attempt: 1,
        peer: b"",
        kind: CallKind::Unary,
        body: Item(""),
    }
}

fn put(packet: &mut Vec<u8>) {
    for call in 0..RECORDS {
        let tail = Tail { bytes: TAIL, name_len: NAME, payload_len: 64, ..Tail::default() };
        wire::put_tail(packet, &request(call), tail);
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut packet = Vec::new();
    let encode = Case::new("packet/encode 64 REQUESTs", move || {
        packet.clear();
        put(black_box(&mut packet));
    });
    let (mut packet, mut heads, limits) = (Vec::new(), Vec::new(), Limits::default());
    put(&mut packet);
    let decode = Case::new("packet/decode 64 REQUESTs", move || {
        heads.clear();
        let decoded = wire::decode(black_box(&packet), &[], &limits, &mut heads);
        assert!(decoded.is_ok() && heads.len() == RECORDS as usize);
        for head in &heads {
            let _ = black_box(Record::read(head, &packet, |_| Item("")));
        }
    });
    let mut packet = Vec::new();
    let reply = Case::new("packet/encode a FINAL", move || {
        packet.clear();
        let record: Record<&[u8], Item> = Record::Final {
            call: 7,
            code: Code::Ok,
            not_started: false,
            attempt: 1,
            peer: b"w-1",
            reply: Reply::Body(Item("")),
        };
        let tail = Tail { bytes: TAIL, payload_len: 82, ..Tail::default() };
        wire::put_tail(black_box(&mut packet), &record, tail);
    });
    vec![encode, decode, reply]
}
