//! Compiles the `.proto` files with hostile names, and a service with many methods.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(out.join("many.proto"), many(200)?)?;
    let protos = [
        Path::new("proto/hostile.proto"),
        Path::new("proto/hostile_services.proto"),
        Path::new("proto/no_package.proto"),
        Path::new("proto/comments.proto"),
        Path::new("proto/elsewhere.proto"),
        Path::new("proto/mixed.proto"),
        Path::new("proto/handlers.proto"),
        Path::new("proto/edition.proto"),
        Path::new("proto/defaults.proto"),
        &out.join("many.proto"),
    ];
    mdp_codegen::configure()
        .extern_path(".elsewhere", "crate::elsewhere")
        .include_file("all.rs")
        .compile_protos(&protos, &[Path::new("proto"), &out])?;
    Ok(())
}

/// A service with `count` methods, written here because nobody wants to read it.
fn many(count: usize) -> Result<String, std::fmt::Error> {
    let mut text =
        String::from("syntax = \"proto3\";\npackage many;\nmessage Ping { uint32 number = 1; }\n");
    text.push_str("service Many {\n");
    for number in 0..count {
        writeln!(text, "  // The method with number {number}.")?;
        writeln!(text, "  rpc Method{number}(Ping) returns (Ping);")?;
    }
    text.push_str("}\n");
    Ok(text)
}
