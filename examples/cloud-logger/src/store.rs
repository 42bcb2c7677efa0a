//! The events, in one SQLite file that any number of logger workers share.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, TransactionBehavior};

use crate::buffer::size;
use crate::filter::Filter;
use crate::pb::{Event, Field, Record, Source, Span};

/// How long a worker waits while another one writes. Less than a call has.
const BUSY: Duration = Duration::from_secs(4);
/// How many events are looked at in one go, to have a bound on what a filter costs that lets little through.
const LOOK: u32 = 2_000;
/// How many are looked at for a page of the past.
const LOOK_BACK: u64 = 100_000;
/// The bytes after which a page of the past is full: with the event that fills it, it fits into a frame of the broker's.
const PAGE_BYTES: usize = 1024 * 1024;
/// For how long a source without events is remembered, in seconds: a batch of its may be sent again until then.
const REMEMBER: u64 = 7 * 24 * 60 * 60;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS sources (
        key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, process INTEGER NOT NULL,
        last INTEGER NOT NULL, seen INTEGER NOT NULL, owner TEXT, digest INTEGER
    );
    CREATE TABLE IF NOT EXISTS events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, source INTEGER NOT NULL REFERENCES sources (key),
        sequence INTEGER NOT NULL, place INTEGER NOT NULL,
        time INTEGER NOT NULL, level INTEGER NOT NULL, target TEXT NOT NULL, message TEXT NOT NULL,
        fields TEXT NOT NULL, spans TEXT NOT NULL, dropped INTEGER NOT NULL,
        UNIQUE (source, sequence, place)
    );
";
/// What databases of before lack: who may write for a source, and what its last batch was.
const ADDED: [&str; 2] = ["owner TEXT", "digest INTEGER"];
const COLUMNS: &str = "events.id, sources.id, sources.name, sources.process, sequence, time, level, target, message, \
    fields, spans, dropped FROM events JOIN sources ON sources.key = events.source";

/// Why the database has no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be made.
    #[error("the log's file cannot be made: {0}")]
    File(#[from] io::Error),
    /// What SQLite says.
    #[error("the log's database: {0}")]
    Database(#[from] rusqlite::Error),
    /// Fields or spans are not what this program writes.
    #[error("the log's database has an event that this program did not write: {0}")]
    Form(#[from] serde_json::Error),
    /// A batch is neither the source's next one nor its last one again.
    #[error("batch {sequence} is not the next one of its source, nor the last one again")]
    OutOfStep {
        /// The number of the batch.
        sequence: u64,
    },
    /// Somebody else writes for the source.
    #[error("the source is somebody else's")]
    NotYours,
}

/// Some of the events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// In the order in which they were stored.
    pub records: Vec<Record>,
    /// Up to here, or down to here, all events have been looked at.
    pub cursor: u64,
    /// Whether there may be more behind the cursor.
    pub more: bool,
}

/// The database, as one worker has it.
pub struct Store {
    writer: Mutex<Connection>,
    /// So that viewers never wait for writers, nor the other way round.
    reader: Mutex<Connection>,
    keep: u64,
}

impl Store {
    /// Opens the file, and makes it if there is none. Logs are nobody else's business, so others on the machine may not read
    /// it. Of all events the newest `keep` are kept.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is no such database.
    pub fn open(path: impl AsRef<Path>, keep: u64) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path)?;
        let mut writer = connect(&path)?;
        let change = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute_batch(SCHEMA)?;
        add_columns(&change)?;
        change.commit()?;
        Ok(Store { writer: Mutex::new(writer), reader: Mutex::new(connect(&path)?), keep })
    }

    /// Stores a batch, unless it is there: a source numbers its batches from 1 and sends one after another, so it is the next
    /// one, or the last one again. Gives the number of events that were stored. When this returns they are on the disk. The
    /// source is its `owner`'s from its first batch on: that of a principal, or of those who have none.
    ///
    /// # Errors
    ///
    /// The batch is another one, the source is another owner's, or the database has failed; nothing is stored.
    pub fn write(
        &self,
        source: &Source,
        owner: Option<&str>,
        sequence: u64,
        events: &[Event],
        now: u64,
    ) -> Result<usize, StoreError> {
        let mut writer = lock(&self.writer);
        let change = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let batch = Batch { owner, sequence, digest: digest(events)?, now };
        let Some(key) = begin_batch(&change, source, &batch)? else { return Ok(0) };
        let mut insert = change.prepare(
            "INSERT INTO events (source, sequence, place, time, level, target, message, fields, spans, dropped)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        for (place, event) in events.iter().enumerate() {
            let (fields, spans) = (fields_out(&event.fields)?, spans_out(&event.spans)?);
            insert.execute(rusqlite::params![
                key,
                signed(sequence),
                signed(place as u64),
                signed(event.time),
                event.level,
                event.target,
                event.message,
                fields,
                spans,
                signed(event.dropped),
            ])?;
        }
        drop(insert);
        let newest = change.last_insert_rowid();
        if !events.is_empty() {
            let over = newest.saturating_sub(signed(self.keep));
            change.prepare("DELETE FROM events WHERE id <= ?1")?.execute([over])?;
        }
        change.commit()?;
        Ok(events.len())
    }

    /// Events behind a record that a filter lets through, up to `limit`, the oldest first. It looks at 2,000 at the most.
    ///
    /// # Errors
    ///
    /// The database has failed.
    pub fn after(&self, cursor: u64, filter: &Filter, limit: usize) -> Result<Page, StoreError> {
        let reader = lock(&self.reader);
        let query =
            format!("SELECT {COLUMNS} WHERE events.id > ?1 ORDER BY events.id LIMIT {LOOK}");
        let mut query = reader.prepare(&query)?;
        let mut rows = query.query([signed(cursor)])?;
        let mut page = Page { cursor, ..Page::default() };
        let mut looked = 0;
        while let Some(row) = rows.next()? {
            page.cursor = unsigned(row.get(0)?);
            looked += 1;
            page.records.extend(record(row, filter)?);
            page.more = looked == LOOK || page.records.len() >= limit;
            if page.more {
                break;
            }
        }
        Ok(page)
    }

    /// Events before a record, up to `limit`, of those the newest. It looks at 100,000 at the
    /// most, and gives about 1 MiB; then there may be more.
    ///
    /// # Errors
    ///
    /// The database has failed.
    pub fn before(&self, before: u64, filter: &Filter, limit: usize) -> Result<Page, StoreError> {
        let reader = lock(&self.reader);
        let query = format!(
            "SELECT {COLUMNS} WHERE events.id < ?1 AND level >= ?2 ORDER BY events.id DESC"
        );
        let mut query = reader.prepare(&query)?;
        let mut rows = query.query((signed(before), filter.level()))?;
        let mut page = Page { cursor: before, ..Page::default() };
        let (mut looked, mut bytes) = (0, 0);
        while let Some(row) = rows.next()? {
            if page.records.len() >= limit || looked >= LOOK_BACK || bytes >= PAGE_BYTES {
                page.more = true;
                break;
            }
            page.cursor = unsigned(row.get(0)?);
            looked += 1;
            if let Some(record) = record(row, filter)? {
                bytes += record.event.as_ref().map_or(0, size);
                page.records.push(record);
            }
        }
        page.records.reverse();
        Ok(page)
    }

    /// The newest record; 0 before the first.
    ///
    /// # Errors
    ///
    /// The database has failed.
    pub fn newest(&self) -> Result<u64, StoreError> {
        let query = "SELECT COALESCE(MAX(id), 0) FROM events";
        Ok(unsigned(lock(&self.reader).query_row(query, [], |row| row.get(0))?))
    }
}

/// A batch but for its events.
struct Batch<'a> {
    owner: Option<&'a str>,
    sequence: u64,
    digest: i64,
    now: u64,
}

/// Notes that a batch of a source comes, and gives the source's key. `None`: the batch is there.
fn begin_batch(
    change: &Transaction<'_>,
    source: &Source,
    batch: &Batch<'_>,
) -> Result<Option<i64>, StoreError> {
    let (sequence, now) = (signed(batch.sequence), signed(batch.now));
    // Nobody's name is empty.
    let owner = batch.owner.unwrap_or_default();
    let query = "SELECT key, last, owner, digest FROM sources WHERE id = ?1";
    let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let found: Option<(i64, i64, Option<String>, Option<i64>)> =
        change.query_row(query, [&source.id], row).optional()?;
    let out_of_step = StoreError::OutOfStep { sequence: batch.sequence };
    let Some((key, last, known, digest)) = found else {
        if sequence != 1 {
            return Err(out_of_step);
        }
        let forget = "DELETE FROM sources WHERE seen < ?1
            AND NOT EXISTS (SELECT 1 FROM events WHERE events.source = sources.key)";
        change.execute(forget, [now.saturating_sub(signed(REMEMBER))])?;
        let insert = "INSERT INTO sources (id, name, process, last, seen, owner, digest)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let Source { id, name, process } = source;
        change.execute(insert, (id, name, process, sequence, now, owner, batch.digest))?;
        return Ok(Some(change.last_insert_rowid()));
    };
    if known.is_some_and(|known| known != owner) {
        return Err(StoreError::NotYours);
    }
    if sequence == last && digest.is_none_or(|digest| digest == batch.digest) {
        return Ok(None);
    }
    if last.checked_add(1) != Some(sequence) {
        return Err(out_of_step);
    }
    let next = "UPDATE sources SET last = ?2, seen = ?3, owner = ?4, digest = ?5 WHERE key = ?1";
    change.execute(next, (key, sequence, now, owner, batch.digest))?;
    Ok(Some(key))
}

/// What tells a batch from another one with its number: FNV-1a, which is the same in all workers of one database.
fn digest(events: &[Event]) -> serde_json::Result<i64> {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for event in events {
        add(&event.time.to_le_bytes());
        add(&event.level.to_le_bytes());
        add(event.target.as_bytes());
        add(event.message.as_bytes());
        add(fields_out(&event.fields)?.as_bytes());
        add(spans_out(&event.spans)?.as_bytes());
        add(&event.dropped.to_le_bytes());
    }
    Ok(i64::from_le_bytes(hash.to_le_bytes()))
}

fn add_columns(change: &Transaction<'_>) -> rusqlite::Result<()> {
    for column in ADDED {
        let name = column.split(' ').next().unwrap_or_default();
        let query = "SELECT COUNT(*) FROM pragma_table_info('sources') WHERE name = ?1";
        let is_there: i64 = change.query_row(query, [name], |row| row.get(0))?;
        if is_there == 0 {
            change.execute(&format!("ALTER TABLE sources ADD COLUMN {column}"), ())?;
        }
    }
    Ok(())
}

/// The record of a row, if the filter lets it through.
fn record(row: &Row<'_>, filter: &Filter) -> Result<Option<Record>, StoreError> {
    let level = row.get(6)?;
    if level < filter.level() {
        return Ok(None);
    }
    let event = Event {
        time: unsigned(row.get(5)?),
        level,
        target: row.get(7)?,
        message: row.get(8)?,
        fields: fields_in(serde_json::from_str(&row.get::<_, String>(9)?)?),
        spans: spans_in(serde_json::from_str(&row.get::<_, String>(10)?)?),
        dropped: unsigned(row.get(11)?),
    };
    if !filter.matches(&event) {
        return Ok(None);
    }
    let source = Source { id: row.get(1)?, name: row.get(2)?, process: row.get(3)? };
    Ok(Some(Record {
        id: unsigned(row.get(0)?),
        source: Some(source),
        sequence: unsigned(row.get(4)?),
        event: Some(event),
    }))
}

type Pairs = Vec<(String, String)>;

fn fields_out(fields: &[Field]) -> serde_json::Result<String> {
    let pairs: Vec<_> = fields.iter().map(|field| (&field.name, &field.value)).collect();
    serde_json::to_string(&pairs)
}

fn fields_in(pairs: Pairs) -> Vec<Field> {
    pairs.into_iter().map(|(name, value)| Field { name, value }).collect()
}

fn spans_out(spans: &[Span]) -> serde_json::Result<String> {
    let pairs = |fields: &[Field]| -> Pairs {
        fields.iter().map(|field| (field.name.clone(), field.value.clone())).collect()
    };
    let spans: Vec<_> = spans.iter().map(|span| (&span.name, pairs(&span.fields))).collect();
    serde_json::to_string(&spans)
}

fn spans_in(spans: Vec<(String, Pairs)>) -> Vec<Span> {
    spans.into_iter().map(|(name, fields)| Span { name, fields: fields_in(fields) }).collect()
}

fn connect(path: impl AsRef<Path>) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    write_ahead(&connection)?;
    // A batch that is acknowledged outlives a loss of power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// Readers and a writer do not wait for each other then. It is a property of the file, and stays. When several workers
/// open a new file at once, SQLite refuses some of them without waiting, so they ask again.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && begun.elapsed() < BUSY =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A transaction that a panic has left was rolled back when it was dropped.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SQLite's integers have a sign.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("keep", &self.keep).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
