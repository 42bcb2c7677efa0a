//! Calls that are tried again: where it is safe, within their time and the budget.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mdp_runtime::codegen::MethodSpec;
use mdp_runtime::details::RetryInfo;
use mdp_runtime::testing::InMemory;
use mdp_runtime::{
    Broker, Call, Client, Code, Interceptor, Next, Reply, Request, RetryBudget, RetryPolicy,
    Status, Worker,
};
use support::{
    Raw, RawPeer, answering, broker, call, client, look_call, safe_call, start, until, within,
    worker,
};

/// Without waiting in between, and with more of a budget than a test needs.
fn quick(attempts: u8) -> RetryPolicy {
    let policy = RetryPolicy::new().attempts(attempts).budget(&RetryBudget::new(0.0, 10_000));
    policy.backoff(Duration::ZERO, Duration::ZERO)
}

/// What the handlers have done.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Vec<Instant>>>);

impl Ledger {
    fn runs(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn take(&self) -> Vec<Instant> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Fails as often as the request says, then answers.
    fn service(&self, status: fn() -> Status) -> support::Echo {
        let ledger = self.0.clone();
        answering(move |_, request| {
            let mut runs = ledger.lock().unwrap();
            runs.push(Instant::now());
            let fails = runs.len() <= request.parse().unwrap_or(usize::MAX);
            async move { if fails { Err(status()) } else { Ok(request) } }
        })
    }
}

fn unavailable() -> Status {
    Status::unavailable("not now")
}

/// Counts attempts, when it is added within a policy.
#[derive(Clone, Default)]
struct Attempts(Arc<AtomicUsize>);

impl Interceptor for Attempts {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        self.0.fetch_add(1, Ordering::SeqCst);
        next.call(request).await
    }
}

#[tokio::test]
async fn what_may_have_run_is_tried_again_only_if_it_is_idempotent() {
    let broker = broker();
    let ledger = Ledger::default();
    let _worker = worker(&broker, ledger.service(unavailable)).await;
    let memory = InMemory::new().serve(ledger.service(unavailable)).client();
    for below in [client(&broker).await, memory] {
        let client = below.retry(quick(3));
        let status = within(call(&client, "2").send()).await.unwrap_err();
        assert_eq!((status.code(), ledger.take().len()), (Code::Unavailable, 1));
        for idempotent in
            [call(&client, "2").idempotent(), safe_call(&client, "2"), look_call(&client, "2")]
        {
            let reply = within(idempotent.send()).await.unwrap();
            assert_eq!((reply.attempts(), ledger.take().len()), (3, 3));
        }
        // As often as the policy says, and no more.
        let status = within(safe_call(&client, "3").send()).await.unwrap_err();
        assert_eq!((status.code(), ledger.take().len()), (Code::Unavailable, 3));
        // Asked for by a call, with a client that does not, and the other way round.
        let policy = quick(2);
        assert!(within(safe_call(&below, "1").into_future()).await.is_err());
        assert_eq!(ledger.take().len(), 1);
        let reply = within(safe_call(&below, "1").retry(&policy).send()).await.unwrap();
        assert_eq!((reply.attempts(), ledger.take().len()), (2, 2));
        assert!(within(safe_call(&client, "2").retry(&policy)).await.is_err());
        assert_eq!(ledger.take().len(), 2);
        assert!(within(safe_call(&client, "1").no_retry()).await.is_err());
        assert_eq!(ledger.take().len(), 1);
    }
}

#[tokio::test]
async fn only_the_codes_of_the_policy_are_tried_again() {
    let ledger = Ledger::default();
    let aborted = InMemory::new().serve(ledger.service(|| Status::aborted("lost a race"))).client();
    assert!(within(safe_call(&aborted.retry(quick(3)), "1").into_future()).await.is_err());
    assert_eq!(ledger.take().len(), 1);
    let codes = quick(3).codes([Code::Aborted]);
    assert!(within(safe_call(&aborted.retry(codes), "1").into_future()).await.is_ok());
    assert_eq!(ledger.take().len(), 2);
    // A quota of the handler's own is not a full queue.
    let full = InMemory::new().serve(ledger.service(|| Status::resource_exhausted("no more")));
    let full = full.client().retry(quick(3));
    assert!(within(safe_call(&full, "1").into_future()).await.is_err());
    assert_eq!(ledger.take().len(), 1);
}

#[tokio::test]
async fn what_was_not_started_is_tried_again_whatever_it_does() {
    let broker = broker();
    let ledger = Ledger::default();
    let _other = worker(&broker, ledger.service(unavailable)).await;
    let attempts = Attempts::default();
    let policy = quick(u8::MAX).backoff(Duration::from_millis(10), Duration::from_millis(40));
    let client = client(&broker).await.retry(policy).intercept(attempts.clone());
    let late = tokio::spawn(call(&client, "0").to_worker("late").send());
    until(async || attempts.0.load(Ordering::SeqCst) >= 2).await;
    let service = ledger.service(unavailable);
    let builder = Worker::builder().connect(&broker.endpoints()[0]).id("late");
    let _late = builder.serve(service).start().unwrap();
    let reply = within(late).await.unwrap().unwrap();
    assert_eq!(reply.worker(), b"late");
    assert_eq!(usize::from(reply.attempts()), attempts.0.load(Ordering::SeqCst));
    assert_eq!(ledger.runs(), 1);
}

#[tokio::test]
async fn a_full_client_is_tried_again() {
    let broker = broker();
    let open = Arc::new(tokio::sync::Semaphore::new(0));
    let gate = Arc::clone(&open);
    let _worker = worker(
        &broker,
        answering(move |_, request| {
            let gate = Arc::clone(&gate);
            async move {
                let _permit = gate.acquire().await.unwrap();
                Ok(request)
            }
        }),
    )
    .await;
    let attempts = Attempts::default();
    let policy = quick(u8::MAX).backoff(Duration::from_millis(10), Duration::from_millis(40));
    let builder = Client::builder().connect(&broker.endpoints()[0]).max_calls(1);
    let below = builder.open().await.unwrap();
    let first = tokio::spawn(call(&below, "first").into_future());
    until(async || broker.stats().await.running == 1).await;
    let client = below.retry(policy).intercept(attempts.clone());
    let second = tokio::spawn(call(&client, "second").into_future());
    until(async || attempts.0.load(Ordering::SeqCst) >= 2).await;
    open.add_permits(2);
    assert_eq!(within(first).await.unwrap().unwrap(), "first");
    assert_eq!(within(second).await.unwrap().unwrap(), "second");
    assert_eq!(broker.stats().await.dispatched, 2);
}

#[tokio::test]
async fn a_killed_workers_call_is_not_tried_again_unless_it_is_idempotent() {
    let broker = start(mdp_runtime::Broker::builder());
    let raw = RawPeer::worker(&broker, "doomed");
    let client = client(&broker).await.retry(quick(5));
    let doomed = tokio::spawn(call(&client, "0").send());
    let raw = tokio::task::spawn_blocking(move || {
        raw.receive_one(|record| matches!(record, Raw::Request { .. }).then_some(()));
        raw
    });
    let raw = within(raw).await.unwrap();
    let ledger = Ledger::default();
    let _worker = worker(&broker, ledger.service(unavailable)).await;
    drop(raw);
    let status = within(doomed).await.unwrap().unwrap_err();
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, false));
    assert_eq!(status.reason().as_deref(), Some("MAYBE_EXECUTED"));
    assert_eq!(ledger.runs(), 0);
    assert_eq!(broker.stats().await.dispatched, 1);
}

/// Lets the first attempt through, and each further one when it is told to.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicUsize>, Arc<tokio::sync::Notify>);

impl Interceptor for Gate {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        if self.0.fetch_add(1, Ordering::SeqCst) > 0 {
            self.1.notified().await;
        }
        next.call(request).await
    }
}

#[tokio::test]
async fn a_call_that_ran_once_is_not_said_not_to_have_started() {
    let broker = broker();
    let ledger = Ledger::default();
    let _other = worker(&broker, ledger.service(unavailable)).await;
    let builder = Worker::builder().connect(&broker.endpoints()[0]).id("first");
    let first = builder.serve(ledger.service(unavailable)).start().unwrap();
    within(first.connected()).await.unwrap();
    let gate = Gate::default();
    let client = client(&broker).await.retry(quick(2)).intercept(gate.clone());
    let refused = safe_call(&client, "9").to_worker("nobody").no_retry().send();
    assert!(within(refused).await.unwrap_err().not_started());
    gate.0.store(0, Ordering::SeqCst);
    let running = tokio::spawn(safe_call(&client, "9").to_worker("first").send());
    until(async || gate.0.load(Ordering::SeqCst) == 2).await;
    within(first.shutdown(Duration::ZERO)).await;
    gate.1.notify_one();
    let status = within(running).await.unwrap().unwrap_err();
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, false));
    assert_eq!(ledger.runs(), 1);
}

#[tokio::test]
async fn the_budget_holds_under_a_storm() {
    // On a busy machine the storm is more than the worker can end in time.
    let broker = start(Broker::builder().admission(false));
    let ledger = Ledger::default();
    let _worker = worker(&broker, ledger.service(unavailable)).await;
    let (calls, share, reserve) = (400, 0.2, 5);
    let policy = quick(5).budget(&RetryBudget::new(share, reserve));
    let client = client(&broker).await.retry(policy);
    let begun = Instant::now();
    let storm: Vec<_> = (0..calls)
        .map(|_| {
            let handle = client.clone();
            tokio::spawn(safe_call(&handle, "storm").into_future())
        })
        .collect();
    for call in storm {
        assert_eq!(within(call).await.unwrap().unwrap_err().code(), Code::Unavailable);
    }
    // The reserve is full again every 10 s.
    let refilled = (begun.elapsed().as_secs_f64() / 10.0 * f64::from(reserve)).ceil() as usize;
    let max = calls + (calls as f64 * share) as usize + reserve as usize + refilled;
    let runs = ledger.runs();
    assert!((calls + reserve as usize..=max).contains(&runs), "{runs} of at most {max}");
}

#[tokio::test]
async fn clones_of_a_client_share_the_default_budget() {
    let ledger = Ledger::default();
    let below = InMemory::new().serve(ledger.service(unavailable)).client();
    let policy = || RetryPolicy::new().attempts(u8::MAX).backoff(Duration::ZERO, Duration::ZERO);
    let begun = Instant::now();
    for _ in 0..10 {
        let client = below.clone().retry(policy());
        assert!(within(safe_call(&client, "storm").into_future()).await.is_err());
        assert!(within(safe_call(&below, "storm").retry(&policy())).await.is_err());
    }
    // 20 calls, of which 20 %, and the reserve of 10, which fills up within 10 s.
    let max = 20 + 4 + 10 + begun.elapsed().as_secs_f64().ceil() as usize;
    assert!((20 + 10..=max).contains(&ledger.runs()), "{} of {max}", ledger.runs());
}

#[tokio::test]
async fn all_attempts_share_the_deadline() {
    let broker = broker();
    let left = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&left);
    let _worker = worker(
        &broker,
        answering(move |cx, _| {
            seen.lock().unwrap().push(cx.time_left());
            async move { Err(unavailable()) }
        }),
    )
    .await;
    let policy = quick(u8::MAX).backoff(Duration::from_millis(60), Duration::from_millis(60));
    let client = client(&broker).await.retry(policy);
    let (begun, timeout) = (Instant::now(), Duration::from_millis(400));
    let status = within(safe_call(&client, "x").timeout(timeout).into_future()).await.unwrap_err();
    assert!([Code::Unavailable, Code::DeadlineExceeded].contains(&status.code()), "{status}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let left = left.lock().unwrap();
    assert!(left.len() >= 2 && left.iter().all(|left| *left <= timeout), "{left:?}");
    // Each has less than the one before.
    assert!(left.windows(2).all(|pair| pair[1] < pair[0]), "{left:?}");
}

#[tokio::test]
async fn the_status_says_how_long_to_wait() {
    let broker = broker();
    let ledger = Ledger::default();
    let after = |ms: i32| {
        let delay = mdp_runtime::codegen::prost_types::Duration {
            seconds: i64::from(ms / 1_000),
            nanos: ms % 1_000 * 1_000_000,
        };
        unavailable().with_detail(&RetryInfo { retry_delay: Some(delay) })
    };
    let soon = ledger.clone();
    let _worker = worker(
        &broker,
        answering(move |_, request: String| {
            soon.0.lock().unwrap().push(Instant::now());
            let fails = soon.runs() < 2;
            async move { if fails { Err(after(request.parse().unwrap())) } else { Ok(request) } }
        }),
    )
    .await;
    let client = client(&broker).await.retry(quick(2));
    assert_eq!(within(safe_call(&client, "150").into_future()).await.unwrap(), "150");
    let runs = ledger.take();
    assert!(runs[1] - runs[0] >= Duration::from_millis(150), "{:?}", runs[1] - runs[0]);
    // Beyond the deadline it is not waited for.
    let begun = Instant::now();
    let status = within(safe_call(&client, "30000").into_future()).await.unwrap_err();
    assert_eq!((status.code(), ledger.runs()), (Code::Unavailable, 1));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_method_has_its_own_policy_and_policies_do_not_multiply() {
    let ledger = Ledger::default();
    let below = InMemory::new().serve(ledger.service(unavailable)).client();
    let client = below.retry_method(support::SAFE.path, quick(4)).retry(quick(2)).retry(quick(3));
    assert!(within(safe_call(&client, "99").into_future()).await.is_err());
    assert_eq!(ledger.take().len(), 4);
    assert!(within(look_call(&client, "99").into_future()).await.is_err());
    assert_eq!(ledger.take().len(), 2);
    let builder = Client::builder().retry(quick(3));
    let client = builder.over(InMemory::new().serve(ledger.service(unavailable)).client());
    assert!(within(safe_call(&client, "99").into_future()).await.is_err());
    assert_eq!(ledger.take().len(), 3);
}

/// What the schema says holds unless somebody closer to the call says otherwise.
#[tokio::test]
async fn a_schema_says_how_often_a_method_is_tried() {
    let four = MethodSpec { retry_attempts: Some(4), ..support::SAFE };
    let four: &'static MethodSpec = Box::leak(Box::new(four));
    let ledger = Ledger::default();
    let below = Client::in_memory(ledger.service(unavailable));
    let never = usize::MAX.to_string();
    let call = |client: &Client| Call::<String>::new(client, four, &never);
    let runs = async |call: Call<String>| {
        assert_eq!(within(call.into_future()).await.unwrap_err().code(), Code::Unavailable);
        ledger.take().len()
    };
    assert_eq!(runs(call(&below)).await, 4);
    assert_eq!(runs(call(&below).no_retry()).await, 1);
    assert_eq!(runs(call(&below).retry(&quick(2))).await, 2);
    assert_eq!(runs(call(&below.retry(quick(2)))).await, 4);
    assert_eq!(runs(call(&below.retry_method(four.path, quick(2)))).await, 2);
}

#[test]
fn a_thread_without_tokio_tries_again() {
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let (broker, ledger) = (broker(), Ledger::default());
    let _worker = tokio.block_on(worker(&broker, ledger.service(unavailable)));
    let builder = Client::builder().connect(&broker.endpoints()[0]);
    let client = builder.retry(quick(3)).open_blocking().unwrap();
    assert_eq!(safe_call(&client.handle(), "2").wait().unwrap(), "2");
    assert_eq!(ledger.runs(), 3);
}
