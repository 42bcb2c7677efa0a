use super::*;

const ROOMY: Bounds = Bounds { events: 1_000, bytes: 1_000_000 };

fn event(level: Level, message: &str) -> Event {
    Event { level: level.into(), message: message.into(), ..Event::default() }
}

fn messages(batch: &[Event]) -> Vec<&str> {
    batch.iter().map(|event| event.message.as_str()).collect()
}

fn few(events: usize) -> Buffer {
    Buffer::new(Bounds { events, ..ROOMY })
}

#[test]
fn batches_are_in_order_and_count_until_they_are_settled() {
    let mut buffer = few(10);
    for (level, message) in
        [(Level::Info, "a"), (Level::Trace, "b"), (Level::Error, "c"), (Level::Info, "d")]
    {
        buffer.push(event(level, message));
    }
    assert_eq!(messages(&buffer.take(3, 1_000_000, 0)), ["a", "b", "c"]);
    assert_eq!((buffer.events(), buffer.waiting()), (4, 1));
    buffer.settle();
    assert_eq!((buffer.events(), buffer.waiting()), (1, 1));
    assert_eq!(messages(&buffer.take(3, 1, 0)), ["d"], "at least one, whatever its size");
    assert!(!buffer.has_waiting() && !buffer.is_empty());
    buffer.settle();
    assert!(buffer.is_empty() && buffer.bytes() == 0);
}

#[test]
fn the_lowest_and_oldest_go_first() {
    let mut buffer = few(3);
    for (level, message) in [
        (Level::Warn, "w"),
        (Level::Debug, "d1"),
        (Level::Debug, "d2"),
        (Level::Info, "i"),
        (Level::Error, "e1"),
        (Level::Error, "e2"),
        (Level::Error, "e3"),
        (Level::Trace, "t"),
    ] {
        buffer.push(event(level, message));
        assert!(buffer.events() <= 3);
    }
    let batch = buffer.take(10, 1_000_000, 7);
    let told = "5 events were dropped, as the buffer was full: WARN 1, INFO 1, DEBUG 2, TRACE 1";
    assert_eq!(messages(&batch), [told, "e1", "e2", "e3"]);
    assert_eq!((batch[0].dropped, batch[0].time, batch[0].level()), (5, 7, Level::Warn));
}

#[test]
fn bytes_are_bounded_too() {
    let one = size(&event(Level::Info, &"x".repeat(1_000)));
    let mut buffer = Buffer::new(Bounds { events: 1_000, bytes: 3 * one });
    for _ in 0..5 {
        buffer.push(event(Level::Info, &"x".repeat(1_000)));
        assert!(buffer.bytes() <= 3 * one);
    }
    assert_eq!((buffer.events(), buffer.untold()), (3, 2));
    buffer.push(event(Level::Error, &"x".repeat(4 * one)));
    assert_eq!((buffer.events(), buffer.untold()), (3, 3), "what cannot fit pushes nothing out");
}

#[test]
fn what_is_under_way_is_not_dropped() {
    let mut buffer = few(2);
    buffer.push(event(Level::Trace, "a"));
    assert_eq!(messages(&buffer.take(10, 1_000_000, 0)), ["a"]);
    buffer.push(event(Level::Info, "b"));
    buffer.push(event(Level::Info, "c"));
    buffer.settle();
    let told = "1 event was dropped, as the buffer was full: INFO 1";
    assert_eq!(messages(&buffer.take(10, 1_000_000, 0)), [told, "c"]);
}

#[test]
fn each_dropped_event_is_told_once_also_when_a_batch_is_refused() {
    let mut buffer = few(1);
    for message in ["a", "b", "c"] {
        buffer.push(event(Level::Info, message));
    }
    let batch = buffer.take(10, 1_000_000, 0);
    assert_eq!((batch[0].dropped, buffer.untold()), (2, 2));
    buffer.refuse(&batch);
    assert_eq!((buffer.events(), buffer.untold()), (0, 3));
    let batch = buffer.take(10, 1_000_000, 0);
    assert_eq!((batch.len(), batch[0].dropped), (1, 3));
    assert!(batch[0].message.contains("or the logger refused them: INFO 3"), "{:?}", batch[0]);
    buffer.settle();
    assert!(buffer.is_empty() && !buffer.has_waiting());
}

#[test]
fn a_mark_is_settled_when_all_before_it_is() {
    let mut buffer = few(2);
    assert!(buffer.is_settled(buffer.mark()));
    for message in ["a", "b", "c"] {
        buffer.push(event(Level::Info, message));
    }
    let mark = buffer.mark();
    buffer.push(event(Level::Info, "d"));
    assert!(!buffer.is_settled(mark));
    buffer.take(1, 1_000_000, 0);
    assert!(!buffer.is_settled(mark), "it is under way only");
    buffer.settle();
    assert!(buffer.is_settled(mark), "what came after it does not count");
    assert!(!buffer.is_settled(buffer.mark()));
}

#[test]
fn a_mark_is_not_settled_while_a_dropped_event_before_it_is_untold() {
    let mut buffer = few(1);
    buffer.push(event(Level::Info, "a"));
    let mark = buffer.mark();
    // What is dropped after the mark, and was logged before it.
    let batch = buffer.take(10, 1_000_000, 0);
    buffer.refuse(&batch);
    assert!(!buffer.is_settled(mark));
    let batch = buffer.take(10, 1_000_000, 0);
    assert_eq!(batch[0].dropped, 1);
    assert!(!buffer.is_settled(mark), "it is under way only");
    buffer.push(event(Level::Info, "b"));
    buffer.push(event(Level::Info, "c"));
    buffer.settle();
    assert!(buffer.is_settled(mark), "what was dropped after it does not count");
    assert!(!buffer.is_settled(buffer.mark()));
}
