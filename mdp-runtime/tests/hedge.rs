//! Calls that are made beside themselves, if they have no side effects.

#![allow(clippy::unwrap_used)] // tests

mod support;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mdp_runtime::testing::{self, InMemory};
use mdp_runtime::{Client, Code, HedgePolicy, RetryBudget, RetryPolicy, Status};
use support::{Echo, answering, call, look_call, safe_call, until, within};

const LONG: Duration = Duration::from_secs(3_600);

/// Soon, and with more of a budget than a test needs.
fn soon() -> HedgePolicy {
    after(Duration::from_millis(30))
}

fn after(delay: Duration) -> HedgePolicy {
    HedgePolicy::after(delay).budget(&RetryBudget::new(0.0, 1_000))
}

/// How many handlers were begun, and how many are at work.
#[derive(Clone, Default)]
struct Handlers {
    begun: Arc<AtomicUsize>,
    at_work: Arc<AtomicUsize>,
}

struct AtWork(Arc<AtomicUsize>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Handlers {
    fn begun(&self) -> usize {
        self.begun.swap(0, Ordering::SeqCst)
    }

    /// The request says what each attempt does, a word for each: "stuck", a code or an answer.
    fn service(&self) -> Echo {
        let this = self.clone();
        answering(move |_, request: String| {
            let place = this.begun.fetch_add(1, Ordering::SeqCst);
            this.at_work.fetch_add(1, Ordering::SeqCst);
            let here = AtWork(Arc::clone(&this.at_work));
            async move {
                let _here = here;
                match request.split(' ').nth(place).unwrap_or("stuck") {
                    "stuck" => pending().await,
                    "slow" => {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        Ok("slow".to_owned())
                    }
                    "unavailable" => Err(Status::unavailable("not now")),
                    "missing" => Err(Status::not_found("not here")),
                    answer => Ok(answer.to_owned()),
                }
            }
        })
    }

    async fn are_gone(&self) {
        until(async || self.at_work.load(Ordering::SeqCst) == 0).await;
    }
}

/// A client over a broker and one in memory, and what is to be kept for them.
async fn clients(handlers: &Handlers) -> ([Client; 2], impl Sized) {
    let broker = testing::broker().unwrap();
    let worker = broker.serve(handlers.service()).await.unwrap();
    let client = broker.client().await.unwrap();
    let memory = InMemory::new().serve(handlers.service()).client();
    ([client, memory], (worker, broker))
}

#[tokio::test]
async fn the_first_good_answer_wins_and_the_others_are_stopped() {
    let handlers = Handlers::default();
    let (clients, _kept) = clients(&handlers).await;
    for below in clients {
        let client = below.hedge(soon());
        let reply = within(look_call(&client, "stuck second").send()).await.unwrap();
        assert_eq!((reply.message().as_str(), reply.attempts()), ("second", 2));
        handlers.are_gone().await;
        assert_eq!(handlers.begun(), 2);
        let three = look_call(&below, "stuck stuck third").hedge(&soon().attempts(3));
        assert_eq!(within(three.into_future()).await.unwrap(), "third");
        handlers.are_gone().await;
        assert_eq!(handlers.begun(), 3);
        // One that answers in time is alone.
        let alone = look_call(&below, "first second").hedge(&after(LONG)).send();
        let reply = within(alone).await.unwrap();
        assert_eq!((reply.message().as_str(), reply.attempts()), ("first", 1));
        assert_eq!(handlers.begun(), 1);
        assert_eq!(within(look_call(&client, "slow").no_hedge()).await.unwrap(), "slow");
        assert_eq!(handlers.begun(), 1);
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_stops_all_attempts() {
    let handlers = Handlers::default();
    let (clients, _kept) = clients(&handlers).await;
    for below in clients {
        let client = below.hedge(soon());
        let running = tokio::spawn(look_call(&client, "stuck stuck").into_future());
        until(async || handlers.at_work.load(Ordering::SeqCst) == 2).await;
        running.abort();
        handlers.are_gone().await;
        assert_eq!(handlers.begun(), 2);
        let timeout = Duration::from_millis(300);
        let status = within(look_call(&client, "stuck stuck").timeout(timeout).into_future()).await;
        assert_eq!(status.unwrap_err().code(), Code::DeadlineExceeded);
        handlers.are_gone().await;
        handlers.begun();
    }
}

#[tokio::test]
async fn only_methods_without_side_effects_are_hedged() {
    let handlers = Handlers::default();
    let (clients, _kept) = clients(&handlers).await;
    for below in clients {
        let client = below.hedge(soon());
        for may_do_harm in [call, safe_call] {
            assert_eq!(within(may_do_harm(&client, "slow").into_future()).await.unwrap(), "slow");
            assert_eq!(handlers.begun(), 1);
            for client in [&client, &below] {
                let asked = may_do_harm(client, "slow").hedge(&soon());
                let status = within(asked.into_future()).await.unwrap_err();
                assert_eq!(status.code(), Code::FailedPrecondition);
                assert!(status.not_started());
                assert_eq!(handlers.begun(), 0);
            }
        }
    }
}

#[tokio::test]
async fn a_status_ends_the_call_unless_another_attempt_may_do_better() {
    let handlers = Handlers::default();
    let (clients, _kept) = clients(&handlers).await;
    for below in clients {
        let client = below.hedge(soon());
        let status = within(look_call(&client, "stuck missing").into_future()).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        handlers.are_gone().await;
        handlers.begun();
        // The next one takes the place of one that failed, at once.
        let begun = Instant::now();
        let next = look_call(&below, "unavailable second").hedge(&after(LONG));
        assert_eq!(within(next.into_future()).await.unwrap(), "second");
        assert!(begun.elapsed() < Duration::from_secs(10));
        handlers.begun();
        // The first one is still waited for.
        assert_eq!(within(look_call(&client, "slow unavailable")).await.unwrap(), "slow");
        handlers.begun();
        let status = within(look_call(&client, "unavailable unavailable").into_future()).await;
        assert_eq!((status.unwrap_err().code(), handlers.begun()), (Code::Unavailable, 2));
    }
}

#[tokio::test]
async fn the_budget_pays() {
    let handlers = Handlers::default();
    let client = InMemory::new().serve(handlers.service()).client();
    let client = client.hedge(soon().budget(&RetryBudget::new(0.0, 0)));
    assert_eq!(within(look_call(&client, "slow second").into_future()).await.unwrap(), "slow");
    assert_eq!(handlers.begun(), 1);
}

#[tokio::test]
async fn each_attempt_of_a_policy_is_hedged() {
    let handlers = Handlers::default();
    let (clients, _kept) = clients(&handlers).await;
    let budget = RetryBudget::new(0.0, 100);
    let retry = RetryPolicy::new().backoff(Duration::ZERO, Duration::ZERO).budget(&budget);
    for below in clients {
        let words = "unavailable unavailable stuck fourth";
        let client = below.retry(retry.clone()).hedge(soon());
        let reply = within(look_call(&client, words).send()).await.unwrap();
        assert_eq!((reply.message().as_str(), reply.attempts()), ("fourth", 3));
        handlers.are_gone().await;
        assert_eq!(handlers.begun(), 4);
        let asked = look_call(&below, words).retry(&retry).hedge(&soon());
        assert_eq!(within(asked.into_future()).await.unwrap(), "fourth");
        handlers.are_gone().await;
        assert_eq!(handlers.begun(), 4);
    }
}
