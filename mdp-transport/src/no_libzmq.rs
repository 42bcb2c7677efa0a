//! Stands in for the implementation with libzmq when the feature `zmq` is off. It has the same names, and no type has a
//! value: there is no context of libzmq, so nothing else is made.

#![allow(clippy::needless_pass_by_value)] // The signatures are those of `libzmq`.

use std::task::{self, Poll};

use bytes::Bytes;
use mdp_protocol::{Identity, Limits, Span, Time};

use crate::ClientKeys;
use crate::arrival::{Content, Unproven};
use crate::error::{NoHandler, SocketError, Unsent};
use crate::packet::{InPacket, OutPacket};
use crate::security::{AllowList, HandshakeFault, KeyPair};
use crate::transport::Transport;

/// There is none.
#[derive(Clone)]
pub(crate) enum Context {}

impl Context {
    pub(crate) fn transport(&self) -> Transport {
        match *self {}
    }
}

/// Returns `None`.
pub(crate) fn version() -> Option<String> {
    None
}

pub(crate) mod curve {
    pub(crate) fn has_curve() -> bool {
        false
    }
}

pub(crate) enum Dealer {}

impl Dealer {
    pub(crate) fn connect(
        context: &Context,
        _: &str,
        _: Option<(&ClientKeys, usize)>,
    ) -> Result<Self, SocketError> {
        match *context {}
    }

    pub(crate) fn connect_classic(
        context: &Context,
        _: &str,
        _: Option<(&ClientKeys, usize)>,
        _: bool,
    ) -> Result<Self, SocketError> {
        match *context {}
    }

    pub(crate) fn look_around(&mut self) -> Option<HandshakeFault> {
        match *self {}
    }

    pub(crate) fn take_made(&mut self) -> bool {
        match *self {}
    }

    pub(crate) fn is_lost(&self) -> bool {
        match *self {}
    }

    pub(crate) fn moved(self) -> Result<Self, SocketError> {
        match self {}
    }

    pub(crate) fn into_closing(self) -> Closing {
        match self {}
    }

    pub(crate) fn discard(self) -> Result<(), SocketError> {
        match self {}
    }

    pub(crate) fn receive(&mut self, _: &Limits) -> Result<Option<InPacket>, SocketError> {
        match *self {}
    }

    pub(crate) fn is_readable(&self) -> bool {
        match *self {}
    }

    pub(crate) fn look(&self) -> (bool, bool) {
        match *self {}
    }

    pub(crate) fn send(&mut self, _: &mut OutPacket) -> Result<bool, SocketError> {
        match *self {}
    }

    pub(crate) fn send_frames(&mut self, _: &[Bytes]) -> Result<bool, SocketError> {
        match *self {}
    }

    pub(crate) fn poll_sign(&mut self, _: &mut task::Context<'_>) -> Poll<()> {
        match *self {}
    }

    pub(crate) async fn ready(&mut self, _: bool) {
        match *self {}
    }
}

/// The field is private, so other files do not see that there is no value, and no code of theirs counts as unreachable.
pub(crate) struct Closing(#[allow(dead_code)] Never);

enum Never {}

pub(crate) async fn close_all(context: &Context, _: Vec<Closing>) {
    match *context {}
}

pub(crate) enum Router {}

impl Router {
    pub(crate) fn bind(
        context: &Context,
        _: &Limits,
        _: &[String],
        _: Option<(&KeyPair, zap::Registration)>,
        _: Wakeups,
    ) -> Result<Self, SocketError> {
        match *context {}
    }

    pub(crate) fn endpoints(&self) -> &[String] {
        match *self {}
    }

    pub(crate) fn receive<F>(
        &mut self,
        _: bool,
        _: &mut Vec<F>,
    ) -> Result<Option<Arrived>, SocketError> {
        match *self {}
    }

    pub(crate) fn is_readable(&self) -> bool {
        match *self {}
    }

    pub(crate) fn wait(&self, _: Option<Span>) -> Result<(), SocketError> {
        match *self {}
    }

    pub(crate) fn send<T>(
        &mut self,
        _: &[u8],
        _: &mut OutPacket,
        _: Option<T>,
    ) -> Result<(), Unsent> {
        match *self {}
    }

    pub(crate) fn send_frames<'a, T>(
        &mut self,
        _: &[u8],
        _: impl DoubleEndedIterator<Item = &'a [u8]>,
        _: &'a [Bytes],
        _: T,
    ) -> Result<(), Unsent> {
        match *self {}
    }

    pub(crate) fn next_look(&self) -> Option<Time> {
        match *self {}
    }

    pub(crate) fn is_lost(&mut self, _: Time) -> bool {
        match *self {}
    }

    pub(crate) fn is_blind(&self) -> bool {
        match *self {}
    }

    pub(crate) fn close(self) {
        match self {}
    }
}

/// A message that libzmq received.
pub(crate) struct Arrived {
    pub(crate) from: Sender,
    pub(crate) identity: Result<Identity, Unproven>,
    pub(crate) local: bool,
    pub(crate) content: Content,
}

pub(crate) enum Sender {}

impl Sender {
    pub(crate) fn route(&self) -> &[u8] {
        match *self {}
    }

    pub(crate) fn address(&mut self) -> Option<&str> {
        match *self {}
    }
}

#[derive(Debug)]
pub(crate) enum WakeSocket {}

impl WakeSocket {
    pub(crate) fn pair(context: &Context) -> Result<(Self, Wakeups), SocketError> {
        match *context {}
    }

    pub(crate) fn wake(&self) {
        match *self {}
    }
}

pub(crate) enum Wakeups {}

pub(crate) mod frame {
    use bytes::Bytes;

    pub(crate) enum Frame {}

    impl Frame {
        pub(crate) fn into_bytes(self) -> Bytes {
            match self {}
        }
    }

    impl AsRef<[u8]> for Frame {
        fn as_ref(&self) -> &[u8] {
            match *self {}
        }
    }
}

pub(crate) mod zap {
    use super::{AllowList, Context, NoHandler};

    pub(crate) enum Registration {}

    impl Registration {
        pub(crate) fn new(
            context: &Context,
            _: AllowList,
            _: impl Fn() + Send + 'static,
        ) -> Result<Self, NoHandler> {
            match *context {}
        }

        pub(crate) fn domain(&self) -> &str {
            match *self {}
        }
    }
}

pub(crate) mod pattern {
    use bytes::Bytes;

    use super::{ClientKeys, Closing, Context, KeyPair, SocketError};
    use crate::pattern_types::{Pattern, PatternMessage, PatternSettings, Wanted};

    #[allow(dead_code)] // Nobody reads them.
    pub(crate) enum Keys<'a> {
        Client(&'a ClientKeys),
        Server(&'a KeyPair, &'a str),
    }

    pub(crate) enum PatternSocket {}

    impl PatternSocket {
        pub(crate) fn new(
            context: &Context,
            _: Pattern,
            _: &PatternSettings,
            _: Option<Keys<'_>>,
        ) -> Result<Self, SocketError> {
            match *context {}
        }

        pub(crate) fn into_closing(self) -> Closing {
            match self {}
        }

        pub(crate) fn receive(&mut self) -> Result<Option<PatternMessage>, SocketError> {
            match *self {}
        }

        pub(crate) fn notice(&mut self) -> Result<Option<Bytes>, SocketError> {
            match *self {}
        }

        pub(crate) fn send(&mut self, _: Option<&Bytes>, _: &Bytes) -> Result<bool, SocketError> {
            match *self {}
        }

        pub(crate) fn publish(
            &mut self,
            _: Option<&Bytes>,
            _: &Bytes,
        ) -> Result<bool, SocketError> {
            match *self {}
        }

        pub(crate) fn refuse_if_full(&mut self, _: bool) -> Result<(), SocketError> {
            match *self {}
        }

        pub(crate) fn subscribe(&mut self, _: &[u8], _: bool) -> Result<(), SocketError> {
            match *self {}
        }

        pub(crate) async fn ready(&mut self, _: Wanted) -> Result<(), SocketError> {
            match *self {}
        }

        pub(crate) fn bind(&mut self, _: &str) -> Result<String, SocketError> {
            match *self {}
        }

        pub(crate) fn connect(&mut self, _: &str) -> Result<(), SocketError> {
            match *self {}
        }

        pub(crate) fn disconnect(&mut self, _: &str) -> Result<(), SocketError> {
            match *self {}
        }

        pub(crate) fn watch(&mut self, _: &Context) -> Result<Connections, SocketError> {
            match *self {}
        }
    }

    pub(crate) enum Connections {}

    impl Connections {
        pub(crate) fn end(self, _: &mut PatternSocket) {
            match self {}
        }

        pub(crate) async fn ready(&mut self) -> Result<(), SocketError> {
            match *self {}
        }

        pub(crate) fn next_change(&mut self) -> Option<(bool, String)> {
            match *self {}
        }
    }
}

#[cfg(any(test, feature = "testing"))]
pub(crate) mod testing {
    use super::{Context, Never};

    pub(crate) struct Stranger(Never);

    impl Stranger {
        pub(crate) fn connect(context: &Context, _: &str) -> Self {
            match *context {}
        }

        pub(crate) fn send(&self, _: &[u8]) {
            match self.0 {}
        }
    }

    pub(crate) fn end_handler(context: &Context) {
        match *context {}
    }

    pub(crate) fn has_handler(context: &Context) -> bool {
        match *context {}
    }
}
