//! An endpoint that a socket has bound.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::time::{Sleep, sleep};

use super::super::bind::{Listening, bind, is_of_peer};
use super::super::inproc::Name;
use super::super::ipc::BoundPath;
use super::super::stream::{Patience, Stream};
use super::peer::Found;
use super::pipe::Door;
use crate::log_limit::LogLimit;

/// The pause after an error of the system, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// The shortest time between two log lines about such errors.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

pub(super) struct Listener {
    socket: Socket,
    waker: Waker,
    pause: Option<Pin<Box<Sleep>>>,
    log: LogLimit,
}

enum Socket {
    Tcp(TcpListener),
    /// With the path, which is removed with it.
    Unix {
        socket: UnixListener,
        _path: Option<BoundPath>,
    },
    Local {
        door: Arc<Door>,
        _name: Name,
    },
}

impl Listener {
    /// Binds an endpoint that is not within the process. Returns the endpoint with its port or path.
    pub(super) fn bind(endpoint: &str, waker: Waker) -> io::Result<(Self, String)> {
        let (listening, bound) = bind(endpoint)?;
        let socket = match listening {
            Listening::Tcp(listener) => Socket::Tcp(TcpListener::from_std(listener)?),
            Listening::Unix(listener, path) => {
                Socket::Unix { socket: UnixListener::from_std(listener)?, _path: path }
            }
        };
        Ok((Listener::new(socket, waker), bound))
    }

    /// An endpoint within the process.
    pub(super) fn local(door: Arc<Door>, name: Name, waker: Waker) -> Self {
        Listener::new(Socket::Local { door, _name: name }, waker)
    }

    fn new(socket: Socket, waker: Waker) -> Self {
        Listener { socket, waker, pause: None, log: LogLimit::new(BETWEEN_LINES) }
    }

    /// Looks for connections again, soon.
    pub(super) fn wake(&self) {
        self.waker.wake_by_ref();
    }

    /// The next connection.
    pub(super) fn poll_accept(&mut self) -> Poll<Found> {
        loop {
            let mut cx = Context::from_waker(&self.waker);
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(&mut cx));
                self.pause = None;
            }
            let accepted = match &self.socket {
                Socket::Tcp(socket) => ready!(socket.poll_accept(&mut cx))
                    .map(|(stream, _)| Found::Remote(Stream::accepted(stream, Patience::Long))),
                Socket::Unix { socket, .. } => ready!(socket.poll_accept(&mut cx))
                    .map(|(stream, _)| Found::Remote(Stream::Unix(stream))),
                Socket::Local { door, .. } => {
                    return door.poll_arrival(&cx).map(Found::Local);
                }
            };
            match accepted {
                Ok(found) => return Poll::Ready(found),
                Err(error) if is_of_peer(error.kind()) => {}
                Err(error) => {
                    self.pause = Some(Box::pin(sleep(PAUSE)));
                    if self.log.pass().is_some() {
                        tracing::error!(
                            %error,
                            "no connection can be accepted; close some, or raise `ulimit -n`; the socket tries again"
                        );
                    }
                }
            }
        }
    }
}
