//! Prints descriptors as `.proto` text.
//!
//! A parser makes the same descriptors from the text, except for source positions. Groups within `extend` are not printed.
//! An option that nothing in the set declares becomes a comment.

mod message;
mod names;
mod options;

use std::collections::HashMap;

use prost::Message;
use prost_types::{
    EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    MethodDescriptorProto, ServiceDescriptorProto,
};

use crate::SchemaError;
use crate::index::{Index, join};
use crate::options::{Kept, Options, Printed};
use crate::reach::{ENUMS, MESSAGES, SERVICES};
use crate::strings::quoted;
pub(crate) use message::HIGHEST;
use names::Names;
pub(crate) use options::json_name;

/// The field of a file's extensions in descriptor.proto.
const EXTENSIONS: i32 = 7;

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
    printed(set, &set.encode_to_vec())
}

/// Prints the files of a set with the options that its bytes have.
pub(crate) fn printed(
    set: &FileDescriptorSet,
    bytes: &[u8],
) -> Result<Vec<ProtoFile>, SchemaError> {
    // `Index::of` refuses descriptors that could not be printed correctly.
    let index = Index::of(set)?;
    if let Some(file) = crate::files::circle(set) {
        return Err(SchemaError::Circle(file.to_owned()));
    }
    let (names, options) = (Names::of(set), Options::of(&index));
    let kept = Kept::of_set(bytes).map_err(SchemaError::NotDescriptors)?;
    let own = set.file.iter().zip(kept);
    let own = own.filter(|(file, _)| !file.name().starts_with("google/protobuf/"));
    Ok(own.map(|(file, kept)| self::file(file, &names, &options, &kept)).collect())
}

fn file(
    file: &FileDescriptorProto,
    names: &Names,
    options: &Options<'_>,
    kept: &Kept,
) -> ProtoFile {
    let mut printer = Printer {
        options,
        kept,
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
    options: &'a Options<'a>,
    /// The options of the file's declarations.
    kept: &'a Kept,
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
        let options = self.kept("FileOptions");
        if options != Printed::default() {
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
        self.extensions(EXTENSIONS, &file.extension);
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
            printer.options(&printer.kept("ServiceOptions"));
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
        let options = self.kept("MethodOptions");
        if options == Printed::default() {
            return self.line(&format!("{head};"));
        }
        self.open(&head, method.name(), |printer| printer.options(&options));
    }

    fn enumeration(&mut self, item: &EnumDescriptorProto) {
        const VALUES: i32 = 2;
        self.comment();
        self.open(&format!("enum {}", item.name()), item.name(), |printer| {
            printer.options(&printer.kept("EnumOptions"));
            for (place, value) in item.value.iter().enumerate() {
                printer.at(VALUES, place, |printer| {
                    printer.comment();
                    let tail = printer.tail("EnumValueOptions", Vec::new());
                    printer.line(&format!("{} = {}{tail};", value.name(), value.number()));
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

    /// Prints the extensions in the field `list` of the current declaration.
    fn extensions(&mut self, list: i32, extensions: &[FieldDescriptorProto]) {
        let numbered: Vec<(usize, &FieldDescriptorProto)> = extensions.iter().enumerate().collect();
        for block in numbered.chunk_by(|one, other| one.1.extendee() == other.1.extendee()) {
            let Some((_, first)) = block.first() else { continue };
            let extendee = self.names.shortest(&self.scope, first.extendee());
            self.blank();
            self.open(&format!("extend {extendee}"), "", |printer| {
                for (place, field) in block {
                    printer.at(list, *place, |printer| {
                        printer.comment();
                        printer.plain_field(field, false);
                    });
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

    /// Returns the options of the current declaration.
    fn kept(&self, kind: &str) -> Printed {
        let name = |full: &str| self.names.full(&self.scope, full);
        self.options.print(kind, self.kept.at(&self.path), &name)
    }

    fn options(&mut self, options: &Printed) {
        for (name, value) in &options.set {
            self.line(&format!("option {name} = {value};"));
        }
        self.unknown(options);
    }

    fn unknown(&mut self, options: &Printed) {
        for unknown in &options.unknown {
            self.line(&format!("// {unknown}"));
        }
    }

    /// Returns the options of the current declaration as they are written behind it. Prints those that nothing declares
    /// above it.
    fn tail(&mut self, kind: &str, mut pairs: Vec<options::Pair>) -> String {
        let options = self.kept(kind);
        self.unknown(&options);
        pairs.extend(options.set);
        options::in_brackets(&pairs)
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

pub(crate) fn in_words((first, last): (i32, i32), highest: i32) -> String {
    match last {
        _ if first == last => first.to_string(),
        _ if last >= highest => format!("{first} to max"),
        _ => format!("{first} to {last}"),
    }
}
