//! The list of all cases.

use super::growth::Crowd;
use super::memory::Of;
use super::{Case, Shape, Side, What};
use crate::load::PAYLOAD;

const MIB: usize = 1 << 20;

/// A side, and its name within a group.
type Named = (&'static str, Side);

/// Groups of calls: the name, how many are in flight, of how many bytes, and who is compared.
const CALLS: &[(&str, usize, usize, &[Named])] = &[
    ("unary-1", 1, PAYLOAD, ALL),
    ("unary-16", 16, PAYLOAD, ALL),
    ("unary-256", 256, PAYLOAD, ALL),
    ("unary-256-multi-thread", 256, PAYLOAD, MULTI),
    ("unary-4096", 4_096, PAYLOAD, BROKERED),
    ("unary-1mib", 8, MIB, &[("typed", Side::Typed), ("raw", Side::Raw)]),
    ("stream", 1, PAYLOAD, &[("typed", Side::Stream), ("raw", Side::OneWay)]),
    ("mdp02-256", 256, PAYLOAD, &[("broker", Side::Classic), ("raw", Side::ClassicRelay)]),
    ("curve-1", 1, PAYLOAD, CURVE),
    ("curve-256", 256, PAYLOAD, CURVE),
    ("metrics-256", 256, PAYLOAD, &[("without", Side::Typed), ("with", Side::Scraped)]),
    ("policy-256", 256, PAYLOAD, &[("without", Side::Typed), ("with", Side::Policy)]),
    ("policy-curve-256", 256, PAYLOAD, &[("without", Side::Curve), ("with", Side::CurvePolicy)]),
];

/// Many connections: the name of a group, and its shape. All sides have as many calls in flight.
const MANY: &[(&str, Shape)] = &[
    ("many-8x32", Shape { connections: 8, each: 32, workers: 4 }),
    ("many-64x4", Shape { connections: 64, each: 4, workers: 16 }),
    ("many-256x1", Shape { connections: 256, each: 1, workers: 16 }),
];

const ALL: &[Named] = &[
    ("typed", Side::Typed),
    ("raw", Side::Raw),
    ("nats", Side::Nats),
    ("tonic", Side::Tonic),
    ("tarpc", Side::Tarpc),
];
const MULTI: &[Named] = &[
    ("typed", Side::TypedMulti),
    ("nats", Side::NatsMulti),
    ("tonic", Side::TonicMulti),
    ("tarpc", Side::TarpcMulti),
];
const BROKERED: &[Named] = &[("typed", Side::Typed), ("raw", Side::Raw), ("nats", Side::Nats)];
const CURVE: &[Named] = &[("unencrypted", Side::Typed), ("curve", Side::Curve)];

/// Overload: the name of a side, the calls' timeout in milliseconds, and how many times what can be done is asked for.
const OVERLOAD: &[(&str, u64, u32)] =
    &[("capacity", 10_000, 0), ("2x", 2_000, 2), ("5x-short", 500, 5), ("10x", 2_000, 10)];

/// Growth: the name of a group, and who else is there.
const GROWTH: &[(&str, Crowd)] = &[
    ("growth-workers", Crowd { kind: "workers", processes: 4, each: 250, services: 1 }),
    ("growth-same-service", Crowd { kind: "same-service", processes: 4, each: 250, services: 0 }),
    ("growth-clients", Crowd { kind: "clients", processes: 5, each: 1_000, services: 0 }),
    ("growth-services", Crowd { kind: "workers", processes: 1, each: 10, services: 1_000 }),
];

/// All cases, those of a group side by side.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |group, side, what, slow| cases.push(Case { group, side, what, slow });
    for &(group, in_flight, bytes, sides) in CALLS {
        for &(name, side) in sides {
            add(group, name, What::Calls { side, in_flight, bytes }, false);
        }
    }
    for &(group, shape) in MANY {
        for (name, side) in BROKERED.iter().copied().chain([("tonic", Side::Tonic)]) {
            add(group, name, What::Many { side, shape }, true);
        }
    }
    for &(name, side) in ALL {
        add("overhead-256", name, What::Overhead(side), false);
    }
    for &(name, timeout_ms, times) in OVERLOAD {
        add("overload", name, What::Overload { timeout_ms, times }, true);
    }
    for &(name, side) in BROKERED {
        add("open-loop", name, What::Open(side), true);
    }
    for &(group, crowd) in GROWTH {
        add(group, "alone", What::Growth(None), true);
        add(group, "crowd", What::Growth(Some(crowd)), true);
    }
    add("memory-client", "typed", What::Memory(Of::Client), true);
    add("memory-client", "curve", What::Memory(Of::CurveClient), true);
    add("memory-worker", "typed", What::Memory(Of::Worker), true);
    add("memory-call", "typed", What::Memory(Of::Call), true);
    for (name, curve) in [("plain", false), ("curve", true)] {
        add("rest", name, What::Rest { curve }, true);
        add("back", name, What::Back { curve }, true);
    }
    add("generator", "mdp-codegen", What::Generator, true);
    cases
}
