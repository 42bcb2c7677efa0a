//! What a person reads: each mistake against `errors/*.txt`, which `UPDATE_GOLDENS=1` writes anew.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Project, golden};
use mdp_codegen::Error;

/// Compiles all files in their order, and wants the text of the error; the temporary folder is no part of it.
fn check(name: &str, files: &[(&str, &str)]) -> Error {
    let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
    check_of(name, files, &names)
}

fn check_of(name: &str, files: &[(&str, &str)], protos: &[&str]) -> Error {
    let project = Project::new(files);
    let error = project.compile(project.builder(), protos).unwrap_err();
    let text = error.to_string().replace(project.protos().to_str().unwrap(), "PROTOS");
    golden(&format!("errors/{name}.txt"), &format!("{text}\n"));
    assert_eq!(project.code(), [""; 0], "something was written");
    error
}

#[test]
fn method_names() {
    let proto = r#"syntax = "proto3";
package a;
message M {}
service Urls {
  rpc GetURL(M) returns (M);
  rpc Get_Url(M) returns (M);
  rpc getUrl(M) returns (M);
  rpc Other(M) returns (M);
}
"#;
    check("method_names", &[("urls.proto", proto)]);
}

#[test]
fn module_names() {
    let foo = r#"syntax = "proto3";
package a;
message M {}
message FooClient { message Inner {} }
message BarWorker { oneof of { string a = 1; } }
message BazService { optional string no_module = 1; map<string, M> nor_here = 2; }
service Foo { rpc Do(M) returns (M); }
service Bar { rpc Do(M) returns (M); }
service Baz { rpc Do(M) returns (M); }
service Sub { rpc Do(M) returns (M); }
service HTTPGet { rpc Do(M) returns (M); }
"#;
    let other = r#"syntax = "proto3";
package a;
import "foo.proto";
service HttpGet { rpc Do(M) returns (M); }
"#;
    let package = "syntax = \"proto3\";\npackage a.sub_worker.v1;\nmessage M {}\n";
    let files = [("foo.proto", foo), ("other.proto", other), ("package.proto", package)];
    check("module_names", &files);
}

#[test]
fn long_names() {
    let (long, half) = ("L".repeat(254), "H".repeat(127));
    let proto = format!(
        r#"syntax = "proto3";
package a;
message M {{}}
service {long} {{ rpc Do(M) returns (M); }}
service {half} {{
  rpc {half}(M) returns (M);
  rpc Fits{}(M) returns (M);
}}
"#,
        // `a.` and the service and `/` and this are 255 bytes.
        "F".repeat(255 - 2 - 127 - 1 - 4)
    );
    check("long_names", &[("long.proto", &proto)]);
}

#[test]
fn blocking_streams() {
    let proto = r#"syntax = "proto3";
package a;
message M {}
service S {
  rpc One(M) returns (M);
  rpc Many(M) returns (stream M);
  rpc Upload(stream M) returns (M);
}
"#;
    let project = Project::new(&[("streams.proto", proto)]);
    let builder = project.builder().blocking(".a.S");
    let error = project.compile(builder, &["streams.proto"]).unwrap_err();
    golden("errors/blocking_streams.txt", &format!("{error}\n"));
    assert_eq!(project.code(), [""; 0], "something was written");
}

#[test]
fn no_names() {
    let proto = r#"syntax = "proto3";
package a;
message M {}
service _ { rpc Do(M) returns (M); }
service S { rpc __(M) returns (M); }
"#;
    check("no_names", &[("none.proto", proto)]);
    check("no_message_name", &[("none.proto", "syntax = \"proto3\";\npackage a;\nmessage _ {}\n")]);
}

#[test]
fn syntax_of_several_files() {
    let a = "syntax = \"proto3\";\npackage a;\nmessage A {\n  string a = ;\n}\n";
    let b =
        "syntax = \"proto3\";\npackage b;\nservice B {\n  rpc Do(Nothing) returns (Nothing);\n}\n";
    let c = "syntax = \"proto3\";\npackage c;\nmessage C {}\nmessage C {}\n";
    check("syntax", &[("a.proto", a), ("b.proto", b), ("c.proto", c)]);
}

#[test]
fn a_broken_import_is_reported_once() {
    let broken = "syntax = \"proto3\";\nmessage {}\n";
    let a = "syntax = \"proto3\";\nimport \"broken.proto\";\n";
    let files = [("broken.proto", broken), ("a.proto", a), ("b.proto", a)];
    check_of("broken_import", &files, &["a.proto", "b.proto"]);
}

#[test]
fn missing_files() {
    let a = "syntax = \"proto3\";\npackage a;\n\nimport \"missing/b.proto\";\n";
    check_of("missing", &[("a.proto", a)], &["a.proto", "nowhere.proto"]);
}

#[test]
fn several_includes_are_all_named() {
    let project = Project::new(&[]);
    let error = project.builder().compile_protos(&["a.proto"], &["one", "two"]).unwrap_err();
    golden("errors/includes.txt", &format!("{error}\n"));
    let error = project.builder().compile_protos(&["a.proto"], &[""; 0]).unwrap_err();
    golden("errors/no_includes.txt", &format!("{error}\n"));
}

#[test]
fn a_file_beside_the_includes_is_told_from_a_missing_one() {
    let project = Project::new(&[("a.proto", "syntax = \"proto3\";\n")]);
    let proto = project.protos().join("a.proto");
    let error = project.builder().compile_protos(&[proto], &["one"]).unwrap_err();
    let text = error.to_string().replace(project.protos().to_str().unwrap(), "PROTOS");
    golden("errors/beside_includes.txt", &format!("{text}\n"));
}

#[test]
fn an_import_cycle() {
    let a = "syntax = \"proto3\";\nimport \"b.proto\";\n";
    let b = "syntax = \"proto3\";\nimport \"a.proto\";\n";
    check_of("cycle", &[("a.proto", a), ("b.proto", b)], &["a.proto"]);
}

#[test]
fn settings() {
    let project = Project::new(&[("a.proto", "syntax = \"proto3\";\npackage a;\nmessage M {}\n")]);
    let builder = project
        .builder()
        .out_dir("a/folder/that/is/missing")
        .runtime_path("runtime")
        .type_attribute(".", "#[derive(")
        .client_attribute(".", "derive(Eq)")
        .worker_mod_attribute(".", "");
    let error = project.compile(builder, &["a.proto"]).unwrap_err();
    golden("errors/settings.txt", &format!("{error}\n"));
    assert_eq!(error.problems().len(), 5);
}

#[test]
fn problems_of_all_kinds_come_together_and_in_order() {
    let z = r#"syntax = "proto3";
package z;
message M {}
service S { rpc _(M) returns (stream M); }
"#;
    let a = r#"syntax = "proto3";
package a;
message M {}
service S {
  rpc Get(M) returns (M);

  // The comment is not the line.
  rpc get(stream M) returns (M);
}
service s {
}
"#;
    check("together", &[("z.proto", z), ("a.proto", a)]);
}

#[test]
fn debug_shows_the_text_because_cargo_prints_it() {
    let project = Project::new(&[]);
    let error = project.builder().compile_protos(&["a.proto"], &["one"]).unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
}

#[test]
fn a_file_that_cannot_be_written_is_named_with_its_cause() {
    let project = Project::new(&[("a.proto", "syntax = \"proto3\";\npackage a;\nmessage M {}\n")]);
    let builder = project.builder().file_descriptor_set_path(project.out().join("missing/set.bin"));
    let error = project.compile(builder, &["a.proto"]).unwrap_err();
    assert!(matches!(error, Error::Write { .. }));
    assert!(format!("{error:?}").starts_with(&format!("{error}: ")));

    std::fs::remove_file(project.out().join("a.rs")).unwrap();
    std::fs::create_dir(project.out().join("a.rs")).unwrap();
    let error = project.compile(project.builder(), &["a.proto"]).unwrap_err();
    assert!(matches!(error, Error::Generate(_)));
    assert_eq!(error.to_string(), "the generated code was not written");
    assert!(format!("{error:?}").starts_with("the generated code was not written: "));
}
