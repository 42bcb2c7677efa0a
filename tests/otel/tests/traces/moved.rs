//! A call whose worker is lost, as spans.

use std::time::{Duration, SystemTime};

use mdp_protocol::Span;
use mdp_protocol::wire::{self, Record, Tail};
use mdp_runtime::Broker;
use test_otel::{World, attribute, until};

/// The broker counts in whole milliseconds.
const MILLISECOND: Duration = Duration::from_millis(1);
const ORDER: &str = "shop.v1.Shop/Order";

/// The socket of a worker of the shop that takes a call, and says nothing from then on.
fn doomed(broker: &Broker) -> zmq::Socket {
    let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
    socket.set_linger(0).unwrap();
    socket.connect(broker.endpoints().first().unwrap()).unwrap();
    let records: [Record<Vec<u8>, Vec<u8>>; 2] = [
        Record::Hello { id: b"doomed".to_vec(), heartbeat: Span::from_secs(1), liveness: 3 },
        Record::Ready {
            service: b"shop.v1.Shop".to_vec(),
            capacity: 1,
            shared: false,
            schema: None,
        },
    ];
    let mut packet = Vec::new();
    records.iter().for_each(|record| wire::put_tail(&mut packet, record, Tail::default()));
    socket.send(packet, 0).unwrap();
    socket
}

#[tokio::test]
async fn a_call_that_moves_to_another_worker_waits_once_more() {
    let mut world = World::start().await;
    world.lose_shop_worker().await;
    let socket = doomed(&world.broker);
    let call = tokio::spawn(world.shop().order("tea").idempotent().into_future());
    let first = world.queue.only("mdp.queue").await;
    assert_eq!(attribute(&first, "mdp.attempt"), None);
    drop(socket);
    until(async || world.broker.stats().await.queued == 1).await;
    let moved = SystemTime::now();
    tokio::time::sleep(Duration::from_millis(60)).await;
    let _another = world.another_shop_worker().await;
    assert_eq!(call.await.unwrap().unwrap().text, "tea");
    let client = world.caller.only(ORDER).await;
    assert_eq!(attribute(&client, "mdp.attempts").as_deref(), Some("2"));
    let second = world.queue.wait_for("mdp.queue", 2).await.remove(1);
    assert_eq!(second.parent_span_id, client.span_context.span_id());
    assert_eq!(attribute(&second, "mdp.attempt").as_deref(), Some("2"));
    let (earliest, latest) = (first.end_time - MILLISECOND, moved + MILLISECOND);
    assert!(second.start_time >= earliest && second.start_time <= latest, "{moved:?} {second:#?}");
    let took = second.end_time.duration_since(second.start_time).unwrap();
    assert!(took >= Duration::from_millis(59), "{took:?}");
    let server = world.shop.only(ORDER).await;
    assert_eq!(attribute(&server, "mdp.attempt").as_deref(), Some("2"));
    assert_eq!(server.parent_span_id, client.span_context.span_id());
}
