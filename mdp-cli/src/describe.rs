//! `mdp describe`: what a service is, as .proto text.

use anyhow::{Context, anyhow};
use mdp_schema::Schema;
use serde_json::json;

use crate::Failure;
use crate::args::Output;
use crate::connect::ConnectArgs;
use crate::management::Management;
use crate::schema::all_in_one;

/// Prints what a service is, as .proto text: its methods, and all messages that they use.
///
/// The broker asks a worker for it and keeps the answer.
#[derive(Debug, clap::Args)]
pub(crate) struct DescribeArgs {
    /// The service, `package.Service`; with a method, only that and what it uses.
    #[arg(value_name = "SERVICE[/METHOD]")]
    what: String,
    /// How it is said. As JSON an object: `service`, `hash`, `methods`, and `files` with their text.
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
    let (schema, hash) = broker.schema(service).await.map_err(Failure::failed)?;
    let text = told(&schema, service, method, &hash, args.output).map_err(Failure::failed)?;
    crate::print(&text).map_err(Failure::failed)?;
    Ok(0)
}

fn told(
    schema: &Schema,
    service: &str,
    method: Option<&str>,
    hash: &str,
    output: Output,
) -> anyhow::Result<String> {
    let schema = match method {
        Some(method) => only(schema, service, method)?,
        None => mdp_schema::service(schema.descriptors(), service)?,
    };
    let files = schema.to_proto().context("the schema cannot be printed")?;
    if let Output::Text = output {
        return Ok(all_in_one(&files));
    }
    let own = schema.descriptors().file.iter().flat_map(|file| {
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
    let files: Vec<_> =
        files.iter().map(|file| json!({ "name": file.name, "text": file.text })).collect();
    let told = json!({ "service": service, "hash": hash, "methods": methods, "files": files });
    Ok(told.to_string() + "\n")
}

/// The part of a schema that one method uses.
fn only(schema: &Schema, service: &str, method: &str) -> anyhow::Result<Schema> {
    let mut set = schema.descriptors().clone();
    for file in &mut set.file {
        let package = file.package().to_owned();
        // Comments are found by the places of what they are about.
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
