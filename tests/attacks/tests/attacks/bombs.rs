//! Bodies that are small on the wire and not in memory.

use mdp_protocol::wire::{self, Tail};
use mdp_protocol::{Code, Span};

use crate::cluster::Target;
use crate::raw::RawPeer;
use crate::replies::request;
use crate::{count, report, together};

/// A message within a message, so many times.
fn nested(depth: usize) -> Vec<u8> {
    let mut lens = Vec::with_capacity(depth);
    let mut len = 0_usize;
    for _ in 0..depth {
        lens.push(len);
        len += 1 + varint(len).len();
    }
    let mut bytes = Vec::with_capacity(len);
    for len in lens.iter().rev() {
        bytes.push(1 << 3 | 2); // field 1, with a length
        bytes.extend(varint(*len));
    }
    bytes
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A29: a worker refuses what is nested too deeply, and lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a29_nested_messages_end_nothing_but_their_call() {
    const PATH: &str = "attacks.v1.Work/Nest";
    let _turn = together().await;
    let mut target = Target::start();
    let _worker = target.worker(8).await;
    let (endpoint, bombs) = (target.endpoint.clone(), count(500));
    let attack = tokio::task::spawn_blocking(move || {
        let mut client = RawPeer::greeted(&endpoint);
        let mut ask = |number, payload: &[u8]| {
            let record = request(number, PATH, Span::from_secs(20));
            let (mut packet, bytes) = (Vec::new(), [PATH.as_bytes(), payload].concat());
            let (name_len, payload_len) = (PATH.len() as u8, payload.len() as u32);
            wire::put_tail(
                &mut packet,
                &record,
                Tail { bytes: &bytes, name_len, payload_len, ..Tail::default() },
            );
            client.send_frames(&[&packet]);
            client.wait_final().code
        };
        assert_eq!(ask(0, &nested(20)), Code::Ok);
        let bomb = nested(700_000);
        for number in 1..=bombs {
            assert_eq!(ask(number, &bomb), Code::InvalidArgument);
        }
        bomb.len()
    });
    let bytes = attack.await.unwrap();
    target.serves().await;
    report(&format!(
        "a29: {bombs} requests of {} KiB, nested 700,000 times: refused by a worker that lives",
        bytes / 1024
    ));
}
