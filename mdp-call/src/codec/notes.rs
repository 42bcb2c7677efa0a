//! Notes of the toolkit among a status's details (wire.md R62): the call that the status came from, and a cut of a
//! status that was too large. A note is an `ErrorInfo` with its own domain, so it is never taken for a reason.

use bytes::Bytes;
use mdp_protocol::{Code, Payload};

use super::{decode_status, encode_status, error_info, read_error_info};
use crate::body::Body;
use crate::status::{Detail, SourceCall, Status};

const DOMAIN: &str = "mdp.note";
const SOURCE_CALL: &str = "SOURCE_CALL";
const TRUNCATED: &str = "TRUNCATED";

/// Maximum size of a status in bytes, whatever limit the receiver has.
const MAX_STATUS: usize = 4 << 20;
/// Bytes for the other records in a packet with a status.
const PACKET_ROOM: usize = 64 << 10;
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

/// The end of a call with `code`, for a receiver that takes frames of `frame_bytes`. A status that is too large
/// together with its metadata is cut until it fits, and gets a note. A reply with the code OK is not changed.
pub fn fitting(code: Code, body: Body, frame_bytes: u64) -> Body {
    let max = usize::try_from(frame_bytes).unwrap_or(usize::MAX).min(MAX_STATUS);
    let max = max.saturating_sub(PACKET_ROOM).max(max / 2);
    if code == Code::Ok || body.is_raw() || body.is_compressed() || body.size() <= max {
        return body;
    }
    let whole = decode_status(code, body.payload());
    let (meta, meta_left) = match body.meta() {
        meta if meta.len() <= max / 4 => (meta, 0),
        meta => (Bytes::new(), meta.len()),
    };
    let status = cut(&whole, max.saturating_sub(meta.len()), meta_left);
    let meta = Some(&*meta).filter(|meta| !meta.is_empty());
    Body::with_payload("", meta, encode_status(&status))
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

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests
mod tests {
    use super::*;

    const MAX: u64 = 100_000;

    fn through(status: &Status, meta: Option<&[u8]>) -> (Status, Bytes) {
        let body = Body::with_payload("", meta, encode_status(status));
        let fitted = fitting(status.code(), body, MAX);
        assert!(fitted.size() as u64 <= MAX / 2, "{} bytes", fitted.size());
        (decode_status(status.code(), fitted.payload()), fitted.meta())
    }

    fn detail(len: usize) -> Detail {
        Detail { type_url: "type.googleapis.com/a.B".into(), value: vec![1; len].into() }
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let status = Status::with_details(Code::NotFound, "no", vec![detail(20_000)]);
        let (came, meta) = through(&status, Some(b"meta"));
        assert_eq!((&came, &*meta, came.is_truncated()), (&status, &b"meta"[..], false));
    }

    #[test]
    fn a_text_is_cut_between_characters_and_the_details_stay() {
        for shift in 0..4 {
            let text = "x".repeat(shift) + &"\u{1f600}".repeat(50_000);
            let status = Status::with_details(Code::NotFound, text.clone(), vec![detail(100)]);
            let (came, _) = through(&status, None);
            let begin = came.message().strip_suffix('…').unwrap();
            assert!(text.starts_with(begin) && begin.len() > 20_000, "{}", begin.len());
            assert_eq!((came.code(), came.is_truncated()), (Code::NotFound, true));
            assert_eq!(came.details().last(), Some(&detail(100)));
        }
    }

    #[test]
    fn details_that_do_not_fit_are_left_away_and_the_others_stay() {
        let details = vec![detail(90_000), detail(1), detail(90_000), detail(2)];
        let status = Status::with_details(Code::Aborted, "why", details);
        let (came, _) = through(&status, None);
        assert_eq!((came.code(), came.message()), (Code::Aborted, "why"));
        assert_eq!(came.details().get(1..).unwrap(), [detail(1), detail(2)]);
        let info = read_error_info(came.details().first().unwrap()).unwrap();
        assert_eq!(info.metadata.get("details").unwrap(), "2");
    }

    #[test]
    fn metadata_that_does_not_fit_is_left_away() {
        let (came, meta) = through(&Status::aborted("why"), Some(&[0; 90_000]));
        assert_eq!((came.message(), came.is_truncated(), meta.len()), ("why", true, 0));
        let (came, meta) = through(&Status::aborted("x".repeat(90_000)), Some(b"meta"));
        assert_eq!((came.is_truncated(), &*meta), (true, &b"meta"[..]));
    }

    #[test]
    fn a_status_that_is_cut_twice_says_it_once() {
        let status = Status::aborted("x".repeat(90_000));
        let (once, _) = through(&status, None);
        let (twice, _) = through(&once.with_any(detail(90_000)), None);
        assert_eq!(twice.details().iter().filter(|detail| is_truncation(detail)).count(), 1);
    }

    #[test]
    fn no_limit_is_too_small() {
        for max in [0, 1, 100, 1_000] {
            let payload = encode_status(&Status::aborted("é".repeat(2_000)));
            let fitted = fitting(Code::Aborted, Body::with_payload("", None, payload), max);
            let came = decode_status(Code::Aborted, fitted.payload());
            assert_eq!((came.code(), came.is_truncated()), (Code::Aborted, true));
        }
    }
}
