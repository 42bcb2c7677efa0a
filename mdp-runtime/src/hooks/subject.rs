//! What hooks are asked about, as they see it.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use mdp_protocol::Span;
use mdp_protocol::broker::Name;
use mdp_protocol::wire::{CallKind, MetadataError};

use super::Peer;
use crate::body::Body;
use crate::codec::{self, EncodedMetadata};
use crate::codegen::Record;
use crate::compress;
use crate::metadata::Metadata;
use crate::security::PublicKey;
use crate::status::{Code, Status};

/// What is known of a call whatever is asked about it.
#[derive(Debug)]
pub(crate) struct Called {
    path: String,
    pub(crate) raw: bool,
    client: Peer,
    key: Option<PublicKey>,
}

impl Called {
    pub(crate) fn new(path: &[u8], raw: bool, caller: &[u8], key: Option<PublicKey>) -> Self {
        let path = String::from_utf8_lossy(path).into_owned();
        Called { path, raw, client: Peer::of(caller), key }
    }

    fn service(&self) -> &str {
        match self.path.rsplit_once('/') {
            Some((service, _)) if !self.raw => service,
            _ => &self.path,
        }
    }

    pub(crate) fn method(&self) -> Option<&str> {
        self.path.rsplit_once('/').filter(|_| !self.raw).map(|(_, method)| method)
    }
}

/// A body and what lies in it.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) body: Body,
    pub(crate) encoded: EncodedMetadata,
    metadata: OnceLock<Metadata>,
}

impl Content {
    fn new(body: Body) -> Result<Self, MetadataError> {
        let encoded = EncodedMetadata::read(body.meta())?;
        Ok(Content { body, encoded, metadata: OnceLock::new() })
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        self.metadata.get_or_init(|| self.encoded.decode())
    }

    fn message<M: Record>(&self, what: &str) -> Result<M, Status> {
        let payload = self.body.plain(compress::DEFAULT_MOST)?;
        M::decode_from(payload)
            .map_err(|error| Status::invalid_argument(format!("{what} cannot be read: {error}")))
    }
}

macro_rules! about_the_call {
    () => {
        /// The path of the method that was called, `package.Service/Method`; of a raw call the service.
        pub fn path(&self) -> &str {
            &self.called.path
        }

        /// The service that was called.
        pub fn service(&self) -> &str {
            self.called.service()
        }

        /// The method that was called, without its service; `None` for a raw call.
        pub fn method(&self) -> Option<&str> {
            self.called.method()
        }

        /// Whether it is a raw call: frames of plain MDP, and no method's message.
        pub fn is_raw(&self) -> bool {
            self.called.raw
        }

        /// Who called.
        pub fn client(&self) -> &Peer {
            &self.called.client
        }

        /// Whom the policy or the connection's key says the caller is; see [`Peer::principal`].
        pub fn principal(&self) -> Option<&str> {
            self.called.client.principal()
        }

        /// The key of the caller's connection, with CURVE. A [`principal`](Self::principal) may have several keys, and that of
        /// `[anyone]` has all that nobody owns; what is to hold for one peer alone, a token for instance, is bound to the key.
        pub fn key(&self) -> Option<PublicKey> {
            self.called.key
        }
    };
}

/// A request that waits for a [`Verdict`](super::Verdict).
#[derive(Debug)]
pub struct Request {
    pub(crate) called: Called,
    pub(crate) content: Content,
    pub(crate) target: Name,
    timeout: Duration,
    idempotent: bool,
    kind: CallKind,
}

impl Request {
    pub(crate) fn new(
        called: Called,
        body: Body,
        target: Name,
        timeout: Span,
        idempotent: bool,
        kind: CallKind,
    ) -> Result<Self, MetadataError> {
        let (timeout, content) = (Duration::from_millis(timeout.as_ms()), Content::new(body)?);
        Ok(Request { called, content, target, timeout, idempotent, kind })
    }

    about_the_call!();

    /// What the client sent beside its message. Decoded when it is first looked at.
    pub fn metadata(&self) -> &Metadata {
        self.content.metadata()
    }

    /// The message's bytes as they travel, shared and not copied; see [`is_compressed`](Self::is_compressed).
    pub fn payload(&self) -> Bytes {
        self.content.body.payload()
    }

    /// Whether [`payload`](Self::payload) is compressed. [`message`](Self::message) takes care of it.
    pub fn is_compressed(&self) -> bool {
        self.content.body.is_compressed()
    }

    /// The message.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT: it is not such a message, or is compressed by a codec that is not built in, or to more than
    /// 16 MiB.
    pub fn message<M: Record>(&self) -> Result<M, Status> {
        self.content.message(&format!("the request of {}", self.path()))
    }

    /// The frames of a raw call; of any other the one with its payload.
    pub fn frames(&self) -> Vec<Bytes> {
        self.content.body.frames()
    }

    /// The time that is left.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether the call goes to another worker if its worker is lost.
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Which of its sides stream.
    pub fn kind(&self) -> CallKind {
        self.kind
    }

    /// The only worker that the client wants, by its id.
    pub fn wanted_worker(&self) -> Option<&str> {
        std::str::from_utf8(&self.target).ok().filter(|id| !id.is_empty())
    }
}

/// The reply that ends a call, and that waits for a [`Verdict`](super::Verdict).
#[derive(Debug)]
pub struct Reply {
    pub(crate) called: Called,
    /// Without one the broker itself, or the worker's side, has ended the call.
    pub(crate) content: Option<Content>,
    pub(crate) end: End,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) worker: Name,
    pub(crate) code: Code,
    pub(crate) not_started: bool,
    pub(crate) refusal: Option<Box<mdp_protocol::Refusal>>,
}

impl Reply {
    pub(crate) fn new(called: Called, end: End, body: Option<Body>) -> Result<Self, MetadataError> {
        Ok(Reply { called, content: body.map(Content::new).transpose()?, end })
    }

    about_the_call!();

    /// The id of the worker that answers.
    pub fn worker(&self) -> &str {
        std::str::from_utf8(&self.end.worker).unwrap_or_default()
    }

    /// How the call ended.
    pub fn code(&self) -> Code {
        self.end.code
    }

    /// The error, if it is one.
    pub fn status(&self) -> Option<Status> {
        if self.end.code == Code::Ok {
            return None;
        }
        Some(match (&self.end.refusal, &self.content) {
            (Some(refusal), _) => codec::status_of(refusal),
            (None, Some(content)) => codec::decode_status(self.end.code, content.body.payload())
                .with_not_started(self.end.not_started)
                .with_metadata(content.metadata().clone()),
            (None, None) => Status::new(self.end.code, ""),
        })
    }

    /// What the worker sent beside its reply.
    pub fn metadata(&self) -> &Metadata {
        static NONE: OnceLock<Metadata> = OnceLock::new();
        match &self.content {
            Some(content) => content.metadata(),
            None => NONE.get_or_init(Metadata::new),
        }
    }

    /// The reply's bytes as they travel, shared and not copied; of an error the encoded status.
    pub fn payload(&self) -> Bytes {
        self.content.as_ref().map(|content| content.body.payload()).unwrap_or_default()
    }

    /// Whether [`payload`](Self::payload) is compressed. [`message`](Self::message) takes care of it.
    pub fn is_compressed(&self) -> bool {
        self.content.as_ref().is_some_and(|content| content.body.is_compressed())
    }

    /// The reply's message.
    ///
    /// # Errors
    ///
    /// The call's own error, if it has one; INVALID_ARGUMENT: it is not such a message, or is compressed by a codec that is
    /// not built in, or to more than 16 MiB.
    pub fn message<M: Record>(&self) -> Result<M, Status> {
        match (self.status(), &self.content) {
            (Some(status), _) => Err(status),
            (None, Some(content)) => content.message(&format!("the reply of {}", self.path())),
            (None, None) => Err(Status::internal("there is no reply")),
        }
    }

    /// The frames of the reply to a raw call; of any other the one with its payload.
    pub fn frames(&self) -> Vec<Bytes> {
        self.content.as_ref().map(|content| content.body.frames()).unwrap_or_default()
    }
}
