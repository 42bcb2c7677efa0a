//! A backend as a service: everything in one process, or each part in one of its own.
//!
//! `cargo run -p example-baas` runs all parts and tells a story; with `-- broker`, `-- auth`, `-- notes` or `-- client` it
//! is one of them.

mod client;
mod demo;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};
use example_baas::auth::Limits;
use example_baas::clock::Clock;
use example_baas::parts;
use example_baas::setup::Setup;
use example_baas::store::Store;
use example_baas::token::{LONGEST, Tokens};

/// A backend as a service over the Majordomo Protocol. Without a command: all parts in one process.
#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Args)]
struct Place {
    /// Where the broker listens.
    #[arg(long, default_value = "tcp://127.0.0.1:5556")]
    endpoint: String,
    /// The folder that `keys` has made.
    #[arg(long, default_value = "baas-keys")]
    keys: PathBuf,
}

#[derive(Subcommand)]
enum Part {
    /// Makes a folder with the keys of all parts and the policy.
    Keys {
        /// The folder.
        #[arg(long, default_value = "baas-keys")]
        keys: PathBuf,
    },
    /// Passes calls on, gives tokens and checks them, until Ctrl-C.
    Broker {
        #[command(flatten)]
        place: Place,
        /// How many seconds a token lasts; 900 at the most.
        #[arg(long, default_value_t = LONGEST.as_secs())]
        lifetime: u64,
    },
    /// Checks passwords, until Ctrl-C. There may be any number of these.
    Auth {
        #[command(flatten)]
        place: Place,
        /// The worker's name, one for each worker.
        #[arg(long, default_value = "auth-1")]
        id: String,
        /// The database, the same for all.
        #[arg(long, default_value = "baas-users.db")]
        db: PathBuf,
        /// Sign-ups that each device may make in a minute. All devices together may make six times as many.
        #[arg(long, default_value_t = Limits::default().sign_ups)]
        sign_ups: u32,
    },
    /// Keeps notes, until Ctrl-C.
    Notes {
        #[command(flatten)]
        place: Place,
    },
    /// Signs a user up who is not known yet, adds a note and lists all.
    Client {
        #[command(flatten)]
        place: Place,
        /// Whose key to use: `laptop` or `phone`.
        #[arg(long, default_value = "laptop")]
        device: String,
        /// The user.
        #[arg(long, default_value = "ann")]
        user: String,
        /// The password. In earnest a program asks for it, or reads it from a file.
        #[arg(long, default_value = "correct horse")]
        password: String,
        /// How many logins to make besides, eight at a time; tells which workers took them.
        #[arg(long, default_value_t = 0)]
        logins: u32,
    },
    /// Gives a user a right, `notes.admin` for instance. It is in the tokens that are made from then on.
    Grant {
        /// The database.
        #[arg(long, default_value = "baas-users.db")]
        db: PathBuf,
        /// The user.
        user: String,
        /// The right.
        right: String,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Line::parse().part {
        None => demo::run().await,
        Some(Part::Keys { keys }) => {
            Setup::create(&keys)?;
            println!("keys and policy.toml are in {}", keys.display());
            Ok(())
        }
        Some(Part::Broker { place, lifetime }) => broker(place, lifetime).await,
        Some(Part::Auth { place, id, db, sign_ups }) => {
            let setup = Setup::at(place.keys);
            let sign_ups_of_all = sign_ups.saturating_mul(6);
            let limits = Limits { sign_ups, sign_ups_of_all, ..Limits::default() };
            let auth = parts::auth(&setup, &place.endpoint, &id, &db, Clock::system(), limits)?;
            // Until SIGINT or SIGTERM; what runs then is finished first.
            Ok(auth.run().await?)
        }
        Some(Part::Notes { place }) => {
            Ok(parts::notes(&Setup::at(place.keys), &place.endpoint)?.run().await?)
        }
        Some(Part::Client { place, device, user, password, logins }) => {
            let setup = Setup::at(place.keys);
            let client = parts::client(&setup, &place.endpoint, &device)?.open().await?;
            client::run(&client, &user, &password, logins).await
        }
        Some(Part::Grant { db, user, right }) => {
            ensure!(Store::open(db)?.grant(&user, &right)?, "{user} has no account");
            println!("{user} has the right {right}");
            Ok(())
        }
    }
}

async fn broker(place: Place, lifetime: u64) -> Result<()> {
    let tokens = Arc::new(Tokens::new(Clock::system(), Duration::from_secs(lifetime))?);
    let broker = parts::broker(&Setup::at(place.keys), &place.endpoint, tokens)?;
    println!("the broker listens at {}", broker.endpoints().join(", "));
    mdp_runtime::shutdown_signal().await;
    broker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
