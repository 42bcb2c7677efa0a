//! `mdp list`: lists the services that a broker knows, and their workers.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::Failure;
use crate::args::Output;
use crate::connect::ConnectArgs;
use crate::management::{Management, ServiceLine, WorkerLine};

/// Lists the services that the broker knows: their workers, their capacity, and the running and waiting calls.
///
/// The exit code is 0 even if there are no services.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Lists this service only.
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    /// Lists each worker, too.
    #[arg(long, short)]
    workers: bool,
    /// The format of the output.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// A service with its workers.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    line: ServiceLine,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<Vec<WorkerLine>>,
}

pub(crate) async fn run(args: &ListArgs) -> Result<u8, Failure> {
    let broker = Management::open(&args.connect).await?;
    let mut services = broker.services().await.map_err(Failure::failed)?;
    if let Some(name) = &args.service {
        services.retain(|line| line.service == *name);
        if services.is_empty() {
            return Err(Failure::failed(anyhow::anyhow!("the broker knows no service `{name}`")));
        }
    }
    let workers = match args.workers {
        true => {
            let about = args.service.as_deref().unwrap_or_default();
            Some(broker.workers(about).await.map_err(Failure::failed)?)
        }
        false => None,
    };
    let list_of = |name: &str| {
        let mut own: Vec<WorkerLine> = workers.iter().flatten().cloned().collect();
        own.retain(|worker| worker.service == name);
        own.sort_by(|a, b| a.id.cmp(&b.id));
        workers.as_ref().map(|_| own)
    };
    let listed: Vec<Listed> =
        services.into_iter().map(|line| Listed { list: list_of(&line.service), line }).collect();
    let text = match args.output {
        Output::Text => in_words(&listed, args.workers),
        Output::Json => serde_json::to_string(&listed).map_err(Failure::failed)? + "\n",
    };
    crate::print(&text).map_err(Failure::failed)?;
    Ok(0)
}

fn in_words(listed: &[Listed], workers: bool) -> String {
    let mut services = table(["SERVICE", "WORKERS", "DRAINING", "CAPACITY", "RUNNING", "QUEUED"]);
    for Listed { line, .. } in listed {
        let numbers = [line.workers, line.draining, line.capacity, line.running, line.queued];
        let name = [line.service.clone()].into_iter();
        services.add_row(name.chain(numbers.iter().map(u64::to_string)));
    }
    numbers_right(&mut services, 1);
    let mut text = in_lines(&services);
    if workers {
        let mut table = table(["WORKER", "SERVICE", "SPEAKS", "CAPACITY", "RUNNING", ""]);
        for worker in listed.iter().flat_map(|listed| listed.list.iter().flatten()) {
            let state = if worker.draining { "draining" } else { "" };
            let (capacity, running) = (worker.capacity.to_string(), worker.running.to_string());
            let (id, service) = (worker.id.clone(), worker.service.clone());
            table.add_row([
                id,
                service,
                worker.dialect.clone(),
                capacity,
                running,
                state.to_owned(),
            ]);
        }
        for column in [3, 4] {
            align(&mut table, column);
        }
        text += "\n";
        text += &in_lines(&table);
    }
    text
}

fn table<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head);
    table
}

fn numbers_right(table: &mut Table, first: usize) {
    (first..table.column_count()).for_each(|column| align(table, column));
}

fn align(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// Formats a table without blanks at the beginning and end of each line.
pub(crate) fn in_lines(table: &Table) -> String {
    let lines = table.lines().map(|line| line.trim_end().trim_start_matches(' ').to_owned() + "\n");
    lines.collect()
}
