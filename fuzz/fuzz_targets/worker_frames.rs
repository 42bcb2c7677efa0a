//! Messages that begin as a worker's, and any others: reading is total, and what was read is written as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mdp_fuzz::{Frames, low};
use mdp_protocol::wire::classic::{Reader, put, read};

fuzz_target!(|input: (u8, Frames)| {
    let (form, Frames(rest)) = input;
    let mut frames: Vec<Vec<u8>> = match form % 4 {
        0 => vec![b"".to_vec(), b"MDPW01".to_vec()],
        1 => vec![b"MDPW02".to_vec()],
        2 => vec![b"".to_vec(), b"MDPW02".to_vec()],
        _ => Vec::new(),
    };
    frames.extend(rest);
    for reader in [Reader::Broker, Reader::Peer] {
        let Ok(message) = read(reader, &frames, &low()) else { continue };
        let mut again = Vec::new();
        put(message.form, message.command, |frame| again.push(frame.to_vec()));
        assert_eq!(again, frames[..message.body]);
    }
});
