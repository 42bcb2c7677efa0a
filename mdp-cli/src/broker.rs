//! `mdp broker`: from the settings to a broker that runs and stops.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use mdp_runtime::{BindError, Broker, PolicyError};

use crate::Failure;
use crate::args::BrokerArgs;
use crate::config::Config;
use crate::stop::{Reload, Stop};
use crate::{log, metrics, supervisor};

pub(crate) fn run(args: BrokerArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start tokio")
        .map_err(Failure::failed)?;
    let reload = {
        let _within = runtime.enter();
        Reload::listen().context("could not listen to signals").map_err(Failure::failed)?
    };
    log::start(args.log.as_deref())?;
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
    runtime.block_on(serve(args.grace, args.metrics, reload, || builder.start()))
}

async fn serve(
    grace: Duration,
    metrics: Option<SocketAddr>,
    mut reload: Reload,
    start: impl FnOnce() -> Result<Broker, BindError>,
) -> Result<(), Failure> {
    // Before anybody can know that the broker is there, so that no signal is missed.
    let mut stop =
        Stop::listen().context("could not listen to signals").map_err(Failure::failed)?;
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
    announce(&broker, metrics);
    supervisor::ready(broker.endpoints(), monitor);
    loop {
        tokio::select! {
            () = stop.asked() => break,
            () = reload.asked() => match broker.reload_policy() {
                Ok(()) => {}
                Err(PolicyError::NoFile) => {
                    tracing::info!("SIGHUP is ignored: there is no policy's file to read again");
                }
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

/// Tells whoever started the program where it listens, and before that by which key it is known. The broker serves though
/// nobody can read it; then the log tells it.
fn announce(broker: &Broker, metrics: Option<SocketAddr>) {
    let mut text = String::new();
    if let Some(key) = broker.public_key() {
        text += &format!("public-key {key}\n");
    }
    for endpoint in broker.endpoints() {
        text += &format!("bound {endpoint}\n");
    }
    if let Some(address) = metrics {
        text += &format!("metrics http://{address}/metrics\n");
    }
    if let Err(error) = log::announce(&text) {
        let said = text.trim_end().replace('\n', ", ");
        tracing::warn!(%error, said, "standard output does not take what it should; the broker serves all the same");
    }
}
