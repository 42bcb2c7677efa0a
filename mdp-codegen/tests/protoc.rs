//! What `protoc` takes is taken, and what is refused is refused with its place.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::Project;

/// Compiles the first file, and gives the generated file.
#[track_caller]
fn code(files: &[(&str, &str)], file: &str) -> String {
    let project = Project::new(files);
    project.compile(project.builder(), &[files[0].0]).unwrap();
    project.parse(file);
    project.read(file)
}

/// Compiles all files, and gives the problems.
#[track_caller]
fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let project = Project::new(files);
    let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
    let error = project.compile(project.builder(), &names).unwrap_err();
    assert_eq!(project.files(), [""; 0], "something was written");
    error.problems().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn has(code: &str, parts: &[&str]) {
    for part in parts {
        assert!(code.contains(part), "{part} is not in:\n{code}");
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    code(&[("a.proto", "\u{feff}syntax = \"proto3\";\npackage a;\nmessage M {}\n")], "a.rs");
}

#[test]
fn a_package_that_is_not_imported_hides_no_name() {
    let core = "syntax = \"proto3\";\npackage e.config;\nmessage T {}\n";
    let other = "syntax = \"proto3\";\npackage e.ext.config;\nmessage O {}\n";
    let x = "syntax = \"proto3\";\npackage e.ext.f;\nimport \"core.proto\";\nmessage M { config.T t = 1; }\n";
    let project = Project::new(&[("core.proto", core), ("other.proto", other), ("x.proto", x)]);
    project.compile(project.builder(), &["other.proto", "x.proto"]).unwrap();
    has(&project.read("e.ext.f.rs"), &["Option<super::super::config::T>"]);
}

#[test]
fn a_package_that_is_imported_hides_a_name_as_in_protoc() {
    let core = "syntax = \"proto3\";\npackage e.config;\nmessage T {}\n";
    let other = "syntax = \"proto3\";\npackage e.ext.config;\nmessage O {}\n";
    let x = "syntax = \"proto3\";\npackage e.ext.f;\nimport \"core.proto\";\nimport \"other.proto\";\n\
             message M { config.T t = 1; }\n";
    let files = [("x.proto", x), ("core.proto", core), ("other.proto", other)];
    let problems = problems(&files);
    assert!(problems[0].starts_with("x.proto:5: 'config.T' resolves to"), "{problems:?}");
}

#[test]
fn options_are_found_by_what_is_imported_too() {
    let options = "syntax = \"proto3\";\npackage e.opt;\nimport \"google/protobuf/descriptor.proto\";\n\
                   extend google.protobuf.MessageOptions { string who = 50001; }\n";
    let other = "syntax = \"proto3\";\npackage e.ext.opt;\nmessage O {}\n";
    let x = "syntax = \"proto3\";\npackage e.ext.f;\nimport \"options.proto\";\n\
             message M { option (opt.who) = \"me\"; }\n";
    let files = [("options.proto", options), ("other.proto", other), ("x.proto", x)];
    let project = Project::new(&files);
    project.compile(project.builder(), &["other.proto", "x.proto"]).unwrap();
}

#[test]
fn options_of_extension_ranges() {
    let proto = "syntax = \"proto2\";\npackage a;\nmessage A {\n  extensions 100 [verification = UNVERIFIED];\n  \
                 extensions 200 to max [\n    declaration = { number: 200 full_name: \".a.b\" type: \"int32\" }\n  ];\n}\n";
    code(&[("a.proto", proto)], "a.rs");
}

#[test]
fn fields_that_differ_in_case_and_underscores_only() {
    let proto = "syntax = \"proto3\";\npackage a;\nmessage M { string host_name = 1; string hostname = 2; \
                 repeated int32 xs = 3; }\n";
    let code = code(&[("a.proto", proto)], "a.rs");
    // The file stays one of proto3: no field is an option, and lists are packed.
    has(&code, &["pub host_name: ::mdp_runtime", "pub hostname: ::mdp_runtime"]);
    assert!(!code.contains("packed = "), "{code}");
}

#[test]
fn names_in_json_that_are_equal_are_an_error_in_proto3_only() {
    let fields = "{ optional string a_b = 1; optional string aB = 2; }";
    let three = format!("syntax = \"proto3\";\npackage a;\nmessage M {fields}\n");
    assert!(problems(&[("a.proto", &three)])[0].contains("a.proto:3"));
    // What then is equal in Rust is another matter.
    let two = format!("syntax = \"proto2\";\npackage a;\nmessage M {fields}\n");
    assert_eq!(
        problems(&[("a.proto", &two)]),
        [
            "a.proto:3: field `aB` of message `a.M` is `a_b` in Rust, as is field `a_b` of message `a.M` (a.proto:3); \
             rename one of them"
        ]
    );
}

#[test]
fn infinities_and_nan() {
    let proto = "syntax = \"proto2\";\npackage a;\nimport \"google/protobuf/descriptor.proto\";\n\
                 extend google.protobuf.MessageOptions { optional float f = 50001; optional double d = 50002; }\n\
                 message M { option (f) = -inf; option (d) = nan; optional float x = 1 [default = -inf]; \
                 optional double y = 2 [default = nan]; }\n";
    has(&code(&[("a.proto", proto)], "a.rs"), &["default = \"-inf\"", "default = \"nan\""]);
}

#[test]
fn the_alias_of_a_value_is_a_default() {
    let proto = "syntax = \"proto2\";\npackage a;\n\
                 enum Speed { option allow_alias = true; SPEED_FAST = 1; SPEED_QUICK = 1; }\n\
                 message M { optional Speed speed = 1 [default = SPEED_QUICK]; }\n";
    has(&code(&[("a.proto", proto)], "a.rs"), &["default = \"Fast\""]);
}

#[test]
fn brackets_without_end_do_not_overflow_the_stack() {
    let deep = format!("syntax = \"proto3\";\n{}", "message M {\n".repeat(100_000));
    assert_eq!(
        problems(&[("a.proto", &deep)]),
        ["a.proto:102: more than 100 brackets are open here; nest less deeply"]
    );
}

#[test]
fn files_may_import_each_other_in_a_long_row() {
    let names: Vec<_> = (0..500).map(|number| format!("f{number}.proto")).collect();
    let texts = (1..500).map(|number| {
        let last = number - 1;
        format!(
            "syntax = \"proto3\";\npackage a;\nimport \"f{number}.proto\";\nmessage M{last} {{}}\n"
        )
    });
    let last = "syntax = \"proto3\";\npackage a;\nmessage M499 {}\n".to_owned();
    let texts: Vec<_> = texts.chain([last]).collect();
    let files: Vec<_> =
        names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
    let project = Project::new(&files);
    project.compile(project.builder(), &["f0.proto"]).unwrap();
    assert_eq!(project.read("a.rs").matches("pub struct M").count(), 500);
}

#[test]
fn bytes_that_are_no_text() {
    let project = Project::new(&[]);
    std::fs::create_dir_all(project.protos()).unwrap();
    std::fs::write(project.protos().join("a.proto"), b"message \xff {}").unwrap();
    let error = project.compile(project.builder(), &["a.proto"]).unwrap_err();
    assert_eq!(error.problems()[0].to_string(), "a.proto: the file is not valid UTF-8");
}
