//! The imports of the files of a set, and their order.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// Sets the imports of each file, and sorts the files so that imports come first.
pub(crate) fn in_order(mut files: Vec<FileDescriptorProto>) -> FileDescriptorSet {
    let owners = owners(&files);
    for file in &mut files {
        let own = file.name().to_owned();
        let imports = used(file).into_iter().filter_map(|name| owners.get(&name));
        let imports: BTreeSet<String> = imports.filter(|name| **name != own).cloned().collect();
        file.dependency = imports.into_iter().collect();
    }
    FileDescriptorSet { file: sorted(files) }
}

/// Finds a file that imports itself through other files.
pub(crate) fn circle(set: &FileDescriptorSet) -> Option<&str> {
    let mut open: Vec<&FileDescriptorProto> = set.file.iter().collect();
    loop {
        let names: BTreeSet<&str> = open.iter().map(|file| file.name()).collect();
        let before = open.len();
        // A file that imports no remaining file is not part of a circle.
        open.retain(|file| file.dependency.iter().any(|import| names.contains(import.as_str())));
        if open.len() == before {
            return open.first().map(|file| file.name());
        }
    }
}

/// The file that declares each type.
fn owners(files: &[FileDescriptorProto]) -> BTreeMap<String, String> {
    let mut owners = BTreeMap::new();
    for file in files {
        let mut names = Vec::new();
        let scope = scope(file);
        names.extend(file.enum_type.iter().map(|item| format!("{scope}.{}", item.name())));
        for message in &file.message_type {
            declared(message, &scope, &mut names);
        }
        owners.extend(names.into_iter().map(|name| (name, file.name().to_owned())));
    }
    owners
}

/// The prefix of the full names in a file: empty, or `.auth.v1`.
fn scope(file: &FileDescriptorProto) -> String {
    if file.package().is_empty() { String::new() } else { format!(".{}", file.package()) }
}

fn declared(message: &DescriptorProto, scope: &str, names: &mut Vec<String>) {
    let name = format!("{scope}.{}", message.name());
    names.extend(message.enum_type.iter().map(|item| format!("{name}.{}", item.name())));
    for nested in &message.nested_type {
        declared(nested, &name, names);
    }
    names.push(name);
}

/// The types that a file uses.
fn used(file: &FileDescriptorProto) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for message in &file.message_type {
        used_in(message, &mut names);
    }
    for method in file.service.iter().flat_map(|service| &service.method) {
        names.extend([method.input_type().to_owned(), method.output_type().to_owned()]);
    }
    names
}

fn used_in(message: &DescriptorProto, names: &mut BTreeSet<String>) {
    names.extend(message.field.iter().map(|field| field.type_name().to_owned()));
    for nested in &message.nested_type {
        used_in(nested, names);
    }
}

/// Sorts imports first. Files that import each other, which protobuf forbids, stay in some order.
fn sorted(mut files: Vec<FileDescriptorProto>) -> Vec<FileDescriptorProto> {
    files.sort_by(|one, other| one.name().cmp(other.name()));
    let mut out: Vec<FileDescriptorProto> = Vec::with_capacity(files.len());
    let mut done = BTreeSet::new();
    while !files.is_empty() {
        let open: BTreeSet<String> = files.iter().map(|file| file.name().to_owned()).collect();
        let ready = files.iter().position(|file| {
            file.dependency.iter().all(|name| done.contains(name) || !open.contains(name))
        });
        let next = files.remove(ready.unwrap_or(0));
        done.insert(next.name().to_owned());
        out.push(next);
    }
    out
}
