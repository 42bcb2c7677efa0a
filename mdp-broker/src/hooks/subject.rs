//! The requests and replies that hooks decide on.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use mdp_protocol::Span;
use mdp_protocol::broker::Name;
use mdp_protocol::wire::{CallKind, MetadataError};

use super::Peer;
use mdp_call::body::Body;
use mdp_call::codec::record::TypedMessage;
use mdp_call::codec::{self, EncodedMetadata};
use mdp_call::compress;
use mdp_call::metadata::Metadata;
use mdp_call::status::{Code, Status};
use mdp_transport::security::PublicKey;

/// The facts about a call that hooks see for both requests and replies.
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

/// A body with its metadata.
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

    fn message<M: TypedMessage>(&self, what: &str) -> Result<M, Status> {
        let payload = self.body.uncompressed(compress::DEFAULT_MAX)?;
        M::decode_from(payload)
            .map_err(|error| Status::invalid_argument(format!("{what} cannot be read: {error}")))
    }
}

macro_rules! about_the_call {
    () => {
        /// Returns the path of the called method, `package.Service/Method`; for a raw call, the service.
        pub fn path(&self) -> &str {
            &self.called.path
        }

        /// Returns the called service.
        pub fn service(&self) -> &str {
            self.called.service()
        }

        /// Returns the called method's name, without the service; `None` for a raw call.
        pub fn method(&self) -> Option<&str> {
            self.called.method()
        }

        /// Whether this is a raw call: frames of classic MDP instead of a method's message.
        pub fn is_raw(&self) -> bool {
            self.called.raw
        }

        /// Returns the caller.
        pub fn client(&self) -> &Peer {
            &self.called.client
        }

        /// Returns the caller's verified identity; see [`Peer::principal`].
        pub fn principal(&self) -> Option<&str> {
            self.called.client.principal()
        }

        /// Returns the key of the caller's connection, with CURVE. A [`principal`](Self::principal) may have several
        /// keys, and `[anyone]` covers all keys without an entry. To bind something to one peer, for instance a token,
        /// bind it to the key.
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

    /// Returns the metadata of the request. It is decoded at the first use.
    pub fn metadata(&self) -> &Metadata {
        self.content.metadata()
    }

    /// Returns the encoded message, shared without copying; see [`is_compressed`](Self::is_compressed).
    pub fn payload(&self) -> Bytes {
        self.content.body.payload()
    }

    /// Whether [`payload`](Self::payload) is compressed. [`message`](Self::message) decompresses it.
    pub fn is_compressed(&self) -> bool {
        self.content.body.is_compressed()
    }

    /// Decodes the message.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT: the bytes are not a message of this type. UNIMPLEMENTED: the message is compressed with a
    /// codec that is not built in. RESOURCE_EXHAUSTED: the compressed message is larger than 16 MiB after
    /// decompression.
    pub fn message<M: TypedMessage>(&self) -> Result<M, Status> {
        self.content.message(&format!("the request of {}", self.path()))
    }

    /// Returns the frames of a raw call; for any other call, one frame with the payload.
    pub fn frames(&self) -> Vec<Bytes> {
        self.content.body.frames()
    }

    /// Returns the time left until the call's deadline.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether the call goes to another worker if its worker is lost.
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Returns the kind of the call: whether requests, replies or both stream.
    pub fn kind(&self) -> CallKind {
        self.kind
    }

    /// Returns the id of the only worker that the client accepts, if set.
    pub fn wanted_worker(&self) -> Option<&str> {
        std::str::from_utf8(&self.target).ok().filter(|id| !id.is_empty())
    }
}

/// The reply that ends a call and waits for a [`Verdict`](super::Verdict).
#[derive(Debug)]
pub struct Reply {
    pub(crate) called: Called,
    /// `None`: the broker or the worker's runtime has ended the call without a body.
    pub(crate) content: Option<Content>,
    pub(crate) end: End,
}

/// The end of a call.
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

    /// Returns the id of the worker that answered.
    pub fn worker(&self) -> &str {
        std::str::from_utf8(&self.end.worker).unwrap_or_default()
    }

    /// Returns the code with which the call ended.
    pub fn code(&self) -> Code {
        self.end.code
    }

    /// Returns the error, if the call failed.
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

    /// Returns the metadata that the worker sent with the reply.
    pub fn metadata(&self) -> &Metadata {
        static NONE: OnceLock<Metadata> = OnceLock::new();
        match &self.content {
            Some(content) => content.metadata(),
            None => NONE.get_or_init(Metadata::new),
        }
    }

    /// Returns the encoded reply, shared without copying; for an error, the encoded status.
    pub fn payload(&self) -> Bytes {
        self.content.as_ref().map(|content| content.body.payload()).unwrap_or_default()
    }

    /// Whether [`payload`](Self::payload) is compressed. [`message`](Self::message) decompresses it.
    pub fn is_compressed(&self) -> bool {
        self.content.as_ref().is_some_and(|content| content.body.is_compressed())
    }

    /// Decodes the reply's message.
    ///
    /// # Errors
    ///
    /// The call's own error, if it failed. INVALID_ARGUMENT: the bytes are not a message of this type. UNIMPLEMENTED:
    /// the message is compressed with a codec that is not built in. RESOURCE_EXHAUSTED: the compressed message is
    /// larger than 16 MiB after decompression.
    pub fn message<M: TypedMessage>(&self) -> Result<M, Status> {
        match (self.status(), &self.content) {
            (Some(status), _) => Err(status),
            (None, Some(content)) => content.message(&format!("the reply of {}", self.path())),
            (None, None) => Err(Status::internal("there is no reply")),
        }
    }

    /// Returns the frames of the reply to a raw call; for any other call, one frame with the payload.
    pub fn frames(&self) -> Vec<Bytes> {
        self.content.as_ref().map(|content| content.body.frames()).unwrap_or_default()
    }
}
