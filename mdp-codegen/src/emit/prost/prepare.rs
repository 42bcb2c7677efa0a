//! What `prost-build` takes for granted, and descriptors need not have.
//!
//! | descriptors | `prost-build` | upstream |
//! |---|---|---|
//! | positions of some parts only, as schemas have them | panics | tokio-rs/prost |
//! | a default that is the alias of another value | names a variant that is not there | tokio-rs/prost#792 |

use std::collections::{HashMap, HashSet};

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::source_code_info::Location;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet,
};

use crate::model::full_name;

/// Gives each part of each file a position, if the file has any, and each default the first name of its value.
pub(super) fn prepare(set: &mut FileDescriptorSet) {
    let aliases = aliases(set);
    for file in &mut set.file {
        positions(file);
        if !aliases.is_empty() {
            for message in &mut file.message_type {
                defaults(message, &aliases);
            }
            file.extension.iter_mut().for_each(|field| default(field, &aliases));
        }
    }
}

fn positions(file: &mut FileDescriptorProto) {
    file.source_code_info.take_if(|info| info.location.is_empty());
    let Some(info) = &mut file.source_code_info else { return };
    let known: HashSet<Vec<i32>> =
        info.location.iter().map(|location| location.path.clone()).collect();
    let mut paths = Vec::new();
    for (number, item) in (0..).zip(&file.message_type) {
        of_message(item, vec![4, number], &mut paths);
    }
    for (number, item) in (0..).zip(&file.enum_type) {
        of_enum(item, vec![5, number], &mut paths);
    }
    for (number, item) in (0..).zip(&file.service) {
        let path = vec![6, number];
        paths.extend((0..).zip(&item.method).map(|(number, _)| below(&path, 2, number)));
        paths.push(path);
    }
    let lacking = paths.into_iter().filter(|path| !known.contains(path));
    info.location.extend(lacking.map(|path| Location {
        path,
        span: vec![0, 0, 0],
        ..Location::default()
    }));
}

fn of_message(item: &DescriptorProto, path: Vec<i32>, paths: &mut Vec<Vec<i32>>) {
    paths.extend((0..).zip(&item.field).map(|(number, _)| below(&path, 2, number)));
    paths.extend((0..).zip(&item.oneof_decl).map(|(number, _)| below(&path, 8, number)));
    for (number, item) in (0..).zip(&item.nested_type) {
        of_message(item, below(&path, 3, number), paths);
    }
    for (number, item) in (0..).zip(&item.enum_type) {
        of_enum(item, below(&path, 4, number), paths);
    }
    paths.push(path);
}

fn of_enum(item: &EnumDescriptorProto, path: Vec<i32>, paths: &mut Vec<Vec<i32>>) {
    paths.extend((0..).zip(&item.value).map(|(number, _)| below(&path, 2, number)));
    paths.push(path);
}

fn below(path: &[i32], part: i32, number: i32) -> Vec<i32> {
    [path, &[part, number]].concat()
}

/// `prost-build` follows fields of messages call by call. Such a row may be so long.
const MAX_ROW: usize = 500;

/// The message at which a row of messages, each one a field of the one before, is too long.
pub(super) fn too_long(set: &FileDescriptorSet) -> Option<String> {
    let mut uses = HashMap::new();
    for file in &set.file {
        for message in &file.message_type {
            fields(&format!(".{}", full_name(file.package(), message.name())), message, &mut uses);
        }
    }
    // How long the row from each message is; a message in a row of itself ends it.
    let mut rows: HashMap<&str, usize> = HashMap::new();
    for start in uses.keys() {
        let mut open = vec![(start.as_str(), 0)];
        while let Some((name, next)) = open.last_mut() {
            let used = uses.get(*name).map_or(&[][..], Vec::as_slice);
            if let Some(inner) = used.get(*next) {
                *next += 1;
                if !rows.contains_key(inner) {
                    rows.insert(*inner, 0);
                    open.push((*inner, 0));
                }
                continue;
            }
            let row =
                used.iter().filter_map(|inner| rows.get(inner)).max().map_or(0, |row| row + 1);
            if row > MAX_ROW {
                return Some((*name).trim_start_matches('.').to_owned());
            }
            rows.insert(*name, row);
            open.pop();
        }
    }
    None
}

fn fields<'a>(name: &str, message: &'a DescriptorProto, uses: &mut HashMap<String, Vec<&'a str>>) {
    let singular = message.field.iter().filter(|field| {
        matches!(field.r#type(), Type::Message | Type::Group) && field.label() != Label::Repeated
    });
    uses.insert(name.to_owned(), singular.map(|field| field.type_name()).collect());
    for nested in &message.nested_type {
        fields(&format!("{name}.{}", nested.name()), nested, uses);
    }
}

/// The first name of the same number, by the enum's full name with its dot and the other name.
type Aliases = HashMap<(String, String), String>;

fn aliases(set: &FileDescriptorSet) -> Aliases {
    let mut aliases = Aliases::new();
    for file in &set.file {
        for item in &file.enum_type {
            aliases_of(file.package(), item, &mut aliases);
        }
        for item in &file.message_type {
            aliases_in(file.package(), item, &mut aliases);
        }
    }
    aliases
}

fn aliases_in(scope: &str, message: &DescriptorProto, aliases: &mut Aliases) {
    let scope = full_name(scope, message.name());
    for item in &message.enum_type {
        aliases_of(&scope, item, aliases);
    }
    for item in &message.nested_type {
        aliases_in(&scope, item, aliases);
    }
}

fn aliases_of(scope: &str, item: &EnumDescriptorProto, aliases: &mut Aliases) {
    if !item.options.as_ref().is_some_and(|options| options.allow_alias()) {
        return;
    }
    let mut first: HashMap<i32, &str> = HashMap::new();
    for value in &item.value {
        let name = *first.entry(value.number()).or_insert(value.name());
        if name != value.name() {
            let of = format!(".{}", full_name(scope, item.name()));
            aliases.insert((of, value.name().to_owned()), name.to_owned());
        }
    }
}

fn defaults(message: &mut DescriptorProto, aliases: &Aliases) {
    message.field.iter_mut().for_each(|field| default(field, aliases));
    message.nested_type.iter_mut().for_each(|nested| defaults(nested, aliases));
}

fn default(field: &mut FieldDescriptorProto, aliases: &Aliases) {
    if field.r#type() != Type::Enum {
        return;
    }
    let Some(value) = &field.default_value else { return };
    if let Some(first) = aliases.get(&(field.type_name().to_owned(), value.clone())) {
        field.default_value = Some(first.clone());
    }
}
