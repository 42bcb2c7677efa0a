//! Enums without data.

use std::collections::BTreeMap;

use prost::Message;
use test_records::records as r;

const UNKNOWN: u8 = 77;

#[test]
fn the_default_is_the_variant_of_number_zero() {
    assert_eq!(r::Color::default(), r::Color::Unspecified);
    assert_eq!(r::Level::default(), r::Level::Low);
}

#[test]
fn without_a_place_to_keep_it_an_unknown_number_reads_as_zero() {
    // Options.color, over one that was there; Lists.color, packed and not; Maps.uint32.
    let read = r::Options::decode(&[0x88, 1, 1, 0x88, 1, UNKNOWN][..]).unwrap();
    assert_eq!(read.color, Some(r::Color::Unspecified));
    let read = r::Lists::decode(&[0x8a, 1, 2, 1, UNKNOWN, 0x88, 1, UNKNOWN][..]).unwrap();
    assert_eq!(read.color, [r::Color::Red, r::Color::Unspecified, r::Color::Unspecified]);
    let read = r::Maps::decode(&[0x4a, 4, 0x08, 1, 0x10, UNKNOWN][..]).unwrap();
    assert_eq!(read.uint32, BTreeMap::from([(1, r::Color::Unspecified)]));
    // An entry that says it twice means the last.
    let read = r::Maps::decode(&[0x4a, 6, 0x08, 1, 0x10, UNKNOWN, 0x10, 5][..]).unwrap();
    assert_eq!(read.uint32, BTreeMap::from([(1, r::Color::DarkBlue)]));
}

#[test]
fn other_holds_what_has_no_variant() {
    let bytes = [0x2a, 0, 0x32, 0, 0x38, UNKNOWN, 0x42, 3, 0, UNKNOWN, 2];
    let read = r::Tree::decode(&bytes[..]).unwrap();
    assert_eq!(read.level, r::Level::Other(UNKNOWN.into()));
    assert_eq!(read.levels, [r::Level::Low, r::Level::Other(UNKNOWN.into()), r::Level::High]);
    assert_eq!(read.encode_to_vec(), bytes);
}
