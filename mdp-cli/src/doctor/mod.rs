//! `mdp doctor`: checks whether a broker can be reached and works, and shows what to fix.

mod cluster;
mod connectivity;

use serde::Serialize;

use crate::Failure;
use crate::args::Output;
use crate::connect::ConnectArgs;
use crate::management::Management;

/// Checks the connection to the broker, the broker and its workers, and shows what to fix.
///
/// The checks cover names, connections, keys, versions, clocks, limits, services without workers, workers that drain,
/// and workers of one service that were built from different schemas. The exit code is 0 if there is nothing to fix,
/// else 1.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// The format of the output. As JSON a list of objects: `check`, `state` (ok, warning, failed), `found`, `mend`.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Failed,
}

/// The finding of a check.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    found: String,
    /// The remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Finding { check, state: State::Ok, found: found.into(), mend: None }
    }

    fn warning(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        let mend = Some(mend.into());
        Finding { check, state: State::Warning, found: found.into(), mend }
    }

    fn failed(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Finding { state: State::Failed, ..Finding::warning(check, found, mend) }
    }
}

pub(crate) async fn run(args: &DoctorArgs) -> Result<u8, Failure> {
    let connection = args.connect.connection()?;
    let mut findings = Vec::new();
    for endpoint in &connection.endpoints {
        findings.extend(connectivity::to(endpoint).await);
    }
    let (client, said) = connectivity::session(&connection).await;
    findings.extend(said);
    if let Some(client) = client {
        findings.extend(cluster::look(&Management::over(client)).await);
    }
    let text = match args.output {
        Output::Text => findings.iter().map(in_words).collect(),
        Output::Json => serde_json::to_string(&findings).map_err(Failure::failed)? + "\n",
    };
    crate::print(&text).map_err(Failure::failed)?;
    Ok(u8::from(findings.iter().any(|finding| finding.state != State::Ok)))
}

fn in_words(finding: &Finding) -> String {
    let mark = match finding.state {
        State::Ok => "ok      ",
        State::Warning => "warning ",
        State::Failed => "FAILED  ",
    };
    let mend =
        finding.mend.as_ref().map_or(String::new(), |mend| format!("         mend: {mend}\n"));
    format!("{mark} {}: {}\n{mend}", finding.check, finding.found)
}
