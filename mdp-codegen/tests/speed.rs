//! Generation is no burden on a build.

#![allow(clippy::unwrap_used)]

mod common;

use std::fmt::Write;
use std::time::Duration;

use common::Project;
use rustix::time::{ClockId, clock_gettime};

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

    // Of the thread, so that other programs do not count.
    let cpu_time = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let start = cpu_time();
    project.compile(project.builder(), &["many.proto"]).unwrap();
    let took = cpu_time() - start;
    println!("1,000 methods: {took:?}");
    assert!(took < LIMIT, "{took:?}");
    assert_eq!(project.read("many.rs").matches("pub fn do").count(), 1000);
}
