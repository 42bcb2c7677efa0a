//! `mdp broker`: starts a broker with the settings, and stops it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use mdp_runtime::ends::{self, Panicked};
use mdp_runtime::{BindError, Broker, PolicyError};
use tokio::task::JoinSet;

use crate::Failure;
use crate::args::BrokerArgs;
use crate::config::ConfigFile;
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
        Some(path) => ConfigFile::read(path).map_err(Failure::wrong)?,
        None => ConfigFile::default(),
    };
    let binds = if args.bind.is_empty() { &config.bind } else { &args.bind };
    if binds.is_empty() {
        return Err(Failure::wrong(anyhow!(
            "no endpoint to listen on; give `--bind tcp://127.0.0.1:5555`, or `bind` in the configuration"
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
    // The signals are set up before any peer can see the broker, so that no signal is missed.
    let mut stop =
        Stop::listen().context("could not listen to signals").map_err(Failure::failed)?;
    let mut broker = start().map_err(|error| match error {
        BindError::Endpoint(_) | BindError::Insecure { .. } | BindError::Policy(_) => {
            Failure::wrong(error)
        }
        _ => Failure::failed(error),
    })?;
    let monitor = broker.monitor();
    let mut tasks = Tasks::default();
    let metrics = match metrics {
        Some(at) => {
            let served = metrics::serve(at, monitor.clone()).await;
            let (address, serves) = served.map_err(Failure::failed)?;
            tasks.add("metrics", serves);
            Some(address)
        }
        None => None,
    };
    announce(&broker, metrics);
    if let Some(watches) = supervisor::ready(broker.endpoints(), monitor) {
        tasks.add("watchdog", watches);
    }
    let failed = loop {
        tokio::select! {
            () = stop.asked() => break None,
            failed = tasks.ended() => break Some(failed),
            () = reload.asked() => match broker.reload_policy() {
                Ok(()) => {}
                Err(PolicyError::NoFile) => {
                    tracing::info!("SIGHUP is ignored: there is no policy file to read again");
                }
                Err(error) => tracing::error!(%error, "the policy was not read; the old one stays"),
            },
            ended = broker.stopped() => {
                ended.context("the broker stopped").map_err(Failure::failed)?;
                tracing::info!("the broker was drained");
                return Ok(());
            }
        }
    };
    match &failed {
        None => tracing::info!(?grace, "stopping; a second signal stops at once"),
        Some(error) => tracing::error!(%error, ?grace, "stopping; a signal stops at once"),
    }
    supervisor::stopping(grace);
    broker.begin_shutdown(grace);
    tokio::select! {
        ended = broker.stopped() => ended.context("the broker stopped").map_err(Failure::failed)?,
        () = stop.asked() => {
            return Err(Failure::failed(anyhow!("stopped at once by a second signal")));
        }
    }
    failed.map_or(Ok(()), |error| Err(Failure::failed(error)))
}

/// Tasks that run as long as the broker.
#[derive(Default)]
struct Tasks(JoinSet<(&'static str, Result<(), Panicked>)>);

impl Tasks {
    fn add(&mut self, name: &'static str, run: impl Future<Output = ()> + Send + 'static) {
        let run = ends::caught(run);
        self.0.spawn(async move { (name, run.await) });
    }

    /// Waits until a task has ended. No task should end.
    async fn ended(&mut self) -> anyhow::Error {
        match self.0.join_next().await {
            Some(Ok((name, Err(panicked)))) => anyhow!("the task `{name}` panicked: {panicked}"),
            Some(Ok((name, Ok(())))) => anyhow!("the task `{name}` ended"),
            Some(Err(error)) => anyhow!("a task ended: {error}"),
            None => std::future::pending().await,
        }
    }
}

/// Prints the endpoints and, before them, the public key. The broker runs even if the output cannot be written; then
/// the log has it.
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
        tracing::warn!(%error, said, "could not write to standard output; the broker runs anyway");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests
mod tests {
    use mdp_runtime::Policy;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// The number of principals in the policy whose log line panics.
    const MINE: usize = 7;

    /// A log that panics at one line.
    struct Mined;

    impl Subscriber for Mined {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn event(&self, event: &Event<'_>) {
            let mut found = Found(false);
            event.record(&mut found);
            assert!(!found.0, "a mine");
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    struct Found(bool);

    impl tracing::field::Visit for Found {
        fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
            self.0 |= field.name() == "principals" && value == MINE as u64;
        }

        fn record_debug(&mut self, _: &tracing::field::Field, _: &dyn std::fmt::Debug) {}
    }

    fn end(of: impl FnOnce(Broker) -> Broker) -> Failure {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let reload = {
            let _within = runtime.enter();
            Reload::listen().unwrap()
        };
        let start = || Broker::builder().bind("tcp://127.0.0.1:*").start().map(of);
        runtime.block_on(serve(Duration::from_secs(1), None, reload, start)).unwrap_err()
    }

    #[test]
    fn a_broker_whose_thread_panics_ends_the_program_with_1() {
        tracing::subscriber::set_global_default(Mined).unwrap();
        let failure = end(|broker| {
            let names =
                (0..MINE).map(|number| format!("[[principal]]\nname = 'p{number}'\nkeys = []\n"));
            broker.set_policy(Policy::parse(&names.collect::<String>()).unwrap());
            broker
        });
        assert_eq!(failure.code, 1);
        assert!(format!("{:#}", failure.error).contains("panicked"), "{:#}", failure.error);
    }

    #[tokio::test]
    async fn what_runs_beside_the_broker_is_told_when_it_ends() {
        let mut tasks = Tasks::default();
        tasks.add("goes on", std::future::pending());
        tasks.add("metrics", async { std::panic::panic_any("a mine") });
        let error = tasks.ended().await.to_string();
        assert_eq!(error, "the task `metrics` panicked: a mine");
        tasks.add("watchdog", async {});
        assert_eq!(tasks.ended().await.to_string(), "the task `watchdog` ended");
    }
}
