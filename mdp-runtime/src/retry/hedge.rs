//! Hedging: a second attempt while the first is still running, for methods without side effects.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Answering, Codes, RetryBudget, after, budget_of};
use crate::call::{Idempotency, Reply, Request};
use crate::intercept::{Interceptor, Next};
use crate::trace_context;
use mdp_call::status::{Code, Status};

const ATTEMPTS: u8 = 2;

/// Sends a call again if no answer has come within a delay, to another worker if one is free. The first successful
/// answer wins; the other attempts are cancelled, and their handlers stopped. Use hedging for calls that occasionally
/// take far longer than usual. With the 95th percentile of their duration as the delay, a client sends 5 % more calls
/// and waits for few slow ones.
///
/// Hedging applies only to methods whose schema declares that they have no side effects (`idempotency_level =
/// NO_SIDE_EFFECTS`, `#[mdp(no_side_effects)]`). [`Client::hedge`](crate::Client::hedge) does not change calls of other
/// methods; [`Call::hedge`](crate::Call::hedge) on another method ends the call with FAILED_PRECONDITION. A call with
/// streams is sent once.
///
/// When an attempt fails with UNAVAILABLE, or a full queue refuses it, the next attempt starts at once; any other
/// status ends the call. Each attempt after the first takes from the [`budget`](Self::budget), by default the client's.
/// While the budget is used up, calls are sent once.
///
/// ```
/// use std::time::Duration;
/// use mdp_runtime::{Client, HedgePolicy};
///
/// # fn doc(client: Client) {
/// let client = client.hedge(HedgePolicy::after(Duration::from_millis(30)));
/// // let search = SearchClient::new(client);
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct HedgePolicy {
    delay: Duration,
    attempts: u8,
    codes: Codes,
    budget: Option<RetryBudget>,
}

impl HedgePolicy {
    /// Makes a policy that starts another attempt whenever this much time has passed since the last attempt began.
    pub fn after(delay: Duration) -> Self {
        HedgePolicy { delay, attempts: ATTEMPTS, codes: Codes::default(), budget: None }
    }

    /// Sets the maximum number of attempts, including the first. 0 counts as 1. Default: 2.
    pub fn attempts(mut self, attempts: u8) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the codes that do not end the call while another attempt runs or may begin. These replace the default.
    /// Default: UNAVAILABLE, and RESOURCE_EXHAUSTED of an attempt that was not started.
    pub fn codes(mut self, codes: impl IntoIterator<Item = Code>) -> Self {
        self.codes = Codes(Some(codes.into_iter().collect()));
        self
    }

    /// Sets the budget that bounds the share of attempts after the first, as in
    /// [`RetryPolicy::budget`](super::RetryPolicy::budget). Default: the client's budget.
    pub fn budget(mut self, budget: &RetryBudget) -> Self {
        self.budget = Some(budget.clone());
        self
    }
}

/// Hedges calls according to a policy.
pub(crate) struct Hedging {
    policy: Arc<HedgePolicy>,
}

impl Hedging {
    pub(crate) fn new(policy: HedgePolicy) -> Self {
        Hedging { policy: Arc::new(policy) }
    }
}

impl Interceptor for Hedging {
    async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
        if request.kind().is_stream() {
            return next.call(request).await;
        }
        if matches!(request.retry_options.hedge, super::Choice::Set(_)) {
            check(&request)?;
        } else if check(&request).is_err() {
            return next.call(request).await;
        }
        match request.retry_options.hedge.take(Some((&self.policy, false))) {
            Some(policy) => hedged(&policy, request, |request| Box::pin(next.call(request))).await,
            None => next.call(request).await,
        }
    }
}

/// # Errors
///
/// FAILED_PRECONDITION: the method must not be hedged.
pub(super) fn check(request: &Request) -> Result<(), Status> {
    if request.idempotency() == Idempotency::NoSideEffects {
        return Ok(());
    }
    let path = request.method();
    let message = format!("{path} is not declared free of side effects, so it cannot be hedged");
    Err(Status::failed_precondition(message).with_not_started(true))
}

/// Makes a call, and further attempts while no answer comes.
pub(super) async fn hedged(
    policy: &HedgePolicy,
    request: Request,
    attempt: impl Fn(Request) -> Answering,
) -> Result<Reply, Status> {
    let budget = budget_of(policy.budget.as_ref(), &request);
    let mut begun: u8 = 1;
    let mut running = Running(vec![attempt(request.clone())]);
    loop {
        let may_begin = begun < policy.attempts;
        let delay = pin!(async {
            match may_begin {
                true => tokio::time::sleep(policy.delay).await,
                false => std::future::pending().await,
            }
        });
        match running.next(delay).await {
            Some(Ok(reply)) => return Ok(after(reply, begun - 1)),
            Some(Err(status)) if !policy.codes.has(&status) => return Err(status),
            Some(Err(status)) if !may_begin || !budget.spend() => {
                if running.0.is_empty() {
                    return Err(status);
                }
                // The remaining attempts may still succeed.
                return running.rest(policy, status).await.map(|reply| after(reply, begun - 1));
            }
            Some(Err(_)) => {}
            None if budget.spend() => {}
            None => {
                tracing::debug!(method = request.method(), "not hedged: the budget is spent");
                let nothing = Status::internal("no attempt was left");
                return running.rest(policy, nothing).await.map(|reply| after(reply, begun - 1));
            }
        }
        tracing::debug!(
            method = request.method(),
            begun,
            "another attempt starts while the call runs"
        );
        begun += 1;
        trace_context::attempt(begun);
        running.0.push(attempt(request.clone()));
    }
}

/// The running attempts. Dropping them cancels the ones that are left.
struct Running(Vec<Answering>);

impl Running {
    /// The next attempt that ends; `None`: the delay passed first.
    async fn next(
        &mut self,
        mut delay: std::pin::Pin<&mut impl Future<Output = ()>>,
    ) -> Option<Result<Reply, Status>> {
        poll_fn(|cx| match self.poll_any(cx) {
            Poll::Ready(end) => Poll::Ready(Some(end)),
            Poll::Pending => delay.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    /// Waits for the remaining attempts without starting more; `status` is that of the last failed attempt.
    async fn rest(mut self, policy: &HedgePolicy, mut status: Status) -> Result<Reply, Status> {
        while !self.0.is_empty() {
            match poll_fn(|cx| self.poll_any(cx)).await {
                Err(failed) if policy.codes.has(&failed) => status = failed,
                end => return end,
            }
        }
        Err(status)
    }

    fn poll_any(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, Status>> {
        let found = self.0.iter_mut().enumerate().find_map(|(place, attempt)| {
            match attempt.as_mut().poll(cx) {
                Poll::Ready(end) => Some((place, end)),
                Poll::Pending => None,
            }
        });
        let Some((place, end)) = found else { return Poll::Pending };
        drop(self.0.swap_remove(place));
        Poll::Ready(end)
    }
}
