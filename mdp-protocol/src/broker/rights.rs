//! Rights: what each peer may do by the policy, and what it uses of its quota.
//!
//! A session looks its grant up once, and again when the policy changes, so a change counts from the next message.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Broker;
use super::calls::Call;
use super::io::{Action, Name};
use super::refusals::{denied, quota_refusal};
use super::tallies::Called;
use crate::names::MAX_NAME;
use crate::payload::Payload;
use crate::policy::{Grant, PeerKey, Policy, Quota};
use crate::slab::Key;
use crate::status::Refusal;
use crate::time::{Span, Time};
use crate::wire::DisconnectReason;
use crate::z85;

/// What is known of the peer of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct Rights {
    /// The peer's key, as the transport has proven it.
    pub(super) key: Option<PeerKey>,
    /// What it may do; `None` is nothing.
    grant: Option<Arc<Grant>>,
    /// What its principal uses.
    pub(super) usage: Option<Key>,
    /// How workers are told of it, if its principal is known.
    pub(super) shown: Option<Name>,
    /// The service that it was last seen to be allowed to call.
    called: Option<Key>,
}

/// What a principal uses, over all its sessions.
#[derive(Debug)]
pub(super) struct Usage {
    name: Name,
    calls: usize,
    bytes: usize,
    /// Thousandths of calls that may be made at once, when that was counted.
    tokens: u64,
    counted: Time,
}

/// Which quota is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Calls,
    Rate { retry_after: Span },
    Bytes,
}

impl Over {
    pub(super) fn name(self) -> &'static str {
        match self {
            Over::Calls => "calls_in_flight",
            Over::Rate { .. } => "calls_per_second",
            Over::Bytes => "queued_bytes",
        }
    }
}

/// How soon it makes sense to try again where nothing better is known.
pub(super) const SOON: Span = Span::from_ms(100);

impl<P: Payload> Broker<P> {
    /// Says whose messages come next, by the key that the transport has proven. It is looked at when a peer
    /// without a session opens one.
    pub fn introduce(&mut self, key: Option<PeerKey>) {
        self.introduced = key;
    }

    /// Whether there is a policy.
    pub(super) fn is_guarded(&self) -> bool {
        self.config.policy.is_some()
    }

    /// The rights of whoever opens a session now; `None`: it may do nothing at all.
    pub(super) fn rights_of_newcomer(&mut self) -> Option<Rights> {
        let key = self.introduced;
        let Some(policy) = self.config.policy.clone() else {
            return Some(Rights { key, ..Rights::default() });
        };
        let grant = Arc::clone(policy.of(key.as_ref())?);
        let usage = self.usage_of(&grant);
        let grant = Some(grant);
        Some(Rights { key, grant, usage: Some(usage), ..Rights::default() })
    }

    /// Notes how workers are told of a peer: its id, and behind a space its principal, if that is known.
    pub(super) fn show(&mut self, session: Key) {
        let Some(session) = self.sessions.get_mut(session) else { return };
        let rights = &mut session.rights;
        let key;
        let principal: &[u8] = match (&rights.grant, &rights.key) {
            (Some(grant), _) => &grant.name,
            (None, Some(known)) => {
                key = z85::encode(known);
                &key
            }
            (None, None) => {
                rights.shown = None;
                return;
            }
        };
        let room = MAX_NAME.saturating_sub(1 + principal.len());
        let id = session.id.get(..session.id.len().min(room)).unwrap_or_default();
        rights.shown = Some(Name::from([id, b" ", principal].concat()));
    }

    /// A new policy: it counts for all from their next message on. Who lost all rights, or serves what it may
    /// no longer serve, is told to go.
    pub(super) fn new_policy(&mut self, now: Time, policy: Arc<Policy>, out: &mut Vec<Action<P>>) {
        self.config.policy = Some(Arc::clone(&policy));
        let sessions: Vec<Key> = self.sessions.iter().map(|(key, _)| key).collect();
        for session in sessions {
            let Some(found) = self.sessions.get(session) else { continue };
            let grant = policy.of(found.rights.key.as_ref()).map(Arc::clone);
            let serves = found.registrations.iter();
            let serves = serves.filter_map(|key| self.registrations.get(*key));
            let names = serves.filter_map(|found| self.services.get(found.service));
            let allowed =
                |grant: &Arc<Grant>| names.clone().all(|service| grant.may_serve(&service.name));
            let stays = grant.as_ref().is_some_and(allowed);
            let usage = grant.as_ref().map(|grant| self.usage_of(grant));
            if let Some(found) = self.sessions.get_mut(session) {
                found.rights.grant = grant;
                found.rights.usage = usage;
                found.rights.called = None;
            }
            self.show(session);
            if !stays {
                self.expel(now, session, DisconnectReason::Denied, out);
            }
        }
        self.forget_idle_usage();
    }

    fn usage_of(&mut self, grant: &Arc<Grant>) -> Key {
        if let Some(key) = self.by_principal.get(&grant.name) {
            return *key;
        }
        let tokens = grant.quota.calls_per_second.map_or(0, |rate| u64::from(rate) * 1_000);
        let name = Arc::clone(&grant.name);
        let usage = Usage { name, calls: 0, bytes: 0, tokens, counted: self.last };
        let key = self.usages.insert(usage);
        self.by_principal.insert(Arc::clone(&grant.name), key);
        key
    }

    /// Principals that nobody is any more, and of which nothing is left.
    fn forget_idle_usage(&mut self) {
        let used =
            |key: Key| self.sessions.iter().any(|(_, found)| found.rights.usage == Some(key));
        let idle = self
            .usages
            .iter()
            .filter(|(key, usage)| usage.calls == 0 && usage.bytes == 0 && !used(*key))
            .filter(|(key, _)| self.unread.of_principal(*key) == 0);
        let idle: Vec<(Key, Name)> = idle.map(|(key, usage)| (key, usage.name.clone())).collect();
        for (key, name) in idle {
            self.usages.remove(key);
            self.by_principal.remove(&name);
        }
    }

    pub(super) fn may_serve(&self, session: Key, service: &[u8]) -> bool {
        !self.is_guarded() || self.grant_of(session).is_some_and(|grant| grant.may_serve(service))
    }

    /// Whether a peer may use one of the broker's own services. Who may call a service may ask what it is.
    pub(super) fn may_manage(&self, session: Key, service: &[u8], about: &[u8]) -> bool {
        let asks = |grant: &Grant| match service {
            b"mmi.service" => true,
            super::schemas::SERVICE => grant.may_call(about),
            _ => service.starts_with(super::drain::SERVICES) && grant.drain,
        };
        !self.is_guarded()
            || self.grant_of(session).is_some_and(|grant| grant.manage || asks(grant))
    }

    /// Whether a peer may ask for workers, or the broker, to end.
    pub(super) fn may_drain(&self, session: Key) -> bool {
        match self.is_guarded() {
            true => self.grant_of(session).is_some_and(|grant| grant.drain),
            false => self.config.drain.anybody,
        }
    }

    fn grant_of(&self, session: Key) -> Option<&Arc<Grant>> {
        self.sessions.get(session)?.rights.grant.as_ref()
    }

    /// Why a peer may not make a call, if it may not.
    pub(super) fn check_rights(
        &mut self,
        now: Time,
        from: Key,
        called: Called<'_>,
        size: usize,
    ) -> Result<(), Refusal> {
        if !self.is_guarded() {
            return Ok(());
        }
        let Called { name: service, service: found, row: _ } = called;
        let Some(session) = self.sessions.get_mut(from) else {
            return Err(denied(service));
        };
        let rights = &mut session.rights;
        let Some(grant) = &rights.grant else {
            return Err(denied(service));
        };
        if found.is_none() || rights.called != found {
            if !grant.may_call(service) {
                self.stats.denied += 1;
                return Err(denied(service));
            }
            rights.called = found;
        }
        // What its peers have not read is held for the principal, too.
        let unread = match (self.unread.is_empty(), rights.usage) {
            (false, Some(usage)) => self.unread.of_principal(usage),
            _ => 0,
        };
        let Some(usage) = rights.usage.and_then(|usage| self.usages.get_mut(usage)) else {
            return Ok(());
        };
        usage.check(now, &grant.quota, unread.saturating_add(size)).map_err(quota_refusal)
    }

    /// A call counts for its caller's principal from now on.
    pub(super) fn count_call(&mut self, from: Key, call: &mut Call<P>) {
        let usage = self.sessions.get(from).and_then(|session| session.rights.usage);
        let Some((usage, found)) =
            usage.and_then(|usage| Some((usage, self.usages.get_mut(usage)?)))
        else {
            return;
        };
        found.calls += 1;
        call.usage = usage.index();
    }

    /// The caller of a call waits for it no longer.
    pub(super) fn uncount_call(&mut self, usage: u32) {
        if let Some(usage) = self.usages.at_mut(usage) {
            usage.calls = usage.calls.saturating_sub(1);
        }
    }

    /// The broker holds more bytes of a principal's calls.
    pub(super) fn count_bytes(&mut self, usage: u32, bytes: usize) {
        if let Some(usage) = self.usages.at_mut(usage) {
            usage.bytes += bytes;
        }
    }

    /// It holds less.
    pub(super) fn uncount_bytes(&mut self, usage: u32, bytes: usize) {
        if let Some(usage) = self.usages.at_mut(usage) {
            usage.bytes = usage.bytes.saturating_sub(bytes);
        }
    }

    /// Calls and bytes that are counted for principals, for the audit.
    pub(super) fn counted(&self) -> (usize, usize) {
        let usages = self.usages.iter();
        usages.fold((0, 0), |(calls, bytes), (_, usage)| (calls + usage.calls, bytes + usage.bytes))
    }
}

impl Usage {
    fn check(&mut self, now: Time, quota: &Quota, size: usize) -> Result<(), Over> {
        if quota.calls_in_flight.is_some_and(|most| self.calls >= most) {
            return Err(Over::Calls);
        }
        if quota.queued_bytes.is_some_and(|most| self.bytes + size > most) {
            return Err(Over::Bytes);
        }
        let Some(rate) = quota.calls_per_second else { return Ok(()) };
        let rate = u64::from(rate);
        let passed = (now - self.counted).as_ms();
        self.tokens = self.tokens.saturating_add(passed.saturating_mul(rate)).min(rate * 1_000);
        self.counted = now;
        match self.tokens.checked_sub(1_000) {
            Some(left) => {
                self.tokens = left;
                Ok(())
            }
            None => {
                let missing = 1_000 - self.tokens;
                let retry_after = Span::from_ms(missing.div_ceil(rate.max(1)));
                Err(Over::Rate { retry_after })
            }
        }
    }
}
