//! Sockets of patterns over real connections, native ones and libzmq's.

mod carry;
mod endings;
mod publish;
mod push;

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use crate::context::Context;
use crate::dealer::close_all;
use crate::pattern::{
    Pattern, PatternKeys, PatternMessage, PatternSettings, PatternSocket, Wanted, into_closing,
    open,
};
use crate::registration::Registration;
use crate::security::curve::CurveClient;
use crate::security::{AllowList, KeyPair};
use crate::transport::Transport;

/// What a test waits for comes much sooner, or never.
const PATIENCE: Duration = Duration::from_secs(60);
/// That nothing comes is seen for so long.
const SHORT: Duration = Duration::from_millis(300);
/// The frames that a socket reads.
const FRAME_BYTES: usize = 4 << 20;

const NATIVE: Transport = Transport::Native;
const LIBZMQ: Transport = Transport::Libzmq;
const TCP: &str = "tcp://127.0.0.1:*";

fn settings(waiting: u32) -> PatternSettings {
    PatternSettings { waiting, frame_bytes: FRAME_BYTES, verbose: false }
}

fn plain(context: &Context, pattern: Pattern, waiting: u32) -> PatternSocket {
    open(context, pattern, &settings(waiting), None).unwrap()
}

/// A native socket.
fn native(pattern: Pattern, waiting: u32) -> PatternSocket {
    plain(&Context::with_transport(NATIVE), pattern, waiting)
}

/// A native socket that is bound over tcp, and where.
fn bound(pattern: Pattern, waiting: u32) -> (PatternSocket, String) {
    let mut socket = native(pattern, waiting);
    let endpoint = socket.bind(TCP).unwrap();
    (socket, endpoint)
}

fn connected(pattern: Pattern, waiting: u32, endpoint: &str) -> PatternSocket {
    let mut socket = native(pattern, waiting);
    socket.connect(endpoint).unwrap();
    socket
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Waits for nothing: bytes move meanwhile.
async fn moves(socket: &mut PatternSocket, time: Duration) {
    let wanted = Wanted { message: false, room: false };
    if let Ok(ended) = timeout(time, socket.ready(wanted)).await {
        ended.unwrap();
    }
}

/// Moves the bytes of all sockets until `found` finds something.
async fn until<const N: usize, T>(
    sockets: [&mut PatternSocket; N],
    mut found: impl FnMut([&mut PatternSocket; N]) -> Option<T>,
) -> T {
    let (mut sockets, deadline) = (sockets, Instant::now() + PATIENCE);
    loop {
        if let Some(found) = found(sockets.each_mut().map(|socket| &mut **socket)) {
            return found;
        }
        assert!(Instant::now() < deadline, "nothing happened");
        for socket in &mut sockets {
            moves(socket, Duration::from_millis(2)).await;
        }
    }
}

fn text(message: &PatternMessage) -> String {
    String::from_utf8_lossy(message.second.as_ref().unwrap_or(&message.first)).into_owned()
}

fn received(socket: &mut PatternSocket) -> Option<String> {
    socket.receive().unwrap().map(|message| text(&message))
}

fn sends(socket: &mut PatternSocket, text: &str) -> bool {
    socket.send(None, &bytes(text)).unwrap()
}

fn publish(publisher: &mut PatternSocket, topic: &str, text: &str) -> bool {
    publisher.publish(Some(&bytes(topic)), &bytes(text)).unwrap()
}

/// Waits for the next message of the last socket.
async fn hears<const N: usize>(sockets: [&mut PatternSocket; N], wanted: &str) {
    until(sockets, |mut sockets| {
        let last = sockets.last_mut()?;
        let heard = received(last)?;
        assert_eq!(heard, wanted);
        Some(())
    })
    .await;
}

/// Waits until the first socket, a publisher, has this notice.
async fn noticed<const N: usize>(sockets: [&mut PatternSocket; N], wanted: &[u8]) {
    until(sockets, |mut sockets| {
        let publisher = sockets.first_mut()?;
        let mut notices = std::iter::from_fn(|| publisher.notice().unwrap());
        notices.any(|notice| *notice == *wanted).then_some(())
    })
    .await;
}

/// The keys of a server and of its client.
struct Keys {
    server: KeyPair,
    own: KeyPair,
}

impl Keys {
    fn new() -> Self {
        Keys { server: KeyPair::new().unwrap(), own: KeyPair::new().unwrap() }
    }

    fn server(&self, context: &Context, pattern: Pattern) -> PatternSocket {
        let list = AllowList::of([*self.own.public()]);
        let registration = Registration::new(context, list, || {}).unwrap();
        let keys = PatternKeys::Server(&self.server, &registration);
        let socket = open(context, pattern, &settings(2_000), Some(keys)).unwrap();
        // It holds for as long as the test.
        std::mem::forget(registration);
        socket
    }

    fn client(&self, context: &Context, pattern: Pattern) -> PatternSocket {
        let curve = CurveClient::new(*self.server.public()).key_pair(self.own.clone());
        let keys = curve.prepare(true, 1).unwrap();
        let keys = Some(PatternKeys::Client(&keys));
        open(context, pattern, &settings(2_000), keys).unwrap()
    }
}
