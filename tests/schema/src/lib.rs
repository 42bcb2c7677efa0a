//! `.proto` text to descriptors.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod pairs;

use std::fs;

use prost_types::FileDescriptorSet;

pub use pairs::{Pair, pair, pairs};

/// The descriptors of these files, `google.protobuf` included, with comments.
pub fn compile(files: &[(&str, &str)]) -> FileDescriptorSet {
    compiled(files, true, files).file_descriptor_set()
}

/// The encoded descriptors of these files, without comments and with all options. `last`: those of the last file only.
pub fn encode(files: &[(&str, &str)], last: bool) -> Vec<u8> {
    let open = if last { &files[files.len() - 1..] } else { files };
    let mut compiler = compiled(files, false, open);
    compiler.include_imports(!last).encode_file_descriptor_set()
}

fn compiled(files: &[(&str, &str)], comments: bool, open: &[(&str, &str)]) -> protox::Compiler {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut compiler = protox::Compiler::new([folder.path()]).unwrap();
    compiler.include_imports(true).include_source_info(comments);
    for (name, text) in open {
        compiler.open_file(name).unwrap_or_else(|error| panic!("{name}: {error:?}\n{text}"));
    }
    compiler
}

/// One file of the package `a.v1`, in proto3.
pub fn proto3(body: &str) -> FileDescriptorSet {
    compile(&[("a.proto", &format!("syntax = \"proto3\";\npackage a.v1;\n{body}"))])
}

/// One file of the package `a.v1`, in proto2.
pub fn proto2(body: &str) -> FileDescriptorSet {
    compile(&[("a.proto", &format!("syntax = \"proto2\";\npackage a.v1;\n{body}"))])
}

/// Without the positions.
pub fn bare(mut set: FileDescriptorSet) -> FileDescriptorSet {
    for file in &mut set.file {
        file.source_code_info = None;
    }
    set
}
