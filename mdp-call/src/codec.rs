//! The one seam to protobuf: everything that knows prost goes through here or through
//! `codegen` of the runtime. The messages are those of `proto/mdp/rpc.proto`.

pub mod details;
pub mod notes;
pub mod record;

use std::collections::BTreeMap;

use bytes::Bytes;
use details::RetryInfo;
use mdp_protocol::wire::{self, Marks, MetadataError};
use mdp_protocol::{Code, Reason, Refusal};
use prost::Message;

use crate::metadata::{BadKey, Metadata};
use crate::status::{Detail, Status};

/// The domain of the toolkit's own reasons, in the `ErrorInfo` of a status. [`reason_of`] reads only this domain.
pub const DOMAIN: &str = "mdp";
/// The type of the detail that has a reason.
pub const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

#[derive(Clone, PartialEq, Message)]
struct StatusMessage {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<AnyMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyMessage {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct ErrorInfoMessage {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct MetadataMessage {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<EntryMessage>,
    #[prost(uint32, tag = "2")]
    accept: u32,
    #[prost(bool, tag = "3")]
    no_wait: bool,
    #[prost(uint32, tag = "4")]
    wait_ms: u32,
}

#[derive(Clone, PartialEq, Message)]
struct EntryMessage {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// Encodes a status as the payload of a FINAL.
pub fn encode_status(status: &Status) -> Bytes {
    let details = status.details().iter().map(|detail| AnyMessage {
        type_url: detail.type_url.clone(),
        value: detail.value.clone(),
    });
    let message = StatusMessage {
        code: status.code().as_u32() as i32,
        message: status.message().to_owned(),
        details: details.collect(),
    };
    Bytes::from(message.encode_to_vec())
}

/// Decodes the payload of a FINAL with this `code` into a status. A payload that cannot be read gives a status with the
/// code and a message about it: the call has failed either way.
pub fn decode_status(code: Code, payload: Bytes) -> Status {
    match StatusMessage::decode(payload) {
        Ok(found) => {
            let details = found.details.into_iter();
            let details =
                details.map(|any| Detail { type_url: any.type_url, value: any.value }).collect();
            Status::with_details(code, found.message, details)
        }
        Err(error) => Status::new(code, format!("the status could not be decoded: {error}")),
    }
}

/// Converts a refusal of a state machine into a status.
pub fn status_of(refusal: &Refusal) -> Status {
    let detail = error_info(DOMAIN, refusal.reason.name(), []);
    let status = Status::with_details(refusal.code, refusal.message.clone(), vec![detail])
        .with_not_started(refusal.not_started);
    let Some(wait) = refusal.retry_after else { return status };
    let delay = std::time::Duration::from_millis(wait.as_ms()).try_into();
    status.with_detail(&RetryInfo { retry_delay: delay.ok() })
}

/// The status of a call whose metadata cannot be sent or read: no handler was started.
pub fn bad_metadata(error: &(impl std::error::Error + ?Sized)) -> Status {
    status_of(&Refusal {
        code: Code::InvalidArgument,
        reason: Reason::BadRequest,
        message: format!("the call cannot be made: {error}"),
        not_started: true,
        retry_after: None,
    })
}

/// The reason in an `ErrorInfo` of the toolkit's domain.
pub fn reason_of(detail: &Detail) -> Option<String> {
    read_error_info(detail).filter(|info| info.domain == DOMAIN).map(|info| info.reason)
}

fn error_info(
    domain: &str,
    reason: &str,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Detail {
    let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value));
    let info = ErrorInfoMessage {
        reason: reason.to_owned(),
        domain: domain.to_owned(),
        metadata: metadata.collect(),
    };
    Detail { type_url: ERROR_INFO.to_owned(), value: Bytes::from(info.encode_to_vec()) }
}

fn read_error_info(detail: &Detail) -> Option<ErrorInfoMessage> {
    if detail.type_url != ERROR_INFO {
        return None;
    }
    ErrorInfoMessage::decode(detail.value.clone()).ok()
}

/// Encodes metadata for a record. `None` if there is no metadata.
///
/// # Errors
///
/// A key is invalid.
pub fn encode_metadata(metadata: &Metadata) -> Result<Option<Vec<u8>>, BadKey> {
    encode(metadata, Marks::default())
}

/// Encodes the metadata of a request, with the call's marks for the broker and the worker.
///
/// # Errors
///
/// A key is invalid.
pub fn encode_request_metadata(
    metadata: &Metadata,
    marks: Marks,
) -> Result<Option<Vec<u8>>, BadKey> {
    encode(metadata, marks)
}

/// Encodes new entries of metadata for a record. The marks of `before` stay.
///
/// # Errors
///
/// A key is invalid.
pub fn change_metadata(
    before: &EncodedMetadata,
    metadata: &Metadata,
) -> Result<Option<Vec<u8>>, BadKey> {
    encode(metadata, before.marks)
}

#[inline]
fn encode(metadata: &Metadata, marks: Marks) -> Result<Option<Vec<u8>>, BadKey> {
    match metadata.is_empty() && marks == Marks::default() {
        true => Ok(None),
        false => encode_some(metadata, marks).map(Some),
    }
}

fn encode_some(metadata: &Metadata, marks: Marks) -> Result<Vec<u8>, BadKey> {
    metadata.check()?;
    let entries = metadata
        .iter()
        .map(|(key, value)| EntryMessage { key: key.to_owned(), value: value.clone() });
    let Marks { accept, no_wait, wait_ms } = marks;
    let message = MetadataMessage { entries: entries.collect(), accept, no_wait, wait_ms };
    Ok(message.encode_to_vec())
}

/// The encoded metadata of a record, checked once. The entries are decoded on demand.
#[derive(Clone, Debug, Default)]
pub struct EncodedMetadata {
    bytes: Bytes,
    marks: Marks,
}

impl EncodedMetadata {
    /// Checks encoded metadata.
    ///
    /// # Errors
    ///
    /// The metadata is invalid; the error has the position (wire.md R102).
    #[inline]
    pub fn read(bytes: Bytes) -> Result<Self, MetadataError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let marks = wire::read_marks(&bytes)?;
        Ok(EncodedMetadata { bytes, marks })
    }

    /// The fields of the metadata for the broker and the worker.
    pub(crate) fn marks(&self) -> Marks {
        self.marks
    }

    /// Decodes the entries.
    #[inline]
    pub fn decode(&self) -> Metadata {
        if self.bytes.is_empty() { Metadata::new() } else { self.decode_some() }
    }

    fn decode_some(&self) -> Metadata {
        let mut entries = Vec::new();
        // The bytes were checked to their end before.
        let _ = wire::read_metadata(&self.bytes, |key, value| {
            let key = self.bytes.get(key).unwrap_or_default();
            entries.push((String::from_utf8_lossy(key), self.bytes.slice(value)));
        });
        entries.into_iter().collect()
    }
}

/// Decodes the metadata of a record.
///
/// # Errors
///
/// What cannot be read, and where it stands (wire.md R102).
pub fn decode_metadata(bytes: Bytes) -> Result<Metadata, MetadataError> {
    EncodedMetadata::read(bytes).map(|encoded| encoded.decode())
}

#[cfg(test)]
mod tests;
