//! Each pattern over each transport, both sides in tasks of their own.

use tokio::sync::oneshot;

use super::*;

/// Payloads of many sizes, then many small ones.
fn payload(number: usize) -> Bytes {
    const SIZES: [usize; 10] = [0, 1, 254, 255, 256, 1_023, 1_024, 65_535, 65_536, 1_000_000];
    match SIZES.get(number) {
        Some(size) => Bytes::from(vec![number as u8; *size]),
        None => Bytes::from(number.to_string()),
    }
}

const COUNT: usize = 500;
const TOPIC: &[u8] = b"topic";

async fn send_all(
    mut socket: PatternSocket,
    context: Context,
    pattern: Pattern,
    done: oneshot::Receiver<()>,
) {
    let topic = (pattern == Pattern::Publisher).then(|| Bytes::from_static(TOPIC));
    while topic.is_some() {
        socket.ready(Wanted { message: true, room: false }).await.unwrap();
        if let Some(notice) = socket.notice().unwrap() {
            assert_eq!(notice, [b"\x01", TOPIC].concat());
            break;
        }
    }
    for number in 0..COUNT {
        while !socket.send(topic.as_ref(), &payload(number)).unwrap() {
            socket.ready(Wanted { message: false, room: true }).await.unwrap();
        }
    }
    // A closed socket writes what is left.
    close_all(&context, vec![into_closing(socket)]).await;
    done.await.unwrap();
}

async fn receive_all(socket: &mut PatternSocket, topics: bool) {
    for number in 0..COUNT {
        let message = loop {
            match socket.receive().unwrap() {
                Some(message) => break message,
                None => socket.ready(Wanted { message: true, room: false }).await.unwrap(),
            }
        };
        let PatternMessage { first, second, frames } = message;
        match topics {
            true => {
                assert_eq!((&*first, frames), (TOPIC, 2), "{number}");
                assert!(second.unwrap() == payload(number), "{number}");
            }
            false => {
                assert!(first == payload(number) && second.is_none(), "{number}");
                assert_eq!(frames, 1);
            }
        }
    }
}

async fn carries(
    transports: [Transport; 2],
    endpoint: &str,
    patterns: [Pattern; 2],
    binds: bool,
    curve: bool,
) {
    let [from, to] = patterns;
    let contexts = match transports {
        [NATIVE, NATIVE] => {
            let context = Context::with_transport(NATIVE);
            [context.clone(), context]
        }
        each => each.map(Context::with_transport),
    };
    let keys = Keys::new();
    let make = |context: &Context, pattern, server| match (curve, server) {
        (false, _) => plain(context, pattern, 2_000),
        (true, true) => keys.server(context, pattern),
        (true, false) => keys.client(context, pattern),
    };
    let mut sender = make(&contexts[0], from, binds);
    let mut receiver = make(&contexts[1], to, !binds);
    let topics = to == Pattern::Subscriber;
    if topics {
        receiver.subscribe(TOPIC, true).unwrap();
    }
    match binds {
        true => {
            let endpoint = sender.bind(endpoint).unwrap();
            receiver.connect(&endpoint).unwrap();
        }
        false => {
            let endpoint = receiver.bind(endpoint).unwrap();
            sender.connect(&endpoint).unwrap();
        }
    }
    let (done, over) = oneshot::channel();
    let sending = tokio::spawn(send_all(sender, contexts[0].clone(), from, over));
    let what = format!("{transports:?} {patterns:?} over {endpoint}, curve: {curve}, {binds}");
    let all = receive_all(&mut receiver, topics);
    timeout(PATIENCE, all).await.unwrap_or_else(|_| panic!("{what}"));
    done.send(()).unwrap();
    moves(&mut receiver, Duration::from_millis(5)).await;
    timeout(PATIENCE, sending).await.unwrap_or_else(|_| panic!("{what}")).unwrap();
    close_all(&contexts[1], vec![into_closing(receiver)]).await;
}

async fn all_patterns(transports: [Transport; 2], endpoint: &str, curve: bool) {
    use Pattern::{Pair, Publisher, Puller, Pusher, Subscriber};

    for patterns in [[Publisher, Subscriber], [Pusher, Puller], [Pair, Pair]] {
        for binds in [true, false] {
            carries(transports, endpoint, patterns, binds, curve).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn native_sockets_speak_with_each_other() {
    for endpoint in [TCP, "tcp://[::1]:*", "ipc://*", "inproc://pattern"] {
        all_patterns([NATIVE, NATIVE], endpoint, false).await;
    }
    for endpoint in [TCP, "ipc://*"] {
        all_patterns([NATIVE, NATIVE], endpoint, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libzmq_hears_native_sockets() {
    for endpoint in [TCP, "ipc://*"] {
        for curve in [false, true] {
            all_patterns([NATIVE, LIBZMQ], endpoint, curve).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn native_sockets_hear_libzmq() {
    for endpoint in [TCP, "ipc://*"] {
        for curve in [false, true] {
            all_patterns([LIBZMQ, NATIVE], endpoint, curve).await;
        }
    }
}
