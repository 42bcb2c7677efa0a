//! An HTTP server for probes and scrapers. A connection carries one request, for a limited time. The number of
//! connections is limited: when the limit is reached, the address with most connections loses one.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};

/// The response to a request.
pub(super) type Response = hyper::Response<Full<Bytes>>;

/// The minimum buffer that hyper accepts. A request's line and headers must fit into it.
const HEADER_BYTES: usize = 8 << 10;
/// The pause after an error of `accept` that may persist, for instance because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The minimum time between two log lines about such errors.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// The limits of the server's peers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The maximum number of connections.
    connections: usize,
    /// The time limit from the connection to the end of the request's headers.
    header: Duration,
    /// The time limit from the connection to the end of the response.
    whole: Duration,
}

impl Bounds {
    /// The limits for this process: most of its file descriptors are for the broker's peers.
    pub(super) fn of_process() -> Self {
        Bounds {
            connections: connections_within(getrlimit(Resource::Nofile).current),
            header: Duration::from_secs(5),
            whole: Duration::from_secs(15),
        }
    }
}

/// Returns 64, or an eighth of the limit of open files if that is less.
fn connections_within(files: Option<u64>) -> usize {
    const MAX: usize = 64;
    let eighth = files.map(|files| usize::try_from(files / 8).unwrap_or(MAX));
    eighth.map_or(MAX, |eighth| eighth.clamp(1, MAX))
}

/// Accepts connections for ever, and answers one request on each.
pub(super) async fn run<F>(
    listener: TcpListener,
    bounds: Bounds,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
) where
    F: Future<Output = Response> + Send + 'static,
{
    let mut open = Connections::default();
    let mut logged: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = open.ended() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                let network = network(peer.ip());
                open.make_room(network, bounds.connections).await;
                open.add(network, connection(stream, bounds, answer.clone()));
            }
            // Only this connection has failed; the next one may succeed.
            Err(error) if is_of_one_connection(error.kind()) => {}
            Err(error) => {
                if logged.is_none_or(|at| at.elapsed() > LOG_PAUSE) {
                    logged = Some(Instant::now());
                    tracing::warn!(%error, "metrics: no connection can be accepted; trying again");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Makes a response with this body.
pub(super) fn response(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}

fn is_of_one_connection(kind: ErrorKind) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(kind, ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection<F>(
    stream: TcpStream,
    bounds: Bounds,
    answer: impl Fn(Request<Incoming>) -> F + Send + 'static,
) where
    F: Future<Output = Response> + Send + 'static,
{
    let service = service_fn(move |request| {
        let response = answer(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    // Keep-alive is off, so that no connection is idle and no requests queue up on one.
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header)
        .max_buf_size(HEADER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(bounds.whole, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "metrics: a connection ended"),
        Err(_) => tracing::debug!("metrics: a connection took too long"),
    }
}

/// The open connections, the oldest first.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    by_age: Vec<Open>,
}

struct Open {
    network: IpAddr,
    task: AbortHandle,
}

impl Connections {
    fn add(&mut self, network: IpAddr, connection: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(connection);
        self.by_age.push(Open { network, task });
    }

    /// Waits until a connection has ended. Waits for ever if there is no connection.
    async fn ended(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(ended) => self.forget(&ended),
            None => std::future::pending().await,
        }
    }

    /// Waits until fewer than `max` connections are open. Closes some of them if necessary.
    async fn make_room(&mut self, newcomer: IpAddr, max: usize) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.forget(&ended);
        }
        while self.by_age.len() >= max {
            let networks: Vec<IpAddr> = self.by_age.iter().map(|open| open.network).collect();
            let Some(leaves) = leaves(&networks, newcomer) else { return };
            if let Some(open) = self.by_age.get(leaves) {
                open.task.abort();
            }
            // The file descriptor is closed here, and not at a later time.
            self.ended().await;
        }
    }

    fn forget(&mut self, ended: &Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.by_age.retain(|open| open.task.id() != id);
    }
}

/// Chooses the connection to close for a newcomer: the oldest one of the network with most connections, the newcomer
/// included.
fn leaves(by_age: &[IpAddr], newcomer: IpAddr) -> Option<usize> {
    let held = |network: &IpAddr| {
        let others = by_age.iter().filter(|other| *other == network).count();
        others + usize::from(*network == newcomer)
    };
    let max = by_age.iter().map(held).max()?;
    by_age.iter().position(|network| held(network) == max)
}

/// The unit that counts as one address. For IPv6 this is the first 64 bits, because one host controls all addresses
/// below them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    const LONG: Duration = Duration::from_secs(60);

    /// A server whose answers take this long.
    async fn server(bounds: Bounds, takes: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(run(listener, bounds, move |_| async move {
            sleep(takes).await;
            response(StatusCode::OK, "here".into())
        }));
        address
    }

    /// Reads until the server closes the connection.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        // A reset counts as the end, too.
        let _ = timeout(LONG, stream.read_to_end(&mut bytes)).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a35_a_connection_is_one_request_and_no_more() {
        let bounds = Bounds { connections: 4, header: LONG, whole: LONG };
        let address = server(bounds, Duration::ZERO).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(GET).await.unwrap();
        let answer = rest(&mut stream).await.to_lowercase();
        assert!(
            answer.starts_with("http/1.1 200 ") && answer.ends_with("\r\n\r\nhere"),
            "{answer}"
        );
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&GET.repeat(50)).await.unwrap();
        assert!(rest(&mut stream).await.matches("HTTP/1.1 ").count() <= 1);
        // Headers that never end.
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(&b"GET / HTTP/1.1\r\nx: ".repeat(2 * HEADER_BYTES)).await;
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test]
    async fn a35_each_connection_ends_in_time() {
        let (header, whole) = (Duration::from_millis(300), Duration::from_millis(900));
        let address = server(Bounds { connections: 4, header, whole }, LONG).await;
        let begun = Instant::now();
        let mut streams = Vec::new();
        for sent in [&GET[..0], &GET[..20], GET] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent).await.unwrap();
            streams.push((stream, sent.len()));
        }
        for (stream, sent) in &mut streams {
            assert_eq!(rest(stream).await, "");
            let least = if *sent == GET.len() { whole } else { header };
            let took = begun.elapsed();
            assert!(took >= least && took < Duration::from_secs(20), "{sent}: {took:?}");
        }
        // Single bytes do not extend a deadline.
        let mut stream = TcpStream::connect(address).await.unwrap();
        let begun = Instant::now();
        for byte in GET.iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(20));
            sleep(Duration::from_millis(50)).await; // a slow writer
        }
    }

    #[tokio::test]
    async fn a35_a_newcomer_takes_the_place_of_the_oldest() {
        let bounds = Bounds { connections: 8, header: LONG, whole: LONG };
        let address = server(bounds, Duration::ZERO).await;
        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(TcpStream::connect(address).await.unwrap());
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(GET).await.unwrap();
            assert!(rest(&mut stream).await.ends_with("here"));
        }
        // The first connections were closed at once, not after 60 s.
        for stream in silent.iter_mut().take(90) {
            assert_eq!(rest(stream).await, "");
        }
    }

    #[test]
    fn most_files_are_for_the_brokers_peers() {
        let found = [Some(4), Some(128), Some(256), Some(1_024), Some(1 << 40), None];
        assert_eq!(found.map(connections_within), [1, 16, 32, 64, 64, 64]);
    }

    #[test]
    fn who_has_most_makes_room() {
        let [a, b, c] = [1, 2, 3].map(|last| IpAddr::from([10, 0, 0, last]));
        assert_eq!(leaves(&[a, b, b, b], c), Some(1));
        assert_eq!(leaves(&[a, b, b, b], a), Some(1));
        assert_eq!(leaves(&[b, a, b, a], a), Some(1));
        assert_eq!(leaves(&[a, b, c], IpAddr::from([10, 0, 0, 4])), Some(0), "the oldest");
        assert_eq!(leaves(&[], a), None);
    }

    #[test]
    fn a_host_of_many_addresses_is_one() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::7"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}
