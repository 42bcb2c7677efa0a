//! What a worker does with each call.

use hmac::{Hmac, Mac};
use mdp_runtime::{CallContext, Status};
use sha2::Sha256;

use super::service::{Account, Auth, LoginReply, LoginRequest, Token, WhoAmIRequest};

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

/// The accounts. A token is a user's name and a signature, so any worker can answer for a login that
/// another one took.
#[derive(Debug, Default)]
pub struct Accounts;

impl Auth for Accounts {
    async fn login(&self, req: LoginRequest) -> Result<LoginReply, Status> {
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
        cx.reply_metadata("attempt", cx.attempt().to_string());
        let user = USERS.iter().find(|user| user.name == token.user);
        let user = user.ok_or_else(|| Status::not_found(format!("{} has left", token.user)))?;
        Ok(Account { user: user.name.into(), full_name: user.full_name.into() })
    }
}

fn signed(user: &str) -> Result<Hmac<Sha256>, Status> {
    let mac = Hmac::new_from_slice(KEY).map_err(|_| Status::internal("the key cannot be used"))?;
    Ok(mac.chain_update(user))
}
