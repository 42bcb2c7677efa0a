//! `mdp describe`: prints the schema of a service as .proto text.

use anyhow::{Context, anyhow};
use mdp_schema::{ProtoFile, Schema};
use serde_json::{Map, Value, json};

use crate::Failure;
use crate::args::Output;
use crate::connect::ConnectArgs;
use crate::contracts::Contract;
use crate::management::{Management, workers_in_words};
use crate::schema::all_in_one;

/// Prints the schema of a service as .proto text: its methods, and all messages that they use.
///
/// The broker asks a worker for the schema and keeps the answer. If the workers have several contracts, each contract
/// is printed with its workers.
#[derive(Debug, clap::Args)]
pub(crate) struct DescribeArgs {
    /// The service, `package.Service`. With a method: only the method and the messages that it uses.
    #[arg(value_name = "SERVICE[/METHOD]")]
    what: String,
    /// The format of the output. As JSON an object: `service`, `hash`, `methods`, and `files` with their text; with
    /// several contracts also `contracts`, a list of such objects with their `workers`.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) async fn run(args: &DescribeArgs) -> Result<u8, Failure> {
    let broker = Management::open(&args.connect).await?;
    let (service, method) = match args.what.split_once('/') {
        Some((service, method)) => (service, Some(method)),
        None => (args.what.as_str(), None),
    };
    // A policy may forbid this peer to list workers. The peer then gets the contract that most workers have.
    let contracts = broker.contracts(service).await.unwrap_or_default();
    let text = match contracts.as_slice() {
        [] | [_] => {
            let (schema, hash) = broker.schema(service, None).await.map_err(Failure::failed)?;
            let found = Described::of(&schema, service, method).map_err(Failure::failed)?;
            match args.output {
                Output::Text => found.text(),
                Output::Json => Value::from(found.object(service, &hash)).to_string() + "\n",
            }
        }
        contracts => {
            let mut found = Vec::new();
            for contract in contracts {
                let told = broker.schema(service, Some(&contract.hash)).await;
                let told = told.and_then(|(schema, _)| Described::of(&schema, service, method));
                found.push((contract, told));
            }
            if let Some(at) = found.iter().position(|(_, told)| told.is_ok()) {
                // A program that does not know contracts reads the top level, so the first contract must be one that
                // was read.
                let first = found.remove(at);
                found.insert(0, first);
            } else if let Some((_, Err(error))) = found.into_iter().next() {
                return Err(Failure::failed(error));
            } else {
                return Ok(1);
            }
            match args.output {
                Output::Text => several_in_words(service, &found),
                Output::Json => several_in_json(service, &found),
            }
        }
    };
    crate::print(&text).map_err(Failure::failed)?;
    Ok(0)
}

/// A contract and its description, or the error.
type Told<'a> = (&'a Contract, anyhow::Result<Described>);

fn several_in_words(service: &str, found: &[Told<'_>]) -> String {
    let mut text = format!("// The workers of {service} have {} contracts.\n", found.len());
    for (contract, told) in found {
        let Contract { hash, workers } = contract;
        let count = workers_in_words(workers.len());
        let ids = workers.iter().map(|id| id.escape_debug().to_string()).collect::<Vec<_>>();
        text += &format!("\n// Contract {hash}, {count}: {}\n\n", ids.join(", "));
        text += &match told {
            Ok(found) => found.text(),
            Err(error) => format!("// {}\n", format!("{error:#}").escape_debug()),
        };
    }
    text
}

fn several_in_json(service: &str, found: &[Told<'_>]) -> String {
    let in_json = |(contract, told): &Told<'_>| {
        let Contract { hash, workers } = contract;
        let mut one = match told {
            Ok(found) => found.object(service, hash),
            Err(error) => Map::from_iter([
                ("hash".to_owned(), json!(hash)),
                ("error".to_owned(), json!(format!("{error:#}"))),
            ]),
        };
        one.insert("workers".to_owned(), json!(workers));
        one
    };
    let contracts: Vec<_> = found.iter().map(in_json).collect();
    let mut all = contracts.first().cloned().unwrap_or_default();
    all.insert("contracts".to_owned(), json!(contracts));
    Value::from(all).to_string() + "\n"
}

/// A service, or the part of it that one method uses.
struct Described {
    schema: Schema,
    files: Vec<ProtoFile>,
}

impl Described {
    fn of(schema: &Schema, service: &str, method: Option<&str>) -> anyhow::Result<Self> {
        let schema = match method {
            Some(method) => only(schema, service, method)?,
            None => mdp_schema::service(schema.descriptors(), service)?,
        };
        let files = schema.to_proto().context("the schema cannot be printed")?;
        Ok(Described { schema, files })
    }

    fn text(&self) -> String {
        all_in_one(&self.files)
    }

    fn object(&self, service: &str, hash: &str) -> Map<String, Value> {
        let own = self.schema.descriptors().file.iter().flat_map(|file| {
            let package = file.package().to_owned();
            file.service.iter().map(move |found| (package.clone(), found))
        });
        let methods = own.filter(|(package, found)| is(package, found.name(), service));
        let methods = methods.flat_map(|(_, found)| &found.method).map(|method| {
            json!({
                "name": method.name(),
                "request": method.input_type().trim_start_matches('.'),
                "reply": method.output_type().trim_start_matches('.'),
                "client_streaming": method.client_streaming(),
                "server_streaming": method.server_streaming(),
            })
        });
        let methods: Vec<_> = methods.collect();
        let files = self.files.iter();
        let files: Vec<_> =
            files.map(|file| json!({ "name": file.name, "text": file.text })).collect();
        let all = [
            ("service", json!(service)),
            ("hash", json!(hash)),
            ("methods", json!(methods)),
            ("files", json!(files)),
        ];
        all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Returns the part of a schema that one method uses.
fn only(schema: &Schema, service: &str, method: &str) -> anyhow::Result<Schema> {
    let mut set = schema.descriptors().clone();
    for file in &mut set.file {
        let package = file.package().to_owned();
        // Comments are found by the paths of their declarations.
        for found in file.service.iter_mut().filter(|found| is(&package, found.name(), service)) {
            let names: Vec<&str> = found.method.iter().map(|found| found.name()).collect();
            let place = names.iter().position(|name| *name == method).ok_or_else(|| {
                anyhow!("{service} has no method {method}; it has {}", names.join(", "))
            })?;
            found.method = found.method.drain(place..=place).collect();
            if place > 0 {
                file.source_code_info = None;
            }
        }
    }
    Ok(mdp_schema::service(&set, service)?)
}

fn is(package: &str, name: &str, service: &str) -> bool {
    match package {
        "" => name == service,
        package => {
            service.strip_prefix(package).and_then(|rest| rest.strip_prefix('.')) == Some(name)
        }
    }
}
