//! Calls that are attempted more than once: again after a failure, or a second time while the first attempt runs.

mod budget;
mod hedge;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use budget::RetryBudget;
pub use hedge::HedgePolicy;
pub(crate) use hedge::Hedging;

use crate::call::{Answering, Channel, MethodSpec, Replies, Reply, Request, Requests};
use crate::client::Client;
use crate::intercept::{Interceptor, Next};
use crate::trace_context;
use mdp_call::codec::details::RetryInfo;
use mdp_call::status::{Code, Status};
use mdp_transport::clock;

const ATTEMPTS: u8 = 3;
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// How failed calls with one request and one reply are retried: for a client ([`Client::retry`](crate::Client::retry)),
/// for one of a client's methods ([`Client::retry_method`](crate::Client::retry_method)), or for one call
/// ([`Call::retry`](crate::Call::retry)). A schema can give a method a number of attempts (`retry_attempts`). The most
/// specific policy applies: the call's own, then the client's for the method, then the schema's, then the client's for
/// all methods.
///
/// A call is retried if all of these conditions hold:
///
/// - The status has one of the [`codes`](Self::codes).
/// - The retry is safe: the broker reports that no handler was started ([`Status::not_started`]), or the call is
///   idempotent, by its schema or its caller.
/// - Fewer than [`attempts`](Self::attempts) were made, and the [`budget`](Self::budget) is not spent.
/// - Time is left after the back-off. The call's deadline applies to all attempts together.
///
/// Default: no retries. The broker itself moves the calls of lost workers where that is safe
/// ([`ClientBuilder::attempts`](crate::ClientBuilder::attempts)). If each layer of a system made three attempts by
/// default, an outage at the bottom would multiply the load at each layer.
///
/// ```
/// use std::time::Duration;
/// use mdp_runtime::{Client, Code, RetryPolicy};
///
/// # fn doc(client: Client) {
/// let policy = RetryPolicy::new()
///     .attempts(4)
///     .backoff(Duration::from_millis(20), Duration::from_secs(1))
///     .codes([Code::Unavailable, Code::Aborted]);
/// let client = client.retry(policy);
/// // let auth = AuthClient::new(client);
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RetryPolicy {
    attempts: u8,
    first: Duration,
    max: Duration,
    codes: Codes,
    budget: Option<RetryBudget>,
    jitter: Arc<Jitter>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts: ATTEMPTS,
            first: FIRST_BACKOFF,
            max: MAX_BACKOFF,
            codes: Codes::default(),
            budget: None,
            jitter: Arc::new(Jitter::new(clock::seed())),
        }
    }
}

impl RetryPolicy {
    /// Makes a policy with the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the maximum number of attempts, including the first. 0 counts as 1. Default: 3.
    pub fn attempts(mut self, attempts: u8) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the wait before another attempt: at most `first` before the second attempt, at most twice as long before
    /// each further one, and never longer than `max`. The wait is random between zero and that limit, so that calls
    /// that failed together are not retried together. Default: 50 ms and 2 s.
    ///
    /// A status with [`RetryInfo`](crate::details::RetryInfo) sets the wait itself; that exact wait is used.
    pub fn backoff(mut self, first: Duration, max: Duration) -> Self {
        (self.first, self.max) = (first, max);
        self
    }

    /// Sets the codes after which a call is retried, if that is safe. These replace the default. Default: UNAVAILABLE,
    /// and RESOURCE_EXHAUSTED of a call that was not started, which means a full queue.
    pub fn codes(mut self, codes: impl IntoIterator<Item = Code>) -> Self {
        self.codes = Codes(Some(codes.into_iter().collect()));
        self
    }

    /// Sets the budget that bounds the share of attempts after the first. Default: the client's budget, with the
    /// defaults of [`RetryBudget`].
    pub fn budget(mut self, budget: &RetryBudget) -> Self {
        self.budget = Some(budget.clone());
        self
    }

    /// Sets the seed of the random back-off, for tests that need the same waits each time.
    pub fn seed(mut self, seed: u64) -> Self {
        self.jitter = Arc::new(Jitter::new(seed));
        self
    }

    /// The wait before the next attempt; `None`: no further attempt, regardless of the budget.
    fn again(
        &self,
        request: &Request,
        status: &Status,
        made: u8,
        left: Duration,
    ) -> Option<Duration> {
        let safe = not_started(status) || request.is_idempotent();
        if made >= self.attempts || !safe || !self.codes.has(status) {
            return None;
        }
        let asked = status.detail::<RetryInfo>().and_then(|info| info.delay());
        let wait = asked.unwrap_or_else(|| self.jitter.up_to(self.ceiling(made)));
        (wait < left).then_some(wait)
    }

    /// The longest back-off after this many attempts.
    fn ceiling(&self, made: u8) -> Duration {
        let doubled = 1_u32.checked_shl(u32::from(made.saturating_sub(1))).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.max)
    }
}

/// Whether the broker has reported this about the call itself. A status of another call that an interceptor returned
/// does not count.
fn not_started(status: &Status) -> bool {
    status.not_started() && status.method().is_none()
}

/// The codes after which a call may be retried.
#[derive(Clone, Debug, Default)]
struct Codes(Option<Vec<Code>>);

impl Codes {
    fn has(&self, status: &Status) -> bool {
        let code = status.code();
        match &self.0 {
            Some(codes) => codes.contains(&code),
            None => {
                code == Code::Unavailable || code == Code::ResourceExhausted && not_started(status)
            }
        }
    }
}

/// Random numbers from a seed.
#[derive(Debug)]
struct Jitter(AtomicU64);

impl Jitter {
    fn new(seed: u64) -> Self {
        Jitter(AtomicU64::new(seed))
    }

    /// SplitMix64: each number of a sequence is drawn once, by any number of threads.
    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn up_to(&self, max: Duration) -> Duration {
        let nanos = max.as_nanos().saturating_mul(u128::from(self.next())) >> 64;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Whether and how a call may be repeated, as part of its request.
#[derive(Clone, Default)]
pub(crate) struct RetryOptions {
    pub(crate) retry: Choice<RetryPolicy>,
    pub(crate) hedge: Choice<HedgePolicy>,
    /// The state that all attempts of the call share, while the call goes through a chain.
    pub(crate) tries: Option<Arc<Tries>>,
}

impl RetryOptions {
    /// Whether the caller or the schema has set a policy.
    pub(crate) fn asks(&self) -> bool {
        let set = matches!(self.retry, Choice::Set(_) | Choice::Schema(_));
        set || matches!(self.hedge, Choice::Set(_))
    }

    /// The options of a method's schema.
    pub(crate) fn of_method(method: &MethodSpec) -> Option<Box<Self>> {
        let attempts = method.retry_attempts.filter(|_| !method.kind.is_stream())?;
        let policy = RetryPolicy::new().attempts(attempts);
        Some(Box::new(RetryOptions {
            retry: Choice::Schema(Arc::new(policy)),
            ..RetryOptions::default()
        }))
    }
}

/// The caller's choice for this call.
#[derive(Clone, Default)]
pub(crate) enum Choice<P> {
    /// No choice: the client's policy applies.
    #[default]
    Open,
    /// No choice, but the schema has a policy, which applies unless the client has one for this method.
    Schema(Arc<P>),
    Off,
    Set(Arc<P>),
    /// An interceptor further out handles it.
    Taken,
}

impl<P> Choice<P> {
    /// The policy to follow, if the call is to be repeated here. `own` is the policy here, and whether that policy is
    /// for this method only.
    fn take(&mut self, own: Option<(&Arc<P>, bool)>) -> Option<Arc<P>> {
        let policy = match (&*self, own) {
            (Choice::Open, own) => Arc::clone(own?.0),
            (Choice::Schema(_), Some((own, true))) => Arc::clone(own),
            (Choice::Schema(policy), _) => Arc::clone(policy),
            (Choice::Set(policy), _) => Arc::clone(policy),
            (Choice::Off | Choice::Taken, _) => return None,
        };
        *self = Choice::Taken;
        Some(policy)
    }
}

/// The state that the attempts of one call share.
pub(crate) struct Tries {
    budget: RetryBudget,
    /// An attempt may have run.
    ran: AtomicBool,
    counted: AtomicBool,
}

impl Tries {
    pub(crate) fn new(budget: &RetryBudget) -> Arc<Self> {
        let (ran, counted) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Tries { budget: budget.clone(), ran, counted })
    }
}

/// The budget of a call, which counts the call once.
fn budget_of(own: Option<&RetryBudget>, request: &Request) -> RetryBudget {
    let tries = request.retry_options.tries.as_ref();
    let budget = own.or(tries.map(|tries| &tries.budget)).cloned().unwrap_or_default();
    if tries.is_none_or(|tries| !tries.counted.swap(true, Ordering::Relaxed)) {
        budget.call();
    }
    budget
}

/// Retries calls according to a policy.
pub(crate) struct Retrying {
    policy: Arc<RetryPolicy>,
    /// Applies to this method only.
    only: Option<String>,
}

impl Retrying {
    pub(crate) fn new(policy: RetryPolicy, only: Option<String>) -> Self {
        Retrying { policy: Arc::new(policy), only }
    }
}

impl Interceptor for Retrying {
    async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
        // Messages of a stream that were passed on cannot be sent again.
        let passes = request.kind().is_stream()
            || self.only.as_ref().is_some_and(|method| method != request.method());
        if passes {
            return next.call(request).await;
        }
        match request.retry_options.retry.take(Some((&self.policy, self.only.is_some()))) {
            Some(policy) => retried(&policy, request, |request| Box::pin(next.call(request))).await,
            None => next.call(request).await,
        }
    }
}

/// Makes a call until it succeeds or no further attempt is allowed.
async fn retried(
    policy: &RetryPolicy,
    request: Request,
    attempt: impl Fn(Request) -> Answering,
) -> Result<Reply, Status> {
    let budget = budget_of(policy.budget.as_ref(), &request);
    let until = Instant::now().checked_add(request.timeout);
    let mut made: u8 = 0;
    let mut request = request;
    loop {
        let status = match attempt(request.clone()).await {
            Ok(reply) => return Ok(after(reply, made)),
            Err(status) => status,
        };
        made = made.saturating_add(1);
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        let wait = policy.again(&request, &status, made, until.map_or(Duration::MAX, left));
        let Some(wait) = wait else { return Err(status) };
        if !budget.spend() {
            tracing::debug!(method = request.method(), "not tried again: the budget is spent");
            return Err(status);
        }
        tracing::debug!(method = request.method(), %status, ?wait, made, "the call is tried again");
        tokio::time::sleep(wait).await;
        if let Some(until) = until {
            request.timeout = left(until);
            if request.timeout.is_zero() {
                return Err(status);
            }
        }
        trace_context::attempt(made.saturating_add(1));
    }
}

/// A reply after this many failed attempts.
fn after(mut reply: Reply, made: u8) -> Reply {
    reply.attempts = reply.attempts.saturating_add(made);
    reply
}

/// The innermost end of a client's interceptors: applies the caller's own policies, then calls the client.
pub(crate) struct Repeating {
    client: Client,
}

impl Repeating {
    pub(crate) fn new(client: Client) -> Self {
        Repeating { client }
    }
}

impl Channel for Repeating {
    async fn call(&self, mut request: Request) -> Result<Reply, Status> {
        let client = &self.client;
        let retry = request.retry_options.retry.take(None);
        let hedge = request.retry_options.hedge.take(None);
        match (retry, hedge) {
            (None, None) => tried(client.clone(), request).await,
            (Some(retry), None) => {
                retried(&retry, request, |request| Box::pin(tried(client.clone(), request))).await
            }
            (None, Some(hedge)) => hedged(&hedge, request, client).await,
            (Some(retry), Some(hedge)) => {
                let attempt = |request| -> Answering {
                    let (hedge, client) = (Arc::clone(&hedge), client.clone());
                    Box::pin(async move { hedged(&hedge, request, &client).await })
                };
                retried(&retry, request, attempt).await
            }
        }
    }

    async fn stream(
        &self,
        request: Request,
        requests: Requests,
        replies: Replies,
    ) -> Result<Reply, Status> {
        Channel::stream(&self.client, request, requests, replies).await
    }
}

async fn hedged(policy: &HedgePolicy, request: Request, client: &Client) -> Result<Reply, Status> {
    hedge::check(&request)?;
    hedge::hedged(policy, request, |request| Box::pin(tried(client.clone(), request))).await
}

/// One attempt. A call counts as not started only if no attempt was started.
async fn tried(client: Client, request: Request) -> Result<Reply, Status> {
    let Some(tries) = request.retry_options.tries.clone() else {
        return Channel::call(&client, request).await;
    };
    let mut attempt = Ran { tries: &tries, known: false };
    let end = Channel::call(&client, request).await;
    attempt.known = true;
    match end {
        Err(status) if not_started(&status) => {
            let ran = tries.ran.load(Ordering::Acquire);
            Err(status.with_not_started(!ran))
        }
        end => {
            tries.ran.store(true, Ordering::Release);
            end
        }
    }
}

/// It is unknown whether a dropped attempt ran, so it counts as started.
struct Ran<'a> {
    tries: &'a Tries,
    known: bool,
}

impl Drop for Ran<'_> {
    fn drop(&mut self) {
        if !self.known {
            self.tries.ran.store(true, Ordering::Release);
        }
    }
}

impl fmt::Debug for Retrying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retrying").field("policy", &self.policy).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_up_to_the_most() {
        let policy =
            RetryPolicy::new().backoff(Duration::from_millis(10), Duration::from_millis(35));
        let ceilings: Vec<_> = (1..=5).map(|made| policy.ceiling(made).as_millis()).collect();
        assert_eq!(ceilings, [10, 20, 35, 35, 35]);
        assert_eq!(policy.ceiling(255).as_millis(), 35);
        let endless = RetryPolicy::new().backoff(Duration::from_secs(1), Duration::MAX);
        assert!(endless.ceiling(255) >= Duration::from_secs(u32::MAX.into()));
    }

    #[test]
    fn chance_stays_below_its_ceiling_and_comes_back_with_its_seed() {
        let (one, other) = (Jitter::new(7), Jitter::new(7));
        let max = Duration::from_millis(100);
        let drawn: Vec<_> = (0..1_000).map(|_| one.up_to(max)).collect();
        assert!(drawn.iter().all(|wait| *wait < max));
        assert!(drawn.iter().all(|wait| *wait == other.up_to(max)));
        let sum: Duration = drawn.iter().sum();
        assert!((40..60).contains(&(sum / 1_000).as_millis()), "{sum:?}");
        assert_eq!(one.up_to(Duration::ZERO), Duration::ZERO);
    }
}
