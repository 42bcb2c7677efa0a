//! A broker's spans: how long calls wait until a worker gets them, or until they end.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use mdp_protocol::broker::{Broker, Outgoing, Sender};
use mdp_protocol::wire::{Record, Reply};
use mdp_protocol::{Key, Payload, Span as Milliseconds};
use opentelemetry::trace::{
    Span, SpanContext, SpanKind, Status as SpanStatus, TraceContextExt, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue};

use mdp_call::body::Body;
use mdp_call::codec;
use mdp_call::otel::{Telemetry, carrier, common, end_attributes, names};
use mdp_call::status::Code;
use mdp_transport::clock::Clock;

/// With this many calls, the calls whose deadline has passed are removed. A call can end without a record, for instance
/// when a hook discards it.
const SWEEP_FROM: usize = 1_024;

/// The calls that wait in a broker and whose trace is recorded.
///
/// The span of a wait is made when the wait ends. Its kind is INTERNAL, because a client waits for the end of the call.
/// With a PRODUCER, the work would end with the queue.
#[derive(Debug)]
pub(crate) struct WaitingCalls {
    telemetry: Telemetry,
    /// Calls, by the client's session and the client's number for the call.
    calls: BTreeMap<(Key, u64), Wait>,
    max: usize,
    sweep_at: usize,
}

#[derive(Debug)]
struct Wait {
    parent: SpanContext,
    path: String,
    since: SystemTime,
    /// The deadline.
    until: SystemTime,
}

impl WaitingCalls {
    /// Makes an empty list. `max` is the maximum number of calls that the broker accepts.
    pub(crate) fn new(telemetry: Telemetry, max: usize) -> Self {
        WaitingCalls { telemetry, calls: BTreeMap::new(), max, sweep_at: SWEEP_FROM }
    }

    /// A record has arrived. It is not handled yet.
    pub(crate) fn came(&mut self, from: Sender<'_>, record: &Record<&[u8], Body>) {
        let Some(from) = from.session() else { return };
        match record {
            Record::Request { call, timeout, body, .. } => self.begin(from, *call, *timeout, body),
            Record::Cancel { call } => {
                self.end((from, *call), Code::Cancelled, "the client gave the call up")
            }
            _ => {}
        }
    }

    /// The broker sends a record.
    pub(crate) fn sent(
        &mut self,
        core: &Broker<Body>,
        clock: &Clock,
        to: Key,
        record: &Outgoing<Body>,
    ) {
        match record {
            Record::Request { call, attempt, body, .. } => match *attempt {
                ..=1 => self.dispatched(core, *call),
                attempt => {
                    self.moved(core.queued_since(clock.now(), *call), attempt, body);
                }
            },
            Record::Final { call, code, reply, .. } => {
                let message = match reply {
                    Reply::Refused(refusal) => &*refusal.message,
                    Reply::Body(_) | Reply::Listing(_) => "",
                };
                self.end((to, *call), *code, message);
            }
            Record::Cancel { call } => {
                self.end((to, *call), Code::Unavailable, "the broker handed the call back");
            }
            _ => {}
        }
    }

    /// The first worker gets a call.
    pub(crate) fn dispatched(&mut self, core: &Broker<Body>, call: u64) {
        if self.calls.is_empty() {
            return;
        }
        if let Some(wait) = core.caller_of(call).and_then(|caller| self.calls.remove(&caller)) {
            self.span(&wait).end();
        }
    }

    /// A worker gets a call after another worker was lost. `waited` is the time since that loss, in whole milliseconds. So
    /// the start of the span can be wrong by one millisecond.
    fn moved(&self, waited: Option<Milliseconds>, attempt: u8, body: &Body) {
        let Some((parent, waited)) = parent_of(body).zip(waited) else { return };
        let now = SystemTime::now();
        let since = now.checked_sub(Duration::from_millis(waited.as_ms())).unwrap_or(now);
        let mut span = self.span(&Wait { parent, path: path_of(body), since, until: now });
        span.set_attribute(KeyValue::new(names::ATTEMPT, i64::from(attempt)));
        span.end_with_timestamp(now);
    }

    /// A session has ended, and so have its calls.
    pub(crate) fn closed(&mut self, session: Key) {
        let own = self.calls.range((session, 0)..=(session, u64::MAX));
        let own: Vec<_> = own.map(|(call, _)| *call).collect();
        for call in own {
            self.end(call, Code::Cancelled, "the client is gone");
        }
    }

    fn begin(&mut self, from: Key, call: u64, timeout: Milliseconds, body: &Body) {
        let Some(parent) = parent_of(body).filter(|_| self.has_room()) else { return };
        let since = SystemTime::now();
        let until = since.checked_add(Duration::from_millis(timeout.as_ms())).unwrap_or(since);
        let wait = Wait { parent, path: path_of(body), since, until };
        self.calls.entry((from, call)).or_insert(wait);
    }

    fn has_room(&mut self) -> bool {
        if self.calls.len() >= self.sweep_at {
            let now = SystemTime::now();
            self.calls.retain(|_, wait| wait.until > now);
            self.sweep_at = SWEEP_FROM.max(2 * self.calls.len());
        }
        self.calls.len() < self.max
    }

    /// Ends the wait of a call together with the call. A call that has left the queue is not in the list any more.
    fn end(&mut self, call: (Key, u64), code: Code, message: &str) {
        let Some(wait) = self.calls.remove(&call) else { return };
        let mut span = self.span(&wait);
        end_attributes(code, code != Code::Ok)
            .into_iter()
            .for_each(|found| span.set_attribute(found));
        if code != Code::Ok {
            span.set_status(SpanStatus::error(message.to_owned()));
        }
        span.end();
    }

    fn span(&self, wait: &Wait) -> impl Span + use<> {
        let tracer = self.telemetry.tracer();
        let attributes: Vec<KeyValue> = common(wait.path.clone());
        let builder = tracer.span_builder(names::QUEUE).with_kind(SpanKind::Internal);
        let builder = builder.with_start_time(wait.since).with_attributes(attributes);
        let parent = Context::new().with_remote_span_context(wait.parent.clone());
        tracer.build_with_context(builder, &parent)
    }
}

/// The span of a call's client, if that span is recorded.
fn parent_of(body: &Body) -> Option<SpanContext> {
    let meta = body.meta();
    if meta.is_empty() || body.is_raw() {
        return None;
    }
    // The broker refuses a call whose metadata cannot be read, so such a call does not wait.
    let context = carrier::extract(&codec::decode_metadata(meta).ok()?);
    let span = context.span();
    let found = span.span_context();
    if !found.is_valid() || !found.is_sampled() {
        return None;
    }
    // The trace state can be as long as the peer wants, and no span here passes it on.
    let (trace, own, flags) = (found.trace_id(), found.span_id(), found.trace_flags());
    Some(SpanContext::new(trace, own, flags, true, TraceState::NONE))
}

fn path_of(body: &Body) -> String {
    String::from_utf8_lossy(body.path()).into_owned()
}
