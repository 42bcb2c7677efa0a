//! The types of google.protobuf.
//!
//! Their descriptor files are built here, because prost has the types but not the descriptors.

use super::{
    Described, DescribedOneof, Field, Item, Label, MessageBuilder, Scalar, SchemaBuilder, TypeName,
};
use crate::codegen::wkt;

const PACKAGE: Option<&str> = Some("google.protobuf");

impl Described for () {
    fn describe(schemas: &mut SchemaBuilder) -> TypeName {
        schemas.known::<Self>("empty", "Empty", |_| {})
    }
}

impl Described for prost_types::Timestamp {
    fn describe(schemas: &mut SchemaBuilder) -> TypeName {
        schemas.known::<Self>("timestamp", "Timestamp", seconds_and_nanos)
    }
}

impl Described for prost_types::Duration {
    fn describe(schemas: &mut SchemaBuilder) -> TypeName {
        schemas.known::<Self>("duration", "Duration", seconds_and_nanos)
    }
}

fn seconds_and_nanos(message: &mut MessageBuilder<'_>) {
    message.scalar(&Field::new("seconds", 1, Label::Implicit), Scalar::Int64);
    message.scalar(&Field::new("nanos", 2, Label::Implicit), Scalar::Int32);
}

/// The wrappers: one field, `value`.
macro_rules! wrappers {
    ($($name:ident = $scalar:ident,)*) => {$(
        impl Described for wkt::$name {
            fn describe(schemas: &mut SchemaBuilder) -> TypeName {
                schemas.known::<Self>("wrappers", stringify!($name), |message| {
                    message.scalar(&Field::new("value", 1, Label::Implicit), Scalar::$scalar);
                })
            }
        }
    )*};
}

wrappers! {
    DoubleValue = Double,
    FloatValue = Float,
    Int64Value = Int64,
    UInt64Value = Uint64,
    Int32Value = Int32,
    UInt32Value = Uint32,
    BoolValue = Bool,
    StringValue = String,
    BytesValue = Bytes,
}

impl Described for prost_types::Any {
    fn describe(schemas: &mut SchemaBuilder) -> TypeName {
        schemas.known::<Self>("any", "Any", |message| {
            message.scalar(&Field::new("type_url", 1, Label::Implicit), Scalar::String);
            message.scalar(&Field::new("value", 2, Label::Implicit), Scalar::Bytes);
        })
    }
}

impl Described for prost_types::FieldMask {
    fn describe(schemas: &mut SchemaBuilder) -> TypeName {
        schemas.known::<Self>("field_mask", "FieldMask", |message| {
            message.scalar(&Field::new("paths", 1, Label::Repeated), Scalar::String);
        })
    }
}

impl Described for prost_types::Struct {
    fn describe(schemas: &mut SchemaBuilder) -> TypeName {
        schemas.known::<Self>("struct", "Struct", |message| {
            let fields = Field::new("fields", 1, Label::Repeated);
            message.named_map::<prost_types::Value>(&fields, Scalar::String);
        })
    }
}

impl Described for prost_types::Value {
    fn describe(schemas: &mut SchemaBuilder) -> TypeName {
        schemas.known::<Self>("struct", "Value", |message| {
            message.oneof::<prost_types::value::Kind>("kind", &[]);
        })
    }
}

impl DescribedOneof for prost_types::value::Kind {
    fn describe_fields(message: &mut MessageBuilder<'_>) {
        let field = |name, number| Field::new(name, number, Label::Implicit);
        message.named::<prost_types::NullValue>(&field("null_value", 1));
        message.scalar(&field("number_value", 2), Scalar::Double);
        message.scalar(&field("string_value", 3), Scalar::String);
        message.scalar(&field("bool_value", 4), Scalar::Bool);
        message.named::<prost_types::Struct>(&field("struct_value", 5));
        message.named::<prost_types::ListValue>(&field("list_value", 6));
    }
}

impl Described for prost_types::ListValue {
    fn describe(schemas: &mut SchemaBuilder) -> TypeName {
        schemas.known::<Self>("struct", "ListValue", |message| {
            let values = Field::new("values", 1, Label::Repeated);
            message.named::<prost_types::Value>(&values);
        })
    }
}

impl Described for prost_types::NullValue {
    fn describe(schemas: &mut SchemaBuilder) -> TypeName {
        let name = TypeName::Enumeration(".google.protobuf.NullValue".to_owned());
        if let Some(known) = schemas.came::<Self>(name) {
            return known;
        }
        let item = Item { package: PACKAGE, ..Item::new("NullValue") };
        schemas.enumeration_in::<Self>("google/protobuf/struct.proto", &item, |values| {
            values.value("NULL_VALUE", 0, &[]);
        })
    }
}

impl SchemaBuilder {
    fn known<T: 'static>(
        &mut self,
        file: &str,
        name: &'static str,
        fill: impl FnOnce(&mut MessageBuilder<'_>),
    ) -> TypeName {
        let known = TypeName::Message(format!(".google.protobuf.{name}"));
        if let Some(known) = self.came::<T>(known) {
            return known;
        }
        let item = Item { package: PACKAGE, ..Item::new(name) };
        self.message_in::<T>(&format!("google/protobuf/{file}.proto"), &item, fill)
    }
}
