//! Types that are none of protobuf's: what they are on the wire and in the schema.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use mdp_runtime::codegen::SchemaBuilder;
use mdp_runtime::codegen::record::TypedMessage;
use mdp_runtime::wkt::{self, FromRust, Timestamp, ToRust};
use prost::Message;
use test_records::pb_types as pb;
use test_records::types::{Crates, Event, Host, Others, Port, Score, Std, Tags, UserId};
use uuid::Uuid;

use crate::same;

fn at(seconds: i64, nanos: u32) -> SystemTime {
    let seconds_of = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
    let whole = match seconds {
        0.. => SystemTime::UNIX_EPOCH + seconds_of(seconds),
        _ => SystemTime::UNIX_EPOCH - seconds_of(seconds),
    };
    whole + Duration::from_nanos(nanos.into())
}

fn timestamp(seconds: i64, nanos: i32) -> Timestamp {
    Timestamp { seconds, nanos }
}

fn duration(seconds: i64, nanos: i32) -> wkt::Duration {
    wkt::Duration { seconds, nanos }
}

#[test]
fn types_of_the_standard_library() {
    let record = Std {
        at: at(5, 6),
        until: Some(at(-1, 999_999_999)),
        times: vec![at(0, 0), at(253_402_300_799, 0)],
        after: Duration::new(7, 8),
        waits: [("a".to_owned(), Duration::ZERO), ("b".to_owned(), Duration::from_millis(1))]
            .into(),
        shared: "shared".into(),
        boxed: "boxed".into(),
        lent: Some("".into()),
        key: [1, 2, 3, 0],
        keys: vec![[0; 4], [255; 4]],
        boxed_bytes: [9, 8].into(),
        shared_bytes: [7].into(),
        queue: VecDeque::from([1, 300]),
        names: HashSet::from(["one".to_owned()]),
        sorted: BTreeSet::from([3, -1]),
        alias: vec!["x".to_owned(), String::new()],
        by_name: [("n".to_owned(), 0)].into(),
        maybe: Some(0),
        set: BTreeSet::from([9, 1]),
    };
    let message = pb::Std {
        at: Some(timestamp(5, 6)),
        until: Some(timestamp(-1, 999_999_999)),
        times: vec![timestamp(0, 0), timestamp(253_402_300_799, 0)],
        after: Some(duration(7, 8)),
        waits: [("a".to_owned(), duration(0, 0)), ("b".to_owned(), duration(0, 1_000_000))].into(),
        shared: "shared".to_owned(),
        boxed: "boxed".to_owned(),
        lent: Some(String::new()),
        key: vec![1, 2, 3, 0],
        keys: vec![vec![0; 4], vec![255; 4]],
        boxed_bytes: vec![9, 8],
        shared_bytes: vec![7],
        queue: vec![1, 300],
        names: vec!["one".to_owned()],
        sorted: vec![-1, 3],
        alias: vec!["x".to_owned(), String::new()],
        by_name: [("n".to_owned(), 0)].into(),
        maybe: Some(0),
        set: vec![1, 9],
    };
    same(&record, &message);
}

#[test]
fn what_is_absent_is_zero() {
    let record = Std::decode(&b""[..]).unwrap();
    assert_eq!(record, Std::default());
    assert_eq!((record.at, record.after), (SystemTime::UNIX_EPOCH, Duration::ZERO));
    assert_eq!((record.key, &*record.shared), ([0; 4], ""));
    // A message is always written, and nothing else is.
    let message =
        pb::Std { at: Some(timestamp(0, 0)), after: Some(duration(0, 0)), ..pb::Std::default() };
    same(&record, &message);
    let crates = Crates::decode(&b""[..]).unwrap();
    assert_eq!((crates.id, crates.raw_id), (Uuid::nil(), Uuid::nil()));
    assert_eq!(crates.time_at, time::OffsetDateTime::UNIX_EPOCH);
    let others = Others::decode(&b""[..]).unwrap();
    assert_eq!(others.address, IpAddr::from([127, 0, 0, 1]));
    assert_eq!((others.port, others.host), (Port(0), Host(None)));
}

#[test]
fn a_message_that_comes_in_parts_is_merged() {
    let mut bytes = pb::Std { at: Some(timestamp(5, 0)), ..Default::default() }.encode_to_vec();
    bytes.extend(pb::Std { at: Some(timestamp(0, 6)), ..Default::default() }.encode_to_vec());
    assert_eq!(Std::decode(bytes.as_slice()).unwrap().at, at(5, 6));
    assert_eq!(pb::Std::decode(bytes.as_slice()).unwrap().at, Some(timestamp(5, 6)));
}

#[test]
fn types_of_other_crates() {
    let id = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    let text = "01234567-89ab-cdef-0123-456789abcdef".to_owned();
    let record = Crates {
        id,
        raw_id: id,
        ids: vec![Uuid::nil(), id],
        chrono_at: chrono::DateTime::from_timestamp(-5, 6).unwrap(),
        chrono_for: chrono::TimeDelta::milliseconds(-1_500),
        time_at: time::OffsetDateTime::from_unix_timestamp(86_400).unwrap(),
        time_utc: time::UtcDateTime::from_unix_timestamp(-1).unwrap(),
        time_for: time::Duration::new(-2, -3),
        wrapped: Some(String::new().into()),
    };
    let message = pb::Crates {
        id: text.clone(),
        raw_id: id.as_bytes().to_vec(),
        ids: vec![Uuid::nil().to_string(), text],
        chrono_at: Some(timestamp(-5, 6)),
        chrono_for: Some(duration(-1, -500_000_000)),
        time_at: Some(timestamp(86_400, 0)),
        time_utc: Some(timestamp(-1, 0)),
        time_for: Some(duration(-2, -3)),
        wrapped: Some(String::new()),
    };
    same(&record, &message);
}

fn others() -> (Others, pb::Others) {
    let (here, there) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([0; 16]));
    let user = |name: &str| UserId(name.to_owned());
    let record = Others {
        user: user("ann"),
        users: vec![user("bob"), user("")],
        scores: [(user("ann"), Score(-1)), (user("bob"), Score(0))].into(),
        names: [(7, user("seven"))].into(),
        score: Some(Score(0)),
        all_scores: vec![Score(-2), Score(2)],
        tags: Tags(vec!["red".to_owned()]),
        address: here,
        maybe_address: Some(there),
        small: vec![1, 65_535],
        port: Port(443),
        millis: Duration::from_millis(1_500),
        more_millis: VecDeque::from([Duration::from_millis(1), Duration::ZERO]),
        host: Host(Some(here)),
        event: Some(Event::Came("ann".to_owned())),
        events: vec![
            Event::Left(Duration::from_millis(3)),
            Event::At(at(1, 2)),
            Event::From(here),
            Event::Came(String::new()),
        ],
        by_name: [("x".to_owned(), Event::Left(Duration::ZERO))].into(),
        hosts: BTreeSet::from([here]),
        one_by_one: VecDeque::from([5, 6]),
    };
    let event = |kind| pb::Event { kind: Some(kind) };
    use pb::event::Kind;
    let message = pb::Others {
        user: "ann".to_owned(),
        users: vec!["bob".to_owned(), String::new()],
        scores: [("ann".to_owned(), -1), ("bob".to_owned(), 0)].into(),
        names: [(7, "seven".to_owned())].into(),
        score: Some(0),
        all_scores: vec![-2, 2],
        tags: vec!["red".to_owned()],
        address: Some("10.0.0.1".to_owned()),
        maybe_address: Some("::".to_owned()),
        small: vec![1, 65_535],
        port: 443,
        millis: 1_500,
        more_millis: vec![1, 0],
        host: Some("10.0.0.1".to_owned()),
        event: Some(event(Kind::Came("ann".to_owned()))),
        events: vec![
            event(Kind::Left(3)),
            event(Kind::At(timestamp(1, 2))),
            event(Kind::From("10.0.0.1".to_owned())),
            event(Kind::Came(String::new())),
        ],
        by_name: [("x".to_owned(), event(Kind::Left(0)))].into(),
        hosts: vec!["10.0.0.1".to_owned()],
        one_by_one: vec![5, 6],
    };
    (record, message)
}

#[test]
fn types_around_others_and_types_that_are_converted() {
    let (record, message) = others();
    same(&record, &message);
}

#[test]
fn an_enum_with_data_is_a_message_of_its_own() {
    let event = Event::Came("ann".to_owned());
    let message = pb::Event { kind: Some(pb::event::Kind::Came("ann".to_owned())) };
    let mut bytes = Vec::new();
    event.encode_to(&mut bytes);
    assert_eq!(bytes, message.encode_to_vec());
    assert_eq!(TypedMessage::encoded_len(&event), bytes.len());
    assert_eq!(Event::decode_from(bytes.into()).unwrap(), event);
}

fn error_of<R: Message + Default>(bytes: &[u8]) -> String {
    R::decode(bytes).map(drop).unwrap_err().to_string()
}

#[test]
fn bytes_that_are_no_value_are_an_error_that_names_the_field() {
    let of = |change: fn(&mut pb::Others)| {
        let mut message = pb::Others::default();
        change(&mut message);
        error_of::<Others>(&message.encode_to_vec())
    };
    for (error, part) in [
        (
            of(|it| it.address = Some("nowhere".to_owned())),
            "Others.address: invalid IP address syntax",
        ),
        (of(|it| it.small = vec![1, 65_536]), "Others.small: out of range integral type"),
        (of(|it| it.port = 65_536), "Others.port: 65536 is no port"),
        (of(|it| it.millis = u64::MAX), "Others.millis: that is too long"),
        (of(|it| it.events = vec![pb::Event::default()]), "Others.events: none of the variants"),
        (
            of(|it| drop(it.by_name.insert("x".to_owned(), pb::Event::default()))),
            // prost leaves an empty message out of an entry.
            "Others.by_name: an entry of the map has no value",
        ),
    ] {
        assert!(error.contains(part), "{error}");
    }
    let short = pb::Std { key: vec![1, 2], ..Default::default() }.encode_to_vec();
    assert!(error_of::<Std>(&short).contains("Std.key: the field has 4 bytes, and 2 came"));
    let negative = pb::Std { after: Some(duration(-1, 0)), ..Default::default() }.encode_to_vec();
    let error = error_of::<Std>(&negative);
    assert!(error.contains("does not fit into `std::time::Duration`"), "{error}");
    let bad = pb::Crates { id: "me".to_owned(), ..Default::default() }.encode_to_vec();
    assert!(error_of::<Crates>(&bad).contains("Crates.id: this is no UUID"));
    // A map's entry without a value, where the value's type has none.
    let error = error_of::<Others>(&[0x8a, 0x01, 3, 0x0a, 1, b'x']);
    assert!(error.contains("Others.by_name: an entry of the map has no value"), "{error}");
    assert!(Event::decode_from(bytes::Bytes::new()).is_err());
}

#[test]
fn a_sender_that_is_newer_is_told_apart() {
    // Variant 9 of `Event`, which this program does not know.
    let error = Event::decode_from(bytes::Bytes::from_static(&[9 << 3, 1])).unwrap_err();
    assert!(error.to_string().contains("none of the variants that this program knows"), "{error}");
}

#[test]
fn times_outside_of_the_range_of_protobuf_are_its_ends() {
    assert_eq!(wkt::Duration::from_rust(Duration::MAX), duration(315_576_000_000, 0));
    let late = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 60);
    assert_eq!(Timestamp::from_rust(late), timestamp(253_402_300_799, 999_999_999));
    let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1 << 60);
    assert_eq!(Timestamp::from_rust(early), timestamp(-62_135_596_800, 0));
    let chrono = wkt::Duration::from_rust(chrono::TimeDelta::MIN);
    assert_eq!(chrono, duration(-315_576_000_000, 0));
    // What a peer sends beyond it is taken where the type of Rust can hold it, and is an error elsewhere.
    let beyond = timestamp(i64::MAX, 0);
    assert!(ToRust::<time::OffsetDateTime>::to_rust(&beyond).is_err());
    assert!(ToRust::<chrono::DateTime<chrono::Utc>>::to_rust(&beyond).is_err());
    assert!(ToRust::<Duration>::to_rust(&duration(i64::MIN, i32::MIN)).is_err());
    let longest: time::Duration =
        duration(i64::MAX, i32::MAX).to_rust().unwrap_or(time::Duration::MAX);
    assert!(longest.is_positive());
}

#[test]
fn each_time_comes_back() {
    use proptest::prelude::*;
    proptest!(|(seconds in -62_135_596_800_i64..253_402_300_800, nanos in 0_i32..1_000_000_000)| {
        let wire = timestamp(seconds, nanos);
        let of_std: SystemTime = wire.to_rust().unwrap();
        let of_chrono: chrono::DateTime<chrono::Utc> = wire.to_rust().unwrap();
        let of_time: time::OffsetDateTime = wire.to_rust().unwrap();
        let of_utc: time::UtcDateTime = wire.to_rust().unwrap();
        prop_assert_eq!(Timestamp::from_rust(of_std), wire);
        prop_assert_eq!(Timestamp::from_rust(of_chrono), wire);
        prop_assert_eq!(Timestamp::from_rust(of_time), wire);
        prop_assert_eq!(Timestamp::from_rust(of_utc), wire);
    });
    proptest!(|(nanos in -315_576_000_000_000_000_000_i128..=315_576_000_000_000_000_000)| {
        let part = i32::try_from(nanos % 1_000_000_000).unwrap();
        let wire = duration(i64::try_from(nanos / 1_000_000_000).unwrap(), part);
        let of_chrono: chrono::TimeDelta = wire.to_rust().unwrap();
        let of_time: time::Duration = wire.to_rust().unwrap();
        prop_assert_eq!(wkt::Duration::from_rust(of_chrono), wire);
        prop_assert_eq!(wkt::Duration::from_rust(of_time), wire);
        if nanos >= 0 {
            let of_std: Duration = wire.to_rust().unwrap();
            prop_assert_eq!(wkt::Duration::from_rust(of_std), wire);
        }
    });
}

/// Each record, and the messages of `types.proto` that it reaches.
#[test]
fn the_exported_schema_is_the_proto() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let proto = messages(protox::compile(["types.proto"], [folder]).unwrap());
    let mut exported = BTreeMap::new();
    for schema in [
        SchemaBuilder::of::<Std>("types.v1"),
        SchemaBuilder::of::<Crates>("types.v1"),
        SchemaBuilder::of::<Others>("types.v1"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let files = mdp_schema::print(schema.descriptors()).unwrap();
        for file in &files {
            let path = folder.path().join(&file.name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &file.text).unwrap();
        }
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        exported.extend(messages(protox::compile(names, [folder.path()]).unwrap()));
    }
    let names = |messages: &BTreeMap<String, _>| messages.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&exported), names(&proto));
    for (name, message) in &proto {
        assert_eq!(exported.get(name), Some(message), "{name}");
    }
}

fn messages(set: prost_types::FileDescriptorSet) -> BTreeMap<String, prost_types::DescriptorProto> {
    let files = set.file.into_iter().filter(|file| file.package() == "types.v1");
    let mut messages: Vec<_> = files.flat_map(|file| file.message_type).collect();
    for message in &mut messages {
        message.nested_type.sort_by(|a, b| a.name().cmp(b.name()));
    }
    messages.into_iter().map(|message| (message.name().to_owned(), message)).collect()
}
