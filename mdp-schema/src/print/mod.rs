//! Prints descriptors as `.proto` text.
//!
//! A parser makes the same descriptors from the text, except for source positions. Custom options and groups within
//! `extend` are not printed.

mod message;
mod names;
mod options;

use std::collections::HashMap;

use prost_types::{
    EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    MethodDescriptorProto, ServiceDescriptorProto,
};

use crate::SchemaError;
use crate::index::join;
use crate::reach::{ENUMS, MESSAGES, SERVICES};
use names::Names;
pub(crate) use options::json_name;
use options::quoted;

/// A file's name and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtoFile {
    /// The name in `import`: `auth/v1/auth.proto`.
    pub name: String,
    /// The source.
    pub text: String,
}

/// Prints the files of a set as `.proto` text, except the files of `google.protobuf`, which each compiler has.
///
/// # Errors
///
/// A file uses an edition, files import each other in a circle, or a name is declared twice.
pub fn print(set: &FileDescriptorSet) -> Result<Vec<ProtoFile>, SchemaError> {
    // `Index::of` refuses descriptors that could not be printed correctly.
    crate::index::Index::of(set)?;
    if let Some(file) = crate::files::circle(set) {
        return Err(SchemaError::Circle(file.to_owned()));
    }
    let names = Names::of(set);
    let own = set.file.iter().filter(|file| !file.name().starts_with("google/protobuf/"));
    Ok(own.map(|file| self::file(file, &names)).collect())
}

fn file(file: &FileDescriptorProto, names: &Names) -> ProtoFile {
    let mut printer = Printer {
        proto3: crate::fields::is_proto3(file),
        scope: file.package().to_owned(),
        names,
        comments: comments(file),
        path: Vec::new(),
        depth: 0,
        text: String::new(),
    };
    printer.file(file);
    ProtoFile { name: file.name().to_owned(), text: printer.text }
}

/// Collects the comments by path: the comment above a declaration and, after a blank line, the comment behind it.
fn comments(file: &FileDescriptorProto) -> HashMap<Vec<i32>, String> {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let commented = locations.filter_map(|at| {
        let (above, behind) = (at.leading_comments.as_deref(), at.trailing_comments.as_deref());
        let text = match (above, behind) {
            (Some(above), Some(behind)) => format!("{above}\n{behind}"),
            (one, other) => one.or(other)?.to_owned(),
        };
        Some((at.path.clone(), text))
    });
    commented.collect()
}

struct Printer<'a> {
    proto3: bool,
    /// The full name of the scope of the next line.
    scope: String,
    names: &'a Names,
    comments: HashMap<Vec<i32>, String>,
    /// The path of the current declaration, in field numbers of descriptor.proto.
    path: Vec<i32>,
    depth: usize,
    text: String,
}

impl Printer<'_> {
    fn file(&mut self, file: &FileDescriptorProto) {
        let syntax = if self.proto3 { "proto3" } else { "proto2" };
        self.line(&format!("syntax = \"{syntax}\";"));
        if !file.package().is_empty() {
            self.blank();
            self.line(&format!("package {};", file.package()));
        }
        self.imports(file);
        let options = file.options.as_ref().map(options::of_file).unwrap_or_default();
        if !options.is_empty() {
            self.blank();
        }
        self.options(&options);
        for (place, item) in file.service.iter().enumerate() {
            self.at(SERVICES, place, |printer| printer.service(item));
        }
        for (place, item) in file.message_type.iter().enumerate() {
            self.at(MESSAGES, place, |printer| {
                printer.blank();
                printer.message(item);
            });
        }
        for (place, item) in file.enum_type.iter().enumerate() {
            self.at(ENUMS, place, |printer| {
                printer.blank();
                printer.enumeration(item);
            });
        }
        self.extensions(&file.extension);
    }

    fn imports(&mut self, file: &FileDescriptorProto) {
        if !file.dependency.is_empty() {
            self.blank();
        }
        for (place, import) in (0..).zip(&file.dependency) {
            let public = file.public_dependency.contains(&place);
            let weak = file.weak_dependency.contains(&place);
            let word = if public {
                "public "
            } else if weak {
                "weak "
            } else {
                ""
            };
            self.line(&format!("import {word}{};", quoted(import)));
        }
    }

    fn service(&mut self, service: &ServiceDescriptorProto) {
        const METHODS: i32 = 2;
        self.blank();
        self.comment();
        self.open(&format!("service {}", service.name()), service.name(), |printer| {
            let options = service.options.as_ref().map(options::of_service).unwrap_or_default();
            printer.options(&options);
            for (place, method) in service.method.iter().enumerate() {
                printer.at(METHODS, place, |printer| printer.method(method));
            }
        });
    }

    fn method(&mut self, method: &MethodDescriptorProto) {
        self.comment();
        let side = |many: bool, name: &str| {
            let stream = if many { "stream " } else { "" };
            format!("({stream}{})", self.names.shortest(&self.scope, name))
        };
        let input = side(method.client_streaming(), method.input_type());
        let output = side(method.server_streaming(), method.output_type());
        let head = format!("rpc {}{input} returns {output}", method.name());
        let options = method.options.as_ref().map(options::of_method).unwrap_or_default();
        if options.is_empty() {
            return self.line(&format!("{head};"));
        }
        self.open(&head, method.name(), |printer| printer.options(&options));
    }

    fn enumeration(&mut self, item: &EnumDescriptorProto) {
        const VALUES: i32 = 2;
        self.comment();
        self.open(&format!("enum {}", item.name()), item.name(), |printer| {
            let options = item.options.as_ref().map(options::of_enum).unwrap_or_default();
            printer.options(&options);
            for (place, value) in item.value.iter().enumerate() {
                let options = value.options.as_ref().map(options::of_value).unwrap_or_default();
                let options = options::in_brackets(&options);
                let line = format!("{} = {}{options};", value.name(), value.number());
                printer.at(VALUES, place, |printer| {
                    printer.comment();
                    printer.line(&line);
                });
            }
            // The ranges of an enum include their end. The ranges of a message do not.
            let ranges = item.reserved_range.iter();
            printer.reserved(
                ranges.map(|range| (range.start(), range.end())).collect(),
                &item.reserved_name,
                i32::MAX,
            );
        });
    }

    fn extensions(&mut self, extensions: &[FieldDescriptorProto]) {
        let same = |one: &FieldDescriptorProto, other: &FieldDescriptorProto| {
            one.extendee() == other.extendee()
        };
        for block in extensions.chunk_by(same) {
            let Some(first) = block.first() else { continue };
            let extendee = self.names.shortest(&self.scope, first.extendee());
            self.blank();
            self.open(&format!("extend {extendee}"), "", |printer| {
                for field in block {
                    printer.plain_field(field, false);
                }
            });
        }
    }

    /// Prints reserved ranges as `first to last`, both ends included. `highest` is the number of `max`.
    fn reserved(&mut self, ranges: Vec<(i32, i32)>, names: &[String], highest: i32) {
        if !ranges.is_empty() {
            let ranges: Vec<_> = ranges.into_iter().map(|range| in_words(range, highest)).collect();
            self.line(&format!("reserved {};", ranges.join(", ")));
        }
        if !names.is_empty() {
            let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
            self.line(&format!("reserved {};", names.join(", ")));
        }
    }

    fn options(&mut self, options: &[options::Pair]) {
        for (name, value) in options {
            self.line(&format!("option {name} = {value};"));
        }
    }

    /// Prints a block with its content. An empty `name` means that the block is not a scope.
    fn open(&mut self, head: &str, name: &str, fill: impl FnOnce(&mut Self)) {
        self.line(&format!("{head} {{"));
        let scope = if name.is_empty() { self.scope.clone() } else { join(&self.scope, name) };
        let around = std::mem::replace(&mut self.scope, scope);
        self.depth += 1;
        fill(self);
        self.depth -= 1;
        self.scope = around;
        self.line("}");
    }

    /// Prints the declaration at a path below the current one.
    fn at(&mut self, list: i32, place: usize, print: impl FnOnce(&mut Self)) {
        // No list is that long. In a longer list the comments would be lost.
        self.path.extend([list, i32::try_from(place).unwrap_or(i32::MAX)]);
        print(self);
        self.path.truncate(self.path.len().saturating_sub(2));
    }

    /// Prints the comment of the current path.
    fn comment(&mut self) {
        let Some(text) = self.comments.remove(&self.path) else { return };
        let text = text.strip_suffix('\n').unwrap_or(&text);
        for line in text.split('\n') {
            self.line(&format!("//{}", line.trim_end()));
        }
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn line(&mut self, line: &str) {
        self.text.extend(std::iter::repeat_n("  ", self.depth));
        self.text.push_str(line);
        self.text.push('\n');
    }
}

fn in_words((first, last): (i32, i32), highest: i32) -> String {
    match last {
        _ if first == last => first.to_string(),
        _ if last >= highest => format!("{first} to max"),
        _ => format!("{first} to {last}"),
    }
}
