//! Files that grant rights: read completely, and only if nobody but the owner can write them.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The write permission bits of group and others.
const OTHERS_WRITE: u32 = 0o022;
/// A file that has not changed for this long is complete.
pub const SETTLED: Duration = Duration::from_millis(350);
/// The maximum number of waits for a file that still changes.
const WAITS: usize = 10;

/// The reason why a file that grants rights was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UntrustedFile {
    /// The operating system reported an error.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The path is a directory, a pipe or a device.
    #[error("{} is not a regular file; give the path of a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Group or others can write the file, and so grant themselves rights.
    #[error("{path} has the mode {mode:04o}, so other users than its owner can change it; run `chmod go-w {path}`, and check its content before you use it", path = path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// The file's permissions.
        mode: u32,
    },
    /// The file was written while it was being read.
    #[error("{path} is being written; write the new text to another file in the same folder, rename that file to {path}, and read it again", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a text file that grants rights, for instance a program's configuration. Waits until 350 ms after the file's
/// last change, so that an unfinished file is not read. A file of another user than this process's and root is read,
/// and a warning is logged.
///
/// ```
/// use mdp_runtime::security::{UntrustedFile, read_trusted};
/// use std::os::unix::fs::PermissionsExt;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("settings.toml");
/// std::fs::write(&path, "answer = 42\n")?;
/// std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644))?;
/// assert_eq!(read_trusted(&path)?, "answer = 42\n");
/// std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666))?;
/// assert!(matches!(read_trusted(&path), Err(UntrustedFile::Mode { mode: 0o666, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The file cannot be read, is not a regular file, is not text, can be written by group or others, or changed while it
/// was being read. The error names the fix.
pub fn read_trusted(path: impl AsRef<Path>) -> Result<String, UntrustedFile> {
    let path = path.as_ref();
    wait_until_settled(path);
    read_now(path).map(|(text, _)| text)
}

/// Reads like [`read_trusted`], without waiting; also returns the mark of the file.
pub fn read_now(path: &Path) -> Result<(String, Mark), UntrustedFile> {
    let failed = |source| UntrustedFile::Io { path: path.to_owned(), source };
    // Opening a pipe would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let mut file = file.map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(UntrustedFile::NotAFile { path: path.to_owned() });
    }
    if let Some(mode) = written_by_others(&found) {
        return Err(UntrustedFile::Mode { path: path.to_owned(), mode });
    }
    warn_of_owner(path, &found);
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    let mark = Mark::of(&found);
    if Mark::of(&file.metadata().map_err(failed)?) != mark {
        return Err(UntrustedFile::Changed { path: path.to_owned() });
    }
    Ok((text, mark))
}

/// Waits until the file's last change is [`SETTLED`] ago, for a limited time.
pub fn wait_until_settled(path: &Path) {
    for _ in 0..WAITS {
        // If the file does not exist, or its time is in the future, there is nothing to wait for.
        let age = fs::metadata(path).and_then(|found| found.modified());
        let Some(age) = age.ok().and_then(|at| at.elapsed().ok()) else { return };
        match SETTLED.checked_sub(age) {
            Some(left) if !left.is_zero() => thread::sleep(left),
            _ => return,
        }
    }
}

/// The file's mode, if group or others can write it.
pub(super) fn written_by_others(found: &Metadata) -> Option<u32> {
    let mode = found.mode() & 0o7777;
    (mode & OTHERS_WRITE != 0).then_some(mode)
}

/// Whether a user other than this process's user and root owns the file.
pub(super) fn is_foreign(found: &Metadata) -> bool {
    ![0, rustix::process::geteuid().as_raw()].contains(&found.uid())
}

/// Logs a warning if another user can change the file.
pub(super) fn warn_of_owner(path: &Path, found: &Metadata) {
    if is_foreign(found) {
        let (path, owner) = (path.display(), found.uid());
        tracing::warn!(%path, owner, "another user owns this file, and can change the rights in it");
    }
}

/// Identifies a version of a file. Changed permissions count as a change, so that a file that was refused for its
/// permissions is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    modified: (i64, i64),
    changed: (i64, i64),
    len: u64,
    inode: (u64, u64),
}

impl Mark {
    /// `None`: the file does not exist.
    pub fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().map(Mark::of)
    }

    fn of(found: &Metadata) -> Self {
        Mark {
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
            len: found.len(),
            inode: (found.dev(), found.ino()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::time::Instant;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn a42_what_others_can_write_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "text").unwrap();
        for bad in [0o666, 0o664, 0o646, 0o620, 0o602, 0o777] {
            set_mode(&path, bad);
            let error = read_now(&path).unwrap_err();
            assert!(matches!(error, UntrustedFile::Mode { mode, .. } if mode == bad), "{error}");
            let said = error.to_string();
            assert!(said.contains(&format!("chmod go-w {}", path.display())), "{said}");
        }
        for good in [0o644, 0o640, 0o600, 0o755, 0o444] {
            set_mode(&path, good);
            assert_eq!(read_now(&path).unwrap().0, "text");
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(read_now(&link).unwrap().0, "text");
        set_mode(&path, 0o666);
        assert!(matches!(read_now(&link), Err(UntrustedFile::Mode { .. })), "the file's own mode");
        set_mode(&path, 0o644);
        assert!(matches!(read_now(folder.path()), Err(UntrustedFile::NotAFile { .. })));
        assert!(matches!(read_now(Path::new("/dev/null")), Err(UntrustedFile::NotAFile { .. })));
        fs::write(&path, [0xff; 4]).unwrap();
        assert!(matches!(read_now(&path), Err(UntrustedFile::Io { .. })));
        assert!(matches!(read_now(Path::new("/nowhere/x")), Err(UntrustedFile::Io { .. })));
    }

    #[test]
    fn a42_a_file_of_another_user_is_known() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let found = || fs::metadata(file.path()).unwrap();
        assert!(!is_foreign(&found()));
        // Only root can change a file's owner.
        if chown(file.path(), Some(65_533), None).is_ok() {
            assert!(is_foreign(&found()));
            assert_eq!(read_now(file.path()).unwrap().0, "", "with a warning");
        }
    }

    #[test]
    fn a37_a_file_that_is_being_written_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "half").unwrap();
        set_mode(&path, 0o644); // whatever the umask says
        let begun = Instant::now();
        let writer = thread::spawn({
            let path = path.clone();
            move || {
                thread::sleep(Duration::from_millis(50)); // a writer that pauses
                let whole = fs::read_to_string(&path).unwrap() + " and half";
                fs::write(&path, whole).unwrap();
                Instant::now()
            }
        });
        let text = read_trusted(&path).unwrap();
        let (read, written) = (Instant::now(), writer.join().unwrap());
        // If the machine delayed the writer for longer than that, this file looked complete.
        assert!(text == "half and half" || written.duration_since(begun) > SETTLED / 2, "{text}");
        assert!(read.duration_since(begun) >= SETTLED / 2);
        // A file that has not changed for a while is read at once.
        let before = Mark::at(&path);
        let begun = Instant::now();
        thread::sleep(SETTLED); // its age
        wait_until_settled(&path);
        assert!(begun.elapsed() < SETTLED * 4);
        assert_eq!(Mark::at(&path), before);
        assert_eq!(Mark::at(&folder.path().join("gone")), None);
    }

    #[test]
    fn a37_each_change_gives_another_mark() {
        let folder = tempfile::tempdir().unwrap();
        let (path, next) = (folder.path().join("file"), folder.path().join("next"));
        fs::write(&path, "text").unwrap();
        let mut marks = vec![Mark::at(&path)];
        let mut look = || {
            let mark = Mark::at(&path);
            assert!(!marks.contains(&mark), "{mark:?}");
            marks.push(mark);
        };
        let pause = || thread::sleep(Duration::from_millis(20)); // the file system's clock goes on
        pause();
        set_mode(&path, 0o600);
        look();
        pause();
        fs::write(&path, "next").unwrap();
        look();
        fs::write(&next, "text").unwrap();
        fs::rename(&next, &path).unwrap();
        look();
        fs::remove_file(&path).unwrap();
        look();
    }
}
