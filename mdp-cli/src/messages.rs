//! Messages of services that are known only by their descriptors: from JSON, or generated.

use std::io::Read;
use std::path::Path;
use std::{fs, io};

use anyhow::{Context, anyhow, bail};
use mdp_runtime::dynamic::{self, Method};
use mdp_runtime::{Client, Schema};
use prost_reflect::prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    MethodDescriptor, Value,
};

use crate::contracts::Contract;
use crate::management::{Management, in_hex, workers_in_words};

/// The maximum nesting of generated messages.
const DEEPEST: u32 = 3;
/// The maximum number of elements of a generated list, and the maximum length of a generated text.
const MAX_ELEMENTS: u64 = 4;
const LONGEST_TEXT: u64 = 24;

/// A method with its request and reply types.
pub(crate) struct Called {
    pub(crate) method: Method,
    descriptor: MethodDescriptor,
    /// The workers whose contract has the method. Empty: every worker may be called.
    pub(crate) workers: Vec<String>,
}

impl Called {
    /// Finds the method with this path, in the schema of a file or of a worker. If the workers have several contracts,
    /// the contract of `worker` is used, or else the first one with the method.
    pub(crate) async fn find(
        client: &Client,
        path: &str,
        file: Option<&Path>,
        worker: Option<&str>,
    ) -> anyhow::Result<Self> {
        let (service, name) = path.rsplit_once('/').with_context(|| {
            format!("`{path}` is not the path of a method; write it like `auth.v1.Auth/Login`")
        })?;
        let broker = Management::over(client.clone());
        // A policy may forbid this peer to list workers. The peer then gets the schema of any worker.
        let contracts = broker.contracts(service).await.unwrap_or_default();
        let several = contracts.len() > 1;
        if let Some(file) = file {
            let bytes = fs::read(file).with_context(|| file.display().to_string())?;
            let schema =
                Schema::from_bytes(None, &bytes).with_context(|| file.display().to_string())?;
            let hash = mdp_schema::hash(schema.descriptors(), service).ok().map(in_hex);
            let of_file = |contract: &&Contract| Some(&contract.hash) == hash.as_ref();
            let same = contracts.iter().find(of_file).filter(|_| several);
            let workers = same.map(|contract| contract.workers.clone()).unwrap_or_default();
            return Self::in_schema(&schema, path, workers);
        }
        if !several {
            let schema = dynamic::schema(client, service).await.with_context(|| {
                format!("the schema of {service} is not available; give one with --schema FILE")
            })?;
            return Self::in_schema(&schema, path, Vec::new());
        }
        let mut without = Vec::new();
        for Contract { hash, workers } in contracts {
            let count = workers.len();
            if worker.is_some_and(|id| !workers.iter().any(|other| other == id)) {
                continue;
            }
            let found = match broker.schema(service, Some(&hash)).await {
                Ok((schema, _)) => Self::in_schema(&schema, path, workers),
                Err(error) => Err(error),
            };
            match found {
                Ok(called) => return Ok(called),
                Err(error) => {
                    without.push(format!("  {hash} ({}): {error:#}", workers_in_words(count)))
                }
            }
        }
        if without.is_empty() {
            bail!("no worker {} offers {service}", worker.unwrap_or_default());
        }
        let without = without.join("\n");
        bail!("the workers of {service} have several contracts, and none has {name}:\n{without}")
    }

    fn in_schema(schema: &Schema, path: &str, workers: Vec<String>) -> anyhow::Result<Self> {
        let method = Method::in_schema(schema, path)?;
        let (service, name) = path.rsplit_once('/').unwrap_or((path, ""));
        let pool = DescriptorPool::decode(schema.to_bytes().as_slice())
            .with_context(|| format!("the schema of {service} is invalid"))?;
        let found = pool.get_service_by_name(service);
        let descriptor =
            found.and_then(|found| found.methods().find(|method| method.name() == name));
        let descriptor = descriptor.ok_or_else(|| anyhow!("the schema has no method {path}"))?;
        Ok(Called { method, descriptor, workers })
    }

    /// Encodes a request from JSON, by protobuf's JSON rules.
    pub(crate) fn request(&self, json: &str) -> anyhow::Result<Vec<u8>> {
        let mut from = serde_json::Deserializer::from_str(json);
        let input = self.descriptor.input();
        let name = input.full_name().to_owned();
        let message = DynamicMessage::deserialize(input, &mut from)
            .with_context(|| format!("the JSON is not a {name}"))?;
        from.end().with_context(|| format!("something follows the JSON of the {name}"))?;
        Ok(message.encode_to_vec())
    }

    /// Encodes requests from JSON: one, or for a stream several in sequence.
    pub(crate) fn requests(&self, json: Option<&str>) -> anyhow::Result<Vec<Vec<u8>>> {
        if !self.descriptor.is_client_streaming() {
            return Ok(vec![self.request(json.unwrap_or("{}"))?]);
        }
        let input = self.descriptor.input();
        let values = serde_json::Deserializer::from_str(json.unwrap_or_default()).into_iter();
        let request = |(number, value): (usize, serde_json::Result<serde_json::Value>)| {
            let message = value.and_then(|value| DynamicMessage::deserialize(input.clone(), value));
            let wrong =
                || format!("the JSON of request {} is not a {}", number + 1, input.full_name());
            message.map(|message| message.encode_to_vec()).with_context(wrong)
        };
        values.enumerate().map(request).collect()
    }

    /// Formats a reply as a line of JSON.
    pub(crate) fn reply(&self, bytes: &[u8]) -> anyhow::Result<String> {
        let message = DynamicMessage::decode(self.descriptor.output(), bytes)?;
        Ok(serde_json::to_string(&message)?)
    }

    /// Generates a request. The same seed gives the same request.
    pub(crate) fn made_up(&self, seed: u64) -> Vec<u8> {
        Chance(fastrand::Rng::with_seed(seed)).message(&self.descriptor.input(), 0).encode_to_vec()
    }
}

/// Reads JSON from the command line: the text itself, the file after `@`, or standard input for `@-`.
pub(crate) fn json(given: &str) -> anyhow::Result<String> {
    let Some(from) = given.strip_prefix('@') else { return Ok(given.to_owned()) };
    if from != "-" {
        return fs::read_to_string(from).with_context(|| from.to_owned());
    }
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text).context("standard input")?;
    Ok(text)
}

/// Generates messages.
struct Chance(fastrand::Rng);

impl Chance {
    fn up_to(&mut self, max: u64) -> u64 {
        self.0.u64(0..=max)
    }

    fn message(&mut self, descriptor: &MessageDescriptor, depth: u32) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        for field in descriptor.fields() {
            // For a oneof, the last field that is set counts. Some optional fields are left out.
            let deep = depth >= DEEPEST && matches!(field.kind(), Kind::Message(_));
            if deep || (self.up_to(4) == 0 && !field.is_required()) {
                continue;
            }
            let value = self.field(&field, depth);
            message.set_field(&field, value);
        }
        message
    }

    fn field(&mut self, field: &FieldDescriptor, depth: u32) -> Value {
        let count = self.up_to(MAX_ELEMENTS);
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
                let pairs = (0..count).filter_map(|_| {
                    let key: MapKey = self.value(&key.kind(), depth + 1).into_map_key()?;
                    Some((key, self.value(&value.kind(), depth + 1)))
                });
                Value::Map(pairs.collect())
            }
            kind if field.is_list() => {
                Value::List((0..count).map(|_| self.value(&kind, depth)).collect())
            }
            kind => self.value(&kind, depth),
        }
    }

    fn value(&mut self, kind: &Kind, depth: u32) -> Value {
        let bits = self.0.u64(..);
        match kind {
            Kind::Double => Value::F64(bits as f64 / 1e9),
            Kind::Float => Value::F32(bits as f32 / 1e9),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(bits as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(bits as i64),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(bits as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(bits),
            Kind::Bool => Value::Bool(bits & 1 == 1),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => Value::Bytes(self.text().into_bytes().into()),
            Kind::Message(descriptor) => Value::Message(self.message(descriptor, depth + 1)),
            Kind::Enum(descriptor) => {
                let at = self.up_to(descriptor.values().len().saturating_sub(1) as u64);
                let value = descriptor.values().nth(at as usize);
                Value::EnumNumber(value.map_or(0, |value| value.number()))
            }
        }
    }

    fn text(&mut self) -> String {
        let len = self.up_to(LONGEST_TEXT);
        (0..len).map(|_| self.0.lowercase()).collect()
    }
}
