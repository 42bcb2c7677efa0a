//! The time of each case.

#![allow(missing_docs)] // of what the macro makes

use criterion::{Criterion, criterion_group, criterion_main};

fn all(criterion: &mut Criterion) {
    for mut case in mdp_bench_core::cases() {
        criterion.bench_function(case.name, |bencher| bencher.iter(|| case.run()));
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
