//! The standard details of a status, from `google.rpc` (error_details.proto). Each program of gRPC or MDP/RPC can read
//! them, in any language.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use prost_types::Duration;

use crate::status::{Detail, Status};

/// A message that can be a detail of a [`Status`]. For your own message type, set the full name.
pub trait StatusDetail: Message + Default {
    /// The full name of the message, `package.Message`.
    const FULL_NAME: &'static str;
}

macro_rules! details {
    ($($name:ident)*) => {
        $(impl StatusDetail for $name {
            const FULL_NAME: &'static str = concat!("google.rpc.", stringify!($name));
        })*
    };
}

details! {
    ErrorInfo RetryInfo QuotaFailure PreconditionFailure BadRequest RequestInfo ResourceInfo Help
    LocalizedMessage DebugInfo
}

/// The reason for a failure, for programs. A reason is unique within its domain.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ErrorInfo {
    /// The reason, in UPPER_SNAKE_CASE.
    #[prost(string, tag = "1")]
    pub reason: String,
    /// The source of the reason, usually the name of a service.
    #[prost(string, tag = "2")]
    pub domain: String,
    /// More data about the failure.
    #[prost(btree_map = "string, string", tag = "3")]
    pub metadata: BTreeMap<String, String>,
}

/// The time after which the caller may try again.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RetryInfo {
    /// The minimum time to wait.
    #[prost(message, optional, tag = "1")]
    pub retry_delay: Option<Duration>,
}

impl RetryInfo {
    /// Returns the delay. `None` if there is no delay, or if it is negative.
    pub fn delay(&self) -> Option<std::time::Duration> {
        self.retry_delay.and_then(|delay| std::time::Duration::try_from(delay).ok())
    }
}

/// The quotas that a call exceeded.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct QuotaFailure {
    /// All exceeded quotas.
    #[prost(message, repeated, tag = "1")]
    pub violations: Vec<QuotaViolation>,
}

/// One exceeded quota.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct QuotaViolation {
    /// The owner of the quota: `clientip:10.0.0.1`, `project:42`.
    #[prost(string, tag = "1")]
    pub subject: String,
    /// The problem, for people.
    #[prost(string, tag = "2")]
    pub description: String,
}

/// The conditions that must hold before the call can succeed.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PreconditionFailure {
    /// All conditions that do not hold.
    #[prost(message, repeated, tag = "1")]
    pub violations: Vec<PreconditionViolation>,
}

/// One condition that does not hold.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PreconditionViolation {
    /// The kind of the condition, defined by the service: `TOS`.
    #[prost(string, tag = "1")]
    pub r#type: String,
    /// The subject that does not meet the condition.
    #[prost(string, tag = "2")]
    pub subject: String,
    /// The remedy, for people.
    #[prost(string, tag = "3")]
    pub description: String,
}

/// The mistakes in a request.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct BadRequest {
    /// All invalid fields.
    #[prost(message, repeated, tag = "1")]
    pub field_violations: Vec<FieldViolation>,
}

/// One invalid field.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FieldViolation {
    /// The path to the field, `addresses[1].street`.
    #[prost(string, tag = "1")]
    pub field: String,
    /// The mistake, for people.
    #[prost(string, tag = "2")]
    pub description: String,
}

/// Identifies a request.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RequestInfo {
    /// The name of the request in the service's logs.
    #[prost(string, tag = "1")]
    pub request_id: String,
    /// More data that helps to find the request.
    #[prost(string, tag = "2")]
    pub serving_data: String,
}

/// Identifies the resource of a failure.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ResourceInfo {
    /// The kind of the resource.
    #[prost(string, tag = "1")]
    pub resource_type: String,
    /// The name of the resource.
    #[prost(string, tag = "2")]
    pub resource_name: String,
    /// The owner of the resource.
    #[prost(string, tag = "3")]
    pub owner: String,
    /// The problem with the resource, for people.
    #[prost(string, tag = "4")]
    pub description: String,
}

/// Links to further information.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Help {
    /// All links.
    #[prost(message, repeated, tag = "1")]
    pub links: Vec<HelpLink>,
}

/// One link.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct HelpLink {
    /// The content behind the link.
    #[prost(string, tag = "1")]
    pub description: String,
    /// The address of the link.
    #[prost(string, tag = "2")]
    pub url: String,
}

/// A message in the user's language.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct LocalizedMessage {
    /// The language, in the form of BCP 47: `de-CH`.
    #[prost(string, tag = "1")]
    pub locale: String,
    /// The message.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// Information for the developers of the service; do not show it to callers.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct DebugInfo {
    /// The entries of the stack trace.
    #[prost(string, repeated, tag = "1")]
    pub stack_entries: Vec<String>,
    /// Further information.
    #[prost(string, tag = "2")]
    pub detail: String,
}

/// Reads and adds standard details.
///
/// ```
/// use mdp_runtime::Status;
/// use mdp_runtime::details::{BadRequest, FieldViolation};
///
/// let violation =
///     FieldViolation { field: "user".into(), description: "must not be empty".into() };
/// let status = Status::invalid_argument("the request is wrong")
///     .with_detail(&BadRequest { field_violations: vec![violation] });
///
/// let found: Option<BadRequest> = status.detail();
/// assert_eq!(found.unwrap().field_violations[0].field, "user");
/// ```
impl Status {
    /// Adds a detail.
    #[must_use]
    pub fn with_detail<D: StatusDetail>(self, detail: &D) -> Self {
        let type_url = format!("type.googleapis.com/{}", D::FULL_NAME);
        self.with_any(Detail { type_url, value: Bytes::from(detail.encode_to_vec()) })
    }

    /// Returns the first detail of this type that can be decoded. The part of the type URL before the type's name is
    /// ignored.
    pub fn detail<D: StatusDetail>(&self) -> Option<D> {
        let named = |detail: &&Detail| detail.type_url.rsplit('/').next() == Some(D::FULL_NAME);
        self.details().iter().filter(named).find_map(|found| D::decode(found.value.clone()).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Code;

    #[test]
    fn details_are_found_by_type_and_read_back() {
        let delay = Duration { seconds: 3, nanos: 500_000_000 };
        let retry = RetryInfo { retry_delay: Some(delay) };
        let info =
            ErrorInfo { reason: "FULL".into(), domain: "disk".into(), ..ErrorInfo::default() };
        let status =
            Status::new(Code::ResourceExhausted, "full").with_detail(&info).with_detail(&retry);
        assert_eq!(status.detail(), Some(retry));
        assert_eq!(status.detail(), Some(info));
        assert_eq!(status.detail::<Help>(), None);
        let urls: Vec<_> = status.details().iter().map(|detail| &*detail.type_url).collect();
        let prefix = "type.googleapis.com/google.rpc.";
        assert_eq!(urls, [format!("{prefix}ErrorInfo"), format!("{prefix}RetryInfo")]);
    }

    #[test]
    fn the_bytes_are_those_of_error_details_proto() {
        let violation = FieldViolation { field: "a".into(), description: "b".into() };
        let bytes = BadRequest { field_violations: vec![violation] }.encode_to_vec();
        assert_eq!(bytes, [0x0a, 6, 0x0a, 1, b'a', 0x12, 1, b'b']);
        let delay = Duration { seconds: 1, nanos: 0 };
        assert_eq!(RetryInfo { retry_delay: Some(delay) }.encode_to_vec(), [0x0a, 2, 8, 1]);
    }

    #[test]
    fn a_detail_that_cannot_be_read_is_none() {
        let url = "https://example.org/google.rpc.Help".to_owned();
        let broken = Detail { type_url: url.clone(), value: Bytes::from_static(&[0xff]) };
        let good = Detail { type_url: url, value: Bytes::new() };
        let status = Status::with_details(Code::Internal, "", vec![broken.clone()]);
        assert_eq!(status.detail::<Help>(), None);
        let status = Status::with_details(Code::Internal, "", vec![broken, good]);
        assert_eq!(status.detail(), Some(Help::default()));
    }
}
