//! The broker's own services (RFC 8, `mmi.`), for the commands.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use mdp_runtime::{Client, Code, RawClient, RawError, Schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::connect::ConnectArgs;

/// The time limit for an answer of the broker.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to the broker's own services.
#[derive(Debug)]
pub(crate) struct Management {
    pub(crate) client: Client,
    raw: RawClient,
}

/// The reason why there is no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(
        "the broker's policy does not let you use {0}; its grant for you needs `manage = true`"
    )]
    Denied(&'static str),
    #[error(
        "you may not drain; start the broker with --allow-drain, or give your principal `drain = true` in its policy"
    )]
    MayNotDrain,
    #[error("the broker does not know {0}; it is an older version, or another program")]
    NotThere(&'static str),
    #[error("the broker knows no `{about}`")]
    Unknown { about: String },
    #[error("the workers of {about} do not return its schema")]
    NotTold { about: String },
    #[error("the broker answered {service} with the status {status}; try again")]
    Busy { service: &'static str, status: String },
    #[error("the broker did not answer {service}")]
    NoAnswer { service: &'static str, source: RawError },
    #[error("the broker answered {service} with data that cannot be read")]
    Unreadable { service: &'static str, source: serde_json::Error },
}

/// A service in the list of `mmi.services`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ServiceLine {
    pub(crate) service: String,
    pub(crate) workers: u64,
    pub(crate) capacity: u64,
    pub(crate) running: u64,
    pub(crate) queued: u64,
    #[serde(default)]
    pub(crate) draining: u64,
    #[serde(default)]
    pub(crate) schemas: Vec<String>,
}

/// A worker of a service in the list of `mmi.workers`.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub(crate) struct WorkerLine {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) service: String,
    pub(crate) dialect: String,
    pub(crate) capacity: u64,
    pub(crate) running: u64,
    pub(crate) draining: bool,
    pub(crate) schema: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<Done>,
}

/// The broker, from `mmi.broker`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct BrokerLine {
    pub(crate) version: String,
    pub(crate) time_ms: u64,
    pub(crate) draining: bool,
    pub(crate) limits: Numbers,
}

/// Limits or counters, by name.
pub(crate) type Numbers = BTreeMap<String, u64>;

/// A method in the list of `mmi.methods`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct MethodLine {
    pub(crate) service: String,
    pub(crate) method: String,
    pub(crate) done: Done,
}

/// The counters of a method or worker.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) redispatched: u64,
    pub(crate) queued_ms: u64,
    pub(crate) running_ms: u64,
    pub(crate) last_error: Option<String>,
    pub(crate) last_error_ms_ago: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Drained {
    workers: u64,
}

/// Formats each byte as two hex digits.
pub(crate) fn in_hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `1 worker`, `2 workers`.
pub(crate) fn workers_in_words(count: usize) -> String {
    format!("{count} worker{}", if count == 1 { "" } else { "s" })
}

impl Management {
    /// Connects to the broker.
    pub(crate) async fn open(args: &ConnectArgs) -> Result<Self, Failure> {
        Ok(Self::over(args.client().await?))
    }

    pub(crate) fn over(client: Client) -> Self {
        let raw = RawClient::over(&client).with_timeout(PATIENCE);
        Management { client, raw }
    }

    pub(crate) async fn services(&self) -> Result<Vec<ServiceLine>, AskError> {
        self.json("mmi.services", "").await
    }

    /// Returns the workers of a service, or of all services if the name is empty.
    pub(crate) async fn workers(&self, service: &str) -> Result<Vec<WorkerLine>, AskError> {
        self.json("mmi.workers", service).await
    }

    /// Returns the counters of the methods of a service, or of all services if the name is empty.
    pub(crate) async fn methods(&self, service: &str) -> Result<Vec<MethodLine>, AskError> {
        self.json("mmi.methods", service).await
    }

    /// Returns the counters that are numbers.
    pub(crate) async fn counters(&self) -> Result<Numbers, AskError> {
        let all: BTreeMap<String, serde_json::Value> = self.json("mmi.counters", "").await?;
        Ok(all.into_iter().filter_map(|(name, value)| Some((name, value.as_u64()?))).collect())
    }

    pub(crate) async fn broker(&self) -> Result<BrokerLine, AskError> {
        self.json("mmi.broker", "").await
    }

    /// Returns the schema of a service and the contract's hash in hex: the contract with this hash, or else the
    /// contract that most workers have.
    pub(crate) async fn schema(
        &self,
        service: &str,
        hash: Option<&str>,
    ) -> anyhow::Result<(Schema, String)> {
        let name = "mmi.schema";
        let about = match hash {
            Some(hash) => format!("{service} {hash}"),
            None => service.to_owned(),
        };
        let mut frames = self.frames(name, &about).await?.into_iter();
        let (set, hash) = (frames.next().unwrap_or_default(), frames.next().unwrap_or_default());
        let schema = Schema::from_bytes(Some(service), &set)
            .with_context(|| format!("the schema of {service} cannot be read"))?;
        Ok((schema, in_hex(&*hash)))
    }

    /// Ends workers or the broker. Returns the number of workers that will end.
    pub(crate) async fn drain(&self, service: &'static str, about: &str) -> Result<u64, AskError> {
        self.json(service, about).await.map(|drained: Drained| drained.workers)
    }

    /// Asks a question that needs no right, to measure the round trip to the broker.
    pub(crate) async fn is_served(&self, service: &str) -> Result<bool, AskError> {
        match self.frames("mmi.service", service).await {
            Ok(_) => Ok(true),
            Err(AskError::Unknown { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn json<T: DeserializeOwned>(
        &self,
        service: &'static str,
        about: &str,
    ) -> Result<T, AskError> {
        let frames = self.frames(service, about).await?;
        let json = frames.first().map(|frame| &**frame).unwrap_or_default();
        serde_json::from_slice(json).map_err(|source| AskError::Unreadable { service, source })
    }

    /// Returns the frames after the status.
    async fn frames(&self, service: &'static str, about: &str) -> Result<Vec<Bytes>, AskError> {
        let asked = self.raw.send(service, vec![Bytes::copy_from_slice(about.as_bytes())]).await;
        let mut frames = asked.map_err(|source| match source {
            RawError::Status(status) if status.code() == Code::PermissionDenied => {
                if service.starts_with("mmi.drain.") {
                    return AskError::MayNotDrain;
                }
                AskError::Denied(service)
            }
            source => AskError::NoAnswer { service, source },
        })?;
        if frames.is_empty() {
            return Err(AskError::NotThere(service));
        }
        let status = frames.remove(0);
        let about = about.to_owned();
        match &*status {
            b"200" => Ok(frames),
            b"403" => Err(AskError::MayNotDrain),
            b"404" => Err(AskError::Unknown { about }),
            b"501" if service == "mmi.schema" => Err(AskError::NotTold { about }),
            b"501" => Err(AskError::NotThere(service)),
            status => Err(AskError::Busy { service, status: status.escape_ascii().to_string() }),
        }
    }
}
