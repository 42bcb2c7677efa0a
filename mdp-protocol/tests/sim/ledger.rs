//! The ledger: what truly happened to each call, kept outside of the machines that are tested.

use std::collections::{BTreeMap, BTreeSet};

use mdp_protocol::client::Outcome;
use mdp_protocol::wire::CallKind;
use mdp_protocol::{Code, Reason, Time};

use crate::body::{Body, Kind, reason_of};

/// A broken invariant, by its name and in words.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) invariant: &'static str,
    pub(crate) text: String,
}

pub(crate) type Check = Result<(), Broken>;

pub(crate) fn broken(invariant: &'static str, text: String) -> Check {
    Err(Broken { invariant, text })
}

/// A call as its user made it, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) client: usize,
    /// The client's life in which the call was made; a call ends with it.
    pub(crate) life: u32,
    pub(crate) idempotent: bool,
    pub(crate) target: Option<usize>,
    pub(crate) kind: CallKind,
    /// Items of its stream of requests that its user has sent.
    pub(crate) asked: u32,
    /// On the client's clock.
    pub(crate) deadline: Time,
    /// Asked for after all faults had stopped: it must succeed.
    pub(crate) probe: bool,
    pub(crate) ended: Option<Ended>,
    /// Its user gave it up before it ended: there is to be no outcome.
    pub(crate) given_up: bool,
    /// The runs of its handlers.
    starts: Vec<u32>,
    /// The hostile peers that were given it.
    hostile_holders: BTreeSet<usize>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: Code,
    pub(crate) not_started: bool,
    /// A machine's reason; a handler has none.
    pub(crate) reason: Option<Reason>,
}

/// How often calls ended with a code for a reason.
pub(crate) type Tally = BTreeMap<(&'static str, &'static str), usize>;

/// A run of a handler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) uid: u32,
    pub(crate) worker: usize,
}

/// All calls and all runs of a world.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
    runs: Vec<Run>,
    /// How the calls ended, by code and machine's reason, and how often so.
    pub(crate) tally: Tally,
    /// Items that came to where they were sent.
    pub(crate) items: usize,
}

impl Ledger {
    /// Takes a new call in and gives its number.
    pub(crate) fn open(&mut self, client: usize, life: u32, deadline: Time, probe: bool) -> u32 {
        self.entries.push(Entry {
            client,
            life,
            idempotent: false,
            target: None,
            kind: CallKind::Unary,
            asked: 0,
            deadline,
            probe,
            ended: None,
            given_up: false,
            starts: Vec::new(),
            hostile_holders: BTreeSet::new(),
        });
        self.entries.len() as u32 - 1
    }

    pub(crate) fn entry(&self, uid: u32) -> Option<&Entry> {
        self.entries.get(uid as usize)
    }

    pub(crate) fn entry_mut(&mut self, uid: u32) -> Option<&mut Entry> {
        self.entries.get_mut(uid as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn run(&self, run: u32) -> Run {
        self.runs[run as usize]
    }

    /// Counts how the streams of a call ended.
    pub(crate) fn count_streams(&mut self, kind: CallKind, begun: bool, outcome: &Outcome<Body>) {
        let code = match outcome {
            Outcome::Final { code, .. } => *code,
            Outcome::Refused(refusal) => refusal.code,
        };
        let what = match kind {
            CallKind::Unary => "UNARY",
            CallKind::ClientStreaming => "STREAM OF REQUESTS",
            CallKind::ServerStreaming => "STREAM OF REPLIES",
            CallKind::BidiStreaming => "STREAMS BOTH WAYS",
        };
        // The others say nothing about streams.
        let telling = [Code::Ok, Code::NotFound, Code::Unavailable, Code::DeadlineExceeded];
        if !telling.contains(&code) {
            return;
        }
        let key = if begun { (code.name(), what) } else { (code.name(), "STREAM, NOT BEGUN") };
        *self.tally.entry(key).or_default() += 1;
    }

    /// Whether a body of a stream of replies was made for this call by somebody who has it.
    pub(crate) fn is_from_holder(&self, uid: u32, body: &Body) -> bool {
        let run = self.runs.get(body.run as usize);
        let entry = self.entry(uid);
        match body.kind {
            Kind::Item | Kind::Opening => run.is_some_and(|run| {
                run.uid == uid && run.worker == body.by as usize && body.uid == uid
            }),
            Kind::Forged => {
                entry.is_some_and(|entry| entry.hostile_holders.contains(&(body.by as usize)))
            }
            _ => false,
        }
    }

    /// A hostile peer was given the call, so it may answer it with whatever it likes.
    pub(crate) fn given_to_hostile(&mut self, uid: u32, hostile: usize) {
        if let Some(entry) = self.entry_mut(uid) {
            entry.hostile_holders.insert(hostile);
        }
    }

    /// A handler starts.
    pub(crate) fn start(&mut self, uid: u32, worker: usize) -> Result<u32, Broken> {
        let run = self.runs.len() as u32;
        self.runs.push(Run { uid, worker });
        let Some(entry) = self.entry_mut(uid) else { return Ok(run) };
        entry.starts.push(run);
        if !entry.idempotent && entry.starts.len() > 1 {
            let runs = entry.starts.len();
            broken("I4", format!("call {uid} is not idempotent and was started {runs} times"))?;
        }
        if entry.ended.is_some_and(|ended| ended.not_started) {
            broken("I4", format!("call {uid} was started after it ended as not started"))?;
        }
        if entry.target.is_some_and(|target| target != worker) {
            let target = entry.target;
            broken("I3", format!("call {uid} for {target:?} was started by {worker}"))?;
        }
        Ok(run)
    }

    /// A client tells its user how a call ended.
    pub(crate) fn end(
        &mut self,
        uid: u32,
        client: usize,
        life: u32,
        outcome: &Outcome<Body>,
    ) -> Result<Ended, Broken> {
        let ended = match outcome {
            Outcome::Final { code, not_started, attempt: _, body } => {
                self.check_body(uid, *code, body)?;
                Ended { code: *code, not_started: *not_started, reason: reason_of(body) }
            }
            Outcome::Refused(refusal) => Ended {
                code: refusal.code,
                not_started: refusal.not_started,
                reason: Some(refusal.reason),
            },
        };
        let Some(entry) = self.entries.get_mut(uid as usize) else {
            broken("I3", format!("client {client} got an outcome for {uid}, which is no call"))?;
            return Ok(ended);
        };
        if let Some(before) = entry.ended {
            broken("I1", format!("call {uid} ended as {before:?} and then as {ended:?}"))?;
        }
        if entry.given_up {
            broken("I1", format!("call {uid} was given up and then ended as {ended:?}"))?;
        }
        if (entry.client, entry.life) != (client, life) {
            broken("I3", format!("call {uid} of {} ended at client {client}", entry.client))?;
        }
        if ended.not_started && !entry.starts.is_empty() {
            let text = format!("call {uid} ended as {ended:?}, but a handler was started for it");
            broken("I4", text)?;
        }
        let safe = matches!(ended.reason, Some(Reason::NotDispatched));
        if safe && !ended.not_started {
            broken("I4", format!("call {uid} says that it is safe to make again, and is not"))?;
        }
        entry.ended = Some(ended);
        let cause = ended.reason.map_or("HANDLER", Reason::name);
        *self.tally.entry((ended.code.name(), cause)).or_default() += 1;
        Ok(ended)
    }

    fn check_body(&self, uid: u32, code: Code, body: &Body) -> Check {
        let Some(entry) = self.entry(uid) else { return Ok(()) };
        match body.kind {
            Kind::Reply => {
                let run = self.runs.get(body.run as usize);
                let right = run.is_some_and(|run| {
                    run.uid == uid && run.worker == body.by as usize && body.uid == uid
                });
                if !right {
                    broken("I3", format!("call {uid} got the reply {body:?} of {run:?}"))?;
                }
            }
            Kind::Forged if !entry.hostile_holders.contains(&(body.by as usize)) => {
                broken("I3", format!("call {uid} got {body:?} from a peer that never had it"))?;
            }
            Kind::Request | Kind::Ask | Kind::Item | Kind::Opening => {
                broken("I3", format!("call {uid} got {body:?} for a reply"))?;
            }
            Kind::Status if code == Code::Ok => {
                broken("I3", format!("call {uid} succeeded with a refusal"))?;
            }
            Kind::Forged | Kind::Status => {}
        }
        Ok(())
    }
}
