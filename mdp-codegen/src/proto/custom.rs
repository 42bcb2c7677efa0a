//! Reads custom options, with the declarations of their values.

use protox::prost_reflect::{
    self as reflect, DescriptorPool, DynamicMessage, ExtensionDescriptor, Kind, MapKey,
};

use super::options;
use crate::model::{CustomOption, Value};

/// The custom options of all files.
pub(super) struct Custom<'a> {
    /// `None`: no file declares any.
    pool: Option<&'a DescriptorPool>,
}

impl<'a> Custom<'a> {
    pub(super) fn of(pool: &'a DescriptorPool) -> Self {
        let declares = pool.all_extensions().any(|of| !is_ours(&of));
        Self { pool: declares.then_some(pool) }
    }

    pub(super) fn file(&self, name: &str) -> Vec<CustomOption> {
        let file = self.pool.and_then(|pool| pool.get_file_by_name(name));
        file.map_or_else(Vec::new, |file| custom(&file.options()))
    }

    pub(super) fn service(&self, full_name: &str) -> Vec<CustomOption> {
        let service = self.pool.and_then(|pool| pool.get_service_by_name(full_name));
        service.map_or_else(Vec::new, |service| custom(&service.options()))
    }

    pub(super) fn method(&self, service: &str, number: usize) -> Vec<CustomOption> {
        let service = self.pool.and_then(|pool| pool.get_service_by_name(service));
        let method = service.and_then(|service| service.methods().nth(number));
        method.map_or_else(Vec::new, |method| custom(&method.options()))
    }
}

/// The option with a meaning here is no custom one.
fn is_ours(extension: &ExtensionDescriptor) -> bool {
    options::is_option(
        extension.full_name(),
        extension.number(),
        extension.containing_message().full_name(),
    )
}

fn custom(options: &DynamicMessage) -> Vec<CustomOption> {
    let extensions = options.extensions().filter(|(extension, _)| !is_ours(extension));
    extensions
        .map(|(extension, of)| {
            CustomOption::new(
                extension.full_name(),
                extension.number(),
                value(of, &extension.kind()),
            )
        })
        .collect()
}

fn value(value: &reflect::Value, kind: &Kind) -> Value {
    match value {
        reflect::Value::Bool(value) => Value::Bool(*value),
        reflect::Value::I32(value) => Value::Int((*value).into()),
        reflect::Value::I64(value) => Value::Int(*value),
        reflect::Value::U32(value) => Value::Uint((*value).into()),
        reflect::Value::U64(value) => Value::Uint(*value),
        reflect::Value::F32(value) => Value::Float((*value).into()),
        reflect::Value::F64(value) => Value::Float(*value),
        reflect::Value::String(value) => Value::String(value.clone()),
        reflect::Value::Bytes(value) => Value::Bytes(value.to_vec()),
        reflect::Value::EnumNumber(number) => Value::Enum {
            name: kind.as_enum().and_then(|of| Some(of.get_value(*number)?.name().to_owned())),
            number: *number,
        },
        reflect::Value::Message(message) => Value::Message(fields(message)),
        reflect::Value::List(values) => {
            Value::List(values.iter().map(|value| self::value(value, kind)).collect())
        }
        reflect::Value::Map(values) => {
            let of = kind.as_message().map(|entry| entry.map_entry_value_field().kind());
            let mut entries: Vec<_> = values.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries = entries.into_iter();
            let of = of.as_ref().unwrap_or(kind);
            Value::Map(
                entries.map(|(key, value)| (self::key(key), self::value(value, of))).collect(),
            )
        }
    }
}

fn key(key: &MapKey) -> Value {
    match key {
        MapKey::Bool(key) => Value::Bool(*key),
        MapKey::I32(key) => Value::Int((*key).into()),
        MapKey::I64(key) => Value::Int(*key),
        MapKey::U32(key) => Value::Uint((*key).into()),
        MapKey::U64(key) => Value::Uint(*key),
        MapKey::String(key) => Value::String(key.clone()),
    }
}

/// The fields of a message, and its extensions behind them, whose names stand in brackets as in the text format.
fn fields(message: &DynamicMessage) -> Vec<(String, Value)> {
    let fields = message.fields();
    let fields = fields.map(|(field, of)| (field.name().to_owned(), value(of, &field.kind())));
    let extensions = message.extensions();
    let extensions = extensions
        .map(|(field, of)| (format!("[{}]", field.full_name()), value(of, &field.kind())));
    fields.chain(extensions).collect()
}
