//! What one measurement gave.

use std::collections::BTreeMap;

/// One of the figures of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    /// Calls, or items of a stream, a second.
    Rate,
    P50,
    P99,
    P999,
    /// Processor time a call in microseconds: of what stands between, the worker, the client.
    CpuMiddle,
    CpuWorker,
    CpuClient,
    /// Calls for each second of processor time of what stands between.
    CallsPerCpu,
    /// Bytes of payload a second, one way.
    Throughput,
    /// Processor time of what stands between in nanoseconds, for each KiB of payload that passes, both ways.
    CpuPerKib,
    /// Bytes on the wire for each call, payload taken off.
    Bytes,
    /// Bytes of memory for each.
    Memory,
    /// Processor time of what stands between, in percent of a core.
    OfACore,
    Seconds,
    SecondsOfProst,
    /// With 20 and with 70 % of what can be carried: the rate, and latencies in microseconds.
    Rate20,
    P50At20,
    P99At20,
    P999At20,
    Rate70,
    P50At70,
    P99At70,
    P999At70,
}

/// The figures of one measurement.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sample(BTreeMap<Figure, f64>);

impl Sample {
    pub(crate) fn with(mut self, figure: Figure, value: f64) -> Self {
        self.0.insert(figure, value);
        self
    }

    pub(crate) fn get(&self, figure: Figure) -> Option<f64> {
        self.0.get(&figure).copied()
    }

    pub(crate) fn figures(&self) -> impl Iterator<Item = (Figure, f64)> {
        self.0.iter().map(|(figure, value)| (*figure, *value))
    }
}

impl Figure {
    /// Its name in files, with the unit.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Figure::Rate => "per_s",
            Figure::P50 => "p50_us",
            Figure::P99 => "p99_us",
            Figure::P999 => "p999_us",
            Figure::CpuMiddle => "cpu_middle_us",
            Figure::CpuWorker => "cpu_worker_us",
            Figure::CpuClient => "cpu_client_us",
            Figure::CallsPerCpu => "calls_per_cpu_s",
            Figure::Throughput => "payload_bytes_per_s",
            Figure::CpuPerKib => "cpu_middle_ns_per_kib",
            Figure::Bytes => "overhead_bytes",
            Figure::Memory => "memory_bytes",
            Figure::OfACore => "cpu_middle_percent",
            Figure::Seconds => "seconds",
            Figure::SecondsOfProst => "seconds_of_prost",
            Figure::Rate20 => "per_s_at_20",
            Figure::P50At20 => "p50_us_at_20",
            Figure::P99At20 => "p99_us_at_20",
            Figure::P999At20 => "p999_us_at_20",
            Figure::Rate70 => "per_s_at_70",
            Figure::P50At70 => "p50_us_at_70",
            Figure::P99At70 => "p99_us_at_70",
            Figure::P999At70 => "p999_us_at_70",
        }
    }
}
