//! Resolves the names in a file, by what the file imports.
//!
//! prost-reflect looks a relative name up among all files that it knows, so a package that a file does not import can
//! hide the one that it means (andrewhickman/prost-reflect#57 was the same fault for names
//! without a dot). protoc sees only the file itself, its imports, and what these import publicly. With full names there
//! is nothing left to look up.

use std::collections::{HashMap, HashSet};

use prost_types::field_descriptor_proto::Type;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    UninterpretedOption,
};

use crate::model::full_name;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proto) enum Kind {
    Message,
    Enum,
    Service,
    Extension,
}

/// The names of all files that were read.
#[derive(Debug, Default)]
pub(in crate::proto) struct Names {
    declared: HashMap<String, (Kind, usize)>,
    files: Vec<Seen>,
    numbers: HashMap<String, usize>,
    /// The extensions that are a `float` or a `double`.
    floats: HashSet<String>,
}

#[derive(Debug)]
struct Seen {
    package: String,
    /// The files that it imports publicly.
    passes_on: Vec<usize>,
}

impl Names {
    /// Adds what a file declares. Its imports were added before.
    pub(in crate::proto) fn add(&mut self, file: &FileDescriptorProto) {
        let number = self.files.len();
        let public = file.public_dependency.iter();
        let public = public.filter_map(|at| file.dependency.get(usize::try_from(*at).ok()?));
        let passes_on = public.filter_map(|name| self.numbers.get(name).copied()).collect();
        self.files.push(Seen { package: file.package().to_owned(), passes_on });
        self.numbers.insert(file.name().to_owned(), number);
        let package = file.package();
        for item in &file.message_type {
            self.message(package, item, number);
        }
        for item in &file.enum_type {
            self.declare(package, item.name(), Kind::Enum, number);
        }
        for item in &file.service {
            self.declare(package, item.name(), Kind::Service, number);
        }
        for item in &file.extension {
            self.extension(package, item, number);
        }
    }

    fn extension(&mut self, scope: &str, item: &FieldDescriptorProto, number: usize) {
        self.declare(scope, item.name(), Kind::Extension, number);
        if matches!(item.r#type, Some(of) if of == Type::Float as i32 || of == Type::Double as i32)
        {
            self.floats.insert(full_name(scope, item.name()));
        }
    }

    fn message(&mut self, scope: &str, item: &DescriptorProto, number: usize) {
        self.declare(scope, item.name(), Kind::Message, number);
        let scope = full_name(scope, item.name());
        for item in &item.nested_type {
            self.message(&scope, item, number);
        }
        for item in &item.enum_type {
            self.declare(&scope, item.name(), Kind::Enum, number);
        }
        for item in &item.extension {
            self.extension(&scope, item, number);
        }
    }

    fn declare(&mut self, scope: &str, name: &str, kind: Kind, number: usize) {
        // The pool reports the second declaration of a name.
        self.declared.entry(full_name(scope, name)).or_insert((kind, number));
    }

    /// What a full name stands for, whichever file declares it.
    pub(in crate::proto) fn kind(&self, full: &str) -> Option<Kind> {
        self.declared.get(full).map(|(kind, _)| *kind)
    }

    /// What a file can see.
    fn visible(&self, file: &FileDescriptorProto) -> Visible<'_> {
        let own = self.numbers.get(file.name()).copied();
        let imports = file.dependency.iter().filter_map(|name| self.numbers.get(name).copied());
        let mut open: Vec<usize> = own.into_iter().chain(imports).collect();
        let mut files = HashSet::new();
        let mut packages = HashSet::new();
        while let Some(number) = open.pop() {
            if !files.insert(number) {
                continue;
            }
            let Some(seen) = self.files.get(number) else { continue };
            open.extend(&seen.passes_on);
            let mut package = seen.package.as_str();
            while !package.is_empty() && packages.insert(package) {
                package = package.rsplit_once('.').map_or("", |(outer, _)| outer);
            }
        }
        Visible { names: self, files, packages }
    }

    /// Gives each name of the file in full. A name that is not found stays as it is: the pool reports it.
    pub(in crate::proto) fn resolve(&self, file: &mut FileDescriptorProto) {
        let visible = self.visible(file);
        let package = file.package().to_owned();
        if let Some(options) = &mut file.options {
            visible.options(&package, &mut options.uninterpreted_option);
        }
        for item in &mut file.message_type {
            visible.message(&package, item);
        }
        for item in &mut file.enum_type {
            visible.enumeration(&package, item);
        }
        for item in &mut file.extension {
            visible.field(&package, item);
        }
        for item in &mut file.service {
            let scope = full_name(&package, item.name());
            if let Some(options) = &mut item.options {
                visible.options(&scope, &mut options.uninterpreted_option);
            }
            for method in &mut item.method {
                let scope = full_name(&scope, method.name());
                if let Some(options) = &mut method.options {
                    visible.options(&scope, &mut options.uninterpreted_option);
                }
                for name in [&mut method.input_type, &mut method.output_type].into_iter().flatten()
                {
                    visible.message_name(&scope, name);
                }
            }
        }
    }
}

struct Visible<'a> {
    names: &'a Names,
    files: HashSet<usize>,
    packages: HashSet<&'a str>,
}

impl Visible<'_> {
    fn kind(&self, full: &str) -> Option<Kind> {
        let (kind, file) = self.names.declared.get(full)?;
        self.files.contains(file).then_some(*kind)
    }

    /// The full name. The first part is looked for from the innermost scope to the outermost one; where a scope has it,
    /// the whole name must be there.
    fn full(
        &self,
        scope: &str,
        name: &str,
        wanted: impl Fn(Kind) -> bool,
    ) -> Option<(String, Kind)> {
        if let Some(full) = name.strip_prefix('.') {
            let kind = self.kind(full).filter(|kind| wanted(*kind))?;
            return Some((name.to_owned(), kind));
        }
        let (first, is_whole) =
            name.split_once('.').map_or((name, true), |(first, _)| (first, false));
        let mut scope = Some(scope);
        while let Some(outer) = scope {
            scope = match outer.rsplit_once('.') {
                Some((outer, _)) => Some(outer),
                None => (!outer.is_empty()).then_some(""),
            };
            let candidate = full_name(outer, first);
            if is_whole {
                if let Some(kind) = self.kind(&candidate).filter(|kind| wanted(*kind)) {
                    return Some((format!(".{candidate}"), kind));
                }
                continue;
            }
            let has_parts = self.packages.contains(candidate.as_str())
                || self.kind(&candidate).is_some_and(|kind| kind != Kind::Extension);
            if has_parts {
                let full = full_name(outer, name);
                let kind = self.kind(&full).filter(|kind| wanted(*kind))?;
                return Some((format!(".{full}"), kind));
            }
        }
        None
    }

    fn message_name(&self, scope: &str, name: &mut String) {
        if let Some((full, _)) = self.full(scope, name, |kind| kind == Kind::Message) {
            *name = full;
        }
    }

    fn options(&self, scope: &str, options: &mut [UninterpretedOption]) {
        for option in options {
            for part in option.name.iter_mut().filter(|part| part.is_extension) {
                if let Some((full, _)) =
                    self.full(scope, &part.name_part, |kind| kind == Kind::Extension)
                {
                    part.name_part = full;
                }
            }
            self.float(option);
        }
    }

    /// `inf` and `nan` as values of an option are numbers; prost-reflect takes them for names of values of enums.
    fn float(&self, option: &mut UninterpretedOption) {
        let [part] = option.name.as_slice() else { return };
        if !self.names.floats.contains(part.name_part.trim_start_matches('.')) {
            return;
        }
        option.double_value = match option.identifier_value() {
            "inf" => Some(f64::INFINITY),
            "nan" => Some(f64::NAN),
            _ => return,
        };
        option.identifier_value = None;
    }

    fn message(&self, scope: &str, item: &mut DescriptorProto) {
        let scope = full_name(scope, item.name());
        if let Some(options) = &mut item.options {
            self.options(&scope, &mut options.uninterpreted_option);
        }
        for oneof in &mut item.oneof_decl {
            let scope = full_name(&scope, oneof.name());
            if let Some(options) = &mut oneof.options {
                self.options(&scope, &mut options.uninterpreted_option);
            }
        }
        for field in item.field.iter_mut().chain(&mut item.extension) {
            self.field(&scope, field);
        }
        for item in &mut item.nested_type {
            self.message(&scope, item);
        }
        for item in &mut item.enum_type {
            self.enumeration(&scope, item);
        }
    }

    fn field(&self, scope: &str, field: &mut FieldDescriptorProto) {
        let scope = full_name(scope, field.name());
        if let Some(options) = &mut field.options {
            self.options(&scope, &mut options.uninterpreted_option);
        }
        if let Some(name) = &mut field.extendee {
            self.message_name(&scope, name);
        }
        let Some(name) = &mut field.type_name else { return };
        let is_type = |kind| matches!(kind, Kind::Message | Kind::Enum);
        let Some((full, kind)) = self.full(&scope, name, is_type) else { return };
        *name = full;
        // A group is known from its syntax.
        if field.r#type.is_none() {
            let kind = if kind == Kind::Message { Type::Message } else { Type::Enum };
            field.set_type(kind);
        }
    }

    fn enumeration(&self, scope: &str, item: &mut EnumDescriptorProto) {
        let scope = full_name(scope, item.name());
        if let Some(options) = &mut item.options {
            self.options(&scope, &mut options.uninterpreted_option);
        }
        for value in &mut item.value {
            let scope = full_name(&scope, value.name());
            if let Some(options) = &mut value.options {
                self.options(&scope, &mut options.uninterpreted_option);
            }
        }
    }
}
