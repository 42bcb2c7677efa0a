//! The Auth worker: accounts and passwords. It says who has logged in; the token is the broker's to make.

use std::time::Duration;

use mdp_runtime::details::{BadRequest, FieldViolation, RetryInfo};
use mdp_runtime::{CallContext, Status};

use crate::caller::caller;
use crate::clock::Clock;
use crate::passwords;
use crate::pb::auth_worker::Auth;
use crate::pb::{
    ChangePasswordReply, ChangePasswordRequest, LoginReply, LoginRequest, SignUpReply,
    SignUpRequest,
};
use crate::store::{Store, StoreError, Tries};

/// How many wrong passwords are answered for one user from one device within a [`WINDOW`].
pub const MOST_TRIES: u32 = 5;
/// How long guesses count.
pub const WINDOW: Duration = Duration::from_secs(60);

const LONGEST_NAME: usize = 64;
const SHORTEST_PASSWORD: usize = 8;
const LONGEST_PASSWORD: usize = 128;
/// What everybody may do who has signed up.
const FIRST_RIGHTS: &[&str] = &["notes"];

/// The accounts, as one of many workers sees them.
#[derive(Debug)]
pub struct Accounts {
    store: Store,
    clock: Clock,
    /// A hash of no known password. It is looked at for users who do not exist, so that their logins take as long as any.
    nobody: String,
}

impl Accounts {
    /// On this database.
    ///
    /// # Errors
    ///
    /// The machine cannot hash.
    pub fn new(store: Store, clock: Clock) -> Result<Self, argon2::password_hash::Error> {
        Ok(Accounts { store, clock, nobody: passwords::hash("nobody has this password")? })
    }

    /// Whether it is the user's password, and which rights the user has then.
    fn verify(
        &self,
        cx: &CallContext,
        user: &str,
        password: &str,
    ) -> Result<Option<Vec<String>>, Status> {
        // The broker's word. By device, so that nobody can lock a user out from another one.
        let device = cx.principal().unwrap_or_default();
        self.check_tries(device, user)?;
        let found = self.store.user(user)?;
        let hash = found.as_ref().map_or(&self.nobody, |user| &user.hash);
        let right = passwords::matches(hash, password);
        let Some(found) = found.filter(|_| right) else {
            let now = self.clock.seconds();
            let tries = self.store.count_try(device, user, now, WINDOW)?;
            // Of many guesses at once, so many are answered; the others might as well not have been made.
            return if tries.count > MOST_TRIES { Err(limited(tries, now)) } else { Ok(None) };
        };
        // Once more: a right guess is worth nothing if too many wrong ones have ended meanwhile.
        if self.check_tries(device, user)? {
            self.store.forget_tries(device, user)?;
        }
        Ok(Some(found.rights))
    }

    /// Whether something was tried for the user from the device, and not too much.
    fn check_tries(&self, device: &str, user: &str) -> Result<bool, Status> {
        let now = self.clock.seconds();
        match self.store.tries(device, user, now, WINDOW)? {
            Some(tries) if tries.count >= MOST_TRIES => Err(limited(tries, now)),
            tries => Ok(tries.is_some()),
        }
    }
}

fn limited(tries: Tries, now: u64) -> Status {
    let again = tries.since.saturating_add(WINDOW.as_secs());
    let delay = Duration::from_secs(again.saturating_sub(now).max(1));
    Status::resource_exhausted("too many wrong passwords; wait before the next one")
        .with_detail(&RetryInfo { retry_delay: delay.try_into().ok() })
}

impl Auth for Accounts {
    fn sign_up(&self, _: &CallContext, req: SignUpRequest) -> Result<SignUpReply, Status> {
        check([name_fault(&req.user), new_password_fault("password", &req.password)])?;
        let hash = hash(&req.password)?;
        match self.store.add(&req.user, &hash, FIRST_RIGHTS)? {
            true => Ok(SignUpReply {}),
            false => Err(Status::already_exists(format!("the name {} is taken", req.user))),
        }
    }

    fn login(&self, cx: &CallContext, req: LoginRequest) -> Result<LoginReply, Status> {
        check([name_fault(&req.user), password_fault("password", &req.password)])?;
        // One answer for a wrong name and for a wrong password, so that nobody can try out names.
        let rights = self.verify(cx, &req.user, &req.password)?;
        let rights = rights.ok_or_else(|| Status::unauthenticated("no such user and password"))?;
        Ok(LoginReply { user: req.user, rights })
    }

    fn change_password(
        &self,
        cx: &CallContext,
        req: ChangePasswordRequest,
    ) -> Result<ChangePasswordReply, Status> {
        let user = &caller(cx)?.name;
        check([
            password_fault("old_password", &req.old_password),
            new_password_fault("new_password", &req.new_password),
        ])?;
        if self.verify(cx, user, &req.old_password)?.is_none() {
            return Err(Status::permission_denied("the old password is another one"));
        }
        let hash = hash(&req.new_password)?;
        match self.store.set_hash(user, &hash)? {
            true => Ok(ChangePasswordReply {}),
            false => Err(Status::not_found(format!("{user} has no account"))),
        }
    }
}

type Fault = Option<FieldViolation>;

/// INVALID_ARGUMENT with all fields that are wrong.
fn check(faults: [Fault; 2]) -> Result<(), Status> {
    let field_violations: Vec<_> = faults.into_iter().flatten().collect();
    let Some(first) = field_violations.first() else { return Ok(()) };
    let message = format!("{}: {}", first.field, first.description);
    Err(Status::invalid_argument(message).with_detail(&BadRequest { field_violations }))
}

fn name_fault(name: &str) -> Fault {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let good = (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(known);
    let words = format!("1 to {LONGEST_NAME} of a-z, 0-9, `.`, `_` and `-`");
    (!good).then(|| fault("user", words))
}

/// A longer one is nobody's, and would cost the worker more.
fn password_fault(field: &str, password: &str) -> Fault {
    let good = password.len() <= LONGEST_PASSWORD;
    (!good).then(|| fault(field, format!("at most {LONGEST_PASSWORD} bytes")))
}

fn new_password_fault(field: &str, password: &str) -> Fault {
    let good = (SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&password.len());
    (!good).then(|| fault(field, format!("{SHORTEST_PASSWORD} to {LONGEST_PASSWORD} bytes")))
}

fn fault(field: &str, description: String) -> FieldViolation {
    FieldViolation { field: field.into(), description }
}

fn hash(password: &str) -> Result<String, Status> {
    passwords::hash(password)
        .map_err(|error| Status::internal(format!("the password was not hashed: {error}")))
}

/// A database that another worker holds for too long is there again later; what else it says is for this side only.
impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        eprintln!("{error}");
        Status::unavailable("the accounts cannot be read now")
    }
}
