//! Packets of records: reading is total, and a record that was read is written so that it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mdp_fuzz::body::Body;
use mdp_protocol::Limits;
use mdp_protocol::wire::{Head, Record, decode};

fuzz_target!(|input: (&[u8], Vec<Vec<u8>>, bool)| {
    let (noise, frames, whole) = input;
    let packet: Vec<u8> = if whole { noise.to_vec() } else { [&[0xd3, 1], noise].concat() };
    let lens: Vec<usize> = frames.iter().map(Vec::len).collect();
    let mut heads = Vec::new();
    if decode(&packet, &lens, &Limits::default(), &mut heads).is_err() {
        assert!(heads.is_empty());
        return;
    }
    let of = |head: &Head| Body::of(head, &packet, &frames);
    for head in &heads {
        let Ok(record) = Record::read(head, &packet, of) else { continue };
        let mut again = Vec::new();
        record.body().cloned().unwrap_or_default().put(&mut again, &record);
        let mut read = Vec::new();
        decode(&again, &[], &Limits::default(), &mut read).expect("what was written can be read");
        let record_again = Record::read(&read[0], &again, |head| Body::of(head, &again, &[]));
        assert_eq!(format!("{record:?}"), format!("{:?}", record_again.expect("a record")));
    }
});
