//! Accounts and logins over tcp with CURVE: what a guesser learns, how often one may guess, and workers that are lost.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../../tests/support/process.rs"]
mod process;
mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use example_baas::auth::{Limits, WINDOW};
use example_baas::hooks::AUTHORIZATION;
use example_baas::pb::auth_worker::{Auth, AuthWorker};
use example_baas::pb::notes_client::NotesClient;
use example_baas::pb::{
    ChangePasswordReply, ChangePasswordRequest, ListRequest, LoginReply, LoginRequest, SignUpReply,
    SignUpRequest,
};
use example_baas::session::Session;
use mdp_runtime::details::{BadRequest, RetryInfo};
use mdp_runtime::{CallContext, Code, Status, Worker};
use process::Process;
use support::{PASSWORD, Spy, World};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let world = World::new();
    let _auth = world.auth("auth-1", &Spy::default());
    let laptop = world.device("laptop").await;
    laptop.sign_up("ann").await;
    let (mut wrong, mut unknown) = (Duration::MAX, Duration::MAX);
    for _ in 0..4 {
        for (user, least) in [("ann", &mut wrong), ("nobody", &mut unknown)] {
            let begun = Instant::now();
            let status = laptop.login(user, "a wrong password").await.unwrap_err();
            *least = begun.elapsed().min(*least);
            assert_eq!(status.code(), Code::Unauthenticated);
            assert_eq!(status.message(), "no such user and password");
            assert!(status.details().is_empty() && status.metadata().is_empty(), "{status:?}");
        }
    }
    // Without a hash for users who do not exist it would be a tenth at the most.
    let ratio = wrong.as_secs_f64() / unknown.as_secs_f64();
    assert!((0.4..2.5).contains(&ratio), "{wrong:?} and {unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_limited_by_user_and_device_until_the_time_is_over() {
    let world = World::new();
    let max = Limits::default().tries;
    // Two workers count together.
    let _auth = ["auth-1", "auth-2"].map(|id| world.auth(id, &Spy::default()));
    let (laptop, phone) = (world.device("laptop").await, world.device("phone").await);
    laptop.sign_up("ann").await;
    for user in ["ann", "nobody"] {
        // All at once, so that none may wait for the outcome of another.
        let guesses: Vec<_> = (0..3 * max)
            .map(|guess| {
                let password = format!("guess {guess}");
                let request = LoginRequest { user: user.into(), password };
                tokio::spawn(laptop.auth.login(request).timeout(Duration::from_secs(30)).send())
            })
            .collect();
        let mut wrong = 0;
        for guess in guesses {
            match guess.await.unwrap().unwrap_err() {
                status if status.code() == Code::Unauthenticated => wrong += 1,
                status => limited(&status),
            }
        }
        assert_eq!(wrong, max, "{user}");
    }
    // The right password is one more, or guessing would go on.
    limited(&laptop.login("ann", PASSWORD).await.unwrap_err());
    // Who guesses locks nobody out on another device.
    phone.login("ann", PASSWORD).await.unwrap();
    limited(&laptop.login("ann", PASSWORD).await.unwrap_err());
    world.hand.forward(WINDOW);
    laptop.login("ann", PASSWORD).await.unwrap();
}

fn limited(status: &Status) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let wait = status.detail::<RetryInfo>().and_then(|info| info.delay()).unwrap();
    assert!(wait > Duration::ZERO && wait <= WINDOW, "{wait:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_passwords_have_bounds() {
    let world = World::new();
    let _auth = world.auth("auth-1", &Spy::default());
    let laptop = world.device("laptop").await;
    let (name, long) = ("a".repeat(64), "p".repeat(128));
    let sign_up = async |user: &str, password: &str| {
        let request = SignUpRequest { user: user.into(), password: password.into() };
        laptop.auth.sign_up(request).await
    };
    sign_up(&name, &long).await.unwrap();
    laptop.login(&name, &long).await.unwrap();
    assert_eq!(sign_up(&name, &long).await.unwrap_err().code(), Code::AlreadyExists);
    let cases = [
        ("", &*long, "user"),
        ("Ann", &long, "user"),
        ("ann\0", &long, "user"),
        (&*(name.clone() + "a"), &long, "user"),
        ("ann", "short", "password"),
        ("ann", &(long.clone() + "p"), "password"),
    ];
    for (user, password, field) in cases {
        let status = sign_up(user, password).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        let found: BadRequest = status.detail().unwrap();
        assert_eq!(found.field_violations[0].field, field, "{status}");
    }
    let status = laptop.login("ann", &(long + "p")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed_by_who_knows_the_old_one() {
    let world = World::new();
    let _auth = world.auth("auth-1", &Spy::default());
    let laptop = world.device("laptop").await;
    laptop.sign_up("ann").await;
    let token = laptop.token("ann").await;
    let change = async |old: &str, new: &str, token: &str| {
        let request = ChangePasswordRequest { old_password: old.into(), new_password: new.into() };
        laptop.auth.change_password(request).metadata(AUTHORIZATION, token.to_owned()).await
    };
    let none = change(PASSWORD, "battery staple", "").await.unwrap_err();
    assert_eq!(none.code(), Code::Unauthenticated);
    let wrong = change("a guess", "battery staple", &token).await.unwrap_err();
    assert_eq!(wrong.code(), Code::PermissionDenied);
    change(PASSWORD, "battery staple", &token).await.unwrap();
    assert_eq!(laptop.login("ann", PASSWORD).await.unwrap_err().code(), Code::Unauthenticated);
    laptop.login("ann", "battery staple").await.unwrap();
}

/// Approves of everything.
struct Impostor;

impl Auth for Impostor {
    fn sign_up(&self, _: &CallContext, _: SignUpRequest) -> Result<SignUpReply, Status> {
        Ok(SignUpReply {})
    }

    fn login(&self, _: &CallContext, req: LoginRequest) -> Result<LoginReply, Status> {
        Ok(LoginReply { user: req.user, rights: vec!["notes.admin".into()] })
    }

    fn change_password(
        &self,
        _: &CallContext,
        _: ChangePasswordRequest,
    ) -> Result<ChangePasswordReply, Status> {
        Ok(ChangePasswordReply {})
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_device_serves_no_logins() {
    let world = World::new();
    let _auth = world.auth("auth-1", &Spy::default());
    let laptop = world.device("laptop").await;
    laptop.sign_up("ann").await;
    let curve = world.setup.curve("laptop").unwrap();
    let impostor = Worker::builder().connect(&world.endpoint).curve(curve).id("impostor");
    let _impostor = impostor.serve(AuthWorker::new(Impostor)).start().unwrap();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let status = laptop.login("ann", "a wrong password").await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_logs_in_once_for_many_calls_and_anew_when_its_token_counts_no_more() {
    let (world, spy) = (World::new(), Spy::default());
    let _workers = [world.auth("auth-1", &spy), world.notes(&spy)];
    let laptop = world.device("laptop").await;
    laptop.sign_up("ann").await;
    let session = Session::new(&laptop.client, "ann", PASSWORD);
    let notes = NotesClient::new(laptop.client.intercept(session));
    let list = async || {
        let calls: Vec<_> =
            (0..20).map(|_| tokio::spawn(notes.list(ListRequest {}).send())).collect();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap().message().user, "ann");
        }
        spy.count("baas.v1.Auth/Login")
    };
    assert_eq!(list().await, 1);
    assert_eq!(list().await, 1);
    // The session does not know of it: its own clock stands where it was.
    world.hand.forward(example_baas::token::LONGEST);
    assert_eq!(list().await, 2);

    // A wrong password is the caller's to know, and is not tried again and again.
    let session = Session::new(&laptop.client, "ann", "a wrong password");
    let notes = NotesClient::new(laptop.client.intercept(session));
    let status = notes.list(ListRequest {}).await.unwrap_err();
    assert_eq!(status.message(), "no such user and password");
    assert_eq!(spy.count("baas.v1.Auth/Login"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_logs_in_before_its_token_ends() {
    let (world, spy) = (World::with_tokens_for(Duration::from_secs(2)), Spy::default());
    let _workers = [world.auth("auth-1", &spy), world.notes(&spy)];
    let laptop = world.device("laptop").await;
    laptop.sign_up("ann").await;
    let session = Session::new(&laptop.client, "ann", PASSWORD);
    let notes = NotesClient::new(laptop.client.intercept(session));
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        notes.list(ListRequest {}).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!((2..=6).contains(&spy.count("baas.v1.Auth/Login")));
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_go_on_when_an_auth_worker_is_killed() {
    let world = World::new();
    let keys = world.folder.path().join("keys");
    let auth = |id: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_example-baas"));
        command.args(["auth", "--id", id, "--endpoint", &world.endpoint]);
        Process::start(command.arg("--keys").arg(&keys).arg("--db").arg(&world.database))
    };
    let mut workers = ["auth-1", "auth-2"].map(auth);
    let laptop = world.device("laptop").await;
    laptop.sign_up("ann").await;
    // Until both take logins.
    let mut seen = [false; 2];
    let deadline = Instant::now() + Duration::from_secs(30);
    while seen != [true; 2] {
        assert!(Instant::now() < deadline, "{seen:?}");
        let response = laptop.login("ann", PASSWORD).await.unwrap();
        seen[usize::from(response.worker() == b"auth-2")] = true;
    }
    let request = LoginRequest { user: "ann".into(), password: PASSWORD.into() };
    let login = || laptop.auth.login(request.clone()).timeout(Duration::from_secs(60)).send();
    // Four times as many as the two take at once: when the first is over, both are busy.
    let cores = std::thread::available_parallelism().unwrap().get();
    let mut calls: JoinSet<_> = (0..(8 * cores).min(150)).map(|_| login()).collect();
    let mut moved = 0;
    while let Some(response) = calls.join_next().await {
        workers[0].kill();
        let response = response.unwrap().unwrap();
        assert!(response.metadata().get_str(AUTHORIZATION).is_some());
        moved += usize::from(response.attempts() > 1);
    }
    assert!(moved > 0, "no login was under way when its worker was killed");
    let response = laptop.login("ann", PASSWORD).await.unwrap();
    assert_eq!(response.worker(), b"auth-2");
}
