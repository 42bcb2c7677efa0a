//! Records beside the `protobuf` package for Python, which shares no code with prost.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use mdp_runtime::codegen::SchemaBuilder;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use prost::Message;
use test_records::records as r;

use crate::random;

const RECORDS: usize = 1_000;

/// One that `python.py` knows by heart.
fn known_by_heart() -> r::Everything {
    r::Everything {
        scalars: Some(r::Scalars {
            flag: true,
            sint32: -7,
            fixed64: u64::MAX,
            double: -0.0,
            string: "é".to_owned(),
            bytes: vec![0, 255],
            ..r::Scalars::default()
        }),
        options: Some(r::Options { uint32: Some(0), ..r::Options::default() }),
        lists: Some(r::Lists {
            color: vec![r::Color::Red, r::Color::Money],
            one_by_one: vec![1, 2],
            ..r::Lists::default()
        }),
        maps: Some(r::Maps {
            uint64: [(0, r::Point { x: 0, y: -1 })].into(),
            hashed: [(String::new(), -1)].into(),
            ..r::Maps::default()
        }),
        choices: Some(r::Choices {
            contact: Some(r::Contact::Extension(-1)),
            speed: Some(r::Speed::Slow(0.0)),
            ..r::Choices::default()
        }),
        defaults: Some(r::Defaults { seconds: 0, ..r::Defaults::default() }),
        ..r::Everything::default()
    }
}

/// Python gets the schema and the records, reads them, and writes what it read.
#[test]
#[ignore = "needs Python with the package protobuf; .ci/python has it"]
fn python_reads_records_and_writes_them() {
    let mut runner = TestRunner::deterministic();
    let strategy = random::everything();
    let some = std::iter::repeat_with(|| strategy.new_tree(&mut runner).unwrap().current());
    let records: Vec<_> = std::iter::once(known_by_heart()).chain(some.take(RECORDS)).collect();

    let schema = SchemaBuilder::of::<r::Everything>("shapes.v1").to_bytes();
    let mut input = Vec::new();
    for message in std::iter::once(schema).chain(records.iter().map(Message::encode_to_vec)) {
        input.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        input.extend(message);
    }
    let output = python(input);
    let mut rest = output.as_slice();
    for record in &records {
        let (len, behind) = rest.split_at(4);
        let len = u32::from_be_bytes(len.try_into().unwrap()) as usize;
        let (message, behind) = behind.split_at(len);
        assert_eq!(r::Everything::decode(message).as_ref(), Ok(record));
        rest = behind;
    }
    assert!(rest.is_empty(), "Python wrote {} bytes too much", rest.len());
}

fn python(input: Vec<u8>) -> Vec<u8> {
    let program = std::env::var_os("MDP_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/python.py");
    let mut child = Command::new(program)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Python answers while it reads.
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "python.py ended with {}", output.status);
    writer.join().unwrap().unwrap();
    output.stdout
}
