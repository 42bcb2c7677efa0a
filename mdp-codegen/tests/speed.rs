//! Generation is no burden on a build.

#![allow(clippy::unwrap_used)]

mod common;

use std::fmt::Write;
use std::time::{Duration, Instant};

use common::Project;

/// Some five times what it takes without optimisation on a slow machine: enough to catch what grows with
/// the square of the methods.
const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_thousand_methods() {
    let mut proto = String::from("syntax = \"proto3\";\npackage many;\n");
    proto.push_str("message Request { string name = 1; }\nmessage Reply { int64 number = 1; }\n");
    proto.push_str("service Many {\n");
    for number in 0..1000 {
        writeln!(proto, "  // Method `{number}`.").unwrap();
        writeln!(proto, "  rpc Do{number}(Request) returns (Reply);").unwrap();
    }
    proto.push_str("}\n");
    let project = Project::new(&[("many.proto", &proto)]);

    let start = Instant::now();
    project.compile(project.builder(), &["many.proto"]).unwrap();
    let took = start.elapsed();
    println!("1,000 methods: {took:?}");
    assert!(took < LIMIT, "{took:?}");
    assert_eq!(project.read("many.rs").matches("pub fn do").count(), 1000);
}
