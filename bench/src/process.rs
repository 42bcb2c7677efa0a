//! Children: started from this program's own file, heard on their output, gone with their parent.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a child may be silent beyond what is expected of it.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a child has to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// A child, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    role: &'static str,
    child: Child,
    /// Whose time and memory count: the child's, or those of a program that it has started.
    id: u32,
    lines: Receiver<String>,
}

impl Process {
    /// Starts this program in a role, with arguments.
    pub(crate) fn start(role: &'static str, arguments: &[String]) -> Result<Self> {
        Self::start_in(&[], role, arguments)
    }

    /// As [`start`](Self::start), with something in the environment besides.
    pub(crate) fn start_in(
        environment: &[(&str, &str)],
        role: &'static str,
        arguments: &[String],
    ) -> Result<Self> {
        let program = std::env::current_exe().context("the program's own file")?;
        let mut child = Command::new(program)
            .arg(role)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped()) // open as long as this process lives
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{role} could not be started"))?;
        let output = child.stdout.take().context("the child's output")?;
        let (tell, lines) = channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.try_for_each(|line| tell.send(line))
        });
        Ok(Process { role, id: child.id(), child, lines })
    }

    /// Looks at another process than the child from now on.
    pub(crate) fn look_at(&mut self, id: u32) {
        self.id = id;
    }

    /// The next line that the child writes, which takes it about `expected`.
    pub(crate) fn line(&self, expected: Duration) -> Result<String> {
        match self.lines.recv_timeout(expected + PATIENCE) {
            Ok(line) => Ok(line),
            Err(error) => bail!("{} said nothing: {error}", self.role),
        }
    }

    /// Waits for a line that begins with this word, and gives what follows it.
    pub(crate) fn expect(&self, word: &str, expected: Duration) -> Result<Vec<String>> {
        let line = self.line(expected)?;
        let mut words = line.split(' ').map(String::from);
        if words.next().as_deref() != Some(word) {
            bail!("{} said `{line}`, not `{word}`", self.role);
        }
        Ok(words.collect())
    }

    /// Kills the child.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("{} could not be killed", self.role))?;
        self.child.wait().context("the child's end").map(|_| ())
    }

    /// The processor time that it has used, over all its threads.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut total = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.id))? {
            // A thread may end between the two looks.
            let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            total += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(total))
    }

    /// The memory that it has for itself, in bytes: what the program's file gives does not count.
    pub(crate) fn memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.id);
        let status = fs::read_to_string(&path).with_context(|| path.clone())?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: u64 = kib.with_context(|| format!("{path} has no RssAnon"))?.parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input tells it to go, and what it has started with it.
        drop(self.child.stdin.take());
        let until = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends this process when its parent is gone, however that went: the pipe on its input closes.
pub(crate) fn end_with_parent() {
    thread::spawn(|| {
        let mut input = std::io::stdin().lock();
        // Nothing is ever written there.
        let _ = input.read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}
