//! What only tests of what stands on the sockets need: a peer of a router, and the handler of ZAP.

use bytes::Bytes;

use crate::context::{Context, Transport};
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
        Stranger(match context.transport() {
            Transport::Native => {
                let name = endpoint.strip_prefix("inproc://").unwrap();
                Kind::Native(context.hub().connect(name).unwrap())
            }
            Transport::Libzmq => {
                Kind::Libzmq(libzmq::testing::Stranger::connect(context.libzmq(), endpoint))
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
    libzmq::testing::end_handler(context.libzmq());
}

/// Whether the context has a handler of ZAP.
pub fn has_handler(context: &Context) -> bool {
    libzmq::testing::has_handler(context.libzmq())
}
