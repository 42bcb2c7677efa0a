//! The client's side: an interceptor that logs in by itself and puts the token on each call.

use std::fmt;
use std::time::{Duration, Instant};

use mdp_runtime::{Client, Code, Interceptor, Next, Reply, Request, Status};
use tokio::sync::Mutex;

use crate::hooks::{AUTHORIZATION, EXPIRES_IN};
use crate::pb::LoginRequest;
use crate::pb::auth_client::AuthClient;

/// Logs a user in, before the first call and whenever the token is about to end or counts no more.
///
/// ```no_run
/// # use example_baas::{pb::notes_client::NotesClient, session::Session};
/// # fn doc(client: mdp_runtime::Client) {
/// let notes = NotesClient::new(client.intercept(Session::new(&client, "ann", "correct horse")));
/// # }
/// ```
pub struct Session {
    auth: AuthClient,
    login: LoginRequest,
    /// Locked while somebody logs in, so that many calls at once make one login.
    token: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    value: String,
    /// From when on another one is wanted: a tenth of its time before it ends.
    renew: Instant,
}

impl Session {
    /// For this user. It logs in over `client`, which is the one without this interceptor.
    pub fn new(client: &Client, user: &str, password: &str) -> Self {
        let login = LoginRequest { user: user.into(), password: password.into() };
        Session { auth: AuthClient::new(client.clone()), login, token: Mutex::default() }
    }

    /// A token that will do: the one that is there, or a new one if there is none, its time is nearly over or it is the
    /// `refused` one.
    async fn token(&self, refused: Option<&str>, timeout: Duration) -> Result<String, Status> {
        let mut held = self.token.lock().await;
        if let Some(token) = &*held
            && Some(token.value.as_str()) != refused
            && Instant::now() < token.renew
        {
            return Ok(token.value.clone());
        }
        *held = None;
        let response = self.auth.login(self.login.clone()).timeout(timeout).send().await?;
        let metadata = response.metadata();
        let value = metadata.get_str(AUTHORIZATION).ok_or_else(no_token)?.to_owned();
        let lasts = metadata.get_str(EXPIRES_IN).and_then(|seconds| seconds.parse().ok());
        let lasts = Duration::from_secs(lasts.ok_or_else(no_token)?);
        let renew = Instant::now().checked_add(lasts - lasts / 10).ok_or_else(no_token)?;
        *held = Some(Token { value: value.clone(), renew });
        Ok(value)
    }
}

impl Interceptor for Session {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        let with = |token: &str| {
            let mut request = request.clone();
            request.metadata_mut().insert(AUTHORIZATION, token.to_owned());
            request
        };
        let token = self.token(None, request.timeout()).await?;
        let refused = match next.call(with(&token)).await {
            Err(status) if status.code() == Code::Unauthenticated => status,
            ended => return ended,
        };
        // The broker refused the token, so no worker has seen the call. Streams cannot be sent a second time.
        if !refused.not_started() || request.kind().is_stream() {
            return Err(refused);
        }
        let token = self.token(Some(&token), request.timeout()).await?;
        next.call(with(&token)).await
    }
}

/// Neither password nor token is for logs.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("user", &self.login.user).finish_non_exhaustive()
    }
}

fn no_token() -> Status {
    Status::internal("the broker gave no token beside the login's reply")
}
