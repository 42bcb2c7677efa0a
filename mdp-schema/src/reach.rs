//! The part of a set that a service reaches.

use std::collections::BTreeSet;

use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet, SourceCodeInfo};

use crate::index::Index;
use crate::{Schema, SchemaError};

/// Extracts the schema of one service from a set: the service, the types of its requests and replies, and all types
/// that they use.
///
/// A nested type keeps all messages that contain it. Comments stay. All other source positions, and the options and
/// extensions of files, are removed.
///
/// # Errors
///
/// The set does not have the service or a type, declares a name twice, or uses an edition.
pub fn service(set: &FileDescriptorSet, name: &str) -> Result<Schema, SchemaError> {
    let index = Index::of(set)?;
    let mut reach = Reach::of(&index, &|_| false);
    reach.service(name)?;
    Ok(Schema::of_service(name, reach.files(set)))
}

/// Extracts the schema of these messages and enums, and of all types that they use, from a set. Their full names begin
/// with a dot.
///
/// # Errors
///
/// The set does not have a type, declares a name twice, or uses an edition.
pub fn types<'n>(
    set: &FileDescriptorSet,
    names: impl IntoIterator<Item = &'n str>,
) -> Result<Schema, SchemaError> {
    let index = Index::of(set)?;
    let mut reach = Reach::of(&index, &|_| false);
    for name in names {
        reach.named(name, &|| "the requested type".to_owned())?;
    }
    Ok(Schema::of_files(reach.files(set)))
}

/// Cuts several parts out of one set, which is searched once.
#[derive(Debug)]
pub struct Cutter<'a> {
    set: &'a FileDescriptorSet,
    index: Index<'a>,
}

/// A part of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The files, each with what the part has of it, imports first.
    pub set: FileDescriptorSet,
    /// The full names of the outermost types that the part uses and does not have, without a leading dot.
    pub uses: BTreeSet<String>,
}

impl<'a> Cutter<'a> {
    /// Searches a set.
    ///
    /// # Errors
    ///
    /// The set declares a name twice, or uses an edition.
    pub fn of(set: &'a FileDescriptorSet) -> Result<Self, SchemaError> {
        Ok(Self { set, index: Index::of(set)? })
    }

    /// Cuts out services and types, and all types that they use, except for those that are elsewhere. Names of services
    /// have no leading dot, names of types do. `is_elsewhere` is asked about outermost types, by their names without a dot.
    ///
    /// # Errors
    ///
    /// The set does not have a service or a type.
    pub fn part<'n>(
        &self,
        services: impl IntoIterator<Item = &'n str>,
        types: impl IntoIterator<Item = &'n str>,
        is_elsewhere: &dyn Fn(&str) -> bool,
    ) -> Result<Part, SchemaError> {
        let mut reach = Reach::of(&self.index, is_elsewhere);
        for name in services {
            reach.service(name)?;
        }
        for name in types {
            reach.named(name, &|| "the requested type".to_owned())?;
        }
        let set = Schema::of_files(reach.files(self.set)).descriptors().clone();
        Ok(Part { set, uses: reach.elsewhere })
    }
}

struct Reach<'a> {
    index: &'a Index<'a>,
    is_elsewhere: &'a dyn Fn(&str) -> bool,
    /// The full names of the services.
    services: BTreeSet<String>,
    /// The full names of the outermost types, which a file declares directly.
    outermost: BTreeSet<String>,
    /// Those that are used and are elsewhere.
    elsewhere: BTreeSet<String>,
}

impl<'a> Reach<'a> {
    fn of(index: &'a Index<'a>, is_elsewhere: &'a dyn Fn(&str) -> bool) -> Self {
        let (services, outermost, elsewhere) = Default::default();
        Self { index, is_elsewhere, services, outermost, elsewhere }
    }

    fn files(&self, set: &FileDescriptorSet) -> Vec<FileDescriptorProto> {
        let files = set.file.iter();
        files.filter_map(|file| part(file, &self.services, &self.outermost)).collect()
    }

    fn service(&mut self, name: &str) -> Result<(), SchemaError> {
        for method in &self.index.service(name)?.item.method {
            let user = || format!("{name}/{}", method.name());
            self.named(method.input_type(), &user)?;
            self.named(method.output_type(), &user)?;
        }
        self.services.insert(name.to_owned());
        Ok(())
    }

    fn named(&mut self, name: &str, user: &dyn Fn() -> String) -> Result<(), SchemaError> {
        let (full, _) = self.index.named(name, user)?;
        let mut todo = vec![full.to_owned()];
        while let Some(full) = todo.pop() {
            let outermost = self.outermost_of(&full);
            if (self.is_elsewhere)(&outermost) {
                self.elsewhere.insert(outermost);
                continue;
            }
            if !self.outermost.insert(outermost.clone()) {
                continue;
            }
            if let Some(message) = self.index.messages.get(&outermost) {
                self.used_in(&outermost, message.item, &mut todo)?;
            }
        }
        Ok(())
    }

    fn used_in(
        &self,
        name: &str,
        message: &DescriptorProto,
        todo: &mut Vec<String>,
    ) -> Result<(), SchemaError> {
        for field in message.field.iter().filter(|field| !field.type_name().is_empty()) {
            let user = || format!("{name}.{}", field.name());
            todo.push(self.index.named(field.type_name(), user)?.0.to_owned());
        }
        for nested in &message.nested_type {
            self.used_in(&format!("{name}.{}", nested.name()), nested, todo)?;
        }
        Ok(())
    }

    /// Returns the outermost message that contains this type. Above it are only packages.
    fn outermost_of(&self, full: &str) -> String {
        let mut outermost = full;
        while let Some((scope, _)) = outermost.rsplit_once('.') {
            if !self.index.messages.contains_key(scope) {
                break;
            }
            outermost = scope;
        }
        outermost.to_owned()
    }
}

/// Returns the wanted part of a file. `None`: the file has no wanted part.
fn part(
    file: &FileDescriptorProto,
    wanted_services: &BTreeSet<String>,
    wanted: &BTreeSet<String>,
) -> Option<FileDescriptorProto> {
    let is_wanted = |name: &str| wanted.contains(&crate::index::join(file.package(), name));
    let messages = kept(&file.message_type, |item| is_wanted(item.name()));
    let enums = kept(&file.enum_type, |item| is_wanted(item.name()));
    let is_service =
        |name: &str| wanted_services.contains(&crate::index::join(file.package(), name));
    let services = kept(&file.service, |item| is_service(item.name()));
    if messages.is_empty() && enums.is_empty() && services.is_empty() {
        return None;
    }
    let places =
        Places { messages: places(&messages), enums: places(&enums), services: places(&services) };
    Some(FileDescriptorProto {
        name: file.name.clone(),
        package: file.package.clone(),
        source_code_info: file.source_code_info.as_ref().and_then(|info| places.comments(info)),
        message_type: items(messages),
        enum_type: items(enums),
        service: items(services),
        syntax: file.syntax.clone(),
        ..FileDescriptorProto::default()
    })
}

fn kept<T>(items: &[T], wanted: impl Fn(&T) -> bool) -> Vec<(usize, &T)> {
    items.iter().enumerate().filter(|(_, item)| wanted(item)).collect()
}

fn places<T>(kept: &[(usize, &T)]) -> Vec<usize> {
    kept.iter().map(|(place, _)| *place).collect()
}

fn items<T: Clone>(kept: Vec<(usize, &T)>) -> Vec<T> {
    kept.into_iter().map(|(_, item)| item.clone()).collect()
}

/// The old indexes of the kept declarations, in the order of the new ones.
struct Places {
    messages: Vec<usize>,
    enums: Vec<usize>,
    services: Vec<usize>,
}

/// The field numbers of a file's lists in descriptor.proto.
pub(crate) const MESSAGES: i32 = 4;
pub(crate) const ENUMS: i32 = 5;
pub(crate) const SERVICES: i32 = 6;

impl Places {
    fn comments(&self, info: &SourceCodeInfo) -> Option<SourceCodeInfo> {
        let commented = info.location.iter().filter(|location| {
            location.leading_comments.is_some() || location.trailing_comments.is_some()
        });
        let moved = commented.filter_map(|location| {
            let mut moved = location.clone();
            let place = moved.path.get_mut(1)?;
            let kept = match *location.path.first()? {
                MESSAGES => &self.messages,
                ENUMS => &self.enums,
                SERVICES => &self.services,
                _ => return None,
            };
            let new = kept.iter().position(|old| i32::try_from(*old) == Ok(*place))?;
            *place = i32::try_from(new).ok()?;
            moved.span = vec![0, 0, 0];
            moved.leading_detached_comments.clear();
            Some(moved)
        });
        let location: Vec<_> = moved.collect();
        (!location.is_empty()).then_some(SourceCodeInfo { location })
    }
}
