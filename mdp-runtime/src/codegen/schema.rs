//! Builds schemas from Rust code: the generated code of records and services describes itself.
//!
//! A record implements [`Described`]. An enum with data is a oneof and implements [`DescribedOneof`]. The derive macro
//! emits code like this:
//!
//! ```
//! use mdp_runtime::codegen::{Described, DescribedOneof, Field, Item, Label, MessageBuilder, Scalar};
//! use mdp_runtime::codegen::{SchemaBuilder, TypeName};
//!
//! struct LoginRequest;
//! struct Device;
//! enum Role {}
//! enum Contact {}
//!
//! impl Described for LoginRequest {
//!     fn describe(schemas: &mut SchemaBuilder) -> TypeName {
//!         const ITEM: Item = Item { docs: &[" Who comes in."], ..Item::new("LoginRequest") };
//!         schemas.message::<Self>(&ITEM, |message| {
//!             message.scalar(&Field::new("user", 1, Label::Implicit), Scalar::String);
//!             message.scalar(&Field::new("nick", 2, Label::Optional), Scalar::String);
//!             message.scalar(&Field::new("ids", 3, Label::Repeated), Scalar::Sint64);
//!             // Another record or an enum; which of the two it is, its type knows.
//!             message.named::<Device>(&Field::new("devices", 4, Label::Repeated));
//!             message.named::<Role>(&Field::new("role", 5, Label::Implicit));
//!             message.scalar_map(&Field::new("tags", 6, Label::Repeated), Scalar::String, Scalar::Bytes);
//!             message.named_map::<Role>(&Field::new("roles", 7, Label::Repeated), Scalar::Int32);
//!             message.oneof::<Contact>("contact", &[]);
//!             message.reserved(12, 15); // both ends included
//!             message.reserved_name("old");
//!         })
//!     }
//! }
//!
//! impl DescribedOneof for Contact {
//!     fn describe_fields(message: &mut MessageBuilder<'_>) {
//!         message.scalar(&Field::new("mail", 8, Label::Implicit), Scalar::String);
//!         message.named::<Device>(&Field::new("push", 9, Label::Implicit));
//!     }
//! }
//! # impl Described for Device {
//! #     fn describe(schemas: &mut SchemaBuilder) -> TypeName {
//! #         schemas.message::<Self>(&Item { package: Some("common.v1"), ..Item::new("Device") }, |_| {})
//! #     }
//! # }
//!
//! impl Described for Role {
//!     fn describe(schemas: &mut SchemaBuilder) -> TypeName {
//!         schemas.enumeration::<Self>(&Item::new("Role"), |values| {
//!             values.value("ROLE_UNKNOWN", 0, &[]);
//!             values.value("ROLE_ADMIN", 1, &[" May do all."]);
//!             values.reserved(7, 7);
//!         })
//!     }
//! }
//! ```
//!
//! The attribute on a trait emits this code as the body of `auth_service::schema()`:
//!
//! ```
//! use mdp_runtime::codegen::{Idempotency, Item, MethodItem, SchemaBuilder};
//!
//! let schema = SchemaBuilder::service("auth.v1", &Item::new("Auth"), |service| {
//!     service.method::<(), ()>(&MethodItem {
//!         idempotency: Idempotency::NoSideEffects,
//!         docs: &[" Nothing in, nothing out."],
//!         ..MethodItem::new("Ping")
//!     });
//! });
//! assert_eq!(schema.service(), Some("auth.v1.Auth"));
//! ```

mod embedded;
mod known;
mod message;

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap, HashSet};

use prost_types::field_descriptor_proto::Type;
use prost_types::method_options::IdempotencyLevel;
use prost_types::source_code_info::Location;
use prost_types::{
    DescriptorProto, FileDescriptorProto, MethodDescriptorProto, MethodOptions,
    ServiceDescriptorProto, ServiceOptions, SourceCodeInfo,
};

pub use embedded::{Descriptors, embedded_schema, no_schema};
pub use mdp_schema::Schema;
pub use message::{EnumBuilder, MessageBuilder};

use super::Idempotency;

/// A type that a schema can name: a message or an enum.
///
/// `#[derive(MdpRecord)]` implements this trait, and so does `mdp-codegen` for types from `.proto` files. The runtime
/// implements it for `()`, which is `google.protobuf.Empty`, and for those well-known types of prost that are separate
/// structs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no schema",
    label = "a schema cannot describe this type",
    note = "derive `MdpRecord` for it, or use a type that derives it",
    note = "in a service: for an argument that is no record write `#[mdp(1)]` before it, and for such a reply \
            `#[mdp(value)]` above the method"
)]
pub trait Described: 'static {
    /// Adds the type and all types that it uses, and returns the type's full name.
    fn describe(schemas: &mut SchemaBuilder) -> TypeName;
}

/// An enum with data: a oneof. Its fields belong to the message that contains the oneof.
pub trait DescribedOneof: 'static {
    /// Adds the fields of the oneof to the message, with [`Label::Implicit`].
    fn describe_fields(message: &mut MessageBuilder<'_>);
}

impl<T: Described> Described for Box<T> {
    fn describe(schemas: &mut SchemaBuilder) -> TypeName {
        T::describe(schemas)
    }
}

impl<T: DescribedOneof> DescribedOneof for Box<T> {
    fn describe_fields(message: &mut MessageBuilder<'_>) {
        T::describe_fields(message);
    }
}

/// Returns the schema of a record or an enum: its descriptors, and those of all types that it uses.
///
/// Types without a package of their own get `package`, which may be empty.
///
/// ```
/// let schema = mdp_runtime::record_schema::<()>("auth.v1");
/// assert_eq!(schema.descriptors().file.len(), 1);
/// ```
pub fn record_schema<T: Described + ?Sized>(package: &str) -> Schema {
    SchemaBuilder::of::<T>(package)
}

/// The full name of a type, with a leading dot: `.auth.v1.LoginRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeName {
    /// A message.
    Message(String),
    /// An enum.
    Enumeration(String),
}

impl TypeName {
    /// Returns the full name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Message(name) | Self::Enumeration(name) => name,
        }
    }

    fn kind(&self) -> Type {
        match self {
            Self::Message(_) => Type::Message,
            Self::Enumeration(_) => Type::Enum,
        }
    }
}

/// The properties of a declaration.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// The name in the schema, without a package: `LoginRequest`.
    pub name: &'static str,
    /// The package, if the declaration has one. Otherwise the declaration belongs to the service's package.
    pub package: Option<&'static str>,
    /// Lines of documentation, each with the text after `///`.
    pub docs: &'static [&'static str],
    /// Whether the declaration is deprecated.
    pub deprecated: bool,
}

impl Item {
    /// Makes an item with a name only.
    pub const fn new(name: &'static str) -> Self {
        Self { name, package: None, docs: &[], deprecated: false }
    }
}

/// The properties of a field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name in the schema, for instance `user_id`.
    pub name: &'static str,
    /// The number on the wire.
    pub number: i32,
    /// How often the field may occur.
    pub label: Label,
    /// Lines of documentation, each with the text after `///`.
    pub docs: &'static [&'static str],
    /// Whether the field is deprecated.
    pub deprecated: bool,
    /// Whether the numbers of a list are written one by one, each with its key.
    pub unpacked: bool,
}

impl Field {
    /// Makes a field without documentation.
    pub const fn new(name: &'static str, number: i32, label: Label) -> Self {
        Self { name, number, label, docs: &[], deprecated: false, unpacked: false }
    }
}

/// How often a field may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Once. A value that equals the type's zero value is not written. Message fields and the fields of a oneof have
    /// this label.
    Implicit,
    /// Once or not at all, and the receiver sees the difference: `optional`. For a message this is the same as
    /// `Implicit`.
    Optional,
    /// Any number of times. Numbers are packed.
    Repeated,
}

/// The scalar types of protobuf, which have no name of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are called as in protobuf")]
pub enum Scalar {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
}

impl Scalar {
    fn kind(self) -> Type {
        match self {
            Self::Double => Type::Double,
            Self::Float => Type::Float,
            Self::Int32 => Type::Int32,
            Self::Int64 => Type::Int64,
            Self::Uint32 => Type::Uint32,
            Self::Uint64 => Type::Uint64,
            Self::Sint32 => Type::Sint32,
            Self::Sint64 => Type::Sint64,
            Self::Fixed32 => Type::Fixed32,
            Self::Fixed64 => Type::Fixed64,
            Self::Sfixed32 => Type::Sfixed32,
            Self::Sfixed64 => Type::Sfixed64,
            Self::Bool => Type::Bool,
            Self::String => Type::String,
            Self::Bytes => Type::Bytes,
        }
    }
}

/// The properties of a method, except its messages.
#[derive(Clone, Copy, Debug)]
pub struct MethodItem {
    /// The name on the wire, for instance `WhoAmI`.
    pub name: &'static str,
    /// Lines of documentation, each with the text after `///`.
    pub docs: &'static [&'static str],
    /// Whether the method may run more than once.
    pub idempotency: Idempotency,
    /// Whether the method is deprecated.
    pub deprecated: bool,
    /// Whether requests stream.
    pub client_streaming: bool,
    /// Whether replies stream.
    pub server_streaming: bool,
}

impl MethodItem {
    /// Makes a method with one request, one reply, and unknown idempotency.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            docs: &[],
            idempotency: Idempotency::Unknown,
            deprecated: false,
            client_streaming: false,
            server_streaming: false,
        }
    }
}

/// Collects descriptors, one file for each package.
///
/// If two different types have the same name, both stay in the schema. The error appears when the schema is used:
/// [`Schema::hash`] returns it.
#[derive(Debug)]
pub struct SchemaBuilder {
    /// The package of types without a package of their own.
    package: String,
    /// The files, by name.
    files: BTreeMap<String, FileDescriptorProto>,
    /// Types that are described, or are being described: a record may contain itself.
    known: HashMap<TypeId, TypeName>,
    /// The full names of types from generated code and of google.protobuf. These types may be added again, by the code
    /// of another package or crate.
    embedded: HashSet<String>,
}

impl SchemaBuilder {
    /// Makes a builder. Types without a package of their own get `package`, which may be empty.
    pub fn new(package: &str) -> Self {
        Self {
            package: package.to_owned(),
            files: BTreeMap::new(),
            known: HashMap::new(),
            embedded: HashSet::new(),
        }
    }

    /// Builds the schema of a service and of all types that it uses.
    pub fn service(
        package: &str,
        item: &Item,
        fill: impl FnOnce(&mut ServiceBuilder<'_>),
    ) -> Schema {
        let mut schemas = Self::new(package);
        let service = ServiceDescriptorProto {
            name: Some(item.name.to_owned()),
            options: item
                .deprecated
                .then(|| ServiceOptions { deprecated: Some(true), ..ServiceOptions::default() }),
            ..ServiceDescriptorProto::default()
        };
        let mut builder =
            ServiceBuilder { schemas: &mut schemas, service, comments: Comments::of(item.docs) };
        fill(&mut builder);
        let ServiceBuilder { service, comments, .. } = builder;
        let file = schemas.file(&file_name(package), package);
        comments.place(&[SERVICES, 0], file);
        file.service.push(service);
        Schema::of_service(full_name(package, item.name), schemas.finish())
    }

    /// Builds the schema of one record or enum, and of all types that it uses.
    pub fn of<T: Described + ?Sized>(package: &str) -> Schema {
        let mut schemas = Self::new(package);
        let _ = T::describe(&mut schemas);
        Schema::of_files(schemas.finish())
    }

    /// Adds a message, unless `T` is known already. Returns the message's name.
    pub fn message<T: 'static + ?Sized>(
        &mut self,
        item: &Item,
        fill: impl FnOnce(&mut MessageBuilder<'_>),
    ) -> TypeName {
        self.message_in::<T>(&self.file_of(item), item, fill)
    }

    /// Adds an enum, unless `T` is known already. Returns the enum's name.
    pub fn enumeration<T: 'static + ?Sized>(
        &mut self,
        item: &Item,
        fill: impl FnOnce(&mut EnumBuilder),
    ) -> TypeName {
        self.enumeration_in::<T>(&self.file_of(item), item, fill)
    }

    fn message_in<T: 'static + ?Sized>(
        &mut self,
        file: &str,
        item: &Item,
        fill: impl FnOnce(&mut MessageBuilder<'_>),
    ) -> TypeName {
        let key = TypeId::of::<T>();
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let package = self.package_of(item);
        let name = format!(".{}", full_name(&package, item.name));
        self.known.insert(key, TypeName::Message(name.clone()));
        // The index is reserved now, so that the types have the order of their first use.
        let messages = &mut self.file(file, &package).message_type;
        let place = messages.len();
        messages.push(DescriptorProto::default());
        let filled = MessageBuilder::new(self, &name, item).fill(fill);
        message::place(filled, place, self.file(file, &package));
        TypeName::Message(name)
    }

    fn enumeration_in<T: 'static + ?Sized>(
        &mut self,
        file: &str,
        item: &Item,
        fill: impl FnOnce(&mut EnumBuilder),
    ) -> TypeName {
        let key = TypeId::of::<T>();
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let package = self.package_of(item);
        let name = TypeName::Enumeration(format!(".{}", full_name(&package, item.name)));
        self.known.insert(key, name.clone());
        let mut builder = EnumBuilder::new(item);
        fill(&mut builder);
        builder.place(item, self.file(file, &package));
        name
    }

    fn package_of(&self, item: &Item) -> String {
        item.package.unwrap_or(&self.package).to_owned()
    }

    fn file_of(&self, item: &Item) -> String {
        file_name(item.package.unwrap_or(&self.package))
    }

    fn file(&mut self, name: &str, package: &str) -> &mut FileDescriptorProto {
        self.files.entry(name.to_owned()).or_insert_with(|| FileDescriptorProto {
            name: Some(name.to_owned()),
            package: (!package.is_empty()).then(|| package.to_owned()),
            syntax: Some("proto3".to_owned()),
            ..FileDescriptorProto::default()
        })
    }

    fn finish(self) -> Vec<FileDescriptorProto> {
        self.files.into_values().collect()
    }
}

/// Collects the methods of a service.
#[derive(Debug)]
pub struct ServiceBuilder<'a> {
    schemas: &'a mut SchemaBuilder,
    service: ServiceDescriptorProto,
    comments: Comments,
}

impl ServiceBuilder<'_> {
    /// Adds a method with the types of its requests and replies.
    pub fn method<I: Described, O: Described>(&mut self, item: &MethodItem) {
        let level = match item.idempotency {
            Idempotency::Unknown => None,
            Idempotency::NoSideEffects => Some(IdempotencyLevel::NoSideEffects),
            Idempotency::Idempotent => Some(IdempotencyLevel::Idempotent),
        };
        let options = (item.deprecated || level.is_some()).then(|| MethodOptions {
            deprecated: item.deprecated.then_some(true),
            idempotency_level: level.map(i32::from),
            ..MethodOptions::default()
        });
        self.comments.add(&[METHODS, index(self.service.method.len())], item.docs);
        self.service.method.push(MethodDescriptorProto {
            name: Some(item.name.to_owned()),
            input_type: Some(I::describe(self.schemas).as_str().to_owned()),
            output_type: Some(O::describe(self.schemas).as_str().to_owned()),
            options,
            client_streaming: item.client_streaming.then_some(true),
            server_streaming: item.server_streaming.then_some(true),
        });
    }
}

/// The field numbers of descriptor.proto, which form the paths of comments.
const MESSAGES: i32 = 4;
const ENUMS: i32 = 5;
const SERVICES: i32 = 6;
const METHODS: i32 = 2;

/// The comments of a declaration and of its parts, by their paths within the declaration.
#[derive(Debug, Default)]
struct Comments(Vec<(Vec<i32>, String)>);

impl Comments {
    fn of(docs: &[&str]) -> Self {
        let mut comments = Self::default();
        comments.add(&[], docs);
        comments
    }

    fn add(&mut self, place: &[i32], docs: &[&str]) {
        if !docs.is_empty() {
            let text = docs.iter().flat_map(|line| [*line, "\n"]).collect();
            self.0.push((place.to_vec(), text));
        }
    }

    /// Adds the comments to the file, where the declaration's path is known now.
    fn place(self, at: &[i32], file: &mut FileDescriptorProto) {
        if self.0.is_empty() {
            return;
        }
        let info = file.source_code_info.get_or_insert_with(SourceCodeInfo::default);
        info.location.extend(self.0.into_iter().map(|(below, text)| Location {
            path: [at, below.as_slice()].concat(),
            // There is no source file, but a span must have at least three numbers.
            span: vec![0, 0, 0],
            leading_comments: Some(text),
            ..Location::default()
        }));
    }
}

fn full_name(package: &str, name: &str) -> String {
    if package.is_empty() { name.to_owned() } else { format!("{package}.{name}") }
}

/// The file of a package: `auth.v1` is in `auth/v1/auth.proto`. The file's name is the last part of the package that is
/// not a version.
fn file_name(package: &str) -> String {
    if package.is_empty() {
        return "schema.proto".to_owned();
    }
    let is_version = |part: &&str| {
        part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let stem = package.rsplit('.').find(|part| !is_version(part)).unwrap_or("schema");
    format!("{}/{stem}.proto", package.replace('.', "/"))
}

/// An index in a list. No source has two thousand million declarations, so the conversion loses nothing.
fn index(place: usize) -> i32 {
    i32::try_from(place).unwrap_or(i32::MAX)
}
