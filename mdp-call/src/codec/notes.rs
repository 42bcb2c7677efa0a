//! Notes of the toolkit among a status's details (wire.md R62): the call that the status came from, and a cut of a
//! status that was too large. A note is an `ErrorInfo` with its own domain, so it is never taken for a reason.

use bytes::Bytes;
use mdp_protocol::Code;

use super::{decode_status, encode_status, error_info, read_error_info};
use crate::status::{Detail, SourceCall, Status};

const DOMAIN: &str = "mdp.note";
const SOURCE_CALL: &str = "SOURCE_CALL";
const TRUNCATED: &str = "TRUNCATED";

/// Bytes for the code, the note about a cut, and the lengths.
const NOTE_ROOM: usize = 256;
/// Bytes for the lengths and tags of one detail.
const DETAIL_ROOM: usize = 24;

/// Reads the call that the status came from, if this detail is that note.
pub fn source_of(detail: &Detail) -> Option<SourceCall> {
    let info = read_error_info(detail)?;
    let mut noted =
        (info.domain == DOMAIN && info.reason == SOURCE_CALL).then_some(info.metadata)?;
    Some(SourceCall {
        method: noted.remove("method")?,
        reason: noted.remove("reason"),
        not_started: noted.remove("not_started").is_some_and(|value| value == "true"),
    })
}

/// Makes the note about the call that a status came from.
pub fn source_detail(source: &SourceCall) -> Detail {
    let noted = [
        Some(("method", source.method.clone())),
        source.reason.clone().map(|reason| ("reason", reason)),
        source.not_started.then(|| ("not_started", "true".to_owned())),
    ];
    error_info(DOMAIN, SOURCE_CALL, noted.into_iter().flatten())
}

/// Whether a detail is the note that the status was cut.
pub fn is_truncation(detail: &Detail) -> bool {
    read_error_info(detail).is_some_and(|info| info.domain == DOMAIN && info.reason == TRUNCATED)
}

/// Cuts an encoded status to at most `max` bytes, and adds a note about the cut. `meta_left`: the bytes of its metadata
/// that were left away.
pub fn cut_encoded(code: Code, payload: Bytes, max: usize, meta_left: usize) -> Bytes {
    encode_status(&cut(&decode_status(code, payload), max, meta_left))
}

/// Cuts a status to at most `max` bytes: half for the text, the rest for the details that fit, in their order.
fn cut(whole: &Status, max: usize, meta_left: usize) -> Status {
    let max = max.saturating_sub(NOTE_ROOM);
    let text = shortened(whole.message(), max / 2);
    let mut room = max.saturating_sub(text.len());
    let mut kept = Vec::new();
    let mut left = 0_usize;
    for detail in whole.details().iter().filter(|detail| !is_truncation(detail)) {
        let size = detail.type_url.len() + detail.value.len() + DETAIL_ROOM;
        if size <= room {
            room -= size;
            kept.push(detail.clone());
        } else {
            left += 1;
        }
    }
    let cut = text.len() != whole.message().len();
    let noted = [
        cut.then(|| ("message_bytes", whole.message().len().to_string())),
        (left > 0).then(|| ("details", left.to_string())),
        (meta_left > 0).then(|| ("metadata_bytes", meta_left.to_string())),
    ];
    kept.insert(0, error_info(DOMAIN, TRUNCATED, noted.into_iter().flatten()));
    Status::with_details(whole.code(), text, kept)
}

/// Shortens a text to at most `max` bytes, at the end of a character. A shortened text ends with `…`.
fn shortened(text: &str, max: usize) -> String {
    const END: char = '…';
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max.saturating_sub(END.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut short = text.get(..end).unwrap_or_default().to_owned();
    short.push(END);
    short
}
