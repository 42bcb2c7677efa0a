//! The parts as processes, on an endpoint of the test's own that outlives a broker.

#![allow(dead_code, clippy::unwrap_used)] // each test uses its part of it

#[path = "../../../../tests/support/process.rs"]
mod process;

use std::process::Command;
use std::time::Duration;

#[allow(unused_imports)] // as above
pub(crate) use process::{Process, until};
use rusqlite::Connection;

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) endpoint: String,
}

/// What the database has.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) source: String,
    pub(crate) level: i32,
    pub(crate) target: String,
    pub(crate) message: String,
    /// The field `number` of made-up events.
    pub(crate) number: Option<u64>,
    pub(crate) dropped: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = format!("ipc://{}", folder.path().join("broker").display());
        World { folder, endpoint }
    }

    pub(crate) fn part(&self, args: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_example-cloud-logger"));
        command.current_dir(self.folder.path()).args(args).args(["--endpoint", &self.endpoint]);
        Process::start(command.env_remove("RUST_LOG").env("NO_COLOR", "1"))
    }

    pub(crate) fn broker(&self) -> Process {
        let mut broker = self.part(&["broker"]);
        broker.line("the broker listens at");
        broker
    }

    pub(crate) fn logger(&self, id: &str) -> Process {
        let mut logger = self.part(&["logger", "--id", id]);
        logger.line("keeps the log in");
        logger
    }

    /// A program that logs so many events and ends well.
    pub(crate) fn logs(&self, args: &[&str]) {
        let ended = self.part(&[&["app", "--grace", "60"], args].concat()).end();
        assert!(ended.status.success() && ended.stdout.ends_with("all is stored"), "{ended:?}");
    }

    /// A viewer that follows, and is connected.
    pub(crate) fn view(&self, args: &[&str]) -> Process {
        let mut view = self.part(&[&["view"], args].concat());
        view.error_line("-- connected");
        view
    }

    /// What a viewer shows of the past.
    pub(crate) fn past(&self, args: &[&str]) -> Vec<String> {
        let ended = self.part(&[&["view", "--once", "--last", "100000"], args].concat()).end();
        assert!(ended.status.success(), "{ended:?}");
        ended.stdout.lines().map(str::to_owned).collect()
    }

    /// The web page, and its address.
    pub(crate) fn web(&self) -> (Process, String) {
        let mut web = self.part(&["web", "--listen", "127.0.0.1:0"]);
        let line = web.line("the log is at http://");
        let address = line.rsplit_once(' ').unwrap().1.to_owned();
        (web, address)
    }

    /// All events, in the order in which they were stored.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let database = Connection::open(self.folder.path().join("cloud-log.db")).unwrap();
        database.busy_timeout(Duration::from_secs(30)).unwrap();
        let query = "SELECT sources.id, level, target, message, fields, dropped FROM events
            JOIN sources ON sources.key = events.source ORDER BY events.id";
        let mut query = database.prepare(query).unwrap();
        let rows = query.query_map([], |row| {
            let fields: String = row.get(4)?;
            let fields: Vec<(String, String)> = serde_json::from_str(&fields).unwrap();
            let number = fields.iter().find(|(name, _)| name == "number");
            Ok(Row {
                source: row.get(0)?,
                level: row.get(1)?,
                target: row.get(2)?,
                message: row.get(3)?,
                number: number.map(|(_, value)| value.parse().unwrap()),
                dropped: u64::try_from(row.get::<_, i64>(5)?).unwrap(),
            })
        });
        rows.unwrap().map(Result::unwrap).collect()
    }
}

/// The numbers of a source's made-up events, in the order in which they were stored.
pub(crate) fn numbers(rows: &[Row], source: &str) -> Vec<u64> {
    rows.iter().filter(|row| row.source == source).filter_map(|row| row.number).collect()
}
