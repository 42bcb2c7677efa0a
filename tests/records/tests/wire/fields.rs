//! Type by type: the same bytes as prost's, and what they are.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use prost::Message;
use test_records::{pb, records as r};

use crate::{convert, hex, same};

/// A record with one field that is not as it is by default.
macro_rules! with {
    ($record:ident.$field:ident = $value:expr) => {{
        let mut record = r::$record::default();
        record.$field = $value;
        record
    }};
}

/// For each line: the field with the value has these bytes, and prost's message of it has them too.
macro_rules! bytes {
    ($convert:ident, $record:ident: $($field:ident = $value:expr => $hex:expr;)*) => {$(
        let record = with!($record.$field = $value);
        assert_eq!(hex(&record.encode_to_vec()), $hex, "of {}", stringify!($field = $value));
        same(&record, &convert::$convert(&record));
    )*};
}

#[test]
fn scalars() {
    bytes! { scalars, Scalars:
        flag = true => "0801";
        flag = false => "";
        int32 = 300 => "10ac02";
        int32 = -1 => "10ffffffffffffffffff01";
        int32 = 0 => "";
        sint32 = -1 => "1801";
        sint32 = i32::MIN => "18ffffffff0f";
        sfixed32 = -2 => "25feffffff";
        int64 = i64::MIN => "2880808080808080808001";
        sint64 = -3 => "3005";
        sfixed64 = -2 => "39feffffffffffffff";
        uint32 = u32::MAX => "40ffffffff0f";
        fixed32 = 1 => "4d01000000";
        uint64 = u64::MAX => "50ffffffffffffffffff01";
        fixed64 = 1 => "590100000000000000";
        float = 1.5 => "650000c03f";
        float = 0.0 => "";
        double = -2.0 => "6900000000000000c0";
        string = "é".to_owned() => "7202c3a9";
        string = String::new() => "";
        bytes = vec![0, 255] => "7a0200ff";
        shared = Bytes::from_static(b"\x00") => "82010100";
    }
}

#[test]
fn negative_zero_is_written() {
    let record = with!(Scalars.float = -0.0);
    assert_eq!(hex(&record.encode_to_vec()), "6500000080");
    let read = r::Scalars::decode(record.encode_to_vec().as_slice()).unwrap();
    assert!(read.float.is_sign_negative());
    assert_eq!(hex(&with!(Scalars.double = -0.0).encode_to_vec()), "690000000000000080");
}

#[test]
fn options_tell_zero_from_nothing() {
    bytes! { options, Options:
        flag = Some(false) => "0800";
        flag = None => "";
        int32 = Some(0) => "1000";
        sint32 = Some(0) => "1800";
        sfixed32 = Some(0) => "2500000000";
        int64 = Some(0) => "2800";
        sint64 = Some(0) => "3000";
        sfixed64 = Some(0) => "390000000000000000";
        uint32 = Some(0) => "4000";
        fixed32 = Some(0) => "4d00000000";
        uint64 = Some(0) => "5000";
        fixed64 = Some(0) => "590000000000000000";
        float = Some(0.0) => "6500000000";
        double = Some(0.0) => "690000000000000000";
        string = Some(String::new()) => "7200";
        bytes = Some(Vec::new()) => "7a00";
        shared = Some(Bytes::new()) => "820100";
        color = Some(r::Color::Unspecified) => "880100";
        color = Some(r::Color::DarkBlue) => "880105";
        point = Some(r::Point::default()) => "920100";
        point = Some(r::Point { x: -1, y: 0 }) => "9201020801";
    }
}

#[test]
fn lists_of_numbers_are_packed() {
    bytes! { lists, Lists:
        flag = vec![true, false] => "0a020100";
        int32 = vec![1, -1] => "120b01ffffffffffffffffff01";
        int32 = Vec::new() => "";
        sint32 = vec![-1, 1] => "1a020102";
        sfixed32 = vec![1] => "220401000000";
        int64 = vec![1] => "2a0101";
        sint64 = vec![-1] => "320101";
        sfixed64 = vec![1] => "3a080100000000000000";
        uint32 = vec![1, 300] => "420301ac02";
        fixed32 = vec![1] => "4a0401000000";
        uint64 = vec![1] => "520101";
        fixed64 = vec![1] => "5a080100000000000000";
        float = vec![1.0] => "62040000803f";
        double = vec![1.0] => "6a08000000000000f03f";
        string = vec![String::new(), "a".to_owned()] => "7200720161";
        bytes = vec![vec![1], vec![]] => "7a01017a00";
        shared = vec![Bytes::from_static(b"\x01")] => "82010101";
        color = vec![r::Color::Red, r::Color::Money] => "8a010b01ffffffffffffffffff01";
        color = Vec::new() => "";
        point = vec![r::Point::default(), r::Point { x: 1, y: 1 }] => "920100920104" .to_owned() + "08021002";
        one_by_one = vec![1, 300] => "9801019801ac02";
        color_by_color = vec![r::Color::Red, r::Color::Unspecified] => "a00101a00100";
    }
}

#[test]
fn lists_are_read_packed_or_not() {
    // Field 8, `uint32`: a packed part, then a single one, then nothing packed.
    let read = r::Lists::decode(&[0x42, 2, 1, 2, 0x40, 3, 0x42, 0][..]).unwrap();
    assert_eq!(read.uint32, [1, 2, 3]);
    // Field 19 is written one by one.
    let read = r::Lists::decode(&[0x9a, 1, 2, 4, 5][..]).unwrap();
    assert_eq!(read.one_by_one, [4, 5]);
    // Field 12, `float`, with three bytes in place of four.
    let error = r::Lists::decode(&[0x62, 3, 0, 0, 0][..]).unwrap_err().to_string();
    assert!(error.contains("Lists.float"), "{error}");
}

#[test]
fn maps() {
    let one = |key, value| BTreeMap::from([(key, value)]);
    bytes! { maps, Maps:
        texts = BTreeMap::from([("a".to_owned(), "b".to_owned()), (String::new(), String::new())])
            => "0a000a060a0161120162";
        flags = BTreeMap::from([(true, false)]) => "12020801";
        int32 = one(-1, -1) => "1a0d08ffffffffffffffffff011001";
        sint32 = BTreeMap::from([(-1, vec![7])]) => "22050801120107";
        sfixed32 = BTreeMap::from([(1, 1)]) => "2a0e0d01000000110100000000000000";
        int64 = BTreeMap::from([(1, 1.0)]) => "32070801150000803f";
        sint64 = BTreeMap::from([(-1, 1.0)]) => "3a0b080111000000000000f03f";
        sfixed64 = BTreeMap::from([(1, Bytes::from_static(b"a"))]) => "420c09010000000000000012" .to_owned() + "0161";
        uint32 = BTreeMap::from([(1, r::Color::Money)]) => "4a0d080110ffffffffffffffffff01";
        uint32 = BTreeMap::from([(1, r::Color::Unspecified)]) => "4a020801";
        fixed32 = BTreeMap::from([(1, 1)]) => "520e0d01000000110100000000000000";
        uint64 = BTreeMap::from([(1, r::Point { x: 1, y: 0 })]) => "5a06080112020802";
        uint64 = BTreeMap::from([(1, r::Point::default())]) => "5a020801";
        fixed64 = BTreeMap::from([(1, 1)]) => "620b0901000000000000001001";
        hashed = HashMap::from([("a".to_owned(), -1)]) => "6a0e0a016110ffffffffffffffffff01";
    }
}

#[test]
fn a_map_takes_the_last_of_equal_keys_and_what_else_an_entry_has() {
    // texts: {a: b}, then {a: c} with the value before the key, and a field 9 in the entry.
    let bytes = [
        0x0a, 6, 0x0a, 1, b'a', 0x12, 1, b'b', //
        0x0a, 8, 0x12, 1, b'c', 0x48, 5, 0x0a, 1, b'a',
    ];
    let read = r::Maps::decode(&bytes[..]).unwrap();
    assert_eq!(read.texts, BTreeMap::from([("a".to_owned(), "c".to_owned())]));
    assert_eq!(read.texts, pb::Maps::decode(&bytes[..]).unwrap().texts);
}

#[test]
fn a_record_without_an_option_is_always_written() {
    let tree = r::Tree::default();
    assert_eq!(hex(&tree.encode_to_vec()), "2a003200");
    same(&tree, &convert::tree(&tree));
    // It need not be there to be read.
    assert_eq!(r::Tree::decode(&[][..]).unwrap(), tree);
}

#[test]
fn a_record_that_comes_twice_is_merged() {
    let bytes = [0x2a, 2, 0x08, 2, 0x2a, 2, 0x10, 4];
    let read = r::Tree::decode(&bytes[..]).unwrap();
    assert_eq!(read.here, r::Point { x: 1, y: 2 });
}

#[test]
fn what_is_absent_has_its_default() {
    let empty = r::Defaults::decode(&[][..]).unwrap();
    assert_eq!(empty, r::Defaults::default());
    assert_eq!(
        empty,
        r::Defaults {
            seconds: 30,
            offset: -1,
            name: "nobody".to_owned(),
            color: r::Color::Red,
            flag: true,
            share: 0.5,
            key: vec![0, 255],
        }
    );
    // So all are written, zeros too.
    same(&empty, &convert::defaults(&empty));
    let zero = r::Defaults {
        seconds: 0,
        offset: 0,
        name: String::new(),
        color: r::Color::Unspecified,
        flag: false,
        share: 0.0,
        key: Vec::new(),
    };
    same(&zero, &convert::defaults(&zero));
}

#[test]
fn a_skipped_field_stays_at_home() {
    let record = with!(Choices.cached = 7);
    assert_eq!(hex(&record.encode_to_vec()), "");
    let mut record = record;
    record.clear();
    assert_eq!(record, r::Choices::default());
}

#[test]
fn numbers_may_be_large_and_names_words_of_the_language() {
    bytes! { words, Words:
        r#type = "a".to_owned() => "0a0161";
        this = "b".to_owned() => "1a0162";
        last = 1 => "f8ffffff0f01";
    }
}

#[test]
fn errors_name_the_field() {
    for (bytes, field) in [
        (&[0x72, 1, 0xff][..], "Scalars.string: invalid string"),
        (&[0x0d, 0, 0, 0, 0], "Scalars.flag: invalid wire type"),
        (&[0x10], "Scalars.int32: invalid varint"),
        (&[0x7a, 5, 1], "Scalars.bytes: buffer underflow"),
    ] {
        let error = r::Scalars::decode(bytes).unwrap_err().to_string();
        assert!(error.contains(field), "{field} is not in: {error}");
    }
    let error = r::Everything::decode(&[0x0a, 2, 0x72, 5][..]).unwrap_err().to_string();
    assert!(error.contains("Scalars.string: Everything.scalars: "), "{error}");
}

#[test]
fn depth_has_an_end() {
    let mut tree = r::Tree::default();
    for _ in 0..99 {
        tree = r::Tree { left: Some(Box::new(tree)), ..r::Tree::default() };
    }
    assert!(r::Tree::decode(tree.encode_to_vec().as_slice()).is_ok());
    for _ in 0..10 {
        tree = r::Tree { left: Some(Box::new(tree)), ..r::Tree::default() };
    }
    let error = r::Tree::decode(tree.encode_to_vec().as_slice()).unwrap_err().to_string();
    assert!(error.ends_with("recursion limit reached"), "{error}");
}

#[derive(mdp_runtime::MdpRecord, Clone, Debug, PartialEq)]
struct Shown {
    #[mdp(1, sint32)]
    x: i32,
}

/// A message of prost's own with a record in it, as `extern_path` makes it.
#[derive(Clone, PartialEq, prost::Message)]
struct Around {
    #[prost(message, optional, tag = "1")]
    point: Option<Shown>,
    #[prost(message, repeated, tag = "2")]
    points: Vec<Shown>,
}

#[test]
fn a_record_stands_in_a_message_of_prosts() {
    let around =
        Around { point: Some(Shown { x: 1 }), points: vec![Shown::default(), Shown { x: -1 }] };
    let bytes = around.encode_to_vec();
    assert_eq!(hex(&bytes), "0a0208021200120208 01".replace(' ', ""));
    assert_eq!(Around::decode(bytes.as_slice()).unwrap(), around);
}
