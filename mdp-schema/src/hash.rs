//! The hash of a service's contract.
//!
//! The contract is written as lines of text in a fixed order. The hash is the first 16 bytes of their SHA-256.
//! `docs/wire.md` describes the lines, so that other programs can compute the same hash.

use std::collections::{BTreeMap, BTreeSet};

use hmac_sha256::Hash;
use prost_types::method_options::IdempotencyLevel;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MethodDescriptorProto,
};

use crate::SchemaError;
use crate::fields::{Cardinality, keyword};
use crate::index::{Index, Named, entry, join};

/// The length of a [`hash`], in bytes.
pub const HASH_LEN: usize = 16;

/// Returns the identity of a service's contract.
///
/// It does not depend on the front end, the names of files, the order of declarations, comments, JSON names or the
/// syntax. It changes with the methods (name, types, streams, idempotency), and with the types that they reach: the
/// names and numbers of fields and values, types, presence, oneofs, maps, and packing.
///
/// # Errors
///
/// The set does not have the service or a type, declares a name twice, or uses an edition.
pub fn hash(set: &FileDescriptorSet, service: &str) -> Result<[u8; HASH_LEN], SchemaError> {
    let digest = Hash::hash(contract(set, service)?.as_bytes());
    let mut hash = [0; HASH_LEN];
    hash.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    Ok(hash)
}

/// Returns the lines that [`hash`] hashes.
///
/// # Errors
///
/// The errors of [`hash`].
pub fn contract(set: &FileDescriptorSet, service: &str) -> Result<String, SchemaError> {
    let index = Index::of(set)?;
    let mut lines = Lines { index: &index, text: String::new(), open: BTreeSet::new() };
    lines.line("mdp-schema 1");
    lines.service(service)?;
    lines.types()?;
    Ok(lines.text)
}

struct Lines<'a> {
    index: &'a Index<'a>,
    text: String,
    /// Types that were used and are not written yet.
    open: BTreeSet<String>,
}

impl Lines<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn service(&mut self, name: &str) -> Result<(), SchemaError> {
        let mut methods: Vec<_> = self.index.service(name)?.item.method.iter().collect();
        methods.sort_by_key(|method| method.name());
        self.line(&format!("service {name}"));
        for method in methods {
            self.method(name, method)?;
        }
        Ok(())
    }

    fn method(&mut self, service: &str, method: &MethodDescriptorProto) -> Result<(), SchemaError> {
        let name = method.name();
        let user = || format!("{service}/{name}");
        let input = self.named(method.input_type(), user)?.0;
        let output = self.named(method.output_type(), user)?.0;
        let stream = |yes| if yes { "stream " } else { "" };
        let (many, back) = (stream(method.client_streaming()), stream(method.server_streaming()));
        let level = match idempotency(method) {
            IdempotencyLevel::IdempotencyUnknown => "unknown",
            IdempotencyLevel::NoSideEffects => "no_side_effects",
            IdempotencyLevel::Idempotent => "idempotent",
        };
        self.line(&format!("rpc {name} {many}{input} {back}{output} {level}"));
        Ok(())
    }

    /// Writes all reachable types, sorted by name.
    fn types(&mut self) -> Result<(), SchemaError> {
        let mut written: BTreeMap<String, String> = BTreeMap::new();
        while let Some(name) = self.open.pop_first() {
            if written.contains_key(&name) {
                continue;
            }
            let before = std::mem::take(&mut self.text);
            if let Some(message) = self.index.messages.get(&name) {
                self.message(&name, message.file, message.item)?;
            } else if let Some(enumeration) = self.index.enums.get(&name) {
                self.enumeration(&name, enumeration.item);
            }
            let text = std::mem::replace(&mut self.text, before);
            written.insert(name, text);
        }
        self.text.extend(written.into_values());
        Ok(())
    }

    fn message(
        &mut self,
        name: &str,
        file: &FileDescriptorProto,
        message: &DescriptorProto,
    ) -> Result<(), SchemaError> {
        self.line(&format!("message {name}"));
        let mut fields: Vec<_> = message.field.iter().collect();
        fields.sort_by_key(|field| field.number());
        for field in fields {
            let kind = self.kind(name, field)?;
            let often = in_words(Cardinality::of(file, message, field));
            self.line(&format!("{} {} {kind} {often}", field.number(), field.name()));
        }
        Ok(())
    }

    fn kind(&mut self, message: &str, field: &FieldDescriptorProto) -> Result<String, SchemaError> {
        let word = keyword(field.r#type());
        if field.type_name().is_empty() {
            return Ok(word.to_owned());
        }
        let user = || join(message, field.name());
        let (full, named) = self.index.named(field.type_name(), user)?;
        let entry = match named {
            Named::Message(item) => entry(item),
            Named::Enum => None,
        };
        let Some((key, value)) = entry else {
            self.open.insert(full.to_owned());
            return Ok(format!("{word} {full}"));
        };
        Ok(format!("map {} {}", keyword(key.r#type()), self.kind(full, value)?))
    }

    fn enumeration(&mut self, name: &str, enumeration: &EnumDescriptorProto) {
        self.line(&format!("enum {name}"));
        let mut values: Vec<_> =
            enumeration.value.iter().map(|value| (value.number(), value.name())).collect();
        values.sort_unstable();
        for (number, name) in values {
            self.line(&format!("{number} {name}"));
        }
    }
}

impl<'a> Lines<'a> {
    fn named<'n>(
        &mut self,
        name: &'n str,
        user: impl Fn() -> String,
    ) -> Result<(&'n str, Named<'a>), SchemaError> {
        let found = self.index.named(name, user)?;
        self.open.insert(found.0.to_owned());
        Ok(found)
    }
}

fn in_words(cardinality: Cardinality<'_>) -> String {
    match cardinality {
        Cardinality::Implicit => "implicit".to_owned(),
        Cardinality::Optional => "optional".to_owned(),
        Cardinality::Required => "required".to_owned(),
        Cardinality::Repeated => "repeated".to_owned(),
        Cardinality::Packed => "packed".to_owned(),
        Cardinality::Oneof(name) => format!("oneof {name}"),
    }
}

pub(crate) fn idempotency(method: &MethodDescriptorProto) -> IdempotencyLevel {
    method
        .options
        .as_ref()
        .map_or(IdempotencyLevel::IdempotencyUnknown, |options| options.idempotency_level())
}
