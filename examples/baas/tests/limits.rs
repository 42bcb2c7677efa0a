//! How often one may sign up and guess, and what sign-ups that nobody waits for cost.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../../tests/support/process.rs"]
mod process;
mod support;

use std::process::Command;
use std::thread::available_parallelism;
use std::time::Duration;

use example_baas::auth::{Limits, WINDOW};
use example_baas::pb::SignUpRequest;
use mdp_runtime::details::RetryInfo;
use mdp_runtime::{Code, Status};
use process::Process;
use support::{Device, PASSWORD, Spy, World};

const PATIENCE: Duration = Duration::from_secs(60);

async fn sign_up(device: &Device, user: &str, time: Duration) -> Result<(), Status> {
    let request = SignUpRequest { user: user.into(), password: PASSWORD.into() };
    device.auth.sign_up(request).timeout(time).await.map(drop)
}

async fn guess(device: &Device, user: &str) -> Code {
    device.login(user, "a wrong password").await.unwrap_err().code()
}

fn limited(status: &Status) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let wait = status.detail::<RetryInfo>().and_then(|info| info.delay()).unwrap();
    assert!(wait > Duration::ZERO && wait <= WINDOW, "{wait:?}");
}

/// A46: the hashes of calls that have ended count for the worker's capacity, so there are never more of them at once than
/// it has processors.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a46_sign_ups_in_a_hurry_keep_the_worker_small() {
    let world = World::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-baas"));
    // So that the capacity is what bounds them.
    command.args(["auth", "--endpoint", &world.endpoint, "--sign-ups", "100000"]);
    command.arg("--keys").arg(world.folder.path().join("keys"));
    let worker = Process::start(command.arg("--db").arg(&world.database));
    let laptop = world.device("laptop").await;
    sign_up(&laptop, "ann", PATIENCE).await.unwrap();
    let mut calls = Vec::new();
    for number in 0..186 {
        let request = SignUpRequest { user: format!("user-{number}"), password: PASSWORD.into() };
        calls.push(tokio::spawn(
            laptop.auth.sign_up(request).timeout(Duration::from_millis(12)).send(),
        ));
        // Below the quota of a device.
        tokio::time::sleep(Duration::from_millis(13)).await;
    }
    let mut ended = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => ended += 1,
            Err(status) => assert!(
                matches!(
                    status.code(),
                    // The broker refuses what cannot end in its time.
                    Code::DeadlineExceeded | Code::Unavailable | Code::ResourceExhausted
                ),
                "{status}"
            ),
        }
    }
    // It serves as before.
    laptop.login("ann", PASSWORD).await.unwrap();
    let peak = peak(worker.id());
    let cores = available_parallelism().unwrap().get() as u64;
    // With two processors 53 MiB; 131 MiB where hashes of ended calls do not count, some 3 GiB where each takes its own memory too.
    let max = 60 + 24 * cores;
    assert!(peak < max << 20, "{} MiB, and {ended} in time", peak >> 20);
}

/// The most memory that a process has held, in bytes.
#[cfg(target_os = "linux")]
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn a46_sign_ups_are_limited_by_device_and_over_all() {
    let world = World::new();
    let limits = Limits { sign_ups: 3, sign_ups_of_all: 4, ..Limits::default() };
    let _auth = ["auth-1", "auth-2"].map(|id| world.auth_within(id, &Spy::default(), limits));
    let (laptop, phone) = (world.device("laptop").await, world.device("phone").await);
    for user in ["a", "b"] {
        sign_up(&laptop, user, PATIENCE).await.unwrap();
    }
    // Asking which names are taken counts too.
    let taken = sign_up(&laptop, "a", PATIENCE).await.unwrap_err();
    assert_eq!(taken.code(), Code::AlreadyExists);
    for user in ["a", "c"] {
        limited(&sign_up(&laptop, user, PATIENCE).await.unwrap_err());
    }
    sign_up(&phone, "d", PATIENCE).await.unwrap();
    limited(&sign_up(&phone, "e", PATIENCE).await.unwrap_err());
    world.hand.forward(WINDOW);
    sign_up(&laptop, "c", PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a46_one_password_for_many_users_is_limited_by_device() {
    let world = World::new();
    let limits = Limits { tries_of_device: 4, ..Limits::default() };
    let _auth = world.auth_within("auth-1", &Spy::default(), limits);
    let (laptop, phone) = (world.device("laptop").await, world.device("phone").await);
    laptop.sign_up("ann").await;
    for user in ["a", "b", "c", "d"] {
        assert_eq!(guess(&laptop, user).await, Code::Unauthenticated);
    }
    assert_eq!(guess(&laptop, "e").await, Code::ResourceExhausted);
    // The right one is one more guess.
    limited(&laptop.login("ann", PASSWORD).await.unwrap_err());
    phone.login("ann", PASSWORD).await.unwrap();
    world.hand.forward(WINDOW);
    laptop.login("ann", PASSWORD).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a46_guesses_from_many_devices_are_limited_by_user() {
    let world = World::new();
    let limits = Limits { tries: 3, tries_for_user: 4, ..Limits::default() };
    let _auth = world.auth_within("auth-1", &Spy::default(), limits);
    let (laptop, phone) = (world.device("laptop").await, world.device("phone").await);
    laptop.sign_up("ann").await;
    laptop.sign_up("ben").await;
    for _ in 0..3 {
        assert_eq!(guess(&laptop, "ann").await, Code::Unauthenticated);
    }
    // More from this device are answered by its own limit, and do not count for the user.
    assert_eq!(guess(&laptop, "ann").await, Code::ResourceExhausted);
    assert_eq!(guess(&phone, "ann").await, Code::Unauthenticated);
    limited(&phone.login("ann", PASSWORD).await.unwrap_err());
    phone.login("ben", PASSWORD).await.unwrap();
    world.hand.forward(WINDOW);
    phone.login("ann", PASSWORD).await.unwrap();
}
