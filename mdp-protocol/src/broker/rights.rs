//! Rights: what each peer may do by the policy. What it uses of its quota is in `principals`.
//!
//! A session looks its grant up once, and again when the policy changes, so a change counts from the next message.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Broker;
use super::calls::{BrokerCall, CallState, Stage, UNCOUNTED};
use super::io::{Action, Name};
use super::mmi::Lists;
use super::refusals::{denied, denied_now, quota_refusal};
use super::routing::Called;
use super::to_classic::called_service;
use crate::identity::Identity;
use crate::names::MAX_NAME;
use crate::payload::Payload;
use crate::policy::{Grant, PeerKey, Policy};
use crate::slab::Key;
use crate::status::Refusal;
use crate::time::{Span, Time};
use crate::wire::DisconnectReason;
use crate::z85;

/// The identity and rights of a session's peer.
#[derive(Clone, Debug)]
pub(super) struct Rights {
    identity: Identity,
    /// The rights of the peer. `None`: it has none.
    grant: Option<Arc<Grant>>,
    /// The usage of its principal.
    usage: Option<Key>,
    /// The text that names this peer to workers, if its principal is known.
    shown: Option<Name>,
    /// The service that it was last seen to be allowed to call.
    called: Option<Key>,
}

impl Rights {
    /// A peer may do nothing until the policy is asked.
    fn none(identity: Identity) -> Self {
        Rights { identity, grant: None, usage: None, shown: None, called: None }
    }

    /// The owner of the session, for as long as the session lasts.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The usage of its principal.
    #[inline]
    pub(super) fn usage(&self) -> Option<Key> {
        self.usage
    }

    /// The text that names this peer to workers, if its principal is known.
    pub(super) fn shown(&self) -> Option<&Name> {
        self.shown.as_ref()
    }

    /// The peer's key, as the transport has proven it.
    pub(super) fn key(&self) -> Option<PeerKey> {
        self.identity.key().copied()
    }
}

/// How soon it makes sense to try again where nothing better is known.
pub(super) const SOON: Span = Span::from_ms(100);

impl<P: Payload> Broker<P> {
    /// Whether there is a policy.
    pub(super) fn is_guarded(&self) -> bool {
        self.config.policy.is_some()
    }

    /// The rights of a peer that opens a session now. `None`: it may do nothing.
    pub(super) fn rights_of_newcomer(&mut self, identity: Identity) -> Option<Rights> {
        let none = Rights::none(identity);
        let Some(policy) = self.config.policy.clone() else { return Some(none) };
        let grant = Arc::clone(policy.of(&identity)?);
        let usage = self.principals.of_grant(self.last, &grant);
        Some(Rights { grant: Some(grant), usage: Some(usage), ..none })
    }

    /// Notes the text that names a peer to workers: its id, and after a space its principal, if known.
    pub(super) fn show(&mut self, session: Key) {
        let Some(session) = self.sessions.get_mut(session) else { return };
        let id = session.id().clone();
        let rights = session.rights_mut();
        let key;
        let principal: &[u8] = match (&rights.grant, rights.identity.key()) {
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
        let id = id.get(..id.len().min(room)).unwrap_or_default();
        rights.shown = Some(Name::from([id, b" ", principal].concat()));
    }

    /// A new policy: it counts for all from their next message on, and for the calls that are under way. A peer that
    /// lost all rights, or that serves a service without the right to it, gets DISCONNECT. A call that its client may
    /// no longer make ends.
    pub(super) fn new_policy(&mut self, now: Time, policy: Arc<Policy>, out: &mut Vec<Action<P>>) {
        let first = self.config.policy.replace(Arc::clone(&policy)).is_none();
        let mut leaving = Vec::new();
        let mut changed = Vec::new();
        for session in self.sessions.keys() {
            let Some(found) = self.sessions.get(session) else { continue };
            let grant = policy.of(&found.rights().identity).map(Arc::clone);
            let serves = found.registrations().iter();
            let serves = serves.filter_map(|key| self.services.worker(*key));
            let names = serves.filter_map(|found| self.services.get(found.service()));
            let allowed =
                |grant: &Arc<Grant>| names.clone().all(|service| grant.may_serve(service.name()));
            let stays = grant.as_ref().is_some_and(allowed);
            if !stays {
                leaving.push(session);
            } else if found.rights().grant != grant {
                changed.push(session);
            }
            let usage = grant.as_ref().map(|grant| self.principals.of_grant(self.last, grant));
            if let Some(found) = self.sessions.get_mut(session) {
                let rights = found.rights_mut();
                (rights.grant, rights.usage, rights.called) = (grant, usage, None);
            }
            self.show(session);
        }
        // No call goes to another worker that its client may no longer make: these end before any worker leaves.
        for session in &leaving {
            self.abandon_calls_of(now, *session, out);
        }
        for session in changed {
            self.refuse_forbidden_calls(now, session, out);
        }
        for session in leaving {
            self.disconnect(now, session, DisconnectReason::Denied, out);
        }
        if first {
            self.count_all_calls();
        }
        let sessions = self.sessions.iter();
        let used: BTreeSet<Key> =
            sessions.filter_map(|(_, session)| session.rights().usage()).collect();
        let unread = &self.unread;
        self.principals.forget_idle(|key| used.contains(&key) || unread.of_principal(key) > 0);
    }

    /// Ends the calls of a client that it may not make any more.
    fn refuse_forbidden_calls(&mut self, now: Time, client: Key, out: &mut Vec<Action<P>>) {
        let Some(session) = self.sessions.get(client) else { return };
        let Some(grant) = session.rights().grant.clone() else { return };
        let calls: Vec<Key> = self.calls.of_client(session.calls()).collect();
        for key in calls {
            let Some(call) = self.calls.get(key) else { continue };
            let service = match call.path() {
                // The path that the client called, also if hooks have sent the call elsewhere.
                Some(path) => Some(called_service(path, call.is_raw())),
                None => self.services.get(call.service()).map(|service| service.name().clone()),
            };
            let Some(service) = service.filter(|service| !grant.may_call(service)) else {
                continue;
            };
            // The hooks discarded the call, so its client gets no answer.
            if matches!(call.state(), CallState::Silenced(_)) {
                continue;
            }
            let waiting = call.is_waiting() || call.state() == CallState::Asked(Stage::Request);
            self.stats.denied += 1;
            self.send_refusal(now, key, |_| denied_now(&service, waiting), out);
            self.abandon(now, key, None, out);
        }
    }

    /// Counts the calls under way for their principals, which are known from now on.
    fn count_all_calls(&mut self) {
        let calls: Vec<Key> = self.calls.iter().map(|(key, _)| key).collect();
        for key in calls {
            let Some(call) = self.calls.get_mut(key).filter(|call| call.usage() == UNCOUNTED)
            else {
                continue;
            };
            let session = self.sessions.get(call.owner());
            let Some(usage) = session.and_then(|session| session.rights().usage) else { continue };
            let bytes = call.bytes();
            if let Some(usage) = self.principals.count_call(usage) {
                call.set_usage(usage);
                self.principals.count_bytes(usage, bytes);
            }
        }
    }

    pub(super) fn may_serve(&self, session: Key, service: &[u8]) -> bool {
        !self.is_guarded() || self.grant_of(session).is_some_and(|grant| grant.may_serve(service))
    }

    /// Whether a peer may know of a service: it may call it, serve it, or manage the broker.
    pub(super) fn may_know(&self, session: Key, service: &[u8]) -> bool {
        let knows = |grant: &Arc<Grant>| {
            grant.manage || grant.may_call(service) || grant.may_serve(service)
        };
        !self.is_guarded() || self.grant_of(session).is_some_and(knows)
    }

    /// Counts a question to the broker itself as a call of its principal in a second. Whether it may be asked.
    pub(super) fn count_question(&mut self, now: Time, from: Key) -> bool {
        let Some(session) = self.sessions.get(from) else { return false };
        let (Some(grant), Some(usage)) = (&session.rights().grant, session.rights().usage) else {
            return true;
        };
        self.principals.count_question(usage, now, &grant.quota)
    }

    /// Whether what a peer does counts for a principal.
    pub(super) fn has_principal(&self, session: Key) -> bool {
        self.sessions.get(session).is_some_and(|session| session.rights().usage.is_some())
    }

    /// The lists that a peer's principal was given of late; without a policy, that the peer was given.
    pub(super) fn lists_of(&mut self, session: Key) -> Option<&mut Lists> {
        let session = self.sessions.get_mut(session)?;
        match session.rights().usage {
            Some(usage) => self.principals.lists_mut(usage),
            None => Some(session.lists_mut()),
        }
    }

    /// Whether a peer may use one of the broker's own services. A peer that may call a service may ask for its
    /// contract.
    pub(super) fn may_manage(&self, session: Key, service: &[u8], about: &[u8]) -> bool {
        let asks = |grant: &Grant| match service {
            b"mmi.service" => true,
            super::schemas::SERVICE => grant.may_call(super::schemas::asked_for(about).0),
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
        self.sessions.get(session)?.rights().grant.as_ref()
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
        let rights = session.rights_mut();
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
        // The unread bytes of its peers count for the principal, too.
        let unread = match (self.unread.is_empty(), rights.usage) {
            (false, Some(usage)) => self.unread.of_principal(usage),
            _ => 0,
        };
        let size = unread.saturating_add(size);
        self.principals.check(rights.usage, now, &grant.quota, size).map_err(quota_refusal)
    }

    /// Whether a client may make a call of this size when its quota is not in use.
    pub(super) fn may_ever_call(&self, from: Key, size: usize) -> bool {
        let Some(grant) = self.grant_of(from) else { return true };
        let quota = &grant.quota;
        quota.queued_bytes.is_none_or(|max| size <= max)
            && quota.calls_in_flight != Some(0)
            && quota.calls_per_second != Some(0)
    }

    /// A call counts for its caller's principal from now on.
    pub(super) fn count_call(&mut self, from: Key, call: &mut BrokerCall<P>) {
        let principal = self.sessions.get(from).and_then(|session| session.rights().usage());
        if let Some(usage) = principal.and_then(|key| self.principals.count_call(key)) {
            call.set_usage(usage);
        }
    }

    /// A call is over, and its slot is back: it counts for its principal no longer.
    pub(super) fn uncount_call(&mut self, key: Key) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let usage = call.set_usage(UNCOUNTED);
        if usage != UNCOUNTED {
            self.principals.uncount_call(usage);
        }
    }
}
