//! Precision, recall and F1 of whatever can be found: a class, one label of many, entities of a type.

use serde::{Deserialize, Serialize};

/// What there was of one class, and what was found of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Those that were found.
    pub hits: u64,
    /// Those that were predicted, rightly or wrongly.
    pub predicted: u64,
    /// Those that there were.
    pub support: u64,
}

/// Precision, recall and F1, from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Share of what was predicted that is right.
    pub precision: f64,
    /// Share of what there was that was found.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

impl Tally {
    /// Whether the class occurs, in what is right or in what was predicted.
    pub fn occurs(self) -> bool {
        self.predicted + self.support > 0
    }

    /// Its rates; a share of nothing is 0.
    pub fn rates(self) -> Rates {
        let share = |whole: u64| if whole > 0 { self.hits as f64 / whole as f64 } else { 0.0 };
        let both = self.predicted + self.support;
        let f1 = if both > 0 { 2.0 * self.hits as f64 / both as f64 } else { 0.0 };
        Rates { precision: share(self.predicted), recall: share(self.support), f1 }
    }
}

/// Rates of all classes taken together. Where each example has one class and one prediction, all three are the accuracy.
pub fn micro_average(tallies: &[Tally]) -> Rates {
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum();
    Tally { hits: sum(|t| t.hits), predicted: sum(|t| t.predicted), support: sum(|t| t.support) }.rates()
}

/// Mean of the classes' rates, each counting the same; NaN without any class.
///
/// scikit-learn leaves out classes that do not occur, unless it is told all labels (as it is by many columns of 0 and 1): see
/// [`Tally::occurs`].
pub fn macro_average(tallies: &[Tally]) -> Rates {
    mean(tallies, |_| 1.0)
}

/// Mean of the classes' rates, each counting by its support; 0 where there was nothing to find.
pub fn weighted_average(tallies: &[Tally]) -> Rates {
    if tallies.iter().all(|tally| tally.support == 0) {
        return Rates::default();
    }
    mean(tallies, |tally| tally.support as f64)
}

fn mean(tallies: &[Tally], weight: impl Fn(&Tally) -> f64) -> Rates {
    let total: f64 = tallies.iter().map(&weight).sum();
    let of =
        |rate: fn(Rates) -> f64| tallies.iter().map(|tally| weight(tally) * rate(tally.rates())).sum::<f64>() / total;
    Rates { precision: of(|r| r.precision), recall: of(|r| r.recall), f1: of(|r| r.f1) }
}
