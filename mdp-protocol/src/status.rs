//! How a call ends: gRPC's codes, and what the machines themselves have to say about a failure.

use alloc::format;
use alloc::string::String;
use core::fmt;

use crate::time::Span;

/// The 17 codes of gRPC, with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Code {
    /// The call succeeded.
    Ok = 0,
    /// The caller gave up.
    Cancelled = 1,
    /// An error of which no more is known.
    Unknown = 2,
    /// The request is wrong whatever the state of the system.
    InvalidArgument = 3,
    /// The time ran out before the call ended; it may have taken effect.
    DeadlineExceeded = 4,
    /// What was asked for does not exist.
    NotFound = 5,
    /// What was to be made exists.
    AlreadyExists = 6,
    /// The caller is known and may not do this.
    PermissionDenied = 7,
    /// A quota or a limit is used up.
    ResourceExhausted = 8,
    /// The system is not in the state that the call needs.
    FailedPrecondition = 9,
    /// The call lost a race and may be made again from a higher level.
    Aborted = 10,
    /// The request reaches past the valid range.
    OutOfRange = 11,
    /// The method or the service is not there.
    Unimplemented = 12,
    /// An invariant of the system is broken.
    Internal = 13,
    /// The service cannot be reached now; try again after a while.
    Unavailable = 14,
    /// Data is lost or damaged.
    DataLoss = 15,
    /// The caller is not known.
    Unauthenticated = 16,
}

impl Code {
    /// The number on the wire.
    pub const fn as_u32(self) -> u32 {
        self as u32
    }

    /// The code of a number on the wire; a number that gRPC does not have is [`Code::Unknown`].
    pub const fn from_u32(number: u32) -> Self {
        match number {
            0 => Code::Ok,
            1 => Code::Cancelled,
            3 => Code::InvalidArgument,
            4 => Code::DeadlineExceeded,
            5 => Code::NotFound,
            6 => Code::AlreadyExists,
            7 => Code::PermissionDenied,
            8 => Code::ResourceExhausted,
            9 => Code::FailedPrecondition,
            10 => Code::Aborted,
            11 => Code::OutOfRange,
            12 => Code::Unimplemented,
            13 => Code::Internal,
            14 => Code::Unavailable,
            15 => Code::DataLoss,
            16 => Code::Unauthenticated,
            _ => Code::Unknown,
        }
    }

    /// The name as gRPC writes it, `UNAVAILABLE` for instance.
    pub const fn name(self) -> &'static str {
        match self {
            Code::Ok => "OK",
            Code::Cancelled => "CANCELLED",
            Code::Unknown => "UNKNOWN",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::NotFound => "NOT_FOUND",
            Code::AlreadyExists => "ALREADY_EXISTS",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Code::FailedPrecondition => "FAILED_PRECONDITION",
            Code::Aborted => "ABORTED",
            Code::OutOfRange => "OUT_OF_RANGE",
            Code::Unimplemented => "UNIMPLEMENTED",
            Code::Internal => "INTERNAL",
            Code::Unavailable => "UNAVAILABLE",
            Code::DataLoss => "DATA_LOSS",
            Code::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a machine, rather than a handler, ended a call. It travels as the `reason` of a
/// `google.rpc.ErrorInfo` whose domain is `mdp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// No worker offers the service, and none came within the time allowed.
    NoService,
    /// No worker has the id that the call asked for.
    NoWorker,
    /// No handler was started: making the call again is safe.
    NotDispatched,
    /// A worker held the call when it was lost: its handler may have run.
    MaybeExecuted,
    /// The time was up.
    DeadlineExceeded,
    /// The client gave the call up.
    Cancelled,
    /// A limit was met.
    LimitReached,
    /// The service has more to do than it can do in the time of its calls.
    Overloaded,
    /// The request does not follow the protocol.
    BadRequest,
    /// The caller may not do this.
    Denied,
    /// The worker is being drained and ends its streams; another one may take the call.
    Draining,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 11] = [
        Reason::NoService,
        Reason::NoWorker,
        Reason::NotDispatched,
        Reason::MaybeExecuted,
        Reason::DeadlineExceeded,
        Reason::Cancelled,
        Reason::LimitReached,
        Reason::Overloaded,
        Reason::BadRequest,
        Reason::Denied,
        Reason::Draining,
    ];

    /// The word in `ErrorInfo.reason`.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::NoService => "NO_SERVICE",
            Reason::NoWorker => "NO_WORKER",
            Reason::NotDispatched => "NOT_DISPATCHED",
            Reason::MaybeExecuted => "MAYBE_EXECUTED",
            Reason::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Reason::Cancelled => "CANCELLED",
            Reason::LimitReached => "LIMIT_REACHED",
            Reason::Overloaded => "OVERLOADED",
            Reason::BadRequest => "BAD_REQUEST",
            Reason::Denied => "DENIED",
            Reason::Draining => "DRAINING",
        }
    }
}

/// The end of a call that a machine gives: a code, a reason for programs, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub code: Code,
    /// Why, for a program.
    pub reason: Reason,
    /// Why, and what to do, for a person.
    pub message: String,
    /// Whether it is certain that no handler was started for the call.
    pub not_started: bool,
    /// How soon it makes sense to try again, where that is known.
    pub retry_after: Option<Span>,
}

impl Refusal {
    /// The end of a call whose last attempt started no handler, while an earlier one may have.
    pub(crate) fn of_last_attempt(code: Code) -> Self {
        let message = format!(
            "the last attempt ended as {code} before a handler was started; \
             in an earlier one the handler may have run"
        );
        let reason = Reason::MaybeExecuted;
        Refusal { code, reason, message, not_started: false, retry_after: None }
    }
}
