//! The declarations that count: what the services of the old schema reach, and the files that were named.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};

use crate::index::{Index, is_googles, join};

/// The declarations of the old schema that are compared, by full name.
#[derive(Debug, Default)]
pub(super) struct Scope<'a> {
    types: BTreeSet<String>,
    services: BTreeSet<&'a str>,
    files: BTreeSet<&'a str>,
}

impl<'a> Scope<'a> {
    pub(super) fn of(
        old: &'a FileDescriptorSet,
        index: &'a Index<'a>,
        new: &Index<'_>,
        files: &[String],
    ) -> Self {
        let mut scope = Self::default();
        let mut open = Vec::new();
        for (name, service) in index.services.iter().filter(|(_, it)| !is_googles(it.file)) {
            scope.services.insert(name);
            scope.files.insert(service.file.name());
            let after = new.services.get(name).map(|after| after.item);
            // Nobody calls a method that the new schema lacks.
            let kept = |method: &str| {
                after.is_some_and(|after| after.method.iter().any(|it| it.name() == method))
            };
            for method in service.item.method.iter().filter(|method| kept(method.name())) {
                open.extend([method.input_type(), method.output_type()].map(without_dot));
            }
        }
        let all = scope.services.is_empty() && files.is_empty();
        let own = old.file.iter().filter(|file| !is_googles(file));
        for file in own.filter(|file| all || files.iter().any(|name| name == file.name())) {
            scope.files.insert(file.name());
            declared_in(file, &mut open);
        }
        scope.follow(index, open);
        scope
    }

    /// Adds the types, and the types that they use.
    fn follow(&mut self, index: &'a Index<'a>, mut open: Vec<String>) {
        while let Some(name) = open.pop() {
            if self.types.contains(&name) {
                continue;
            }
            // A schema without its imports lacks types; nothing can be said of them.
            if let Some(message) = index.messages.get(&name) {
                if is_googles(message.file) {
                    continue;
                }
                self.files.insert(message.file.name());
                let used = message.item.field.iter().filter(|it| !it.type_name().is_empty());
                open.extend(used.map(|field| without_dot(field.type_name())));
                for extension in index.extensions.get(&name).into_iter().flat_map(BTreeMap::values)
                {
                    self.files.insert(extension.file.name());
                    open.push(without_dot(extension.item.type_name()));
                }
            } else if let Some(item) = index.enums.get(&name) {
                if is_googles(item.file) {
                    continue;
                }
                self.files.insert(item.file.name());
            }
            self.types.insert(name);
        }
    }

    pub(super) fn has_type(&self, name: &str) -> bool {
        self.types.contains(name)
    }

    pub(super) fn has_service(&self, name: &str) -> bool {
        self.services.contains(name)
    }

    pub(super) fn has_file(&self, name: &str) -> bool {
        self.files.contains(name)
    }
}

fn without_dot(name: &str) -> String {
    name.strip_prefix('.').unwrap_or(name).to_owned()
}

fn declared_in(file: &FileDescriptorProto, names: &mut Vec<String>) {
    names.extend(file.enum_type.iter().map(|item| join(file.package(), item.name())));
    for message in &file.message_type {
        declared(file.package(), message, names);
    }
}

fn declared(scope: &str, message: &DescriptorProto, names: &mut Vec<String>) {
    let name = join(scope, message.name());
    names.extend(message.enum_type.iter().map(|item| join(&name, item.name())));
    for nested in &message.nested_type {
        declared(&name, nested, names);
    }
    names.push(name);
}
