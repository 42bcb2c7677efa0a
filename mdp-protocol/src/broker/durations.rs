//! The running times of a method's calls: a histogram whose old counts fade, and quantiles of it.

/// Buckets: one below a millisecond, and four for each doubling up to 65 s.
const BUCKETS: usize = 65;
/// At this number of calls all counts are halved, so that the newer ones count for more.
const FADE: u32 = 512;
/// Fewer calls do not tell the median.
const ENOUGH: u32 = 8;
/// Fewer calls do not tell the 95th percentile: the short ones end first.
const MANY: u32 = 64;
/// What is assumed before that: 8 times the median, at least 1 s.
const ASSUMED: u64 = 8;
const ASSUMED_LEAST_MS: u64 = 1_000;
/// After this number of calls the quantiles are worked out anew.
const STALE: u8 = 16;

/// The times of a method's calls.
#[derive(Clone, Debug)]
pub(super) struct Durations {
    counts: [u16; BUCKETS],
    total: u32,
    /// Calls that `quantiles` does not know of.
    stale: u8,
    quantiles: Option<Quantiles>,
}

/// The values from the times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantiles {
    /// Half of the calls took at least this.
    pub(super) typical: u64,
    /// 95 of 100 took at most this. Assumed, until enough calls have ended.
    pub(super) p95: u64,
}

impl Quantiles {
    /// For calls whose running time does not count, such as those with streams.
    pub(super) const NONE: Quantiles = Quantiles { typical: 0, p95: 0 };
    /// What is assumed of a method of which nothing is known.
    pub(super) const UNKNOWN: Quantiles = Quantiles { typical: 0, p95: ASSUMED_LEAST_MS };
}

impl Default for Durations {
    fn default() -> Self {
        Durations { counts: [0; BUCKETS], total: 0, stale: 0, quantiles: None }
    }
}

impl Durations {
    /// A call has ended.
    pub(super) fn add(&mut self, ms: u64) {
        if let Some(count) = self.counts.get_mut(bucket(ms)) {
            *count = count.saturating_add(1);
        }
        self.total += 1;
        self.stale += 1;
        if self.stale >= STALE || self.total <= 2 * ENOUGH {
            self.stale = 0;
            self.quantiles = self.work_out();
        }
        if self.total >= FADE {
            self.total = 0;
            for count in &mut self.counts {
                *count /= 2;
                self.total += u32::from(*count);
            }
        }
    }

    /// The values. `None`: too few calls have ended.
    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        self.quantiles
    }

    fn work_out(&self) -> Option<Quantiles> {
        if self.total < ENOUGH {
            return None;
        }
        let (mut below, mut typical) = (0, None);
        for (number, count) in self.counts.iter().enumerate() {
            below += u32::from(*count);
            if typical.is_none() && 2 * below >= self.total {
                typical = Some(lowest(number));
            }
            if 20 * below >= 19 * self.total {
                let typical = typical.unwrap_or_default();
                let seen = lowest(number + 1);
                let assumed = typical.saturating_mul(ASSUMED).max(ASSUMED_LEAST_MS);
                let p95 = if self.total < MANY { seen.max(assumed) } else { seen };
                return Some(Quantiles { typical, p95 });
            }
        }
        None
    }
}

fn bucket(ms: u64) -> usize {
    let Some(octave) = ms.checked_ilog2() else { return 0 };
    let quarter = ((ms << 2) >> octave) & 3;
    let number = 1 + 4 * octave as usize + quarter as usize;
    number.min(BUCKETS - 1)
}

/// The shortest time of a bucket.
fn lowest(number: usize) -> u64 {
    let Some(number) = number.checked_sub(1) else { return 0 };
    let (octave, quarter) = (number / 4, number as u64 % 4);
    ((4 + quarter) << octave).div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_the_bucket_that_begins_at_or_before_it() {
        for ms in (0..70_000).chain([1 << 20, u64::MAX >> 2]) {
            let number = bucket(ms);
            assert!(lowest(number) <= ms, "{ms} in {number}");
            assert!(number == BUCKETS - 1 || ms < lowest(number + 1), "{ms} in {number}");
        }
    }

    #[test]
    fn typical_and_p95_follow_the_calls() {
        let mut durations = Durations::default();
        for _ in 0..7 {
            durations.add(20);
        }
        assert_eq!(durations.quantiles(), None);
        // The slow ones have not ended yet.
        durations.add(20);
        assert_eq!(durations.quantiles(), Some(Quantiles { typical: 20, p95: 1_000 }));
        for n in 0..200 {
            durations.add(if n % 10 == 9 { 400 } else { 20 });
        }
        let known = durations.quantiles().unwrap();
        assert_eq!((known.typical, known.p95), (20, 448));
        for _ in 0..1_500 {
            durations.add(3);
        }
        let known = durations.quantiles().unwrap();
        assert_eq!((known.typical, known.p95), (3, 4));
    }
}
