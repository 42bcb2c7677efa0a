//! Plain messages: the bytes of each type, what each mistake says, and that nothing is copied.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests

use mdp_runtime::codegen::{Bytes, TypedMessage};
use mdp_runtime::{MdpRecord, Message, MessageError};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Light {
    Red = 1,
    Green = -2,
}

impl From<Light> for i32 {
    fn from(light: Light) -> i32 {
        light as i32
    }
}

impl TryFrom<i32> for Light {
    type Error = String;

    fn try_from(number: i32) -> Result<Self, String> {
        match number {
            1 => Ok(Light::Red),
            -2 => Ok(Light::Green),
            _ => Err("no light".into()),
        }
    }
}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
struct Reading {
    #[mdp(1)]
    place: String,
    #[mdp(2)]
    value: i32,
}

fn reading() -> Reading {
    Reading { place: "roof".into(), value: 7 }
}

/// The only frame of a message that `fill` has filled.
fn frame(fill: impl FnOnce(&mut Message) -> &mut Message) -> Vec<u8> {
    let mut message = Message::new();
    fill(&mut message);
    assert_eq!(message.len(), 1);
    message.into_frames()[0].to_vec()
}

#[test]
fn each_type_has_its_bytes() {
    assert_eq!(frame(|m| m.push_i32(0x0102_0304)), [1, 2, 3, 4]);
    assert_eq!(frame(|m| m.push_i32(-2)), [0xff, 0xff, 0xff, 0xfe]);
    assert_eq!(frame(|m| m.push_i64(0x0102_0304_0506_0708)), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(frame(|m| m.push_f32(1.5)), [0x3f, 0xc0, 0, 0]);
    assert_eq!(frame(|m| m.push_f64(-2.0)), [0xc0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(frame(|m| m.push_enum(Light::Green)), [0xff, 0xff, 0xff, 0xfe]);
    assert_eq!(frame(|m| m.push_str("aé")), [0x61, 0xc3, 0xa9]);
    assert_eq!(frame(|m| m.push_str(String::new())), [0; 0]);
    assert_eq!(frame(|m| m.push_bytes(vec![0, 255])), [0, 255]);
    let encoded = [0x0a, 4, b'r', b'o', b'o', b'f', 0x10, 7];
    assert_eq!(frame(|m| m.push_record(&reading())), encoded);
}

#[test]
fn what_is_appended_has_the_same_bytes() {
    let (mut top, mut back) = (Message::new(), Message::new());
    top.push_record(&reading()).push_bytes("x").push_str("y").push_enum(Light::Red);
    top.push_f64(4.0).push_f32(3.0).push_i64(2).push_i32(1);
    back.append_i32(1).append_i64(2).append_f32(3.0).append_f64(4.0);
    back.append_enum(Light::Red).append_str("y").append_bytes("x").append_record(&reading());
    assert_eq!(top, back);

    assert_eq!(back.pop_i32().unwrap(), 1);
    assert_eq!(back.pop_i64().unwrap(), 2);
    assert_eq!(back.pop_f32().unwrap(), 3.0);
    assert_eq!(back.pop_f64().unwrap(), 4.0);
    assert_eq!(back.pop_enum::<Light>().unwrap(), Light::Red);
    assert_eq!(back.pop_string().unwrap(), "y");
    assert_eq!(back.pop_bytes().unwrap(), "x");
    assert_eq!(back.pop_record::<Reading>().unwrap(), reading());
    assert!(back.is_empty());
}

#[test]
fn a_peek_takes_nothing() {
    let mut message = Message::new();
    message.push_i32(1);
    assert_eq!((message.peek_i32().unwrap(), message.len()), (1, 1));
    assert_eq!(message.peek_enum::<Light>().unwrap(), Light::Red);
    assert_eq!(message.peek_f32().unwrap(), f32::from_bits(1));
    message.push_i64(2);
    assert_eq!(message.peek_i64().unwrap(), 2);
    assert_eq!(message.peek_f64().unwrap(), f64::from_bits(2));
    message.push_str("top");
    assert_eq!((message.peek_str().unwrap(), message.peek_bytes().unwrap().len()), ("top", 3));
    message.push_record(&reading());
    assert_eq!(message.peek_record::<Reading>().unwrap(), reading());
    assert_eq!(message.len(), 4);
}

/// What a failed pop says. The message has to stay as it was.
fn refused<T: std::fmt::Debug>(
    frames: &[&'static [u8]],
    pop: impl FnOnce(&mut Message) -> Result<T, MessageError>,
) -> String {
    let mut message = Message::from_frames(frames.iter().map(|frame| Bytes::from_static(frame)));
    let before = message.clone();
    let error = pop(&mut message).unwrap_err().to_string();
    assert_eq!(message, before, "{error}");
    error
}

#[test]
fn each_mistake_says_what_was_wanted() {
    let missing = ", but the message has no frame";
    assert_eq!(refused(&[], Message::pop_i32), format!("expected i32{missing}"));
    assert_eq!(refused(&[], Message::pop_i64), format!("expected i64{missing}"));
    assert_eq!(refused(&[], Message::pop_f32), format!("expected f32{missing}"));
    assert_eq!(refused(&[], Message::pop_f64), format!("expected f64{missing}"));
    assert_eq!(refused(&[], Message::pop_string), format!("expected text{missing}"));
    assert_eq!(refused(&[], Message::pop_bytes), format!("expected bytes{missing}"));
    assert_eq!(
        refused(&[], Message::pop_enum::<Light>),
        format!("expected message::Light{missing}")
    );
    assert_eq!(
        refused(&[], Message::pop_record::<Reading>),
        format!("expected message::Reading{missing}")
    );

    assert_eq!(
        refused(&[b"abc", b"abcd"], Message::pop_i32),
        "expected i32 with 4 bytes, but the frame has 3 bytes"
    );
    assert_eq!(
        refused(&[b""], Message::pop_f64),
        "expected f64 with 8 bytes, but the frame has 0 bytes"
    );
    assert_eq!(
        refused(&[b"12345"], Message::pop_enum::<Light>),
        "expected message::Light with 4 bytes, but the frame has 5 bytes"
    );
    assert_eq!(
        refused(&[b"ab\xff"], Message::pop_string),
        "expected text, but the frame is not UTF-8 from byte 2 on"
    );
    assert_eq!(
        refused(&[b"\0\0\0\x05"], Message::pop_enum::<Light>),
        "expected message::Light, which has no variant with the number 5"
    );
    let error = refused(&[b"\x0a\x09short"], Message::pop_record::<Reading>);
    let begin = "expected message::Reading, but the frame cannot be decoded as one: ";
    assert!(error.starts_with(begin) && error.len() > begin.len() + 10, "{error}");
}

#[test]
fn frames_move_without_being_copied() {
    let frames: Vec<Bytes> = (0..3u8).map(|n| Bytes::from(vec![n; 100])).collect();
    let places = |frames: &[Bytes]| frames.iter().map(|frame| frame.as_ptr()).collect::<Vec<_>>();
    let before = places(&frames);

    let message = Message::from(frames);
    assert_eq!(message.frames().map(|frame| frame.as_ptr()).collect::<Vec<_>>(), before);
    let frames = Vec::from(message);
    assert_eq!(places(&frames), before);
    let frames = Message::from_frames(frames).into_frames();
    assert_eq!(places(&frames), before);

    let (text, bytes) = ("a text of some length".to_owned(), vec![7; 50]);
    let before = [text.as_ptr(), bytes.as_ptr()];
    let mut message = Message::new();
    message.push_str(text).append_bytes(bytes);
    assert_eq!(places(&message.clone().into_frames()), before);
    assert_eq!(message.pop_bytes().unwrap().as_ptr(), before[0]);
}

#[test]
fn what_debug_prints_is_readable_and_short() {
    let mut message = Message::new();
    message.push_bytes(vec![0; 1000]).push_str("é".repeat(40)).push_i32(7).push_str("sensor");
    let zeros = "00".repeat(32);
    assert_eq!(
        format!("{message:?}"),
        format!(
            "Message[\"sensor\", 4 bytes 0x00000007, 80 bytes \"{}\"…, 1000 bytes 0x{zeros}…]",
            "é".repeat(16)
        )
    );
    // A character that is cut is left out.
    message = Message::new();
    message.push_str("a".repeat(31) + "é!");
    assert_eq!(format!("{message:?}"), format!("Message[34 bytes \"{}\"…]", "a".repeat(31)));
    assert_eq!(format!("{:?}", Message::new()), "Message[]");

    let many = Message::from_frames((0..100_000).map(|_| Bytes::from_static(&[255; 64])));
    let printed = format!("{many:?}");
    assert!(printed.len() < 2_000 && printed.ends_with("… 99984 more]"), "{printed}");
}

proptest! {
    #[test]
    fn what_is_pushed_is_popped(
        a: i32, b: i64, c: f32, d: f64, text: String, bytes: Vec<u8>, place: String, value: i32
    ) {
        let reading = Reading { place, value };
        let mut message = Message::new();
        message.push_i32(a).push_i64(b).push_f32(c).push_f64(d);
        message.push_str(text.as_str()).push_bytes(bytes.clone()).push_record(&reading);
        // As it would travel.
        let mut message = Message::from(message.into_frames());
        prop_assert_eq!(message.pop_record::<Reading>().unwrap(), reading);
        prop_assert_eq!(message.pop_bytes().unwrap(), bytes);
        prop_assert_eq!(message.pop_string().unwrap(), text);
        prop_assert_eq!(message.pop_f64().unwrap().to_bits(), d.to_bits());
        prop_assert_eq!(message.pop_f32().unwrap().to_bits(), c.to_bits());
        prop_assert_eq!(message.pop_i64().unwrap(), b);
        prop_assert_eq!(message.pop_i32().unwrap(), a);
        prop_assert!(message.is_empty());
    }

    /// Whatever comes is a value or an error, and an error takes nothing.
    #[test]
    fn any_frame_is_a_value_or_an_error(frame: Vec<u8>) {
        fn check<T>(frame: &[u8], pop: impl FnOnce(&mut Message) -> Result<T, MessageError>) {
            let mut message = Message::from_frames([Bytes::copy_from_slice(frame)]);
            let popped = pop(&mut message).is_ok();
            assert_eq!(message.len(), usize::from(!popped));
            assert!(format!("{message:?}").len() < 200);
        }
        check(&frame, Message::pop_i32);
        check(&frame, Message::pop_i64);
        check(&frame, Message::pop_f32);
        check(&frame, Message::pop_f64);
        check(&frame, Message::pop_enum::<Light>);
        check(&frame, Message::pop_string);
        check(&frame, Message::pop_bytes);
        check(&frame, Message::pop_record::<Reading>);
        // A record takes what it itself wrote.
        let reading = Reading { place: String::from_utf8_lossy(&frame).into_owned(), value: 1 };
        let mut bytes = Vec::new();
        reading.encode_to(&mut bytes);
        check(&bytes, |message| message.pop_record::<Reading>());
    }
}
