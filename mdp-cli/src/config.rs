//! Reads the broker's settings from a TOML file.

use std::num::{NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mdp_runtime::security::{AllowList, CurveServer, PublicKey, read_trusted};
use mdp_runtime::{BrokerBuilder, Limits};
use serde::Deserialize;

/// The settings of the file. A missing setting has its default. `docs/settings.md` is made from these fields and their
/// comments (`reference.rs`).
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// The endpoints to listen on, as with `--bind`. Required here or on the command line.
    #[serde(default)]
    pub(crate) bind: Vec<String>,
    /// The heartbeat interval of the broker's peers. A peer can ask for a longer one, up to 60 s.
    heartbeat_ms: Option<NonZeroU64>,
    /// A peer is lost after this many intervals without a message from it. A peer can ask for more, up to 10.
    liveness: Option<NonZeroU8>,
    /// How long a call waits for a service that has no worker. 0 refuses the call at once.
    unserved_wait_ms: Option<u64>,
    /// How long a worker can hold a call beyond its deadline before the broker gives the slot to another call.
    overrun_ms: Option<u64>,
    /// Refuses a call at once if it would wait for a worker for so long that it could not end before its deadline.
    admission: Option<bool>,
    /// Listens without encryption where other machines can connect. The same as `--insecure`.
    #[serde(default)]
    insecure: bool,
    /// Lets each connected peer end workers and the broker. The same as `--allow-drain`.
    #[serde(default)]
    allow_drain: bool,
    /// The broker's key, and which peers may connect. Default: no encryption.
    curve: Option<CurveConfig>,
    /// The file with the rights of each key to call and to serve.
    policy: Option<PathBuf>,
    /// For peers of classic MDP.
    #[serde(default)]
    classic: ClassicConfig,
    /// The most that peers can make the broker hold.
    #[serde(default)]
    limits: LimitsConfig,
}

/// The broker's key, and the peers that may connect. Relative paths start at the folder in which the program runs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CurveConfig {
    /// The broker's `.key` file.
    secret_key_file: PathBuf,
    /// Makes the key files if `secret_key_file` does not exist.
    #[serde(default)]
    generate: bool,
    /// Public keys that may connect, as text.
    #[serde(default)]
    allowed_keys: Vec<String>,
    /// A folder. The keys in its files that end in `.pub` may connect. The broker reads it at its start.
    allowed_keys_dir: Option<PathBuf>,
    /// Lets each peer with a key connect. Cannot be combined with the two lists of keys.
    #[serde(default)]
    allow_any: bool,
}

/// For peers of classic MDP (RFC 7 and RFC 18).
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassicConfig {
    /// How long a raw request of a client waits for a worker.
    queue_expiry_ms: Option<NonZeroU64>,
    /// How long a raw request may run, counted again from each attempt.
    run_timeout_ms: Option<NonZeroU64>,
    /// How long a worker may be silent while it holds no request.
    idle_expiry_ms: Option<NonZeroU64>,
    /// How long a worker may be silent while it holds a request, or hold one that no client waits for.
    busy_expiry_ms: Option<NonZeroU64>,
    /// Gives a raw request to another worker when its worker is lost.
    redispatch: Option<bool>,
}

/// The fields of [`Limits`], by their names. A limit cannot be zero if the broker could then serve no peer.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsConfig {
    /// Bytes in one frame: a packet, or a payload in a frame of its own.
    frame_bytes: Option<NonZeroUsize>,
    /// Frames in one message, the packet included.
    frames: Option<NonZeroUsize>,
    /// Records in one packet.
    records: Option<NonZeroUsize>,
    /// Clients and workers that are connected at once. Each takes an open file.
    sessions: Option<NonZeroUsize>,
    /// Services that have a worker.
    services: Option<NonZeroUsize>,
    /// Services without a worker for which calls wait.
    unserved_services: Option<usize>,
    /// Services that one worker's connection offers.
    services_per_worker: Option<NonZeroUsize>,
    /// Services that all workers' connections offer, each counted for each connection.
    registrations: Option<NonZeroUsize>,
    /// Calls that wait for a worker of one service.
    queued_calls_per_service: Option<usize>,
    /// Bytes of the calls that wait for a worker of one service.
    queued_bytes_per_service: Option<usize>,
    /// Bytes of all calls that the broker holds: waiting, or kept for another attempt.
    held_bytes: Option<usize>,
    /// Bytes of messages that are not complete, of all connections. Beyond this they are read one after another.
    incomplete_bytes: Option<usize>,
    /// Bytes on their way to one peer that it has not read. Beyond this its session ends.
    unread_bytes_per_session: Option<NonZeroUsize>,
    /// Bytes on their way to all peers that they have not read. Small messages and requests may use an eighth more.
    unread_bytes: Option<NonZeroUsize>,
    /// Calls of one client, waiting and running.
    calls_per_client: Option<NonZeroUsize>,
    /// Calls of all clients, waiting and running.
    calls: Option<NonZeroUsize>,
    /// Methods, and services, that have counters of their own.
    methods: Option<usize>,
    /// Concurrent calls that one worker may offer for one service.
    capacity: Option<NonZeroU16>,
    /// Credit of one side of a stream; one unit is an item of up to 256 bytes. The broker raises less than 16 to 16.
    window: Option<NonZeroU32>,
    /// Contracts of services that the broker keeps.
    schemas: Option<usize>,
    /// Bytes of these contracts.
    schema_bytes: Option<usize>,
    /// Attempts at one call, the first included.
    attempts: Option<NonZeroU8>,
    /// A worker's session ends after the broker has taken back this many slots without an answer from the worker.
    unanswered: Option<NonZeroU8>,
}

impl ConfigFile {
    /// Reads a file. A file without any setting is refused: it may be incomplete, and the broker would start without
    /// its keys and its policy.
    pub(crate) fn read(path: &Path) -> Result<ConfigFile> {
        let text = read_trusted(path)
            .with_context(|| format!("could not read the configuration {}", path.display()))?;
        let wrong = || format!("the configuration {} is wrong", path.display());
        if toml::from_str::<toml::Table>(&text).with_context(wrong)?.is_empty() {
            bail!(
                "the configuration {} has no setting; if the file is being written, start again when it is complete; for the defaults, leave `--config` out",
                path.display()
            );
        }
        toml::from_str(&text).with_context(wrong)
    }

    /// Returns the builder with these settings, except for the endpoints.
    pub(crate) fn apply(&self, builder: BrokerBuilder) -> Result<BrokerBuilder> {
        let mut builder = builder.insecure(self.insecure).allow_drain(self.allow_drain);
        if let Some(curve) = &self.curve {
            let guarded = self.policy.is_some();
            builder = builder.curve(curve.server(guarded).context("`[curve]` cannot be used")?);
        }
        if let Some(path) = &self.policy {
            builder = builder.policy_file(path);
        }
        if let Some(ms) = self.heartbeat_ms {
            builder = builder.heartbeat(Duration::from_millis(ms.get()));
        }
        if let Some(liveness) = self.liveness {
            builder = builder.liveness(liveness.get());
        }
        if let Some(ms) = self.unserved_wait_ms {
            builder = builder.unserved_wait(Duration::from_millis(ms));
        }
        if let Some(ms) = self.overrun_ms {
            builder = builder.overrun(Duration::from_millis(ms));
        }
        if let Some(admission) = self.admission {
            builder = builder.admission(admission);
        }
        Ok(self.classic.apply(builder).limits(self.limits.merged()))
    }
}

impl CurveConfig {
    /// Makes the CURVE settings. With a policy, only the keys of the policy may connect.
    fn server(&self, guarded: bool) -> Result<CurveServer> {
        let allowed = if guarded { AllowList::nobody() } else { self.allowed()? };
        let file = &self.secret_key_file;
        let server = match self.generate {
            true => CurveServer::read_or_create(file)?,
            false => CurveServer::read(file)?,
        };
        Ok(server.allow_list(allowed))
    }

    fn allowed(&self) -> Result<AllowList> {
        let some = self.allowed_keys_dir.is_some() || !self.allowed_keys.is_empty();
        match (some, self.allow_any) {
            (true, true) => bail!("`allow_any` and a list of keys exclude each other"),
            (false, true) => return Ok(AllowList::anybody()),
            (false, false) => bail!(
                "no peer could connect; give `allowed_keys_dir`, `allowed_keys`, `allow_any = true`, or a `policy`"
            ),
            (true, false) => {}
        }
        let list = AllowList::nobody();
        for text in &self.allowed_keys {
            let key = text.parse().with_context(|| format!("`{text}` in `allowed_keys`"))?;
            list.add(key);
        }
        if let Some(folder) = &self.allowed_keys_dir {
            PublicKey::read_folder(folder)?.into_iter().for_each(|key| list.add(key));
        }
        Ok(list)
    }
}

impl ClassicConfig {
    fn apply(&self, mut builder: BrokerBuilder) -> BrokerBuilder {
        let time = |ms: NonZeroU64| Duration::from_millis(ms.get());
        if let Some(ms) = self.queue_expiry_ms {
            builder = builder.classic_queue_expiry(time(ms));
        }
        if let Some(ms) = self.run_timeout_ms {
            builder = builder.classic_run_timeout(time(ms));
        }
        if let Some(ms) = self.idle_expiry_ms {
            builder = builder.classic_idle_expiry(time(ms));
        }
        if let Some(ms) = self.busy_expiry_ms {
            builder = builder.classic_busy_expiry(time(ms));
        }
        if let Some(redispatch) = self.redispatch {
            builder = builder.classic_redispatch(redispatch);
        }
        builder
    }
}

impl LimitsConfig {
    fn merged(&self) -> Limits {
        let default = Limits::default();
        let or = |own: Option<NonZeroUsize>, default| own.map_or(default, NonZeroUsize::get);
        // The fields are listed one by one, without `..`, so that a new limit in `Limits` is not forgotten here.
        Limits {
            frame_bytes: or(self.frame_bytes, default.frame_bytes),
            frames: or(self.frames, default.frames),
            records: or(self.records, default.records),
            sessions: or(self.sessions, default.sessions),
            services: or(self.services, default.services),
            unserved_services: self.unserved_services.unwrap_or(default.unserved_services),
            services_per_worker: or(self.services_per_worker, default.services_per_worker),
            registrations: or(self.registrations, default.registrations),
            queued_calls_per_service: self
                .queued_calls_per_service
                .unwrap_or(default.queued_calls_per_service),
            queued_bytes_per_service: self
                .queued_bytes_per_service
                .unwrap_or(default.queued_bytes_per_service),
            held_bytes: self.held_bytes.unwrap_or(default.held_bytes),
            incomplete_bytes: self.incomplete_bytes.unwrap_or(default.incomplete_bytes),
            unread_bytes_per_session: or(
                self.unread_bytes_per_session,
                default.unread_bytes_per_session,
            ),
            unread_bytes: or(self.unread_bytes, default.unread_bytes),
            calls_per_client: or(self.calls_per_client, default.calls_per_client),
            calls: or(self.calls, default.calls),
            methods: self.methods.unwrap_or(default.methods),
            capacity: self.capacity.map_or(default.capacity, |calls| calls.get().into()),
            window: self.window.map_or(default.window, NonZeroU32::get),
            schemas: self.schemas.unwrap_or(default.schemas),
            schema_bytes: self.schema_bytes.unwrap_or(default.schema_bytes),
            attempts: self.attempts.map_or(default.attempts, NonZeroU8::get),
            unanswered: self.unanswered.map_or(default.unanswered, NonZeroU8::get),
        }
    }
}
