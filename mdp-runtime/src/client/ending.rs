//! The end of a call, for which the call's future waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use mdp_protocol::Reason;
use mdp_protocol::client::Outcome;

use super::result_channel::ResultReceiver;
use crate::call::{Answering, Reply, refused};
use crate::stream::Flow;
use mdp_call::body::Body;
use mdp_call::codec;
use mdp_call::metadata::Metadata;
use mdp_call::status::{Code, Status};

/// The end of a call. Dropping it before the call has ended cancels the call.
pub(crate) struct Ending {
    source: ResultSource,
    /// The call's streams, if it has any.
    flow: Option<Arc<Flow>>,
}

enum ResultSource {
    /// The second field is the maximum size of a reply after decompression, in bytes.
    Broker(ResultReceiver, usize),
    /// The call goes through a channel. The lock is never contended; it makes the future `Sync`.
    Channel(Mutex<Answering>),
}

impl Ending {
    pub(super) fn broker(waiting: ResultReceiver, flow: Option<Arc<Flow>>, max: usize) -> Self {
        Ending { source: ResultSource::Broker(waiting, max), flow }
    }

    pub(crate) fn channel(answering: Answering, flow: Option<Arc<Flow>>) -> Self {
        Ending { source: ResultSource::Channel(Mutex::new(answering)), flow }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, Status>> {
        let end = match &mut self.source {
            ResultSource::Broker(waiting, max) => match ready!(waiting.poll(cx)) {
                Some(outcome) => answered(outcome, *max),
                None => Err(closed()),
            },
            ResultSource::Channel(answering) => {
                let answering = answering.get_mut().unwrap_or_else(PoisonError::into_inner);
                ready!(answering.as_mut().poll(cx))
            }
        };
        let abandoned = self.flow.as_ref().is_some_and(|flow| flow.is_abandoned());
        Poll::Ready(if abandoned { Err(half_sent()) } else { end })
    }
}

pub(super) fn closed() -> Status {
    Status::cancelled("the client was closed").with_not_started(true)
}

pub(super) fn half_sent() -> Status {
    Status::cancelled("the stream of requests was dropped before it was finished")
}

/// The status at the client for a message that cannot be read: the error is the other side's.
pub(crate) fn at_client(status: Status) -> Status {
    match status.code() {
        Code::InvalidArgument => Status::internal(status.message()),
        _ => status,
    }
}

/// The result of a call, from the outcome that the core reports.
pub(crate) fn answered(outcome: Outcome<Body>, max: usize) -> Result<Reply, Status> {
    match outcome {
        Outcome::Refused(refusal) => Err(Status::from(refusal.as_ref())),
        Outcome::Final { code: Code::Ok, not_started: _, attempt, body } => Ok(Reply {
            payload: body.uncompressed(max).map_err(at_client)?,
            metadata: metadata(body.meta(), false)?,
            worker: body.peer(),
            attempts: attempt,
        }),
        Outcome::Final { code, not_started, attempt: _, body } => {
            Err(codec::decode_status(code, body.payload())
                .with_not_started(not_started)
                .with_metadata(metadata(body.meta(), not_started)?))
        }
    }
}

/// The metadata that the handler sent with its reply, or before its replies.
///
/// # Errors
///
/// INTERNAL: the metadata cannot be read (wire.md R103).
#[inline]
pub(crate) fn metadata(bytes: Bytes, not_started: bool) -> Result<Metadata, Status> {
    if bytes.is_empty() {
        return Ok(Metadata::new());
    }
    codec::decode_metadata(bytes).map_err(|error| {
        let message = format!("the reply cannot be read: {error}");
        let reason = if not_started { Reason::NotDispatched } else { Reason::MaybeExecuted };
        refused(Code::Internal, reason, &message, not_started)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_whose_metadata_cannot_be_read_is_internal() {
        for meta in [&b"\x0a"[..], b"\x0a\x03\x0a\x01\xff", b"\x0a\x00"] {
            for (code, not_started) in
                [(Code::Ok, false), (Code::NotFound, false), (Code::Unavailable, true)]
            {
                let body = Body::with_payload("", Some(meta), Bytes::new());
                let end = Outcome::Final { code, not_started, attempt: 1, body };
                let status = answered(end, 0).unwrap_err();
                assert_eq!((status.code(), status.not_started()), (Code::Internal, not_started));
                assert!(status.message().contains("metadata"), "{status}");
            }
        }
    }
}
