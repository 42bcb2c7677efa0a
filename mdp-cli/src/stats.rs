//! `mdp stats`: prints a broker's counters for each method.

use comfy_table::{CellAlignment, Table, presets};

use crate::Failure;
use crate::args::Output;
use crate::connect::ConnectArgs;
use crate::management::{Management, MethodLine};

/// Prints the broker's counters for each method since the broker's start: calls, errors, the last error, and the mean
/// times that calls waited and ran.
#[derive(Debug, clap::Args)]
pub(crate) struct StatsArgs {
    /// Prints the methods of this service only.
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    /// The format of the output. As JSON what `mmi.methods` answers: times are sums, in milliseconds.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) async fn run(args: &StatsArgs) -> Result<u8, Failure> {
    let broker = Management::open(&args.connect).await?;
    let about = args.service.as_deref().unwrap_or_default();
    let mut methods = broker.methods(about).await.map_err(Failure::failed)?;
    methods.sort_by(|a, b| (&a.service, &a.method).cmp(&(&b.service, &b.method)));
    let text = match args.output {
        Output::Text => in_words(&methods),
        Output::Json => serde_json::to_string(&methods).map_err(Failure::failed)? + "\n",
    };
    crate::print(&text).map_err(Failure::failed)?;
    Ok(0)
}

fn in_words(methods: &[MethodLine]) -> String {
    let mut table = Table::new();
    let head = ["METHOD", "CALLS", "ERRORS", "RETRIES", "WAITED ms", "RAN ms", "LAST ERROR"];
    table.load_preset(presets::NOTHING).set_header(head);
    for MethodLine { service, method, done } in methods {
        let name = if method.is_empty() { service.clone() } else { format!("{service}/{method}") };
        let mean = |sum: u64| match done.requests {
            0 => "-".to_owned(),
            calls => format!("{:.1}", sum as f64 / calls as f64),
        };
        let last = done.last_error.as_ref().map_or(String::new(), |code| {
            let ago = done.last_error_ms_ago.unwrap_or_default() / 1_000;
            format!("{code}, {ago} s ago")
        });
        let (calls, errors) = (done.requests.to_string(), done.errors.to_string());
        let retries = done.redispatched.to_string();
        table.add_row([
            name,
            calls,
            errors,
            retries,
            mean(done.queued_ms),
            mean(done.running_ms),
            last,
        ]);
    }
    for column in 1..6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    crate::list::in_lines(&table)
}
