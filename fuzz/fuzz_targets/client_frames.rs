//! Messages that begin as a client's: reading is total, and what was read is written as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mdp_fuzz::{Frames, low};
use mdp_protocol::wire::classic::{Form, Reader, put, read};

fuzz_target!(|input: (u8, Frames)| {
    let (form, Frames(rest)) = input;
    let mut frames: Vec<Vec<u8>> = match form % 3 {
        0 => vec![b"".to_vec(), b"MDPC01".to_vec()],
        1 => vec![b"MDPC02".to_vec()],
        _ => vec![b"".to_vec(), b"MDPC02".to_vec()],
    };
    frames.extend(rest);
    for reader in [Reader::Broker, Reader::Peer] {
        let Ok(message) = read(reader, &frames, &low()) else { continue };
        assert!(message.body <= frames.len());
        let mut again = Vec::new();
        put(message.form, message.command, |frame| again.push(frame.to_vec()));
        assert_eq!(again, frames[..message.body]);
        assert!(message.form == Form::V01 || message.form.dialect == Form::V02.dialect);
    }
});
