//! Tests with an output that blocks, fails, or accepts parts of lines.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

const LONG: Duration = Duration::from_secs(60);

/// Answers each write as the test says, in order, and keeps the written bytes.
struct Script {
    turns: Receiver<io::Result<usize>>,
    kept: Arc<Mutex<Vec<u8>>>,
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Ok(turn) = self.turns.recv() else {
            loop {
                thread::park()
            }
        };
        let taken = turn?.min(bytes.len());
        self.kept.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Turns = Sender<io::Result<usize>>;

fn lines(lines: usize, bytes: usize) -> (Lines, Turns, Arc<Mutex<Vec<u8>>>) {
    let (turns, script) = channel();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let out = Script { turns: script, kept: Arc::clone(&kept) };
    let report = |missing| format!("{missing} are missing\n").into_bytes();
    (Lines::start("test", Bounds { lines, bytes }, out, report).unwrap(), turns, kept)
}

fn text(kept: &Mutex<Vec<u8>>) -> String {
    String::from_utf8(kept.lock().unwrap().clone()).unwrap()
}

/// Waits until the thread has taken the first line and blocks.
fn stands(lines: &Lines) {
    while !lines.0.lock().busy {
        thread::yield_now();
    }
}

const ALL: usize = usize::MAX;

#[test]
fn nobody_waits_for_an_output_that_stands_still() {
    let (lines, turns, kept) = lines(2, 1_000);
    lines.say(b"one\n");
    stands(&lines);
    for line in ["two\n", "three\n", "four\n", "five\n"] {
        lines.say(line.as_bytes());
    }
    assert_eq!(lines.dropped(), 2);
    assert!(!lines.flush(Duration::from_millis(10)), "it does not wait for ever");
    for _ in 0..4 {
        turns.send(Ok(ALL)).unwrap();
    }
    assert!(lines.flush(LONG));
    lines.say(b"six\n");
    turns.send(Ok(ALL)).unwrap();
    assert!(lines.flush(LONG));
    assert_eq!(text(&kept), "one\ntwo\nthree\n2 are missing\nsix\n");
    assert_eq!(lines.dropped(), 2);
}

#[test]
fn bytes_are_bounded_too() {
    let (lines, turns, kept) = lines(1_000, 10);
    lines.say(b"123456\n");
    stands(&lines);
    lines.say(b"789\n");
    assert_eq!(lines.dropped(), 1, "what is being written counts");
    lines.say(b"78\n");
    assert_eq!(lines.dropped(), 1);
    for _ in 0..3 {
        turns.send(Ok(ALL)).unwrap();
    }
    assert!(lines.flush(LONG));
    lines.say(b"123456789\n");
    turns.send(Ok(ALL)).unwrap();
    assert!(lines.flush(LONG));
    assert_eq!(text(&kept), "123456\n1 are missing\n78\n123456789\n");
}

#[test]
fn an_output_that_fails_is_tried_again_with_each_line() {
    let (lines, turns, kept) = lines(1_000, 1_000);
    let full = || Err(io::Error::from(ErrorKind::StorageFull));
    // The second line is cut off. The fourth line fails at the report before it.
    for turn in [Ok(ALL), Ok(2), full(), full(), full()] {
        turns.send(turn).unwrap();
    }
    for line in ["one\n", "two\n", "three\n", "four\n"] {
        lines.say(line.as_bytes());
    }
    assert!(lines.flush(LONG));
    assert_eq!(lines.dropped(), 3);
    for turn in [Ok(ALL), Ok(3), Err(ErrorKind::Interrupted.into()), Ok(ALL), Ok(ALL)] {
        turns.send(turn).unwrap();
    }
    lines.say(b"five\n");
    assert!(lines.flush(LONG));
    assert_eq!(text(&kept), "one\ntw\n3 are missing\nfive\n");
    assert_eq!(lines.dropped(), 3);
}

/// An output that panics, which an output should never do.
struct Faulty(Arc<Mutex<Vec<u8>>>);

impl Write for Faulty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(!bytes.starts_with(b"mine"), "a mine");
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_panic_costs_its_line_and_not_those_that_follow() {
    let kept = Arc::default();
    let report = |missing| format!("{missing} are missing\n").into_bytes();
    let out = Faulty(Arc::clone(&kept));
    let lines = Lines::start("test", Bounds::DEFAULT, out, report).unwrap();
    for line in ["one\n", "mine\n", "two\n"] {
        lines.say(line.as_bytes());
    }
    assert!(lines.flush(LONG));
    assert_eq!(lines.dropped(), 1);
    assert_eq!(text(&kept), "one\n\n1 are missing\ntwo\n");
}
