//! `mdp schema check`: what a new schema breaks, against a file or against the workers of a broker.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;
use mdp_schema::{Breaking, Comparison, Level, Note, Schema};
use serde_json::{Value, json};

use super::{is_stdin, named, read};
use crate::Failure;
use crate::args::Output;
use crate::connect::ConnectArgs;
use crate::contracts::Contract;
use crate::management::{AskError, Management, workers_in_words};

/// The exit code for breaking changes. The exit code for schemas that cannot be compared is 2.
const BREAKING: u8 = 1;

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The old schema; - for standard input.
    #[arg(long, value_name = "OLD.binpb", required_unless_present = "against_broker")]
    against: Option<PathBuf>,
    /// Compares with what the workers of a broker serve: each contract that they have of a service of the new schema.
    /// Services that no worker offers are noted.
    #[arg(long, conflicts_with_all = ["against", "files"])]
    against_broker: bool,
    /// The new schema; - for standard input.
    #[arg(value_name = "NEW.binpb")]
    file: PathBuf,
    /// A file whose declarations count as a whole, by its name in `import`. Can be given several times. Default: what
    /// the services of the old schema use counts, or all of it if it has no service.
    #[arg(long = "file", value_name = "NAME.proto")]
    files: Vec<String>,
    /// What must stay compatible: the bytes, or also protobuf's JSON.
    #[arg(long, value_enum, default_value = "wire")]
    level: LevelArg,
    /// The format of the output: a line for each change, or a JSON list of objects with `file`, `element`, `rule` and
    /// `message`; against a broker also `contract` and `workers`.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LevelArg {
    /// The bytes on the wire (buf's WIRE).
    Wire,
    /// The bytes on the wire and JSON (buf's WIRE_JSON).
    WireJson,
}

/// A comparison with an old schema, and where this one is from.
struct Compared {
    found: Comparison,
    /// `None`: a file.
    contract: Option<Contract>,
}

/// Reports breaking changes. The exit code is 0 if there are none.
pub(crate) fn run(args: &CheckArgs) -> Result<u8, Failure> {
    let all = match &args.against {
        Some(against) => with_file(args, against).map_err(Failure::wrong)?,
        None => {
            let new = read(&args.file).map_err(Failure::wrong)?;
            let compared = crate::on_tokio(with_broker(args, &new));
            // What is not compared must not pass for a breaking change.
            compared.map_err(|failure| Failure { code: 2, ..failure })?
        }
    };
    for Note { file, element, message, .. } in all.iter().flat_map(|it| &it.found.notes) {
        crate::log::say(&format!("mdp: note: {file}: {element}: {message}\n"));
    }
    let broken = || all.iter().flat_map(|it| it.found.breaking.iter().map(move |one| (it, one)));
    let text = match args.output {
        Output::Text => broken().map(|(of, found)| in_words(of, found)).collect(),
        Output::Json => {
            let objects: Vec<_> = broken().map(|(of, found)| in_json(of, found)).collect();
            serde_json::to_string_pretty(&objects).map_err(Failure::failed)? + "\n"
        }
    };
    crate::print(&text).map_err(Failure::failed)?;
    Ok(if broken().next().is_none() { 0 } else { BREAKING })
}

fn level(args: &CheckArgs) -> Level {
    match args.level {
        LevelArg::Wire => Level::Wire,
        LevelArg::WireJson => Level::WireJson,
    }
}

fn with_file(args: &CheckArgs, against: &Path) -> anyhow::Result<Vec<Compared>> {
    if is_stdin(against) && is_stdin(&args.file) {
        bail!("only one of the two can come from standard input");
    }
    let (old, new) = (read(against)?, read(&args.file)?);
    let (old, new) = (old.descriptors(), new.descriptors());
    let found = mdp_schema::compare(old, new, level(args), &args.files)?;
    Ok(vec![Compared { found, contract: None }])
}

async fn with_broker(args: &CheckArgs, new: &Schema) -> Result<Vec<Compared>, Failure> {
    let services = services(new);
    if services.is_empty() {
        let error =
            anyhow!("{} has no service; give the old schema with --against", named(&args.file));
        return Err(Failure::wrong(error));
    }
    let broker = Management::open(&args.connect).await?;
    // A policy may forbid this peer to list workers. The peer then gets the contract that most workers have.
    let listed = match broker.all_contracts().await {
        Ok(listed) => listed,
        Err(AskError::Denied(_)) => BTreeMap::new(),
        Err(error) => return Err(Failure::failed(error)),
    };
    let mut all = Vec::new();
    for service in &services {
        let contracts = contracts(&broker, service, listed.get(service));
        let contracts = contracts.await.map_err(Failure::failed)?;
        if contracts.is_empty() {
            crate::log::say(&format!("mdp: note: no worker offers {service}\n"));
        }
        for (contract, old) in contracts {
            let found = mdp_schema::service(old.descriptors(), service).and_then(|old| {
                mdp_schema::compare(old.descriptors(), new.descriptors(), level(args), &[])
            });
            let context = || format!("the contract {} of {service}", contract.hash);
            let found = found.with_context(context).map_err(Failure::failed)?;
            all.push(Compared { found, contract: Some(contract) });
        }
    }
    note_others(&listed, &services);
    if all.is_empty() {
        let services = services.join(", ");
        let error = anyhow!("nothing was compared: no worker of this broker offers {services}");
        return Err(Failure::failed(error));
    }
    Ok(all)
}

/// The full names of the services of a schema.
fn services(schema: &Schema) -> Vec<String> {
    let files = schema.descriptors().file.iter();
    let names = files.flat_map(|file| {
        let full = |name: &str| match file.package() {
            "" => name.to_owned(),
            package => format!("{package}.{name}"),
        };
        file.service.iter().map(move |service| full(service.name()))
    });
    names.collect()
}

/// The contracts of a service's workers, with their schemas. Empty: no worker offers it.
async fn contracts(
    broker: &Management,
    service: &str,
    listed: Option<&Vec<Contract>>,
) -> anyhow::Result<Vec<(Contract, Schema)>> {
    let Some(listed) = listed.filter(|listed| !listed.is_empty()) else {
        if !broker.is_served(service).await? {
            return Ok(Vec::new());
        }
        let (schema, hash) = broker.schema(service, None).await?;
        return Ok(vec![(Contract { hash, workers: Vec::new() }, schema)]);
    };
    let mut all = Vec::new();
    for contract in listed {
        let (schema, _) = broker.schema(service, Some(&contract.hash)).await?;
        all.push((contract.clone(), schema));
    }
    Ok(all)
}

/// Notes services of the broker that are in a package of the new schema, which lacks them: they may have been deleted.
fn note_others(listed: &BTreeMap<String, Vec<Contract>>, services: &[String]) {
    let package = |name: &str| name.rsplit_once('.').map(|(package, _)| package.to_owned());
    let packages: BTreeSet<_> = services.iter().filter_map(|name| package(name)).collect();
    for name in listed.keys().filter(|name| !services.contains(name)) {
        if package(name).is_some_and(|of| packages.contains(&of)) {
            let name = name.escape_debug();
            crate::log::say(&format!(
                "mdp: note: workers offer {name}, which the new schema lacks\n"
            ));
        }
    }
}

fn in_words(of: &Compared, found: &Breaking) -> String {
    let Breaking { file, element, rule, message } = found;
    let from = match &of.contract {
        Some(Contract { hash, workers }) if workers.is_empty() => format!(", against {hash}"),
        Some(Contract { hash, workers }) => {
            format!(", against {hash} of {}", workers_in_words(workers.len()))
        }
        None => String::new(),
    };
    format!("{file}: {element}: {message} ({rule}){from}\n")
}

fn in_json(of: &Compared, found: &Breaking) -> Value {
    let mut object = json!({
        "file": found.file,
        "element": found.element,
        "rule": found.rule.name(),
        "message": found.message,
    });
    if let (Some(contract), Some(object)) = (&of.contract, object.as_object_mut()) {
        object.insert("contract".to_owned(), json!(contract.hash));
        object.insert("workers".to_owned(), json!(contract.workers));
    }
    object
}
