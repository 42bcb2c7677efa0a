//! What only tests of what stands on the sockets need: a peer of a router, and the handler of ZAP.

use bytes::Bytes;

use crate::context::{Context, Sockets};
use crate::libzmq;
use crate::native::Connected;
use crate::packet::InPacket;

/// A DEALER without a task, which connects over inproc.
pub struct Stranger(Kind);

enum Kind {
    Native(Connected),
    Libzmq(libzmq::testing::Stranger),
}

impl Stranger {
    /// Connects to a router.
    pub fn connect(context: &Context, endpoint: &str) -> Self {
        Stranger(match context.sockets() {
            Sockets::Native(hub) => {
                let name = endpoint.strip_prefix("inproc://").unwrap();
                Kind::Native(hub.connect(name).unwrap())
            }
            Sockets::Libzmq(context) => {
                Kind::Libzmq(libzmq::testing::Stranger::connect(context, endpoint))
            }
        })
    }

    /// Sends a message of one frame.
    pub fn send(&self, frame: &[u8]) {
        match &self.0 {
            Kind::Native(connected) => {
                let first = Bytes::copy_from_slice(frame);
                connected.send(InPacket { first, frames: Vec::new() });
            }
            Kind::Libzmq(stranger) => stranger.send(frame),
        }
    }
}

/// Ends the context's handler of ZAP, as a fault would.
pub fn end_handler(context: &Context) {
    if let Sockets::Libzmq(context) = context.sockets() {
        libzmq::testing::end_handler(context);
    }
}

/// Whether the context has a handler of ZAP. The native transport has none.
pub fn has_handler(context: &Context) -> bool {
    match context.sockets() {
        Sockets::Native(_) => false,
        Sockets::Libzmq(context) => libzmq::testing::has_handler(context),
    }
}
