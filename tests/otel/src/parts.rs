//! One peer's telemetry, and what became of it.

use std::sync::Once;
use std::time::{Duration, Instant};

use mdp_runtime::otel::Telemetry;
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry::{Value, global};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData};

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// The providers of one peer, and what they exported.
pub struct Part {
    pub tracers: SdkTracerProvider,
    pub meters: SdkMeterProvider,
    pub metrics: InMemoryMetricExporter,
    spans: InMemorySpanExporter,
}

impl Part {
    /// All is recorded, unless a caller says otherwise.
    pub fn recording() -> Part {
        Part::sampled(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
    }

    pub fn sampled(sampler: Sampler) -> Part {
        propagate();
        let (spans, metrics) = (InMemorySpanExporter::default(), InMemoryMetricExporter::default());
        let tracers = SdkTracerProvider::builder().with_sampler(sampler);
        let tracers = tracers.with_simple_exporter(spans.clone()).build();
        let meters = SdkMeterProvider::builder().with_periodic_exporter(metrics.clone()).build();
        Part { tracers, meters, metrics, spans }
    }

    pub fn telemetry(&self) -> Telemetry {
        Telemetry::with_providers(&self.tracers, &self.meters)
    }

    /// The spans that have ended so far.
    pub fn spans(&self) -> Vec<SpanData> {
        self.spans.get_finished_spans().unwrap()
    }

    /// Waits for as many spans of a name, and gives them in the order in which they ended.
    pub async fn wait_for(&self, name: &str, count: usize) -> Vec<SpanData> {
        let found =
            || self.spans().into_iter().filter(|span| span.name == name).collect::<Vec<_>>();
        until(async || found().len() >= count).await;
        let found = found();
        assert_eq!(found.len(), count, "{found:#?}");
        found
    }

    /// Waits for the only span of a name.
    pub async fn only(&self, name: &str) -> SpanData {
        self.wait_for(name, 1).await.remove(0)
    }
}

/// An attribute of a span as text.
pub fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key)?;
    Some(match &found.value {
        Value::String(text) => text.as_str().to_owned(),
        other => other.to_string(),
    })
}

/// Waits until something is so.
pub async fn until(mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so().await {
        assert!(Instant::now() < deadline, "it did not come about in {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// W3C's formats, for all of the process.
fn propagate() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        global::set_text_map_propagator(TextMapCompositePropagator::new(vec![
            Box::new(TraceContextPropagator::new()),
            Box::new(BaggagePropagator::new()),
        ]));
    });
}
