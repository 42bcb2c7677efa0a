//! The operator's code beside the broker: it gives its verdicts late, and not all of them.

use std::sync::Arc;

use mdp_protocol::broker::{About, HookConfig, Input, Question, Target, Verdict};
use mdp_protocol::{Code, Reason, Refusal, Span};

use crate::actors::Letter;
use crate::body::Body;
use crate::ledger::Check;
use crate::rng::Rng;
use crate::world::{Event, Who, World};

/// How often the hooks do something else than let a call pass, in 100.
const WILFUL: u64 = 10;

pub(crate) fn config(rng: &mut Rng) -> HookConfig {
    let on = rng.percent(35);
    HookConfig {
        requests: on && rng.percent(70),
        replies: on && rng.percent(70),
        wait: Span::from_ms(rng.pick(&[50, 1_000])),
    }
}

impl World {
    /// The hooks are asked; what they say comes later.
    pub(crate) fn hooks_hear(&mut self, question: Question<Body>) {
        let life = self.broker.process.life;
        let pause = match self.storm && !self.plan.calm {
            // Longer than they may take, now and then.
            true => self.rng.around(self.plan.broker.hooks.wait.as_ms() / 3),
            false => self.rng.range(0, 3),
        };
        let call = question.call;
        self.broker.questions.insert(call, question);
        self.after(pause, Event::Verdict { life, call });
    }

    /// The hooks say what is to become of a call.
    pub(crate) fn hooks_speak(&mut self, life: u32, call: u64) -> Check {
        if self.broker.process.life != life {
            return Ok(());
        }
        self.give(Who::Broker, Letter::Verdict(call))
    }

    pub(crate) fn verdict(&mut self, call: u64) -> Check {
        let Some(question) = self.broker.questions.remove(&call) else { return Ok(()) };
        let wilful = self.storm && !self.plan.calm && self.rng.percent(WILFUL);
        let verdict = match (wilful, question.about) {
            (false, About::Request { target, body, .. }) => {
                let to = if target.is_empty() { Target::Any } else { Target::Only(target) };
                Verdict::Dispatch { body, to }
            }
            (false, About::Reply { worker, code, not_started, reply }) => {
                Verdict::End { code, not_started, worker, reply }
            }
            (true, About::Request { body, target, .. }) => match self.rng.below(4) {
                0 => Verdict::Discard,
                1 => refused(Reason::Denied, true),
                2 if target.is_empty() => {
                    let worker = format!("w{}", self.rng.below(4));
                    Verdict::Dispatch { body, to: Target::Rather(Arc::from(worker.as_bytes())) }
                }
                _ => Verdict::Dispatch { body, to: Target::Only(Arc::from(&b"nobody"[..])) },
            },
            (true, About::Reply { .. }) => match self.rng.below(2) {
                0 => Verdict::Discard,
                _ => refused(Reason::MaybeExecuted, false),
            },
        };
        self.broker_input(Input::Verdict { call, verdict })?;
        Ok(())
    }
}

fn refused(reason: Reason, not_started: bool) -> Verdict<Body> {
    let (code, message) = (Code::PermissionDenied, "the hook said no".to_owned());
    let refusal = Refusal { code, reason, message, not_started, retry_after: None };
    let reply = mdp_protocol::wire::Reply::Refused(Box::new(refusal));
    Verdict::End { code, not_started, worker: Arc::from([]), reply }
}
