//! The tokens: what they say, how the broker makes them, and what it takes for one.
//!
//! They are PASETO, version 4, local: one key encrypts and authenticates. Whoever makes them is who checks them, so there is no
//! public key to hand out, and nobody else can read what they say. Version and purpose are fixed here and not read from
//! the token, so it cannot choose a weaker way to be checked.

use std::fmt;
use std::time::Duration;

use mdp_runtime::details::ErrorInfo;
use mdp_runtime::{Code, Status};
use pasetors::keys::{Generate, SymmetricKey};
use pasetors::token::{Local, UntrustedToken};
use pasetors::version4::{LocalToken, V4};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// For whom the tokens are.
pub const AUDIENCE: &str = "baas";
/// The longest that a token may last.
pub const LONGEST: Duration = Duration::from_secs(15 * 60);
/// The most bytes that a token may have. What is longer is not even looked at.
pub const MAX_BYTES: usize = 4096;
/// By how much the clock may have been put back since a token was made.
const SET_BACK: u64 = 5;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user.
    pub sub: String,
    /// What the user may do.
    pub rights: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub iat: u64,
    /// From when on it does not count any more.
    pub exp: u64,
    /// For whom it is: [`AUDIENCE`].
    pub aud: String,
    /// The public key of the connection over which the user logged in. From any other one the token does not count.
    pub cnf: String,
}

/// There is no key for tokens: the machine has no random numbers.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no key for the tokens: the machine has no random numbers")]
pub struct NoKey;

/// Makes tokens and checks them. The key is made at the start and is nowhere but here, so tokens end with the broker.
pub struct Tokens {
    key: SymmetricKey<V4>,
    clock: Clock,
    lifetime: Duration,
}

impl Tokens {
    /// With a key of its own. A lifetime beyond [`LONGEST`] is cut.
    ///
    /// # Errors
    ///
    /// The machine has no random numbers.
    pub fn new(clock: Clock, lifetime: Duration) -> Result<Self, NoKey> {
        let key = SymmetricKey::generate().map_err(|_| NoKey)?;
        Ok(Tokens { key, clock, lifetime: lifetime.min(LONGEST) })
    }

    /// How long a token lasts.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A token for a user who has logged in over a connection of this key.
    ///
    /// # Errors
    ///
    /// INTERNAL: it would be too long, or the machine has no random numbers.
    pub fn issue(&self, user: String, rights: Vec<String>, key: &str) -> Result<String, Status> {
        let iat = self.clock.seconds();
        let exp = iat.saturating_add(self.lifetime.as_secs());
        let (aud, cnf) = (AUDIENCE.to_owned(), key.to_owned());
        let token = self.seal(&Claims { sub: user, rights, iat, exp, aud, cnf });
        token
            .filter(|token| token.len() <= MAX_BYTES)
            .ok_or_else(|| Status::internal("no token could be made"))
    }

    /// A token that says what it is given, whatever that is.
    pub fn seal(&self, claims: &Claims) -> Option<String> {
        let claims = serde_json::to_vec(claims).ok()?;
        LocalToken::encrypt(&self.key, &claims, None, None).ok()
    }

    /// What a token says, if it counts for this key.
    ///
    /// # Errors
    ///
    /// Why it does not count.
    pub fn check(&self, token: &str, key: &str) -> Result<Claims, Fault> {
        let claims = self.open(token).ok_or(Fault::Altered)?;
        let now = self.clock.seconds();
        if claims.aud != AUDIENCE {
            return Err(Fault::Audience);
        }
        if claims.cnf != key {
            return Err(Fault::Key);
        }
        if claims.exp <= now {
            return Err(Fault::Expired);
        }
        // Should a token that lasts longer ever be made by mistake, it does not count either.
        let lasts = claims.exp.saturating_sub(claims.iat);
        if claims.iat > now.saturating_add(SET_BACK) || lasts > LONGEST.as_secs() {
            return Err(Fault::Lifetime);
        }
        Ok(claims)
    }

    fn open(&self, token: &str) -> Option<Claims> {
        if token.len() > MAX_BYTES {
            return None;
        }
        let token = UntrustedToken::<Local, V4>::try_from(token).ok()?;
        let claims = LocalToken::decrypt(&self.key, &token, None, None).ok()?;
        serde_json::from_str(claims.payload()).ok()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// Why a call has no user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no token.
    #[error("log in first: the call has no token")]
    Missing,
    /// What is there instead is none.
    #[error("the metadata `authorization` is not one `Bearer` and a token")]
    Form,
    /// It is not as it was made here.
    #[error("the token was altered, or was not made by this broker since its start")]
    Altered,
    /// Its time is over.
    #[error("the token has expired; log in again")]
    Expired,
    /// It was made for somebody else to take.
    #[error("the token is for another audience")]
    Audience,
    /// It came over the connection of another key.
    #[error("the token was given to another key")]
    Key,
    /// It was made at a time to come, or lasts too long.
    #[error("the token was made for a time that no token has")]
    Lifetime,
}

impl Fault {
    /// The reason, for programs.
    pub fn reason(self) -> &'static str {
        match self {
            Fault::Missing => "TOKEN_MISSING",
            Fault::Form => "TOKEN_FORM",
            Fault::Altered => "TOKEN_ALTERED",
            Fault::Expired => "TOKEN_EXPIRED",
            Fault::Audience => "TOKEN_AUDIENCE",
            Fault::Key => "TOKEN_KEY",
            Fault::Lifetime => "TOKEN_LIFETIME",
        }
    }
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        let info = ErrorInfo {
            reason: fault.reason().into(),
            domain: AUDIENCE.into(),
            ..ErrorInfo::default()
        };
        Status::new(Code::Unauthenticated, fault.to_string()).with_detail(&info)
    }
}
