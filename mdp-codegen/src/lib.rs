//! Generates typed clients and worker traits for the Majordomo Protocol from service definitions.
//!
//! Most projects need one line in their build script, and no `protoc`:
//!
//! ```no_run
//! // build.rs
//! # #[cfg(feature = "proto")]
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     mdp_codegen::compile_protos(&["proto/auth.proto"], &["proto"])?;
//!     Ok(())
//! }
//! # #[cfg(not(feature = "proto"))]
//! # fn main() {}
//! ```
//!
//! and one in the crate: `mod pb { mdp_runtime::include_proto!("auth.v1"); }`. For a service `Auth` this generates the
//! messages and three modules:
//!
//! | module | content |
//! |---|---|
//! | `auth_client` | `AuthClient`, with one method for each call |
//! | `auth_worker` | the trait `Auth` to implement, and `AuthWorker`, which serves an implementation |
//! | `auth_service` | the names and options of the service and its methods, as constants |
//!
//! `stream` in front of a message declares a stream of such messages:
//!
//! | in `auth.proto` | in the trait `Auth`, as `async fn` | `AuthClient` returns |
//! |---|---|---|
//! | `rpc Login(Req) returns (Rep)` | `login(&self, cx: &CallContext, req: Req) -> Result<Rep, Status>` | `Call<Rep>` |
//! | `rpc Watch(Req) returns (stream Rep)` | `watch(.., req: Req) -> Result<impl Stream<Item = Result<Rep, Status>>, Status>` | `Call<Rep, ServerStreaming>` |
//! | `rpc Upload(stream Req) returns (Rep)` | `upload(.., requests: Streaming<Req>) -> Result<Rep, Status>` | `Call<Rep, ClientStreaming<Req>>` |
//! | `rpc Chat(stream Req) returns (stream Rep)` | `chat(.., requests: Streaming<Req>) -> Result<impl Stream<Item = Result<Rep, Status>>, Status>` | `Call<Rep, BidiStreaming<Req>>` |
//!
//! An option has further settings of a method. Its file is built in:
//!
//! ```proto
//! import "mdp/options.proto";
//!
//! service Auth {
//!   rpc Hash(HashRequest) returns (HashReply) {
//!     option (mdp.method) = { timeout_ms: 500 blocking: true on_cancel: DETACH };
//!   }
//! }
//! ```
//!
//! | field | meaning | default |
//! |---|---|---|
//! | `timeout_ms` | the time in milliseconds that a caller waits unless it sets another one; at least 1 | the client's |
//! | `retry_attempts` | the number of attempts of a call, the first one included, where a retry is safe; 1 to 100; not for streams | the client's |
//! | `blocking` | the handler blocks its thread: it is a plain `fn`, which runs on a thread of tokio's `spawn_blocking` | no |
//! | `on_cancel` | the fate of the handler if the call is over first: `CANCEL` drops it, `DETACH` lets it run to its end | `CANCEL` |
//!
//! A file `mdp/options.proto` in one of the include folders takes precedence over the built-in one; other compilers
//! need such a copy. No code is generated for it unless it is among the files to compile. The options are not part of a
//! service's schema: they are not compared, and `mdp schema export` does not print them. For files without these
//! options, the builder has [`blocking`](Builder::blocking) and [`detach`](Builder::detach).
//!
//! [`configure`] starts a builder with settings:
//!
//! ```no_run
//! # #[cfg(feature = "proto")]
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     mdp_codegen::configure()
//!         .build_worker(false)
//!         .type_attribute("auth.v1.Session", "#[non_exhaustive]")
//!         .compile_protos(&["proto/auth.proto"], &["proto"])?;
//!     Ok(())
//! }
//! # #[cfg(not(feature = "proto"))]
//! # fn main() {}
//! ```
//!
//! # Errors
//!
//! All mistakes are gathered and shown together, each with its file, line, service and method; see [`Problem`]. No file
//! is written then. Nothing that a file or a set of descriptors contains makes a build script panic.
//!
//! # Files
//!
//! Each package has a file `PACKAGE.rs`, and beside it `PACKAGE.descriptors` with the packed descriptors of its messages
//! and services, which the code includes: both belong together. [`embed_schemas(false)`](Builder::embed_schemas) leaves
//! the descriptors out. A package whose name is no module in Rust as it stands, such as `shop.type.v1` or `myShop`, has
//! the file that `prost-build` makes (`shop.r#type.v1.rs`, `my_shop.rs`), and one with its own name that includes it.
//!
//! # Languages of protobuf
//!
//! proto2, proto3, and editions 2023 and 2024, as text or as descriptors of `protoc`
//! ([`Builder::compile_encoded_fds`]). A file of an edition becomes one of proto2 or proto3 that means the same:
//!
//! | feature | in Rust |
//! |---|---|
//! | `field_presence` | `EXPLICIT`: an `Option`; `IMPLICIT`: the value; `LEGACY_REQUIRED`: the value, which is always written |
//! | `enum_type` | an `i32` in the message in any case, as in proto2 and proto3 |
//! | `repeated_field_encoding` | `PACKED` or `EXPANDED` on the wire |
//! | `message_encoding` | `DELIMITED` is a group on the wire |
//! | `utf8_validation`, `json_format` | no effect: text is always checked |
//! | `enforce_naming_style`, `default_symbol_visibility`, `export`, `local`, features of one language | no effect |
//!
//! # Parts
//!
//! A front end turns a definition into the plain data of [`model`]; [`check`] has the rules. [`emit`] has all that is
//! Rust: what a service is there, the rules for its names, and the templates. The front end for `.proto` files is
//! behind the feature `proto`, which is on by default. The attribute macros have their own front end to the same model.
//!
//! # Other languages
//!
//! A [`Generator`] writes code in another language from the plain model; [`Builder::generator`] takes it.

#[cfg(feature = "proto")]
mod builder;
pub mod check;
pub mod emit;
mod errors;
#[cfg(feature = "proto")]
mod generator;
pub mod model;
#[cfg(feature = "proto")]
mod proto;

#[cfg(feature = "proto")]
pub use builder::{Builder, compile_protos, configure};
#[cfg(feature = "proto")]
pub use errors::Error;
pub use errors::{Mistake, Problem};
#[cfg(feature = "proto")]
pub use generator::{Generator, GeneratorError, Output};
/// The crate whose `Config` [`Builder::compile_with_config`] takes.
#[cfg(feature = "proto")]
pub use prost_build;
