//! A process that forks: libzmq's threads stay in the parent.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // tests

mod support;

use std::time::Duration;

use fork::Fork;
use mdp_runtime::blocking::Client;
use mdp_runtime::{ConnectError, Context};
use rustix::process::{Pid, WaitOptions, waitpid};
use support::{broker, call, echo, worker};

/// What a child found out, as its exit code.
const SERVED: i32 = 7;

/// Runs `child` in a child process, and gives its exit code.
fn in_child(child: impl FnOnce() -> i32) -> i32 {
    match fork::fork().unwrap() {
        Fork::Child => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(99);
            std::process::exit(code)
        }
        Fork::Parent(pid) => {
            let pid = Pid::from_raw(pid);
            let (_, status) = waitpid(pid, WaitOptions::empty()).unwrap().unwrap();
            status.exit_status().expect("the child was killed")
        }
    }
}

/// One test, as the children of two at once would be in each other's way.
#[test]
fn a_child_has_a_context_of_its_own_and_the_parent_goes_on() {
    let (broker, tokio) = (broker(), tokio::runtime::Runtime::new().unwrap());
    let _worker = tokio.block_on(worker(&broker, echo()));
    let endpoint = broker.endpoints()[0].clone();
    let own = Context::new();
    let before = Client::connect(endpoint.clone()).unwrap();
    for _ in 0..3 {
        let code = in_child(|| {
            let Ok(client) = Client::connect(endpoint.clone()) else { return 1 };
            match call(&client.handle(), "from a child").wait() {
                Ok(reply) if reply == "from a child" => SERVED,
                _ => 2,
            }
        });
        assert_eq!(code, SERVED);
        assert_eq!(call(&before.handle(), "from the parent").wait().unwrap(), "from the parent");
    }
    // A context that the parent has made is told apart.
    let code = in_child(|| {
        let builder = Client::builder().context(&own).connect(endpoint.clone());
        match builder.connect_timeout(Duration::from_secs(3)).open_blocking() {
            Err(ConnectError::Socket(_) | ConnectError::NoBroker { .. }) => SERVED,
            _ => 3,
        }
    });
    assert_eq!(code, SERVED);
    assert_eq!(call(&before.handle(), "at the end").wait().unwrap(), "at the end");
}
