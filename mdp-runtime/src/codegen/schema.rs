//! Schemas out of Rust: what the generated code of records and services says of itself.
//!
//! A record implements [`Described`], and an enum with data, which is a oneof, [`DescribedOneof`]. What the
//! derive emits looks so:
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
//! and what the attribute on a trait emits, as the body of `auth_service::schema()`:
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

pub use mdp_schema::Schema;
pub use message::{EnumBuilder, MessageBuilder};

use super::Idempotency;

/// A type that a schema can name: a message or an enum.
///
/// `#[derive(MdpRecord)]` implements it, and `mdp-codegen` for what it generates from `.proto` files. The runtime does
/// for `()`, which is `google.protobuf.Empty`, and for those of prost's well-known types that are structs of their
/// own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no schema",
    label = "the schema cannot say what this is",
    note = "derive `MdpRecord` for it, or put a record that does in its place"
)]
pub trait Described: 'static {
    /// Adds the type, and all types that it uses, and gives its full name.
    fn describe(schemas: &mut SchemaBuilder) -> TypeName;
}

/// An enum with data: a oneof, whose fields belong to the message around it.
pub trait DescribedOneof: 'static {
    /// Adds the fields of the oneof, with [`Label::Implicit`], to the message.
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

/// The schema of a service whose descriptors are part of the generated code.
pub fn embedded_schema(service: &'static str, bytes: &'static [u8]) -> Schema {
    match Schema::from_bytes(Some(service), bytes) {
        Ok(schema) => schema,
        // The generator encoded them.
        Err(error) => unreachable!("the descriptors of {service}: {error}"),
    }
}

/// The schema of a record, or of an enum: its descriptors and those of all that it uses.
///
/// Types that name no package of their own fall into `package`, which may be empty.
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
    /// The full name.
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

/// What a declaration says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// The name in the schema, without a package: `LoginRequest`.
    pub name: &'static str,
    /// The package, if the declaration names one; otherwise it falls into that of the service.
    pub package: Option<&'static str>,
    /// Lines of documentation, each as it stands after `///`.
    pub docs: &'static [&'static str],
    /// Whether the declaration is marked as deprecated.
    pub deprecated: bool,
}

impl Item {
    /// Only a name.
    pub const fn new(name: &'static str) -> Self {
        Self { name, package: None, docs: &[], deprecated: false }
    }
}

/// What a field says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name in the schema, such as `user_id`.
    pub name: &'static str,
    /// The number on the wire.
    pub number: i32,
    /// How often it may be there.
    pub label: Label,
    /// Lines of documentation, each as it stands after `///`.
    pub docs: &'static [&'static str],
    /// Whether the field is marked as deprecated.
    pub deprecated: bool,
    /// Whether the numbers of a list are written one by one, each with its key.
    pub unpacked: bool,
}

impl Field {
    /// Without documentation.
    pub const fn new(name: &'static str, number: i32, label: Label) -> Self {
        Self { name, number, label, docs: &[], deprecated: false, unpacked: false }
    }
}

/// How often a field may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Once; one that equals its zero is not written. What a message and the fields of a oneof have.
    Implicit,
    /// Once or not at all, which is a difference: `optional`. For a message the same as `Implicit`.
    Optional,
    /// Any number of times; numbers are packed.
    Repeated,
}

/// protobuf's types without a name.
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

/// What a method says of itself, its messages aside.
#[derive(Clone, Copy, Debug)]
pub struct MethodItem {
    /// The name on the wire, such as `WhoAmI`.
    pub name: &'static str,
    /// Lines of documentation, each as it stands after `///`.
    pub docs: &'static [&'static str],
    /// Whether it may be run more than once.
    pub idempotency: Idempotency,
    /// Whether the method is marked as deprecated.
    pub deprecated: bool,
    /// Whether it takes a stream of requests.
    pub client_streaming: bool,
    /// Whether it gives a stream of replies.
    pub server_streaming: bool,
}

impl MethodItem {
    /// One request, one reply, and nothing known besides.
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

/// Gathers descriptors, one file a package.
///
/// Two different types of one name stay both, and are told when the schema is used:
/// [`Schema::hash`] has the error.
#[derive(Debug)]
pub struct SchemaBuilder {
    /// Where types without a package of their own fall.
    package: String,
    /// By name.
    files: BTreeMap<String, FileDescriptorProto>,
    /// What was described, or is being described: a record may use itself.
    known: HashMap<TypeId, TypeName>,
    /// The full names of the types that came with generated code, and of google.protobuf's. Either may come again,
    /// from another package's code or another crate's.
    embedded: HashSet<String>,
}

impl SchemaBuilder {
    /// Types without a package of their own fall into `package`, which may be empty.
    pub fn new(package: &str) -> Self {
        Self {
            package: package.to_owned(),
            files: BTreeMap::new(),
            known: HashMap::new(),
            embedded: HashSet::new(),
        }
    }

    /// The schema of a service and all that it uses.
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

    /// The schema of one record, or enum, and all that it uses.
    pub fn of<T: Described + ?Sized>(package: &str) -> Schema {
        let mut schemas = Self::new(package);
        let _ = T::describe(&mut schemas);
        Schema::of_files(schemas.finish())
    }

    /// Adds a message, unless `T` is known already, and gives its name.
    pub fn message<T: 'static + ?Sized>(
        &mut self,
        item: &Item,
        fill: impl FnOnce(&mut MessageBuilder<'_>),
    ) -> TypeName {
        self.message_in::<T>(&self.file_of(item), item, fill)
    }

    /// Adds an enum, unless `T` is known already, and gives its name.
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
        // Its place is taken now, so that types stand in the order of their first use.
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

/// Gathers the methods of a service.
#[derive(Debug)]
pub struct ServiceBuilder<'a> {
    schemas: &'a mut SchemaBuilder,
    service: ServiceDescriptorProto,
    comments: Comments,
}

impl ServiceBuilder<'_> {
    /// Adds a method, with the type of its requests and that of its replies.
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

/// The numbers of descriptor.proto's fields, of which the places of comments are made.
const MESSAGES: i32 = 4;
const ENUMS: i32 = 5;
const SERVICES: i32 = 6;
const METHODS: i32 = 2;

/// Comments of a declaration and what is in it, by their places below it.
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

    /// Moves the comments into the file, now that the declaration's place there is known.
    fn place(self, at: &[i32], file: &mut FileDescriptorProto) {
        if self.0.is_empty() {
            return;
        }
        let info = file.source_code_info.get_or_insert_with(SourceCodeInfo::default);
        info.location.extend(self.0.into_iter().map(|(below, text)| Location {
            path: [at, below.as_slice()].concat(),
            // There is no source; but a span has three numbers at least.
            span: vec![0, 0, 0],
            leading_comments: Some(text),
            ..Location::default()
        }));
    }
}

fn full_name(package: &str, name: &str) -> String {
    if package.is_empty() { name.to_owned() } else { format!("{package}.{name}") }
}

/// `auth.v1` is in `auth/v1/auth.proto`: the folders of the package, the last part that is no version.
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

/// A place in a list. No source has two thousand million declarations.
fn index(place: usize) -> i32 {
    i32::try_from(place).unwrap_or(i32::MAX)
}
