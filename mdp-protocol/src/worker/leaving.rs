//! How a worker leaves: on request, because its broker is about to leave, or because brokers refuse it for too long.

use alloc::vec::Vec;

use super::{AbortCause, Action, Leaving, Worker, refusal, started};
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::{Code, Reason, Refusal};
use crate::time::{Span, Time};
use crate::wire::{CallKind, Record};

/// The longest pause and handshake of several endpoints, of which some do not answer.
const LONGEST_GAP: Span = Span::from_secs(60);

/// Brokers refuse the worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    since: Time,
    last: Time,
}

impl Worker {
    /// Counts a refusal. Between two that belong together no more than that time may pass: a broker that was away meanwhile
    /// may have changed.
    pub(super) fn refused_for_too_long(&mut self, now: Time) -> bool {
        let Some(max) = self.config.give_up_after else { return false };
        let before = self.refused.filter(|refused| now - refused.last <= max.max(LONGEST_GAP));
        let since = before.map_or(now, |refused| refused.since);
        self.refused = Some(Refused { since, last: now });
        now - since >= max
    }

    /// The worker, or its broker, is about to leave: handlers are notified, and their streams end if the setting says
    /// so.
    pub(super) fn begin_draining<P: Payload>(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        if core::mem::replace(&mut self.draining, true) {
            return;
        }
        out.push(Action::Draining);
        if !self.config.end_streams_on_drain {
            return;
        }
        let streams = self.slots.iter().filter(|(_, slot)| slot.ends.kind().is_stream());
        let streams: Vec<Key> = streams.map(|(key, _)| key).collect();
        for call in streams {
            self.abort(now, call, AbortCause::Drained, started(drained()), out);
        }
    }

    /// Why a call of this kind is not begun any more.
    pub(super) fn refuse_drained(&self, kind: CallKind) -> Option<Refusal> {
        let ends = self.draining && self.config.end_streams_on_drain && kind.is_stream();
        ends.then(drained)
    }

    pub(super) fn drain<P: Payload>(&mut self, now: Time, grace: Span, out: &mut Vec<Action<P>>) {
        let until = now + grace;
        match &mut self.leaving {
            Some(leaving) => leaving.until = leaving.until.min(until),
            None => {
                self.leaving = Some(Leaving { until, drained: false });
                if self.session.is_open() {
                    self.session.send(now, Record::Drain, out);
                }
            }
        }
        self.begin_draining(now, out);
    }

    pub(super) fn maybe_close<P: Payload>(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        let Some(leaving) = self.leaving.as_ref().filter(|_| !self.closed) else { return };
        let idle = self.slots.is_empty() && (leaving.drained || !self.session.is_open());
        if !idle && now < leaving.until {
            return;
        }
        let held: Vec<Key> = self.slots.iter().map(|(key, _)| key).collect();
        for call in held {
            let message = "the worker was shut down while the handler ran".into();
            let refusal = started(refusal(Code::Unavailable, Reason::MaybeExecuted, message));
            self.abort(now, call, AbortCause::Shutdown, refusal, out);
        }
        self.become_closed(now, out);
    }
}

fn drained() -> Refusal {
    let message = "the worker is being drained, and ends its streams; ask again: another one may take the call";
    refusal(Code::Unavailable, Reason::Draining, message.into())
}
