//! Open loops: latency at a fixed rate. What a side can carry is found first, with 256 calls in flight, and the
//! rates are 20 and 70 % of that, so each side is as far from its own end.

use anyhow::{Context, Result};

use super::{Figure, Sample, Side, Stage};
use crate::load::{Load, PAYLOAD};

const IN_FLIGHT: usize = 256;

const RATES: [(f64, [Figure; 4]); 2] = [
    (0.2, [Figure::Rate20, Figure::P50At20, Figure::P99At20, Figure::P999At20]),
    (0.7, [Figure::Rate70, Figure::P50At70, Figure::P99At70, Figure::P999At70]),
];

pub(super) fn measure(side: Side, stage: &Stage) -> Result<Sample> {
    let servers = side.start(stage, true)?;
    let load = stage.closed(IN_FLIGHT, PAYLOAD);
    let capacity = servers.measure(load, None)?.get(Figure::Rate).context("no rate")?;
    let mut sample = Sample::default().with(Figure::Rate, capacity);
    for (part, figures) in RATES {
        let load = Load { rate: capacity * part, ..load };
        let found = servers.measure(load, None)?;
        let from = [Figure::Rate, Figure::P50, Figure::P99, Figure::P999];
        for (to, from) in figures.into_iter().zip(from) {
            sample = sample.with(to, found.get(from).context("a figure is missing")?);
        }
    }
    Ok(sample)
}
