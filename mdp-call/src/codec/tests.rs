//! Tests that this crate's reader accepts the same metadata as protobuf's reader, if the keys are valid.

use mdp_protocol::wire::check_key;
use proptest::prelude::*;

use super::*;

/// The metadata as prost reads it. `None` if prost fails, or if a key is invalid.
fn with_prost(bytes: &[u8]) -> Option<MetadataMessage> {
    let message = MetadataMessage::decode(bytes).ok()?;
    let good = message.entries.iter().all(|entry| check_key(entry.key.as_bytes()).is_ok());
    good.then_some(message)
}

fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
    let (ours, theirs) = (EncodedMetadata::read(Bytes::copy_from_slice(bytes)), with_prost(bytes));
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => {
            let marks = (theirs.accept, theirs.no_wait, theirs.wait_ms);
            prop_assert_eq!((ours.marks.accept, ours.marks.no_wait, ours.marks.wait_ms), marks);
            let entries = theirs.entries.into_iter().map(|entry| (entry.key, entry.value));
            prop_assert_eq!(ours.decode(), entries.collect::<Metadata>());
        }
        (Err(_), None) => {}
        // If an entry has two keys, protobuf takes the last one. Here each key must be valid.
        (Err(MetadataError::Key { .. }), Some(_)) => prop_assume!(false),
        (ours, theirs) => prop_assert!(false, "{ours:?} {theirs:?}"),
    }
    Ok(())
}

/// Bytes that resemble metadata: tags, short lengths and keys are more frequent than in random bytes.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![0x0a, 0x10, 0x12, 0x18, 0x1a, 0x1b, 0x1c, 0x1d, 0x19, 0x20, 0x23, 0x24, 0x2b, 0x2c, 0x2d, 0x30])
            .prop_map(|tag| vec![tag]),
        3 => (0_u8..6).prop_map(|len| vec![len]),
        2 => ("[a-z0-9._-]{1,4}", prop::collection::vec(any::<u8>(), 0..4)).prop_map(|(key, value)| {
            let entry = EntryMessage { key, value: value.into() };
            MetadataMessage { entries: vec![entry], ..Default::default() }.encode_to_vec()
        }),
        1 => prop::collection::vec(any::<u8>(), 0..4),
        1 => Just(vec![0xff; 9]),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 1_000_000, ..ProptestConfig::with_cases(20_000) })]

    #[test]
    fn random_bytes_are_metadata_here_where_they_are_for_prost(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
        agree(&bytes)?;
    }

    #[test]
    fn what_is_nearly_metadata_is_metadata_here_where_it_is_for_prost(bytes in nearly()) {
        agree(&bytes)?;
    }

    #[test]
    fn metadata_comes_back_as_it_was(
        entries in prop::collection::vec(("[a-z0-9._-]{1,9}", prop::collection::vec(any::<u8>(), 0..9)), 0..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let metadata: Metadata = entries.into_iter().collect();
        let encoded = encode_metadata(&metadata).unwrap().unwrap_or_default();
        prop_assert_eq!(decode_metadata(encoded.clone().into()).unwrap(), metadata);
        agree(&encoded[..cut.index(encoded.len() + 1)])?;
    }
}

#[test]
fn no_metadata_is_no_bytes() {
    assert_eq!(encode_metadata(&Metadata::new()), Ok(None));
    assert_eq!(decode_metadata(Bytes::new()), Ok(Metadata::new()));
    let bad = encode_metadata(&Metadata::from_iter([("a b", "")])).unwrap_err();
    let status = bad_metadata(&bad);
    assert_eq!((status.code(), status.not_started()), (Code::InvalidArgument, true));
    assert_eq!(status.reason().as_deref(), Some("BAD_REQUEST"));
    assert!(status.message().contains("`a b`"), "{status}");
}

#[test]
fn changed_metadata_says_the_same_to_whoever_carries_the_call() {
    let marks = |accept, no_wait, wait_ms| Marks { accept, no_wait, wait_ms };
    for marks in [Marks::default(), marks(1, false, 0), marks(0, true, 0), marks(2, true, 300)] {
        let encoded = encode(&Metadata::from_iter([("a", "1")]), marks).unwrap();
        let read = EncodedMetadata::read(encoded.unwrap().into()).unwrap();
        let changed = change_metadata(&read, &Metadata::from_iter([("b", "2")])).unwrap();
        let changed = EncodedMetadata::read(changed.unwrap().into()).unwrap();
        assert_eq!(changed.marks, marks);
        assert_eq!(changed.decode(), Metadata::from_iter([("b", "2")]));
        let emptied = change_metadata(&read, &Metadata::new()).unwrap();
        assert_eq!(emptied.is_some(), marks != Marks::default());
    }
}

#[test]
fn a_cut_says_how_many_details_are_left_away() {
    let detail =
        |len| Detail { type_url: "type.googleapis.com/a.B".into(), value: vec![1; len].into() };
    let details = vec![detail(90_000), detail(1), detail(90_000), detail(2)];
    let status = encode_status(&Status::with_details(Code::Aborted, "why", details));
    let cut = decode_status(Code::Aborted, notes::cut_encoded(Code::Aborted, status, 50_000, 0));
    let info = read_error_info(cut.details().first().unwrap()).unwrap();
    assert_eq!(info.metadata.get("details").unwrap(), "2");
}
