//! A program that logs: a made-up shop.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use example_cloud_logger::buffer::Bounds;
use example_cloud_logger::{CloudLogger, Guard, parts};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

#[derive(Args)]
pub(crate) struct Shop {
    /// The program's name.
    #[arg(long, default_value = "shop")]
    name: String,
    /// How many events to log; 0 for no end but Ctrl-C.
    #[arg(long, default_value_t = 100)]
    events: u64,
    /// How many a second; 0 for as many as go.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Logs these texts, as a guest of the shop might write them, in place of made-up events.
    #[arg(long, value_name = "TEXT")]
    say: Vec<String>,
    /// The lowest level to ship.
    #[arg(long, default_value = "trace")]
    level: LevelFilter,
    /// How many events may wait while the broker is away.
    #[arg(long, default_value_t = Bounds::default().events)]
    buffer_events: usize,
    /// How many bytes of them.
    #[arg(long, default_value_t = Bounds::default().bytes)]
    buffer_bytes: usize,
    /// How many seconds to wait at the end until all is stored.
    #[arg(long, default_value_t = 5)]
    grace: u64,
}

impl Shop {
    pub(crate) async fn run(self, endpoint: &str) -> Result<()> {
        let bounds = Bounds { events: self.buffer_events, bytes: self.buffer_bytes };
        let logger = CloudLogger::new(&self.name).bounds(bounds);
        let (layer, guard) = logger.start(parts::client(endpoint))?;
        let stderr = fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
        let complaints = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into());
        tracing_subscriber::registry()
            .with(layer.with_filter(self.level))
            .with(stderr.with_filter(complaints.from_env()?))
            .try_init()
            .context("there is a subscriber already")?;
        let begun = Instant::now();
        let logged = tokio::select! {
            logged = self.log() => logged,
            () = mdp_runtime::shutdown_signal() => None,
        };
        match logged {
            Some(events) => println!("logged {events} events in {:?}", begun.elapsed()),
            None => println!("asked to stop"),
        }
        self.end(guard).await
    }

    /// Everything that is to be logged. `None` never comes: without an end it is stopped from outside.
    async fn log(&self) -> Option<u64> {
        if !self.say.is_empty() {
            for text in &self.say {
                tracing::info!(target: "shop::guest", said = text, "{text}");
            }
            return Some(self.say.len() as u64);
        }
        let mut pace =
            (self.rate > 0).then(|| tokio::time::interval(Duration::from_secs(1) / self.rate));
        let mut number = 0;
        while self.events == 0 || number < self.events {
            match &mut pace {
                Some(pace) => drop(pace.tick().await),
                // So that a signal is heard.
                None => tokio::task::yield_now().await,
            }
            number += 1;
            event(number);
        }
        Some(number)
    }

    async fn end(&self, guard: Guard) -> Result<()> {
        let grace = Duration::from_secs(self.grace);
        tokio::task::spawn_blocking(move || guard.shutdown(grace)).await??;
        println!("all is stored");
        Ok(())
    }
}

/// What happens in the shop: of ten events one is an error, two are warnings, three informations, and four details.
pub(crate) fn event(number: u64) {
    let customer = number % 7;
    let _request = tracing::info_span!("request", customer, path = "/buy").entered();
    match number % 10 {
        0 => tracing::error!(target: "shop::payment", number, reason = "no funds", "card declined"),
        1 | 2 => tracing::warn!(target: "shop::stock", number, left = 3, "nearly sold out"),
        3..=5 => tracing::info!(target: "shop::cart", number, "order placed"),
        6 | 7 => tracing::debug!(target: "shop::cart", number, "price looked up"),
        _ => tracing::trace!(target: "shop::stock", number, "shelf looked at"),
    }
}
