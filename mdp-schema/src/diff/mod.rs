//! The differences between two schemas in words, whether they break something or not.

mod types;

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};

use crate::SchemaError;
use crate::hash::idempotency;
use crate::index::{Declared, Index, is_googles, is_map_entry};

/// A difference between two schemas. [`diff`] finds them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Change {
    /// The file in the new schema, or in the old one if the new one lacks it.
    pub file: String,
    /// The element that changed: `auth.v1.LoginRequest.user`, `auth.v1.Auth/Login`, or the file.
    pub element: String,
    /// The change in words: `the method is new: (A) returns (stream B)`.
    pub message: String,
}

/// Returns all differences between two schemas, by file and element: services, methods, messages, fields, enums, values,
/// what is reserved, and what is deprecated.
///
/// Comments, the order of declarations, other options and the types of `google.protobuf` do not count. [`compare`]
/// says which changes break something.
///
/// ```
/// # use prost_types::{FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto};
/// use mdp_schema::diff;
///
/// let service = ServiceDescriptorProto { name: Some("Auth".into()), ..Default::default() };
/// let file = FileDescriptorProto { service: vec![service], ..Default::default() };
/// let changes = diff(&FileDescriptorSet::default(), &FileDescriptorSet { file: vec![file] })?;
/// assert_eq!((&*changes[0].element, &*changes[0].message), ("Auth", "the service is new"));
/// # Ok::<(), mdp_schema::SchemaError>(())
/// ```
///
/// [`compare`]: crate::compare
///
/// # Errors
///
/// One of the two schemas declares a name twice, or uses an edition.
pub fn diff(old: &FileDescriptorSet, new: &FileDescriptorSet) -> Result<Vec<Change>, SchemaError> {
    let (old_index, new_index) = (Index::of(old)?, Index::of(new)?);
    let mut diff =
        Diff { old: &old_index, new: &new_index, file: String::new(), changes: Vec::new() };
    diff.files(&old.file, &new.file);
    diff.services();
    diff.messages();
    diff.extensions();
    diff.enums();
    // Within an element the changes stay in the order in which they were found.
    diff.changes
        .sort_by(|one, other| (&one.file, &one.element).cmp(&(&other.file, &other.element)));
    Ok(diff.changes)
}

struct Diff<'a> {
    old: &'a Index<'a>,
    new: &'a Index<'a>,
    /// The file of the compared declaration.
    file: String,
    changes: Vec<Change>,
}

/// A declaration that one of the two schemas may lack.
type Both<'d, 'a, T> = (Option<&'d Declared<'a, T>>, Option<&'d Declared<'a, T>>);

impl<'a> Diff<'a> {
    fn say(&mut self, element: &str, message: impl Into<String>) {
        let (file, element) = (self.file.clone(), element.to_owned());
        self.changes.push(Change { file, element, message: message.into() });
    }

    /// Says what is new or gone. Returns the declaration if both schemas have it.
    fn both<'d, T>(
        &mut self,
        name: &str,
        what: &str,
        both: Both<'d, 'a, T>,
    ) -> Option<(&'d Declared<'a, T>, &'d Declared<'a, T>)> {
        let of = both.1.or(both.0)?;
        if is_googles(of.file) {
            return None;
        }
        self.file = of.file.name().to_owned();
        match both {
            (Some(old), Some(new)) => {
                if old.file.name() != new.file.name() {
                    self.say(name, format!("the {what} was in {}", old.file.name()));
                }
                return Some((old, new));
            }
            (None, _) => self.say(name, format!("the {what} is new")),
            (_, None) => self.say(name, format!("the {what} is gone")),
        }
        None
    }

    fn deprecated(&mut self, element: &str, old: Option<bool>, new: Option<bool>) {
        match (old.unwrap_or_default(), new.unwrap_or_default()) {
            (false, true) => self.say(element, "it is deprecated now"),
            (true, false) => self.say(element, "it is no longer deprecated"),
            _ => {}
        }
    }

    fn files(&mut self, old: &[FileDescriptorProto], new: &[FileDescriptorProto]) {
        for before in old.iter().filter(|file| !is_googles(file)) {
            let Some(after) = new.iter().find(|file| file.name == before.name) else { continue };
            self.file = after.name().to_owned();
            if before.package() != after.package() {
                let (old, new) = (before.package(), after.package());
                self.say(after.name(), format!("the package is `{new}` now, in place of `{old}`"));
            }
            let syntax = |file: &FileDescriptorProto| {
                if crate::fields::is_proto3(file) { "proto3" } else { "proto2" }
            };
            if syntax(before) != syntax(after) {
                let (old, new) = (syntax(before), syntax(after));
                self.say(after.name(), format!("it is in {new} now, in place of {old}"));
            }
        }
    }

    fn services(&mut self) {
        for name in names(&self.old.services, &self.new.services) {
            let both = (self.old.services.get(name), self.new.services.get(name));
            let found = self.both(name, "service", both);
            let empty = ServiceDescriptorProto::default();
            let (old, new) = match (found, both) {
                (Some((old, new)), _) => (old.item, new.item),
                (None, (None, Some(new))) if !is_googles(new.file) => (&empty, new.item),
                _ => continue,
            };
            let deprecated =
                |it: &ServiceDescriptorProto| it.options.as_ref().and_then(|it| it.deprecated);
            self.deprecated(name, deprecated(old), deprecated(new));
            self.methods(name, old, new);
        }
    }

    fn methods(
        &mut self,
        service: &str,
        old: &ServiceDescriptorProto,
        new: &ServiceDescriptorProto,
    ) {
        for before in &old.method {
            let element = format!("{service}/{}", before.name());
            match new.method.iter().find(|method| method.name() == before.name()) {
                Some(after) => self.method(&element, before, after),
                None => self.say(&element, "the method is gone"),
            }
        }
        let is_old = |name: &str| old.method.iter().any(|method| method.name() == name);
        for method in new.method.iter().filter(|method| !is_old(method.name())) {
            let (input, output) = (requests(method), replies(method));
            let element = format!("{service}/{}", method.name());
            self.say(&element, format!("the method is new: ({input}) returns ({output})"));
        }
    }

    fn method(&mut self, element: &str, old: &MethodDescriptorProto, new: &MethodDescriptorProto) {
        let sides =
            [("takes", requests(old), requests(new)), ("returns", replies(old), replies(new))];
        for (verb, before, after) in sides.into_iter().filter(|(_, old, new)| old != new) {
            self.say(element, format!("it {verb} `{after}` now, in place of `{before}`"));
        }
        if idempotency(old) != idempotency(new) {
            let (old, new) = (idempotency(old).as_str_name(), idempotency(new).as_str_name());
            self.say(element, format!("its idempotency level is {new} now, in place of {old}"));
        }
        let deprecated =
            |it: &MethodDescriptorProto| it.options.as_ref().and_then(|it| it.deprecated);
        self.deprecated(element, deprecated(old), deprecated(new));
    }

    fn messages(&mut self) {
        for name in names(&self.old.messages, &self.new.messages) {
            let both = (self.old.messages.get(name), self.new.messages.get(name));
            // A map is told at its field.
            if both.0.into_iter().chain(both.1).any(|it| is_map_entry(it.item)) {
                continue;
            }
            if let Some((old, new)) = self.both(name, "message", both) {
                self.message(name, old, new);
            }
        }
    }

    fn extensions(&mut self) {
        for of in names(&self.old.extensions, &self.new.extensions) {
            let none = BTreeMap::new();
            let olds = self.old.extensions.get(of).unwrap_or(&none);
            let none = BTreeMap::new();
            let news = self.new.extensions.get(of).unwrap_or(&none);
            for number in olds.keys().chain(news.keys()).copied().collect::<BTreeSet<i32>>() {
                self.extension(of, olds.get(&number), news.get(&number));
            }
        }
    }

    fn enums(&mut self) {
        for name in names(&self.old.enums, &self.new.enums) {
            let both = (self.old.enums.get(name), self.new.enums.get(name));
            if let Some((old, new)) = self.both(name, "enum", both) {
                self.enumeration(name, old.item, new.item);
            }
        }
    }
}

/// The names of both schemas.
fn names<'i, T>(old: &'i BTreeMap<String, T>, new: &'i BTreeMap<String, T>) -> BTreeSet<&'i str> {
    old.keys().chain(new.keys()).map(String::as_str).collect()
}

fn requests(method: &MethodDescriptorProto) -> String {
    side(method.client_streaming(), method.input_type())
}

fn replies(method: &MethodDescriptorProto) -> String {
    side(method.server_streaming(), method.output_type())
}

fn side(many: bool, name: &str) -> String {
    format!("{}{}", if many { "stream " } else { "" }, name.trim_start_matches('.'))
}
