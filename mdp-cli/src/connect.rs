//! How the program gets to a broker as a client.

use std::path::{Path, PathBuf};

use anyhow::bail;
use mdp_runtime::security::{CurveClient, KeyPair, PublicKey};
use mdp_runtime::{Client, ClientBuilder, ConnectError};

use crate::Failure;

/// Where the broker is, and with which keys.
#[derive(Debug, clap::Args)]
pub(crate) struct ConnectArgs {
    /// The broker's endpoint; several are tried in turn.
    #[arg(
        long,
        value_name = "ENDPOINT",
        env = "MDP_ENDPOINT",
        default_value = "tcp://127.0.0.1:5555",
        value_delimiter = ','
    )]
    pub(crate) endpoint: Vec<String>,
    /// The broker's public key, as text or as a .pub file: the connection is encrypted.
    #[arg(long, value_name = "KEY", env = "MDP_SERVER_KEY")]
    pub(crate) server_key: Option<String>,
    /// The program's own .key file; without one it has a key for this time only.
    #[arg(long, value_name = "FILE", env = "MDP_KEY", requires = "server_key")]
    pub(crate) key: Option<PathBuf>,
}

impl ConnectArgs {
    /// A connected client.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        let builder = self.builder().map_err(Failure::wrong)?;
        let endpoints = self.endpoint.join(", ");
        builder.open().await.map_err(|error| match error {
            ConnectError::Endpoint(_) => Failure::wrong(error),
            _ => Failure::failed(
                anyhow::Error::new(error).context(format!("no broker at {endpoints}")),
            ),
        })
    }

    fn builder(&self) -> anyhow::Result<ClientBuilder> {
        let mut builder = Client::builder();
        for endpoint in &self.endpoint {
            builder = builder.connect(endpoint);
        }
        let Some(server) = &self.server_key else { return Ok(builder) };
        let mut curve = CurveClient::new(public_key(server)?);
        if let Some(file) = &self.key {
            curve = curve.key_pair(KeyPair::read(file)?);
        }
        Ok(builder.curve(curve))
    }
}

/// Text is a key if it can be one, else the name of a file.
fn public_key(text: &str) -> anyhow::Result<PublicKey> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    if !Path::new(text).exists() {
        bail!("`{text}` is neither a public key, of 40 characters of Z85, nor a file");
    }
    Ok(PublicKey::read(text)?)
}
