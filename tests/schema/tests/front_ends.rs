//! One contract, declared in Rust and in a `.proto` file, has one hash, and the schema of the one prints the other.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub, missing_docs)]

use std::collections::{BTreeMap, HashMap};

use mdp_runtime::codegen::prost_types;
use mdp_runtime::{MdpRecord, Schema, Status, Stream, Streaming, mdp_service, record_schema};
use test_schema::{bare, compile};

/// Who comes in.
#[derive(Clone, PartialEq, Debug, MdpRecord)]
pub struct LoginRequest {
    /// The name.
    #[mdp(1)]
    pub user: String,
    #[mdp(2)]
    pub nick: Option<String>,
    #[mdp(3, sint64)]
    pub ids: Vec<i64>,
    #[mdp(4)]
    pub device: Option<Device>,
    #[mdp(5)]
    pub roles: HashMap<String, Role>,
    #[mdp(oneof)]
    pub contact: Option<Contact>,
    #[mdp(9)]
    pub counts: BTreeMap<u32, u64>,
    #[mdp(10)]
    pub data: Vec<u8>,
    #[mdp(11)]
    pub role: Role,
}

#[derive(Clone, PartialEq, Debug, MdpRecord)]
#[mdp(package = "common.v1", reserved(5, 7..=9, "old"))]
pub struct Device {
    #[mdp(1)]
    pub parent: Option<Box<Device>>,
    #[mdp(2)]
    pub seen: Option<prost_types::Timestamp>,
    #[mdp(3)]
    pub more: Option<prost_types::Struct>,
}

#[derive(Clone, Copy, PartialEq, Debug, MdpRecord)]
pub enum Role {
    #[mdp(0)]
    Unknown,
    /// May do all.
    #[mdp(1)]
    Admin,
}

#[derive(Clone, PartialEq, Debug, MdpRecord)]
pub enum Contact {
    #[mdp(6)]
    Mail(String),
    #[mdp(7)]
    Push(Device),
}

#[derive(Clone, PartialEq, Debug, MdpRecord)]
pub struct LoginReply {
    #[mdp(1)]
    pub until: Option<prost_types::Duration>,
}

/// Who is who.
#[mdp_service(package = "auth.v1")]
pub trait Auth {
    /// Checks a password.
    async fn login(&self, req: LoginRequest) -> Result<LoginReply, Status>;
    #[mdp(idempotent)]
    async fn log_out(&self) -> Result<(), Status>;
    async fn watch(
        &self,
        req: LoginRequest,
    ) -> Result<impl Stream<Item = Result<LoginReply, Status>>, Status>;
    async fn tell(&self, devices: Streaming<Device>) -> Result<(), Status>;
    async fn talk(
        &self,
        words: Streaming<()>,
    ) -> Result<impl Stream<Item = Result<LoginReply, Status>>, Status>;
}

const COMMON: &str = "syntax = \"proto3\"; package common.v1;
    import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/struct.proto\";
    message Device {
      Device parent = 1; google.protobuf.Timestamp seen = 2; google.protobuf.Struct more = 3;
      reserved 5, 7 to 9; reserved \"old\";
    }";

const AUTH: &str = "syntax = \"proto3\"; package auth.v1;
    import \"common.proto\"; import \"google/protobuf/duration.proto\"; import \"google/protobuf/empty.proto\";
    message LoginReply { google.protobuf.Duration until = 1; }
    enum Role { ROLE_UNKNOWN = 0; ROLE_ADMIN = 1; }
    message LoginRequest {
      string user = 1; optional string nick = 2; repeated sint64 ids = 3; common.v1.Device device = 4;
      map<string, Role> roles = 5; oneof contact { string mail = 6; common.v1.Device push = 7; }
      map<uint32, uint64> counts = 9; bytes data = 10; Role role = 11;
    }
    service Auth {
      rpc Login(LoginRequest) returns (LoginReply);
      rpc LogOut(google.protobuf.Empty) returns (google.protobuf.Empty) { option idempotency_level = IDEMPOTENT; }
      rpc Watch(LoginRequest) returns (stream LoginReply);
      rpc Tell(stream common.v1.Device) returns (google.protobuf.Empty);
      rpc Talk(stream google.protobuf.Empty) returns (stream LoginReply);
    }";

fn proto() -> prost_types::FileDescriptorSet {
    compile(&[("common.proto", COMMON), ("auth.proto", AUTH)])
}

/// Prints a schema and reads it back.
fn printed(schema: &Schema) -> prost_types::FileDescriptorSet {
    let files = schema.to_proto().unwrap();
    let files: Vec<_> = files.iter().map(|it| (it.name.as_str(), it.text.as_str())).collect();
    compile(&files)
}

#[test]
fn the_lines_and_the_hash_are_the_same() {
    let (rust, proto) = (auth_service::schema(), proto());
    assert_eq!(rust.service(), Some("auth.v1.Auth"));
    let lines = |set| mdp_schema::contract(set, "auth.v1.Auth").unwrap();
    assert_eq!(lines(rust.descriptors()), lines(&proto));
    let hash = mdp_schema::hash(&proto, "auth.v1.Auth").unwrap();
    assert_eq!(rust.hash().unwrap(), Some(hash));
    assert_eq!(mdp_schema::hash(&printed(&rust), "auth.v1.Auth").unwrap(), hash);
}

#[test]
fn nothing_breaks_between_the_two() {
    let (rust, proto) = (auth_service::schema(), proto());
    for level in [mdp_schema::Level::Wire, mdp_schema::Level::WireJson] {
        for (old, new) in [(rust.descriptors(), &proto), (&proto, rust.descriptors())] {
            assert_eq!(mdp_schema::breaking(old, new, level).unwrap(), []);
        }
    }
}

#[test]
fn what_rust_gives_prints_and_reads_back_as_the_same_descriptors() {
    let rust = auth_service::schema();
    let again = bare(printed(&rust));
    for file in &bare(rust.descriptors().clone()).file {
        let found = again.file.iter().find(|other| other.name() == file.name());
        match file.name().starts_with("google/") {
            true => assert!(found.is_some(), "{}", file.name()),
            false => assert_eq!(found, Some(file)),
        }
    }
    let files = rust.to_proto().unwrap();
    let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["common/v1/common.proto", "auth/v1/auth.proto"]);
    for words in [
        "// Who is who.\nservice Auth {\n  // Checks a password.\n  rpc Login(",
        "// Who comes in.\nmessage LoginRequest {\n  // The name.\n  string user = 1;",
        "  // May do all.\n  ROLE_ADMIN = 1;",
    ] {
        assert!(files[1].text.contains(words), "{words}\n\nis not in\n\n{}", files[1].text);
    }
}

#[test]
fn a_record_alone_has_a_schema_too() {
    let schema = record_schema::<Device>("elsewhere");
    assert_eq!(schema.service(), None);
    assert_eq!(schema.hash().unwrap(), None);
    let text = &schema.to_proto().unwrap()[0].text;
    assert!(text.contains("message Device {\n  Device parent = 1;"), "{text}");
}

/// Falls into the package of whoever asks, and uses one that has a package of its own.
#[derive(Clone, PartialEq, Debug, MdpRecord)]
pub struct Outer {
    #[mdp(1)]
    pub inner: Option<Inner>,
}

#[derive(Clone, PartialEq, Debug, MdpRecord)]
#[mdp(package = "inner.v1")]
pub struct Inner {
    #[mdp(1)]
    pub leaf: Option<Leaf>,
}

#[derive(Clone, PartialEq, Debug, MdpRecord)]
pub struct Leaf {
    #[mdp(1)]
    pub x: u32,
}

#[test]
fn packages_that_use_each_other_are_told() {
    let error = record_schema::<Outer>("outer.v1").to_proto().unwrap_err().to_string();
    assert!(
        error.starts_with("`inner/v1/inner.proto` imports itself through other files"),
        "{error}"
    );
    assert_eq!(record_schema::<Outer>("inner.v1").to_proto().unwrap().len(), 1);
}

/// Those that the runtime makes by hand have the shape that the world knows.
#[test]
fn well_known_types_are_what_they_are_elsewhere() {
    let theirs = compile(&[(
        "a.proto",
        "syntax = \"proto3\"; import \"google/protobuf/any.proto\"; import \"google/protobuf/struct.proto\";
         import \"google/protobuf/duration.proto\"; import \"google/protobuf/timestamp.proto\";
         import \"google/protobuf/empty.proto\"; import \"google/protobuf/field_mask.proto\";",
    )]);
    let ours = [
        record_schema::<()>(""),
        record_schema::<prost_types::Any>(""),
        record_schema::<prost_types::Struct>(""),
        record_schema::<prost_types::Duration>(""),
        record_schema::<prost_types::Timestamp>(""),
        record_schema::<prost_types::FieldMask>(""),
    ];
    let mut files = 0;
    for file in ours.iter().flat_map(|schema| &schema.descriptors().file) {
        let other = theirs.file.iter().find(|other| other.name() == file.name()).unwrap();
        let mut bare = other.clone();
        (bare.source_code_info, bare.options) = (None, None);
        let mut own = file.clone();
        // Types stand in the order of their first use.
        for messages in [&mut bare.message_type, &mut own.message_type] {
            messages.sort_by(|one, other| one.name().cmp(other.name()));
        }
        assert_eq!(own, bare);
        files += 1;
    }
    assert_eq!(files, 6);
}

/// Two enums whose values have one name in the schema.
mod clash {
    use mdp_runtime::MdpRecord;

    #[derive(MdpRecord, Clone, Debug, PartialEq)]
    pub enum Job {
        StateDone = 0,
    }

    #[derive(MdpRecord, Clone, Debug, PartialEq)]
    pub enum JobState {
        Done = 0,
    }

    #[derive(MdpRecord, Clone, Debug, PartialEq)]
    pub struct Both {
        #[mdp(1)]
        pub job: Job,
        // In one record the compiler reports it.
        #[mdp(2)]
        pub states: Vec<States>,
    }

    #[derive(MdpRecord, Clone, Debug, PartialEq)]
    pub struct States {
        #[mdp(1)]
        pub states: Vec<JobState>,
    }

    #[derive(MdpRecord, Clone, Debug, PartialEq)]
    pub enum Renamed {
        #[mdp(0, rename = "RENAMED_STATE_DONE")]
        StateDone,
    }

    #[derive(MdpRecord, Clone, Debug, PartialEq)]
    pub struct Apart {
        #[mdp(1)]
        pub job: Renamed,
        #[mdp(2)]
        pub states: Vec<JobState>,
    }
}

#[test]
fn values_of_two_enums_with_one_name_are_an_error() {
    let schema = record_schema::<clash::Both>("a.v1");
    let error = schema.to_proto().unwrap_err().to_string();
    for part in ["`a.v1.Job`", "`a.v1.JobState`", "`a.v1.JOB_STATE_DONE`", "`rename` one of them"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(record_schema::<clash::Apart>("a.v1").to_proto().is_ok());
}
