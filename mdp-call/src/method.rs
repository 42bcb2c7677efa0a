//! What is known of methods and services at build time.

use mdp_protocol::wire::CallKind;

/// What is known of a method at build time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodSpec {
    /// The service's full name, `package.Service`.
    pub service: &'static str,
    /// The method's name as the schema has it.
    pub name: &'static str,
    /// `package.Service/Method`.
    pub path: &'static str,
    /// Its place among the methods that the schema declares, from 0. A method that is left out of the
    /// build leaves a gap.
    pub number: u32,
    /// How many messages go which way.
    pub kind: CallKind,
    /// Whether it may be run more than once.
    pub idempotency: Idempotency,
    /// How long a caller waits unless it says otherwise, in milliseconds; `None` leaves it to the client.
    pub timeout_ms: Option<u32>,
    /// How often a call is tried, the first time included, where that is safe; `None` leaves it to the client.
    pub retry_attempts: Option<u8>,
    /// What becomes of a handler whose call is over before it.
    pub on_cancel: OnCancel,
    /// Whether the schema advises against it.
    pub deprecated: bool,
}

/// protobuf's `idempotency_level`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// Not said: a second run may do harm.
    #[default]
    Unknown,
    /// It changes nothing.
    NoSideEffects,
    /// A second run changes nothing more.
    Idempotent,
}

/// What becomes of a handler whose call is over before it: cancelled, out of time, or its session lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCancel {
    /// It is dropped.
    #[default]
    Cancel,
    /// It is told, and runs to its end; what it gives goes nowhere.
    Detach,
}

/// What is known of a service at build time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceSpec {
    /// The full name, `package.Service`.
    pub name: &'static str,
    /// The methods, in the order of the schema.
    pub methods: &'static [MethodSpec],
}
