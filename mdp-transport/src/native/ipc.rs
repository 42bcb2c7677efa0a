//! Binds Unix sockets. A path at which another socket listens, or at which something else than a socket is, is left
//! alone. A path that a process left when it ended is used again.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock;
use crate::ipc_path::make_way;

/// A bound path. The file is removed with it, but not by a child of the process.
pub(super) struct BoundPath {
    path: PathBuf,
    process: u32,
}

impl BoundPath {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for BoundPath {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // If the file is gone, somebody else has removed it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds a path. `*` is a new path in the folder for temporary files.
pub(super) fn bind(path: &Path) -> io::Result<(UnixListener, BoundPath)> {
    let path = match path.as_os_str() == "*" {
        true => temporary(),
        false => path.to_owned(),
    };
    let listener = match UnixListener::bind(&path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            make_way(&path)?;
            UnixListener::bind(&path)
        }
        bound => bound,
    }?;
    Ok((listener, BoundPath { path, process: std::process::id() }))
}

/// Binds a name that is not in the file system.
#[cfg(target_os = "linux")]
pub(super) fn bind_abstract(name: &str) -> io::Result<UnixListener> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn bind_abstract(_name: &str) -> io::Result<UnixListener> {
    Err(io::Error::new(ErrorKind::Unsupported, "only Linux has `ipc://@name`; give a path"))
}

fn temporary() -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("mdp-{}-{number}-{:016x}", std::process::id(), clock::seed());
    std::env::temp_dir().join(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_path_is_taken_only_from_a_process_that_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (first, bound) = bind(&path).unwrap();
        assert_eq!(bind(&path).err().unwrap().kind(), ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&path).is_ok(), "the living one is left alone");
        // As after a kill: the file stays.
        std::mem::forget(bound);
        drop(first);
        let (_second, bound) = bind(&path).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop(bound);
        assert!(!path.exists());
        fs::write(&path, "text").unwrap();
        let error = bind(&path).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    }

    #[test]
    fn other_ways_of_naming_a_socket() {
        let (_listener, bound) = bind(Path::new("*")).unwrap();
        assert!(UnixStream::connect(bound.path()).is_ok());
        if cfg!(target_os = "linux") {
            let name = format!("mdp-test-{:x}", clock::seed());
            let _first = bind_abstract(&name).unwrap();
            assert_eq!(bind_abstract(&name).unwrap_err().kind(), ErrorKind::AddrInUse);
        }
        let error = bind(Path::new("/nowhere/s")).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
