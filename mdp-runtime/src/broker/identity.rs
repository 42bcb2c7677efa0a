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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use mdp_protocol::broker::{Action, Broker, Config, Input};
    use mdp_protocol::wire::Record;
    use mdp_protocol::{Span, Time};

    use super::*;
    use crate::body::Body;
    use crate::context::Runtime;
    use crate::security::{AllowList, CurveClient, KeyPair, set_up_server};

    /// The key of a session, which only a machine can make.
    fn a_session() -> Key {
        let mut core = Broker::<Body>::new(Config::default());
        let mut actions = Vec::new();
        let from = core.sender(b"x");
        let record = Record::Hello { id: &b""[..], heartbeat: Span::from_secs(1), liveness: 3 };
        core.handle(Time::from_ms(0), Input::Record { from, record }, &mut actions);
        let opened = actions.iter().find_map(|action| match action {
            Action::Open { session, .. } => Some(*session),
            _ => None,
        });
        opened.unwrap()
    }

    /// A peer takes the routing id of one that has gone, before the broker knows that it has.
    #[test]
    fn a_routing_id_of_a_session_is_of_no_use_to_another_key() {
        let (runtime, keys) = (Runtime::new(), KeyPair::new().unwrap());
        let registration = Registration::new(&runtime, AllowList::anybody(), || {}).unwrap();
        let mut router = runtime.socket(zmq::ROUTER).unwrap();
        set_up_server(&mut router, &keys, registration.domain()).unwrap();
        router.set_rcvtimeo(200).unwrap();
        router.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = router.get_last_endpoint().unwrap().unwrap();
        let mut identities = Identities::new(Some(registration));
        let peer = |own: &KeyPair| {
            let socket = runtime.socket(zmq::DEALER).unwrap();
            socket.set_linger(0).unwrap();
            socket.set_identity(b"x").unwrap();
            let curve = CurveClient::new(*keys.public()).key_pair(own.clone());
            curve.prepare(1).unwrap().set_up(&socket, 0).unwrap();
            socket.connect(&endpoint).unwrap();
            socket
        };
        // Until the routing id is free again, who asks for it is passed over by libzmq.
        let hears = |own: &KeyPair| {
            let until = Instant::now() + Duration::from_secs(10);
            while Instant::now() < until {
                let socket = peer(own);
                socket.send("hello", 0).unwrap();
                if let Ok(route) = router.recv_msg(0) {
                    assert_eq!(&*router.recv_msg(0).unwrap(), b"hello");
                    return (socket, route);
                }
            }
            panic!("nobody was heard");
        };
        let (ann, eve) = (KeyPair::new().unwrap(), KeyPair::new().unwrap());
        let (socket, mut route) = hears(&ann);
        assert!(identities.heard(&mut route));
        assert_eq!(identities.principal(b"x"), Some(*ann.public()));
        let session = a_session();
        identities.opened(session, b"x");
        drop(socket);
        let (socket, mut route) = hears(&eve);
        assert!(!identities.heard(&mut route));
        assert_eq!(identities.principal(b"x"), Some(*ann.public()));
        drop(socket);
        let (socket, mut route) = hears(&ann);
        assert!(identities.heard(&mut route));
        drop(socket);
        // When that session is over, the next one may have it.
        identities.closed(session);
        assert_eq!(identities.principal(b"x"), None);
        let (_socket, mut route) = hears(&eve);
        assert!(identities.heard(&mut route));
        assert_eq!(identities.principal(b"x"), Some(*eve.public()));
    }

    #[test]
    fn without_curve_nobody_has_a_key_whatever_a_message_says() {
        let runtime = Runtime::new();
        let router = runtime.socket(zmq::ROUTER).unwrap();
        router.set_rcvtimeo(10_000).unwrap();
        router.bind("tcp://127.0.0.1:*").unwrap();
        let dealer = runtime.socket(zmq::DEALER).unwrap();
        dealer.set_linger(0).unwrap();
        dealer.connect(&router.get_last_endpoint().unwrap().unwrap()).unwrap();
        dealer.send("hello", 0).unwrap();
        let mut route = router.recv_msg(0).unwrap();
        let mut identities = Identities::new(None);
        assert!(identities.heard(&mut route));
        assert_eq!(identities.principal(&route), None);
        assert!(!identities.is_blind());
    }
}
