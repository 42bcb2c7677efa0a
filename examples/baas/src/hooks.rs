//! What the broker does with tokens: it gives one when it sees a login succeed, and looks for one in each other call.

use std::sync::Arc;

use mdp_runtime::hooks::{BrokerHooks, Forward, Reply, Request, Verdict};
use mdp_runtime::{Code, Status};

use crate::pb::LoginReply;
use crate::token::{Claims, Fault, Tokens};

/// The key of the token: of a reply to a login, and of the calls that follow.
pub const AUTHORIZATION: &str = "authorization";
/// The key beside a token under which the broker says how many seconds it lasts.
pub const EXPIRES_IN: &str = "expires-in";
/// The key under which a worker finds the user who calls.
pub const USER: &str = "user";
/// The key under which a worker finds the user's rights, with spaces between.
pub const RIGHTS: &str = "rights";

/// What stands before a token.
const BEARER: &str = "Bearer ";
const LOGIN: &str = "baas.v1.Auth/Login";

/// What a method asks for.
enum Needs {
    Nothing,
    Token,
    Right(&'static str),
    /// It is in no rule.
    Unknown,
}

/// All rules. A method that is forgotten here can be called by nobody.
fn needs(path: &str) -> Needs {
    match path {
        LOGIN | "baas.v1.Auth/SignUp" => Needs::Nothing,
        "baas.v1.Auth/ChangePassword" => Needs::Token,
        "baas.v1.Notes/Add" | "baas.v1.Notes/List" => Needs::Right("notes"),
        "baas.v1.Notes/Purge" => Needs::Right("notes.admin"),
        _ => Needs::Unknown,
    }
}

/// The broker's hooks. They alone know the key of the tokens; no worker ever sees one.
#[derive(Debug)]
pub struct TokenHooks {
    tokens: Arc<Tokens>,
}

impl TokenHooks {
    /// With these tokens.
    pub fn new(tokens: Arc<Tokens>) -> Self {
        TokenHooks { tokens }
    }

    /// Who calls, by the token.
    fn claims(&self, request: &Request) -> Result<Claims, Fault> {
        let mut found = request.metadata().get_all(AUTHORIZATION);
        let value = found.next().filter(|_| !request.is_raw()).ok_or(Fault::Missing)?;
        let value = std::str::from_utf8(value).map_err(|_| Fault::Form)?;
        let token = value.strip_prefix(BEARER).ok_or(Fault::Form)?;
        // With two of them it would depend on the reader which one counts.
        if found.next().is_some() {
            return Err(Fault::Form);
        }
        let key = request.key().ok_or(Fault::Key)?;
        self.tokens.check(token, &key.to_string())
    }

    /// The request as the worker gets it: with who calls in place of the token.
    fn admit(&self, request: &Request) -> Result<Forward, Status> {
        // Whatever the client says under these keys does not reach the worker, also where nobody is let in by a token.
        let clean = Forward::new()
            .remove_metadata(AUTHORIZATION)
            .remove_metadata(USER)
            .remove_metadata(RIGHTS);
        let path = request.path();
        let right = match needs(path) {
            Needs::Nothing if !request.is_raw() => return Ok(clean),
            Needs::Nothing | Needs::Unknown => None,
            Needs::Token => Some(None),
            Needs::Right(right) => Some(Some(right)),
        };
        let claims = self.claims(request)?;
        let user = &claims.sub;
        match right {
            Some(Some(right)) if !claims.rights.iter().any(|held| held == right) => {
                let message = format!("{user} has not the right `{right}`, which {path} needs");
                Err(Status::permission_denied(message))
            }
            None => {
                let message = format!("no rule of the broker says who may call {path}");
                Err(Status::permission_denied(message))
            }
            Some(_) => {
                Ok(clean.metadata(RIGHTS, claims.rights.join(" ")).metadata(USER, claims.sub))
            }
        }
    }

    /// The reply to a login that was approved, with the token beside it.
    fn reward(&self, reply: &Reply) -> Result<Forward, Status> {
        let key = reply.key().ok_or_else(|| {
            Status::failed_precondition("a token is bound to a key, and the connection has none")
        })?;
        let LoginReply { user, rights } = reply.message().map_err(|error| {
            Status::internal(format!("the login's reply makes no sense: {}", error.message()))
        })?;
        let token = self.tokens.issue(user, rights, &key.to_string())?;
        Ok(Forward::new()
            .metadata(AUTHORIZATION, format!("{BEARER}{token}"))
            .metadata(EXPIRES_IN, self.tokens.lifetime().as_secs().to_string()))
    }
}

impl BrokerHooks for TokenHooks {
    fn request(&self, request: &Request) -> Verdict {
        self.admit(request).into()
    }

    fn reply(&self, reply: &Reply) -> Verdict {
        let login = reply.path() == LOGIN && !reply.is_raw();
        if !login || reply.code() != Code::Ok {
            return Forward::new().into();
        }
        self.reward(reply).into()
    }
}
