//! Handlers that make calls themselves, and handlers that let others answer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests

mod support;

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use mdp_runtime::details::{BadRequest, FieldViolation};
use mdp_runtime::{CallContext, Client, Code, Responder, Status, Worker};
use support::{Echo, answering, broker, call, client, until, within, worker};

/// Says how much time it has, in milliseconds.
fn time_left() -> Echo {
    answering(|cx, _| async move { Ok(cx.time_left().as_millis().to_string()) })
}

/// Two brokers with a worker each: the first one's handlers call the second one's.
struct Chain {
    front: Client,
    _running: (mdp_runtime::Broker, mdp_runtime::Broker, Worker, Worker),
}

async fn chain<F, A>(back: Echo, answer: F) -> Chain
where
    F: Fn(CallContext, Client) -> A + Send + Sync + 'static,
    A: Future<Output = Result<String, Status>> + Send + 'static,
{
    let (first, second) = (broker(), broker());
    let behind = worker(&second, back).await;
    let upstream = client(&second).await;
    let front = worker(&first, answering(move |cx, _| answer(cx, upstream.clone()))).await;
    Chain { front: client(&first).await, _running: (first, second, front, behind) }
}

impl Chain {
    async fn ms_left(&self, timeout: u64) -> u64 {
        let call = call(&self.front, "").timeout(Duration::from_millis(timeout));
        within(call.into_future()).await.unwrap().parse().unwrap()
    }
}

#[tokio::test]
async fn a_call_made_in_a_handler_ends_with_it() {
    let chain = chain(time_left(), |_, upstream| call(&upstream, "").into_future()).await;
    assert!(chain.ms_left(2_000).await <= 2_000, "not the 10 s of the client");
    assert!(chain.ms_left(60_000).await <= 10_000, "the shorter one counts");
}

#[tokio::test]
async fn also_after_the_handler_has_waited() {
    let chain = chain(time_left(), async |_, upstream| {
        tokio::time::sleep(Duration::from_millis(200)).await;
        call(&upstream, "").await
    })
    .await;
    assert!(chain.ms_left(2_000).await <= 1_801);
}

#[tokio::test]
async fn a_detached_call_has_its_own_time() {
    let chain =
        chain(time_left(), |_, upstream| call(&upstream, "").detached().into_future()).await;
    assert!(chain.ms_left(2_000).await > 2_000);
}

#[tokio::test]
async fn a_task_that_the_handler_starts_can_keep_to_its_time() {
    let chain = chain(time_left(), async |cx, upstream| {
        let free = tokio::spawn(call(&upstream, "").into_future()).await.unwrap()?;
        let bound = tokio::spawn(call(&upstream, "").within(&cx).into_future()).await.unwrap()?;
        Ok(format!("{}{:05}", free, bound.parse::<u64>().unwrap()))
    })
    .await;
    let both = chain.ms_left(2_000).await;
    assert!(both / 100_000 > 2_000 && both % 100_000 <= 2_000, "{both}");
}

#[tokio::test]
async fn what_runs_out_of_time_behind_ends_in_front() {
    let never = answering(|_, _| async { std::future::pending().await });
    let chain = chain(never, |_, upstream| call(&upstream, "").into_future()).await;
    let begin = Instant::now();
    let call = call(&chain.front, "").timeout(Duration::from_millis(200));
    let status = within(call.into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_status_that_is_handed_on_keeps_its_details_and_leaves_its_metadata() {
    let violation = FieldViolation { field: "user".into(), description: "is empty".into() };
    let bad = BadRequest { field_violations: vec![violation] };
    let back = answering({
        let bad = bad.clone();
        move |cx, _| {
            cx.reply_metadata("secret", "1");
            let mut status = Status::invalid_argument("no user").with_detail(&bad);
            status.metadata_mut().insert("secret", "2");
            std::future::ready(Err(status))
        }
    });
    let chain = chain(back, async |cx, upstream| {
        cx.reply_metadata("own", "3");
        let reply = call(&upstream, "").await;
        let found = reply.as_ref().unwrap_err().metadata().get_all("secret").count();
        assert_eq!(found, 2);
        reply
    })
    .await;
    let status = within(call(&chain.front, "").into_future()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "no user"));
    assert_eq!(status.detail(), Some(bad));
    assert_eq!(status.metadata().get("secret"), None);
    assert_eq!(status.metadata().get_str("own"), Some("3"));
}

/// A service whose handlers put their responders where the test finds them.
fn deferring() -> (Echo, mpsc::Receiver<Responder<String>>) {
    let (responders, found) = mpsc::channel();
    let responders = Mutex::new(responders);
    let service = answering(move |cx, _| {
        let (responder, reply) = cx.defer();
        responders.lock().unwrap().send(responder).unwrap();
        reply
    });
    (service, found)
}

#[tokio::test]
async fn a_deferred_reply_comes_from_another_thread_after_the_handler_has_returned() {
    let broker = broker();
    let (service, responders) = deferring();
    let _worker = worker(&broker, service).await;
    let client = client(&broker).await;
    let answers = thread::spawn(move || {
        // The later call is answered first.
        let both: Vec<_> = responders.iter().take(2).collect();
        for (number, responder) in both.into_iter().enumerate().rev() {
            responder.reply(number.to_string());
        }
    });
    let first = tokio::spawn(call(&client, "").into_future());
    until(async || broker.stats().await.running == 1).await;
    let second = within(call(&client, "").into_future()).await;
    assert_eq!(second.unwrap(), "1");
    assert_eq!(within(first).await.unwrap().unwrap(), "0");
    answers.join().unwrap();
}

#[tokio::test]
async fn a_responder_that_is_dropped_ends_the_call_with_internal() {
    let broker = broker();
    let (service, responders) = deferring();
    let _worker = worker(&broker, service).await;
    let client = client(&broker).await;
    let asked = tokio::spawn(call(&client, "").into_future());
    let responder = tokio::task::spawn_blocking(move || responders.recv().unwrap());
    drop(within(responder).await.unwrap());
    let status = within(asked).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains("dropped unanswered"), "{status}");
}

#[tokio::test]
async fn a_responder_can_fail_and_sees_that_nobody_waits() {
    let broker = broker();
    let (service, responders) = deferring();
    let _worker = worker(&broker, service).await;
    let client = client(&broker).await;
    let responders = Arc::new(Mutex::new(responders));
    let next = || {
        let responders = Arc::clone(&responders);
        within(tokio::task::spawn_blocking(move || responders.lock().unwrap().recv().unwrap()))
    };
    let asked = tokio::spawn(call(&client, "").into_future());
    next().await.unwrap().fail(Status::not_found("nothing"));
    assert_eq!(within(asked).await.unwrap().unwrap_err().code(), Code::NotFound);

    let asked = tokio::spawn(call(&client, "").into_future());
    let responder = next().await.unwrap();
    asked.abort();
    within(responder.context().cancelled()).await;
    assert!(responder.context().is_cancelled());
    responder.reply("too late".into());
    // The worker's answer to CANCEL, and no other: what comes behind it comes after it.
    until(async || broker.stats().await.late > 0).await;
    let asked = tokio::spawn(call(&client, "").into_future());
    next().await.unwrap().reply("in time".into());
    assert_eq!(within(asked).await.unwrap().unwrap(), "in time");
    assert_eq!(broker.stats().await.late, 1);
}
