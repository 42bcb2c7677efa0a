//! What a client does: it signs a user up, and makes calls that log in by themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use example_baas::pb::auth_client::AuthClient;
use example_baas::pb::notes_client::NotesClient;
use example_baas::pb::{AddRequest, ListRequest, LoginRequest, SignUpRequest};
use example_baas::session::Session;
use mdp_runtime::{Client, Code};

/// How many logins are made at once.
const AT_ONCE: u32 = 8;

/// The client as a process of its own.
pub(crate) async fn run(client: &Client, user: &str, password: &str, logins: u32) -> Result<()> {
    let auth = AuthClient::new(client.clone());
    match auth.sign_up(SignUpRequest { user: user.into(), password: password.into() }).await {
        Ok(_) => println!("{user} has signed up"),
        Err(status) if status.code() == Code::AlreadyExists => println!("{user} is known"),
        Err(status) => return Err(status.into()),
    }
    let notes = NotesClient::new(client.intercept(Session::new(client, user, password)));
    notes.add(AddRequest { text: "water the plants".into() }).await?;
    let list = notes.list(ListRequest {}).await?;
    println!("notes of {}: {}", list.user, list.notes.len());
    if logins > 0 {
        let request = LoginRequest { user: user.into(), password: password.into() };
        let by_worker = log_in_often(&auth, &request, logins).await?;
        println!("{logins} logins: {}", shares(&by_worker));
    }
    Ok(())
}

/// Logs in so often, and counts which worker took how many.
pub(crate) async fn log_in_often(
    auth: &AuthClient,
    request: &LoginRequest,
    logins: u32,
) -> Result<BTreeMap<String, u32>> {
    let mut by_worker = BTreeMap::new();
    for begun in (0..logins).step_by(AT_ONCE as usize) {
        let calls = (begun..logins.min(begun + AT_ONCE)).map(|_| {
            let call = auth.login(request.clone()).timeout(Duration::from_secs(30));
            tokio::spawn(call.send())
        });
        // All of them are made before the first is waited for.
        for call in calls.collect::<Vec<_>>() {
            let response = call.await??;
            let worker = response.worker().escape_ascii().to_string();
            *by_worker.entry(worker).or_default() += 1;
        }
    }
    ensure!(by_worker.values().sum::<u32>() == logins, "not every login was answered");
    Ok(by_worker)
}

/// The same as text: `auth-1 took 3, auth-2 took 5`.
pub(crate) fn shares(by_worker: &BTreeMap<String, u32>) -> String {
    let shares = by_worker.iter().map(|(worker, logins)| format!("{worker} took {logins}"));
    shares.collect::<Vec<_>>().join(", ")
}
