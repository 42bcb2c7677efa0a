//! Finds the breaking changes between two schemas.
//!
//! The rules and their names are those of buf, at its levels WIRE and WIRE_JSON. Two rules of its level PACKAGE come in
//! addition: a caller notices a method or a service that is gone. Where buf is stricter than protobuf's own guide to
//! compatible changes, the guide decides. `tests/schema/pairs/differences.txt` lists each difference from buf.
//!
//! Only declarations that both schemas have are compared, and only those in the [`scope`].

mod enums;
mod fields;
mod messages;
mod oneofs;
mod renamed;
mod reserved;
mod rules;
mod scope;
mod services;

use prost_types::{FileDescriptorProto, FileDescriptorSet};

use crate::SchemaError;
use crate::index::Index;
use renamed::Renamed;
pub use rules::{Level, Rule};
use scope::Scope;

/// A rule of compatibility that a new schema breaks, and where. [`breaking()`] finds them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breaking {
    /// The file in the new schema, or in the old one if the new one lacks it.
    pub file: String,
    /// The element that breaks the rule: `auth.v1.LoginRequest.user`, `auth.v1.Auth/Login`.
    pub element: String,
    /// The rule.
    pub rule: Rule,
    /// A description for people.
    pub message: String,
}

/// A change that looks like a breaking one and is compatible: a type has another name, and the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Note {
    /// The file in the new schema.
    pub file: String,
    /// The element: `auth.v1.LoginRequest.user`, `auth.v1.Auth/Login`.
    pub element: String,
    /// A description for people.
    pub message: String,
}

/// What [`compare`] finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comparison {
    /// The broken rules, by file and element.
    pub breaking: Vec<Breaking>,
    /// The compatible changes of names, by file and element.
    pub notes: Vec<Note>,
}

/// Compares what the services of two schemas reach, and returns the broken rules, by file and element.
///
/// This is [`compare`] without files.
///
/// # Errors
///
/// The errors of [`compare`].
pub fn breaking(
    old: &FileDescriptorSet,
    new: &FileDescriptorSet,
    level: Level,
) -> Result<Vec<Breaking>, SchemaError> {
    compare(old, new, level, &[]).map(|found| found.breaking)
}

/// Compares two schemas.
///
/// These declarations of the old schema count:
///
/// - its services, their methods, and the types that these methods use, also within other types;
/// - all declarations of the files that `files` names, and the types that they use;
/// - if it has no services and `files` is empty: all its messages and enums.
///
/// The types of `google.protobuf` do not count: they change with the compiler.
///
/// ```
/// # use prost_types::{FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto};
/// use mdp_schema::{Level, compare};
///
/// let service = ServiceDescriptorProto { name: Some("Auth".into()), ..Default::default() };
/// let file = FileDescriptorProto { service: vec![service], ..Default::default() };
/// let old = FileDescriptorSet { file: vec![file] };
/// let new = FileDescriptorSet::default();
/// let found = compare(&old, &new, Level::Wire, &[])?;
/// assert_eq!(found.breaking[0].rule.name(), "PACKAGE_SERVICE_NO_DELETE");
/// # Ok::<(), mdp_schema::SchemaError>(())
/// ```
///
/// # Errors
///
/// One of the two schemas declares a name twice, or uses an edition; or neither has a file that `files` names.
pub fn compare(
    old: &FileDescriptorSet,
    new: &FileDescriptorSet,
    level: Level,
    files: &[String],
) -> Result<Comparison, SchemaError> {
    for name in files {
        if !old.file.iter().chain(&new.file).any(|file| file.name() == name) {
            return Err(SchemaError::NoFile(name.clone()));
        }
    }
    let (old_index, new_index) = (Index::of(old)?, Index::of(new)?);
    let scope = Scope::of(old, &old_index, &new_index, files);
    let mut check = Check::new(level, &old_index, &new_index);
    check.packages(&old.file, &new.file, &scope);
    check.services(&scope);
    check.messages(&scope);
    check.extensions(&scope);
    check.enums(&scope);
    check.renamed();
    check.found.sort();
    check.notes.sort();
    Ok(Comparison { breaking: check.found, notes: check.notes })
}

struct Check<'a> {
    level: Level,
    old: &'a Index<'a>,
    new: &'a Index<'a>,
    /// The file of the compared declaration.
    file: String,
    found: Vec<Breaking>,
    notes: Vec<Note>,
    /// The uses of types that have another name in the new schema.
    renamed: Vec<Renamed>,
}

impl<'a> Check<'a> {
    fn new(level: Level, old: &'a Index<'a>, new: &'a Index<'a>) -> Self {
        let (found, notes, renamed) = (Vec::new(), Vec::new(), Vec::new());
        Self { level, old, new, file: String::new(), found, notes, renamed }
    }

    fn report(&mut self, rule: Rule, element: &str, message: String) {
        if rule.is_of(self.level) {
            let (file, element) = (self.file.clone(), element.to_owned());
            self.found.push(Breaking { file, element, rule, message });
        }
    }

    /// Reports a rule unless both sides are the same.
    fn same<T: PartialEq>(
        &mut self,
        rule: Rule,
        element: &str,
        (old, new): (T, T),
        message: impl FnOnce(T, T) -> String,
    ) {
        if old != new {
            let message = message(old, new);
            self.report(rule, element, message);
        }
    }

    fn packages(
        &mut self,
        old: &[FileDescriptorProto],
        new: &[FileDescriptorProto],
        scope: &Scope<'_>,
    ) {
        for before in old.iter().filter(|file| scope.has_file(file.name())) {
            let Some(after) = new.iter().find(|file| file.name == before.name) else { continue };
            self.file = after.name().to_owned();
            let packages = (before.package(), after.package());
            self.same(Rule::FileSamePackage, after.name(), packages, |old, new| {
                format!("the package changed from `{old}` to `{new}`")
            });
        }
    }

    fn json_format(
        &mut self,
        rule: Rule,
        name: &str,
        old: &FileDescriptorProto,
        new: &FileDescriptorProto,
    ) {
        // proto2 guarantees less about its JSON, so a change to proto3 is compatible.
        if crate::fields::is_proto3(old) && !crate::fields::is_proto3(new) {
            self.report(
                rule,
                name,
                "its JSON is no longer defined: it is in proto2 now".to_owned(),
            );
        }
    }
}
