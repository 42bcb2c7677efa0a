//! A message of any frames: what is taken from it is what was put there, and a failed pop changes nothing.
#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mdp_runtime::Message;
use mdp_runtime::codegen::prost_types::Timestamp;

#[derive(Arbitrary, Debug)]
enum Step {
    PushInt(i32),
    PushFloat(f32),
    PushDouble(f64),
    PushText(String),
    PushBytes(Vec<u8>),
    PushRecord(i64, i32),
    PopInt,
    PopFloat,
    PopDouble,
    PopText,
    PopBytes,
    PopRecord,
    PopEnum,
}

struct UpTo9;

impl TryFrom<i32> for UpTo9 {
    type Error = ();
    fn try_from(number: i32) -> Result<Self, ()> {
        (0..=9).contains(&number).then_some(UpTo9).ok_or(())
    }
}

fuzz_target!(|input: (Vec<Vec<u8>>, Vec<Step>)| {
    let (frames, steps) = input;
    let frames: Vec<Bytes> = frames.into_iter().map(Bytes::from).collect();
    let mut message = Message::from_frames(frames.clone());
    assert_eq!(message.clone().into_frames(), frames);
    for step in steps {
        let before = message.clone().into_frames();
        let popped = match step {
            Step::PushInt(value) => {
                assert_eq!(message.push_i32(value).peek_i32().unwrap(), value);
                continue;
            }
            Step::PushFloat(value) => {
                let peeked = message.push_f32(value).peek_f32().unwrap();
                assert_eq!(peeked.to_bits(), value.to_bits());
                continue;
            }
            Step::PushDouble(value) => {
                let peeked = message.push_f64(value).peek_f64().unwrap();
                assert_eq!(peeked.to_bits(), value.to_bits());
                continue;
            }
            Step::PushText(text) => {
                assert_eq!(message.push_str(text.clone()).peek_str().unwrap(), text);
                continue;
            }
            Step::PushBytes(bytes) => {
                assert_eq!(message.push_bytes(bytes.clone()).peek_bytes().unwrap(), &bytes);
                continue;
            }
            Step::PushRecord(seconds, nanos) => {
                let record = Timestamp { seconds, nanos };
                assert_eq!(message.push_record(&record).peek_record::<Timestamp>().unwrap(), record);
                continue;
            }
            Step::PopInt => message.pop_i32().is_ok(),
            Step::PopFloat => message.pop_f32().is_ok(),
            Step::PopDouble => message.pop_f64().is_ok(),
            Step::PopText => message.pop_string().is_ok(),
            Step::PopBytes => message.pop_bytes().is_ok(),
            Step::PopRecord => message.pop_record::<Timestamp>().is_ok(),
            Step::PopEnum => message.pop_enum::<UpTo9>().is_ok(),
        };
        let after = message.clone().into_frames();
        assert_eq!(after, if popped { &before[1..] } else { &before[..] });
    }
});
