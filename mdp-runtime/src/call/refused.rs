//! Statuses of calls that no handler has ended.

use mdp_protocol::{Code, Reason, Refusal};

use super::Request;
use mdp_call::status::Status;

/// The error of a call with streams that is passed on without the streams: such a call would never end.
pub(crate) fn without_streams(request: &Request) -> Status {
    let path = request.method();
    Status::failed_precondition(format!("{path} has streams; pass them on, too, with `stream`"))
}

pub(crate) fn expired(not_started: bool) -> Status {
    let message = match not_started {
        true => "the deadline had passed before the call was made",
        false => "the deadline passed before an answer came; the handler may have run",
    };
    refused(Code::DeadlineExceeded, Reason::DeadlineExceeded, message, not_started)
}

/// The status that a broker or its client gives.
pub(crate) fn refused(code: Code, reason: Reason, message: &str, not_started: bool) -> Status {
    let message = message.to_owned();
    Status::from(&Refusal { code, reason, message, not_started, retry_after: None })
}
