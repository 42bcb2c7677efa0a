//! A process that forks: libzmq's threads stay in the parent.

// SAFETY of the one block: see there. There is no fork without `unsafe`.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::indexing_slicing)] // tests

mod support;

use std::time::Duration;

use mdp_runtime::blocking::Client;
use mdp_runtime::{ConnectError, Runtime};
use support::{broker, call, echo, worker};

/// What a child found out, as its exit code.
const SERVED: i32 = 7;

/// Runs `child` in a child process, and gives its exit code.
fn in_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs `child` and ends; it uses no lock that another thread of the parent could hold: glibc makes
    // malloc usable after a fork, and the tests here are the only ones of their program that run meanwhile.
    match unsafe { libc::fork() } {
        0 => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(99);
            // SAFETY: as above; without the parent's destructors.
            unsafe { libc::_exit(code) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: `pid` is our child, and `status` is a place for an `int`.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            assert!(libc::WIFEXITED(status), "the child was killed: {status}");
            libc::WEXITSTATUS(status)
        }
    }
}

/// One test, as the children of two at once would be in each other's way.
#[test]
fn a_child_has_a_context_of_its_own_and_the_parent_goes_on() {
    let (broker, tokio) = (broker(), tokio::runtime::Runtime::new().unwrap());
    let _worker = tokio.block_on(worker(&broker, echo()));
    let endpoint = broker.endpoints()[0].clone();
    let own = Runtime::new();
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
        let builder = Client::builder().runtime(&own).connect(endpoint.clone());
        match builder.connect_timeout(Duration::from_secs(3)).open_blocking() {
            Err(ConnectError::Socket(_) | ConnectError::NoBroker { .. }) => SERVED,
            _ => 3,
        }
    });
    assert_eq!(code, SERVED);
    assert_eq!(call(&before.handle(), "at the end").wait().unwrap(), "at the end");
}
