//! The Auth worker: accounts and passwords. It says who has logged in; the token is the broker's to make.

use std::io::Write;
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
use crate::store::{ALL, Bound, Store, StoreError, Tries};

/// How long what was done counts.
pub const WINDOW: Duration = Duration::from_secs(60);
/// Sign-ups are counted under this in place of a user. No user has such a name.
const SIGN_UPS: &str = " sign-ups";

/// How often something may be done within a [`WINDOW`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wrong passwords for one user from one device. Default: 5.
    pub tries: u32,
    /// Wrong passwords from one device, for all users together: one password may be tried on many of them. Default: 20.
    pub tries_of_device: u32,
    /// Wrong passwords for one user, from all devices together. Default: 20.
    pub tries_for_user: u32,
    /// Sign-ups from one device. Default: 10.
    pub sign_ups: u32,
    /// Sign-ups from all devices together. Default: 60.
    pub sign_ups_of_all: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            tries: 5,
            tries_of_device: 20,
            tries_for_user: 20,
            sign_ups: 10,
            sign_ups_of_all: 60,
        }
    }
}

impl Limits {
    fn of_tries<'a>(&self, device: &'a str, user: &'a str) -> [Bound<'a>; 3] {
        [
            Bound { device, user, max: self.tries },
            Bound { device, user: ALL, max: self.tries_of_device },
            Bound { device: ALL, user, max: self.tries_for_user },
        ]
    }

    fn of_sign_ups<'a>(&self, device: &'a str) -> [Bound<'a>; 2] {
        [
            Bound { device, user: SIGN_UPS, max: self.sign_ups },
            Bound { device: ALL, user: SIGN_UPS, max: self.sign_ups_of_all },
        ]
    }
}

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
    limits: Limits,
    /// A hash of no known password. It is looked at for users who do not exist, so that their logins take as long as any.
    nobody: String,
}

impl Accounts {
    /// On this database.
    ///
    /// # Errors
    ///
    /// The machine cannot hash.
    pub fn new(
        store: Store,
        clock: Clock,
        limits: Limits,
    ) -> Result<Self, argon2::password_hash::Error> {
        Ok(Accounts { store, clock, limits, nobody: passwords::hash("nobody has this password")? })
    }

    /// Whether it is the user's password, and which rights the user has then.
    fn verify(
        &self,
        cx: &CallContext,
        user: &str,
        password: &str,
    ) -> Result<Option<Vec<String>>, Status> {
        let device = device(cx);
        let bounds = self.limits.of_tries(device, user);
        self.check_tries(&bounds)?;
        let found = self.store.user(user)?;
        let hash = found.as_ref().map_or(&self.nobody, |user| &user.hash);
        let right = passwords::matches(hash, password);
        let Some(found) = found.filter(|_| right) else {
            let now = self.clock.seconds();
            // Of many guesses at once, so many are answered; the others might as well not have been made.
            let counted = self.store.count(&bounds, now, WINDOW)?;
            return counted.map(|()| None).map_err(|tries| limited(tries, now, PASSWORDS));
        };
        // Once more: a right guess is worth nothing if too many wrong ones have ended meanwhile.
        self.check_tries(&bounds)?;
        // Looked at first: most logins have nothing to forget, and need not write.
        let any = Bound { device, user, max: 1 };
        if self.store.full(&[any], self.clock.seconds(), WINDOW)?.is_some() {
            self.store.forget(device, user)?;
        }
        Ok(Some(found.rights))
    }

    fn check_tries(&self, bounds: &[Bound<'_>]) -> Result<(), Status> {
        let now = self.clock.seconds();
        let full = self.store.full(bounds, now, WINDOW)?;
        full.map_or(Ok(()), |tries| Err(limited(tries, now, PASSWORDS)))
    }

    /// Before the work, which is the same for a name that is taken.
    fn count_sign_up(&self, cx: &CallContext) -> Result<(), Status> {
        let now = self.clock.seconds();
        let counted = self.store.count(&self.limits.of_sign_ups(device(cx)), now, WINDOW)?;
        counted.map_err(|tries| limited(tries, now, "sign-ups"))
    }
}

const PASSWORDS: &str = "wrong passwords";

/// The broker's word for who calls.
fn device(cx: &CallContext) -> &str {
    cx.principal().unwrap_or_default()
}

fn limited(tries: Tries, now: u64, what: &str) -> Status {
    let again = tries.since.saturating_add(WINDOW.as_secs());
    let delay = Duration::from_secs(again.saturating_sub(now).max(1));
    Status::resource_exhausted(format!("too many {what}; wait before the next one"))
        .with_detail(&RetryInfo { retry_delay: delay.try_into().ok() })
}

impl Auth for Accounts {
    fn sign_up(&self, cx: &CallContext, req: SignUpRequest) -> Result<SignUpReply, Status> {
        check([name_fault(&req.user), new_password_fault("password", &req.password)])?;
        self.count_sign_up(cx)?;
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
        let _ = writeln!(std::io::stderr(), "{error}");
        Status::unavailable("the accounts cannot be read now")
    }
}
