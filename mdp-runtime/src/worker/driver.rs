//! The worker's task: it owns the socket, on a thread of its own, and drives the state machine.

use std::sync::Arc;

use mdp_protocol::worker::{Action, Config, Input, Worker};
use mdp_protocol::{ConnectionState, Key, Payload, Span, Time};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::context::CallContext;
use super::pool::{Done, Job, Pool};
use crate::body::Body;
use crate::codec;
use crate::codegen::{MethodSpec, Service};
use crate::context::Runtime;
use crate::peer::{Alarm, BURST, Broken, Peer};
use crate::status::Status;

/// How long ends may lie unseen behind a handler that blocks its runner.
const LOOK_AGAIN: Span = Span::from_ms(1);

/// What the handle asks of the thread.
#[derive(Debug)]
pub(super) enum Command {
    Drain(Span),
}

/// A method and its service's place among the services.
struct Method {
    path: &'static [u8],
    spec: &'static MethodSpec,
    service: usize,
}

pub(super) struct Driver {
    peer: Peer,
    core: Worker,
    services: Vec<Arc<dyn Service>>,
    methods: Vec<Method>,
    pool: Pool,
    jobs: Vec<Job>,
    /// The contexts of the calls that run, by the place of their key.
    running: Vec<Option<(Key, CallContext)>>,
    finished: Vec<Done>,
    actions: Vec<Action<Body>>,
    closed: bool,
}

impl Driver {
    pub(super) fn new(
        runtime: Runtime,
        endpoints: Vec<String>,
        config: Config,
        services: Vec<Arc<dyn Service>>,
        handlers: Handle,
        state: watch::Sender<ConnectionState>,
    ) -> Self {
        Driver {
            peer: Peer::new("worker", runtime, endpoints, state),
            core: Worker::new(config),
            methods: methods(&services),
            services,
            pool: Pool::new(handlers),
            jobs: Vec::with_capacity(BURST),
            running: Vec::new(),
            finished: Vec::with_capacity(BURST),
            actions: Vec::new(),
            closed: false,
        }
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Command>) {
        let mut alarm = Alarm::new();
        while !self.closed {
            self.take_done();
            self.flush();
            let more = self.receive();
            self.handle(Input::Tick);
            self.pool.run(&mut self.jobs);
            self.flush();
            if more {
                // Commands are heard also while there is always more to do.
                tokio::task::yield_now().await;
            }
            if !self.closed {
                self.wait(&mut inbox, &mut alarm).await;
            }
        }
        self.peer.close().await;
    }

    async fn wait(&mut self, inbox: &mut mpsc::UnboundedReceiver<Command>, alarm: &mut Alarm) {
        let clock = self.peer.clock;
        let mut deadline = self.core.next_deadline();
        if self.pool.is_busy() {
            let soon = clock.now() + LOOK_AGAIN;
            deadline = Some(deadline.map_or(soon, |deadline| deadline.min(soon)));
        }
        let mut command = None;
        tokio::select! {
            biased;
            asked = inbox.recv() => command = Some(asked.unwrap_or(Command::Drain(Span::ZERO))),
            () = self.pool.told() => {}
            () = self.peer.ready() => {}
            () = alarm.wait(&clock, deadline) => {}
        }
        if let Some(Command::Drain(grace)) = command {
            self.handle(Input::Drain { grace });
        }
    }

    fn take_done(&mut self) {
        let mut finished = std::mem::take(&mut self.finished);
        self.pool.take_done(&mut finished);
        for (count, Done { call, code, reply }) in finished.drain(..).enumerate() {
            self.forget(call);
            self.handle(Input::Done { call, code, reply });
            if count % BURST == BURST - 1 {
                self.flush();
            }
        }
        self.finished = finished;
    }

    /// Handles what has come. `true`: there may be more.
    fn receive(&mut self) -> bool {
        let mut count = 0;
        while count < BURST {
            match self.receive_one() {
                Ok(Some(records)) => count += records,
                Ok(None) => return false,
                Err(Broken) => {
                    self.handle(Input::Invalid);
                    return false;
                }
            }
        }
        true
    }

    /// Handles the records of a message, and gives their number.
    fn receive_one(&mut self) -> Result<Option<usize>, Broken> {
        let Some(message) = self.peer.receive()? else { return Ok(None) };
        let (core, actions) = (&mut self.core, &mut self.actions);
        let read = self.peer.records(&message, |now, record| {
            core.handle(now, Input::Record(record), actions);
        });
        self.perform();
        read.map(Some)
    }

    fn handle(&mut self, input: Input<'_, Body>) {
        self.core.handle(self.peer.clock.now(), input, &mut self.actions);
        self.perform();
    }

    fn perform(&mut self) {
        let mut broken = false;
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Session(action) => broken |= self.peer.perform(action).is_err(),
                Action::Start { call, service: _, deadline, attempt, body } => {
                    self.start(call, deadline, attempt, &body);
                }
                Action::Abort { call, cause } => {
                    if let Some(cx) = self.forget(call) {
                        tracing::debug!(method = cx.method(), ?cause, "handler stopped");
                        cx.cancel();
                    }
                }
                Action::Closed => self.closed = true,
            }
        }
        self.actions = actions;
        if broken {
            self.handle(Input::Invalid);
        }
    }

    fn start(&mut self, call: Key, deadline: Time, attempt: u8, body: &Body) {
        let place = self.methods.binary_search_by_key(&body.path(), |found| found.path);
        let Some(found) = place.ok().and_then(|place| self.methods.get(place)) else {
            return self.refuse_unknown(call, body);
        };
        let spec = found.spec;
        let Some(service) = self.services.get(found.service) else { return };
        let deadline = self.peer.clock.instant(deadline);
        let cx = CallContext::new(spec, deadline, attempt, body.peer(), body.meta());
        remember(&mut self.running, call, cx.clone());
        let payload = body.payload();
        self.jobs.push(Job {
            call,
            service: Arc::clone(service),
            method: spec.number,
            cx,
            payload,
        });
    }

    /// The service is here and the method is not: an older worker than the client expects.
    fn refuse_unknown(&mut self, call: Key, body: &Body) {
        let path = String::from_utf8_lossy(body.path()).into_owned();
        let status = Status::unimplemented(format!("this worker's service has no method {path}"));
        let reply = Body::with_payload("", None, codec::encode_status(&status));
        self.handle(Input::Done { call, code: status.code(), reply });
    }

    fn forget(&mut self, call: Key) -> Option<CallContext> {
        let slot = self.running.get_mut(call.index() as usize)?;
        slot.take_if(|(key, _)| *key == call).map(|(_, cx)| cx)
    }

    fn flush(&mut self) {
        if self.peer.flush().is_err() {
            self.handle(Input::Invalid);
        }
    }
}

fn remember(running: &mut Vec<Option<(Key, CallContext)>>, call: Key, cx: CallContext) {
    let place = call.index() as usize;
    if running.len() <= place {
        running.resize_with(place + 1, || None);
    }
    if let Some(slot) = running.get_mut(place) {
        *slot = Some((call, cx));
    }
}

/// The methods of all services, by path.
fn methods(services: &[Arc<dyn Service>]) -> Vec<Method> {
    let mut methods = Vec::new();
    for (service, offered) in services.iter().enumerate() {
        let specs = offered.spec().methods.iter();
        methods.extend(specs.map(|spec| Method { path: spec.path.as_bytes(), spec, service }));
    }
    methods.sort_unstable_by_key(|method| method.path);
    methods
}
