//! What a record does not know.

use std::collections::BTreeMap;

use mdp_runtime::{MdpRecord, UnknownFields};
use prost::Message;
use test_records::records as r;

use crate::hex;

/// As it was before anything was added.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
struct Old {
    #[mdp(unknown)]
    rest: UnknownFields,
}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
enum Tone {
    #[mdp(31)]
    Plain(r::Color),
}

/// With enums that get variants later.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
struct Colors {
    #[mdp(1)]
    one: r::Color,
    #[mdp(2)]
    maybe: Option<r::Color>,
    #[mdp(3)]
    some: Vec<r::Color>,
    #[mdp(4)]
    by_name: BTreeMap<String, r::Color>,
    #[mdp(oneof)]
    tone: Option<Tone>,
    #[mdp(unknown)]
    rest: UnknownFields,
}

const ALL_KINDS: &[u8] = &[
    0x08, 0x96, 1, // 1: varint
    0x15, 1, 2, 3, 4, // 2: four bytes
    0x19, 1, 2, 3, 4, 5, 6, 7, 8, // 3: eight
    0x22, 2, 0xff, 0, // 4: any number
    0x2b, 0x08, 1, 0x33, 0x15, 1, 2, 3, 4, 0x34, 0x22, 1, 9, 0x2c, // 5: a group with another
];

#[test]
fn all_kinds_of_fields_are_kept_as_they_came() {
    let read = Old::decode(ALL_KINDS).unwrap();
    assert_eq!(hex(read.rest.as_bytes()), hex(ALL_KINDS));
    assert_eq!(hex(&read.encode_to_vec()), hex(ALL_KINDS));
    assert_eq!(read.encoded_len(), ALL_KINDS.len());
}

#[test]
fn an_older_program_passes_on_what_it_does_not_know() {
    let record = r::Scalars {
        flag: true,
        sint64: -5,
        double: 0.25,
        string: "kept".to_owned(),
        ..r::Scalars::default()
    };
    let old = Old::decode(record.encode_to_vec().as_slice()).unwrap();
    assert!(!old.rest.is_empty());
    assert_eq!(r::Scalars::decode(old.encode_to_vec().as_slice()).unwrap(), record);
}

#[test]
fn without_a_place_for_them_they_are_dropped() {
    assert_eq!(r::Nothing::decode(ALL_KINDS).unwrap(), r::Nothing);
    assert!(r::Nothing.encode_to_vec().is_empty());
}

#[test]
fn fields_that_are_cut_short_are_errors() {
    for end in 1..ALL_KINDS.len() {
        let bytes = &ALL_KINDS[..end];
        let whole = [3, 8, 17, 21].contains(&end);
        assert_eq!(Old::decode(bytes).is_ok(), whole, "of {bytes:02x?}");
        assert_eq!(r::Nothing::decode(bytes).is_ok(), whole, "of {bytes:02x?}");
    }
    for bytes in [&[0x2b, 0x34][..], &[0x2c], &[0x22, 0xff, 0xff, 0xff, 0xff, 0xff, 1]] {
        assert!(Old::decode(bytes).is_err(), "of {bytes:02x?}");
    }
}

#[test]
fn deep_groups_cost_no_stack() {
    let mut bytes = vec![0x2b; 200_000];
    assert!(Old::decode(bytes.as_slice()).is_err());
    bytes.extend(std::iter::repeat_n(0x2c, 200_000));
    assert_eq!(Old::decode(bytes.as_slice()).unwrap().encode_to_vec(), bytes);
}

#[test]
fn numbers_without_a_variant_are_kept() {
    let bytes = [
        0x08, 77, // one
        0x10, 78, // maybe
        0x1a, 3, 1, 79, 5, // some, packed
        0x22, 5, 0x0a, 1, b'a', 0x10, 80, // by_name
        0x22, 5, 0x0a, 1, b'b', 0x10, 1, // by_name, known
        0xf8, 1, 81, // tone
    ];
    let read = Colors::decode(&bytes[..]).unwrap();
    assert_eq!((read.one, read.maybe), (r::Color::Unspecified, None));
    assert_eq!(read.some, [r::Color::Red, r::Color::DarkBlue]);
    assert_eq!(read.by_name, BTreeMap::from([("b".to_owned(), r::Color::Red)]));
    assert_eq!(read.tone, None);
    let kept = "084d104e184f22050a01611050f80151";
    assert_eq!(hex(read.rest.as_bytes()), kept);
    // Who knows them reads them in what was written.
    let written = read.encode_to_vec();
    assert_eq!(Colors::decode(written.as_slice()).unwrap(), read);
    assert!(hex(&written).ends_with(kept));
}

#[test]
fn they_can_be_forgotten() {
    let mut read = Old::decode(ALL_KINDS).unwrap();
    assert_eq!(format!("{:?}", read.rest), format!("UnknownFields({} bytes)", ALL_KINDS.len()));
    read.rest.clear();
    assert_eq!(read, Old::default());
}
