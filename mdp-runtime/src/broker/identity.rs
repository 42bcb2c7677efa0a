//! Who is behind a routing id, as the handler of ZAP has told libzmq.

use std::collections::HashMap;

use mdp_protocol::Key;

use crate::by_key::ByKey;
use crate::security::PublicKey;
use crate::security::zap::Registration;

/// The property of a message that ZAP sets. A peer can send one of this name too; what ZAP says goes before it, so it is
/// read where ZAP is asked and nowhere else.
const USER_ID: &str = "User-Id";

/// The public keys of peers, by routing id. Without CURVE it is empty, and costs nothing.
///
/// It holds the sessions that are open, and whoever spoke last: no more than the broker holds of peers anyway.
pub(super) struct Identities {
    registration: Option<Registration>,
    sessions: HashMap<Box<[u8]>, Principal>,
    routes: ByKey<Box<[u8]>>,
    last: Option<(Box<[u8]>, Principal)>,
}

/// A key, and its text as ZAP gave it, which is what is compared.
struct Principal {
    key: PublicKey,
    text: Box<str>,
}

impl Identities {
    pub(super) fn new(registration: Option<Registration>) -> Self {
        Identities { registration, sessions: HashMap::new(), routes: ByKey::default(), last: None }
    }

    /// Nobody new can connect any more.
    pub(super) fn is_blind(&self) -> bool {
        self.registration.as_ref().is_some_and(Registration::is_gone)
    }

    /// Takes in whose message this is, from its first frame. `false`: it is not that of the peer whose session the routing
    /// id has, for a peer can ask for a routing id that another one had; the message counts for nothing.
    pub(super) fn heard(&mut self, route: &mut zmq::Message) -> bool {
        if self.registration.is_none() {
            return true;
        }
        let bytes: Box<[u8]> = (**route).into();
        let text = route.gets(USER_ID);
        let text = text.filter(|text| !text.is_empty());
        if let Some(known) = self.sessions.get(&bytes) {
            return text == Some(&*known.text);
        }
        if let Some((last, known)) = &self.last
            && *last == bytes
            && text == Some(&*known.text)
        {
            return true;
        }
        // Without a key: over inproc.
        self.last = text.and_then(|text| {
            let key = text.parse().ok()?;
            Some((bytes, Principal { key, text: text.into() }))
        });
        true
    }

    /// The public key of the peer behind a routing id. `None`: the broker has no CURVE, the peer is in the same process
    /// (inproc), or it has gone.
    pub(super) fn principal(&self, route: &[u8]) -> Option<PublicKey> {
        let last = self.last.as_ref().filter(|(last, _)| **last == *route);
        self.sessions.get(route).or(last.map(|(_, principal)| principal)).map(|found| found.key)
    }

    /// There is a session with whoever spoke last.
    pub(super) fn opened(&mut self, session: Key, route: &[u8]) {
        if let Some((last, principal)) = self.last.take_if(|(last, _)| **last == *route) {
            tracing::debug!(key = %principal.key, "session of this key");
            self.routes.insert(session, last.clone());
            self.sessions.insert(last, principal);
        }
    }

    pub(super) fn closed(&mut self, session: Key) {
        if let Some(route) = self.routes.remove(session) {
            self.sessions.remove(&route);
        }
    }
}
