//! A user's side of the generated code: names are as hostile as on the other side.

#![deny(warnings)]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use mdp_runtime::codegen::{CallContext, Client, Idempotency, Service, Status};
use test_generated::elsewhere;
use test_generated::pb::hostile::services;
use test_generated::pb::hostile::v1::{
    self as pb, methods_client, methods_service, methods_worker,
};
use test_generated::pb::{alone_worker, common, many};

/// Plain `async fn` all over, the reply of each being its default.
struct Handler;

macro_rules! handler {
    ($($method:ident($request:ty) -> $reply:ty;)*) => {
        impl methods_worker::Methods for Handler {
            $(async fn $method(&self, _cx: &CallContext, _req: $request) -> Result<$reply, Status> {
                Ok(Default::default())
            })*
        }
        /// Every call of the client, with the types that are expected of it.
        #[allow(dead_code, deprecated)]
        fn calls(client: &methods_client::MethodsClient) {
            $(let _: mdp_runtime::codegen::Call<$reply> = client.$method(<$request>::default());)*
        }
    };
}

handler! {
    new(pb::Result) -> pb::Option;
    connect(pb::Some) -> pb::None;
    r#type(pb::Ok) -> pb::Err;
    from(pb::String) -> pb::Vec;
    into(pb::Box) -> pb::Send;
    clone(pb::Sync) -> pb::Future;
    default(pb::Into) -> pb::From;
    drop(pb::Arc) -> pb::Client;
    r#match(pb::Call) -> pb::Status;
    self_(pb::CallContext) -> pb::Service;
    super_(pb::Clone) -> pb::Debug;
    crate_(pb::Default) -> pb::Bytes;
    extern_(pb::Message) -> pb::Self_;
    r#async(pb::outer::Inner) -> pb::outer::Result;
    r#await(()) -> ();
    r#dyn(mdp_runtime::codegen::prost_types::Timestamp) -> String;
    r#gen(Vec<u8>) -> bool;
    r#try(i64) -> f64;
    r#loop(common::v1::Common) -> common::v1::common::Part;
    call(elsewhere::Away) -> elsewhere::away::Nested;
    spec(pb::ServiceSpec) -> pb::MethodSpec;
    client(pb::Handling) -> pb::Copy;
    inner(pb::T) -> pb::Iterator;
    from_arc(pb::Fn) -> pb::Sized;
    fmt(pb::Drop) -> pb::Old;
    methods(pb::Result) -> pb::Result;
    name(pb::Result) -> pb::Result;
    service(pb::Result) -> pb::Result;
    to_string(pb::Result) -> pb::Result;
    req(pb::Result) -> pb::Result;
    cx(pb::Result) -> pb::Result;
    _2fa(pb::Result) -> pb::Result;
    http_get_v2(pb::Result) -> pb::Result;
    idempotent(pb::Result) -> pb::Result;
    deprecated(pb::Result) -> pb::Result;
}

#[test]
fn a_worker_knows_its_service() {
    let worker = methods_worker::MethodsWorker::new(Handler);
    let spec = worker.clone().spec();
    assert_eq!(spec.name, "hostile.v1.Methods");
    assert_eq!(spec.name, methods_service::NAME);
    assert_eq!(format!("{worker:?}"), "MethodsWorker { .. }");
    let shared = methods_worker::MethodsWorker::from_arc(Arc::new(Handler));
    assert!(std::ptr::eq(shared.spec(), spec));
}

#[test]
fn methods_have_their_numbers_names_and_options() {
    let methods = methods_service::SERVICE.methods;
    let first = methods.first().unwrap();
    assert_eq!((first.service, first.name), ("hostile.v1.Methods", "New"));
    assert_eq!(first.path, "hostile.v1.Methods/New");
    let of = |name: &str| methods.iter().find(|method| method.name == name).unwrap();
    assert!(matches!(of("New").idempotency, Idempotency::Unknown));
    assert!(matches!(of("HTTPGetV2").idempotency, Idempotency::NoSideEffects));
    assert!(matches!(of("Idempotent").idempotency, Idempotency::Idempotent));
    let deprecated: Vec<_> = methods.iter().filter(|method| method.deprecated).collect();
    assert_eq!(deprecated.len(), 1);
    assert_eq!(methods_service::methods::DEPRECATED.path, "hostile.v1.Methods/Deprecated");
    let outdated = pb::outdated_service::SERVICE.methods;
    assert!(outdated.iter().all(|method| method.deprecated));
}

#[test]
fn a_package_without_a_name_has_no_dot() {
    struct Bare;
    impl alone_worker::Alone for Bare {
        async fn bare(
            &self,
            _cx: &CallContext,
            req: test_generated::pb::Bare,
        ) -> Result<test_generated::pb::Bare, Status> {
            Ok(req)
        }
    }
    let spec = alone_worker::AloneWorker::new(Bare).spec();
    assert_eq!(spec.name, "Alone");
    assert_eq!(spec.methods.first().unwrap().path, "Alone/Bare");
}

#[test]
fn two_hundred_methods_are_two_hundred() {
    let methods = many::many_service::SERVICE.methods;
    assert_eq!(methods.len(), 200);
    assert_eq!(methods.get(199).unwrap().path, "many.Many/Method199");
}

/// Whatever the RPCs are called, a client is made of a `Client`, and is `Clone` and `Debug`.
#[allow(dead_code)]
fn clients(client: Client) {
    let methods = methods_client::MethodsClient::from_client(&client);
    let _ = Clone::clone(&methods);
    let _ = format!("{methods:?}");
    let _: pb::new_methods_client::NewMethodsClient = client.clone().into();
    let named_like_everything = services::client_client::ClientClient::new(client);
    drop(named_like_everything.client(pb::Client { client: 1 }));
}

/// `MethodsClient::from` is an RPC, so the trait has to be named.
trait FromClient {
    fn from_client(client: &Client) -> Self;
}

impl<T> FromClient for T
where
    T: for<'a> From<&'a Client>,
{
    fn from_client(client: &Client) -> Self {
        <Self as From<&Client>>::from(client)
    }
}
