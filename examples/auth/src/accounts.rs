//! The service itself: what a worker does with each call.

use std::io::Write;
use std::time::Duration;

use hmac::{Hmac, Mac};
use mdp_runtime::{CallContext, Status};
use sha2::Sha256;
use tokio::sync::watch;

use crate::pb::auth_worker::Auth;
use crate::pb::{Account, LoginReply, LoginRequest, Token, WhoAmIRequest};

/// For the example only: a real service keeps salted hashes of its passwords (argon2, say) in a
/// store, and its key outside the source.
const USERS: [User; 2] = [
    User { name: "ann", password: "correct horse", full_name: "Ann Archer" },
    User { name: "ben", password: "battery staple", full_name: "Ben Baker" },
];
const KEY: &[u8] = b"for the example only";

struct User {
    name: &'static str,
    password: &'static str,
    full_name: &'static str,
}

/// The accounts as one worker sees them. It keeps no sessions: a token is a user's name and a
/// signature, so each worker can answer for a login that another one took.
pub(crate) struct Accounts {
    worker: String,
    lookup: Duration,
    busy: watch::Sender<bool>,
}

impl Accounts {
    /// The accounts for a worker of this name, and how long it takes to look one up.
    pub(crate) fn new(worker: &str, lookup: Duration) -> Self {
        Accounts { worker: worker.into(), lookup, busy: watch::Sender::new(false) }
    }

    /// Whether an account is being looked up.
    pub(crate) fn busy(&self) -> watch::Receiver<bool> {
        self.busy.subscribe()
    }
}

impl Auth for Accounts {
    async fn login(&self, _: &CallContext, req: LoginRequest) -> Result<LoginReply, Status> {
        let known = |user: &&User| user.name == req.user && user.password == req.password;
        // One answer for a wrong name and for a wrong password, so that nobody can try out names.
        let user = USERS.iter().find(known);
        let user = user.ok_or_else(|| Status::unauthenticated("no such user and password"))?;
        let signature = signed(user.name)?.finalize().into_bytes().to_vec();
        Ok(LoginReply { token: Some(Token { user: user.name.into(), signature }) })
    }

    async fn who_am_i(&self, cx: &CallContext, req: WhoAmIRequest) -> Result<Account, Status> {
        let token = req.token.unwrap_or_default();
        let valid = signed(&token.user)?.verify_slice(&token.signature);
        valid.map_err(|_| Status::unauthenticated("the token is not ours"))?;
        // No `println`: it would fail the call where nobody reads standard output any more.
        let (out, attempt) = (&mut std::io::stdout(), cx.attempt());
        let _ = writeln!(out, "    {} looks {} up, attempt {attempt}", self.worker, token.user);
        self.busy.send_replace(true);
        tokio::time::sleep(self.lookup).await; // a slow store
        self.busy.send_replace(false);
        let user = USERS.iter().find(|user| user.name == token.user);
        let user = user.ok_or_else(|| Status::not_found(format!("{} has left", token.user)))?;
        Ok(Account { user: user.name.into(), full_name: user.full_name.into() })
    }
}

fn signed(user: &str) -> Result<Hmac<Sha256>, Status> {
    let mac = Hmac::new_from_slice(KEY).map_err(|_| Status::internal("the key cannot be used"))?;
    Ok(mac.chain_update(user))
}
