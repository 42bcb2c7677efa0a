//! What is known of methods and services at build time.

use mdp_protocol::wire::CallKind;

/// The facts about a method that are known at build time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodSpec {
    /// The service's full name, `package.Service`.
    pub service: &'static str,
    /// The method's name in the schema.
    pub name: &'static str,
    /// `package.Service/Method`.
    pub path: &'static str,
    /// The method's index among the methods of the schema, from 0. A method that is left out of the build leaves a gap.
    pub number: u32,
    /// The number of messages in each direction: one or a stream.
    pub kind: CallKind,
    /// Whether the method may run more than once.
    pub idempotency: Idempotency,
    /// The default time limit of a call in milliseconds. `None`: the client decides.
    pub timeout_ms: Option<u32>,
    /// The number of attempts at a call, the first included, where a retry is safe. `None`: the client decides.
    pub retry_attempts: Option<u8>,
    /// What happens to a handler whose call ends first.
    pub on_cancel: OnCancel,
    /// Whether the schema marks the method as deprecated.
    pub deprecated: bool,
}

impl MethodSpec {
    /// Makes the first method of a service, with all options at their defaults. `path`: `package.Service/Method`.
    ///
    /// ```
    /// use mdp_runtime::codegen::{CallKind, Idempotency, MethodSpec};
    ///
    /// const LOGIN: MethodSpec = MethodSpec::new("auth.v1.Auth/Login", CallKind::Unary)
    ///     .with_idempotency(Idempotency::Idempotent)
    ///     .with_timeout_ms(500);
    /// assert_eq!((LOGIN.service, LOGIN.name), ("auth.v1.Auth", "Login"));
    /// ```
    pub const fn new(path: &'static str, kind: CallKind) -> Self {
        let (service, name) = split(path);
        MethodSpec {
            service,
            name,
            path,
            number: 0,
            kind,
            idempotency: Idempotency::Unknown,
            timeout_ms: None,
            retry_attempts: None,
            on_cancel: OnCancel::Cancel,
            deprecated: false,
        }
    }

    /// Sets the place among the methods of the service. Default: 0.
    pub const fn with_number(self, number: u32) -> Self {
        MethodSpec { number, ..self }
    }

    /// Sets whether the method may be run more than once. Default: [`Idempotency::Unknown`].
    pub const fn with_idempotency(self, idempotency: Idempotency) -> Self {
        MethodSpec { idempotency, ..self }
    }

    /// Sets the time limit of its calls in milliseconds. Default: that of the client.
    pub const fn with_timeout_ms(self, timeout_ms: u32) -> Self {
        MethodSpec { timeout_ms: Some(timeout_ms), ..self }
    }

    /// Sets the number of attempts, including the first. Default: that of the client.
    pub const fn with_retry_attempts(self, attempts: u8) -> Self {
        MethodSpec { retry_attempts: Some(attempts), ..self }
    }

    /// Sets what happens to a handler whose call ends first. Default: [`OnCancel::Cancel`].
    pub const fn with_on_cancel(self, on_cancel: OnCancel) -> Self {
        MethodSpec { on_cancel, ..self }
    }
}

/// The service and the method of a path. Without a `/` the service is empty.
const fn split(path: &str) -> (&str, &str) {
    let mut left = path.as_bytes();
    while let Some((last, before)) = left.split_last() {
        if *last == b'/'
            && let Some((service, _)) = path.split_at_checked(before.len())
            && let Some((_, name)) = path.split_at_checked(left.len())
        {
            return (service, name);
        }
        left = before;
    }
    ("", path)
}

/// The `idempotency_level` of protobuf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// Unknown: a second run may do harm.
    #[default]
    Unknown,
    /// The method changes nothing.
    NoSideEffects,
    /// A second run changes nothing more.
    Idempotent,
}

/// What happens to a handler whose call ends first: by cancellation, by its deadline, or by the loss of its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCancel {
    /// The handler is dropped.
    #[default]
    Cancel,
    /// The handler is notified, and runs to its end. Its reply is dropped.
    Detach,
}

/// The facts about a service that are known at build time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceSpec {
    /// The full name, `package.Service`.
    pub name: &'static str,
    /// The methods, in the order of the schema.
    pub methods: &'static [MethodSpec],
}
