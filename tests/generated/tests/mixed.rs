//! Messages and enums of a `.proto` file where services and records are declared in Rust.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::HashMap;

use mdp_runtime::codegen::prost::Message;
use mdp_runtime::codegen::prost_types::Timestamp;
use mdp_runtime::{
    CallContext, MdpRecord, Schema, Status, Stream, Streaming, mdp_service, record_schema,
};
use test_generated::pb::common::v1::Common;
use test_generated::pb::mixed::v1::address::Place;
use test_generated::pb::mixed::v1::{self as pb, Address, Kind, Receipt};

/// What goes there. `tests/mixed.rs` has it as a record.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Parcel {
    #[mdp(1)]
    pub to: Option<Address>,
    #[mdp(2)]
    pub kinds: Vec<Kind>,
    #[mdp(3)]
    pub via: HashMap<String, Address>,
    #[mdp(4)]
    pub sent: Option<Timestamp>,
    #[mdp(5)]
    pub wish: Option<Kind>,
    #[mdp(6)]
    pub kind: Kind,
    #[mdp(7)]
    pub places: Vec<Place>,
    #[mdp(oneof)]
    pub back: Option<Back>,
}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub enum Back {
    #[mdp(8)]
    Address(Address),
    #[mdp(9)]
    Any(Kind),
}

#[mdp_service(package = "mixed.v1")]
pub trait Post {
    async fn send(&self, req: Parcel) -> Result<Receipt, Status>;

    #[mdp(no_side_effects)]
    async fn find(&self, cx: &CallContext, req: Address) -> Result<Receipt, Status>;

    async fn track(
        &self,
        addresses: Streaming<Address>,
    ) -> Result<impl Stream<Item = Result<Receipt, Status>>, Status>;
}

fn address() -> Address {
    Address {
        street: "Lane 1".into(),
        place: Some(Place { latitude: -1, longitude: 2 }),
        since: Some(Timestamp { seconds: 3, nanos: 0 }),
        kind: Kind::Shop.into(),
        common: Some(Common::default()),
        behind: Some(Box::default()),
    }
}

#[test]
fn a_record_of_generated_types_has_the_bytes_of_its_proto() {
    let record = Parcel {
        to: Some(address()),
        kinds: vec![Kind::Unknown, Kind::Shop],
        via: HashMap::from([("x".into(), address())]),
        sent: Some(Timestamp { seconds: 1, nanos: 2 }),
        wish: Some(Kind::Unknown),
        kind: Kind::Home,
        places: vec![Place { latitude: 4, longitude: 0 }],
        back: Some(Back::Any(Kind::Shop)),
    };
    let message = pb::Parcel {
        to: Some(address()),
        kinds: vec![0, 2],
        via: HashMap::from([("x".into(), address())]),
        sent: Some(Timestamp { seconds: 1, nanos: 2 }),
        wish: Some(0),
        kind: 1,
        places: vec![Place { latitude: 4, longitude: 0 }],
        back: Some(pb::parcel::Back::Any(2)),
    };
    let bytes = message.encode_to_vec();
    assert_eq!(record.encode_to_vec(), bytes);
    assert_eq!(Parcel::decode(bytes.as_slice()).unwrap(), record);

    let bytes = Parcel::default().encode_to_vec();
    assert_eq!(bytes, [0u8; 0]);
    let unknown = pb::Parcel { kind: 77, ..pb::Parcel::default() }.encode_to_vec();
    assert_eq!(Parcel::decode(unknown.as_slice()).unwrap().kind, Kind::Unknown);
}

#[test]
fn a_trait_of_generated_types_is_the_service_of_their_proto() {
    let (of_trait, of_proto) = (post_service::schema(), pb::post_service::schema());
    assert_eq!(of_trait.hash().unwrap(), of_proto.hash().unwrap());
    let names = |schema: &Schema| {
        let files = &schema.descriptors().file;
        let mut names: Vec<_> = files
            .iter()
            .flat_map(|file| {
                let names = file.message_type.iter().map(|item| item.name());
                let names = names.chain(file.enum_type.iter().map(|item| item.name()));
                names.map(|name| format!("{}.{name}", file.package()))
            })
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&of_trait), names(&of_proto), "each of them once");
    let text: String = of_trait.to_proto().unwrap().into_iter().map(|file| file.text).collect();
    for comment in ["// Where something goes.\nmessage Address", "// Where exactly.\n"] {
        assert!(text.contains(comment), "{text}");
    }
}

/// Both come to `google.protobuf.Timestamp`, each in its own way.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
struct TimeFirst {
    #[mdp(1)]
    time: Option<Timestamp>,
    #[mdp(2)]
    address: Option<Address>,
}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
struct TimeLast {
    #[mdp(2)]
    address: Option<Address>,
    #[mdp(1)]
    time: Option<Timestamp>,
}

#[test]
fn well_known_types_are_there_once() {
    for schema in [record_schema::<TimeFirst>("a"), record_schema::<TimeLast>("a")] {
        let files = &schema.descriptors().file;
        let google: Vec<_> =
            files.iter().filter(|file| file.package() == "google.protobuf").collect();
        assert_eq!(google.len(), 1);
        assert_eq!(google[0].message_type.len(), 1);
        schema.to_proto().unwrap();
    }
}

#[test]
fn a_type_brings_what_it_uses_and_nothing_else() {
    let messages = |schema: Schema| -> Vec<String> {
        let files = schema.descriptors().file.iter();
        files.flat_map(|file| &file.message_type).map(|item| item.name().to_owned()).collect()
    };
    assert_eq!(messages(record_schema::<Receipt>("")), ["Receipt"]);
    assert_eq!(messages(record_schema::<Place>("")), ["Common", "Timestamp", "Address"]);
    // Of a package without services.
    assert_eq!(messages(record_schema::<Common>("")), ["Common"]);
    assert_eq!(messages(record_schema::<Kind>("")), [""; 0]);
}
