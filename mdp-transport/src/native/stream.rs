//! Byte streams of connections: tcp and Unix sockets, for tokio's tasks and for the router's thread.

use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpStream, UnixStream, lookup_host};

use super::address::{Address, Port};

/// Keepalive of the kernel: a silent connection is probed after 10 s, every 5 s, and ends after three probes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_AGAIN: Duration = Duration::from_secs(5);
const KEEPALIVE_COUNT: u32 = 3;
/// The time for one of several addresses of a host. The system's own limit is two minutes.
const ONE_ADDRESS: Duration = Duration::from_secs(3);

/// What a tcp connection does with a peer that is there and takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Gives it up as soon as a peer that does not answer.
    Short,
    /// Waits: the peer may hold its senders back for as long as it likes.
    Long,
}

/// A stream of a tokio task.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects. Names are resolved, and all their addresses are tried.
    pub(super) async fn connect(address: &Address, patience: Patience) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port: Port::Number(port) } => {
                let stream = connect_tcp(host, *port).await?;
                set_up(&SockRef::from(&stream), patience);
                Ok(Stream::Tcp(stream))
            }
            Address::Ipc(path) => UnixStream::connect(path).await.map(Stream::Unix),
            Address::Abstract(name) => {
                UnixStream::connect(format!("\0{name}")).await.map(Stream::Unix)
            }
            Address::Tcp { port: Port::Any, .. } | Address::Inproc(_) => {
                Err(io::ErrorKind::InvalidInput.into())
            }
        }
    }

    /// A stream that a listener has accepted.
    pub(super) fn accepted(stream: TcpStream, patience: Patience) -> Self {
        set_up(&SockRef::from(&stream), patience);
        Stream::Tcp(stream)
    }

    /// The host of the peer. `None`: the peer is on this machine, over a Unix socket.
    pub(super) fn host(&self) -> Option<String> {
        match self {
            Stream::Tcp(stream) => Some(stream.peer_addr().ok()?.ip().to_string()),
            Stream::Unix(_) => None,
        }
    }

    /// Moves the stream to the tokio runtime of the caller.
    pub(super) fn moved(self) -> io::Result<Self> {
        Ok(match self {
            Stream::Tcp(stream) => Stream::Tcp(TcpStream::from_std(stream.into_std()?)?),
            Stream::Unix(stream) => Stream::Unix(UnixStream::from_std(stream.into_std()?)?),
        })
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => stream.poll_write_ready(cx),
            Stream::Unix(stream) => stream.poll_write_ready(cx),
        }
    }

    /// No more is written. The other side reads the end after all that was written before.
    pub(super) fn end_writing(&self) {
        // An error means that the connection has ended.
        let _ = match self {
            Stream::Tcp(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
            Stream::Unix(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
        };
    }
}

/// Writes without waiting.
impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.try_write(bytes),
            Stream::Unix(stream) => stream.try_write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.try_write_vectored(slices),
            Stream::Unix(stream) => stream.try_write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    if let [only] = addresses.as_slice() {
        return TcpStream::connect(only).await;
    }
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match tokio::time::timeout(ONE_ADDRESS, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

/// Sets the options of a tcp connection. A connection works without them, so errors are only logged.
fn set_up(socket: &SockRef<'_>, patience: Patience) {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_AGAIN);
    #[cfg(not(windows))]
    let keepalive = keepalive.with_retries(KEEPALIVE_COUNT);
    let set = socket.set_tcp_nodelay(true).and_then(|()| socket.set_tcp_keepalive(&keepalive));
    #[cfg(target_os = "linux")]
    let set = set.and_then(|()| {
        if patience == Patience::Long {
            return Ok(());
        }
        let longest = KEEPALIVE_IDLE + KEEPALIVE_COUNT * KEEPALIVE_AGAIN;
        socket.set_tcp_user_timeout(Some(longest))
    });
    if let Err(error) = set {
        tracing::debug!(%error, "could not set the options of a connection");
    }
}

/// A stream of the router's thread.
pub(super) enum Accepted {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
}

impl Accepted {
    pub(super) fn tcp(stream: mio::net::TcpStream) -> Self {
        set_up(&SockRef::from(&stream), Patience::Short);
        Accepted::Tcp(stream)
    }

    /// The host of the peer. `None`: the peer is on this machine, over a Unix socket.
    pub(super) fn host(&self) -> Option<String> {
        match self {
            Accepted::Tcp(stream) => Some(stream.peer_addr().ok()?.ip().to_string()),
            Accepted::Unix(_) => None,
        }
    }

    /// Whether the peer has closed the connection, and all that it sent was read.
    pub(super) fn has_ended(&self) -> bool {
        let mut next = [MaybeUninit::uninit()];
        let peeked = match self {
            Accepted::Tcp(stream) => SockRef::from(stream).peek(&mut next),
            Accepted::Unix(stream) => SockRef::from(stream).peek(&mut next),
        };
        match peeked {
            Ok(bytes) => bytes == 0,
            Err(error) => {
                !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
            }
        }
    }

    /// No more is written. The other side reads the end after all that was written before.
    pub(super) fn end_writing(&self) {
        // An error means that the connection has ended.
        let _ = match self {
            Accepted::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Accepted::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Accepted::Tcp(stream) => stream,
            Accepted::Unix(stream) => stream,
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(self.source(), token, Interest::READABLE | Interest::WRITABLE)
    }

    /// The stream ends with its registration, so an error says nothing.
    pub(super) fn deregister(&mut self, registry: &Registry) {
        let _ = registry.deregister(self.source());
    }
}

impl AsRawFd for Accepted {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Accepted::Tcp(stream) => stream.as_raw_fd(),
            Accepted::Unix(stream) => stream.as_raw_fd(),
        }
    }
}

impl Read for Accepted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Accepted::Tcp(stream) => stream.read(buffer),
            Accepted::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Accepted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Accepted::Tcp(stream) => stream.write(bytes),
            Accepted::Unix(stream) => stream.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Accepted::Tcp(stream) => stream.write_vectored(slices),
            Accepted::Unix(stream) => stream.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A puller that does not read for minutes keeps its pusher.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn patience_is_an_option_of_the_socket() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = Port::Number(listener.local_addr().unwrap().port());
        let address = Address::Tcp { host: "127.0.0.1".into(), port };
        for patience in [Patience::Short, Patience::Long] {
            let connected = Stream::connect(&address, patience).await.unwrap();
            let accepted = Stream::accepted(listener.accept().await.unwrap().0, patience);
            for stream in [connected, accepted] {
                let Stream::Tcp(stream) = stream else { panic!("not tcp") };
                let socket = SockRef::from(&stream);
                let timeout = socket.tcp_user_timeout().unwrap();
                assert_eq!(timeout.is_some(), patience == Patience::Short);
                assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
            }
        }
    }
}
