//! Processes that a test starts: what they say, how they end, always by a deadline, and never left
//! behind.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)] // each test uses its part of it

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// What a test waits for comes much sooner, or never.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running process. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    said: Vec<String>,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Process::start_with(command, Stdio::piped(), Stdio::piped())
    }

    /// With these outputs. What goes elsewhere than to a pipe of the test has no lines.
    pub(crate) fn start_with(command: &mut Command, stdout: Stdio, stderr: Stdio) -> Self {
        let command = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // A pipe's end that the command keeps would hide that the process has ended.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let stdout = child.stdout.take().map_or_else(|| channel().1, lines);
        let stderr = child.stderr.take().map_or_else(|| channel().1, lines);
        Process { child, stdout, stderr, said: Vec::new() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its standard output that contains `words`.
    pub(crate) fn line(&mut self, words: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.stdout.recv_timeout(left) else {
                let errors: Vec<String> = self.stderr.try_iter().collect();
                panic!("it never said {words:?}, but {:?}; errors: {errors:?}", self.said);
            };
            self.said.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
    }

    /// The next line of its standard error that contains `words`.
    pub(crate) fn error_line(&mut self, words: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut said = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.stderr.recv_timeout(left) else {
                panic!("it never said {words:?} on its standard error, but {said:?}");
            };
            if line.contains(words) {
                return line;
            }
            said.push(line);
        }
    }

    /// The lines of its standard error that have come by now and were not read yet.
    pub(crate) fn error_lines(&mut self) -> Vec<String> {
        self.stderr.try_iter().collect()
    }

    /// Whether it has said `words` by now, on its standard output.
    pub(crate) fn has_said(&mut self, words: &str) -> bool {
        self.said.extend(self.stdout.try_iter());
        self.said.iter().any(|line| line.contains(words))
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal by its name, `TERM` for instance.
    pub(crate) fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it did not end; it said {:?}", {
                self.said.extend(self.stdout.try_iter());
                &self.said
            });
            std::thread::sleep(Duration::from_millis(5));
        };
        self.said.extend(self.stdout.iter());
        let stderr: Vec<String> = self.stderr.iter().collect();
        Ended { status, stdout: self.said.join("\n"), stderr: stderr.join("\n") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The lines of a stream, read by a thread so that the process never waits for the test.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Waits until `condition` holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
