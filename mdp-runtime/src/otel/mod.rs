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
mod carrier;
mod names;
mod queue;
mod server;

use std::fmt;
use std::sync::Arc;

use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::{Histogram, MeterProvider};
use opentelemetry::trace::{FutureExt, Span, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, KeyValue};

use crate::client::{Reply, Request};
use crate::intercept::{Interceptor, Next};
use crate::status::Status;
use call::Observed;
pub(crate) use queue::Waiting;
use server::Server;

/// Makes spans and metrics of calls; see the [module](self). Cloning is cheap.
///
/// - Each call has one span. The span of a stream ends with the stream. At a client the span's kind is CLIENT, at a
///   worker SERVER. Its name is the method's path, `package.Service/Method`.
/// - A call that is retried or hedged has one span, with an event `mdp.attempt` for each further attempt. At the end it
///   gets the attribute `mdp.attempts`. To get a span for each attempt, add the telemetry to the client after
///   [`retry`](crate::Client::retry): interceptors that are added later are further in.
/// - The histograms `rpc.client.call.duration` and `rpc.server.call.duration` are in seconds. Their attributes have few
///   values: the methods of the program's own schemas, the codes, and the broker's address.
#[derive(Clone)]
pub struct Telemetry {
    parts: Arc<Parts>,
    /// The address to which a client's calls go.
    server: Option<Arc<Server>>,
}

struct Parts {
    tracer: BoxedTracer,
    client: Histogram<f64>,
    server: Histogram<f64>,
}

impl Telemetry {
    /// Uses the global providers of spans and metrics that are set now. Providers set later have no effect.
    pub fn new() -> Self {
        Telemetry::with_providers(&global::tracer_provider(), global::meter_provider().as_ref())
    }

    /// Uses your own providers. The trace context still passes through the global propagator. The default propagator
    /// does nothing; set another one with `opentelemetry::global::set_text_map_propagator`.
    ///
    /// ```
    /// use mdp_runtime::otel::Telemetry;
    /// use opentelemetry::global;
    /// use opentelemetry::trace::noop::NoopTracerProvider;
    ///
    /// // Metrics, and no spans.
    /// let telemetry =
    ///     Telemetry::with_providers(&NoopTracerProvider::new(), global::meter_provider().as_ref());
    /// ```
    pub fn with_providers<T, M>(tracers: &T, meters: &M) -> Self
    where
        T: TracerProvider,
        T::Tracer: Send + Sync + 'static,
        <T::Tracer as Tracer>::Span: Span + Send + Sync + 'static,
        M: MeterProvider + ?Sized,
    {
        let meter = meters.meter_with_scope(scope());
        let histogram = |name, description| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(description);
            histogram.with_boundaries(names::SECONDS.to_vec()).build()
        };
        let parts = Parts {
            tracer: BoxedTracer::new(Box::new(tracers.tracer_with_scope(scope()))),
            client: histogram(names::CLIENT_DURATION, "Duration of outgoing calls."),
            server: histogram(names::SERVER_DURATION, "Duration of incoming calls."),
        };
        Telemetry { parts: Arc::new(parts), server: None }
    }

    /// Sets the broker to which a client's calls go. Spans and metrics get `server.address` and `server.port` of this
    /// endpoint. [`ClientBuilder::telemetry`](crate::ClientBuilder::telemetry) calls this itself, if exactly one
    /// endpoint was added before. Default: none.
    #[must_use]
    pub fn server(mut self, endpoint: &str) -> Self {
        self.server = Server::of(endpoint).map(Arc::new);
        self
    }

    /// Sets the broker's address if there is exactly one endpoint.
    pub(crate) fn towards(self, endpoints: &[String]) -> Self {
        match endpoints {
            [only] if self.server.is_none() => self.server(only),
            _ => self,
        }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry::new()
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("server", &self.server).finish_non_exhaustive()
    }
}

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

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(names::SCHEMA_URL)
        .build()
}

/// The attributes that every span has.
fn common(path: impl Into<opentelemetry::Value>) -> Vec<KeyValue> {
    let path = path.into();
    vec![KeyValue::new(names::SYSTEM, names::MDP), KeyValue::new(names::METHOD, path)]
}
