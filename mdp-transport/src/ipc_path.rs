//! The socket file of an ipc endpoint, before it is bound.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Removes a socket file that a process left when it ended. A path at which another socket listens, or at which
/// something else than a socket is, is left alone, and is an error.
pub(crate) fn make_way(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        let message = "the path is taken by something else than a socket, which was left alone";
        return Err(io::Error::new(ErrorKind::AlreadyExists, message));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        // It has just gone.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // Somebody listens, or perhaps listens.
        Ok(_) | Err(_) => Err(ErrorKind::AddrInUse.into()),
    }
}
