//! Bodies come through the wire as they were, and statuses that are too large are cut.

use super::*;
use crate::codec::notes::is_truncation;
use crate::codec::{decode_status, encode_status};
use crate::status::Detail;

fn through_the_wire(body: &Body) -> Body {
    let record = Record::Request {
        call: 7,
        timeout: mdp_protocol::Span::from_ms(5),
        idempotent: true,
        attempt: 1,
        peer: b"client-1".as_slice(),
        kind: wire::CallKind::Unary,
        body: (),
    };
    let mut packet = Vec::new();
    wire::put_tail(&mut packet, &record, body.tail());
    let frames: Vec<Bytes> = body.out().cloned().into_iter().collect();
    let lens: Vec<usize> = frames.iter().map(Bytes::len).collect();
    let mut heads = Vec::new();
    wire::decode(&packet, &lens, &Limits::default(), &mut heads).unwrap();
    Body::of(&heads[0], &Bytes::from(packet), &frames)
}

#[test]
fn frames_come_through_the_wire_as_they_were() {
    for len in [0, 1, MAX_INLINE] {
        let frames = vec![Bytes::from(vec![3; len]), Bytes::new(), Bytes::from_static(b"end")];
        let sent = Body::of_frames(b"echo", frames.clone());
        let came = through_the_wire(&sent.flat().unwrap());
        assert!(came.is_raw() && came.flat().is_none());
        assert_eq!((came.path(), came.last_frame()), (b"echo".as_slice(), b"end".as_slice()));
        assert_eq!((came.frames(), sent.frames()), (frames.clone(), frames));
        assert_eq!(came.payload(), sent.payload());
        // The sizes are compared without the client's id, which the broker adds.
        assert_eq!(came.size() - came.peer().len(), sent.size());
    }
}

#[test]
fn a_body_comes_through_the_wire_as_it_was() {
    for len in [0, 1, MAX_INLINE, MAX_INLINE + 1] {
        for meta in [None, Some(b"meta".as_slice()), Some(b"".as_slice())] {
            let payload = Bytes::from(vec![3; len]);
            let sent = Body::with_payload("a.B/C", meta, payload.clone());
            let came = through_the_wire(&sent);
            assert_eq!(came.path(), b"a.B/C");
            assert_eq!(came.meta(), meta.unwrap_or_default());
            assert_eq!(came.payload(), payload);
            assert_eq!(came.peer(), b"client-1".as_slice());
            assert_eq!(came.out().is_some(), len > MAX_INLINE);
            assert_eq!(came.keep().payload(), payload);
            assert_eq!(through_the_wire(&came.detach()).payload(), payload);
        }
    }
}

const MAX: u64 = 100_000;

fn through(status: &Status, meta: Option<&[u8]>) -> (Status, Bytes) {
    let body = Body::with_payload("", meta, encode_status(status));
    let fitted = body.fitting(status.code(), MAX);
    assert!(fitted.size() as u64 <= MAX / 2, "{} bytes", fitted.size());
    (decode_status(status.code(), fitted.payload()), fitted.meta())
}

fn detail(len: usize) -> Detail {
    Detail { type_url: "type.googleapis.com/a.B".into(), value: vec![1; len].into() }
}

#[test]
fn what_fits_stays_as_it_is() {
    let status = Status::with_details(Code::NotFound, "no", vec![detail(20_000)]);
    let (came, meta) = through(&status, Some(b"meta"));
    assert_eq!((&came, &*meta, came.is_truncated()), (&status, &b"meta"[..], false));
}

#[test]
fn a_text_is_cut_between_characters_and_the_details_stay() {
    for shift in 0..4 {
        let text = "x".repeat(shift) + &"\u{1f600}".repeat(50_000);
        let status = Status::with_details(Code::NotFound, text.clone(), vec![detail(100)]);
        let (came, _) = through(&status, None);
        let begin = came.message().strip_suffix('…').unwrap();
        assert!(text.starts_with(begin) && begin.len() > 20_000, "{}", begin.len());
        assert_eq!((came.code(), came.is_truncated()), (Code::NotFound, true));
        assert_eq!(came.details().last(), Some(&detail(100)));
    }
}

#[test]
fn details_that_do_not_fit_are_left_away_and_the_others_stay() {
    let details = vec![detail(90_000), detail(1), detail(90_000), detail(2)];
    let status = Status::with_details(Code::Aborted, "why", details);
    let (came, _) = through(&status, None);
    assert_eq!((came.code(), came.message()), (Code::Aborted, "why"));
    assert_eq!(came.details().get(1..).unwrap(), [detail(1), detail(2)]);
}

#[test]
fn metadata_that_does_not_fit_is_left_away() {
    let (came, meta) = through(&Status::aborted("why"), Some(&[0; 90_000]));
    assert_eq!((came.message(), came.is_truncated(), meta.len()), ("why", true, 0));
    let (came, meta) = through(&Status::aborted("x".repeat(90_000)), Some(b"meta"));
    assert_eq!((came.is_truncated(), &*meta), (true, &b"meta"[..]));
}

#[test]
fn a_status_that_is_cut_twice_says_it_once() {
    let status = Status::aborted("x".repeat(90_000));
    let (once, _) = through(&status, None);
    let (twice, _) = through(&once.with_any(detail(90_000)), None);
    assert_eq!(twice.details().iter().filter(|detail| is_truncation(detail)).count(), 1);
}

#[test]
fn no_limit_is_too_small() {
    for max in [0, 1, 100, 1_000] {
        let payload = encode_status(&Status::aborted("é".repeat(2_000)));
        let fitted = Body::with_payload("", None, payload).fitting(Code::Aborted, max);
        let came = decode_status(Code::Aborted, fitted.payload());
        assert_eq!((came.code(), came.is_truncated()), (Code::Aborted, true));
    }
}
