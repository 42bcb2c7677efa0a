//! Connects the program to a broker as a client.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};
use mdp_runtime::security::{CurveClient, KeyPair, PublicKey};
use mdp_runtime::{Client, ClientBuilder, ConnectError};

use crate::Failure;
use crate::profile::Profile;

/// The broker's endpoint by default.
const ENDPOINT: &str = "tcp://127.0.0.1:5555";

/// The broker's endpoints and the keys. For each setting, the command line has priority over the environment, the
/// environment over the profile, and the profile over the default.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// The broker's endpoint. Several, with commas between them, are tried in turn. Default: tcp://127.0.0.1:5555.
    #[arg(long, value_name = "ENDPOINT", env = "MDP_ENDPOINT", value_delimiter = ',')]
    pub(crate) endpoint: Vec<String>,
    /// The broker's public key, as text or as a .pub file. With it the connection is encrypted.
    // The text of a key may begin with `-`.
    #[arg(long, value_name = "KEY", env = "MDP_SERVER_KEY", allow_hyphen_values = true)]
    pub(crate) server_key: Option<String>,
    /// The program's own .key file. Default: a new key for this run only. Needs the broker's key, too.
    #[arg(long, value_name = "FILE", env = "MDP_KEY")]
    pub(crate) key: Option<PathBuf>,
    /// A profile: the table of this name in mdp/profiles.toml of the user's configuration directory.
    #[arg(long, value_name = "NAME", env = "MDP_PROFILE")]
    pub(crate) profile: Option<String>,
}

/// The merged settings of all sources.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) endpoints: Vec<String>,
    pub(crate) curve: Option<CurveClient>,
}

impl ConnectArgs {
    /// Returns a connected client.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        self.connection()?.client().await
    }

    /// Merges the settings of all sources.
    pub(crate) fn connection(&self) -> Result<Connection, Failure> {
        self.merged().map_err(Failure::wrong)
    }

    fn merged(&self) -> anyhow::Result<Connection> {
        let profile = match self.profile.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => Profile::find(name)?,
            None => Profile::default(),
        };
        let endpoints =
            [&self.endpoint, &profile.endpoint].into_iter().find(|list| !list.is_empty());
        let endpoints = endpoints.cloned().unwrap_or_else(|| vec![ENDPOINT.to_owned()]);
        let server = self.server_key.as_ref().or(profile.server_key.as_ref());
        let key = self.key.as_ref().or(profile.key.as_ref());
        let curve = match (server, key) {
            (None, None) => None,
            (None, Some(_)) => bail!("your own key needs the broker's key; give --server-key, too"),
            (Some(server), None) => Some(CurveClient::new(public_key(server)?)),
            (Some(server), Some(file)) => {
                Some(CurveClient::new(public_key(server)?).key_pair(KeyPair::read(file)?))
            }
        };
        Ok(Connection { endpoints, curve })
    }
}

impl Connection {
    /// Returns a connected client.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        let endpoints = self.endpoints.join(", ");
        self.builder().open().await.map_err(|error| match error {
            ConnectError::Endpoint(_) => Failure::wrong(error),
            error => Failure::failed(anyhow!(error).context(format!("no broker at {endpoints}"))),
        })
    }

    /// Returns a client that must connect within this time.
    pub(crate) async fn client_within(&self, time: Duration) -> Result<Client, ConnectError> {
        self.builder().connect_timeout(time).open().await
    }

    fn builder(&self) -> ClientBuilder {
        let builder = self.endpoints.iter().fold(Client::builder(), ClientBuilder::connect);
        match &self.curve {
            Some(curve) => builder.curve(curve.clone()),
            None => builder,
        }
    }
}

/// Parses the text as a key. If that fails, reads the file with this name.
fn public_key(text: &str) -> anyhow::Result<PublicKey> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    if !Path::new(text).exists() {
        bail!("`{text}` is neither a public key, of 40 characters of Z85, nor a file");
    }
    Ok(PublicKey::read(text)?)
}
