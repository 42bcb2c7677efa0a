//! The `.proto` file here and the trait of `examples/code-first` are one service: each side of the one
//! works with the other side of the other, and what they send is equal.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

#[path = "../src/accounts.rs"]
#[allow(dead_code)] // the rest of it is for the example itself
mod accounts;
#[path = "../src/client.rs"]
mod client;
#[path = "../../code-first/src/lib.rs"]
#[allow(unreachable_pub)]
mod code_first;
#[path = "../../../tests/support/raw.rs"]
mod raw;
#[path = "../../../tests/support/zmtp.rs"]
mod zmtp;

#[allow(missing_docs, unreachable_pub)] // generated
mod pb {
    mdp_runtime::include_proto!("auth.v1");
}

use std::time::Duration;

use code_first::service as rust;
use mdp_runtime::codegen::Service;
use mdp_runtime::codegen::prost::Message;
use mdp_runtime::{Broker, Client, Worker};
use raw::{Raw, RawPeer};

/// A broker on a free port.
fn broker() -> (Broker, String) {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start().unwrap();
    let endpoint = broker.endpoints().first().unwrap().clone();
    (broker, endpoint)
}

async fn worker(endpoint: &str, service: impl Service) -> Worker {
    let worker = Worker::builder().connect(endpoint).id("w-1").serve(service).start().unwrap();
    worker.connected().await.unwrap();
    worker
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_the_proto_file_calls_the_worker_of_the_trait() {
    let (_broker, endpoint) = broker();
    let service = rust::AuthWorker::new(code_first::accounts::Accounts);
    let _worker = worker(&endpoint, service).await;
    // A login, a refusal, and who it is.
    client::run(&endpoint).await.unwrap();

    let auth = pb::auth_client::AuthClient::new(Client::connect(&endpoint).await.unwrap());
    let token = client::log_in(&auth).await.unwrap();
    let account = auth.who_am_i(pb::WhoAmIRequest { token: Some(token) }).await.unwrap();
    assert_eq!((account.user.as_str(), account.full_name.as_str()), ("ann", "Ann Archer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_the_trait_calls_the_worker_of_the_proto_file() {
    let (_broker, endpoint) = broker();
    let accounts = accounts::Accounts::new("w-1", Duration::ZERO);
    let _worker = worker(&endpoint, pb::auth_worker::AuthWorker::new(accounts)).await;
    let told = code_first::client::run(Client::connect(&endpoint).await.unwrap()).await.unwrap();
    let refused = "refused: UNAUTHENTICATED: auth.v1.Auth/Login: no such user and password";
    assert_eq!(told, ["ann has logged in", refused, "known as Ann Archer"]);
}

/// A call as a worker gets it: whether it may be made again, and its path and payload.
fn request(worker: &mut RawPeer) -> (bool, Vec<u8>) {
    worker.wait(|record| match record {
        Raw::Request { idempotent, body, .. } => Some((*idempotent, body.clone())),
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn both_clients_send_the_same_bytes() {
    let (_broker, endpoint) = broker();
    let mut worker = RawPeer::worker(&endpoint, "auth.v1.Auth", 8);
    let client = Client::connect(&endpoint).await.unwrap();
    let (proto, code) = (pb::auth_client::AuthClient::from(&client), rust::AuthClient::new(client));
    // The worker never answers, so each call waits in a task of its own.
    let (user, password) = ("ann".to_owned(), "correct horse".to_owned());
    let login = pb::LoginRequest { user: user.clone(), password: password.clone() };
    let one = tokio::spawn(proto.login(login).send());
    let first = request(&mut worker);
    let two = tokio::spawn(code.login(rust::LoginRequest { user, password }).send());
    assert_eq!(first, request(&mut worker));
    assert!(!first.0 && first.1.starts_with(b"auth.v1.Auth/Login"), "{first:?}");

    let three = tokio::spawn(proto.who_am_i(pb::WhoAmIRequest::default()).send());
    let first = request(&mut worker);
    let four = tokio::spawn(code.who_am_i(rust::WhoAmIRequest::default()).send());
    assert_eq!(first, request(&mut worker));
    assert!(first.0 && first.1.starts_with(b"auth.v1.Auth/WhoAmI"), "{first:?}");
    drop((one, two, three, four));
}

/// Equal bytes, and each way's bytes read by the other.
fn same<P, R>(proto: &P, rust: &R)
where
    P: Message + Default + PartialEq + std::fmt::Debug,
    R: Message + Default + PartialEq + std::fmt::Debug,
{
    let bytes = proto.encode_to_vec();
    assert_eq!(bytes, rust.encode_to_vec());
    assert!(!bytes.is_empty(), "nothing was compared");
    assert_eq!(&P::decode(bytes.as_slice()).unwrap(), proto);
    assert_eq!(&R::decode(bytes.as_slice()).unwrap(), rust);
}

#[test]
fn both_ways_write_the_same_messages() {
    let (user, signature) = ("ann".to_owned(), vec![0, 1, 255]);
    let (password, full_name) = ("correct horse".to_owned(), "Ann Archer".to_owned());
    same(
        &pb::LoginRequest { user: user.clone(), password: password.clone() },
        &rust::LoginRequest { user: user.clone(), password },
    );
    let proto = pb::Token { user: user.clone(), signature: signature.clone() };
    let token = rust::Token { user: user.clone(), signature };
    same(&proto, &token);
    let reply = pb::LoginReply { token: Some(proto.clone()) };
    same(&reply, &rust::LoginReply { token: Some(token.clone()) });
    same(&pb::WhoAmIRequest { token: Some(proto) }, &rust::WhoAmIRequest { token: Some(token) });
    same(
        &pb::Account { user: user.clone(), full_name: full_name.clone() },
        &rust::Account { user, full_name },
    );
}

#[test]
fn the_contracts_are_equal() {
    let (proto, rust) = (pb::auth_service::schema(), rust::auth_service::schema());
    assert_eq!(proto.service(), Some("auth.v1.Auth"));
    let hash = proto.hash().unwrap();
    assert!(hash.is_some());
    assert_eq!(hash, rust.hash().unwrap());
}
