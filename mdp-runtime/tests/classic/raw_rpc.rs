//! Raw requests over MDP/RPC, and between it and classic MDP, through the broker of this project.

use std::time::Duration;

use bytes::Bytes;
use mdp_runtime::{Broker, Client, Code, Dialect, RawClient, RawError, RawWorker, Replier, Worker};

use crate::ms;
use crate::support::{broker, call, echo, until, within};

const ALL: [Dialect; 3] = [Dialect::Rpc, Dialect::Mdp01, Dialect::Mdp02];

fn client(broker: &Broker, dialect: Dialect) -> RawClient {
    RawClient::builder().dialect(dialect).connect(&broker.endpoints()[0]).open().unwrap()
}

fn frames(texts: &[&'static str]) -> Vec<Bytes> {
    texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
}

/// Sends back what it gets, behind three partial replies if it may.
async fn answer(frames: Vec<Bytes>, replier: Replier) {
    for number in 0..3 {
        let partial = vec![Bytes::from(number.to_string()), Bytes::new()];
        if replier.partial(partial).await.is_err() {
            break;
        }
    }
    replier.finish(frames).unwrap();
}

fn worker(broker: &Broker, dialect: Dialect) {
    let builder = RawWorker::builder("raw").dialect(dialect).connect(&broker.endpoints()[0]);
    let mut worker = builder.capacity(4).start().unwrap();
    tokio::spawn(async move { worker.serve(answer).await });
}

#[tokio::test]
async fn all_dialects_speak_with_all() {
    for works in ALL {
        let broker = broker();
        worker(&broker, works);
        for asks in ALL {
            let client = client(&broker, asks);
            let large = vec![Bytes::from(vec![7; 100_000]), Bytes::new(), Bytes::from("end")];
            for body in [frames(&["one"]), frames(&["", "two"]), large] {
                let mut pending = client.request("raw", body.clone());
                let mut partials = 0;
                let last = loop {
                    let reply = within(pending.next()).await.unwrap().unwrap();
                    if reply.last {
                        break reply.frames;
                    }
                    assert_eq!(reply.frames, [partials.to_string(), String::new()]);
                    partials += 1;
                };
                assert_eq!(last, body, "{asks:?} with {works:?}");
                let none = asks == Dialect::Mdp01 || works == Dialect::Mdp01;
                assert_eq!(partials, if none { 0 } else { 3 }, "{asks:?} with {works:?}");
            }
            let known = within(client.send("mmi.service", frames(&["raw"]))).await.unwrap();
            assert_eq!(known, ["200"]);
        }
    }
}

#[tokio::test]
async fn many_requests_share_a_connection_of_mdp_rpc() {
    let broker = broker();
    worker(&broker, Dialect::Rpc);
    let client = client(&broker, Dialect::Rpc);
    let pending: Vec<_> = (0..200)
        .map(|number| client.request("raw", vec![Bytes::from(number.to_string())]))
        .collect();
    for (number, pending) in pending.into_iter().enumerate() {
        assert_eq!(within(pending.last()).await.unwrap(), [number.to_string()]);
    }
}

#[tokio::test]
async fn what_goes_wrong_comes_as_a_status() {
    let broker = broker();
    let builder = RawWorker::builder("raw").dialect(Dialect::Rpc).connect(&broker.endpoints()[0]);
    let mut worker = builder.start().unwrap();
    let client = client(&broker, Dialect::Rpc);
    let code = |end: Result<_, RawError>| match end {
        Err(RawError::Status(status)) => status.code(),
        other => panic!("{other:?}"),
    };
    // Nobody answers.
    let lost = client.request("raw", frames(&["lost"]));
    drop(within(worker.recv()).await.unwrap());
    assert_eq!(code(within(lost.last()).await), Code::Internal);
    // Nobody waits for the answer.
    let dropped = client.request("raw", frames(&["dropped"]));
    let (_, replier) = within(worker.recv()).await.unwrap();
    drop(dropped);
    within(replier.over()).await;
    assert!(replier.finish(frames(&["late"])).is_err());
    // Too late.
    let late = client.with_timeout(ms(200)).request("raw", frames(&["late"]));
    let (_, replier) = within(worker.recv()).await.unwrap();
    assert_eq!(code(within(late.last()).await), Code::DeadlineExceeded);
    within(replier.over()).await;
    drop(replier);
    // No worker takes raw requests for it.
    let typed = Worker::builder().connect(&broker.endpoints()[0]).serve(echo()).start().unwrap();
    within(typed.connected()).await.unwrap();
    let end = within(client.send("test.v1.Echo", frames(&["?"]))).await;
    assert_eq!(code(end), Code::Unimplemented);
    let refused = within(client.send("no name", frames(&["?"]))).await;
    assert!(matches!(refused, Err(RawError::Service { .. })), "{refused:?}");
    // Leaving waits for what is open.
    let open = client.request("raw", frames(&["open"]));
    let (names, replier) = within(worker.recv()).await.unwrap();
    let answering = tokio::spawn(async move {
        tokio::time::sleep(ms(200)).await;
        replier.finish(names).unwrap();
    });
    within(worker.shutdown(Duration::from_secs(20))).await;
    within(answering).await.unwrap();
    assert_eq!(within(open.last()).await.unwrap(), ["open"]);
    assert!(within(worker.recv()).await.is_none());
    within(client.shutdown(ms(100))).await;
    assert_eq!(code(within(client.send("raw", frames(&["late"]))).await), Code::Cancelled);
}

#[tokio::test]
async fn a_slow_reader_holds_its_worker_up() {
    let broker = broker();
    let builder = RawWorker::builder("raw").dialect(Dialect::Rpc).connect(&broker.endpoints()[0]);
    let mut worker = builder.start().unwrap();
    let builder = RawClient::builder().dialect(Dialect::Rpc).window(64);
    let client = builder.connect(&broker.endpoints()[0]).open().unwrap();
    let mut pending = client.request("raw", frames(&["count"]));
    let (_, replier) = within(worker.recv()).await.unwrap();
    let (sent, mut count) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        for number in 0..500 {
            replier.partial(vec![Bytes::from(number.to_string())]).await.unwrap();
            sent.send_replace(number + 1);
        }
        replier.finish(frames(&["end"])).unwrap();
    });
    within(count.wait_for(|sent| *sent == 64)).await.unwrap();
    until(async || broker.stats().await.running == 1).await;
    assert_eq!(*count.borrow(), 64);
    for number in 0..500 {
        let reply = within(pending.next()).await.unwrap().unwrap();
        assert_eq!(reply.frames, [number.to_string()]);
    }
    assert!(within(pending.next()).await.unwrap().unwrap().last);
}

#[tokio::test]
async fn one_service_takes_both_kinds() {
    let broker = broker();
    let builder = Worker::builder().connect(&broker.endpoints()[0]).serve(echo());
    let worker = builder.serve_raw("test.v1.Echo", answer).start().unwrap();
    within(worker.connected()).await.unwrap();
    let typed = Client::connect(broker.endpoints()[0].clone()).await.unwrap();
    assert_eq!(within(call(&typed, "typed")).await.unwrap(), "typed");
    let raw = client(&broker, Dialect::Mdp02);
    let reply = within(raw.send("test.v1.Echo", frames(&["raw"]))).await.unwrap();
    assert_eq!(reply, ["raw"]);
}
