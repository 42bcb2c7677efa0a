//! The schemas in generated code.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use mdp_runtime::Schema;
use test_generated::pb::hostile::v1::methods_service;
use test_generated::pb::{alone_service, many::many_service};

#[test]
fn every_service_has_a_schema_with_a_hash_of_its_own() {
    let schemas = [methods_service::schema(), alone_service::schema(), many_service::schema()];
    let names: Vec<_> = schemas.iter().map(|schema| schema.service().unwrap()).collect();
    assert_eq!(names, [methods_service::NAME, alone_service::NAME, many_service::NAME]);
    let mut hashes: Vec<_> = schemas.iter().map(|schema| schema.hash().unwrap().unwrap()).collect();
    hashes.dedup();
    assert_eq!(hashes.len(), schemas.len());
}

#[test]
fn it_is_only_what_the_service_reaches_with_its_comments() {
    let files = many_service::schema().to_proto().unwrap();
    assert_eq!(files.len(), 1);
    let text = &files[0].text;
    assert!(
        text.contains("  // The method with number 7.\n  rpc Method7(Ping) returns (Ping);\n"),
        "{text}"
    );
    assert_eq!(text.matches("  rpc ").count(), 200);
}

#[test]
fn a_schema_survives_its_bytes() {
    let schema = methods_service::schema();
    let again = Schema::from_bytes(schema.service(), &schema.to_bytes()).unwrap();
    assert_eq!(again, schema);
}
