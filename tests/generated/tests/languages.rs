//! What editions and proto2 mean, in code and in schemas.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use mdp_runtime::codegen::prost::Message;
use test_generated::by_name::generated::r#type::v1::{Parcel, parcel, post_service};
use test_generated::by_name::generated_defaults::{Ride, Speed, rides_service};
use test_generated::by_name::none::alone_service;

#[test]
fn presence_and_encodings_of_an_edition() {
    // A value that is always written, and no others.
    assert_eq!(Parcel::default().encode_to_vec(), [0x18, 0]);
    let parcel = Parcel {
        weight: 1,
        insured: Some(0),
        number: 2,
        stamps: vec![3, 4],
        r#box: Some(parcel::Box { label: "x".to_owned() }),
    };
    let bytes = parcel.encode_to_vec();
    // Each stamp has its key, and the box stands between the marks of a group.
    assert_eq!(bytes, [0x08, 1, 0x10, 0, 0x18, 2, 0x20, 3, 0x20, 4, 0x2b, 0x0a, 1, b'x', 0x2c]);
    assert_eq!(Parcel::decode(bytes.as_slice()).unwrap(), parcel);
}

#[test]
fn defaults_by_an_alias_and_infinite() {
    let ride = Ride::default();
    assert_eq!(ride.speed(), Speed::Fast);
    assert!(ride.limit().is_infinite() && ride.limit() < 0.0);
}

#[test]
fn a_schema_has_what_other_packages_declare() {
    let names = |schema: mdp_runtime::Schema| {
        let files = &schema.descriptors().file;
        let messages = files.iter().flat_map(|file| &file.message_type);
        let mut names: Vec<_> = messages.map(|message| message.name().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(rides_service::schema()), ["Parcel", "Ride"]);
    // The packages use each other in one direction only.
    assert_eq!(names(post_service::schema()), ["Parcel"]);
    assert!(rides_service::schema().hash().unwrap().is_some());
    assert_eq!(alone_service::schema().service(), Some(alone_service::NAME));
    let text = rides_service::schema().to_proto().unwrap();
    assert!(text.iter().any(|file| file.text.contains("// A message with each kind of presence.")));
}
