//! Messages that take longer over their connection than a peer may be silent.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use mdp_runtime::{Broker, Client, MdpRecord, Status, Worker, mdp_service};

/// Heartbeats of this interval: who says nothing for 600 ms is gone.
const HEARTBEAT: Duration = Duration::from_millis(200);
/// The bytes of each message, and how many a link carries in a second: a message takes 2 s.
const BYTES: usize = 1 << 20;
const A_SECOND: usize = 512 << 10;
const AT_ONCE: usize = 16 << 10;
const DEADLINE: Duration = Duration::from_secs(60);

#[derive(MdpRecord, Clone, Debug, PartialEq)]
struct Blob {
    #[mdp(1)]
    bytes: Vec<u8>,
}

#[mdp_service(package = "slow.v1")]
trait Store {
    async fn turn(&self, blob: Blob) -> Result<Blob, Status>;
}

struct Turner;

impl Store for Turner {
    async fn turn(&self, mut blob: Blob) -> Result<Blob, Status> {
        blob.bytes.reverse();
        Ok(blob)
    }
}

/// A link to a broker that carries so much a second in each direction. Returns its endpoint.
fn slow_link(endpoint: &str) -> String {
    let to = endpoint.strip_prefix("tcp://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = format!("tcp://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for from in listener.incoming() {
            let (from, to) = (from.unwrap(), TcpStream::connect(&to).unwrap());
            for (mut from, mut to) in
                [(from.try_clone().unwrap(), to.try_clone().unwrap()), (to, from)]
            {
                std::thread::spawn(move || {
                    let mut bytes = [0; AT_ONCE];
                    while let Ok(count @ 1..) = from.read(&mut bytes) {
                        std::thread::sleep(Duration::from_secs(1) * count as u32 / A_SECOND as u32);
                        if to.write_all(&bytes[..count]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    own
}

async fn calls_over(client_is_slow: bool) {
    // libzmq does not tell that a part of a message came.
    let context = mdp_runtime::Context::with_transport(mdp_runtime::Transport::Native);
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").context(&context);
    let broker = broker.heartbeat(HEARTBEAT).start().unwrap();
    let direct = broker.endpoints()[0].clone();
    let slow = slow_link(&direct);
    let (to_client, to_worker) = if client_is_slow { (&slow, &direct) } else { (&direct, &slow) };
    let worker = Worker::builder().connect(to_worker).context(&context).heartbeat(HEARTBEAT);
    let worker = worker.serve(StoreWorker::new(Turner)).start().unwrap();
    tokio::time::timeout(DEADLINE, worker.connected()).await.unwrap().unwrap();
    let client = Client::builder().connect(to_client).context(&context).heartbeat(HEARTBEAT);
    let client = StoreClient::new(client.open().await.unwrap());
    let blob = Blob { bytes: (0..BYTES).map(|number| number as u8).collect() };
    let turned = client.turn(blob.clone()).timeout(DEADLINE).await.unwrap();
    assert!(turned.bytes.iter().rev().eq(&blob.bytes));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_keeps_its_session_while_its_message_is_on_its_way() {
    calls_over(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_worker_keeps_its_session_while_its_message_is_on_its_way() {
    calls_over(false).await;
}
