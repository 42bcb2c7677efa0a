//! Binds endpoints over tcp and Unix sockets. The listening sockets do not block.

use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use super::address::{self, Address};
use super::ipc::{self, BoundPath};

/// Connections that the system accepts before the socket's owner does.
const BACKLOG: i32 = 4_096;

/// A listening socket.
pub(super) enum Listening {
    Tcp(TcpListener),
    /// With the path, which is removed with it.
    Unix(UnixListener, Option<BoundPath>),
}

/// Binds an endpoint that is not within the process. Returns the endpoint with its port or path.
pub(super) fn bind(endpoint: &str) -> io::Result<(Listening, String)> {
    match Address::of(endpoint)? {
        Address::Tcp { host, port } => tcp(&host, port),
        Address::Ipc(path) => {
            let (listener, path) = ipc::bind(&path)?;
            let bound = format!("ipc://{}", path.path().display());
            Ok((unix(listener, Some(path))?, bound))
        }
        Address::Abstract(name) => {
            Ok((unix(ipc::bind_abstract(&name)?, None)?, endpoint.to_owned()))
        }
        Address::Inproc(_) => Err(ErrorKind::InvalidInput.into()),
    }
}

/// Whether a failed accept is about one connection, which ended before it was accepted. All other errors are about the
/// system, such as too many open files.
pub(super) fn is_of_peer(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

fn tcp(host: &str, port: address::Port) -> io::Result<(Listening, String)> {
    use socket2::{Domain, Protocol, Type};

    let mut failed = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in address::to_bind(host, port)? {
        let bound = || {
            let domain = Domain::for_address(address);
            let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            // A port can be bound again while its former connections end.
            #[cfg(unix)]
            socket.set_reuse_address(true)?;
            if address.is_ipv6() {
                socket.set_only_v6(false)?;
            }
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            Ok(TcpListener::from(socket))
        };
        match bound() {
            Ok(listener) => {
                let endpoint = address::endpoint_of(listener.local_addr()?);
                return Ok((Listening::Tcp(listener), endpoint));
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn unix(listener: UnixListener, path: Option<BoundPath>) -> io::Result<Listening> {
    listener.set_nonblocking(true)?;
    Ok(Listening::Unix(listener, path))
}
