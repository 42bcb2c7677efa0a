//! Enums with data.

use bytes::Bytes;
use prost::Message;
use test_records::records as r;
use test_records::records::Contact;

use crate::{convert, hex, same};

fn with(contact: Contact) -> r::Choices {
    r::Choices { contact: Some(contact), ..r::Choices::default() }
}

#[test]
fn each_variant_is_a_field() {
    let further = r::Choices { before: 1, ..r::Choices::default() };
    for (contact, bytes) in [
        (Contact::Mail("a".to_owned()), "4a0161"),
        (Contact::Mail(String::new()), "4a00"),
        (Contact::Phone(0), "1000"),
        (Contact::Extension(-1), "2801"),
        (Contact::Meet(r::Point::default()), "3200"),
        (Contact::Favourite(r::Color::Unspecified), "3800"),
        (Contact::Nobody(()), "4200"),
        (Contact::Key(Bytes::new()), "6200"),
        (Contact::Further(Box::new(further)), "6a020801"),
    ] {
        let record = with(contact);
        assert_eq!(hex(&record.encode_to_vec()), bytes, "of {record:?}");
        same(&record, &convert::choices(&record));
    }
}

#[test]
fn a_oneof_stands_where_its_lowest_number_belongs() {
    let record = r::Choices {
        before: 1,
        contact: Some(Contact::Mail(String::new())),
        after: 3,
        speed: Some(r::Speed::Slow(0.0)),
        cached: 0,
    };
    assert_eq!(hex(&record.encode_to_vec()), "08014a001803a50100000000");
    same(&record, &convert::choices(&record));
}

#[test]
fn the_last_variant_counts() {
    let read = r::Choices::decode(&[0x10, 5, 0x4a, 1, b'a'][..]).unwrap();
    assert_eq!(read.contact, Some(Contact::Mail("a".to_owned())));
}

#[test]
fn a_record_in_a_variant_is_merged() {
    let read = r::Choices::decode(&[0x32, 2, 0x08, 2, 0x32, 2, 0x10, 4][..]).unwrap();
    assert_eq!(read.contact, Some(Contact::Meet(r::Point { x: 1, y: 2 })));
    // But not over another one that came between.
    let read = r::Choices::decode(&[0x32, 2, 0x08, 2, 0x10, 1, 0x32, 2, 0x10, 4][..]).unwrap();
    assert_eq!(read.contact, Some(Contact::Meet(r::Point { x: 0, y: 2 })));
}

#[test]
fn an_unknown_number_of_an_enum_is_zero_here_too() {
    let read = r::Choices::decode(&[0x38, 77][..]).unwrap();
    assert_eq!(read.contact, Some(Contact::Favourite(r::Color::Unspecified)));
}

#[test]
fn errors_name_the_oneof() {
    let error = r::Choices::decode(&[0x4a, 1, 0xff][..]).unwrap_err().to_string();
    assert!(error.contains("Choices.contact: invalid string"), "{error}");
}
