//! Watches a policy file for changes, and reads the file when it is complete.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Policy, PolicyError, file};
use mdp_transport::ends;
use mdp_transport::security::UntrustedFile;
use mdp_transport::{Mark, SETTLED};

/// The name of the thread.
pub(crate) const WATCH: &str = "mdp-policy";
/// How often the file is checked. Together with [`SETTLED`] this is well below one second, the maximum time for which a
/// revoked key may still work.
const INTERVAL: Duration = Duration::from_millis(150);

/// A thread that reads a policy again when its file changes. The thread ends when this is dropped.
pub(crate) struct Watch {
    source: Arc<Source>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The file, and the receiver of its policies.
struct Source {
    path: PathBuf,
    take: Box<dyn Fn(Policy) + Send + Sync>,
    /// Held from the reading of a policy until the policy is in force: of two readers, the later one wins.
    turn: Mutex<()>,
}

impl Watch {
    /// Passes each new policy to `take`. A wrong file is logged, and the previous policy stays. Calls `failed` if the
    /// thread panics; the file is no longer watched then.
    pub(crate) fn start(
        path: &Path,
        take: impl Fn(Policy) + Send + Sync + 'static,
        failed: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let (path, take) = (path.to_owned(), Box::new(take));
        let source = Arc::new(Source { path, take, turn: Mutex::default() });
        let (stop, stopped) = channel();
        let watched = Arc::clone(&source);
        let look = move || {
            let mut looks = Looks::default();
            let mut pause = INTERVAL;
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let mark = Mark::at(&watched.path);
                pause = looks.look(mark);
                if looks.is_whole() {
                    looks.was_read(watched.read_whole(mark));
                }
            }
        };
        let ended = move |end: Result<(), _>| {
            if end.is_err() {
                failed();
            }
        };
        let thread = ends::thread(WATCH, look, ended)?;
        Ok(Watch { source, stop: Some(stop), thread: Some(thread) })
    }

    /// Reads the file now, even if it has not changed.
    pub(crate) fn reload(&self) -> Result<(), PolicyError> {
        let _turn = self.source.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (policy, _) = file::read_now(&self.source.path)?;
        (self.source.take)(policy);
        Ok(())
    }
}

impl Source {
    /// Reads the file that two checks have seen unchanged. `false`: the file has changed since.
    fn read_whole(&self, seen: Option<Mark>) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        match file::read_now(&self.path) {
            Ok((policy, mark)) if Some(mark) == seen => (self.take)(policy),
            Ok(_) | Err(PolicyError::Untrusted(UntrustedFile::Changed { .. })) => return false,
            Err(error) => tracing::error!(%error, "the policy was not read; the old one stays"),
        }
        true
    }
}

/// The versions of the file that were seen. At first no version counts as read: the file may have changed since the
/// start.
#[derive(Debug, Default)]
struct Looks {
    read: Option<Mark>,
    seen: Option<Mark>,
    whole: bool,
}

impl Looks {
    /// Records a check, and returns the pause until the next one. A file is complete if two checks, with [`SETTLED`]
    /// between them, saw the same version.
    fn look(&mut self, mark: Option<Mark>) -> Duration {
        let is_new = mark != self.read;
        self.whole = is_new && mark == self.seen;
        self.seen = mark;
        if is_new && !self.whole { SETTLED } else { INTERVAL }
    }

    fn is_whole(&self) -> bool {
        self.whole
    }

    /// Records that the last seen version was read, or was wrong and reported.
    fn was_read(&mut self, read: bool) {
        if read {
            self.read = self.seen;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread's result is in the log already.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("path", &self.source.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a37_a_file_counts_when_two_looks_saw_the_same() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let old = Mark::at(file.path());
        let other = tempfile::NamedTempFile::new().unwrap();
        let new = Mark::at(other.path());
        assert!(old.is_some() && new.is_some() && old != new);
        let mut looks = Looks::default();
        assert_eq!(looks.look(old), SETTLED);
        assert!(!looks.is_whole(), "one look");
        assert_eq!(looks.look(old), INTERVAL);
        assert!(looks.is_whole());
        looks.was_read(true);
        assert_eq!(looks.look(old), INTERVAL);
        assert!(!looks.is_whole(), "read already");
        // Each change restarts the wait.
        for mark in [new, None, new, old, new] {
            looks.look(mark);
            assert!(!looks.is_whole());
        }
        looks.look(new);
        assert!(looks.is_whole());
        // The file changed while it was read, so this read does not count: the next check that sees the same version
        // reads again.
        looks.was_read(false);
        looks.look(new);
        assert!(looks.is_whole());
    }
}
