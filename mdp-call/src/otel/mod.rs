//! What spans and metrics of calls have in common, wherever they are made.

pub mod carrier;
pub mod names;
mod server;

use std::fmt;
use std::sync::Arc;

use mdp_protocol::Code;
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::{Histogram, MeterProvider};
use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry::{InstrumentationScope, KeyValue};

use server::Server;

/// Makes spans and metrics of calls; see the module `otel`. Cloning is cheap.
///
/// - One span for each call, whatever its kind: that of a stream ends with the stream. At a client its kind is CLIENT, at a
///   worker SERVER, and its name is the method's path, `package.Service/Method`.
/// - A call that is tried again, or hedged, has one span with an event `mdp.attempt` for each further attempt, and
///   `mdp.attempts` in the end. For a span of each attempt, put it around the client after
///   `Client::retry`: interceptors that are added later are further in.
/// - The histograms `rpc.client.call.duration` and `rpc.server.call.duration`, in seconds. Their attributes have few values: the
///   methods of the program's own schemas, the codes, and the broker's address.
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

    /// Says which broker a client's calls go to: `server.address` and `server.port` of its spans and metrics are those of this
    /// endpoint. `ClientBuilder::telemetry` says so itself. Not said.
    #[must_use]
    pub fn server(mut self, endpoint: &str) -> Self {
        self.server = Server::of(endpoint).map(Arc::new);
        self
    }

    /// Sets the broker's address if there is exactly one endpoint.
    #[doc(hidden)]
    pub fn towards(self, endpoints: &[String]) -> Self {
        match endpoints {
            [only] if self.server.is_none() => self.server(only),
            _ => self,
        }
    }
}

#[doc(hidden)]
impl Telemetry {
    /// What makes spans.
    pub fn tracer(&self) -> &BoxedTracer {
        &self.parts.tracer
    }

    /// The durations of calls that are made.
    pub fn client_duration(&self) -> &Histogram<f64> {
        &self.parts.client
    }

    /// The durations of calls that are handled.
    pub fn server_duration(&self) -> &Histogram<f64> {
        &self.parts.server
    }

    /// Where a client's calls go, if that is known.
    pub fn server_attributes(&self) -> impl Iterator<Item = KeyValue> {
        self.server.iter().flat_map(|server| server.attributes())
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

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("mdp-runtime")
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(names::SCHEMA_URL)
        .build()
}

/// The attributes that every span has.
pub fn common(path: impl Into<opentelemetry::Value>) -> Vec<KeyValue> {
    let path = path.into();
    vec![KeyValue::new(names::SYSTEM, names::MDP), KeyValue::new(names::METHOD, path)]
}

/// The attributes for the end of a call.
pub fn end_attributes(code: Code, is_error: bool) -> Vec<KeyValue> {
    let status = KeyValue::new(names::STATUS_CODE, code.name());
    let error = is_error.then(|| KeyValue::new(names::ERROR_TYPE, code.name()));
    std::iter::once(status).chain(error).collect()
}
