//! Outcomes that cannot be read.

use super::*;

#[test]
fn a_reply_whose_metadata_cannot_be_read_is_internal() {
    for meta in [&b"\x0a"[..], b"\x0a\x03\x0a\x01\xff", b"\x0a\x00"] {
        for (code, not_started) in
            [(Code::Ok, false), (Code::NotFound, false), (Code::Unavailable, true)]
        {
            let body = Body::with_payload("", Some(meta), Bytes::new());
            let end = Outcome::Final { code, not_started, attempt: 1, body };
            let status = answered(end, 0).unwrap_err();
            assert_eq!((status.code(), status.not_started()), (Code::Internal, not_started));
            assert!(status.message().contains("metadata"), "{status}");
        }
    }
}
