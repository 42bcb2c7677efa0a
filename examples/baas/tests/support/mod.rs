//! A broker with its hooks, workers and clients, over tcp with CURVE, each test with its own.

#![allow(dead_code, clippy::unwrap_used)] // each test uses its part of it

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use example_baas::auth::Limits;
use example_baas::clock::{Clock, Hand};
use example_baas::hooks::AUTHORIZATION;
use example_baas::parts;
use example_baas::pb::auth_client::AuthClient;
use example_baas::pb::notes_client::NotesClient;
use example_baas::pb::{ListReply, ListRequest, LoginReply, LoginRequest, SignUpRequest};
use example_baas::setup::Setup;
use example_baas::token::{LONGEST, Tokens};
use mdp_runtime::details::ErrorInfo;
use mdp_runtime::{
    Broker, Client, Interceptor, Metadata, Next, Reply, Request, Response, Status, Worker,
};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) database: PathBuf,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) clock: Clock,
    pub(crate) hand: Hand,
    pub(crate) endpoint: String,
    pub(crate) broker: Broker,
    pub(crate) folder: TempDir,
}

impl World {
    /// A broker, and nobody else.
    pub(crate) fn new() -> Self {
        Self::with_tokens_for(LONGEST)
    }

    pub(crate) fn with_tokens_for(lifetime: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::create(folder.path().join("keys")).unwrap();
        let (clock, hand) = Clock::with_hand();
        let tokens = Arc::new(Tokens::new(clock.clone(), lifetime).unwrap());
        let broker = parts::broker(&setup, "tcp://127.0.0.1:*", Arc::clone(&tokens)).unwrap();
        let endpoint = broker.endpoints()[0].clone();
        let database = folder.path().join("users.db");
        World { setup, database, tokens, clock, hand, endpoint, broker, folder }
    }

    pub(crate) fn auth(&self, id: &str, spy: &Spy) -> Worker {
        self.auth_within(id, spy, Limits::default())
    }

    pub(crate) fn auth_within(&self, id: &str, spy: &Spy, limits: Limits) -> Worker {
        let (at, clock) = (&self.endpoint, self.clock.clone());
        let worker = parts::auth(&self.setup, at, id, &self.database, clock, limits).unwrap();
        worker.intercept(spy.clone()).start().unwrap()
    }

    pub(crate) fn notes(&self, spy: &Spy) -> Worker {
        let worker = parts::notes(&self.setup, &self.endpoint).unwrap();
        worker.intercept(spy.clone()).start().unwrap()
    }

    pub(crate) async fn device(&self, name: &str) -> Device {
        let client = parts::client(&self.setup, &self.endpoint, name).unwrap();
        let client = client.open().await.unwrap();
        let (auth, notes) = (AuthClient::new(client.clone()), NotesClient::new(client.clone()));
        Device { client, auth, notes }
    }
}

pub(crate) struct Device {
    pub(crate) client: Client,
    pub(crate) auth: AuthClient,
    pub(crate) notes: NotesClient,
}

impl Device {
    pub(crate) async fn sign_up(&self, user: &str) {
        let request = SignUpRequest { user: user.into(), password: PASSWORD.into() };
        self.auth.sign_up(request).await.unwrap();
    }

    pub(crate) async fn login(
        &self,
        user: &str,
        password: &str,
    ) -> Result<Response<LoginReply>, Status> {
        let request = LoginRequest { user: user.into(), password: password.into() };
        self.auth.login(request).timeout(Duration::from_secs(30)).send().await
    }

    /// What is to stand under `authorization`.
    pub(crate) async fn token(&self, user: &str) -> String {
        let response = self.login(user, PASSWORD).await.unwrap();
        response.metadata().get_str(AUTHORIZATION).unwrap().to_owned()
    }

    pub(crate) async fn list(&self, token: impl Into<Vec<u8>>) -> Result<ListReply, Status> {
        self.notes.list(ListRequest {}).metadata(AUTHORIZATION, token.into()).await
    }
}

/// Keeps the method and the metadata of all requests that reach a worker.
#[derive(Clone, Default)]
pub(crate) struct Spy {
    seen: Arc<Mutex<Vec<(String, Metadata)>>>,
}

impl Spy {
    pub(crate) fn seen(&self) -> Vec<(String, Metadata)> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests for a method have come.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.seen().iter().filter(|(path, _)| path == method).count()
    }
}

impl Interceptor for Spy {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        let seen = (request.method().to_owned(), request.metadata().clone());
        self.seen.lock().unwrap().push(seen);
        next.call(request).await
    }
}

/// The reason that stands in a status.
pub(crate) fn reason(status: &Status) -> String {
    status.detail::<ErrorInfo>().map(|info| info.reason).unwrap_or_default()
}
