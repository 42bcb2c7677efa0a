//! Users, their rights and what was tried of late, in one SQLite file that any number of Auth workers share.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, TransactionBehavior};

/// How long a worker waits while another one writes. Less than a call has.
const BUSY: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, hash TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS rights (
        user TEXT NOT NULL REFERENCES users (name), name TEXT NOT NULL, PRIMARY KEY (user, name)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS tries (
        device TEXT NOT NULL, user TEXT NOT NULL, count INTEGER NOT NULL, since INTEGER NOT NULL,
        PRIMARY KEY (device, user)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS tries_by_age ON tries (since);
";

/// Why the database has no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be made.
    #[error("the database's file cannot be made: {0}")]
    File(#[from] io::Error),
    /// What SQLite says.
    #[error("the database: {0}")]
    Database(#[from] rusqlite::Error),
}

/// The database, as one worker has it.
pub struct Store {
    // One connection: what takes long in a worker is its hashing, which needs none.
    connection: Mutex<Connection>,
}

/// A user as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The hash of the password.
    pub hash: String,
    /// The rights, by name.
    pub rights: Vec<String>,
}

/// All devices together, or all users: neither has such a name.
pub const ALL: &str = " ";

/// A key under which something is counted, and how often it may be done within a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound<'a> {
    /// The device, or [`ALL`].
    pub device: &'a str,
    /// The user, or [`ALL`], or what else is counted.
    pub user: &'a str,
    /// How often.
    pub max: u32,
}

/// What was done of late under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// How many.
    pub count: u32,
    /// Since when, in seconds since 1970.
    pub since: u64,
}

impl Store {
    /// Opens the file, and makes it if there is none. Its hashes are nobody else's business, so others on the machine may
    /// not read it.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is no such database.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path)?;
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        write_ahead(&connection)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute_batch(SCHEMA)?;
        change.commit()?;
        Ok(Store { connection: Mutex::new(connection) })
    }

    /// Adds a user. `false`: the name is taken.
    ///
    /// # Errors
    ///
    /// The database has failed.
    pub fn add(&self, name: &str, hash: &str, rights: &[&str]) -> Result<bool, StoreError> {
        let mut connection = self.lock();
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let insert = "INSERT INTO users (name, hash) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        if change.execute(insert, (name, hash))? == 0 {
            return Ok(false);
        }
        for right in rights {
            change.execute("INSERT INTO rights (user, name) VALUES (?1, ?2)", (name, right))?;
        }
        change.commit()?;
        Ok(true)
    }

    /// A user.
    ///
    /// # Errors
    ///
    /// The database has failed.
    pub fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        let connection = self.lock();
        let query = "SELECT hash FROM users WHERE name = ?1";
        let hash = connection.query_row(query, [name], |row| row.get(0)).optional()?;
        let Some(hash) = hash else { return Ok(None) };
        let mut query = connection.prepare("SELECT name FROM rights WHERE user = ?1")?;
        let rights = query.query_map([name], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(Some(User { hash, rights }))
    }

    /// Gives a user another password, by its hash. `false`: there is no such user.
    ///
    /// # Errors
    ///
    /// The database has failed.
    pub fn set_hash(&self, name: &str, hash: &str) -> Result<bool, StoreError> {
        let update = "UPDATE users SET hash = ?2 WHERE name = ?1";
        Ok(self.lock().execute(update, (name, hash))? > 0)
    }

    /// Gives a user a right. `false`: there is no such user.
    ///
    /// # Errors
    ///
    /// The database has failed.
    pub fn grant(&self, name: &str, right: &str) -> Result<bool, StoreError> {
        let insert = "INSERT INTO rights (user, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        match self.lock().execute(insert, (name, right)) {
            Ok(_) => Ok(true),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Counts something once under each of these keys, unless it was done as often as it may be under one of them. Then
    /// nothing is counted, and the key that is full is told. Counts are forgotten a `window` after their first one, so the
    /// table is as long as what was counted within one.
    ///
    /// # Errors
    ///
    /// The database has failed.
    pub fn count(
        &self,
        bounds: &[Bound<'_>],
        now: u64,
        window: Duration,
    ) -> Result<Result<(), Tries>, StoreError> {
        let mut connection = self.lock();
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (now, window) = (stored(now), stored(window.as_secs()));
        change.execute("DELETE FROM tries WHERE since <= ?1", [now.saturating_sub(window)])?;
        let count = "INSERT INTO tries (device, user, count, since) VALUES (?1, ?2, 1, ?3)
            ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count, since";
        for bound in bounds {
            let tries = change.query_row(count, (bound.device, bound.user, now), tries)?;
            if tries.count > bound.max {
                // The change is dropped, and with it what was counted before.
                return Ok(Err(tries));
            }
        }
        change.commit()?;
        Ok(Ok(()))
    }

    /// Whether something was done as often as it may be within the last `window`: what was counted under the key that is full.
    ///
    /// # Errors
    ///
    /// The database has failed.
    pub fn full(
        &self,
        bounds: &[Bound<'_>],
        now: u64,
        window: Duration,
    ) -> Result<Option<Tries>, StoreError> {
        let over = stored(now).saturating_sub(stored(window.as_secs()));
        let query = "SELECT count, since FROM tries WHERE device = ?1 AND user = ?2 AND since > ?3";
        let connection = self.lock();
        for bound in bounds {
            let found =
                connection.query_row(query, (bound.device, bound.user, over), tries).optional()?;
            if let Some(found) = found.filter(|found| found.count >= bound.max) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Forgets what was counted for a user from a device.
    ///
    /// # Errors
    ///
    /// The database has failed.
    pub fn forget(&self, device: &str, user: &str) -> Result<(), StoreError> {
        let delete = "DELETE FROM tries WHERE device = ?1 AND user = ?2";
        self.lock().execute(delete, (device, user))?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A transaction that a panic has left was rolled back when it was dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

fn tries(row: &Row<'_>) -> rusqlite::Result<Tries> {
    let since = row.get::<_, i64>(1)?;
    Ok(Tries { count: row.get(0)?, since: u64::try_from(since).unwrap_or(0) })
}

/// SQLite's integers have a sign.
fn stored(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    /// Workers that are started together make the file together.
    #[test]
    fn many_open_a_new_database_at_once() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..30 {
            let path = folder.path().join(format!("users-{round}.db"));
            let gate = Barrier::new(6);
            thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        gate.wait();
                        Store::open(&path).unwrap();
                    });
                }
            });
        }
    }

    #[test]
    fn users_and_rights_are_seen_through_another_connection() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let (one, other) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
        assert!(one.add("ann", "h", &["notes"]).unwrap());
        assert!(!other.add("ann", "x", &[]).unwrap());
        assert!(other.grant("ann", "notes.admin").unwrap() && other.grant("ann", "notes").unwrap());
        assert!(!other.grant("ben", "notes").unwrap() && !other.set_hash("ben", "h").unwrap());
        assert!(other.set_hash("ann", "h2").unwrap());
        let rights = vec!["notes".into(), "notes.admin".into()];
        assert_eq!(one.user("ann").unwrap(), Some(User { hash: "h2".into(), rights }));
        assert_eq!(one.user("ben").unwrap(), None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            for file in ["users.db", "users.db-wal"] {
                let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions();
                assert_eq!(mode.mode() & 0o77, 0, "{file}");
            }
        }
    }

    fn bound<'a>(device: &'a str, user: &'a str, max: u32) -> Bound<'a> {
        Bound { device, user, max }
    }

    #[test]
    fn what_is_counted_is_forgotten_with_its_window_or_when_it_should_be() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("users.db")).unwrap();
        let ann = [bound("a", "ann", 2)];
        let count = |now| store.count(&ann, now, WINDOW).unwrap();
        let full = |now| store.full(&ann, now, WINDOW).unwrap();
        assert_eq!((count(100), full(100)), (Ok(()), None));
        assert_eq!((count(159), full(159)), (Ok(()), Some(Tries { count: 2, since: 100 })));
        assert_eq!(count(159), Err(Tries { count: 3, since: 100 }));
        // What was refused does not count.
        assert_eq!(full(159), Some(Tries { count: 2, since: 100 }));
        assert_eq!(full(160), None);
        assert_eq!((count(160), count(160)), (Ok(()), Ok(())));
        store.forget("a", "ann").unwrap();
        assert_eq!(count(161), Ok(()));
    }

    #[test]
    fn of_several_keys_all_count_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("users.db")).unwrap();
        let bounds =
            |device, user| [bound(device, user, 2), bound(device, ALL, 3), bound(ALL, user, 4)];
        let count = |device, user| store.count(&bounds(device, user), 100, WINDOW).unwrap().is_ok();
        assert!(count("a", "ann") && count("a", "ann") && !count("a", "ann"));
        assert!(count("a", "ben") && !count("a", "ben"), "the device is full");
        assert!(count("b", "ann") && count("b", "ann"));
        assert!(!count("c", "ann"), "the user is full");
        // Nothing of that was counted for the device.
        assert!(count("c", "ben") && count("c", "ben") && count("c", "eve"));
    }

    #[test]
    fn many_open_the_file_and_count_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let ann = [bound("a", "ann", 40)];
        let count = || {
            let store = Store::open(&path).unwrap();
            for _ in 0..5 {
                assert_eq!(store.count(&ann, 0, WINDOW).unwrap(), Ok(()));
            }
        };
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(count))));
        let store = Store::open(&path).unwrap();
        assert_eq!(store.full(&ann, 0, WINDOW).unwrap(), Some(Tries { count: 40, since: 0 }));
    }
}
