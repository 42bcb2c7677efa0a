//! Identifies the sender of a message by the key that the ZAP handler gave to libzmq.

use mdp_protocol::Identity;

use super::zap::Registration;
use crate::arrival::Unproven;
use crate::security::PublicKey;

/// The property of a message that ZAP sets. A peer can send a property with the same name. The value of ZAP has
/// priority, so the property is read only where ZAP is in use.
const USER_ID: &str = "User-Id";

/// Properties of messages that came over a connection. A peer sends the first one in its READY, and may leave it out.
/// libzmq adds the second one for each peer of ZMTP 3, so for each peer with a proven key. Messages over inproc have
/// neither property, and messages of peers of ZMTP 2 have neither.
const OF_CONNECTIONS: [&str; 2] = ["Socket-Type", "Peer-Address"];

/// The number of remembered keys.
const RECENT: usize = 64;

/// The text of a key from ZAP, and the key's identity.
type Known = (Box<str>, Identity);

/// Identifies the senders of messages. Identities are made only here.
pub(super) struct Identities {
    /// `None`: the broker has no CURVE, and all peers are anonymous.
    registration: Option<Registration>,
    /// Recently read keys with their texts: parsing a key takes longer than a comparison.
    recent: Box<[Option<Known>]>,
}

/// Whether a message has no property of a connection. Without CURVE, such a message may still come over a connection.
fn is_local(route: &mut zmq::Message) -> bool {
    OF_CONNECTIONS.iter().all(|property| route.gets(property).is_none())
}

/// Whether a routing id has the form of a ROUTER's own ids: a zero byte and a number. The number starts at a secret
/// value.
fn is_made_by_router(route: &[u8]) -> bool {
    matches!(route, [0, _, _, _, _])
}

impl Identities {
    pub(super) fn new(registration: Option<Registration>) -> Self {
        Identities { registration, recent: vec![None; RECENT].into() }
    }

    /// Whether no new peer can connect any more.
    pub(super) fn is_blind(&self) -> bool {
        self.registration.as_ref().is_some_and(Registration::is_gone)
    }

    /// Identifies the sender of the message with this first frame.
    ///
    /// # Errors
    ///
    /// The broker uses CURVE, the message came over the network, and its connection has no key. Or the broker has a
    /// policy (`guarded`), so that keys have rights of their own, and the peer chose its own routing id.
    pub(super) fn of(
        &mut self,
        route: &mut zmq::Message,
        guarded: bool,
    ) -> Result<Identity, Unproven> {
        if self.registration.is_none() {
            return Ok(Identity::anonymous());
        }
        let known = match route.gets(USER_ID) {
            Some(text) if !text.is_empty() => Some(self.of_text(text)?),
            _ => None,
        };
        match known {
            Some(_) if guarded && !is_made_by_router(route) => Err(Unproven::Route),
            Some(identity) => Ok(identity),
            None if !is_local(route) => Err(Unproven::Key),
            None => Ok(Identity::anonymous()),
        }
    }

    fn of_text(&mut self, text: &str) -> Result<Identity, Unproven> {
        let place = text.as_bytes().first_chunk::<2>().map_or(0, |[first, second]| {
            usize::from(first.wrapping_mul(31) ^ second) % self.recent.len()
        });
        if let Some(Some((known, identity))) = self.recent.get(place)
            && **known == *text
        {
            return Ok(*identity);
        }
        let key: PublicKey = text.parse().map_err(|_| Unproven::Key)?;
        let identity = Identity::of_key(*key.as_bytes());
        if let Some(recent) = self.recent.get_mut(place) {
            *recent = Some((text.into(), identity));
        }
        Ok(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libzmq::context::Context;
    use crate::libzmq::curve::{set_up_client, set_up_server};
    use crate::security::{AllowList, KeyPair};

    /// A router that identifies its peers as the broker does.
    struct Server {
        context: Context,
        keys: KeyPair,
        router: zmq::Socket,
        identities: Identities,
    }

    impl Server {
        /// With CURVE on its socket, or with a ZAP handler only.
        fn new(curve: bool) -> Self {
            let (context, keys) = (Context::new(), KeyPair::new().unwrap());
            let registration = Registration::new(&context, AllowList::anybody(), || {}).unwrap();
            let mut router = context.socket(zmq::ROUTER).unwrap();
            if curve {
                set_up_server(&mut router, &keys, registration.domain()).unwrap();
            }
            router.set_rcvtimeo(10_000).unwrap();
            let identities = Identities::new(Some(registration));
            Server { context, keys, router, identities }
        }

        fn bind(&self, endpoint: &str) -> String {
            self.router.bind(endpoint).unwrap();
            self.router.get_last_endpoint().unwrap().unwrap()
        }

        fn peer(&self, endpoint: &str, own: Option<&KeyPair>) -> zmq::Socket {
            let socket = self.context.socket(zmq::DEALER).unwrap();
            socket.set_linger(0).unwrap();
            if let Some(own) = own {
                set_up_client(&socket, own, self.keys.public()).unwrap();
            }
            socket.connect(endpoint).unwrap();
            socket
        }

        /// The identity of the sender of the next message.
        fn hears(&mut self) -> Result<Identity, Unproven> {
            let mut route = self.router.recv_msg(0).unwrap();
            assert_eq!(&*self.router.recv_msg(0).unwrap(), b"hello");
            self.identities.of(&mut route, true)
        }
    }

    #[test]
    fn each_message_tells_whose_it_is() {
        let mut server = Server::new(true);
        let (tcp, inproc) = (server.bind("tcp://127.0.0.1:*"), server.bind("inproc://here"));
        let ipc = server.bind("ipc://*");
        let keys = [(); 2].map(|()| KeyPair::new().unwrap());
        let [ann, bo] = [(&tcp, &keys[0]), (&ipc, &keys[1])]
            .map(|(endpoint, own)| server.peer(endpoint, Some(own)));
        let inside = server.peer(&inproc, None);
        for _ in 0..3 {
            for (peer, own) in [(&ann, Some(&keys[0])), (&bo, Some(&keys[1])), (&inside, None)] {
                peer.send("hello", 0).unwrap();
                let wanted = own.map(|own| *own.public().as_bytes());
                assert_eq!(server.hears().unwrap().key().copied(), wanted);
            }
        }
    }

    /// Such a message must not count as one from the broker's own process, which has no key either.
    #[test]
    fn a_message_from_outside_without_a_key_is_nobodys() {
        let mut server = Server::new(false);
        for endpoint in ["tcp://127.0.0.1:*", "ipc://*"] {
            let peer = server.peer(&server.bind(endpoint), None);
            peer.send("hello", 0).unwrap();
            assert_eq!(server.hears().unwrap_err(), Unproven::Key);
        }
        let inside = server.peer(&server.bind("inproc://here"), None);
        inside.send("hello", 0).unwrap();
        assert_eq!(server.hears().unwrap(), Identity::anonymous());
    }

    /// Another peer may have used the same id before: messages for one peer would reach the other.
    #[test]
    fn a_peer_with_a_key_does_not_choose_its_routing_id() {
        let mut server = Server::new(true);
        let (endpoint, own) = (server.bind("tcp://127.0.0.1:*"), KeyPair::new().unwrap());
        let peer = server.context.socket(zmq::DEALER).unwrap();
        peer.set_linger(0).unwrap();
        peer.set_identity(b"ann").unwrap();
        set_up_client(&peer, &own, server.keys.public()).unwrap();
        peer.connect(&endpoint).unwrap();
        peer.send("hello", 0).unwrap();
        assert_eq!(server.hears().unwrap_err(), Unproven::Route);
    }

    #[test]
    fn without_curve_all_peers_are_anonymous() {
        let mut server = Server::new(false);
        server.identities = Identities::new(None);
        let peer = server.peer(&server.bind("tcp://127.0.0.1:*"), None);
        peer.send("hello", 0).unwrap();
        assert_eq!(server.hears().unwrap(), Identity::anonymous());
    }
}
