//! The threads that run the operator's hooks.
//!
//! The broker's thread never waits for hooks: it puts a question into a bounded queue, and receives the verdict as a
//! command. A thread that takes longer in a hook than a verdict may take is given up and replaced, so one question that
//! never ends costs one call and one thread, but does not stop the broker.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use mdp_protocol::broker::{About, HookConfig, Note, Question, Verdict};
use mdp_protocol::wire::{MetadataError, Reply};
use mdp_protocol::{Limits, Payload};

use super::Line;
use super::driver::BrokerCommand;
use crate::error::BrokerFailure;
use crate::hooks::subject::{Called, End};
use crate::hooks::{self, BrokerHooks, LeaveCause, Peer, verdict};
use mdp_call::body::Body;
use mdp_call::status::Status;
use mdp_transport::clock::Stopwatch;
use mdp_transport::ends::{self, Panicked};
use mdp_transport::security::PublicKey;

/// The name of all threads that run hooks.
const NAME: &str = "mdp-hooks";
/// The maximum number of questions that wait for a thread.
const MAX_QUESTIONS: usize = 10_000;
/// The maximum number of threads that were given up and are still in their hook.
const MAX_STUCK: usize = 64;
/// The maximum number of events that wait to be passed to the hooks.
const MAX_EVENTS: usize = 100_000;

/// The hooks, and the threads that run them.
pub(super) struct HookPool {
    shared: Arc<Shared>,
    events: mpsc::SyncSender<Note>,
    /// The number of events that were dropped because the queue was full.
    missed: u64,
    max_bytes: usize,
}

struct Shared {
    hooks: Arc<dyn BrokerHooks>,
    line: Line,
    /// How long a verdict may take.
    patience: Duration,
    threads: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Asked>,
    bytes: usize,
    /// The number of threads that wait for work.
    idle: usize,
    /// The working threads, each with its start time.
    busy: Vec<(u64, Stopwatch)>,
    /// The number of threads that were given up and are still in their hook.
    stuck: usize,
    started: u64,
    over: bool,
}

struct Asked {
    question: Question<Body>,
    bytes: usize,
    since: Stopwatch,
}

/// The operator's settings for the hooks.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) hooks: Arc<dyn BrokerHooks>,
    pub(super) threads: Option<usize>,
    pub(super) timeout: Duration,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks")
            .field("threads", &self.threads)
            .field("timeout", &self.timeout)
            .finish()
    }
}

impl Settings {
    /// The hook settings of the core.
    pub(super) fn config(&self) -> HookConfig {
        HookConfig {
            requests: self.hooks.judges_requests(),
            replies: self.hooks.judges_replies(),
            wait: mdp_transport::clock::span(self.timeout),
        }
    }
}

impl HookPool {
    pub(super) fn start(settings: Settings, limits: &Limits, line: Line) -> std::io::Result<Self> {
        let Settings { hooks, threads, timeout } = settings;
        let cores = || thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
        let (events, told) = mpsc::sync_channel(MAX_EVENTS);
        let teller = Arc::clone(&hooks);
        let tell_all = move || told.iter().for_each(|note| tell(&*teller, &note));
        ends::thread(NAME, tell_all, ended(&line))?;
        let shared = Arc::new(Shared {
            hooks,
            line,
            patience: timeout,
            threads: threads.unwrap_or_else(cores).max(1),
            state: Mutex::default(),
            work: Condvar::new(),
        });
        // The other threads start when there is work; this one shows at once whether a thread can be started.
        Shared::add_thread(&shared, &mut shared.lock())?;
        Ok(HookPool { shared, events, missed: 0, max_bytes: limits.held_bytes })
    }

    /// Puts a question into the queue of the hooks.
    ///
    /// # Errors
    ///
    /// The verdict that ends the call: too many questions wait.
    pub(super) fn ask(&mut self, question: Question<Body>) -> Result<(), Verdict<Body>> {
        let bytes = size_of(&question.about);
        let mut state = self.shared.lock();
        if state.waiting.len() >= MAX_QUESTIONS || state.bytes + bytes > self.max_bytes {
            let not_started = matches!(question.about, About::Request { .. });
            let status = Status::resource_exhausted("too many calls wait for the broker's hooks");
            return Err(verdict::failed(status, not_started));
        }
        state.bytes += bytes;
        state.waiting.push_back(Asked { question, bytes, since: Stopwatch::start() });
        if state.idle < state.waiting.len() {
            self.reinforce(&mut state);
        }
        drop(state);
        self.shared.work.notify_one();
        Ok(())
    }

    /// Passes an event to the hooks, if the note is about a worker or a client that came or went.
    pub(super) fn note(&mut self, note: &Note) {
        let of_interest = matches!(
            note,
            Note::WorkerReady { .. } | Note::WorkerLeft { .. } | Note::ClientSeen { .. }
        );
        if of_interest && self.events.try_send(note.clone()).is_err() {
            self.missed += 1;
            if self.missed.is_power_of_two() {
                tracing::warn!(
                    missed = self.missed,
                    "the hooks are too slow for the events; some events are dropped"
                );
            }
        }
    }

    /// Starts another thread, if the limit allows one or a thread is stuck.
    fn reinforce(&self, state: &mut State) {
        if state.busy.len() + state.idle >= self.shared.threads {
            let patience = self.shared.patience;
            let stuck = state.busy.iter().position(|(_, since)| since.elapsed() > patience);
            let Some(stuck) = stuck.filter(|_| state.stuck < MAX_STUCK) else { return };
            state.busy.swap_remove(stuck);
            state.stuck += 1;
            tracing::error!(
                stuck = state.stuck,
                "a hook takes too long; another thread takes over"
            );
        }
        if let Err(error) = Shared::add_thread(&self.shared, state) {
            tracing::error!(%error, "could not start another thread for the hooks");
        }
    }
}

/// The threads end after their current question; the drop does not wait for them.
impl Drop for HookPool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.over = true;
        state.waiting.clear();
        drop(state);
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn add_thread(shared: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        state.started += 1;
        let (number, own) = (state.started, Arc::clone(shared));
        let line = own.line.clone();
        ends::thread(NAME, move || own.work(number), ended(&line))?;
        // The thread counts as idle from now on, so that no second thread is started for it.
        state.idle += 1;
        Ok(())
    }

    fn work(&self, number: u64) {
        let mut state = self.lock();
        // From here on the thread counts as idle exactly while it waits.
        while !state.over {
            let Some(asked) = state.waiting.pop_front() else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.bytes -= asked.bytes;
            // The core has already ended the call.
            if asked.since.elapsed() > self.patience {
                continue;
            }
            state.idle -= 1;
            state.busy.push((number, Stopwatch::start()));
            drop(state);
            let (call, verdict) = run_hook(&*self.hooks, asked.question);
            self.line.tell(BrokerCommand::Verdict { call, verdict });
            state = self.lock();
            let Some(place) = state.busy.iter().position(|(busy, _)| *busy == number) else {
                // This thread was given up, and another one has replaced it.
                state.stuck -= 1;
                return;
            };
            state.busy.swap_remove(place);
            state.idle += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the hooks for a question. A panic rejects the call.
fn run_hook(hooks: &dyn BrokerHooks, question: Question<Body>) -> (u64, Verdict<Body>) {
    let Question { call, caller, key, path, raw, about } = question;
    let called = Called::new(&path, raw, &caller, key.map(PublicKey::from_bytes));
    let not_started = matches!(about, About::Request { .. });
    let verdict = ends::catch(|| match about {
        About::Request { timeout, idempotent, kind, target, body } => {
            let request = hooks::Request::new(called, body, target, timeout, idempotent, kind)?;
            let said = hooks.request(&request);
            Ok(verdict::on_request(request, said))
        }
        About::Reply { worker, code, not_started, reply } => {
            let (body, refusal) = match reply {
                Reply::Body(body) => (Some(body), None),
                Reply::Refused(refusal) => (None, Some(refusal)),
                Reply::Listing(_) => (None, None),
            };
            let end = End { worker, code, not_started, refusal };
            let reply = hooks::Reply::new(called, end, body)?;
            let said = hooks.reply(&reply);
            Ok(verdict::on_reply(reply, said))
        }
    });
    let unread = |error: MetadataError| {
        let message = format!("a hook of the broker cannot be asked: {error}");
        verdict::failed(Status::internal(message), not_started)
    };
    let verdict = verdict.map(|verdict| verdict.unwrap_or_else(unread));
    let verdict = verdict.unwrap_or_else(|panicked| {
        log(&panicked);
        verdict::failed(Status::internal("a hook of the broker panicked"), not_started)
    });
    (call, verdict)
}

/// Passes an event to the hooks.
fn tell(hooks: &dyn BrokerHooks, note: &Note) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let told = ends::catch(|| match note {
        Note::WorkerReady { who, service, capacity, .. } => {
            hooks.worker_joined(&Peer::of(who), &text(service), *capacity);
        }
        Note::WorkerLeft { who, services, cause } => {
            let services: Vec<String> = services.iter().map(|service| text(service)).collect();
            let services: Vec<&str> = services.iter().map(String::as_str).collect();
            hooks.worker_left(&Peer::of(who), &services, &LeaveCause::of(*cause));
        }
        Note::ClientSeen { who } => hooks.client_seen(&Peer::of(who)),
        _ => {}
    });
    if let Err(panicked) = told {
        log(&panicked);
    }
}

fn log(panicked: &Panicked) {
    ends::say(|| tracing::error!(words = panicked.words(), "a hook of the broker panicked"));
}

/// Stops the broker if a hook thread panics outside of a hook: the thread's questions would otherwise wait forever.
fn ended(line: &Line) -> impl FnOnce(Result<(), Panicked>) + Send + use<> {
    let line = line.clone();
    move |end| {
        if end.is_err() {
            line.tell(BrokerCommand::Failed(BrokerFailure::Thread { name: NAME }));
        }
    }
}

fn size_of(about: &About<Body>) -> usize {
    match about {
        About::Request { body, .. } | About::Reply { reply: Reply::Body(body), .. } => body.size(),
        About::Reply { .. } => 0,
    }
}
