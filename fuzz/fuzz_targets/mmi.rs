//! Requests for the broker's own services: each has one answer, with a status of three digits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mdp_fuzz::{Frames, Stage, low};
use mdp_protocol::broker::{Content, ToClassic};
use mdp_protocol::wire::classic::Form;

fuzz_target!(|input: (bool, u8, Vec<u8>, Frames)| {
    let (second, known, name, Frames(body)) = input;
    let mut stage = Stage::default();
    stage.message(b"w", &[b"MDPW02".to_vec(), vec![1], b"echo".to_vec()]);
    stage.classic.clear();
    let name = match known % 5 {
        0 => b"service".to_vec(),
        1 => b"services".to_vec(),
        2 => b"workers".to_vec(),
        3 => b"counters".to_vec(),
        _ => name,
    };
    let service = [b"mmi.".to_vec(), name].concat();
    let mut frames = match second {
        true => vec![b"MDPC02".to_vec(), vec![1], service.clone()],
        false => vec![b"".to_vec(), b"MDPC01".to_vec(), service.clone()],
    };
    let heads = frames.len();
    frames.extend(body);
    let limits = low();
    let body = &frames[heads..];
    let bytes: usize = body.iter().map(|frame| 4 + frame.len()).sum();
    let fits = body.len() <= limits.body_frames()
        && bytes <= limits.frame_bytes
        && service.len() <= 255;
    stage.message(b"c", &frames);
    // A tunnel would have to name a method of `mmi.`, and is refused.
    let Some((_, form, ToClassic::Reply { service: said, last: true, content })) = stage.classic.pop()
    else {
        assert!(!fits, "no answer to {frames:?}");
        return;
    };
    assert!(stage.classic.is_empty());
    assert_eq!((form == Form::V02, &*said), (second, &*service));
    if let Content::Listing(listing) = content {
        assert!([200, 404, 501].contains(&listing.status()));
        if service == b"mmi.service" {
            let echo = frames.len() > heads && frames.last().is_some_and(|name| name == b"echo");
            assert_eq!(listing.status(), if echo { 200 } else { 404 });
        }
    }
});
