//! The worker's driver: it owns the socket, on a separate thread, and drives the state machine.

mod slots;
mod stalls;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use mdp_protocol::wire::{CallKind, Direction};
use mdp_protocol::worker::{Action, Config, Grant, Input, Method as Offered, Worker};
use mdp_protocol::{ConnectionState, Key, Payload, Span, Time};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};

use super::admission::{Admission, Refused, Start};
use super::hand_off::HandOff;
use super::handler;
use super::pool::{Done, Job, Pool, Told};
use super::sharing::Sharing;
use crate::call::{CallContext, Hold, MethodSpec, Outlasts, Service, ServicePermits};
use crate::classic::Side;
use crate::classic::raw::{RawHandler, Replier};
use crate::classic::serving::Serving;
use crate::dynamic;
use crate::error::WorkerFailure;
use crate::observe;
use crate::peer::{Alarm, Broken, ConnectOptions, Peer};
use crate::secondary_map::SecondaryMap;
use crate::stream::Flow;
use mdp_call::body::{BURST, BURST_WEIGHT, Body, CALL_WEIGHT};
use mdp_call::codec::{self, EncodedMetadata};
use mdp_call::compress;
use mdp_call::status::{Code, Status};
use mdp_transport::clock::Clock;
use mdp_transport::ends;
use mdp_transport::spin::Spin;
use stalls::Dog;

/// How long finished calls may go unnoticed behind a handler that blocks its runner.
const LOOK_AGAIN: Span = Span::from_ms(1);
/// The command when the worker's handle is dropped.
pub(super) const NO_GRACE: WorkerCommand = WorkerCommand::Drain(Span::ZERO);

/// The commands of the worker's handle.
#[derive(Debug)]
pub(super) enum WorkerCommand {
    Drain(Span),
    /// The broker is granted another number of shared slots.
    Grant(Grant),
}

/// The method of a raw call.
static RAW: MethodSpec = MethodSpec::new("(raw)", CallKind::ServerStreaming);

/// A method, and the index of its service.
struct Method {
    spec: &'static MethodSpec,
    service: usize,
}

/// A call that the core has started.
#[derive(Clone, Copy)]
struct Begun {
    call: Key,
    /// The index of the call's service in the worker's configuration.
    service: usize,
    /// The index of the method in the driver's list. `None`: the path is not in it.
    method: Option<usize>,
    deadline: Time,
    attempt: u8,
    kind: CallKind,
}

/// The work that starts a call.
enum Work {
    Typed(Job),
    Raw { call: Key, cx: CallContext, handler: RawHandler, frames: Vec<Bytes> },
}

impl Start for Work {
    fn cx(&self) -> &CallContext {
        match self {
            Work::Typed(job) => &job.cx,
            Work::Raw { cx, .. } => cx,
        }
    }
}

pub(super) struct WorkerDriver {
    peer: Peer,
    /// The slots that the worker shares between brokers, and the place of this session's endpoint.
    sharing: Option<(Sharing, usize)>,
    /// When the shared slots are to be looked at again.
    share_again: Option<Time>,
    core: Worker,
    services: Vec<Arc<dyn Service>>,
    methods: Vec<Method>,
    /// The handlers of raw requests, by service.
    raw: Vec<(Arc<[u8]>, RawHandler)>,
    pool: Pool,
    admission: Admission<Work>,
    /// The names of the configured services.
    names: Vec<Arc<[u8]>>,
    inbox: mpsc::UnboundedReceiver<WorkerCommand>,
    /// Calls for the runners.
    jobs: Vec<Job>,
    /// Calls whose handlers are polled on this thread.
    here: Vec<Job>,
    /// The contexts of the running calls.
    running: SecondaryMap<CallContext>,
    told: Vec<Told>,
    actions: Vec<Action<Body>>,
    spin: Spin,
    /// Units of credit for each stream of requests.
    window: u32,
    /// Whether the worker returns the schemas of its services.
    reflects: bool,
    closed: bool,
    /// The end of the grace period for handlers whose calls are over.
    grace_ends: Option<Time>,
    /// Watches the runtime of the handlers.
    dog: Option<Dog>,
    /// For how long brokers may refuse the worker.
    give_up_after: Duration,
    /// The reason why the worker stopped without being asked to.
    failure: Arc<OnceLock<WorkerFailure>>,
    /// The value behind [`over`](Self::over).
    over: watch::Sender<bool>,
}

impl WorkerDriver {
    pub(super) fn new(
        options: ConnectOptions,
        mut config: Config,
        services: Vec<Arc<dyn Service>>,
        pool: Pool,
        state: watch::Sender<ConnectionState>,
        inbox: mpsc::UnboundedReceiver<WorkerCommand>,
    ) -> Self {
        let methods = methods(&services);
        config.methods = methods.iter().map(Method::offered).collect();
        let pool = pool.serving(&services, methods.len());
        let capacities = config.services.iter().map(|offer| offer.capacity);
        WorkerDriver {
            admission: Admission::new(capacities, pool.bell()),
            peer: Peer::new("worker", options, state)
                .of_services(config.services.iter().map(|offer| &*offer.service)),
            sharing: None,
            share_again: None,
            give_up_after: config
                .give_up_after
                .map_or(Duration::MAX, |after| Duration::from_millis(after.as_ms())),
            failure: Arc::default(),
            dog: None,
            names: config.services.iter().map(|offer| Arc::clone(&offer.service)).collect(),
            window: config.window,
            reflects: true,
            core: Worker::new(config),
            pool,
            methods,
            services,
            raw: Vec::new(),
            inbox,
            jobs: Vec::with_capacity(BURST),
            here: Vec::with_capacity(BURST),
            running: SecondaryMap::default(),
            told: Vec::with_capacity(BURST),
            actions: Vec::new(),
            spin: Spin::default(),
            closed: false,
            grace_ends: None,
            over: watch::Sender::new(false),
        }
    }

    /// Adds the handlers of raw requests.
    pub(super) fn with_raw(self, raw: Vec<(Arc<[u8]>, RawHandler)>) -> Self {
        WorkerDriver { raw, ..self }
    }

    /// Shares the worker's slots with other sessions. `place`: that of this session's endpoint in the list of all.
    pub(super) fn sharing(self, sharing: Sharing, place: usize) -> Self {
        WorkerDriver { sharing: Some((sharing, place)), ..self }
    }

    /// Sets whether the worker returns its schemas.
    pub(super) fn reflecting(self, reflects: bool) -> Self {
        WorkerDriver { reflects, ..self }
    }

    /// The same driver for a broker that speaks classic MDP, with the translation to it.
    pub(super) fn over_classic(
        self,
        serving: impl FnOnce(Clock, Vec<(Arc<[u8]>, Arc<ServicePermits>)>) -> Serving,
    ) -> Self {
        let names = self.names.iter().enumerate();
        let permits = names.filter_map(|(service, name)| {
            Some((Arc::clone(name), self.admission.permits(service)?))
        });
        let serving = serving(self.peer.clock, permits.collect());
        WorkerDriver { peer: self.peer.over_classic(Side::Worker(Box::new(serving))), ..self }
    }

    /// The reason why the worker stopped without being asked to, once it has.
    pub(super) fn failure(&self) -> Arc<OnceLock<WorkerFailure>> {
        Arc::clone(&self.failure)
    }

    /// Becomes true when the worker has ended.
    pub(super) fn over(&self) -> watch::Receiver<bool> {
        self.over.subscribe()
    }

    /// Drives the socket on this thread, which has entered `io`, until the worker is closed. Returns sooner if a
    /// handler kept the thread so long that the standby thread has taken the driver.
    pub(super) fn run(
        mut self: Box<Self>,
        io: &tokio::runtime::Runtime,
        hand_off: &HandOff<Box<Self>>,
    ) {
        let mut alarm = Alarm::new();
        // Jobs that are queued behind a handler that blocks.
        self.pool.leave_here();
        if let Err(broken) = self.peer.moved() {
            self.lose_session(broken);
        }
        while !self.closed {
            self.take_told();
            self.flush();
            let more = self.receive();
            self.handle(Input::Tick);
            self.watch();
            self.admit();
            self.share();
            self.pool.run(&mut self.jobs);
            let polled = !self.here.is_empty();
            if polled {
                match self.poll_here(hand_off) {
                    Some(driver) => self = driver,
                    None => return,
                }
            }
            self.flush();
            if more || polled || self.spin() {
                self.hear();
            } else if !self.closed {
                io.block_on(self.wait(&mut alarm));
            }
        }
        let WorkerDriver { peer, pool, admission, mut inbox, mut grace_ends, over, .. } = *self;
        let clock = peer.clock;
        io.block_on(peer.close());
        io.block_on(async {
            // All calls have ended. The remaining handlers still run.
            while admission.outlasting() > 0 {
                let command = tokio::select! {
                    () = pool.told() => continue,
                    () = alarm.wait(&clock, grace_ends) => break,
                    command = inbox.recv() => command,
                };
                let grace = match command {
                    Some(WorkerCommand::Drain(grace)) => grace,
                    Some(WorkerCommand::Grant(_)) => continue,
                    // The worker's handle has been dropped meanwhile.
                    None => break,
                };
                let until = clock.now() + grace;
                grace_ends = Some(grace_ends.map_or(until, |before| before.min(until)));
            }
        });
        over.send_replace(true);
        hand_off.finish();
    }

    /// Polls the quick handlers. Meanwhile the standby thread can take the driver.
    fn poll_here(mut self: Box<Self>, hand_off: &HandOff<Box<Self>>) -> Option<Box<Self>> {
        let pool = self.pool.clone();
        pool.put_here(&mut self.here);
        match hand_off.lend_during(self, || pool.run_here()) {
            Ok(Some(driver)) => Some(driver),
            Ok(None) => {
                // The thread that drives now does not know of the calls that have ended here.
                pool.tell();
                None
            }
            Err(driver) => {
                pool.leave_here();
                Some(driver)
            }
        }
    }

    /// Under load, waits without sleeping. `true`: there is work.
    fn spin(&mut self) -> bool {
        if !self.peer.can_poll() {
            return false;
        }
        let (peer, pool, inbox) = (&mut self.peer, &self.pool, &self.inbox);
        self.spin.wait(|| peer.is_readable() || pool.has_told() || !inbox.is_empty())
    }

    async fn wait(&mut self, alarm: &mut Alarm) {
        let clock = self.peer.clock;
        let watch = self.dog.as_ref().map(|dog| dog.watchdog.next_deadline());
        let deadlines = [
            self.core.next_deadline(),
            self.peer.next_deadline(),
            self.admission.due(),
            watch,
            self.share_again,
        ];
        let mut deadline = deadlines.into_iter().flatten().min();
        if self.pool.is_busy() {
            let soon = clock.now() + LOOK_AGAIN;
            deadline = Some(deadline.map_or(soon, |deadline| deadline.min(soon)));
        }
        let mut command = None;
        tokio::select! {
            biased;
            asked = self.inbox.recv() => command = Some(asked.unwrap_or(NO_GRACE)),
            () = self.pool.told() => {}
            () = self.peer.ready() => {}
            () = alarm.wait(&clock, deadline) => {}
        }
        self.obey(command);
    }

    /// Takes the waiting commands.
    fn hear(&mut self) {
        loop {
            match self.inbox.try_recv() {
                Ok(command) => self.obey(Some(command)),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => return self.obey(Some(NO_GRACE)),
            }
        }
    }

    fn obey(&mut self, command: Option<WorkerCommand>) {
        match command {
            Some(WorkerCommand::Drain(grace)) => {
                self.grace_ends = Some(self.peer.clock.now() + grace);
                self.handle(Input::Drain { grace });
            }
            Some(WorkerCommand::Grant(Grant { session: _, service, slots, number })) => {
                self.handle(Input::Grant { service, slots, number });
            }
            None => {}
        }
    }

    /// Handles the messages of handlers.
    fn take_told(&mut self) {
        let mut told = std::mem::take(&mut self.told);
        self.pool.take_told(&mut told);
        let now = self.peer.clock.now();
        let mut ends = 0;
        for told in told.drain(..) {
            let input = match told {
                Told::Done(Done { call, code, reply }) => {
                    self.end(call);
                    ends += 1;
                    // The caller needs the code most: a status that is too large is cut rather than refused.
                    let reply = match code {
                        Code::Ok => reply,
                        code => {
                            let max = self.core.frame_bytes().unwrap_or(u64::MAX);
                            reply.fitting(code, max)
                        }
                    };
                    Input::Done { call, code, reply }
                }
                Told::Part(call, part) => Input::Part { call, part },
                Told::Taken(call, units) => Input::Taken { call, units },
            };
            self.core.handle(now, input, &mut self.actions);
            self.perform();
            if ends == BURST {
                ends = 0;
                self.flush();
            }
        }
        self.told = told;
    }

    /// Handles the messages that have arrived. `true`: there may be more.
    fn receive(&mut self) -> bool {
        let mut weight = 0;
        while weight < BURST_WEIGHT {
            match self.receive_one() {
                Ok(Some(more)) => weight += more,
                Ok(None) => break,
                Err(broken) => {
                    self.lose_session(broken);
                    return false;
                }
            }
        }
        if self.peer.take_made() {
            self.handle(Input::Made);
        }
        if self.peer.take_alive() {
            self.handle(Input::Alive);
        }
        self.spin.heard(weight / CALL_WEIGHT);
        weight >= BURST_WEIGHT
    }

    /// Handles the records of one message, and returns their weight.
    fn receive_one(&mut self) -> Result<Option<usize>, Broken> {
        let (core, actions) = (&mut self.core, &mut self.actions);
        let read = self.peer.receive_one(|now, record| {
            core.handle(now, Input::Record(record), actions);
        });
        self.perform();
        read
    }

    fn handle(&mut self, input: Input<'_, Body>) {
        self.core.handle(self.peer.clock.now(), input, &mut self.actions);
        self.perform();
    }

    fn perform(&mut self) {
        let mut broken = None;
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Session(action) => {
                    let action = self.placed(action);
                    self.peer.next_attempt = self.core.next_attempt();
                    broken = self.peer.perform(action).err().or(broken);
                }
                Action::Start { call, service, method, deadline, attempt, kind, body } => {
                    if self.take_slot(call, service) {
                        self.start(Begun { call, service, method, deadline, attempt, kind }, &body);
                    }
                }
                Action::Offered => {
                    if let Some((sharing, _)) = &self.sharing {
                        sharing.opened();
                    }
                }
                Action::Granted { service, number } => {
                    if let Some((sharing, _)) = &self.sharing {
                        sharing.answered(service, number);
                    }
                }
                Action::Demand { service, calls } => {
                    if let Some((sharing, _)) = &self.sharing {
                        sharing.demanded(service, calls);
                    }
                }
                Action::Part { call, part } => {
                    if let Some(flow) = self.flow(call) {
                        flow.half().put(part);
                    }
                }
                Action::Credit { call, units } => {
                    if let Some(flow) = self.flow(call) {
                        flow.half().credit(units);
                    }
                }
                Action::Abort { call, cause } => {
                    if let Some(cx) = self.end(call) {
                        tracing::debug!(method = cx.method(), ?cause, "handler stopped");
                        cx.cancel();
                    }
                }
                Action::Draining => self.running.values().for_each(CallContext::drain),
                Action::Closed => {
                    self.closed = true;
                    self.tell_refused();
                }
            }
        }
        self.actions = actions;
        if let Some(broken) = broken {
            self.lose_session(broken);
        }
    }

    /// Records why the worker has closed, if it was not asked to.
    fn tell_refused(&self) {
        let Some(cause) = self.core.gave_up() else { return };
        let (endpoint, after) = (self.peer.endpoint().to_owned(), self.give_up_after);
        let failure = WorkerFailure::Refused { endpoint, cause, after };
        tracing::error!(error = %failure, "the worker stops");
        // Only the first failure counts.
        let _ = self.failure.set(failure);
    }

    /// Ends the session, which cannot continue.
    fn lose_session(&mut self, broken: Broken) {
        self.handle(match broken {
            Broken::Invalid => Input::Invalid,
            Broken::Connection => Input::Broken,
            Broken::Refused => Input::Refused,
        });
    }

    /// Starts the calls for which there is a permit now, and refuses those that have waited too long.
    fn admit(&mut self) {
        while let Some(work) = self.admission.next() {
            self.begin(work);
        }
        if self.admission.due().is_none() {
            return;
        }
        for refused in self.admission.refuse(self.peer.clock.now()) {
            let Refused { call, service, capacity, outlasting } = refused;
            let service = self.names.get(service).map_or(&[][..], |name| name);
            observe::no_permit(service, capacity, outlasting);
            let message = format!(
                "this worker has room for {capacity} calls of {} at once, and handlers of {outlasting} calls that have ended \
                 still run",
                service.escape_ascii()
            );
            if let Some(cx) = self.end(call) {
                cx.cancel();
            }
            self.handle(Input::NotStarted { call, message });
        }
    }

    /// Removes a call that has ended or is about to end.
    #[inline]
    fn end(&mut self, call: Key) -> Option<CallContext> {
        let cx = self.running.remove(call)?;
        if !cx.permit().end() {
            self.admission.leave(&cx);
        }
        self.free_slot(call);
        Some(cx)
    }

    fn start(&mut self, begun: Begun, body: &Body) {
        let Begun { call, service: offer, method, deadline, attempt, kind } = begun;
        if body.is_raw() {
            return self.start_raw(begun, body);
        }
        let found = method.and_then(|gauge| Some((gauge, self.methods.get(gauge)?)));
        let Some((gauge, found)) = found else {
            return self.of_its_own(call, body);
        };
        let spec = found.spec;
        if spec.kind != kind {
            return self.refuse(call, &handler::other_kind(spec, kind));
        }
        // A stream may last for a day, and its packet may be large and shared with many calls.
        let kept = kind.is_stream().then(|| body.keep());
        let body = kept.as_ref().unwrap_or(body);
        let meta = match EncodedMetadata::read(body.meta()) {
            Ok(meta) => meta,
            Err(error) => return self.refuse(call, &codec::bad_metadata(&error)),
        };
        let flow = kind.is_stream().then(|| self.pool.flow(call, self.window, meta.accept()));
        let (ends, permits) = (self.peer.clock.instant(deadline), self.admission.permits(offer));
        let cx = CallContext::new(spec, ends, attempt, body.peer(), meta, flow, permits);
        let (service, method) = (found.service, spec.number);
        self.begun(call, &cx);
        let (payload, compressed) = (body.payload(), body.is_compressed());
        let job = Job { call, service, method, gauge, cx, payload, compressed };
        // Most calls start at once.
        match self.admission.start(offer) {
            true => self.begin_typed(job),
            false => self.wait_for_permit(begun, Work::Typed(job)),
        }
    }

    /// Records that a call has begun.
    #[inline]
    fn begun(&mut self, call: Key, cx: &CallContext) {
        if self.core.is_draining() {
            cx.drain();
        }
        self.running.insert(call, cx.clone());
    }

    /// Lets the call wait for a permit before its handler starts.
    fn wait_for_permit(&mut self, begun: Begun, work: Work) {
        let Begun { call, service, deadline, .. } = begun;
        self.admission.wait(self.peer.clock.now(), call, service, deadline, work);
    }

    /// Starts a call's handler. The call has a permit.
    fn begin(&mut self, work: Work) {
        match work {
            Work::Typed(job) => self.begin_typed(job),
            Work::Raw { call, cx, handler, frames } => {
                let Ok(whole) = Hold::take(&cx, Outlasts::Future) else { return };
                let Ok(hold) = Hold::take(&cx, Outlasts::Replier) else { return };
                let replier = Replier::rpc(cx.clone(), self.pool.end_later(call, cx), hold);
                let ended = async move {
                    handler(frames, replier).await;
                    drop(whole);
                };
                // A panic drops the replier, which notifies the broker.
                self.pool.spawn(ends::task("raw handler", ended, drop));
            }
        }
    }

    #[inline]
    fn begin_typed(&mut self, job: Job) {
        // Decompressing would keep the socket's thread too long.
        let quick = !job.compressed && self.pool.is_quick(job.gauge);
        let jobs = if quick { &mut self.here } else { &mut self.jobs };
        jobs.push(job);
    }

    fn start_raw(&mut self, begun: Begun, body: &Body) {
        let Begun { call, service, deadline, attempt, kind, .. } = begun;
        let handler = self.raw.iter().find(|(name, _)| **name == *body.path());
        let Some((_, handler)) = handler else {
            return self.refuse(call, &Status::unimplemented("this worker takes typed calls only"));
        };
        if kind.streams(Direction::Requests) {
            let status = Status::unimplemented("a raw request has no stream of requests");
            return self.refuse(call, &status);
        }
        let handler = Arc::clone(handler);
        let flow = kind.is_stream().then(|| self.pool.flow(call, self.window, None));
        let (ends, permits) = (self.peer.clock.instant(deadline), self.admission.permits(service));
        let body = body.keep();
        let meta = EncodedMetadata::default();
        let cx = CallContext::new(&RAW, ends, attempt, body.peer(), meta, flow, permits);
        self.begun(call, &cx);
        let work = Work::Raw { call, cx, handler, frames: body.frames() };
        match self.admission.start(service) {
            true => self.begin(work),
            false => self.wait_for_permit(begun, work),
        }
    }

    /// Handles a path that is not a method of a service: a built-in method, or an unknown one.
    fn of_its_own(&mut self, call: Key, body: &Body) {
        let path = String::from_utf8_lossy(body.path());
        let (_, method) = path.rsplit_once('/').unwrap_or_default();
        if method == dynamic::PING {
            let (code, reply) = (Code::Ok, Body::default());
            return self.finish(call, code, reply);
        }
        let asked = path.rsplit_once('/').filter(|_| method == dynamic::SCHEMA);
        let service = asked.filter(|_| self.reflects).and_then(|(service, _)| {
            self.services.iter().find(|found| found.spec().name == service)
        });
        let schema = match service.map_or(Ok(None), |service| handler::schema(&**service)) {
            Ok(Some(schema)) => schema,
            Ok(None) => return self.refuse(call, &handler::unknown(&path)),
            Err(status) => return self.refuse(call, &status),
        };
        let meta = match EncodedMetadata::read(body.meta()) {
            Ok(meta) => meta,
            Err(error) => return self.refuse(call, &codec::bad_metadata(&error)),
        };
        let packed = compress::pack(meta.accept(), &schema);
        let compressed = packed.is_some();
        let reply = Body::with_payload("", None, packed.unwrap_or(schema)).compressed(compressed);
        self.finish(call, Code::Ok, reply);
    }

    fn refuse(&mut self, call: Key, status: &Status) {
        let reply = Body::with_payload("", None, codec::encode_status(status));
        self.finish(call, status.code(), reply);
    }

    fn flow(&self, call: Key) -> Option<&Arc<Flow>> {
        self.running.get(call)?.flow()
    }

    fn flush(&mut self) {
        if let Err(broken) = self.peer.flush() {
            self.lose_session(broken);
        }
    }
}

impl Method {
    /// The method for the core, which looks paths up.
    fn offered(&self) -> Offered {
        Offered { path: Arc::from(self.spec.path.as_bytes()), service: self.service }
    }
}

/// The methods of all services, in the order of the core's list.
fn methods(services: &[Arc<dyn Service>]) -> Vec<Method> {
    let mut methods = Vec::new();
    for (service, offered) in services.iter().enumerate() {
        let specs = offered.spec().methods.iter();
        methods.extend(specs.map(|spec| Method { spec, service }));
    }
    methods
}
