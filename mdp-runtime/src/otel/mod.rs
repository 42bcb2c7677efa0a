//! OpenTelemetry: spans and metrics of calls, at clients, workers and brokers.
//!
//! A [`Telemetry`] is an [`Interceptor`]. At a client it makes a span for each call and writes the trace context into
//! the call's metadata (`traceparent`, defined by the W3C, if the propagator for it is set). At a worker it reads the
//! context from the metadata. The worker's span is current while the handler runs, so the handler's own calls are its
//! children. A broker with a `Telemetry` adds spans for the time that calls wait in its queues. Names and attributes
//! follow OpenTelemetry's semantic conventions for RPC, version 1.42.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mdp_runtime::otel::Telemetry;
//! use mdp_runtime::{Broker, Client};
//!
//! // After `opentelemetry::global::set_tracer_provider(..)` and its like: what is set later is not seen.
//! let telemetry = Telemetry::new();
//! let broker = Broker::builder().bind("tcp://127.0.0.1:*").telemetry(telemetry.clone()).start()?;
//! let client = Client::builder().connect(broker.endpoints()[0].clone()).telemetry(telemetry).open().await?;
//! // let worker = Worker::builder().connect(..).telemetry(telemetry).serve(..).start()?;
//! # drop(client);
//! # Ok(())
//! # }
//! ```

mod call;

pub use mdp_call::otel::Telemetry;
use mdp_call::otel::names;
use opentelemetry::trace::{FutureExt, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use crate::call::{Reply, Request};
use crate::intercept::{Interceptor, Next};
use call::Observed;
use mdp_call::status::Status;

impl Interceptor for Telemetry {
    async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
        let call = match request.context() {
            None => Observed::client(self, &mut request),
            Some(cx) => Observed::server(self, &request, cx),
        };
        let end = next.call(request).with_context(call.context().clone()).await;
        call.end(&end);
        end
    }
}

/// Adds an event for another attempt to the span of the current call. The first attempt has the number 1.
pub(crate) fn attempt(number: u8) {
    Context::map_current(|context| {
        if context.has_active_span() {
            let attributes = vec![KeyValue::new(names::ATTEMPT, i64::from(number))];
            context.span().add_event(names::ATTEMPT, attributes);
        }
    });
}
