//! The durations of calls, as a reader of metrics gets them.

use std::collections::BTreeMap;

use opentelemetry_sdk::metrics::data::{AggregatedMetrics, HistogramDataPoint, MetricData};
use test_otel::{Part, World};

/// A series: its attributes, how often something was measured, and the sum in seconds.
type Series = (BTreeMap<String, String>, u64, f64);

fn series_of(point: &HistogramDataPoint<f64>) -> Series {
    let attributes = point.attributes();
    let attributes =
        attributes.map(|attribute| (attribute.key.to_string(), attribute.value.to_string()));
    let bounds: Vec<_> = point.bounds().collect();
    assert_eq!((bounds.len(), bounds[0], bounds[13]), (14, 0.005, 10.0));
    (attributes.collect(), point.count(), point.sum())
}

/// The series of a histogram of seconds.
fn histogram(part: &Part, name: &str) -> Vec<Series> {
    part.meters.force_flush().unwrap();
    let exports = part.metrics.get_finished_metrics().unwrap();
    let scopes: Vec<_> = exports.last().unwrap().scope_metrics().collect();
    assert_eq!(scopes.len(), 1);
    assert_eq!(scopes[0].scope().name(), "mdp-runtime");
    let mut metrics = scopes[0].metrics();
    let metric = metrics.find(|metric| metric.name() == name).unwrap();
    assert_eq!(metric.unit(), "s");
    let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else {
        panic!("{name} is no histogram: {metric:?}");
    };
    let mut series: Vec<_> = histogram.data_points().map(series_of).collect();
    series.sort_by(|one, other| one.0.cmp(&other.0));
    series
}

fn attributes(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn durations_are_counted_by_method_and_code_and_nothing_that_callers_choose() {
    let world = World::start().await;
    for text in ["a", "b", "c"] {
        let call = world.shop().order(text).metadata("user", text);
        call.await.unwrap();
    }
    world.shop().order("nothing").await.unwrap_err();
    world.shop().order("panic").await.unwrap_err();
    let port = world.broker.endpoints()[0].rsplit_once(':').unwrap().1.to_owned();
    let expected = |code, error: bool, client: bool| {
        let mut all = vec![
            ("rpc.system.name", "mdp"),
            ("rpc.method", "shop.v1.Shop/Order"),
            ("rpc.response.status_code", code),
        ];
        all.extend(error.then_some(("error.type", code)));
        if client {
            all.extend([("server.address", "127.0.0.1"), ("server.port", &*port)]);
        }
        attributes(&all)
    };
    let counted = |series: Vec<Series>| -> Vec<_> {
        assert!(series.iter().all(|(_, count, sum)| *sum > 0.0 && *sum < 20.0 * *count as f64));
        series.into_iter().map(|(attributes, count, _)| (attributes, count)).collect()
    };
    let mut wanted = vec![
        (expected("OK", false, true), 3),
        (expected("NOT_FOUND", true, true), 1),
        (expected("INTERNAL", true, true), 1),
    ];
    wanted.sort();
    assert_eq!(counted(histogram(&world.caller, "rpc.client.call.duration")), wanted);
    world.shop.wait_for("shop.v1.Shop/Order", 5).await;
    let mut wanted = vec![
        (expected("OK", false, false), 3),
        (expected("NOT_FOUND", false, false), 1),
        (expected("INTERNAL", true, false), 1),
    ];
    wanted.sort();
    assert_eq!(counted(histogram(&world.shop, "rpc.server.call.duration")), wanted);
}
