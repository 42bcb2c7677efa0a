//! Messages of classic MDP: what a broker reads of a request, and writes of a reply.

use std::hint::black_box;

use mdp_protocol::Limits;
use mdp_protocol::wire::classic::{Command, Form, Reader, put, read};

use crate::Case;

pub(crate) fn cases() -> Vec<Case> {
    let mut bytes = Vec::new();
    let write = Case::new("classic/write a reply of 0.2", move || {
        bytes.clear();
        let command = Command::Reply { service: b"bench.v1.Echo", last: true };
        put(black_box(Form::V02), command, |frame| bytes.extend_from_slice(frame));
    });
    let limits = Limits::default();
    let frames: [&[u8]; 4] = [b"MDPC02", b"\x01", b"bench.v1.Echo", &[7; 64]];
    let take = Case::new("classic/read a request of 0.2", move || {
        let message = read(Reader::Broker, black_box(&frames), &limits);
        assert!(message.is_ok_and(|message| message.body == 3));
    });
    vec![write, take]
}
