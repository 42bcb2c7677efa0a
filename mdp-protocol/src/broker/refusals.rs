//! The errors of calls that the broker ends itself.

use alloc::format;
use alloc::string::String;

use super::principals::Over;
use super::rights::SOON;
use crate::limits::Limit;
use crate::names;
use crate::status::{Code, Reason, Refusal};
use crate::time::Span;
use crate::wire::MetadataError;

/// Why a request is not taken.
#[derive(Debug)]
pub(super) enum Rejection {
    /// The request meets this limit. There may be room later.
    Limit(Limit),
    /// The client has not read enough of what it was sent, so that this limit is close.
    Unread(Limit),
    /// The client gets this error. A quota that is used up is one of these.
    Refused(Refusal),
}

impl Rejection {
    /// Whether the same request may be taken a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Rejection::Limit(_) | Rejection::Unread(_) => true,
            Rejection::Refused(refusal) => refusal.reason == Reason::LimitReached,
        }
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Rejection::Refused(refusal)
    }
}

fn refusal(code: Code, reason: Reason, message: String, not_started: bool) -> Refusal {
    Refusal { code, reason, message, not_started, retry_after: None }
}

pub(super) fn bad_path(error: names::NameError) -> Refusal {
    let message = format!("the REQUEST's name is not a method's path: {error}");
    refusal(Code::InvalidArgument, Reason::BadRequest, message, true)
}

pub(super) fn bad_metadata(error: MetadataError) -> Refusal {
    let message = format!("the REQUEST cannot be taken: {error}");
    refusal(Code::InvalidArgument, Reason::BadRequest, message, true)
}

/// A hook has made a request whose metadata is invalid.
pub(super) fn bad_metadata_of_hook(error: MetadataError) -> Refusal {
    let message = format!("what the broker's hook made cannot be sent: {error}");
    refusal(Code::Internal, Reason::NotDispatched, message, true)
}

/// The metadata of a worker's reply, or of a hook's in its place.
pub(super) fn bad_reply_metadata(error: MetadataError) -> Refusal {
    let message = format!("the reply cannot be read: {error}");
    refusal(Code::Internal, Reason::MaybeExecuted, message, false)
}

pub(super) fn limit_refusal(limit: Limit) -> Refusal {
    let message = format!("the broker's limit {limit} is reached; try again later");
    refusal(Code::ResourceExhausted, Reason::LimitReached, message, true)
}

/// The client has not read enough of what it was sent before.
pub(super) fn unread_refusal(limit: Limit) -> Refusal {
    let message = format!(
        "your connection has not read its earlier replies, so the broker's limit {limit} is close; \
         read them and try again"
    );
    let mut refusal = refusal(Code::ResourceExhausted, Reason::LimitReached, message, true);
    refusal.retry_after = Some(SOON);
    refusal
}

/// The call would wait for so long that it could not end in its time. `retry_after`: until it could.
pub(super) fn overloaded(retry_after: Span) -> Refusal {
    let retry_after = retry_after.max(SOON);
    let message = format!(
        "the service has more calls than its workers can end in their time; try again in {retry_after}"
    );
    let mut refusal = refusal(Code::ResourceExhausted, Reason::Overloaded, message, true);
    refusal.retry_after = Some(retry_after);
    refusal
}

pub(super) fn no_service(_: u8) -> Refusal {
    let message = "no worker offers the service, and none came in time".into();
    refusal(Code::Unavailable, Reason::NoService, message, true)
}

/// The one worker that a call wants is not there, or leaves.
pub(super) fn worker_gone(_: u8) -> Refusal {
    let message = "the worker that the call asks for does not offer the service".into();
    refusal(Code::Unavailable, Reason::NoWorker, message, true)
}

pub(super) fn deadline_refusal(started: bool) -> Refusal {
    let message = match started {
        false => "no worker was free before the deadline; no handler was started",
        true => "the deadline passed while a worker held the call; its handler may have run",
    };
    refusal(Code::DeadlineExceeded, Reason::DeadlineExceeded, message.into(), !started)
}

pub(super) fn broker_gone(_: u8) -> Refusal {
    let message = "the broker was shut down while a worker held the call; the handler may have run";
    refusal(Code::Unavailable, Reason::MaybeExecuted, message.into(), false)
}

pub(super) fn worker_lost(id: &str, attempt: u8, max: u8) -> Refusal {
    let message = format!(
        "worker {id} left while it held the call (attempt {attempt} of {max}); \
         the handler may have run"
    );
    refusal(Code::Unavailable, Reason::MaybeExecuted, message, false)
}

/// The operator's hooks gave no verdict in time.
pub(super) fn no_verdict(started: bool) -> Refusal {
    let (message, reason) = match started {
        false => (
            "the broker's hook gave no verdict in time; no handler was started",
            Reason::NotDispatched,
        ),
        true => ("the broker's hook gave no verdict on the reply in time", Reason::MaybeExecuted),
    };
    refusal(Code::Internal, reason, message.into(), !started)
}

/// A hook sends a reply to another worker, though parts of it are with the client.
pub(super) fn begun() -> Refusal {
    let message = "the broker's hook sends a call elsewhere whose streams have begun".into();
    refusal(Code::Internal, Reason::MaybeExecuted, message, false)
}

/// Towards a classic client, which hears nothing of CANCEL.
pub(super) fn sent_back(_: u8) -> Refusal {
    let message = "the broker hands the call back; no handler was started, so make it again".into();
    refusal(Code::Unavailable, Reason::NotDispatched, message, true)
}

/// A worker answered a typed call with frames that are no message of a method.
pub(super) fn no_tunnel() -> Refusal {
    let message = "the worker answered with plain frames: it does not serve typed calls".into();
    refusal(Code::Internal, Reason::MaybeExecuted, message, false)
}

/// A typed call in the body of a raw one, which its receiver would take for one that the broker made.
pub(super) fn hidden_call() -> Refusal {
    let message = "the body of the raw call is a typed call (wire.md R86): make it as a typed call";
    refusal(Code::InvalidArgument, Reason::BadRequest, message.into(), true)
}

/// A tunnel of a classic client with a path that is not a method of the message's service.
pub(super) fn other_service() -> Refusal {
    let message = "the message names another service than the path of the typed call in its body";
    refusal(Code::InvalidArgument, Reason::BadRequest, message.into(), true)
}

/// A raw call for a service whose name reads like a method's path, where hooks are asked about paths.
pub(super) fn looks_like_a_path() -> Refusal {
    let message = "a raw call names a service, and this name has a `/` as methods' paths have";
    refusal(Code::InvalidArgument, Reason::BadRequest, message.into(), true)
}

/// A raw reply that its receiver would take for a status of the broker's.
pub(super) fn hidden_reply() -> Refusal {
    let message = "the worker answered the raw call with frames that are a record of MDP/RPC";
    refusal(Code::Internal, Reason::MaybeExecuted, message.into(), false)
}

/// A classic peer cannot have these streams.
pub(super) fn no_such_stream() -> Refusal {
    let message = "classic MDP carries one request, and a stream of replies over MDP/0.2 only; \
                   the service has a classic worker, or the call a classic client"
        .into();
    refusal(Code::Unimplemented, Reason::NotDispatched, message, true)
}

pub(super) fn typed_management() -> Refusal {
    let message = "the broker's own services (RFC 8) take raw calls only".into();
    refusal(Code::Unimplemented, Reason::BadRequest, message, true)
}

pub(super) fn denied(service: &[u8]) -> Refusal {
    let service = String::from_utf8_lossy(service);
    let message = format!("the policy does not allow you to call {service}");
    refusal(Code::PermissionDenied, Reason::Denied, message, true)
}

/// The policy changed under a call.
pub(super) fn denied_now(service: &[u8], waiting: bool) -> Refusal {
    let service = String::from_utf8_lossy(service);
    let message = format!("the policy has changed and no longer allows you to call {service}");
    refusal(Code::PermissionDenied, Reason::Denied, message, waiting)
}

/// A principal has used up what the policy gives it.
pub(super) fn quota_refusal(over: Over) -> Refusal {
    let message = format!("your quota {} is used up; try again later", over.name());
    let mut refusal = refusal(Code::ResourceExhausted, Reason::LimitReached, message, true);
    refusal.retry_after = Some(match over {
        Over::Rate { retry_after } => retry_after,
        Over::Calls | Over::Bytes => SOON,
    });
    refusal
}
