use std::sync::Barrier;
use std::thread;

use super::*;
use crate::pb::{self, Level};

fn store(folder: &tempfile::TempDir, keep: u64) -> Store {
    Store::open(folder.path().join("log.db"), keep).unwrap()
}

fn source(id: &str) -> Source {
    Source { id: id.into(), name: "shop".into(), process: 42 }
}

fn events(messages: &[&str]) -> Vec<Event> {
    let field = |value: &str| Field { name: "text\0\n".into(), value: value.into() };
    messages
        .iter()
        .map(|message| Event {
            time: 7,
            level: Level::Info.into(),
            target: "shop".into(),
            message: (*message).into(),
            fields: vec![field("\0 nul"), field("\u{202e}")],
            spans: vec![Span { name: "request".into(), fields: vec![field("é")] }],
            dropped: 3,
        })
        .collect()
}

fn is_out_of_step(written: Result<usize, StoreError>, number: u64) -> bool {
    matches!(written, Err(StoreError::OutOfStep { sequence }) if sequence == number)
}

fn all() -> Filter {
    Filter::new(pb::Filter::default()).unwrap()
}

fn with_text(text: &str) -> Filter {
    Filter::new(pb::Filter { text: text.into(), ..Default::default() }).unwrap()
}

fn messages(page: &Page) -> Vec<&str> {
    page.records.iter().map(|record| record.event.as_ref().unwrap().message.as_str()).collect()
}

#[test]
fn a_batch_is_stored_once_and_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, 100);
    let batch = events(&["a", "b"]);
    assert_eq!(store.write(&source("x"), None, 1, &batch, 0).unwrap(), 2);
    assert_eq!(store.write(&source("x"), None, 1, &batch, 0).unwrap(), 0);
    assert_eq!(store.write(&source("x"), None, 2, &events(&["c"]), 0).unwrap(), 1);
    // Late, from a broker that held it: nobody waits for what is said.
    assert!(is_out_of_step(store.write(&source("x"), None, 1, &batch, 0), 1));
    assert_eq!(store.write(&source("y"), None, 1, &events(&["d"]), 0).unwrap(), 1);
    let page = store.after(0, &all(), 100).unwrap();
    assert_eq!(messages(&page), ["a", "b", "c", "d"]);
    assert_eq!((page.cursor, page.more), (4, false));
    let first = page.records.first().unwrap();
    assert_eq!((first.id, first.sequence), (1, 1));
    assert_eq!(
        (first.source.as_ref().unwrap(), first.event.as_ref().unwrap()),
        (&source("x"), &batch[0])
    );
}

#[test]
fn workers_that_write_the_same_batch_at_once_store_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let gate = Barrier::new(6);
    let stored: usize = thread::scope(|scope| {
        let write = || {
            gate.wait();
            let store = Store::open(&path, 1_000).unwrap();
            (1..=20)
                // Beside the first it is out of step.
                .map(|number| {
                    store.write(&source("x"), None, number, &events(&["a"]), 0).unwrap_or(0)
                })
                .sum::<usize>()
        };
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(write)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let kept = store(&folder, 1_000).after(0, &all(), 1_000).unwrap().records.len();
    assert_eq!(stored, kept);
    let mut numbers: Vec<u64> = store(&folder, 1_000)
        .after(0, &all(), 1_000)
        .unwrap()
        .records
        .iter()
        .map(|record| record.sequence)
        .collect();
    numbers.dedup();
    assert_eq!(numbers.len(), kept, "no batch is there twice");
}

#[test]
fn pages_go_on_at_their_cursors() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, 10_000);
    let batch: Vec<String> = (0..1_000).map(|number| format!("number {number}")).collect();
    let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
    for sequence in 1..=3 {
        store.write(&source("x"), None, sequence, &events(&batch), 0).unwrap();
    }
    let page = store.after(10, &all(), 2).unwrap();
    assert_eq!(
        (messages(&page), page.cursor, page.more),
        (vec!["number 10", "number 11"], 12, true)
    );
    // Two thousand are looked at, and the cursor says so, though nothing is let through.
    let none = store.after(0, &with_text("nothing like it"), 10).unwrap();
    assert_eq!((none.records.len(), none.cursor, none.more), (0, 2_000, true));
    let rest = store.after(none.cursor, &with_text("nothing like it"), 10).unwrap();
    assert_eq!((rest.cursor, rest.more), (3_000, false));

    let past = store.before(u64::MAX, &with_text("number 99"), 12).unwrap();
    assert_eq!((past.records.len(), past.more), (12, true));
    assert_eq!(messages(&past).last(), Some(&"number 999"));
    let rest = store.before(past.cursor, &with_text("number 99"), 100).unwrap();
    assert_eq!((rest.records.len(), rest.more), (21, false));
    assert_eq!(store.newest().unwrap(), 3_000);
}

#[test]
fn the_oldest_go_and_their_batches_are_not_stored_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, 3);
    for sequence in 1..=4 {
        store.write(&source("x"), None, sequence, &events(&["a", "b"]), 0).unwrap();
    }
    let page = store.after(0, &all(), 100).unwrap();
    assert_eq!(page.records.iter().map(|record| record.id).collect::<Vec<_>>(), [6, 7, 8]);
    assert_eq!(store.write(&source("x"), None, 4, &events(&["a", "b"]), 0).unwrap(), 0);
    // A source whose events are gone is forgotten after a week, when another one comes.
    store.write(&source("y"), None, 1, &events(&["c", "c", "c"]), REMEMBER).unwrap();
    store.write(&source("z"), None, 1, &events(&["d"]), REMEMBER + 1).unwrap();
    let known = |store: &Store| -> u32 {
        lock(&store.reader).query_row("SELECT COUNT(*) FROM sources", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(known(&store), 2);
}

/// A45: whoever knows a source's id cannot make its later batches count as stored.
#[test]
fn a45_a_jump_of_numbers_takes_no_batch_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, 100);
    assert_eq!(store.write(&source("x"), None, 1, &events(&["a"]), 0).unwrap(), 1);
    for jump in [3, 1_000, (1 << 63) - 1] {
        assert!(is_out_of_step(store.write(&source("x"), None, jump, &events(&["!"]), 0), jump));
    }
    assert_eq!(store.write(&source("x"), None, 2, &events(&["b"]), 0).unwrap(), 1);
    // A source that is new begins with its first batch.
    assert!(is_out_of_step(
        store.write(&source("y"), None, (1 << 63) - 1, &events(&["!"]), 0),
        (1 << 63) - 1
    ));
    assert_eq!(store.write(&source("y"), None, 1, &events(&["c"]), 0).unwrap(), 1);
    // Another batch under the number that comes next: that of the source is not taken for it.
    assert_eq!(store.write(&source("x"), None, 3, &events(&["!"]), 0).unwrap(), 1);
    assert!(is_out_of_step(store.write(&source("x"), None, 3, &events(&["d"]), 0), 3));
    assert_eq!(messages(&store.after(0, &all(), 100).unwrap()), ["a", "b", "c", "!"]);
}

#[test]
fn a45_a_source_is_the_principals_who_used_it_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, 100);
    let write = |id, owner, number| store.write(&source(id), owner, number, &events(&["a"]), 0);
    assert_eq!(write("x", Some("ann"), 1).unwrap(), 1);
    for other in [Some("ben"), None] {
        for number in [1, 2, (1 << 63) - 1] {
            assert!(matches!(write("x", other, number), Err(StoreError::NotYours)));
        }
    }
    assert_eq!(write("x", Some("ann"), 2).unwrap(), 1);
    // Those without a principal have their sources together, and nobody else's.
    assert_eq!(write("y", None, 1).unwrap(), 1);
    assert!(matches!(write("y", Some("ann"), 2), Err(StoreError::NotYours)));
}

#[test]
fn a_database_of_before_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let old = Connection::open(folder.path().join("log.db")).unwrap();
    old.execute_batch(&SCHEMA.replace(", owner TEXT, digest INTEGER", "")).unwrap();
    old.execute("INSERT INTO sources VALUES (1, 'x', 'shop', 42, 7, 0)", ()).unwrap();
    drop(old);
    let store = store(&folder, 100);
    let write = |owner, number| store.write(&source("x"), owner, number, &events(&["a"]), 0);
    assert_eq!(write(Some("ann"), 7).unwrap(), 0);
    assert_eq!(write(Some("ann"), 8).unwrap(), 1);
    assert!(matches!(write(Some("ben"), 9), Err(StoreError::NotYours)));
}

#[test]
fn others_may_not_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    store(&folder, 10).write(&source("x"), None, 1, &events(&["a"]), 0).unwrap();
    for file in ["log.db", "log.db-wal"] {
        if let Ok(known) = std::fs::metadata(folder.path().join(file)) {
            assert_eq!(known.permissions().mode() & 0o77, 0, "{file}");
        }
    }
    let other = folder.path().join("other");
    std::fs::write(&other, "no database, but something else".repeat(100)).unwrap();
    assert!(matches!(Store::open(other, 10), Err(StoreError::Database(_))));
}
