//! Bodies that may be tunnels: a tunnel has one record, and its body is found.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mdp_fuzz::body::Body;
use mdp_protocol::Limits;
use mdp_protocol::wire::{Record, tunnel};

fuzz_target!(|input: (&[u8], &[u8], Vec<Vec<u8>>)| {
    let (service, noise, frames) = input;
    let mut body = vec![[&[0xd3, 1], noise].concat()];
    body.extend(frames);
    let Some(head) = tunnel::read(&body, &Limits::default()) else { return };
    let record = Record::read(&head, &body[0], |head| Body::of(head, &body[0], &body[1..]));
    if tunnel::is_request_of(&head, &body[0], service) {
        assert!(matches!(record, Ok(Record::Request { .. })));
        assert!(head.name.of(&body[0]).starts_with(service));
    }
    if tunnel::is_reply(&head, true) || tunnel::is_reply(&head, false) {
        assert!(matches!(record, Ok(Record::Final { .. } | Record::Data { .. })));
    }
});
