//! Typed calls through the strict broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mdp_runtime::{Client, Code, ConnectionState, LossCause, RawClient, RawWorker, Status};

use crate::broker::{ClassicBroker, Order};
use crate::support::{answering, call, echo, missing_call, safe_call, until, within};
use crate::{BOTH, client, is_connected, ms, serve, worker};

#[tokio::test]
async fn a_call_brings_all_that_belongs_to_it_both_ways() {
    for dialect in BOTH {
        let broker = ClassicBroker::start();
        let service = answering(|cx, request| async move {
            let tenant = cx.metadata().get_str("tenant").unwrap_or_default().to_owned();
            assert!(cx.time_left() <= Duration::from_secs(5) && cx.attempt() == 1);
            cx.reply_metadata("seen", tenant);
            match request.as_str() {
                "fail" => Err(Status::not_found("no such thing")),
                "panic" => panic!("on purpose"),
                _ => Ok(request.to_uppercase()),
            }
        });
        let worker = serve(&broker, dialect, service).await;
        let client = client(&broker, dialect).await;
        let ask = |text| {
            let call = call(&client, text).timeout(Duration::from_secs(5));
            within(call.metadata("tenant", "acme").send())
        };
        let reply = ask("hello").await.unwrap();
        assert_eq!(reply.message(), "HELLO");
        assert_eq!(reply.metadata().get_str("seen"), Some("acme"));
        assert_eq!(reply.attempts(), 1);

        // Above what fits into a packet.
        let long = "x".repeat(100_000);
        assert_eq!(ask(&long).await.unwrap().message().len(), long.len());

        let status = ask("fail").await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::NotFound, "no such thing"));
        assert_eq!(status.metadata().get_str("seen"), Some("acme"));
        assert_eq!(ask("panic").await.unwrap_err().code(), Code::Internal);
        let status = within(missing_call(&client)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);

        client.shutdown(ms(100)).await;
        worker.shutdown(ms(100)).await;
        until(async || broker.seen().disconnects == 2).await;
        broker.assert_clean();
    }
}

#[tokio::test]
async fn many_calls_share_a_connection_and_are_told_apart() {
    for dialect in BOTH {
        let broker = ClassicBroker::start();
        // The later ones are faster.
        let service = answering(|_, request| async move {
            let number: u64 = request.parse().unwrap();
            tokio::time::sleep(ms(20 - number % 20)).await;
            Ok(request)
        });
        let _worker = worker(&broker, dialect).capacity(8).serve(service).start().unwrap();
        let client = client(&broker, dialect).await;
        let calls: Vec<_> = (0..200)
            .map(|number: u64| {
                let call = call(&client, &number.to_string());
                tokio::spawn(async move { (number, call.await) })
            })
            .collect();
        for call in calls {
            let (number, reply) = within(call).await.unwrap();
            assert_eq!(reply.unwrap(), number.to_string());
        }
        assert_eq!(broker.seen().clients.len(), 1);
        assert_eq!(broker.seen().readies, 8);
        broker.assert_clean();
    }
}

/// A wake-up that is missed shows as a wait for the next heartbeat, which is beyond the end of the test here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_waits_for_a_timer() {
    let rare = Duration::from_secs(120);
    for dialect in BOTH {
        let broker = ClassicBroker::with(rare, 10 * rare, "tcp://127.0.0.1:*");
        let builder = worker(&broker, dialect).heartbeat(rare).capacity(3);
        let _worker = builder.serve(echo()).start().unwrap();
        let client = client(&broker, dialect).await;
        let callers = (0..6).map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                for number in 0..500 {
                    let text = number.to_string();
                    assert_eq!(within(call(&client, &text)).await.unwrap(), text);
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        broker.assert_clean();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_go_on_while_a_handler_blocks() {
    for dialect in BOTH {
        let broker = ClassicBroker::with(ms(100), ms(1_000), "tcp://127.0.0.1:*");
        let service = answering(|_, request| async move {
            std::thread::sleep(ms(2_000));
            Ok(request)
        });
        let worker = worker(&broker, dialect).capacity(1).serve(service).start().unwrap();
        within(worker.connected()).await.unwrap();
        let client = client(&broker, dialect).await;
        let before = broker.seen().heartbeats;
        assert_eq!(within(call(&client, "slow")).await.unwrap(), "slow");
        let seen = broker.seen();
        assert!(seen.heartbeats >= before + 3, "{seen:?}");
        assert_eq!(seen.expired, 0);
        broker.assert_clean();
    }
}

#[tokio::test]
async fn after_disconnect_a_worker_comes_back_on_a_new_socket() {
    for dialect in BOTH {
        let broker = ClassicBroker::start();
        let worker = serve(&broker, dialect, echo()).await;
        let client = client(&broker, dialect).await;
        assert_eq!(within(call(&client, "one")).await.unwrap(), "one");
        broker.order(Order::Dismiss);
        until(async || broker.seen().readies == 4).await;
        assert_eq!(within(call(&client, "two")).await.unwrap(), "two");
        within(worker.state().wait_for(is_connected)).await.unwrap();
        broker.assert_clean();
    }
}

#[tokio::test]
async fn a_silent_broker_is_left() {
    let broker = ClassicBroker::start();
    let builder = worker(&broker, BOTH[1]).liveness(10).capacity(1);
    let worker = builder.serve(echo()).start().unwrap();
    within(worker.connected()).await.unwrap();
    broker.order(Order::Mute(true));
    let silence = ConnectionState::Disconnected(LossCause::Silence);
    within(worker.state().wait_for(|state| *state == silence)).await.unwrap();
    broker.order(Order::Mute(false));
    within(worker.state().wait_for(is_connected)).await.unwrap();
    broker.assert_clean();
}

#[tokio::test]
async fn a_lost_broker_ends_what_may_not_run_twice_and_the_rest_is_sent_again() {
    for dialect in BOTH {
        let broker = ClassicBroker::start();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let service = answering(move |_, request| {
            let run = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                if run < 2 {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
                Ok(request)
            }
        });
        let _worker = serve(&broker, dialect, service).await;
        let client = client(&broker, dialect).await;
        let once = tokio::spawn(call(&client, "once").into_future());
        let safe = tokio::spawn(safe_call(&client, "safe").into_future());
        until(async || runs.load(Ordering::SeqCst) == 2).await;
        let endpoint = broker.stop();

        let status = within(once).await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.reason().as_deref(), Some("MAYBE_EXECUTED"));
        assert!(!status.not_started());
        within(client.state().wait_for(|state| !is_connected(state))).await.unwrap();

        let broker = ClassicBroker::with(ms(100), Duration::from_secs(5), &endpoint);
        assert_eq!(within(safe).await.unwrap().unwrap(), "safe");
        assert_eq!(within(call(&client, "again")).await.unwrap(), "again");
        broker.assert_clean();
    }
}

#[tokio::test]
async fn a_deadline_ends_the_call_and_stops_its_handler() {
    for dialect in BOTH {
        let broker = ClassicBroker::start();
        let service = answering(|_, request| async move {
            if request == "slow" {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            Ok(request)
        });
        // One at a time: the next call waits for the end of the first one's handler.
        let _worker = worker(&broker, dialect).capacity(1).serve(service).start().unwrap();
        let client = client(&broker, dialect).await;
        let status = within(call(&client, "slow").timeout(ms(300))).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(within(call(&client, "next")).await.unwrap(), "next");
        broker.assert_clean();
    }
}

#[tokio::test]
async fn without_a_worker_a_call_ends_at_its_deadline() {
    let broker = ClassicBroker::start();
    let client = client(&broker, BOTH[1]).await;
    let status = within(call(&client, "nobody").timeout(ms(200))).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    // What comes too late finds nobody.
    let _worker = serve(&broker, BOTH[1], echo()).await;
    until(async || broker.seen().heartbeats > 5).await;
    assert_eq!(within(call(&client, "now")).await.unwrap(), "now");
}

#[tokio::test]
async fn without_a_broker_nobody_is_connected() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", taken.local_addr().unwrap());
    let builder = Client::builder().dialect(BOTH[1]).connect(&endpoint);
    // Somebody listens there, who does not speak ZeroMQ.
    let error = within(builder.connect_timeout(ms(300)).open()).await.unwrap_err();
    assert!(error.to_string().contains("no broker answered"), "{error}");
}

#[tokio::test]
async fn the_next_endpoint_is_tried() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let wrong = format!("tcp://{}", nobody.local_addr().unwrap());
    let broker = ClassicBroker::start();
    let worker = worker(&broker, BOTH[0]).connect(&wrong).capacity(1).serve(echo());
    let _worker = worker.start().unwrap();
    let builder = Client::builder().dialect(BOTH[0]).connect(&wrong).connect(&broker.endpoint);
    let client = within(builder.open()).await.unwrap();
    assert_eq!(within(call(&client, "found")).await.unwrap(), "found");
}

#[tokio::test]
async fn shutting_down_waits_for_what_runs_and_then_leaves() {
    for dialect in BOTH {
        let broker = ClassicBroker::start();
        let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
        let service = answering(move |_, request| {
            begun.send(()).unwrap();
            async move {
                tokio::time::sleep(ms(500)).await;
                Ok(request)
            }
        });
        let worker = serve(&broker, dialect, service).await;
        let client = client(&broker, dialect).await;
        let running = tokio::spawn(call(&client, "last").into_future());
        within(begins.recv()).await.unwrap();
        let started = Instant::now();
        within(worker.shutdown(Duration::from_secs(20))).await;
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!(within(running).await.unwrap().unwrap(), "last");
        until(async || broker.seen().disconnects == 2).await;
        broker.assert_clean();
    }
}

#[tokio::test]
async fn beyond_its_grace_a_call_ends_with_its_worker() {
    let broker = ClassicBroker::start();
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let service = answering(move |_, request| {
        begun.send(()).unwrap();
        async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(request)
        }
    });
    let worker = serve(&broker, BOTH[1], service).await;
    let client = client(&broker, BOTH[1]).await;
    let running = tokio::spawn(call(&client, "long").into_future());
    within(begins.recv()).await.unwrap();
    within(worker.shutdown(ms(50))).await;
    let status = within(running).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.reason().as_deref(), Some("MAYBE_EXECUTED"));
}

#[tokio::test]
async fn a_request_that_is_no_typed_call_goes_to_its_own_handler() {
    for dialect in BOTH {
        let broker = ClassicBroker::start();
        let raw = RawClient::builder().dialect(dialect).connect(&broker.endpoint).open().unwrap();
        let frames = vec!["one".into(), "two".into()];

        let typed = serve(&broker, dialect, echo()).await;
        let refusal = within(raw.send("test.v1.Echo", frames.clone())).await.unwrap();
        // A tunnel: a packet of MDP/RPC with UNIMPLEMENTED.
        assert_eq!(refusal.len(), 1);
        assert_eq!(refusal[0][..2], [0xd3, 1]);
        within(typed.shutdown(ms(100))).await;

        let builder = worker(&broker, dialect).capacity(1).serve(echo());
        let both = builder.serve_raw("test.v1.Echo", async |mut frames, replier| {
            frames.reverse();
            replier.finish(frames).unwrap();
        });
        let worker = both.start().unwrap();
        let reply = within(raw.send("test.v1.Echo", frames)).await.unwrap();
        assert_eq!(reply, ["two", "one"]);
        let client = client(&broker, dialect).await;
        assert_eq!(within(call(&client, "typed")).await.unwrap(), "typed");
        within(worker.shutdown(ms(100))).await;
        broker.assert_clean();
    }
}

#[tokio::test]
async fn a_worker_that_knows_no_typed_calls_is_named() {
    let broker = ClassicBroker::start();
    let raw = RawWorker::builder("test.v1.Echo").connect(&broker.endpoint);
    let mut raw = raw.start().unwrap();
    tokio::spawn(async move {
        // First it sends back what it got, then something else.
        let (frames, replier) = raw.recv().await.unwrap();
        replier.finish(frames).unwrap();
        let (_, replier) = raw.recv().await.unwrap();
        replier.finish(vec!["what?".into()]).unwrap();
        raw.recv().await
    });
    let client = client(&broker, BOTH[1]).await;
    for _ in 0..2 {
        let status = within(call(&client, "hello")).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{status}");
        assert!(!status.not_started());
    }
    broker.assert_clean();
}

#[tokio::test]
async fn settings_that_cannot_be() {
    let broker = ClassicBroker::start();
    let too_many = worker(&broker, BOTH[0]).capacity(257).serve(echo()).start().unwrap_err();
    assert!(too_many.to_string().contains("256"), "{too_many}");
    let twice =
        worker(&broker, BOTH[0]).serve_raw("a", async |_, _| {}).serve_raw("a", async |_, _| {});
    assert!(twice.start().is_err());
}
