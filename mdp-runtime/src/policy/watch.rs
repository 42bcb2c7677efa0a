//! Looks whether a policy's file has changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use super::{Policy, PolicyError};

/// How often it looks. Well within the second in which a revoked key may still be used.
const INTERVAL: Duration = Duration::from_millis(250);

/// What shows that a file is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    modified: Option<SystemTime>,
    len: u64,
    #[cfg(unix)]
    inode: u64,
}

/// A thread that reads a policy again when its file changes. It ends when this is dropped.
pub(crate) struct Watch {
    path: PathBuf,
    take: Arc<dyn Fn(Policy) + Send + Sync>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Hands each new policy to `take`. One that is wrong is told in the log, and the last one stays.
    pub(crate) fn start(
        path: &Path,
        take: impl Fn(Policy) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let take: Arc<dyn Fn(Policy) + Send + Sync> = Arc::new(take);
        let (stop, stopped) = channel();
        let (file, give) = (path.to_owned(), Arc::clone(&take));
        // The first look reads it once more: it may have changed since it was read for the first time.
        let mut seen = None;
        let look = move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let now = mark(&file);
                if now == seen {
                    continue;
                }
                seen = now;
                match Policy::read(&file) {
                    Ok(policy) => give(policy),
                    Err(error) => {
                        tracing::error!(%error, "the policy was not read; the last one holds");
                    }
                }
            }
        };
        let thread = thread::Builder::new().name("mdp-policy".into()).spawn(look)?;
        Ok(Watch { path: path.to_owned(), take, stop: Some(stop), thread: Some(thread) })
    }

    /// Reads the file now, whether or not it has changed.
    pub(crate) fn reload(&self) -> Result<(), PolicyError> {
        (self.take)(Policy::read(&self.path)?);
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to say that is not in the log.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("path", &self.path).finish_non_exhaustive()
    }
}

fn mark(path: &Path) -> Option<Mark> {
    let found = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    use std::os::unix::fs::MetadataExt;
    Some(Mark {
        modified: found.modified().ok(),
        len: found.len(),
        #[cfg(unix)]
        inode: found.ino(),
    })
}
