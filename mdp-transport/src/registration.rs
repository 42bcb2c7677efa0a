//! Whose keys a server accepts, by either transport.

use crate::context::{Context, Sockets};
use crate::error::NoHandler;
use crate::libzmq;
use crate::security::AllowList;

/// Admits the keys of a list while it exists.
pub struct Registration(Kind);

enum Kind {
    /// The socket asks the list itself.
    Native(AllowList),
    Libzmq(libzmq::zap::Registration),
}

impl Registration {
    /// Admits the keys of this list. `when_gone` is called once when keys cannot be checked any more.
    pub fn new(
        context: &Context,
        allowed: AllowList,
        when_gone: impl Fn() + Send + 'static,
    ) -> Result<Self, NoHandler> {
        Ok(Registration(match context.sockets() {
            Sockets::Native(_) => Kind::Native(allowed),
            Sockets::Libzmq(context) => {
                Kind::Libzmq(libzmq::zap::Registration::new(context, allowed, when_gone)?)
            }
        }))
    }

    /// The list that native sockets ask.
    pub(crate) fn allowed(&self) -> Option<&AllowList> {
        match &self.0 {
            Kind::Native(allowed) => Some(allowed),
            Kind::Libzmq(_) => None,
        }
    }

    /// The list that native sockets ask.
    pub(crate) fn into_allowed(self) -> Option<AllowList> {
        match self.0 {
            Kind::Native(allowed) => Some(allowed),
            Kind::Libzmq(_) => None,
        }
    }

    /// The domain of libzmq's sockets.
    pub(crate) fn into_domain(self) -> Option<libzmq::zap::Registration> {
        match self.0 {
            Kind::Native(_) => None,
            Kind::Libzmq(registration) => Some(registration),
        }
    }

    /// The domain of libzmq's sockets.
    pub(crate) fn domain(&self) -> Option<&str> {
        match &self.0 {
            Kind::Native(_) => None,
            Kind::Libzmq(registration) => Some(registration.domain()),
        }
    }
}
