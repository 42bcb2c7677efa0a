//! `mdp schema`, and what a broker says of workers that were built with different schemas.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../tests/support/process.rs"]
mod process;
#[path = "../../tests/support/raw.rs"]
mod raw;
mod support;
#[path = "../../tests/support/zmtp.rs"]
mod zmtp;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use mdp_runtime::codegen::{
    Bytes, CallContext, Described, HandlerFuture, Item, MethodItem, Schema, SchemaBuilder, Service,
    ServiceSpec, TypeName,
};
use mdp_runtime::{ServeError, Worker};
use support::{Gate, broker, mdp};
use tempfile::TempDir;

const OLD: &str =
    "syntax = \"proto3\";\n\npackage a.v1;\n\nmessage M {\n  int32 x = 1;\n  string gone = 2;\n}\n";
const NEW: &str =
    "syntax = \"proto3\";\n\npackage a.v1;\n\nmessage M {\n  int64 x = 1;\n  reserved 2;\n}\n";

/// A folder with descriptors.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Compiles one file, and gives the path of its descriptors.
    fn compile(&self, name: &str, text: &str) -> PathBuf {
        let proto = self.path().join("m.proto");
        fs::write(&proto, text).unwrap();
        let mut compiler = protox::Compiler::new([self.path()]).unwrap();
        compiler.include_imports(true).open_file("m.proto").unwrap();
        let path = self.path().join(name);
        fs::write(&path, compiler.encode_file_descriptor_set()).unwrap();
        path
    }
}

/// Runs `mdp schema`.
fn schema(args: &[&dyn AsRef<std::ffi::OsStr>], input: &[u8]) -> Output {
    let mut command = mdp();
    command.arg("schema").args(args.iter().map(|arg| arg.as_ref()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may refuse before it reads.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn ended(output: &Output, code: i32) -> (String, String) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn export_prints_one_file_as_it_is() {
    let folder = Folder::new();
    let old = folder.compile("old.binpb", OLD);
    assert_eq!(ended(&schema(&[&"export", &old], b""), 0).0, OLD);
    let bytes = fs::read(&old).unwrap();
    assert_eq!(ended(&schema(&[&"export", &"-"], &bytes), 0).0, OLD);
}

#[test]
fn export_prints_a_list_in_json() {
    let folder = Folder::new();
    let old = folder.compile("old.binpb", OLD);
    let output = schema(&[&"export", &old, &"--output", &"json"], b"");
    let list: serde_json::Value = serde_json::from_str(&ended(&output, 0).0).unwrap();
    assert_eq!(list[0]["text"], OLD);
}

#[test]
fn export_writes_each_file_below_a_folder() {
    let folder = Folder::new();
    let old = folder.compile("old.binpb", OLD);
    let out = folder.path().join("out");
    assert_eq!(ended(&schema(&[&"export", &old, &"--out", &out], b""), 0).0, "");
    assert_eq!(fs::read_to_string(out.join("m.proto")).unwrap(), OLD);
}

#[test]
fn export_keeps_files_within_the_folder() {
    let folder = Folder::new();
    let old = folder.compile("old.binpb", OLD);
    // A name of the same length, so that the descriptors stay well formed.
    let bytes = fs::read(&old).unwrap();
    let at = bytes.windows(7).position(|part| part == b"m.proto").unwrap();
    let evil = [&bytes[..at], b"../evil", &bytes[at + 7..]].concat();
    let out = folder.path().join("out");
    let (_, stderr) = ended(&schema(&[&"export", &"-", &"--out", &out], &evil), 1);
    assert!(stderr.contains("`../evil` leads out of the folder"), "{stderr}");
    assert!(!folder.path().join("evil").exists());
}

#[test]
fn what_is_no_schema_ends_with_2() {
    let folder = Folder::new();
    let old = folder.compile("old.binpb", OLD);
    let missing = folder.path().join("missing.binpb");
    for args in [
        vec![&"export" as &dyn AsRef<std::ffi::OsStr>, &"-"],
        vec![&"export", &missing],
        vec![&"check", &"--against", &old, &"-"],
        vec![&"check", &"--against", &missing, &old],
        vec![&"check", &"--against", &"-", &"-"],
        vec![&"check", &old],
        vec![&"diff", &"-", &"-"],
        vec![&"diff", &old, &missing],
        vec![&"diff", &old],
    ] {
        let (stdout, stderr) = ended(&schema(&args, b"syntax = \"proto3\";"), 2);
        assert_eq!(stdout, "");
        assert!(!stderr.is_empty());
    }
}

#[test]
fn check_of_what_is_the_same_says_nothing() {
    let folder = Folder::new();
    let old = folder.compile("old.binpb", OLD);
    let args: &[&dyn AsRef<std::ffi::OsStr>] = &[&"check", &"--against", &old, &old];
    assert_eq!(ended(&schema(args, b""), 0), (String::new(), String::new()));
    let json = [args, &[&"--output", &"json"]].concat();
    assert_eq!(ended(&schema(&json, b""), 0).0, "[]\n");
}

#[test]
fn check_says_what_breaks_at_a_level() {
    let folder = Folder::new();
    let (old, new) = (folder.compile("old.binpb", OLD), folder.compile("new.binpb", NEW));
    let args: &[&dyn AsRef<std::ffi::OsStr>] = &[&"check", &"--against", &old, &new];
    // int64 reads what int32 wrote, and the number is reserved.
    assert_eq!(ended(&schema(args, b""), 0).0, "");
    let json_too = [args, &[&"--level", &"wire-json"]].concat();
    let said = "m.proto: a.v1.M.gone: the field 2 is gone, and its name is not reserved \
                (FIELD_NO_DELETE_UNLESS_NAME_RESERVED)\n\
                m.proto: a.v1.M.x: its type changed from int32 to int64 \
                (FIELD_WIRE_JSON_COMPATIBLE_TYPE)\n";
    assert_eq!(ended(&schema(&json_too, b""), 1).0, said);
    let back: &[&dyn AsRef<std::ffi::OsStr>] = &[&"check", &"--against", &new, &"-"];
    let bytes = fs::read(&old).unwrap();
    let said = "m.proto: a.v1.M: 2 is no longer reserved (RESERVED_MESSAGE_NO_DELETE)\n";
    assert_eq!(ended(&schema(back, &bytes), 1).0, said);
}

#[test]
fn check_can_speak_json() {
    let folder = Folder::new();
    let (old, new) = (folder.compile("old.binpb", NEW), folder.compile("new.binpb", OLD));
    let output = schema(&[&"check", &"--against", &old, &new, &"--output", &"json"], b"");
    let found: serde_json::Value = serde_json::from_str(&ended(&output, 1).0).unwrap();
    let expected = serde_json::json!([{
        "file": "m.proto",
        "element": "a.v1.M",
        "rule": "RESERVED_MESSAGE_NO_DELETE",
        "message": "2 is no longer reserved",
    }]);
    assert_eq!(found, expected);
}

#[test]
fn diff_says_all_differences_in_words() {
    let folder = Folder::new();
    let (old, new) = (folder.compile("old.binpb", OLD), folder.compile("new.binpb", NEW));
    let args: &[&dyn AsRef<std::ffi::OsStr>] = &[&"diff", &old, &new];
    let said = "m.proto: a.v1.M: 2 is reserved now\n\
                m.proto: a.v1.M.gone: the field 2 is gone\n\
                m.proto: a.v1.M.x: its type is `int64` now, in place of `int32`\n";
    assert_eq!(ended(&schema(args, b""), 1), (said.to_owned(), String::new()));
    let same: &[&dyn AsRef<std::ffi::OsStr>] = &[&"diff", &"-", &old];
    assert_eq!(ended(&schema(same, &fs::read(&old).unwrap()), 0).0, "");
    let json = [args, &[&"--output", &"json"]].concat();
    let found: serde_json::Value = serde_json::from_str(&ended(&schema(&json, b""), 1).0).unwrap();
    let first = serde_json::json!({
        "file": "m.proto", "element": "a.v1.M", "message": "2 is reserved now",
    });
    assert_eq!(found[0], first);
}

#[test]
fn check_counts_a_file_that_is_named() {
    let folder = Folder::new();
    let of = |kind: &str| {
        format!(
            "syntax = \"proto3\"; package a.v1; message A {{}} message Event {{ {kind} x = 1; }}
             service S {{ rpc R(A) returns (A); }}"
        )
    };
    let (old, new) =
        (folder.compile("old.binpb", &of("int32")), folder.compile("new.binpb", &of("string")));
    let args: &[&dyn AsRef<std::ffi::OsStr>] = &[&"check", &"--against", &old, &new];
    assert_eq!(ended(&schema(args, b""), 0), (String::new(), String::new()));
    let named = [args, &[&"--file", &"m.proto"]].concat();
    let said = "m.proto: a.v1.Event.x: its type changed from int32 to string \
                (FIELD_WIRE_COMPATIBLE_TYPE)\n";
    assert_eq!(ended(&schema(&named, b""), 1).0, said);
    let named = [args, &[&"--file", &"n.proto"]].concat();
    let (_, stderr) = ended(&schema(&named, b""), 2);
    assert!(stderr.contains("neither schema has the file `n.proto`"), "{stderr}");
}

#[test]
fn check_notes_another_name_with_the_same_bytes() {
    let folder = Folder::new();
    let of = |kind: &str| {
        format!(
            "syntax = \"proto3\"; package a.v1; message A {{ int32 x = 1; }} message B {{ int32 x = 1; }}
             service S {{ rpc R({kind}) returns (A); }}"
        )
    };
    let (old, new) = (folder.compile("old.binpb", &of("A")), folder.compile("new.binpb", &of("B")));
    let args: &[&dyn AsRef<std::ffi::OsStr>] = &[&"check", &"--against", &old, &new];
    let note = "mdp: note: m.proto: a.v1.S/R: the type of its requests is `a.v1.B` now, in place of `a.v1.A`; \
                the bytes are the same\n";
    assert_eq!(ended(&schema(args, b""), 0), (String::new(), note.to_owned()));
}

#[test]
fn export_prints_options_that_the_set_declares() {
    let folder = Folder::new();
    let text = "syntax = \"proto3\";

package a.v1;

import \"google/protobuf/descriptor.proto\";

message M {
  string secret = 1 [debug_redact = true, (a.v1.owner) = \"me\"];
}

extend google.protobuf.FieldOptions {
  string owner = 50001;
}
";
    let set = folder.compile("m.binpb", text);
    assert_eq!(ended(&schema(&[&"export", &set], b""), 0).0, text);
}

/// A gate that says to have other methods than it has.
struct Built(Gate, &'static str);

impl Service for Built {
    fn spec(&self) -> &'static ServiceSpec {
        self.0.spec()
    }

    fn schema(&self) -> Schema {
        SchemaBuilder::service("test.v1", &Item::new("Gate"), |service| {
            service.method::<(), ()>(&MethodItem::new(self.1));
        })
    }

    fn call(&self, method: u32, cx: CallContext, body: Bytes) -> HandlerFuture {
        self.0.call(method, cx, body)
    }
}

async fn worker(endpoint: &str, id: &str, method: &'static str) -> Worker {
    let service = Built(Gate::default(), method);
    let worker = Worker::builder().id(id).connect(endpoint).serve(service).start().unwrap();
    worker.connected().await.unwrap();
    worker
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_warns_of_workers_with_different_schemas() {
    let (mut process, endpoint) = broker(&["--log", "info"]);
    let said = |process: &mut process::Process, words: &str| {
        tokio::task::block_in_place(|| process.error_line(words))
    };
    let first = worker(&endpoint, "w-1", "Pass").await;
    let second = worker(&endpoint, "w-2", "Pass").await;
    // The line of the next worker comes behind what was to be said of the one before.
    assert!(said(&mut process, "worker ready").contains("w-1"));
    let third = worker(&endpoint, "w-3", "Shut").await;
    let mut lines = Vec::new();
    while !lines.iter().any(|line: &String| line.contains("different schemas")) {
        lines.push(said(&mut process, "w"));
    }
    let warning = lines.last().unwrap();
    assert!(warning.contains("WARN") && warning.contains("w-3"), "{warning}");
    assert!(warning.contains("test.v1.Gate"), "{warning}");
    let hash = |method| {
        let hash = Built(Gate::default(), method).schema().hash().unwrap().unwrap();
        hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert!(warning.contains(&hash("Shut")) && warning.contains(&hash("Pass")), "{warning}");
    for worker in [first, second, third] {
        worker.shutdown(Duration::ZERO).await;
    }
}

/// Two records that fall into one place.
struct One;
struct Other;

impl Described for One {
    fn describe(schemas: &mut SchemaBuilder) -> TypeName {
        schemas.message::<Self>(&Item::new("M"), |_| {})
    }
}

impl Described for Other {
    fn describe(schemas: &mut SchemaBuilder) -> TypeName {
        schemas.message::<Self>(&Item::new("M"), |_| {})
    }
}

struct Twice(Gate);

impl Service for Twice {
    fn spec(&self) -> &'static ServiceSpec {
        self.0.spec()
    }

    fn schema(&self) -> Schema {
        SchemaBuilder::service("test.v1", &Item::new("Gate"), |service| {
            service.method::<One, Other>(&MethodItem::new("Pass"));
        })
    }

    fn call(&self, method: u32, cx: CallContext, body: Bytes) -> HandlerFuture {
        self.0.call(method, cx, body)
    }
}

#[tokio::test]
async fn a_worker_whose_records_clash_does_not_start() {
    let builder = Worker::builder().connect("tcp://127.0.0.1:1");
    let error = builder.serve(Twice(Gate::default())).start().unwrap_err();
    assert!(matches!(&error, ServeError::Schema { service, .. } if service == "test.v1.Gate"));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with("`test.v1.M` is declared twice"), "{source}");
}
