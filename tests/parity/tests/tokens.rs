//! One service declared both ways gives the same plain model and the same code: client, worker and dispatch are equal
//! token by token, and the names and options too. Only the body of `schema()` differs, by design. In the model only a
//! `.proto` file has places and names of messages.
//!
//! The macro's own source is compiled in here, for a crate of macros gives out nothing but its macros.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, unused_crate_dependencies)]

// The name under which the macro's source knows the shared model.
extern crate mdp_codegen as lean_codegen;

#[path = "../../../mdp-macros/src/service/mod.rs"]
mod service;

use std::collections::BTreeMap;
use std::fs;

use std::sync::{Arc, Mutex};

use mdp_codegen::model::{File, Files, Service};
use mdp_codegen::{Generator, GeneratorError, Output};
use quote::ToTokens;
use syn::Item;

/// The generated modules, as token text without the body of `schema()`, by name.
type Modules = BTreeMap<String, String>;

/// The services of the model, without what only a `.proto` file says, by name.
type Plain = BTreeMap<String, Service>;

/// Takes the services out of the model.
#[derive(Clone, Default)]
struct Take(Arc<Mutex<Plain>>);

impl Generator for Take {
    fn generate(&mut self, file: &File, _: &Files) -> Result<Vec<Output>, GeneratorError> {
        let mut taken = self.0.lock().unwrap();
        taken.extend(file.services.iter().map(common));
        Ok(Vec::new())
    }
}

/// What both ways to declare a service can say.
fn common(service: &Service) -> (String, Service) {
    let mut service = service.clone();
    service.place = None;
    for method in &mut service.methods {
        method.place = None;
        method.input.clear();
        method.output.clear();
    }
    (service.name.clone(), service)
}

fn from_proto(text: &str) -> (Modules, Plain) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("case.proto"), text).unwrap();
    let common = "syntax = \"proto3\"; package common.v1; message Common { string text = 1; }";
    fs::write(folder.path().join("common.proto"), common).unwrap();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let take = Take::default();
    mdp_codegen::configure()
        .generator(&out, take.clone())
        .out_dir(&out)
        .emit_rerun_if_changed(false)
        .blocking("Blocks")
        .blocking(".work.v1.Work.GoesBlocks")
        .detach("GoesBlocks")
        .detach("work.v1.Work.GoesOn")
        .detach(".work.v1.Work.GoesFar")
        .compile_protos(&["case.proto"], &[folder.path()])
        .unwrap();
    let package = text.lines().find_map(|line| line.strip_prefix("package ")?.strip_suffix(';'));
    let file = out.join(format!("{}.rs", package.unwrap_or("_")));
    let plain = std::mem::take(&mut *take.0.lock().unwrap());
    (modules(&fs::read_to_string(file).unwrap()), plain)
}

fn from_trait(args: &str, item: &str) -> (Modules, Plain) {
    let read = service::read(args.parse().unwrap(), &syn::parse_str(item).unwrap());
    let code = service::expand(args.parse().unwrap(), item.parse().unwrap()).to_string();
    assert!(!code.contains("compile_error"), "{code}");
    // Through the printer that wrote the other: it has its own way with commas and with comments.
    let modules = modules(&prettyplease::unparse(&syn::parse_file(&code).unwrap()));
    (modules, Plain::from([common(read.service.plain())]))
}

fn modules(code: &str) -> Modules {
    let file = syn::parse_file(code).unwrap();
    let generated = file.items.into_iter().filter_map(|item| match item {
        Item::Mod(module) => Some(module),
        _ => None,
    });
    let mut found = Modules::new();
    for mut module in generated {
        let name = module.ident.to_string();
        if ["_client", "_worker", "_service"].iter().any(|end| name.ends_with(end)) {
            let (_, items) = module.content.as_mut().expect("the module has a body");
            let before = items.len();
            items.retain(|item| !matches!(item, Item::Fn(item) if item.sig.ident == "schema"));
            assert_eq!(before - items.len(), usize::from(name.ends_with("_service")), "{name}");
            found.insert(name, module.into_token_stream().to_string());
        }
    }
    found
}

fn equal(proto: &str, args: &str, item: &str) {
    let ((proto, proto_plain), (rust, rust_plain)) = (from_proto(proto), from_trait(args, item));
    assert_eq!(proto_plain, rust_plain);
    assert_eq!(proto.len(), 3, "client, worker and names: {:?}", proto.keys());
    assert_eq!(proto.keys().collect::<Vec<_>>(), rust.keys().collect::<Vec<_>>());
    for (name, proto) in &proto {
        assert_eq!(proto, rust.get(name).unwrap(), "{name}");
    }
}

#[test]
fn the_example() {
    equal(
        r#"
syntax = "proto3";
package auth.v1;
// Who is who.
service Auth {
  // Checks a password and gives a token.
  rpc Login(LoginRequest) returns (LoginReply);
  // Whose token it is.
  //
  // It changes nothing.
  rpc WhoAmI(WhoAmIRequest) returns (Account) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Forget(Account) returns (Account) { option idempotency_level = IDEMPOTENT; }
}
message LoginRequest { string user = 1; }
message LoginReply { bytes token = 1; }
message WhoAmIRequest { bytes token = 1; }
message Account { string user = 1; }
"#,
        r#"package = "auth.v1""#,
        r#"
/// Who is who.
pub trait Auth {
    /// Checks a password and gives a token.
    async fn login(&self, cx: &CallContext, req: LoginRequest) -> Result<LoginReply, Status>;
    /// Whose token it is.
    ///
    /// It changes nothing.
    #[mdp(no_side_effects)]
    async fn who_am_i(&self, cx: &CallContext, req: WhoAmIRequest) -> Result<Account, Status>;
    #[mdp(idempotent)]
    async fn forget(&self, _: &mdp_runtime::CallContext, account: Account)
        -> std::result::Result<Account, mdp_runtime::Status>;
}
"#,
    );
}

#[test]
fn nothing_at_all() {
    equal("syntax = \"proto3\";\nservice Nothing {}\n", "", "pub trait Nothing {}");
}

#[test]
fn a_package_without_a_name() {
    equal(
        "syntax = \"proto3\";\nservice Bare { rpc Do(Thing) returns (Thing); } message Thing {}\n",
        "",
        "pub trait Bare { async fn r#do(&self, cx: &CallContext, req: Thing) -> Result<Thing, Status>; }",
    );
}

#[test]
fn names_that_are_hard() {
    equal(
        r#"
syntax = "proto3";
package hard.v1;
service HTTPCache {
  rpc New(Result) returns (Option);
  rpc Type(Result) returns (Option);
  rpc Self(Result) returns (Option);
  rpc HTTPGetV2(Result) returns (Option);
  rpc _2fa(Result) returns (Option);
  rpc Cx(Client) returns (T);
}
message Result {}
message Option {}
message Client {}
message T {}
"#,
        r#"package = "hard.v1", name = "HTTPCache""#,
        r#"
pub trait HttpCache {
    async fn new(&self, cx: &CallContext, req: self::Result) -> Result<self::Option, Status>;
    async fn r#type(&self, cx: &CallContext, req: self::Result) -> Result<self::Option, Status>;
    #[mdp(rename = "Self")]
    async fn self_(&self, cx: &CallContext, req: self::Result) -> Result<self::Option, Status>;
    #[mdp(rename = "HTTPGetV2")]
    async fn http_get_v2(&self, cx: &CallContext, req: self::Result) -> Result<self::Option, Status>;
    #[mdp(rename = "_2fa")]
    async fn _2fa(&self, cx: &CallContext, req: self::Result) -> Result<self::Option, Status>;
    async fn cx(&self, cx: &CallContext, req: Client) -> Result<T, Status>;
}
"#,
    );
}

#[test]
fn methods_of_all_kinds() {
    equal(
        r#"
syntax = "proto3";
package files.v1;
import "common.proto";
service Files {
  // All in one piece.
  rpc Stat(Path) returns (Stat);
  // Piece by piece.
  rpc Watch(Path) returns (stream Stat) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Upload(stream Chunk) returns (Stat) { option deprecated = true; }
  rpc Chat(stream Chunk) returns (stream Chunk);
  rpc Far(stream common.v1.Common) returns (stream common.v1.Common);
}
message Path {}
message Stat {}
message Chunk {}
"#,
        r#"package = "files.v1""#,
        r#"
pub trait Files {
    /// All in one piece.
    async fn stat(&self, cx: &CallContext, req: Path) -> Result<Stat, Status>;
    /// Piece by piece.
    #[mdp(no_side_effects)]
    async fn watch(&self, cx: &CallContext, req: Path)
        -> Result<impl Stream<Item = Result<Stat, Status>>, Status>;
    #[deprecated]
    async fn upload(&self, cx: &CallContext, parts: Streaming<Chunk>) -> Result<Stat, Status>;
    async fn chat(&self, cx: &CallContext, requests: mdp_runtime::Streaming<Chunk>)
        -> Result<impl futures::Stream<Item = std::result::Result<Chunk, mdp_runtime::Status>> + Send, Status>;
    async fn far(&self, cx: &CallContext, requests: (Streaming<super::super::common::v1::Common>))
        -> Result<(impl Send + Stream<Item = Result<super::super::common::v1::Common, Status>>), Status>;
}
"#,
    );
}

#[test]
fn names_of_streams_that_are_hard() {
    equal(
        r#"
syntax = "proto3";
package hard.v2;
service Streams {
  rpc Streaming(stream Streaming) returns (stream Stream);
  rpc Requests(stream Stream) returns (Streaming);
  rpc Replies(Streaming) returns (stream Streaming);
}
message Stream {}
message Streaming {}
"#,
        r#"package = "hard.v2""#,
        r#"
pub trait Streams {
    async fn streaming(&self, cx: &CallContext, s: Streaming<self::Streaming>)
        -> Result<impl Stream<Item = Result<Stream, Status>>, Status>;
    async fn requests(&self, cx: &CallContext, s: Streaming<Stream>) -> Result<Streaming, Status>;
    async fn replies(&self, cx: &CallContext, s: Streaming)
        -> Result<impl Stream<Item = Result<Streaming, Status>>, Status>;
}
"#,
    );
}

#[test]
fn types_that_stand_elsewhere() {
    equal(
        r#"
syntax = "proto3";
package far.v1;
import "common.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/timestamp.proto";
service Far {
  rpc Out(common.v1.Common) returns (google.protobuf.Timestamp);
  rpc In(Outer.Inner) returns (google.protobuf.Empty);
}
message Outer { message Inner {} }
"#,
        r#"package = "far.v1""#,
        r#"
pub trait Far {
    async fn out(&self, cx: &CallContext, req: super::super::common::v1::Common)
        -> Result<::mdp_runtime::codegen::prost_types::Timestamp, Status>;
    async fn r#in(&self, cx: &CallContext, req: self::outer::Inner) -> Result<(), Status>;
}
"#,
    );
}

#[test]
fn how_handlers_run() {
    equal(
        r#"
syntax = "proto3";
package work.v1;
import "mdp/options.proto";
service Work {
  // Burns time.
  rpc Blocks(Thing) returns (Thing) { option idempotency_level = IDEMPOTENT; }
  rpc Waits(Thing) returns (Thing);
  rpc GoesBlocks(Thing) returns (Thing);
  rpc GoesOn(Thing) returns (Thing);
  rpc GoesFar(Thing) returns (stream Thing);
  rpc Timed(Thing) returns (Thing) { option (mdp.method).timeout_ms = 500; }
  rpc Said(Thing) returns (Thing) {
    option (mdp.method) = { timeout_ms: 20 retry_attempts: 4 blocking: true on_cancel: DETACH };
  }
}
message Thing {}
"#,
        r#"package = "work.v1""#,
        r#"
pub trait Work {
    /// Burns time.
    #[mdp(blocking, idempotent)]
    fn blocks(&self, cx: &CallContext, req: Thing) -> Result<Thing, Status>;
    async fn waits(&self, cx: &CallContext, req: Thing) -> Result<Thing, Status>;
    #[mdp(detach)]
    #[mdp(blocking)]
    fn goes_blocks(&self, cx: &CallContext, req: Thing) -> Result<Thing, Status>;
    #[mdp(detach)]
    async fn goes_on(&self, cx: &CallContext, req: Thing) -> Result<Thing, Status>;
    #[mdp(detach)]
    async fn goes_far(&self, cx: &CallContext, req: Thing)
        -> Result<impl Stream<Item = Result<Thing, Status>>, Status>;
    #[mdp(timeout_ms = 500)]
    async fn timed(&self, cx: &CallContext, req: Thing) -> Result<Thing, Status>;
    #[mdp(blocking, detach, timeout_ms = 20, retry_attempts = 4)]
    fn said(&self, cx: &CallContext, req: Thing) -> Result<Thing, Status>;
}
"#,
    );
}

#[test]
fn what_is_outdated() {
    equal(
        r#"
syntax = "proto3";
package old.v1;
service Old {
  option deprecated = true;
  rpc Older(Thing) returns (Thing) { option deprecated = true; }
  rpc Oldest(Thing) returns (Thing);
}
message Thing {}
"#,
        r#"package = "old.v1", deprecated"#,
        r#"
pub trait Old {
    #[deprecated]
    async fn older(&self, cx: &CallContext, req: Thing) -> Result<Thing, Status>;
    async fn oldest(&self, cx: &CallContext, req: Thing) -> Result<Thing, Status>;
}
"#,
    );
}

/// Services out of a seed, in one file: any number of methods, with any options.
#[test]
fn one_hundred_services() {
    let mut proto =
        String::from("syntax = \"proto3\";\npackage many.v1;\nimport \"mdp/options.proto\";\n");
    proto.push_str("message M0 {}\nmessage M1 {}\nmessage M2 {}\n");
    let (mut rust, mut rust_plain) = (Modules::new(), Plain::new());
    for seed in 0..100 {
        let (service, item) = random(seed);
        proto.push_str(&service);
        let (modules, plain) = from_trait("package = \"many.v1\"", &item);
        rust.extend(modules);
        rust_plain.extend(plain);
    }
    let (proto, proto_plain) = from_proto(&proto);
    assert_eq!(proto_plain.len(), 100);
    assert_eq!(proto_plain, rust_plain);
    assert_eq!((proto.len(), rust.len()), (300, 300));
    for (name, proto) in &proto {
        assert_eq!(proto, rust.get(name).unwrap(), "{name}");
    }
}

fn random(seed: u64) -> (String, String) {
    let mut below = chances(seed);
    let mut proto = format!("// Service {seed}.\nservice Service{seed} {{\n");
    let mut item = format!("/// Service {seed}.\npub trait Service{seed} {{\n");
    for number in 0..below(9) {
        if below(2) == 0 {
            proto.push_str(&format!("// Number {number}.\n"));
            item.push_str(&format!("/// Number {number}.\n"));
        }
        let (level, argument) = match below(3) {
            0 => ("", ""),
            1 => ("option idempotency_level = NO_SIDE_EFFECTS;", "#[mdp(no_side_effects)]"),
            _ => ("option idempotency_level = IDEMPOTENT;", "#[mdp(idempotent)]"),
        };
        let (option, mark) = match below(4) {
            0 => ("option deprecated = true;", "#[deprecated]"),
            _ => ("", ""),
        };
        let (time, time_argument) = match below(3) {
            0 => (String::new(), String::new()),
            _ => {
                let ms = 1 + below(1_000_000);
                (format!("timeout_ms: {ms}"), format!("#[mdp(timeout_ms = {ms})]"))
            }
        };
        let (detach, detach_argument) = match below(3) {
            0 => ("on_cancel: DETACH", "#[mdp(detach)]"),
            1 => ("on_cancel: CANCEL", ""),
            _ => ("", ""),
        };
        let (input, output) = (below(3), below(3));
        let (many_in, input_type) = match below(2) {
            0 => ("", format!("M{input}")),
            _ => ("stream", format!("Streaming<M{input}>")),
        };
        let (many_out, output_type) = match below(2) {
            0 => ("", format!("M{output}")),
            _ => ("stream", format!("impl Stream<Item = Result<M{output}, Status>>")),
        };
        let streams = !(many_in.is_empty() && many_out.is_empty());
        let (blocking, asyncness) = match below(2) {
            0 if !streams => ("blocking: true", "#[mdp(blocking)]"),
            _ => ("", "async"),
        };
        proto.push_str(&format!(
            "rpc DoPart{number}({many_in} M{input}) returns ({many_out} M{output}) {{ {level} {option} \
             option (mdp.method) = {{ {time} {blocking} {detach} }}; }}\n"
        ));
        item.push_str(&format!(
            "{argument} {mark} {time_argument} {detach_argument} {asyncness} fn do_part{number}(&self, cx: &CallContext, req: {input_type}) \
             -> Result<{output_type}, Status>;\n"
        ));
    }
    (proto + "}\n", item + "}\n")
}

/// Numbers below a bound, the same in each run.
fn chances(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |bound| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % bound
    }
}

#[test]
fn a_difference_is_seen() {
    let of = |item: &str| from_trait("package = \"a.v1\"", item).0;
    let one =
        of("pub trait A { async fn a(&self, cx: &CallContext, req: ()) -> Result<(), Status>; }");
    for other in [
        "pub trait A { async fn b(&self, cx: &CallContext, req: ()) -> Result<(), Status>; }",
        "pub trait A { async fn a(&self, req: ()) -> Result<(), Status>; }",
        "pub trait A { async fn a(&self, cx: &CallContext) -> Result<(), Status>; }",
        "pub trait A { #[mdp(detach)] async fn a(&self, cx: &CallContext, req: ()) -> Result<(), Status>; }",
        "pub trait A { #[mdp(blocking)] fn a(&self, cx: &CallContext, req: ()) -> Result<(), Status>; }",
        "pub trait A { async fn a(&self, cx: &CallContext, req: M) -> Result<(), Status>; }",
        "pub trait A { async fn a(&self, cx: &CallContext, req: Streaming<()>) -> Result<(), Status>; }",
        "pub trait A { async fn a(&self, cx: &CallContext, req: ()) \
         -> Result<impl Stream<Item = Result<(), Status>>, Status>; }",
        "pub trait A { #[mdp(idempotent)] async fn a(&self, cx: &CallContext, req: ()) -> Result<(), Status>; }",
        "trait A { async fn a(&self, cx: &CallContext, req: ()) -> Result<(), Status>; }",
    ] {
        assert_ne!(one, of(other), "{other}");
    }
}

#[test]
fn a_difference_of_the_model_is_seen() {
    let of = |item: &str| from_trait("package = \"a.v1\"", item).1;
    let method = "async fn a(&self, cx: &CallContext, req: ()) -> Result<(), Status>;";
    let one = of(&format!("pub trait A {{ {method} }}"));
    for before in [
        "/// A comment.\n",
        "#[mdp(idempotent)]",
        "#[mdp(timeout_ms = 5)]",
        "#[mdp(retry_attempts = 5)]",
        "#[mdp(detach)]",
        "#[mdp(rename = \"B\")]",
        "#[deprecated]",
    ] {
        assert_ne!(one, of(&format!("pub trait A {{ {before} {method} }}")), "{before}");
    }
}

#[test]
fn the_note_of_what_is_deprecated_is_in_the_model() {
    let method = "async fn a(&self) -> Result<(), Status>;";
    for (attribute, note) in [
        ("#[deprecated]", None),
        ("#[deprecated = \"use b\"]", Some("use b")),
        ("#[deprecated(since = \"1.0\", note = \"use b\")]", Some("use b")),
        ("#[mdp(deprecated = \"use b\")]", Some("use b")),
        ("#[mdp(deprecated)]", None),
    ] {
        let (_, plain) = from_trait("", &format!("pub trait A {{ {attribute} {method} }}"));
        let methods = plain.values().flat_map(|service| &service.methods);
        let notes: Vec<_> = methods.map(|method| method.deprecated.clone().unwrap().note).collect();
        assert_eq!(notes, [note.map(str::to_owned)], "{attribute}");
    }
}
