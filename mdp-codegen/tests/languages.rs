//! A generator of another language, from the plain model alone: its stubs against files, and what happens when it
//! fails.
//!
//! `UPDATE_GOLDENS=1 cargo test -p mdp-codegen --test languages` writes the stubs anew.

#![allow(clippy::unwrap_used)]

mod common;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use common::{Project, golden};
use mdp_codegen::model::{
    Comments, CustomOption, Declaration, Deprecated, File, Files, Idempotency, Method, OnCancel,
    Place, Service, Shape, Value,
};
use mdp_codegen::{Builder, Error, Generator, GeneratorError, Output};

/// Python's stubs of services: a class for each service, a method for each call.
struct Python;

impl Generator for Python {
    fn generate(&mut self, file: &File, all: &Files) -> Result<Vec<Output>, GeneratorError> {
        if file.services.is_empty() {
            return Ok(Vec::new());
        }
        let mut text = format!("# From {}.\nfrom collections.abc import Iterator\n", file.name);
        for module in modules(file, all)? {
            writeln!(text, "import {module}")?;
        }
        for service in &file.services {
            class(&mut text, service, all)?;
        }
        Ok(vec![Output::beside(file, "_mdp.py", text)])
    }

    fn finish(&mut self, all: &Files) -> Result<Vec<Output>, GeneratorError> {
        let mut text = String::new();
        for file in all.iter() {
            let how = if file.requested { "compiled" } else { "imported" };
            writeln!(text, "{how} {} of {:?}", file.name, file.package)?;
            for (kind, types) in [("message", &file.messages), ("enum", &file.enums)] {
                for declared in types {
                    let place = declared.place.as_ref().map(Place::to_string).unwrap_or_default();
                    writeln!(text, "  {kind} {} at {place}", declared.full_name)?;
                }
            }
        }
        Ok(vec![Output::new("index.txt", text)])
    }
}

/// The modules of the messages that a file's services use, in the order of their names.
fn modules(file: &File, all: &Files) -> Result<Vec<String>, GeneratorError> {
    let methods = file.services.iter().flat_map(|service| &service.methods);
    let messages = methods.flat_map(|method| [&method.input, &method.output]);
    let modules = messages.map(|message| Ok(split(message, all)?.0));
    let mut modules = modules.collect::<Result<Vec<_>, GeneratorError>>()?;
    modules.sort();
    modules.dedup();
    Ok(modules)
}

/// The module of a message, and its name there.
fn split(message: &str, all: &Files) -> Result<(String, String), GeneratorError> {
    let file = all.declaring(message).ok_or_else(|| format!("nobody declares {message}"))?;
    let declared = file.messages.iter().find(|declared| declared.full_name == message);
    let name = declared.map(|declared| declared.name.clone()).unwrap_or_default();
    let module = file.name.strip_suffix(".proto").unwrap_or(&file.name).replace('/', ".");
    Ok((format!("{module}_pb2"), name))
}

fn class(text: &mut String, service: &Service, all: &Files) -> Result<(), GeneratorError> {
    writeln!(text, "\n\nclass {}:", service.name)?;
    docs(text, "    ", &service.comments)?;
    deprecated(text, "    ", service.deprecated.as_ref())?;
    custom(text, "    ", &service.options)?;
    writeln!(text, "    NAME = \"{}\"", service.full_name())?;
    for method in &service.methods {
        let (input, output) = (python(&method.input, all)?, python(&method.output, all)?);
        let (argument, input) = match method.shape.has_many_requests() {
            true => ("requests", format!("Iterator[{input}]")),
            false => ("request", input),
        };
        let output = match method.shape.has_many_replies() {
            true => format!("Iterator[{output}]"),
            false => output,
        };
        writeln!(text, "\n    def {}(self, {argument}: {input}) -> {output}:", method.name)?;
        docs(text, "        ", &method.comments)?;
        deprecated(text, "        ", method.deprecated.as_ref())?;
        custom(text, "        ", &method.options)?;
        call(text, service, method)?;
    }
    Ok(())
}

fn python(message: &str, all: &Files) -> Result<String, GeneratorError> {
    let (module, name) = split(message, all)?;
    Ok(format!("{module}.{name}"))
}

/// The call itself, with all that the options say of it.
fn call(text: &mut String, service: &Service, method: &Method) -> Result<(), GeneratorError> {
    let shape = match method.shape {
        Shape::Unary => "unary",
        Shape::ClientStreaming => "client_streaming",
        Shape::ServerStreaming => "server_streaming",
        Shape::BidiStreaming => "bidi_streaming",
    };
    let mut arguments = vec![format!("\"{}\"", service.path(method))];
    match method.idempotency {
        Idempotency::Unknown => {}
        Idempotency::NoSideEffects => arguments.push("no_side_effects=True".to_owned()),
        Idempotency::Idempotent => arguments.push("idempotent=True".to_owned()),
    }
    arguments.extend(method.timeout_ms.map(|ms| format!("timeout_ms={ms}")));
    arguments.extend(method.retry_attempts.map(|attempts| format!("retry_attempts={attempts}")));
    arguments.extend(method.blocking.then(|| "blocking=True".to_owned()));
    arguments.extend((method.on_cancel == OnCancel::Detach).then(|| "detach=True".to_owned()));
    if let Some(Place { line: Some(line), column: Some(column), .. }) = &method.place {
        writeln!(text, "        # line {line}, column {column}")?;
    }
    writeln!(text, "        return self.{shape}({})", arguments.join(", "))?;
    Ok(())
}

fn docs(text: &mut String, margin: &str, comments: &Comments) -> std::fmt::Result {
    for line in comments.lines() {
        writeln!(text, "{}", format!("{margin}# {line}").trim_end())?;
    }
    Ok(())
}

fn deprecated(
    text: &mut String,
    margin: &str,
    deprecated: Option<&Deprecated>,
) -> std::fmt::Result {
    match deprecated {
        Some(_) => writeln!(text, "{margin}# Deprecated."),
        None => Ok(()),
    }
}

fn custom(text: &mut String, margin: &str, options: &[CustomOption]) -> std::fmt::Result {
    for option in options {
        writeln!(text, "{margin}# {} ({}) = {:?}", option.name, option.number, option.value)?;
    }
    Ok(())
}

fn golden_protos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases/proto")
}

/// Runs the generator without anything of Rust.
fn only_python(project: &Project) -> Builder {
    project.builder().build_rust(false).generator(project.out().join("py"), Python)
}

#[test]
fn stubs_of_the_files_of_these_tests() {
    let project = Project::new(&[]);
    let protos = ["auth.proto", "comments.proto", "options.proto", "streams.proto"];
    only_python(&project).compile_protos(&protos, &[golden_protos()]).unwrap();
    assert_eq!(project.code(), ["py"], "nothing of Rust is there");
    let stubs =
        protos.map(|proto| project.read(&format!("py/{}", proto.replace(".proto", "_mdp.py"))));
    golden("languages/stubs.py", &stubs.join("\n\n"));
    golden("languages/index.txt", &project.read("py/index.txt"));
}

#[test]
fn stubs_of_the_service_that_systems_are_compared_by() {
    let project = Project::new(&[]);
    let proto = "mdp/testing/v1/testing.proto";
    only_python(&project).compile_protos(&[proto], &[cases()]).unwrap();
    golden("languages/testing.py", &project.read("py/mdp/testing/v1/testing_mdp.py"));
}

const ACME: &str = r#"
syntax = "proto3";
package acme;
import "google/protobuf/descriptor.proto";
enum Level { LOW = 0; HIGH = 1; }
message Audit { Level level = 1; repeated string tags = 2; map<string, uint32> costs = 3; Audit inner = 4; }
extend google.protobuf.MethodOptions { Audit audit = 50001; repeated int32 codes = 50002; }
extend google.protobuf.ServiceOptions { bytes owner = 50003; double share = 50004; }
extend google.protobuf.FileOptions { bool checked = 50005; }
"#;

const SHOP: &str = r#"
syntax = "proto3";
package shop.v1;
import "acme.proto";
import "mdp/options.proto";
option (acme.checked) = true;
// Sells things.
service Shop {
  option (acme.owner) = "us";
  option (acme.share) = 0.5;
  // Pays, once.
  rpc Pay(Cart.Item) returns (Cart) {
    option idempotency_level = IDEMPOTENT;
    option (mdp.method) = { timeout_ms: 500 retry_attempts: 3 blocking: true on_cancel: DETACH };
    option (acme.audit) = { level: HIGH tags: "a" tags: "b" costs: { key: "x" value: 7 } inner: {} };
    option (acme.codes) = -1;
    option (acme.codes) = 2;
  }
  rpc Plain(Cart) returns (Cart); // As it is.
}
message Cart { message Item { enum Kind { NONE = 0; } map<string, string> notes = 1; } }
"#;

#[test]
fn stubs_of_a_service_with_all_options() {
    let project = Project::new(&[("shop.proto", SHOP), ("acme.proto", ACME)]);
    project.compile(only_python(&project), &["shop.proto"]).unwrap();
    golden("languages/shop.py", &project.read("py/shop_mdp.py"));
}

/// Takes the model out.
#[derive(Clone, Default)]
struct Take(std::sync::Arc<std::sync::Mutex<Files>>);

impl Generator for Take {
    fn generate(&mut self, _: &File, all: &Files) -> Result<Vec<Output>, GeneratorError> {
        *self.0.lock().unwrap() = all.clone();
        Ok(Vec::new())
    }
}

fn model(project: &Project, settings: impl FnOnce(Builder) -> Builder, proto: &str) -> Files {
    let take = Take::default();
    let builder = settings(project.builder().generator(project.out(), take.clone()));
    project.compile(builder, &[proto]).unwrap();
    take.0.lock().unwrap().clone()
}

#[test]
fn custom_options_come_with_their_values() {
    let project = Project::new(&[("shop.proto", SHOP), ("acme.proto", ACME)]);
    let files = model(&project, |builder| builder, "shop.proto");
    let file = files.file("shop.proto").unwrap();
    assert_eq!(file.options, [CustomOption::new("acme.checked", 50005, Value::Bool(true))]);
    let [shop] = file.services.as_slice() else { panic!("one service: {:?}", file.services) };
    let owner = CustomOption::new("acme.owner", 50003, Value::Bytes(b"us".into()));
    let share = CustomOption::new("acme.share", 50004, Value::Float(0.5));
    assert_eq!(shop.options, [owner, share]);
    let [pay, plain] = shop.methods.as_slice() else { panic!("two methods: {:?}", shop.methods) };
    let text = |text: &str| Value::String(text.to_owned());
    let audit = Value::Message(vec![
        ("level".to_owned(), Value::Enum { name: Some("HIGH".to_owned()), number: 1 }),
        ("tags".to_owned(), Value::List(vec![text("a"), text("b")])),
        ("costs".to_owned(), Value::Map(vec![(text("x"), Value::Uint(7))])),
        ("inner".to_owned(), Value::Message(Vec::new())),
    ]);
    let codes = Value::List(vec![Value::Int(-1), Value::Int(2)]);
    let options = [
        CustomOption::new("acme.audit", 50001, audit),
        CustomOption::new("acme.codes", 50002, codes),
    ];
    assert_eq!(pay.options, options, "the option of `mdp` is none of them");
    assert_eq!(plain.options, []);
}

#[test]
fn a_method_has_all_that_is_said_of_it() {
    let project = Project::new(&[("shop.proto", SHOP), ("acme.proto", ACME)]);
    let files = model(&project, |builder| builder.detach("Plain"), "shop.proto");
    let [shop] = files.file("shop.proto").unwrap().services.as_slice() else {
        panic!("no service")
    };
    let [pay, plain] = shop.methods.as_slice() else { panic!("two methods: {:?}", shop.methods) };
    assert_eq!((pay.input.as_str(), pay.output.as_str()), ("shop.v1.Cart.Item", "shop.v1.Cart"));
    assert_eq!(pay.idempotency, Idempotency::Idempotent);
    assert_eq!((pay.timeout_ms, pay.retry_attempts, pay.blocking), (Some(500), Some(3), true));
    assert_eq!((pay.on_cancel, plain.on_cancel), (OnCancel::Detach, OnCancel::Detach));
    assert_eq!(pay.comments.leading, ["Pays, once."]);
    assert_eq!(plain.comments.trailing, ["As it is."]);
    let place = plain.place.clone().unwrap();
    assert_eq!((place.to_string().as_str(), place.column), ("shop.proto:19", Some(3)));
    let quiet =
        model(&project, |builder| builder.disable_comments("shop.v1.Shop.Pay"), "shop.proto");
    let [shop] = quiet.file("shop.proto").unwrap().services.as_slice() else {
        panic!("no service")
    };
    assert!(shop.methods.iter().take(1).all(|method| method.comments.is_empty()), "{shop:?}");
    assert_eq!(shop.comments.leading, ["Sells things."]);
}

#[test]
fn files_say_what_they_declare() {
    let project = Project::new(&[("shop.proto", SHOP), ("acme.proto", ACME)]);
    let files = model(&project, |builder| builder, "shop.proto");
    let names: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.requested)).collect();
    let [.., last] = names.as_slice() else { panic!("no files") };
    assert_eq!(*last, ("shop.proto", true), "imports come first");
    assert!(names.contains(&("acme.proto", false)), "{names:?}");
    let shop = files.file("shop.proto").unwrap();
    assert_eq!((shop.package.as_str(), shop.imports.len()), ("shop.v1", 2));
    let of = |types: &[Declaration]| types.iter().map(|of| of.name.clone()).collect::<Vec<_>>();
    assert_eq!(of(&shop.messages), ["Cart", "Cart.Item"], "the entries of a map are no message");
    assert_eq!(of(&shop.enums), ["Cart.Item.Kind"]);
    for (name, file) in [
        ("shop.v1.Cart.Item", "shop.proto"),
        ("shop.v1.Cart.Item.Kind", "shop.proto"),
        ("shop.v1.Shop", "shop.proto"),
        ("acme.Level", "acme.proto"),
    ] {
        assert_eq!(files.declaring(name).map(|file| file.name.as_str()), Some(file), "{name}");
    }
    assert_eq!(files.declaring("shop.v1.Nothing"), None);
    // The number of `acme.audit` as a message.
    let tag = [0x8A, 0xB5, 0x18];
    assert!(files.descriptors().windows(tag.len()).any(|window| window == tag));
}

/// Types of Rust's syntax stay on the thread that made them: what may leave it holds none of them.
#[test]
fn the_model_holds_no_syntax_of_rust() {
    fn leaves_its_thread<T: Send + Sync + 'static>() {}
    leaves_its_thread::<Files>();
    leaves_its_thread::<Service>();
    leaves_its_thread::<mdp_codegen::Problem>();
    leaves_its_thread::<Error>();
}

/// Names that Rust cannot have, and modules that would clash there.
const NOT_RUST: &str = r#"
syntax = "proto3";
package a;
service Clash { rpc GetUrl(_) returns (_); rpc GetURL(_) returns (_); rpc __(_) returns (_); }
service CLASH {}
message _ {}
"#;

#[test]
fn rules_of_rust_hold_for_rust_only() {
    let project = Project::new(&[("a.proto", NOT_RUST)]);
    let error = project.compile(project.builder(), &["a.proto"]).unwrap_err();
    assert!(!error.problems().is_empty(), "{error}");
    project.compile(only_python(&project), &["a.proto"]).unwrap();
    let stub = project.read("py/a_mdp.py");
    assert!(stub.contains("class CLASH:") && stub.contains("def __(self, "), "{stub}");
}

#[test]
fn rules_of_the_wire_hold_for_all() {
    let long = "N".repeat(300);
    let text = format!(
        "syntax = \"proto3\";\npackage a;\nimport \"mdp/options.proto\";\nmessage M {{}}\nservice {long} {{}}\n\
         service S {{\n  rpc Never(M) returns (M) {{ option (mdp.method).timeout_ms = 0; }}\n}}\n"
    );
    let project = Project::new(&[("a.proto", &text)]);
    let error = project.compile(only_python(&project), &["a.proto"]).unwrap_err();
    let places: Vec<_> = error.problems().iter().map(|problem| problem.place.clone()).collect();
    let lines: Vec<_> = places.iter().flatten().map(Place::to_string).collect();
    assert_eq!(lines, ["a.proto:5", "a.proto:7"], "{error}");
    assert_eq!(project.code(), [""; 0]);
}

/// Gives these files, or fails, at each file and at the end.
struct Gives {
    at: Vec<&'static str>,
    at_the_end: Result<Vec<&'static str>, &'static str>,
}

impl Generator for Gives {
    fn generate(&mut self, file: &File, _: &Files) -> Result<Vec<Output>, GeneratorError> {
        Ok(self.at.iter().map(|path| Output::new(path, file.name.as_str())).collect())
    }

    fn finish(&mut self, _: &Files) -> Result<Vec<Output>, GeneratorError> {
        let paths = self.at_the_end.clone()?;
        Ok(paths.iter().map(|path| Output::new(path, "end")).collect())
    }
}

const TWO: [(&str, &str); 2] = [
    ("a.proto", "syntax = \"proto3\";\npackage a;\nmessage A {}\n"),
    ("b.proto", "syntax = \"proto3\";\npackage b;\nmessage B {}\n"),
];

#[test]
fn a_failure_names_its_file_and_nothing_is_written() {
    for (at, at_the_end, text) in [
        (vec![], Err("no more ink"), "failed after the last file: no more ink"),
        (vec!["x"], Ok(vec![]), "failed at b.proto: x is generated twice"),
        (vec![], Ok(vec!["x", "./x"]), "failed after the last file: x is generated twice"),
        (vec!["../x"], Ok(vec![]), "failed at a.proto: \"../x\" is no path of a file inside"),
        (vec!["/x"], Ok(vec![]), "failed at a.proto: \"/x\" is no path of a file inside"),
        (vec![""], Ok(vec![]), "failed at a.proto: \"\" is no path of a file inside"),
    ] {
        let project = Project::new(&TWO);
        let builder = project.builder().generator(project.out(), Gives { at, at_the_end });
        let error = project.compile(builder, &["a.proto", "b.proto"]).unwrap_err();
        assert!(matches!(error, Error::Generator { .. }), "{error:?}");
        let shown = format!("{error:?}").replace(&format!("{}/", project.out().display()), "");
        assert!(shown.contains(text), "{shown}");
        assert_eq!(project.code(), [""; 0], "{text}");
    }
}

#[test]
fn rust_and_other_languages_come_together() {
    let project = Project::new(&TWO);
    let gives = Gives { at: vec![], at_the_end: Ok(vec!["deep/er/x"]) };
    // Chosen at run time, as a program with many languages does.
    let gives: Box<dyn Generator + Send> = Box::new(gives);
    let builder = project.builder().generator(project.out().join("more"), gives);
    project.compile(builder.clone(), &["a.proto", "b.proto"]).unwrap();
    assert_eq!(project.code(), ["a.rs", "b.rs", "more"]);
    assert_eq!(project.read("more/deep/er/x"), "end");
    let written = || {
        let file = project.out().join("more/deep/er/x");
        std::fs::metadata(file).unwrap().modified().unwrap()
    };
    let before = written();
    project.compile(builder, &["a.proto", "b.proto"]).unwrap();
    assert_eq!(written(), before, "what has not changed is not written again");
}
