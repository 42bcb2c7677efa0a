//! The end of a call: gRPC's codes, and the failures that the machines report themselves.

use alloc::format;
use alloc::string::String;

use crate::codes::code_table;
use crate::time::Span;

code_table! {
    /// The 17 codes of gRPC, with its numbers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(u8)]
    pub enum Code {
        0 Ok "OK" "The call succeeded."
        1 Cancelled "CANCELLED" "The caller gave up."
        2 Unknown "UNKNOWN" "An error of which no more is known."
        3 InvalidArgument "INVALID_ARGUMENT" "The request is wrong whatever the state of the system."
        4 DeadlineExceeded "DEADLINE_EXCEEDED" "The time ran out before the call ended; it may have taken effect."
        5 NotFound "NOT_FOUND" "What was asked for does not exist."
        6 AlreadyExists "ALREADY_EXISTS" "What was to be made exists."
        7 PermissionDenied "PERMISSION_DENIED" "The caller is known and may not do this."
        8 ResourceExhausted "RESOURCE_EXHAUSTED" "A quota or a limit is used up."
        9 FailedPrecondition "FAILED_PRECONDITION" "The system is not in the state that the call needs."
        10 Aborted "ABORTED" "The call lost a race and may be made again from a higher level."
        11 OutOfRange "OUT_OF_RANGE" "The request reaches past the valid range."
        12 Unimplemented "UNIMPLEMENTED" "The method or the service is not there."
        13 Internal "INTERNAL" "An invariant of the system is broken."
        14 Unavailable "UNAVAILABLE" "The service cannot be reached now; try again after a while."
        15 DataLoss "DATA_LOSS" "Data is lost or damaged."
        16 Unauthenticated "UNAUTHENTICATED" "The caller is not known."
    }
    name: "The name as gRPC writes it, `UNAVAILABLE` for instance."
}

impl Code {
    /// The number on the wire.
    pub const fn as_u32(self) -> u32 {
        self as u32
    }

    /// The code of a number on the wire. A number that gRPC does not define gives [`Code::Unknown`].
    pub const fn from_u32(number: u32) -> Self {
        match Code::of_number(number) {
            Some(code) => code,
            None => Code::Unknown,
        }
    }
}

code_table! {
    /// Why a machine, rather than a handler, ended a call. It travels as the `reason` of a
    /// `google.rpc.ErrorInfo` whose domain is `mdp`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Reason {
        NoService "NO_SERVICE" "No worker offers the service, and none came within the time allowed."
        NoWorker "NO_WORKER" "No worker has the id that the call asked for."
        NotDispatched "NOT_DISPATCHED" "No handler was started: making the call again is safe."
        MaybeExecuted "MAYBE_EXECUTED" "A worker held the call when it was lost: its handler may have run."
        DeadlineExceeded "DEADLINE_EXCEEDED" "The time was up."
        Cancelled "CANCELLED" "The client gave the call up."
        LimitReached "LIMIT_REACHED" "A limit was met."
        Overloaded "OVERLOADED" "The service has more to do than it can do in the time of its calls."
        BadRequest "BAD_REQUEST" "The request does not follow the protocol."
        Denied "DENIED" "The caller may not do this."
        Draining "DRAINING" "The worker is being drained and ends its streams; another one may take the call."
    }
    name: "The word in `ErrorInfo.reason`."
}

/// The end of a call that a machine reports: a code, a reason for programs and a text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub code: Code,
    /// The reason, for programs.
    pub reason: Reason,
    /// The reason and the remedy, for people.
    pub message: String,
    /// Whether it is certain that no handler was started for the call.
    pub not_started: bool,
    /// The time after which a retry makes sense, if known.
    pub retry_after: Option<Span>,
}

impl Refusal {
    /// The end of a call whose last attempt started no handler, but an earlier attempt may have.
    pub(crate) fn of_last_attempt(code: Code) -> Self {
        let message = format!(
            "the last attempt ended as {code} before a handler was started; \
             in an earlier one the handler may have run"
        );
        let reason = Reason::MaybeExecuted;
        Refusal { code, reason, message, not_started: false, retry_after: None }
    }
}
