//! Chooses the name of a type where it is used: as short as protobuf's scope rules allow.

use std::collections::HashSet;

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet,
};

use crate::index::join;

/// All full names, which a shorter name could also mean.
pub(super) struct Names(HashSet<String>);

impl Names {
    pub(super) fn of(set: &FileDescriptorSet) -> Self {
        let mut names = Self(HashSet::new());
        set.file.iter().for_each(|file| names.file(file));
        names
    }

    fn file(&mut self, file: &FileDescriptorProto) {
        let package = file.package();
        let mut part = package;
        while !part.is_empty() {
            self.0.insert(part.to_owned());
            part = part.rsplit_once('.').map_or("", |(around, _)| around);
        }
        file.message_type.iter().for_each(|item| self.message(package, item));
        file.enum_type.iter().for_each(|item| self.enumeration(package, item));
        self.fields(package, &file.extension);
        for service in &file.service {
            let full = join(package, service.name());
            self.0.extend(service.method.iter().map(|method| join(&full, method.name())));
            self.0.insert(full);
        }
    }

    fn message(&mut self, scope: &str, message: &DescriptorProto) {
        let full = join(scope, message.name());
        message.nested_type.iter().for_each(|item| self.message(&full, item));
        message.enum_type.iter().for_each(|item| self.enumeration(&full, item));
        self.fields(&full, &message.field);
        self.fields(&full, &message.extension);
        self.0.extend(message.oneof_decl.iter().map(|oneof| join(&full, oneof.name())));
        self.0.insert(full);
    }

    fn enumeration(&mut self, scope: &str, item: &EnumDescriptorProto) {
        // The values of an enum are in the same scope as the enum.
        self.0.extend(item.value.iter().map(|value| join(scope, value.name())));
        self.0.insert(join(scope, item.name()));
    }

    fn fields(&mut self, scope: &str, fields: &[FieldDescriptorProto]) {
        self.0.extend(fields.iter().map(|field| join(scope, field.name())));
    }

    /// Returns the shortest name in `scope` that means `name`. `name` has a leading dot.
    pub(super) fn shortest(&self, scope: &str, name: &str) -> String {
        let Some(full) = name.strip_prefix('.') else { return name.to_owned() };
        let mut starts: Vec<usize> =
            full.match_indices('.').map(|(dot, _)| dot + 1).chain([0]).collect();
        starts.sort_unstable_by(|one, other| other.cmp(one));
        let candidates = starts.into_iter().filter_map(|start| full.get(start..));
        let fits = |candidate: &&str| self.means(scope, candidate) == Some(full.to_owned());
        candidates.filter(|name| !is_keyword(name)).find(fits).unwrap_or(name).to_owned()
    }

    /// Returns a full name as it can be written in `scope`, with a leading dot if another name would be found there.
    pub(super) fn full(&self, scope: &str, full: &str) -> String {
        match self.means(scope, full) {
            Some(found) if found != full => format!(".{full}"),
            _ => full.to_owned(),
        }
    }

    /// Resolves a name: the first part is searched from the innermost scope outwards, and the first match decides.
    fn means(&self, scope: &str, name: &str) -> Option<String> {
        let first = name.split('.').next().unwrap_or(name);
        let mut scope = scope;
        loop {
            if self.0.contains(&join(scope, first)) {
                return Some(join(scope, name));
            }
            if scope.is_empty() {
                return None;
            }
            scope = scope.rsplit_once('.').map_or("", |(around, _)| around);
        }
    }
}

/// Whether a name begins with a word that has another meaning at the position of a type.
fn is_keyword(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "bool",
        "bytes",
        "double",
        "enum",
        "extend",
        "extensions",
        "fixed32",
        "fixed64",
        "float",
        "group",
        "int32",
        "int64",
        "map",
        "message",
        "oneof",
        "option",
        "optional",
        "repeated",
        "required",
        "reserved",
        "returns",
        "rpc",
        "service",
        "sfixed32",
        "sfixed64",
        "sint32",
        "sint64",
        "stream",
        "string",
        "uint32",
        "uint64",
    ];
    name.split('.').next().is_some_and(|first| WORDS.contains(&first))
}
