//! The listening sockets of a router.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};

use super::bind::{Listening, bind, is_of_peer};
use super::ipc::BoundPath;
use super::open_files::OpenFiles;
use super::stream::Accepted;
use crate::log_limit::LogLimit;

/// The tokens of listeners are above this one, those of connections below.
const FIRST: usize = usize::MAX / 2;
/// The pause after an error of the system, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// The shortest time between two log lines about such errors.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

pub(super) struct Listeners {
    all: Vec<Listener>,
    /// The listener whose turn it is.
    turn: usize,
    /// The next attempt after an error.
    retry_at: Option<Instant>,
    log: LogLimit,
    open_files: OpenFiles,
}

impl Default for Listeners {
    fn default() -> Self {
        Listeners {
            all: Vec::new(),
            turn: 0,
            retry_at: None,
            log: LogLimit::new(BETWEEN_LINES),
            open_files: OpenFiles::new(),
        }
    }
}

struct Listener {
    socket: Socket,
    has_news: bool,
}

enum Socket {
    Tcp(mio::net::TcpListener),
    /// With the path, which is removed with it.
    Unix {
        socket: mio::net::UnixListener,
        _path: Option<BoundPath>,
    },
}

impl Listeners {
    /// Binds an endpoint. Returns the endpoint with its port or path.
    pub(super) fn bind(&mut self, registry: &Registry, endpoint: &str) -> io::Result<String> {
        let token = Token(FIRST + self.all.len());
        let (listening, bound) = bind(endpoint)?;
        let mut socket = match listening {
            Listening::Tcp(listener) => Socket::Tcp(mio::net::TcpListener::from_std(listener)),
            Listening::Unix(listener, path) => {
                let socket = mio::net::UnixListener::from_std(listener);
                Socket::Unix { socket, _path: path }
            }
        };
        match &mut socket {
            Socket::Tcp(listener) => registry.register(listener, token, Interest::READABLE)?,
            Socket::Unix { socket, .. } => registry.register(socket, token, Interest::READABLE)?,
        }
        self.all.push(Listener { socket, has_news: false });
        Ok(bound)
    }

    pub(super) fn is_listener(token: Token) -> bool {
        token.0 >= FIRST
    }

    /// Somebody connects to the listener with this token.
    pub(super) fn has_news(&mut self, token: Token) {
        let number = token.0.checked_sub(FIRST);
        if let Some(listener) = number.and_then(|number| self.all.get_mut(number)) {
            listener.has_news = true;
        }
    }

    /// When to accept again after an error.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Whether a connection may wait that can be accepted now.
    pub(super) fn is_waiting(&self) -> bool {
        self.retry_at.is_none() && self.all.iter().any(|listener| listener.has_news)
    }

    /// Accepts the next connection. Listeners take turns.
    pub(super) fn accept(&mut self) -> Option<Accepted> {
        self.retry_at = None;
        while let Some(turn) = self.next_turn() {
            self.turn = turn;
            let Some(listener) = self.all.get_mut(turn) else { break };
            let accepted = match &listener.socket {
                Socket::Tcp(socket) => socket.accept().map(|(stream, _)| Accepted::tcp(stream)),
                Socket::Unix { socket, .. } => {
                    socket.accept().map(|(stream, _)| Accepted::Unix(stream))
                }
            };
            match accepted {
                Ok(stream) => {
                    self.open_files.opened(&stream);
                    return Some(stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => listener.has_news = false,
                Err(error) if is_of_peer(error.kind()) => {}
                Err(error) => {
                    self.failed(&error);
                    return None;
                }
            }
        }
        None
    }

    /// The next listener with news, behind the one that had its turn.
    fn next_turn(&self) -> Option<usize> {
        let all = self.all.len();
        let mut turns = (1..=all).map(|step| (self.turn + step) % all);
        turns.find(|turn| self.all.get(*turn).is_some_and(|listener| listener.has_news))
    }

    /// The most files that the process may have open.
    pub(super) fn max_open_files(&self) -> u64 {
        self.open_files.max()
    }

    fn failed(&mut self, error: &io::Error) {
        self.retry_at = Some(Instant::now() + PAUSE);
        if self.log.pass().is_some() {
            tracing::error!(
                %error,
                "no connection can be accepted; close some, or raise `ulimit -n`; the broker tries again"
            );
        }
    }
}
