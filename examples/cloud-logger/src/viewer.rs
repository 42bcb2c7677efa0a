//! The viewer in the terminal.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use clap::Args;
use example_cloud_logger::escape::escape;
use example_cloud_logger::filter::level;
use example_cloud_logger::follow::{Follow, Seen};
use example_cloud_logger::parts;
use example_cloud_logger::pb::view_client::ViewClient;
use example_cloud_logger::pb::{Filter, Level, QueryRequest, Record};
use example_cloud_logger::terminal::line;
use mdp_runtime::Client;

#[derive(Args)]
pub(crate) struct Viewer {
    /// The lowest level: trace, debug, info, warn or error.
    #[arg(long, value_parser = level, default_value = "")]
    level: Level,
    /// A target, or a module above it.
    #[arg(long, default_value = "")]
    target: String,
    /// A part of the message, of a field or a span, in upper or lower case.
    #[arg(long, default_value = "")]
    text: String,
    /// How many of the past to begin with, up to 1,000.
    #[arg(long, default_value_t = 20)]
    last: u32,
    /// Shows these and ends, without waiting for others.
    #[arg(long)]
    once: bool,
}

impl Viewer {
    pub(crate) async fn run(self, endpoint: &str) -> Result<()> {
        if self.once {
            let client = parts::client(endpoint).open().await?;
            return self.page(&client).await;
        }
        let client = parts::client(endpoint).open_lazy()?;
        tokio::select! {
            ended = self.follow(&client) => ended,
            () = mdp_runtime::shutdown_signal() => Ok(()),
        }
    }

    fn filter(&self) -> Filter {
        Filter { level: self.level.into(), target: self.target.clone(), text: self.text.clone() }
    }

    async fn page(&self, client: &Client) -> Result<()> {
        let mut left = self.last;
        let (mut before, mut pages) = (0, Vec::new());
        // A filter that lets little through takes several looks.
        while left > 0 {
            let request = QueryRequest { filter: Some(self.filter()), before, limit: left };
            let page = ViewClient::new(client.clone()).query(request).await?;
            left = left.saturating_sub(u32::try_from(page.records.len()).unwrap_or(u32::MAX));
            before = page.next;
            pages.push(page.records);
            if before == 0 {
                break;
            }
        }
        pages.iter().rev().try_for_each(|records| show(records))
    }

    async fn follow(&self, client: &Client) -> Result<()> {
        let mut follow = Follow::new(client, self.filter(), self.last);
        loop {
            match follow.next().await? {
                Seen::Records(records) => show(&records)?,
                Seen::Lost(status) => note(&format!("waiting: {}", escape(&status.to_string()))),
                Seen::Back => note("connected"),
            }
        }
    }
}

/// A line on standard error, if it takes one.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "-- {text}");
}

fn show(records: &[Record]) -> Result<()> {
    let mut out = io::stdout().lock();
    let colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    for record in records {
        writeln!(out, "{}", line(record, colours))?;
    }
    Ok(out.flush()?)
}
