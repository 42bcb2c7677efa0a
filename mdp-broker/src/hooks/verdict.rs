//! The decisions of hooks, and their translation for the broker's state machine.

use bytes::Bytes;
use mdp_protocol::Payload;
use mdp_protocol::broker::{self as core, Name, Target};
use mdp_protocol::wire;

use super::subject::{Content, End};
use super::{Reply, Request};
use mdp_call::body::Body;
use mdp_call::codec;
use mdp_call::codec::record::{self, TypedMessage};
use mdp_call::metadata::{BadKey, Metadata};
use mdp_call::status::{Code, Status};

/// The decision on a request or a reply.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Forwards it, unchanged or changed.
    Forward(Forward),
    /// Discards it without notice. The client's call ends at its deadline, as if the answer was lost.
    Discard,
    /// Ends the call with this status.
    Reject(Status),
    /// Ends the call with this reply, without a worker.
    Answer(Answer),
}

impl From<Forward> for Verdict {
    fn from(forward: Forward) -> Self {
        Verdict::Forward(forward)
    }
}

/// A status rejects the call.
impl From<Result<Forward, Status>> for Verdict {
    fn from(checked: Result<Forward, Status>) -> Self {
        checked.map_or_else(Verdict::Reject, Verdict::Forward)
    }
}

impl From<Answer> for Verdict {
    fn from(answer: Answer) -> Self {
        Verdict::Answer(answer)
    }
}

impl From<Status> for Verdict {
    fn from(status: Status) -> Self {
        Verdict::Reject(status)
    }
}

/// How a request or a reply is forwarded. [`Forward::new`] changes nothing.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Forward {
    service: Option<String>,
    path: Option<String>,
    worker: Option<Worker>,
    metadata: Vec<Change>,
    payload: Option<Bytes>,
    frames: Option<Vec<Bytes>>,
}

#[derive(Clone, Debug)]
enum Worker {
    Only(String),
    Rather(String),
}

/// A change of the metadata.
#[derive(Clone, Debug)]
enum Change {
    Set(String, Bytes),
    Remove(String),
}

impl Forward {
    /// Forwards without changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forwards to another service, to the method with the same name. The policy is not checked again, so the caller
    /// needs no right to call that service.
    pub fn to_service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// Forwards to another method, `package.Service/Method`. Replaces [`to_service`](Self::to_service) and works like
    /// it.
    pub fn to_method(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Forwards to the worker with this id. If that worker does not exist, the call ends with UNAVAILABLE
    /// (`NO_WORKER`).
    pub fn to_worker(mut self, id: impl Into<String>) -> Self {
        self.worker = Some(Worker::Only(id.into()));
        self
    }

    /// Forwards to the worker with this id if that worker is connected and accepts calls; otherwise to any worker.
    pub fn prefer_worker(mut self, id: impl Into<String>) -> Self {
        self.worker = Some(Worker::Rather(id.into()));
        self
    }

    /// Sets a metadata value in place of all values of the key, so that a value from the client cannot remain. If
    /// [`Metadata`] cannot send the key, the call ends with INTERNAL.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.metadata.push(Change::Set(key.into(), value.into()));
        self
    }

    /// Removes a metadata key with its values.
    pub fn remove_metadata(mut self, key: impl Into<String>) -> Self {
        self.metadata.push(Change::Remove(key.into()));
        self
    }

    /// Replaces the message with these bytes. If the reply is an error, the message is the encoded status.
    pub fn payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.payload = Some(payload.into());
        self
    }

    /// Replaces the message.
    pub fn message(self, message: &impl TypedMessage) -> Self {
        self.payload(record::encode(message))
    }

    /// Replaces the frames of a raw call.
    pub fn frames(mut self, frames: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        self.frames = Some(frames.into_iter().map(Into::into).collect());
        self
    }

    fn goes_elsewhere(&self) -> bool {
        self.service.is_some() || self.path.is_some() || self.worker.is_some()
    }

    /// The path for the worker.
    fn path(&self, service: &str, method: Option<&str>) -> String {
        if let Some(path) = &self.path {
            return path.clone();
        }
        let service = self.service.as_deref().unwrap_or(service);
        match method {
            Some(method) => format!("{service}/{method}"),
            None => service.to_owned(),
        }
    }

    /// The body with its changes, under this name.
    fn change(self, name: &str, content: &Content) -> Result<Body, BadKey> {
        let body = &content.body;
        if body.is_raw() {
            let frames = self.frames.unwrap_or_else(|| body.frames());
            return Ok(Body::of_frames(name.as_bytes(), frames));
        }
        let same_name = name.as_bytes() == body.path();
        if same_name && self.metadata.is_empty() && self.payload.is_none() {
            return Ok(body.clone());
        }
        let meta = match self.metadata.as_slice() {
            [] => Some(body.meta().to_vec()).filter(|meta| !meta.is_empty()),
            changes => codec::change_metadata(&content.encoded, &changed(content, changes))?,
        };
        let compressed = self.payload.is_none() && body.is_compressed();
        let payload = self.payload.unwrap_or_else(|| body.payload());
        Ok(Body::with_payload(name, meta.as_deref(), payload).compressed(compressed))
    }
}

fn changed(content: &Content, changes: &[Change]) -> Metadata {
    let mut metadata = content.metadata().clone();
    for change in changes {
        match change {
            Change::Set(key, value) => drop(metadata.insert(key, value.clone())),
            Change::Remove(key) => drop(metadata.remove(key)),
        }
    }
    metadata
}

/// A reply that a hook makes itself.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Answer {
    payload: Bytes,
    frames: Option<Vec<Bytes>>,
    metadata: Metadata,
}

impl Answer {
    /// Makes an answer with this message.
    pub fn message(message: &impl TypedMessage) -> Self {
        Answer::bytes(record::encode(message))
    }

    /// Makes an answer with an encoded message. For a raw call the message is one frame.
    pub fn bytes(payload: impl Into<Bytes>) -> Self {
        Answer { payload: payload.into(), ..Answer::default() }
    }

    /// Makes an answer with these frames, for a raw call.
    pub fn frames(frames: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        Answer { frames: Some(frames.into_iter().map(Into::into).collect()), ..Answer::default() }
    }

    /// Adds a metadata value; a key may have several. If [`Metadata`] cannot send the key, the call ends with INTERNAL.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.metadata.append(key, value);
        self
    }

    fn into_body(self, raw: bool) -> Result<Body, BadKey> {
        Ok(match (raw, self.frames) {
            (true, Some(frames)) => Body::of_frames(b"", frames),
            (true, None) => Body::of_frames(b"", vec![self.payload]),
            (false, frames) => {
                let payload = frames.map_or(self.payload, |frames| frames.concat().into());
                let meta = codec::encode_metadata(&self.metadata)?;
                Body::with_payload("", meta.as_deref(), payload)
            }
        })
    }
}

/// Translates a verdict on a request.
pub(crate) fn on_request(request: Request, verdict: Verdict) -> core::Verdict<Body> {
    let (called, content) = (&request.called, &request.content);
    match verdict {
        Verdict::Forward(forward) => {
            let to = match &forward.worker {
                Some(worker) => worker.target(),
                None if request.target.is_empty() => Target::Any,
                None => Target::Only(request.target.clone()),
            };
            let path = forward.path(request.service(), called.method());
            match forward.change(&path, content) {
                Ok(body) => core::Verdict::Dispatch { body, to },
                Err(bad) => rejected(bad_key(&bad), no_name(), true),
            }
        }
        Verdict::Discard => core::Verdict::Discard,
        Verdict::Reject(status) => rejected(status, no_name(), true),
        Verdict::Answer(answer) => answered(answer, no_name(), called.raw, true),
    }
}

/// Translates a verdict on a reply.
pub(crate) fn on_reply(reply: Reply, verdict: Verdict) -> core::Verdict<Body> {
    let (raw, worker) = (reply.called.raw, reply.end.worker.clone());
    match verdict {
        Verdict::Forward(forward) if forward.goes_elsewhere() => {
            let Some(content) = &reply.content else { return passed(reply, Forward::new()) };
            let to = forward.worker.as_ref().map_or(Target::Any, Worker::target);
            let path = forward.path(reply.service(), reply.called.method());
            match forward.change(&path, content) {
                Ok(body) => core::Verdict::Dispatch { body, to },
                Err(bad) => rejected(bad_key(&bad), worker, false),
            }
        }
        Verdict::Forward(forward) => passed(reply, forward),
        Verdict::Discard => core::Verdict::Discard,
        Verdict::Reject(status) => rejected(status, worker, false),
        Verdict::Answer(answer) => answered(answer, worker, raw, false),
    }
}

/// Rejects a call after its hook has failed: a call that no hook has allowed does not pass.
pub(crate) fn failed(status: Status, not_started: bool) -> core::Verdict<Body> {
    rejected(status, no_name(), not_started)
}

fn passed(reply: Reply, forward: Forward) -> core::Verdict<Body> {
    let Reply { called: _, content, end } = reply;
    let End { worker, code, not_started, refusal } = end;
    let reply = match (refusal, content) {
        (Some(refusal), _) => wire::Reply::Refused(refusal),
        (None, Some(content)) => match forward.change("", &content) {
            Ok(body) => wire::Reply::Body(body),
            Err(bad) => return rejected(bad_key(&bad), worker, not_started),
        },
        (None, None) => wire::Reply::Body(Body::default()),
    };
    core::Verdict::End { code, not_started, worker, reply }
}

fn rejected(status: Status, worker: Name, not_started: bool) -> core::Verdict<Body> {
    let status = match status.code() {
        Code::Ok => Status::internal("a hook of the broker rejected a call with OK"),
        // The status may be the end of the hook's own call.
        _ => status.handed_on(),
    };
    let (status, meta) = match codec::encode_metadata(status.metadata()) {
        Ok(meta) => (status, meta),
        Err(bad) => (bad_key(&bad), None),
    };
    let body = Body::with_payload("", meta.as_deref(), codec::encode_status(&status));
    // The broker does not know a client's frame limit here; no status exceeds the common limit.
    let body = body.fitting(status.code(), u64::MAX);
    let (code, reply) = (status.code(), wire::Reply::Body(body));
    core::Verdict::End { code, not_started, worker, reply }
}

fn answered(answer: Answer, worker: Name, raw: bool, not_started: bool) -> core::Verdict<Body> {
    match answer.into_body(raw) {
        Ok(body) => {
            let reply = wire::Reply::Body(body);
            core::Verdict::End { code: Code::Ok, not_started: false, worker, reply }
        }
        Err(bad) => rejected(bad_key(&bad), worker, not_started),
    }
}

/// The error when a hook's metadata has this key, which cannot be sent.
fn bad_key(bad: &BadKey) -> Status {
    tracing::error!(%bad, "a hook of the broker gave metadata that cannot be sent");
    Status::internal(format!("from a hook of the broker: {bad}"))
}

impl Worker {
    fn target(&self) -> Target {
        match self {
            Worker::Only(id) => Target::Only(Name::from(id.as_bytes())),
            Worker::Rather(id) => Target::Rather(Name::from(id.as_bytes())),
        }
    }
}

fn no_name() -> Name {
    Name::from([])
}
