//! Calls that go through a user's own channel instead of a broker, for example a test double.

mod passing;

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mdp_protocol::{Code, ConnectionState, Reason};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::call::{closed, half_sent};
use super::{Call, Client, Ending, Timeouts};
use crate::call::{
    Answering, AnyChannel, Boxed, Channel, Encoded, Replies, Reply, Request, Requests, expired,
    refused, streams_of, without_streams,
};
use crate::intercept::{Chain, Interceptors};
use crate::retry::RetryBudget;
use crate::stream::{Flow, joined};
use crate::trace_context;
use mdp_call::status::Status;
use mdp_transport::ends;
pub(crate) use passing::handled;

impl Channel for Client {
    async fn call(&self, request: Request) -> Result<Reply, Status> {
        if request.kind().is_stream() {
            return Err(without_streams(&request));
        }
        let (mut ending, _) = Call::<Encoded>::of_request(self, request).make();
        poll_fn(|cx| ending.poll(cx)).await
    }

    async fn stream(
        &self,
        request: Request,
        requests: Requests,
        replies: Replies,
    ) -> Result<Reply, Status> {
        let (ending, flow) = Call::<Encoded>::of_request(self, request.clone()).make();
        match flow {
            Some(flow) => passing::pass_on(&request, ending, flow, requests, replies).await,
            None => Channel::call(self, request).await,
        }
    }
}

/// How long after its deadline a call through interceptors to a client is cut off. The inner client ends the call in
/// time and knows whether the call was started; this limit is for interceptors that wait for something else.
const CUT_OFF_GRACE: Duration = Duration::from_millis(20);

/// The shared state of the handles of a client over a channel. It applies deadlines and the shutdown to calls.
pub(super) struct Joined {
    channel: Box<dyn AnyChannel>,
    timeouts: Timeouts,
    window: u32,
    budget: RetryBudget,
    life: Life,
}

/// The owner of the client's state.
enum Life {
    /// The client has no connection and its own state.
    Own { state: watch::Sender<ConnectionState>, calls: watch::Sender<Calls> },
    /// The client's life is that of the client behind these interceptors.
    Below { client: Client, interceptors: Interceptors },
}

#[derive(Default)]
struct Calls {
    running: usize,
    /// No more calls are accepted.
    closing: bool,
}

impl Joined {
    pub(super) fn new(channel: impl Channel, timeouts: Timeouts, window: u32) -> Self {
        let connected = ConnectionState::Connected { endpoint: 0, id: Arc::from(*b"in-memory") };
        let life =
            Life::Own { state: watch::Sender::new(connected), calls: watch::Sender::default() };
        Joined {
            channel: Box::new(channel),
            timeouts,
            window,
            budget: RetryBudget::default(),
            life,
        }
    }

    /// A client's calls, through these interceptors.
    pub(super) fn intercepted(client: &Client, interceptors: Interceptors) -> Self {
        Joined {
            channel: Box::new(Chain::to_client(client, Arc::clone(&interceptors))),
            timeouts: client.timeouts(),
            window: client.window(),
            budget: client.budget().clone(),
            life: Life::Below { client: client.clone(), interceptors },
        }
    }

    /// The inner client, and the interceptors in front of it.
    pub(super) fn below(&self) -> Option<(&Client, &Interceptors)> {
        match &self.life {
            Life::Own { .. } => None,
            Life::Below { client, interceptors } => Some((client, interceptors)),
        }
    }

    pub(super) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    pub(super) fn window(&self) -> u32 {
        self.window
    }

    pub(super) fn budget(&self) -> &RetryBudget {
        &self.budget
    }

    pub(super) fn state(&self) -> watch::Receiver<ConnectionState> {
        match &self.life {
            Life::Own { state, .. } => state.subscribe(),
            Life::Below { client, .. } => client.state(),
        }
    }

    pub(super) async fn shutdown(&self, grace: Duration) {
        let (state, calls) = match &self.life {
            Life::Own { state, calls } => (state, calls),
            Life::Below { client, .. } => return Box::pin(client.shutdown(grace)).await,
        };
        calls.send_modify(|calls| calls.closing = true);
        let mut running = calls.subscribe();
        // Calls that run longer than the grace period are ended by the state.
        let _ = tokio::time::timeout(grace, running.wait_for(|calls| calls.running == 0)).await;
        state.send_replace(ConnectionState::Closed);
    }

    /// Starts the shutdown of the connection, if there is one.
    pub(super) fn close(&self, grace: Duration) -> bool {
        self.below().is_some_and(|(client, _)| client.close(grace))
    }

    /// Starts a call. Returns the call's end, and the call's streams if it has any.
    pub(super) fn start(self: Arc<Self>, request: Request) -> (Ending, Option<Arc<Flow>>) {
        if !request.kind().is_stream() {
            let call =
                async move { self.run(&request, |channel| channel.call(request.clone())).await };
            let answering: Answering = match Handle::try_current() {
                Ok(_) => Box::pin(call),
                Err(_) => elsewhere(spare(), call),
            };
            return (Ending::channel(answering, None), None);
        }
        let (ours, theirs) = joined(self.window);
        let (ours, theirs) = (Arc::new(ours), Arc::new(theirs));
        let (requests, replies) = streams_of(&request, &theirs);
        let close = CloseOnDrop(Arc::clone(&ours));
        let sender = Arc::clone(&ours);
        // Both ends work at once, so the channel's end is a task, regardless of which end is polled first.
        let call = async move {
            let _close = close;
            let channel =
                self.run(&request, |channel| channel.stream(request.clone(), requests, replies));
            tokio::select! {
                end = channel => end,
                // The dropped sender ends the call, regardless of what the channel waits for.
                () = sender.abandoned() => Err(half_sent()),
            }
        };
        let tokio = Handle::try_current().ok().or_else(|| spare().cloned());
        let answering = elsewhere(tokio.as_ref(), call);
        let ending = Ending::channel(answering, Some(Arc::clone(&ours)));
        (ending, Some(ours))
    }

    async fn run<'a>(
        &'a self,
        request: &Request,
        call: impl FnOnce(&'a dyn AnyChannel) -> Boxed<'a>,
    ) -> Result<Reply, Status> {
        let mut timeout = request.timeout;
        if timeout.is_zero() {
            return Err(expired(true));
        }
        let _running = match &self.life {
            Life::Own { calls, .. } => Some(Running::enter(calls).ok_or_else(closed)?),
            Life::Below { .. } => {
                timeout = timeout.saturating_add(CUT_OFF_GRACE);
                None
            }
        };
        let mut state = self.state();
        tokio::select! {
            biased;
            reply = call(&*self.channel) => reply,
            _ = state.wait_for(|state| *state == ConnectionState::Closed) => Err(cut_off()),
            () = tokio::time::sleep(timeout) => Err(expired(false)),
        }
    }
}

/// Closes the caller's streams when the channel's task ends, for any reason.
pub(super) struct CloseOnDrop(pub(super) Arc<Flow>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.half().close();
    }
}

/// Runs a call as a task of this runtime, starting now, and waits for the call.
pub(crate) fn elsewhere<F>(tokio: Option<&Handle>, call: F) -> Answering
where
    F: Future<Output = Result<Reply, Status>> + Send + 'static,
{
    let Some(tokio) = tokio else {
        return Box::pin(std::future::ready(Err(Status::internal(
            "the thread for calls without a tokio runtime could not be started",
        ))));
    };
    let call = trace_context::with_context(call);
    let (answer, answered) = oneshot::channel();
    let call = async move {
        // The caller may be gone.
        let _ = answer.send(call.await);
    };
    let abandoned = AbortOnDrop(tokio.spawn(ends::task("call in memory", call, drop)));
    Box::pin(async move {
        let answer = answered.await;
        drop(abandoned);
        answer.unwrap_or_else(|_| Err(Status::internal("the channel panicked")))
    })
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The runtime for threads that have none, made at first use.
fn spare() -> Option<&'static Handle> {
    static SPARE: OnceLock<Option<Handle>> = OnceLock::new();
    let start = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let handle = runtime.handle().clone();
        // A panicking task leaves its payload to tokio, and dropping the payload may panic again.
        let run = move || {
            while ends::catch(|| runtime.block_on(std::future::pending::<()>())).is_err() {}
        };
        ends::thread("mdp-in-memory", run, drop).ok()?;
        Some(handle)
    };
    SPARE.get_or_init(start).as_ref()
}

impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joined").field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}

/// Counts a call while it runs.
struct Running<'a>(&'a watch::Sender<Calls>);

impl<'a> Running<'a> {
    fn enter(calls: &'a watch::Sender<Calls>) -> Option<Self> {
        let enter = |calls: &mut Calls| {
            calls.running += usize::from(!calls.closing);
            !calls.closing
        };
        calls.send_if_modified(enter).then(|| Running(calls))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|calls| calls.running -= 1);
    }
}

fn cut_off() -> Status {
    let message = "the client was closed while the call ran; the handler may have run";
    refused(Code::Cancelled, Reason::MaybeExecuted, message, false)
}
