//! The attribute front end: services and records declared in Rust, without a `.proto` file.
//!
//! `mdp-runtime` exports these macros, behind its feature `macros`, which is on by default; no crate needs to depend on
//! this one. This page describes how to use the macros; the runtime's documentation describes the generated items.

mod record;
mod service;

use proc_macro::TokenStream;

/// Generates a client and a worker from a trait, the same as `mdp-codegen` generates from a service in a `.proto` file.
///
/// # What it makes
///
/// For a trait `Greeter` the macro generates the modules `greeter_client`, `greeter_worker` and `greeter_service` next
/// to the trait. It imports `GreeterClient`, `Greeter` and `GreeterWorker` from them. `Greeter` is the trait to
/// implement, with plain `async fn`s whose futures are `Send`. A worker serves `GreeterWorker::new(..)`.
/// `GreeterClient` has one method for each method of the trait. All items are as visible as the trait. The trait must
/// be in a module, not in the body of a function.
///
/// `Arc<T>` of an implementation implements `Greeter`, too, and so do `GreeterClient`, whose methods make calls, and
/// `DynGreeter`, in the module `greeter_dyn`, which holds any implementation. There is no implementation for the client
/// if a method has an error other than `Status`.
///
/// # Methods
///
/// `async fn name(&self, cx: &CallContext, req: Record) -> Result<Record, Status>`. Context and request may be left
/// out; without a request an empty message is sent. A record is a type that derives `MdpRecord`, or `()`. On the wire a
/// method's name is in upper camel case: `WhoAmI` for `who_am_i`.
///
/// In place of a request there may be several arguments, or one of a type that is no record, such as `u64` or
/// `Option<String>`. They are fields of a record that the macro declares: `ItemsGetRequest` for the method `get` of
/// `Items`. Their numbers are their places, from 1, unless an argument has one: `#[mdp(4)] limit: u32`. All arguments
/// of fields may stand there. A reply that is no record is the field `value` of `ItemsGetReply`. The macro knows Rust's
/// own types by name. Before an argument of another type that is no record, an enum without data for instance, write
/// `#[mdp(1)]`; for such a reply write `#[mdp(value)]` above the method.
///
/// ```ignore
/// async fn get(&self, id: u64, tag: Option<String>) -> Result<Vec<Item>, Status>;
/// ```
///
/// The error may be a type `E` with `impl From<E> for Status`, or that of an alias: `Result<Reply>`.
///
/// A method with a body may be left out by an implementation. One with `#[mdp(optional)]` may be, too, and answers
/// UNIMPLEMENTED then.
///
/// A handler that blocks its thread, for example by a long computation or by reading files, is a plain `fn`, with
/// `#[mdp(blocking)]` above it in the trait:
///
/// ```ignore
/// #[mdp(blocking)]
/// fn hash(&self, cx: &CallContext, req: HashRequest) -> Result<HashReply, Status>;
/// ```
///
/// The handler runs on a thread of tokio's `spawn_blocking`. A runtime has 512 such threads by default. Further calls
/// wait for a thread. In such a handler `.wait()` makes calls, which end with the handler's deadline. A thread cannot
/// be stopped: a call that is over ends for its caller, but counts for the worker's capacity until its handler returns.
/// A long handler should check `cx.is_cancelled()` from time to time. A blocking method has one request and one reply.
///
/// Documentation, `#[cfg(..)]` and `#[deprecated]` on the trait and on its methods are copied to the generated items.
///
/// # Streams
///
/// | requests | replies | written |
/// |---|---|---|
/// | one | many | `async fn watch(&self, req: Watch) -> Result<impl Stream<Item = Result<Event, Status>>, Status>` |
/// | many | one | `async fn upload(&self, requests: Streaming<Chunk>) -> Result<Summary, Status>` |
/// | many | many | `async fn chat(&self, requests: Streaming<Line>) -> Result<impl Stream<Item = Result<Line, Status>>, Status>` |
///
/// `Streaming` and `Stream` are the runtime's types. A context comes before the requests, as before a single request.
/// An implementation has the same signature, and may return any stream that is `Send`. The stream may borrow from
/// `self` and from the context. Two rules of Rust matter there:
///
/// - Write `impl Stream<..>` in the implementation, too. With the stream's own type the signature promises more than
///   the trait, and the compiler warns (`refining_impl_trait`).
/// - A boxed stream, `Pin<Box<dyn Stream<..> + Send + '_>>`, has one lifetime. It may borrow from `self` or from the
///   context, but not from both ("captures lifetime that does not appear in bounds"). Clone the context in this case;
///   this is cheap.
///
/// # Arguments
///
/// On the trait, `#[mdp_service(..)]`:
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `package = "greet.v1"` | the package before the service's name | no package |
/// | `name = "Greeter"` | the service's name on the wire | the trait's |
/// | `timeout_ms = 500` | the `timeout_ms` of all methods without their own | the client's |
/// | `deprecated` | the same as `#[deprecated]` | no |
/// | `crate = some::path` | the path of the runtime, if it is not `mdp_runtime` | `::mdp_runtime` |
///
/// On a method, `#[mdp(..)]`:
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `rename = "WhoIs"` | the method's name on the wire | its own in upper camel case |
/// | `no_side_effects` | the method only reads, so a call may be made again if its worker is lost | no |
/// | `idempotent` | a second run changes nothing more, so a call may be made again | no |
/// | `timeout_ms = 500` | the time in milliseconds that a caller waits unless it sets another one | the client's |
/// | `retry_attempts = 3` | the number of attempts of a call, the first one included, where a retry is safe; 1 to 100; not for streams | the client's |
/// | `blocking` | the handler blocks its thread, and is a plain `fn` | no |
/// | `detach` | the handler runs to its end even if the call is over, see below | no |
/// | `value` | the reply is a value and no record | for Rust's own types |
/// | `optional` | an implementation may leave the method out, and answers UNIMPLEMENTED then | no |
/// | `deprecated` | the same as `#[deprecated]` | no |
///
/// # A call that is over before its handler
///
/// When a call is cancelled, its time is up or the session with the broker is lost, its handler is dropped and its
/// place in the worker's capacity is free. With `#[mdp(detach)]` the handler runs to its end and keeps its place until
/// then. So its work is complete even if no caller waits for it. The handler learns of the end from `cx.is_cancelled()`
/// and `cx.cancelled()`. Its reply is dropped, its stream of requests ends with an error, and its stream of replies is
/// dropped with the next reply. A stream of replies that may wait for long must check for cancellation itself. Calls
/// that the handler makes keep its deadline, except those that are `.detached()`. A worker that is shut down waits for
/// the handler as for all other handlers, within its grace period.
///
/// # Errors
///
/// All mistakes of a trait are shown at once, each at its place.
#[proc_macro_attribute]
pub fn mdp_service(args: TokenStream, item: TokenStream) -> TokenStream {
    service::expand(args.into(), item.into()).into()
}

/// Makes a struct a protobuf message, an enum without data a protobuf enum, and an enum with data a oneof or a message
/// with one. A struct around one value, such as `struct UserId(String)`, is that value.
///
/// ```ignore
/// use std::collections::BTreeMap;
///
/// use mdp_runtime::MdpRecord;
///
/// /// Who comes in.
/// #[derive(MdpRecord, Clone, Debug, PartialEq)]
/// #[mdp(reserved(4, 6..=9, "nick"))]
/// pub struct Account {
///     #[mdp(1)]
///     pub name: String,
///     #[mdp(2, sint32)]
///     pub utc_offset: Option<i32>,
///     #[mdp(3)]
///     pub labels: BTreeMap<String, String>,
///     #[mdp(5)]
///     pub role: Role,
///     #[mdp(10, default = 30)]
///     pub idle_seconds: u32,
///     #[mdp(oneof)]
///     pub contact: Option<Contact>,
/// }
///
/// #[derive(MdpRecord, Clone, Copy, Debug, PartialEq, Eq)]
/// pub enum Role {
///     Unspecified = 0,
///     Admin = 1,
/// }
///
/// #[derive(MdpRecord, Clone, Debug, PartialEq)]
/// pub enum Contact {
///     #[mdp(11)]
///     Mail(String),
///     #[mdp(12, fixed64)]
///     Phone(u64),
/// }
/// ```
///
/// The struct and the types of its fields do not change. The bytes are protobuf's, the same as prost writes for the
/// equivalent `.proto`, except for `-0.0`: the derive writes it, as protobuf requires; prost treats it as zero.
///
/// # What it implements
///
/// For a struct: `prost::Message` and `Default`, so methods can use it, and messages that prost generated can contain
/// it. For an enum without data: `Default`, which is the variant with number zero. For an enum with data and for a
/// struct around one value: what fields need, and no `Default`. An additional `#[derive(Default)]` of the others is an
/// error ("conflicting implementations"). Leave it out, because a field that is absent on the wire has to read as zero.
///
/// # Types
///
/// | Rust | protobuf | or, with an argument |
/// |---|---|---|
/// | `bool` | `bool` | |
/// | `i32` | `int32` | `sint32`, `sfixed32` |
/// | `i64` | `int64` | `sint64`, `sfixed64` |
/// | `u32` | `uint32` | `fixed32` |
/// | `u64` | `uint64` | `fixed64` |
/// | `f32`, `f64` | `float`, `double` | |
/// | `String`, `Box<str>`, `Arc<str>`, `Cow<'static, str>` | `string` | |
/// | `Vec<u8>`, `bytes::Bytes`, `Box<[u8]>`, `Arc<[u8]>`, `[u8; N]` | `bytes` | |
/// | `SystemTime`, `std::time::Duration` | `google.protobuf.Timestamp`, `google.protobuf.Duration` | |
/// | a struct with this derive, `Box` of one | a message, always written | |
/// | an enum without data with this derive | an enum | |
/// | `E`, an enum with data with this derive, in an `Option`, a list or a map | a message with a oneof `kind` | |
/// | `Option<E>` with `#[mdp(oneof)]` | `oneof` of the record itself | |
/// | a struct around one value with this derive | as the value | |
/// | `()`, and the other types of `mdp_runtime::wkt` | the types of `google.protobuf`; `()` is `Empty` | |
/// | `uuid::Uuid`, with the feature `uuid` of the runtime | `string` | `bytes` |
/// | `DateTime<Utc>` and `TimeDelta` of `chrono`, with the feature `chrono` | `Timestamp`, `Duration` | |
/// | `OffsetDateTime`, `UtcDateTime` and `Duration` of `time`, with the feature `time` | `Timestamp`, `Duration` | |
/// | `Option<T>` | `optional`: a zero is written, and differs from an absent value | |
/// | `Vec<T>`, `VecDeque<T>`, `HashSet<T>`, `BTreeSet<T>` | `repeated`, numbers packed | `unpacked` |
/// | `HashMap<K, V>`, `BTreeMap<K, V>` | `map` | `key = sint32`, `value = fixed64` |
///
/// An alias counts as the type that it stands for, also one of a list, a map or an `Option`. With an argument such as
/// `sint32` or `as`, an alias counts as one value. Other messages that prost generated cannot be fields, because they
/// do not describe their schema. Conversely, a record may be a field of any of them.
///
/// A time beyond protobuf's range, the years 1 to 9999, is written as the end of the range, and so is a duration of
/// more than 10,000 years. An array is absent when all its bytes are zero; bytes of another length are an error.
///
/// # Conversions
///
/// A type that is not in the table goes as one that is.
///
/// | argument | needs |
/// |---|---|
/// | `as = String` | `Display` and `FromStr` |
/// | `as = Wire`, `Wire` any other type of a field | `Clone`, `Into<Wire>` and `TryFrom<Wire>`, whose error is `Display` |
/// | `with = module` | in the module: `type Wire`, `fn to_wire(&T) -> Wire`, `fn from_wire(Wire) -> Result<T, E>`, `E: Display` |
///
/// An error of the conversion makes the whole message an error, with the name of the field. In an `Option`, a list or a
/// map each value is converted. A value is converted anew for its length and for its bytes.
///
/// An absent field reads as what the zero of `Wire` converts to; if that is an error, as the `Default` of the type. A
/// type without `Default` needs an `Option` or `default = ..`. A `Wire` that is a message and comes in several parts is
/// replaced by each, not merged.
///
/// # On a field or a variant, `#[mdp(..)]`
///
/// | argument | meaning |
/// |---|---|
/// | `1` | the number: for a field 1 to 536870911 without 19000 to 19999, for an enum's value any `i32`. An enum's number may be written after `=` instead |
/// | `sint32`, .. | the type in protobuf, if it is not the default for the Rust type |
/// | `default = 30` | an absent field reads as this value. The field is always written, and `optional` in the schema; protobuf 3 has no defaults, so other languages only see it in a comment |
/// | `rename = "self"` | the name in the schema. Default: for a field its Rust name; for an enum's value its Rust name in upper case after the enum's name: `ROLE_ADMIN` |
/// | `as = Type`, `with = module` | the value goes as another type, see above |
/// | `oneof` | the field is a oneof, and its variants have the numbers |
/// | `unpacked` | writes the numbers of a list one by one, for readers before protobuf 2.3 |
/// | `unknown` | the field, of the type `UnknownFields`, keeps fields that the record does not know, and writes them back |
/// | `other` | for an enum: the variant, for instance `Other(i32)`, holds a number without a variant. Do not store the number of another variant there |
/// | `skip` | the field is not on the wire; a decoded record has the type's `Default` there |
///
/// An enum's number without a variant goes to `other`. Without `other` it goes to the record's `unknown`. Without both
/// it reads as the variant with the number zero.
///
/// # On the item, `#[mdp(..)]`
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `reserved(5, 7..=9, "old")` | numbers and names that must not be used again; for structs and enums without data | |
/// | `package = "common.v1"` | the package in the schema; not for a struct around one value | that of the service that uses it |
/// | `name = "Account"` | the name in the schema; not for a struct around one value | its own |
/// | `crate = some::path` | the path of the runtime, if it is not `mdp_runtime` | `::mdp_runtime` |
///
/// # Errors
///
/// All mistakes of an item are shown at once, each at its place. For a missing number, the error names the next free
/// one. If a variant of a oneof has the number of a field of its record, the error appears when the record is compiled,
/// because the derive sees one item at a time.
#[proc_macro_derive(MdpRecord, attributes(mdp))]
pub fn mdp_record(item: TokenStream) -> TokenStream {
    let item = syn::parse_macro_input!(item as syn::DeriveInput);
    record::expand(&item).into()
}
