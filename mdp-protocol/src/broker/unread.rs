//! Unread data: bytes that are on their way to peers.
//!
//! The transport knows these bytes and reports them by connection ([`Input::Unread`](super::Input::Unread)). They count
//! for the session, for its principal and for the broker. A client that has too many gets no new calls accepted, and a
//! worker that has too many gets no new calls. The transport refuses to take more than the limits allow; then the
//! session ends ([`Input::Overfull`](super::Input::Overfull)).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::io::{Action, Cause};
use super::refusals::Rejection;
use super::{Broker, PlantedBug};
use crate::limits::{Limit, Limits};
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::Time;

/// The step, in bytes, in which unread bytes are reported: 16 KiB. Ordinary traffic stays below it and causes no
/// reports.
pub const UNREAD_STEP: usize = 16 << 10;

/// The unread bytes of all connections.
#[derive(Debug)]
pub(super) struct Unread {
    by_session: HashMap<Key, Count, FixedState>,
    by_principal: HashMap<Key, usize, FixedState>,
    all: usize,
    /// Workers that get no new calls until they have read.
    held_back: HashSet<Key, FixedState>,
    /// The number of the input that is handled now.
    input: u64,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    bytes: usize,
    principal: Option<Key>,
}

impl Unread {
    pub(super) fn new(hash: impl Fn() -> FixedState) -> Self {
        Unread {
            by_session: HashMap::with_hasher(hash()),
            by_principal: HashMap::with_hasher(hash()),
            all: 0,
            held_back: HashSet::with_hasher(hash()),
            input: 0,
        }
    }

    /// The next input is handled.
    pub(super) fn begin(&mut self) {
        self.input = self.input.wrapping_add(1);
    }

    pub(super) fn input(&self) -> u64 {
        self.input
    }

    /// Whether no connection has unread bytes.
    pub(super) fn is_empty(&self) -> bool {
        self.all == 0
    }

    pub(super) fn all(&self) -> usize {
        self.all
    }

    pub(super) fn of_principal(&self, principal: Key) -> usize {
        if self.by_principal.is_empty() {
            return 0;
        }
        self.by_principal.get(&principal).copied().unwrap_or(0)
    }

    pub(super) fn is_held_back(&self, session: Key) -> bool {
        !self.held_back.is_empty() && self.held_back.contains(&session)
    }

    fn of_session(&self, session: Key) -> usize {
        if self.by_session.is_empty() {
            return 0;
        }
        self.by_session.get(&session).map_or(0, |count| count.bytes)
    }

    /// Takes in what a connection has unread now. A session that has ended keeps the principal that it had.
    fn report(&mut self, session: Key, principal: Option<Key>, bytes: usize) {
        let before = self.by_session.remove(&session);
        if let Some(Count { bytes, principal }) = before {
            self.all = self.all.saturating_sub(bytes);
            if let Some(principal) = principal
                && let Some(sum) = self.by_principal.get_mut(&principal)
            {
                *sum = sum.saturating_sub(bytes);
                if *sum == 0 {
                    self.by_principal.remove(&principal);
                }
            }
        }
        if bytes == 0 {
            return;
        }
        let principal = principal.or(before.and_then(|before| before.principal));
        self.all += bytes;
        if let Some(principal) = principal {
            *self.by_principal.entry(principal).or_default() += bytes;
        }
        self.by_session.insert(session, Count { bytes, principal });
    }

    /// Notes whether a worker gets calls. Whether that is a change.
    fn hold_back(&mut self, session: Key, held: bool) -> bool {
        match held {
            true => self.held_back.insert(session),
            false => self.held_back.remove(&session),
        }
    }

    /// Recounts the sums.
    fn recount(&self) -> Result<(), String> {
        let all: usize = self.by_session.values().map(|count| count.bytes).sum();
        let mut sums: HashMap<Key, usize, FixedState> =
            HashMap::with_hasher(self.by_principal.hasher().clone());
        for count in self.by_session.values() {
            if let Some(principal) = count.principal {
                *sums.entry(principal).or_default() += count.bytes;
            }
        }
        if all != self.all || sums != self.by_principal {
            let kept = (self.all, &self.by_principal);
            return Err(format!("unread bytes: {all} and {sums:?} counted, {kept:?} kept"));
        }
        Ok(())
    }
}

impl<P: Payload> Broker<P> {
    /// Whether a worker gets no calls until it has read its data. The driver should then check its transport soon.
    pub fn holds_workers_back(&self) -> bool {
        !self.unread.held_back.is_empty()
    }

    /// The transport reports what a connection has unread.
    pub(super) fn unread(
        &mut self,
        now: Time,
        session: Key,
        bytes: usize,
        out: &mut Vec<Action<P>>,
    ) {
        let found = self.sessions.get(session);
        if found.is_none() && self.planted(PlantedBug::ForgetUnread) {
            return;
        }
        self.unread.report(session, found.and_then(|found| found.rights().usage()), bytes);
        let registrations = found.map_or_else(Vec::new, |found| found.registrations().to_vec());
        let held = !registrations.is_empty() && bytes > self.mark();
        if !self.unread.hold_back(session, held) {
            return;
        }
        self.show_held_back(&registrations, held);
        if !held {
            for key in registrations {
                let service = self.services.service_of(key);
                if let Some(service) = service {
                    self.fill_slots(now, key, service, out);
                }
            }
        }
    }

    /// The transport took nothing more for a peer.
    pub(super) fn overfull(
        &mut self,
        now: Time,
        session: Key,
        limit: Limit,
        out: &mut Vec<Action<P>>,
    ) {
        if self.sessions.get(session).is_some() {
            self.stats.unread_ended += 1;
        }
        self.note_limit(session, limit, out);
        self.close_session(now, session, Cause::Unread(limit), out);
    }

    /// A session has ended. Its connection may still have bytes unread, which go on counting.
    pub(super) fn unread_of_gone(&mut self, session: Key) {
        self.unread.hold_back(session, false);
        if self.planted(PlantedBug::ForgetUnread) {
            self.unread.report(session, None, 0);
        }
    }

    /// Whether a worker that offers a service now is held back.
    pub(super) fn starts_held_back(&mut self, session: Key) -> bool {
        if self.unread.of_session(session) > self.mark() {
            self.unread.hold_back(session, true);
        }
        self.unread.is_held_back(session)
    }

    /// A worker was given calls of this many bytes within this input. The transport reports after it; until then they
    /// count as unread, so that a long queue is not given away at once.
    pub(super) fn count_given(&mut self, session: Key, bytes: usize) {
        if self.unread.of_session(session) + bytes <= self.mark() {
            return;
        }
        let Some(found) = self.sessions.get(session) else { return };
        let registrations = found.registrations().to_vec();
        if self.unread.hold_back(session, true) {
            self.show_held_back(&registrations, true);
        }
    }

    /// Why a client's REQUEST is not taken, if the client has too much unread.
    pub(super) fn check_unread(&self, from: Key) -> Result<(), Rejection> {
        let unread = self.unread.of_session(from);
        if unread == 0 || unread <= self.mark() {
            return Ok(());
        }
        Err(Rejection::Unread(which(&self.config.limits, self.unread.all())))
    }

    pub(super) fn audit_unread(&self) -> Result<(), String> {
        self.unread.recount()?;
        for (key, registration) in self.services.workers() {
            if registration.is_held_back() != self.unread.is_held_back(registration.session()) {
                return Err(format!("worker {key:?} is not held back as its session is"));
            }
        }
        let gone = self.unread.held_back.iter().find(|key| self.sessions.get(**key).is_none());
        match gone {
            Some(gone) => Err(format!("session {gone:?} is held back and has ended")),
            None => Ok(()),
        }
    }

    fn mark(&self) -> usize {
        self.config.limits.unread_mark(self.unread.all())
    }

    fn show_held_back(&mut self, registrations: &[Key], held: bool) {
        for key in registrations {
            if let Some(registration) = self.services.worker_mut(*key) {
                registration.hold_back(held);
            }
            self.services.reload(*key);
        }
    }
}

/// The limit that bounds the share of each connection now.
fn which(limits: &Limits, all: usize) -> Limit {
    match limits.unread_share(all) < limits.unread_bytes_per_session {
        true => Limit::UnreadBytes,
        false => Limit::UnreadBytesPerSession,
    }
}
