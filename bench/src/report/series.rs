//! The samples of a case: medians, and how far the rounds lie apart.

use crate::cases::{Case, Figure, Sample};

/// The samples of one case, a round each.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) case: Case,
    /// Each with the number of its round: one may have failed.
    pub(crate) samples: Vec<(u32, Sample)>,
    /// Why there are none.
    pub(crate) missing: Option<String>,
}

/// A median, and the lowest and the highest of the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Series {
    /// `None`: it was not measured here.
    pub(crate) fn spread(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.samples.iter().filter_map(|(_, sample)| sample.get(figure)).collect())
    }

    /// The figure of one round.
    pub(crate) fn of_round(&self, round: u32, figure: Figure) -> Option<f64> {
        self.samples.iter().find(|(number, _)| *number == round)?.1.get(figure)
    }

    pub(crate) fn median(&self, figure: Figure) -> Option<f64> {
        self.spread(figure).map(|spread| spread.median)
    }
}

impl Spread {
    /// Whether it seems to be of one round alone, which tells nothing about chance.
    pub(crate) fn is_of_one(&self) -> bool {
        self.low.total_cmp(&self.high).is_eq()
    }

    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let middle = values.len() / 2;
        let upper = *values.get(middle)?;
        let lower = match values.len() % 2 {
            0 => *values.get(middle.checked_sub(1)?)?,
            _ => upper,
        };
        let (low, high) = (*values.first()?, *values.last()?);
        Some(Spread { median: f64::midpoint(lower, upper), low, high })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_lie_in_the_middle() {
        let spread = |values: &[f64]| Spread::of(values.to_vec());
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0, 1.0, 7.0]), Some(Spread { median: 3.0, low: 1.0, high: 7.0 }));
        assert_eq!(spread(&[4.0, 1.0]), Some(Spread { median: 2.5, low: 1.0, high: 4.0 }));
    }
}
