//! The attribute front end: services and records declared in Rust, without a `.proto` file.
//!
//! `mdp-runtime` gives these macros out under its own name, behind its feature `macros`, which is on by
//! default; nobody needs to depend on this crate. What stands here is how they are called; what they make
//! is told in the runtime's documentation.

mod record;
mod service;

use proc_macro::TokenStream;

/// Makes a client and a worker of a trait, the same that `mdp-codegen` makes of a service in a `.proto` file.
///
/// # What it makes
///
/// Of a trait `Greeter` three modules beside it, `greeter_client`, `greeter_worker` and `greeter_service`, and the
/// names `GreeterClient`, `Greeter` and `GreeterWorker` out of them. `Greeter` is the trait to implement,
/// with plain `async fn`s whose futures are `Send`; `GreeterWorker::new(..)` is what a worker serves;
/// `GreeterClient` has one method a call. All of it is as visible as the trait. The trait stands in a
/// module, not in the body of a function.
///
/// # Methods
///
/// `async fn name(&self, cx: &CallContext, req: Record) -> Result<Record, Status>`. Context and request may
/// be left out; without a request an empty message travels. A record is a type that derives `MdpRecord`, or
/// `()`. A method is called in upper camel case on the wire: `WhoAmI` for `who_am_i`.
///
/// A handler that blocks its thread, as one that computes for long or reads files does, is a plain `fn` with
/// `#[mdp(blocking)]` above it, in the trait and where that is implemented:
///
/// ```ignore
/// #[mdp(blocking)]
/// fn hash(&self, cx: &CallContext, req: HashRequest) -> Result<HashReply, Status>;
/// ```
///
/// It runs on a thread of tokio's `spawn_blocking`, of which a runtime has 512 unless told otherwise; what comes then
/// waits for one. There `.wait()` makes calls, which end with the handler's deadline. A thread cannot be stopped: a call
/// that is over ends for its caller, but counts for the worker's capacity until its handler returns. A handler that takes
/// long asks `cx.is_cancelled()` from time to time. It takes one request and gives one reply.
///
/// Documentation, `#[cfg(..)]` and `#[deprecated]` on the trait and on its methods go where they belong.
///
/// # Streams
///
/// | requests | replies | written |
/// |---|---|---|
/// | one | many | `async fn watch(&self, req: Watch) -> Result<impl Stream<Item = Result<Event, Status>>, Status>` |
/// | many | one | `async fn upload(&self, requests: Streaming<Chunk>) -> Result<Summary, Status>` |
/// | many | many | `async fn chat(&self, requests: Streaming<Line>) -> Result<impl Stream<Item = Result<Line, Status>>, Status>` |
///
/// `Streaming` and `Stream` are those of the runtime; a context goes before the requests as it does before a request.
/// Where the trait is implemented the same is written, and any stream may be returned that is `Send`. It may borrow from
/// `self` and from the context. Two things have to be known of Rust there:
///
/// - The implementation says `impl Stream<..>` too. With the name of the stream's type instead it does more than the
///   trait asks for, and the compiler warns of that (`refining_impl_trait`).
/// - A stream in a box, `Pin<Box<dyn Stream<..> + Send + '_>>`, has one lifetime. It may borrow from `self` or from the
///   context, but not from both ("captures lifetime that does not appear in bounds"); clone the context then, which is
///   cheap.
///
/// # Arguments
///
/// On the trait, `#[mdp_service(..)]`:
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `package = "greet.v1"` | the package in front of the service's name | none |
/// | `name = "Greeter"` | the service's name on the wire | the trait's |
/// | `timeout_ms = 500` | `timeout_ms` of all methods that have none themselves | none |
/// | `deprecated` | as `#[deprecated]` | no |
/// | `crate = some::path` | where the runtime is, if it is not called `mdp_runtime` | `::mdp_runtime` |
///
/// On a method, `#[mdp(..)]`:
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `rename = "WhoIs"` | the method's name on the wire | its own in upper camel case |
/// | `no_side_effects` | it only reads, so a call may be made again if its worker is lost | no |
/// | `idempotent` | a second run changes nothing more, so a call may be made again | no |
/// | `timeout_ms = 500` | how many milliseconds a caller waits unless it says otherwise | the client's |
/// | `retry_attempts = 3` | how often a call that fails is tried, the first time included, 1 to 100, where that is safe; not for streams | the client's |
/// | `blocking` | it blocks its thread, and is a plain `fn` | no |
/// | `detach` | its handler runs to its end though the call is over, see below | no |
/// | `deprecated` | as `#[deprecated]` | no |
///
/// # A call that is over before its handler
///
/// When a call is cancelled, its time is up or the session with the broker is lost, its handler is dropped and its place in
/// the worker's capacity is free. With `#[mdp(detach)]` the handler runs to its end, and keeps its place until then: what it has begun shall be done as a whole,
/// whoever waits for it. It is told through `cx.is_cancelled()` and `cx.cancelled()`, and what it gives goes nowhere: its
/// requests end with an error, and the stream of its replies is dropped with the next reply, which nobody takes; one that
/// may wait for long has to look whether it is told. Calls that it makes keep its deadline but for those that are `.detached()`. A worker that is shut down
/// waits for it as for all others, within its grace.
///
/// # Errors
///
/// All mistakes of a trait are shown at once, each where it was made.
#[proc_macro_attribute]
pub fn mdp_service(args: TokenStream, item: TokenStream) -> TokenStream {
    service::expand(args.into(), item.into()).into()
}

/// Makes a message of a struct, an enum of an enum without data, and a oneof of an enum with data.
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
/// The struct stays as it is, and no field changes its type. The bytes are protobuf's, the same as prost writes for
/// the equivalent `.proto`, but for `-0.0`: it is written, as protobuf wants it, where prost takes it for zero.
///
/// # What it implements
///
/// For a struct `prost::Message` and `Default`, so it is fit for a method, and may stand in messages that prost made; for
/// an enum without data `Default`, which is the variant of number zero. `#[derive(Default)]` beside it is an error
/// ("conflicting implementations"): leave that out, as what is absent from the wire has to read as zero.
///
/// # Types
///
/// | Rust | protobuf | or, if said |
/// |---|---|---|
/// | `bool` | `bool` | |
/// | `i32` | `int32` | `sint32`, `sfixed32` |
/// | `i64` | `int64` | `sint64`, `sfixed64` |
/// | `u32` | `uint32` | `fixed32` |
/// | `u64` | `uint64` | `fixed64` |
/// | `f32`, `f64` | `float`, `double` | |
/// | `String` | `string` | |
/// | `Vec<u8>`, `bytes::Bytes` | `bytes` | |
/// | a struct with this derive, `Box` of one | a message, always written | |
/// | an enum without data with this derive | an enum | |
/// | `()`, `prost_types::Timestamp`, `Duration`, `Any`, `FieldMask`, `Struct`, `Value`, `ListValue` | those of `google.protobuf`, `()` is `Empty` | |
/// | `Option<T>` | `optional`: a zero is written, and differs from nothing | |
/// | `Vec<T>` | `repeated`, numbers packed | `unpacked` |
/// | `HashMap<K, V>`, `BTreeMap<K, V>` | `map` | `key = sint32`, `value = fixed64` |
/// | `Option<E>` with `#[mdp(oneof)]`, `E` an enum with data with this derive | `oneof` | |
///
/// An alias counts as what it stands for, except of `Option`, `Vec` and the maps, which are known by their names.
/// Other messages that prost made are no fields, as they cannot tell their schema; the other way round a record may
/// stand in any of them.
///
/// # On a field or a variant, `#[mdp(..)]`
///
/// | argument | meaning |
/// |---|---|
/// | `1` | the number: of a field 1 to 536870911 without 19000 to 19999, of an enum's value any `i32`. An enum's may stand behind `=` instead |
/// | `sint32`, .. | protobuf's type, where Rust's does not say which |
/// | `default = 30` | what is absent reads as this. The field is always written, and `optional` in the schema; protobuf 3 has no defaults, so other languages see this one in its comment |
/// | `rename = "self"` | the name in the schema. Without it a field has the one it has in Rust, an enum's value that in upper case with the enum's before it: `ROLE_ADMIN` |
/// | `oneof` | the field is a choice, and its variants have the numbers |
/// | `unpacked` | the numbers of a list one by one, for readers before protobuf 2.3 |
/// | `unknown` | the field, an `UnknownFields`, keeps what the record does not know, and writes it back |
/// | `other` | of an enum: the variant, as `Other(i32)`, holds a number that has no variant. Do not put one there that has |
/// | `skip` | the field is not on the wire; reading leaves it as its type's `Default` |
///
/// An enum's number without a variant goes to `other`; if there is none, to the record's `unknown`; without that it reads
/// as the variant of number zero.
///
/// # On the item, `#[mdp(..)]`
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `reserved(5, 7..=9, "old")` | numbers and names that must not come back; of structs and enums without data | |
/// | `package = "common.v1"` | the package in the schema | that of the service that uses it |
/// | `name = "Account"` | the name in the schema | its own |
/// | `crate = some::path` | where the runtime is, if it is not called `mdp_runtime` | `::mdp_runtime` |
///
/// # Errors
///
/// All mistakes of an item are shown at once, each where it was made. Numbers that are left out are errors that name the
/// next free one. That a oneof's variant has the number of a field around it is found when the record is compiled, as
/// the derive sees one item at a time.
#[proc_macro_derive(MdpRecord, attributes(mdp))]
pub fn mdp_record(item: TokenStream) -> TokenStream {
    let item = syn::parse_macro_input!(item as syn::DeriveInput);
    record::expand(&item).into()
}
