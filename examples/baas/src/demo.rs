//! All parts in one process, over tcp with CURVE: what a token is good for, and what is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use example_baas::auth::Limits;
use example_baas::clock::{Clock, Hand};
use example_baas::hooks::AUTHORIZATION;
use example_baas::parts;
use example_baas::pb::auth_client::AuthClient;
use example_baas::pb::notes_client::NotesClient;
use example_baas::pb::{AddRequest, ListRequest, LoginRequest, PurgeRequest, SignUpRequest};
use example_baas::session::Session;
use example_baas::setup::Setup;
use example_baas::store::Store;
use example_baas::token::{LONGEST, Tokens};
use mdp_runtime::details::RetryInfo;
use mdp_runtime::{Broker, Call, Client, Code, Status, Worker};

use crate::client::{log_in_often, shares};

const GRACE: Duration = Duration::from_secs(5);
const PASSWORD: &str = "correct horse";

pub(crate) async fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut stage = Stage::build(folder.path())?;
    let laptop = Device::open(&stage, "laptop").await?;
    let phone = Device::open(&stage, "phone").await?;

    let token = log_in(&laptop).await?;
    be_refused(&laptop, &phone, &token).await?;
    let admin = be_an_admin(&stage, &laptop, &token).await?;
    expire(&stage, &laptop, &admin).await?;
    guess(&laptop).await?;
    scale(&mut stage, &laptop).await?;

    for worker in stage.workers {
        worker.shutdown(GRACE).await;
    }
    stage.broker.shutdown(GRACE).await;
    println!("all went as expected");
    Ok(())
}

/// The broker, its workers, and the clock by which tokens expire.
struct Stage {
    setup: Setup,
    database: PathBuf,
    clock: Clock,
    hand: Hand,
    broker: Broker,
    endpoint: String,
    workers: Vec<Worker>,
}

impl Stage {
    fn build(folder: &Path) -> Result<Self> {
        let setup = Setup::create(folder.join("keys"))?;
        let (clock, hand) = Clock::with_hand();
        let tokens = Arc::new(Tokens::new(clock.clone(), LONGEST)?);
        let broker = parts::broker(&setup, "tcp://127.0.0.1:*", tokens)?;
        let endpoint = broker.endpoints().first().context("the broker is bound nowhere")?.clone();
        let workers = vec![parts::notes(&setup, &endpoint)?.start()?];
        let database = folder.join("users.db");
        let mut stage = Stage { setup, database, clock, hand, broker, endpoint, workers };
        stage.add_auth("auth-1")?;
        stage.add_auth("auth-2")?;
        println!("a broker, two Auth workers on one database and a Notes worker are there");
        Ok(stage)
    }

    fn add_auth(&mut self, id: &str) -> Result<()> {
        let clock = self.clock.clone();
        let limits = Limits::default();
        let worker = parts::auth(&self.setup, &self.endpoint, id, &self.database, clock, limits)?;
        self.workers.push(worker.start()?);
        Ok(())
    }
}

/// What calls from one device, and has its key.
struct Device {
    client: Client,
    auth: AuthClient,
    notes: NotesClient,
}

impl Device {
    async fn open(stage: &Stage, name: &str) -> Result<Self> {
        let client = parts::client(&stage.setup, &stage.endpoint, name)?.open().await?;
        let (auth, notes) = (AuthClient::new(client.clone()), NotesClient::new(client.clone()));
        Ok(Device { client, auth, notes })
    }
}

/// Signs ann up, logs her in and makes a call with the token.
async fn log_in(laptop: &Device) -> Result<String> {
    println!("1. a login, and a call with its token");
    let request = SignUpRequest { user: "ann".into(), password: PASSWORD.into() };
    laptop.auth.sign_up(request).await?;
    let token = token(laptop, PASSWORD).await?;
    println!("    ann has a token of {} characters", token.len());
    let add = AddRequest { text: "water the plants".into() };
    laptop.notes.add(add).metadata(AUTHORIZATION, token.clone()).await?;
    let list = laptop.notes.list(ListRequest {}).metadata(AUTHORIZATION, token.clone()).await?;
    println!("    the worker knows from the broker that it is {}: {:?}", list.user, list.notes);
    ensure!(list.user == "ann" && list.notes == ["water the plants"], "another list: {list:?}");
    Ok(token)
}

async fn be_refused(laptop: &Device, phone: &Device, token: &str) -> Result<()> {
    println!("2. what is refused");
    let wrong = laptop.auth.login(login("a guess")).await;
    refused("a wrong password", wrong, Code::Unauthenticated, "no such user and password")?;

    let list = |device: &Device| device.notes.list(ListRequest {});
    let none = list(laptop).await;
    refused("no token", none, Code::Unauthenticated, "log in first")?;

    let mut altered = token.to_owned();
    let last = altered.pop();
    altered.push(if last == Some('A') { 'Q' } else { 'A' });
    let altered = list(laptop).metadata(AUTHORIZATION, altered).await;
    refused("an altered token", altered, Code::Unauthenticated, "altered")?;

    let replayed = list(phone).metadata(AUTHORIZATION, token.to_owned()).await;
    refused("the laptop's token from the phone", replayed, Code::Unauthenticated, "another key")?;

    let forged = list(laptop).metadata("user", "root").await;
    refused("a claim to be root", forged, Code::Unauthenticated, "log in first")?;
    Ok(())
}

/// Without a right, and with it.
async fn be_an_admin(stage: &Stage, laptop: &Device, first: &str) -> Result<String> {
    println!("3. a right, and a method that needs it");
    let purge = |token: &str| -> Call<_> {
        let call = laptop.notes.purge(PurgeRequest { user: "ann".into() });
        call.metadata(AUTHORIZATION, token.to_owned())
    };
    let refusal = purge(first).await;
    refused("Purge without the right", refusal, Code::PermissionDenied, "notes.admin")?;
    ensure!(Store::open(&stage.database)?.grant("ann", "notes.admin")?, "ann is not known");
    let still = purge(first).await;
    refused("the token of before", still, Code::PermissionDenied, "notes.admin")?;
    let admin = token(laptop, PASSWORD).await?;
    let deleted = purge(&admin).await?.deleted;
    println!("    with a new token: {deleted} note deleted");
    ensure!(deleted == 1, "{deleted} notes were deleted");
    Ok(admin)
}

/// A quarter of an hour later by the test's clock: the token is over, and a session gets another one by itself.
async fn expire(stage: &Stage, laptop: &Device, token: &str) -> Result<()> {
    println!("4. a quarter of an hour later");
    let session = Session::new(&laptop.client, "ann", PASSWORD);
    let notes = NotesClient::new(laptop.client.intercept(session));
    notes.list(ListRequest {}).await?;
    stage.hand.forward(LONGEST);
    let late = laptop.notes.list(ListRequest {}).metadata(AUTHORIZATION, token.to_owned()).await;
    refused("the token", late, Code::Unauthenticated, "expired")?;
    let list = notes.list(ListRequest {}).await?;
    println!("    a session's token has expired too; it logged {} in anew", list.user);
    Ok(())
}

async fn guess(laptop: &Device) -> Result<()> {
    println!("5. a password is guessed");
    let mut guesses = 0;
    let status = loop {
        let request = LoginRequest { user: "ben".into(), password: format!("guess {guesses}") };
        match laptop.auth.login(request).await {
            Err(status) if status.code() == Code::Unauthenticated => guesses += 1,
            Err(status) => break status,
            Ok(_) => bail!("a guess was taken"),
        }
        ensure!(guesses < 100, "one may guess for ever");
    };
    let wait = status.detail::<RetryInfo>().and_then(|info| info.delay());
    let wait = wait.context("nothing says how long to wait")?.as_secs();
    println!("    after {guesses} guesses: {status} ({wait} s)");
    ensure!(status.code() == Code::ResourceExhausted, "ended with another code");
    Ok(())
}

/// Another worker takes its share of the logins, without a word to anybody.
async fn scale(stage: &mut Stage, laptop: &Device) -> Result<()> {
    println!("6. another Auth worker is started");
    let before = log_in_often(&laptop.auth, &login(PASSWORD), 16).await?;
    println!("    16 logins: {}", shares(&before));
    ensure!(before.len() == 2, "two workers should have shared them");
    stage.add_auth("auth-3")?;
    let added = stage.workers.last().context("no worker was added")?;
    added.connected().await.context("auth-3 was stopped")?;
    let after = log_in_often(&laptop.auth, &login(PASSWORD), 24).await?;
    println!("    24 logins: {}", shares(&after));
    ensure!(after.len() == 3, "three workers should have shared them");
    Ok(())
}

fn login(password: &str) -> LoginRequest {
    LoginRequest { user: "ann".into(), password: password.into() }
}

/// Logs ann in, and gives what the broker put beside the reply.
async fn token(device: &Device, password: &str) -> Result<String> {
    let response = device.auth.login(login(password)).send().await?;
    let token = response.metadata().get_str(AUTHORIZATION);
    Ok(token.context("a login gives a token")?.to_owned())
}

/// Tells of a call that is refused as it should be.
fn refused<T>(what: &str, ended: Result<T, Status>, code: Code, words: &str) -> Result<()> {
    let Err(status) = ended else { bail!("{what} was accepted") };
    println!("    {what}: {status}");
    ensure!(status.code() == code && status.message().contains(words), "refused otherwise");
    Ok(())
}
