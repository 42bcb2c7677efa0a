//! `mdp broker`: from the settings to a broker that runs and stops.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use mdp_runtime::{BindError, Broker};
use tracing_subscriber::EnvFilter;

use crate::Failure;
use crate::args::BrokerArgs;
use crate::config::Config;
use crate::stop::{Reload, Stop};
use crate::{metrics, supervisor};

pub(crate) fn run(args: BrokerArgs) -> Result<(), Failure> {
    log(args.log.as_deref())?;
    let config = match &args.config {
        Some(path) => Config::read(path).map_err(Failure::wrong)?,
        None => Config::default(),
    };
    let binds = if args.bind.is_empty() { &config.bind } else { &args.bind };
    if binds.is_empty() {
        return Err(Failure::wrong(anyhow!(
            "nowhere to listen; give `--bind tcp://127.0.0.1:5555`, or `bind` in the configuration"
        )));
    }
    let builder = config.apply(Broker::builder()).map_err(Failure::wrong)?;
    let builder = if args.insecure { builder.insecure(true) } else { builder };
    let builder = if args.allow_drain { builder.allow_drain(true) } else { builder };
    let builder = builder.drain_grace(args.grace);
    let builder = binds.iter().fold(builder, |builder, endpoint| builder.bind(endpoint));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start tokio")
        .map_err(Failure::failed)?;
    runtime.block_on(serve(args.grace, args.metrics, || builder.start()))
}

async fn serve(
    grace: Duration,
    metrics: Option<SocketAddr>,
    start: impl FnOnce() -> Result<Broker, BindError>,
) -> Result<(), Failure> {
    // Before anybody can know that the broker is there, so that no signal is missed.
    let mut stop =
        Stop::listen().context("could not listen to signals").map_err(Failure::failed)?;
    let mut reload =
        Reload::listen().context("could not listen to signals").map_err(Failure::failed)?;
    let mut broker = start().map_err(|error| match error {
        BindError::Endpoint(_) | BindError::Insecure { .. } | BindError::Policy(_) => {
            Failure::wrong(error)
        }
        _ => Failure::failed(error),
    })?;
    let monitor = broker.monitor();
    let metrics = match metrics {
        Some(at) => Some(metrics::serve(at, monitor.clone()).await.map_err(Failure::failed)?),
        None => None,
    };
    announce(&broker, metrics)
        .context("could not say where the broker is bound")
        .map_err(Failure::failed)?;
    supervisor::ready(broker.endpoints(), monitor);
    loop {
        tokio::select! {
            () = stop.asked() => break,
            () = reload.asked() => match broker.reload_policy() {
                Ok(()) => {}
                Err(error) => tracing::error!(%error, "the policy was not read; the last one holds"),
            },
            ended = broker.stopped() => {
                ended.context("the broker stopped").map_err(Failure::failed)?;
                tracing::info!("the broker was drained");
                return Ok(());
            }
        }
    }
    tracing::info!(?grace, "stopping; a second signal stops at once");
    supervisor::stopping(grace);
    tokio::select! {
        () = broker.shutdown(grace) => Ok(()),
        () = stop.asked() => Err(Failure::failed(anyhow!("stopped at once by a second signal"))),
    }
}

/// Tells whoever started the program where it listens, and before that by which key it is known.
fn announce(broker: &Broker, metrics: Option<SocketAddr>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if let Some(key) = broker.public_key() {
        writeln!(out, "public-key {key}")?;
    }
    for endpoint in broker.endpoints() {
        writeln!(out, "bound {endpoint}")?;
    }
    if let Some(address) = metrics {
        writeln!(out, "metrics http://{address}/metrics")?;
    }
    out.flush()
}

/// Logs to standard error, as `--log` says, else RUST_LOG, else at the level info.
fn log(filter: Option<&str>) -> Result<(), Failure> {
    let from_env = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.is_empty());
    let text = filter.or(from_env.as_deref()).unwrap_or("info");
    let filter = EnvFilter::builder()
        .parse(text)
        .with_context(|| format!("`{text}` does not say what to log"))
        .map_err(Failure::wrong)?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    Ok(())
}
