//! Names that are different in protobuf and the same in Rust.
//!
//! `prost-build` writes both, or panics. Whether both were written is seen in its code: settings may leave one out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use heck::{ToSnakeCase, ToUpperCamelCase};
use prost_build::Module;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use syn::{Fields, Item};

use super::messages::Messages;
use super::reserved_names::has_inner_types;
use super::rust_module;
use crate::emit::names;
use crate::errors::{Mistake, Problem};
use crate::model::{Files, Place, full_name};
use crate::proto::{Settings, Sources};

/// The problems, one for each name that is taken.
pub(super) fn of(
    settings: &Settings,
    set: &FileDescriptorSet,
    files: &Files,
    messages: &Messages,
) -> Vec<Problem> {
    let has_code = !messages.code.is_empty();
    let mut finding = Finding::new(settings);
    set.file.iter().for_each(|file| finding.file(file, has_code));
    if finding.has_clash {
        // Now with texts and places, and with a look at the code.
        finding = Finding { is_quick: false, ..Finding::new(settings) };
        for (module, code) in &messages.code {
            look_into(&code.items, &format!("{module}::"), &mut finding.twice);
        }
        for file in &set.file {
            finding.sources = Some(Sources::of(file));
            finding.file(file, has_code);
        }
    }
    if has_code {
        finding.packages(set, messages);
        finding.modules(set, files, messages);
    }
    finding.problems
}

/// Collects the paths that a module has twice: types, modules, fields and variants.
fn look_into(items: &[Item], scope: &str, twice: &mut HashSet<String>) {
    let mut seen = HashSet::new();
    for item in items {
        let (ident, parts): (_, Vec<String>) = match item {
            Item::Struct(item) => {
                let fields = match &item.fields {
                    Fields::Named(fields) => fields.named.iter().collect(),
                    _ => Vec::new(),
                };
                let idents = fields.into_iter().filter_map(|field| field.ident.as_ref());
                (&item.ident, idents.map(ToString::to_string).collect())
            }
            Item::Enum(item) => (
                &item.ident,
                item.variants.iter().map(|variant| variant.ident.to_string()).collect(),
            ),
            Item::Mod(item) => {
                if let Some((_, items)) = &item.content {
                    look_into(items, &format!("{scope}{}::", item.ident), twice);
                }
                (&item.ident, Vec::new())
            }
            _ => continue,
        };
        let path = format!("{scope}{ident}");
        let mut inner = HashSet::new();
        for part in parts {
            if !inner.insert(part.clone()) {
                twice.insert(format!("{path}.{part}"));
            }
        }
        if !seen.insert(path.clone()) {
            twice.insert(path);
        }
    }
}

struct Finding<'a> {
    settings: &'a Settings,
    /// The first look: are there two names that are the same? Most sets have none.
    is_quick: bool,
    has_clash: bool,
    /// The paths in Rust that are there twice.
    twice: HashSet<String>,
    /// What has a path in Rust, as text with its place.
    names: HashMap<String, String>,
    sources: Option<Sources<'a>>,
    problems: Vec<Problem>,
}

impl<'a> Finding<'a> {
    fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            is_quick: true,
            has_clash: false,
            twice: HashSet::new(),
            names: HashMap::new(),
            sources: None,
            problems: Vec::new(),
        }
    }

    /// The name of a type or a variant. The first look leaves keywords as they are.
    fn type_name(&self, name: &str) -> Option<String> {
        match self.is_quick {
            true => Some(name.to_upper_camel_case()),
            false => Some(names::prost_type(name)?.to_string()),
        }
    }

    /// The name of a module or a field.
    fn module_name(&self, name: &str) -> Option<String> {
        match self.is_quick {
            true => Some(name.to_snake_case()),
            false => Some(names::prost_module(name)?.to_string()),
        }
    }

    fn place(&self, path: &[i32]) -> Option<Place> {
        self.sources.as_ref().map(|sources| sources.place(path))
    }

    /// Something has a path in Rust. The second one is a problem, if both are in the code.
    fn has(&mut self, rust: String, what: fmt::Arguments<'_>, path: &[i32], advice: &'static str) {
        if self.is_quick {
            self.has_clash |= self.names.insert(rust, String::new()).is_some();
            return;
        }
        let what = what.to_string();
        let place = self.place(path);
        let with_place = match &place {
            Some(place) => format!("{what} ({place})"),
            None => what.clone(),
        };
        let Some(other) = self.names.get(&rust) else {
            self.names.insert(rust, with_place);
            return;
        };
        if !self.twice.contains(&rust) {
            return;
        }
        let name = rust.rsplit([':', '.']).next().unwrap_or(&rust).to_owned();
        let mistake = Mistake::RustNameTaken { what, rust: name, other: other.clone(), advice };
        self.problems.push(Problem { place, ..Problem::of_setting(mistake) });
    }

    /// The name of the type of a oneof.
    fn oneof_type(&self, message: &DescriptorProto, oneof: &str) -> Option<String> {
        let ident = self.type_name(oneof)?;
        let nested = message.nested_type.iter().map(|item| item.name());
        let mut nested = nested.chain(message.enum_type.iter().map(|item| item.name()));
        let is_taken = nested.any(|name| self.type_name(name).is_some_and(|other| other == ident));
        Some(if is_taken { format!("{ident}OneOf") } else { ident })
    }

    fn file(&mut self, file: &'a FileDescriptorProto, has_code: bool) {
        let scope = format!("{}::", rust_module(file));
        for (number, item) in (0..).zip(&file.message_type) {
            self.message(&scope, file.package(), item, &[4, number], has_code);
        }
        for (number, item) in (0..).zip(&file.enum_type) {
            self.enumeration(&scope, file.package(), item, &[5, number], has_code);
        }
    }

    fn message(
        &mut self,
        scope: &str,
        parent: &str,
        item: &DescriptorProto,
        path: &[i32],
        has_code: bool,
    ) {
        let name = full_name(parent, item.name());
        let is_entry = item.options.as_ref().is_some_and(|options| options.map_entry());
        if is_entry || self.settings.is_extern(&name) {
            return;
        }
        let (Some(ident), Some(module)) =
            (self.type_name(item.name()), self.module_name(item.name()))
        else {
            return;
        };
        let rust = format!("{scope}{ident}");
        let inner = format!("{scope}{module}::");
        self.has(rust.clone(), format_args!("message `{name}`"), path, "rename one of them");
        if has_inner_types(item) {
            let what = format_args!("the module for the types inside of message `{name}`");
            self.has(format!("{scope}{module}"), what, path, "rename one of them");
        }
        for (number, field) in (0..).zip(&item.field) {
            let path = [path, &[2, number]].concat();
            let what = format_args!("field `{}` of message `{name}`", field.name());
            match field.oneof_index.filter(|_| !field.proto3_optional()) {
                None => {
                    if let Some(ident) = self.module_name(field.name()) {
                        self.has(format!("{rust}.{ident}"), what, &path, "rename one of them");
                    }
                }
                Some(oneof) => {
                    let oneof = usize::try_from(oneof).ok().and_then(|at| item.oneof_decl.get(at));
                    let of = oneof.and_then(|oneof| self.oneof_type(item, oneof.name()));
                    if let Some((of, ident)) = of.zip(self.type_name(field.name())) {
                        let rust = format!("{inner}{of}.{ident}");
                        self.has(rust, what, &path, "rename one of them");
                    }
                }
            }
        }
        for (number, oneof) in (0..).zip(&item.oneof_decl) {
            let mut fields = item.field.iter();
            if !fields.any(|field| field.oneof_index == Some(number) && !field.proto3_optional()) {
                continue;
            }
            let path = [path, &[8, number]].concat();
            let what = format_args!("oneof `{}` of message `{name}`", oneof.name());
            if let Some(ident) = self.module_name(oneof.name()) {
                self.has(format!("{rust}.{ident}"), what, &path, "rename one of them");
            }
            if let Some(ident) = self.oneof_type(item, oneof.name()) {
                self.has(format!("{inner}{ident}"), what, &path, "rename one of them");
            }
        }
        for (number, nested) in (0..).zip(&item.nested_type) {
            self.message(&inner, &name, nested, &[path, &[3, number]].concat(), has_code);
        }
        for (number, nested) in (0..).zip(&item.enum_type) {
            self.enumeration(&inner, &name, nested, &[path, &[4, number]].concat(), has_code);
        }
    }

    fn enumeration(
        &mut self,
        scope: &str,
        parent: &str,
        item: &EnumDescriptorProto,
        path: &[i32],
        has_code: bool,
    ) {
        let name = full_name(parent, item.name());
        let Some(ident) = self.type_name(item.name()) else { return };
        if self.settings.is_extern(&name) {
            return;
        }
        let rust = format!("{scope}{ident}");
        self.has(rust.clone(), format_args!("enum `{name}`"), path, "rename one of them");
        // prost-build panics at them, so there is code only if there are none.
        if has_code || self.settings.retain_enum_prefix {
            return;
        }
        let mut numbers = HashSet::new();
        let mut seen = HashSet::new();
        for (number, value) in (0..).zip(&item.value) {
            let full = value.name().to_upper_camel_case();
            let variant = without_prefix(&ident, &full);
            if !numbers.insert(value.number()) {
                continue;
            }
            let advice = if seen.insert(full) {
                "rename one of them, or set `retain_enum_prefix`"
            } else {
                "rename one of them"
            };
            let rust = format!("{rust}.{variant}");
            if self.names.contains_key(&rust) {
                self.twice.insert(rust.clone());
            }
            let what = format_args!("value `{}` of enum `{name}`", value.name());
            self.has(rust, what, &[path, &[2, number]].concat(), advice);
        }
    }

    /// Two packages whose code comes into one file.
    fn packages(&mut self, set: &FileDescriptorSet, messages: &Messages) {
        let mut first: BTreeMap<Module, &FileDescriptorProto> = BTreeMap::new();
        let mut told = HashSet::new();
        let has_items = |file: &&FileDescriptorProto| {
            !(file.message_type.is_empty() && file.enum_type.is_empty() && file.service.is_empty())
        };
        for file in set.file.iter().filter(has_items) {
            let module = rust_module(file);
            if !messages.code.contains_key(&module) {
                continue;
            }
            let other = *first.entry(module.clone()).or_insert(file);
            if other.package() != file.package() && told.insert(file.package()) {
                let mistake = Mistake::SameFile {
                    file: module.to_file_name_or("_"),
                    package: file.package().to_owned(),
                    other: format!("`{}` ({})", other.package(), other.name()),
                };
                let place = Some(Place::new(file.name()));
                self.problems.push(Problem { place, ..Problem::of_setting(mistake) });
            }
        }
    }

    /// The module of a message and the one of a package, where the package has to stand inside the module of the message's
    /// package: if one of them names types of the other, or a file includes both.
    fn modules(&mut self, set: &FileDescriptorSet, files: &Files, messages: &Messages) {
        let parts = |module: &Module| module.parts().map(str::to_owned).collect::<Vec<_>>();
        let written: Vec<Vec<String>> = messages.code.keys().map(parts).collect();
        let crossing = crossing(set);
        for file in &set.file {
            let own = parts(&rust_module(file));
            for item in file.message_type.iter().filter(|item| has_inner_types(item)) {
                let name = full_name(file.package(), item.name());
                let Some(module) = names::prost_module(item.name()) else { continue };
                let inside = [own.as_slice(), &[module.to_string()]].concat();
                let package = written.iter().find(|package| package.starts_with(&inside));
                let Some(package) = package.filter(|_| !self.settings.is_extern(&name)) else {
                    continue;
                };
                let crosses = |(from, to): &(Vec<String>, Vec<String>)| {
                    from.starts_with(&inside) != to.starts_with(&inside)
                };
                if self.settings.include_file.is_none() && !crossing.iter().any(crosses) {
                    continue;
                }
                let declared = files.iter().flat_map(|file| &file.messages);
                let place = declared
                    .filter(|message| message.full_name == name)
                    .find_map(|message| message.place.clone());
                let other = set.file.iter().find(|file| parts(&rust_module(file)) == *package);
                let Some(other) = other else { continue };
                let mistake = Mistake::RustNameTaken {
                    what: format!("the module for the types inside of message `{name}`"),
                    rust: module.to_string(),
                    other: format!(
                        "the module for package `{}` ({})",
                        other.package(),
                        other.name()
                    ),
                    advice: "rename one of them",
                };
                self.problems.push(Problem { place, ..Problem::of_setting(mistake) });
            }
        }
    }
}

/// The name of a variant without the name of its enum, as `prost-build` shortens it.
fn without_prefix(of: &str, variant: &str) -> String {
    let rest = variant.strip_prefix(of).filter(|rest| rest.starts_with(char::is_uppercase));
    rest.unwrap_or(variant).to_owned()
}

/// The modules of packages whose types use each other's, as pairs.
fn crossing(set: &FileDescriptorSet) -> HashSet<(Vec<String>, Vec<String>)> {
    fn uses<'a>(message: &'a DescriptorProto, used: &mut Vec<&'a str>) {
        used.extend(message.field.iter().map(|field| field.type_name()));
        message.nested_type.iter().for_each(|nested| uses(nested, used));
    }
    let parts = |file: &FileDescriptorProto| {
        rust_module(file).parts().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut homes = HashMap::new();
    for file in &set.file {
        let messages = file.message_type.iter().map(|item| item.name());
        for name in messages.chain(file.enum_type.iter().map(|item| item.name())) {
            homes.insert(format!(".{}", full_name(file.package(), name)), parts(file));
        }
    }
    let mut pairs = HashSet::new();
    for file in &set.file {
        let mut used = Vec::new();
        file.message_type.iter().for_each(|message| uses(message, &mut used));
        let methods = file.service.iter().flat_map(|service| &service.method);
        used.extend(methods.flat_map(|method| [method.input_type(), method.output_type()]));
        let own = parts(file);
        for name in used {
            let mut name = name;
            while let Some((outer, _)) = name.rsplit_once('.') {
                if let Some(home) = homes.get(name) {
                    if *home != own {
                        pairs.insert((own.clone(), home.clone()));
                    }
                    break;
                }
                name = outer;
            }
        }
    }
    pairs
}
