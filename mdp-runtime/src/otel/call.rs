//! Observes one call from its start to its end: a span and a measurement.

use std::time::Instant;

use opentelemetry::metrics::Histogram;
use opentelemetry::trace::{SpanKind, Status as SpanStatus, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use crate::call::{CallContext, Reply, Request};
use mdp_call::otel::{Telemetry, carrier, common, end_attributes, names};
use mdp_call::status::{Code, Status};

/// A call in progress. If it is dropped before [`end`](Self::end), the caller gave the call up, or its deadline passed.
pub(super) struct Observed {
    /// The context that contains the call's span.
    context: Context,
    duration: Histogram<f64>,
    /// The attributes that the span and the measurement share.
    attributes: Vec<KeyValue>,
    is_error: fn(Code) -> bool,
    start: Instant,
    until: Option<Instant>,
    ended: bool,
}

impl Observed {
    /// A call that this process makes. The current span is the parent. The span's context goes into the call's
    /// metadata.
    pub(super) fn client(telemetry: &Telemetry, request: &mut Request) -> Self {
        let mut attributes = common(request.method());
        attributes.extend(telemetry.server_attributes());
        let span = telemetry.tracer().span_builder(request.method());
        let span = span.with_kind(SpanKind::Client).with_attributes(attributes.clone());
        let context = Context::current().with_span(telemetry.tracer().build(span));
        carrier::inject(&context, request.metadata_mut());
        let start = Instant::now();
        let until = start.checked_add(request.timeout());
        let duration = telemetry.client_duration().clone();
        let is_error = |code| code != Code::Ok;
        Observed { context, duration, attributes, is_error, start, until, ended: false }
    }

    /// A call that this process handles. The parent span comes from the metadata.
    pub(super) fn server(telemetry: &Telemetry, request: &Request, cx: &CallContext) -> Self {
        let attributes = common(request.method());
        let mut of_span = attributes.clone();
        if cx.attempt() > 1 {
            of_span.push(KeyValue::new(names::ATTEMPT, i64::from(cx.attempt())));
        }
        let parent = carrier::extract(request.metadata());
        let span = telemetry.tracer().span_builder(request.method());
        let span = span.with_kind(SpanKind::Server).with_attributes(of_span);
        let span = telemetry.tracer().build_with_context(span, &parent);
        let context = parent.with_span(span);
        let duration = telemetry.server_duration().clone();
        let (start, until) = (Instant::now(), Some(cx.deadline()));
        let is_error = is_fault_of_server;
        Observed { context, duration, attributes, is_error, start, until, ended: false }
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    pub(super) fn end(mut self, end: &Result<Reply, Status>) {
        match end {
            Ok(reply) => {
                self.set_answer(reply);
                self.finish(Code::Ok, "");
            }
            Err(status) => self.finish(status.code(), status.message()),
        }
    }

    fn set_answer(&self, reply: &Reply) {
        let span = self.context.span();
        if reply.attempts > 1 {
            span.set_attribute(KeyValue::new(names::ATTEMPTS, i64::from(reply.attempts)));
        }
        if let Ok(worker) = std::str::from_utf8(&reply.worker)
            && !worker.is_empty()
        {
            span.set_attribute(KeyValue::new(names::WORKER, worker.to_owned()));
        }
    }

    fn finish(&mut self, code: Code, message: &str) {
        self.ended = true;
        let (span, mut of_end) = (self.context.span(), end_attributes(code, (self.is_error)(code)));
        span.set_attributes(of_end.iter().cloned());
        if (self.is_error)(code) {
            span.set_status(SpanStatus::error(message.to_owned()));
        }
        self.attributes.append(&mut of_end);
        // The span is current here, so that the measurement can refer to it.
        let _current = self.context.clone().attach();
        self.duration.record(self.start.elapsed().as_secs_f64(), &self.attributes);
        span.end();
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if self.until.is_some_and(|until| until <= Instant::now()) {
            self.finish(Code::DeadlineExceeded, "the deadline passed");
        } else {
            self.finish(Code::Cancelled, "the caller gave the call up");
        }
    }
}

/// Whether a code is an error of the server's span. OpenTelemetry's conventions for gRPC define these codes; the caller
/// is responsible for the others.
fn is_fault_of_server(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}
