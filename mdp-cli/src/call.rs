//! `mdp call`: makes one call with JSON.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use mdp_runtime::details::{
    BadRequest, DebugInfo, ErrorInfo, Help, LocalizedMessage, PreconditionFailure, QuotaFailure,
    RequestInfo, ResourceInfo, RetryInfo,
};
use mdp_runtime::dynamic::Encoded;
use mdp_runtime::{CallKind, Client, Detail, Metadata, Status};

use crate::Failure;
use crate::args::{metadata, seconds};
use crate::connect::ConnectArgs;
use crate::contracts;
use crate::log;
use crate::messages::{self, Called};

/// Added to a status code to make an exit code, so that it differs from the program's own exit codes.
const STATUS: u8 = 64;

/// Makes one call and prints each reply as a line of JSON.
///
/// The exit code is 0 if the call succeeded. Otherwise it is 64 plus the status code: 80 is UNAUTHENTICATED. 1 means
/// that the call could not be made, 2 that the command line is wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct CallArgs {
    /// The method, `package.Service/Method`.
    #[arg(value_name = "SERVICE/METHOD")]
    method: String,
    /// The request as JSON; for a stream of requests, several requests one after another. @FILE reads a file, @- reads
    /// standard input. Default: an empty request; for a stream, no request.
    #[arg(short, long, value_name = "JSON")]
    data: Option<String>,
    /// A file with the descriptors of the service. Default: a worker of the service is asked for them.
    #[arg(long, value_name = "FILE.binpb")]
    schema: Option<PathBuf>,
    /// Metadata of the request. Can be given several times.
    #[arg(short = 'H', long = "metadata", value_name = "KEY:VALUE", value_parser = metadata)]
    metadata: Vec<(String, String)>,
    /// The id of the worker that gets the call.
    #[arg(long, value_name = "ID")]
    worker: Option<String>,
    /// The timeout of the call in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Prints the metadata of the reply to standard error.
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) fn run(args: &CallArgs) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Failure::failed)?.block_on(call(args))
}

async fn call(args: &CallArgs) -> Result<u8, Failure> {
    let client = args.connect.client().await?;
    let (file, worker) = (args.schema.as_deref(), args.worker.as_deref());
    let found = Called::find(&client, &args.method, file, worker).await;
    let called = found.map_err(Failure::failed)?;
    let text = args.data.as_deref().map(messages::json).transpose().map_err(Failure::wrong)?;
    let requests = called.requests(text.as_deref()).map_err(Failure::wrong)?;
    let mut workers = match worker {
        Some(id) => vec![id],
        None => called.workers.iter().map(String::as_str).collect(),
    }
    .into_iter()
    .peekable();
    let ended = loop {
        let ended = made(args, &client, &called, workers.next(), requests.clone()).await;
        let next = |status| contracts::may_try_the_next(called.method, status);
        if !(matches!(&ended, Ok(Err(status)) if next(status)) && workers.peek().is_some()) {
            break ended;
        }
    };
    match ended {
        Ok(Ok(())) => Ok(0),
        Ok(Err(status)) => {
            log::say(&in_words(&status));
            Ok(STATUS.saturating_add(status.code().as_u32().min(64) as u8))
        }
        Err(error) => Err(Failure::failed(error)),
    }
}

/// Makes the call. The inner error is the call's status. The outer error means that a reply could not be printed.
async fn made(
    args: &CallArgs,
    client: &Client,
    called: &Called,
    worker: Option<&str>,
    requests: Vec<Vec<u8>>,
) -> anyhow::Result<Result<(), Status>> {
    macro_rules! with_options {
        ($call:expr) => {{
            let mut call = $call.timeout(args.timeout);
            for (key, value) in &args.metadata {
                call = call.metadata(key.clone(), value.clone());
            }
            match worker {
                Some(id) => call.to_worker(id),
                None => call,
            }
        }};
    }
    let method = called.method;
    let one = || requests.first().cloned().unwrap_or_default().into();
    let mut ended = match method.kind() {
        CallKind::Unary => {
            let response = match with_options!(method.call(client, one())).send().await {
                Ok(response) => response,
                Err(status) => return Ok(Err(status)),
            };
            told(args, response.metadata());
            return print(called, response.message()).map(Ok);
        }
        CallKind::ClientStreaming => {
            let (mut sender, reply) = with_options!(method.client_streaming(client)).start();
            for request in requests {
                // If the call is over, its reply has the reason.
                if sender.send(Encoded(request.into())).await.is_err() {
                    break;
                }
            }
            sender.finish();
            return match reply.await {
                Ok(reply) => print(called, &reply).map(Ok),
                Err(status) => Ok(Err(status)),
            };
        }
        CallKind::ServerStreaming => {
            match with_options!(method.server_streaming(client, one())).await {
                Ok(replies) => replies,
                Err(status) => return Ok(Err(status)),
            }
        }
        CallKind::BidiStreaming => {
            let (mut sender, replies) = with_options!(method.bidi_streaming(client)).start();
            tokio::spawn(async move {
                for request in requests {
                    if sender.send(Encoded(request.into())).await.is_err() {
                        return;
                    }
                }
                sender.finish();
            });
            replies
        }
    };
    loop {
        match ended.message().await {
            Ok(Some(reply)) => print(called, &reply)?,
            Ok(None) => {
                told(args, ended.metadata());
                ended.trailers().into_iter().for_each(|trailers| told(args, trailers));
                return Ok(Ok(()));
            }
            Err(status) => return Ok(Err(status)),
        }
    }
}

fn print(called: &Called, reply: &Encoded) -> anyhow::Result<()> {
    let line = called.reply(&reply.0).context("the reply")?;
    crate::print(&(line + "\n"))
}

fn told(args: &CallArgs, metadata: &Metadata) {
    if args.verbose {
        for (key, value) in metadata.iter() {
            log::say(&format!("{key}: {}\n", value.escape_ascii()));
        }
    }
}

/// Formats a status for people, with its details.
fn in_words(status: &Status) -> String {
    let mut text = format!("{status}\n");
    if status.not_started() {
        text += "  no handler was started\n";
    }
    if status.is_truncated() {
        text += "  it was too large, and was cut\n";
    }
    if let Some(source) = status.source_call() {
        text += &format!("  it comes from a call of {}", source.method.escape_debug());
        if let Some(reason) = source.reason {
            text += &format!(": {}", reason.escape_debug());
        }
        text += if source.not_started { ", for which no handler was started\n" } else { "\n" };
    }
    for detail in status.details() {
        if !is_note(status, detail) {
            text += &format!("  {}\n", detail_in_words(status, detail));
        }
    }
    text
}

/// Whether a detail is a note of the toolkit (wire.md R62), which is printed in words already.
fn is_note(status: &Status, detail: &Detail) -> bool {
    let one = Status::with_details(status.code(), "", vec![detail.clone()]);
    one.source_call().is_some() || one.is_truncated()
}

fn detail_in_words(status: &Status, detail: &Detail) -> String {
    let name = detail.type_url.rsplit('/').next().unwrap_or_default();
    macro_rules! known {
        ($($kind:ident),*) => {
            $(if name == concat!("google.rpc.", stringify!($kind)) {
                let one = Status::with_details(status.code(), "", vec![detail.clone()]);
                if let Some(found) = one.detail::<$kind>() {
                    return format!("{found:?}");
                }
            })*
        };
    }
    known!(
        ErrorInfo,
        RetryInfo,
        QuotaFailure,
        PreconditionFailure,
        BadRequest,
        RequestInfo,
        ResourceInfo,
        Help,
        LocalizedMessage,
        DebugInfo
    );
    format!("{} of {} bytes", name.escape_debug(), detail.value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(reason: &str, metadata: &[(&str, &str)]) -> ErrorInfo {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let (reason, domain) = (reason.to_owned(), "mdp.note".to_owned());
        ErrorInfo { reason, domain, metadata: metadata.iter().map(owned).collect() }
    }

    #[test]
    fn what_is_noted_of_a_status_is_told_in_words() {
        let source = [("method", "a.B/C"), ("reason", "NO_SERVICE"), ("not_started", "true")];
        let status = Status::unavailable("a.B/C: nobody serves it")
            .with_detail(&note("SOURCE_CALL", &source))
            .with_detail(&note("TRUNCATED", &[("details", "1")]))
            .with_detail(&RetryInfo::default());
        assert_eq!(
            in_words(&status),
            "UNAVAILABLE: a.B/C: nobody serves it\n  it was too large, and was cut\n  it comes from a call of a.B/C: \
             NO_SERVICE, for which no handler was started\n  RetryInfo { retry_delay: None }\n"
        );
    }
}
