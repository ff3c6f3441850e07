//! What a person looks at beside a score: which examples are misread worst, and the rates of each class by name.
//!
//! Numbers of examples only, no texts: whoever shows them has the texts. The table of calibration is
//! [`Calibration`](crate::metric::Calibration).

use serde::{Deserialize, Serialize};

use crate::metric::{Rates, Tally};

/// An example whose label was predicted wrongly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Misread {
    /// Its number among the examples, from 0.
    pub example: usize,
    /// Number of its label.
    pub right: usize,
    /// Number of the label that was predicted.
    pub predicted: usize,
    /// What the network gave its label.
    pub probability: f64,
    /// Its cross-entropy in nats, minus the logarithm of that; null in JSON where it is infinite.
    pub loss: f64,
}

/// The `count` examples whose own label was thought least probable, worst first, among those for which another was predicted.
///
/// `probabilities`: what the network gave each example's own label.
///
/// # Panics
/// If the lengths differ.
pub fn worst_misread(right: &[usize], predicted: &[usize], probabilities: &[f64], count: usize) -> Vec<Misread> {
    assert_eq!(right.len(), predicted.len(), "one prediction for each example");
    assert_eq!(right.len(), probabilities.len(), "one probability for each example");
    let misread = |example: usize| Misread {
        example,
        right: right[example],
        predicted: predicted[example],
        probability: probabilities[example],
        loss: -probabilities[example].ln(),
    };
    let mut found: Vec<Misread> =
        (0..right.len()).filter(|&example| right[example] != predicted[example]).map(misread).collect();
    found.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    found.truncate(count);
    found
}

/// An example whose number was predicted badly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FarOff {
    /// Its number among the examples, from 0.
    pub example: usize,
    /// What is right.
    pub right: f64,
    /// What was predicted.
    pub predicted: f64,
}

/// The `count` examples whose numbers were missed by most, worst first; what is no number is worst.
///
/// # Panics
/// If the lengths differ.
pub fn farthest_off(right: &[f64], predicted: &[f64], count: usize) -> Vec<FarOff> {
    assert_eq!(right.len(), predicted.len(), "one prediction for each example");
    let pairs = right.iter().zip(predicted).enumerate();
    let mut found: Vec<FarOff> =
        pairs.map(|(example, (&right, &predicted))| FarOff { example, right, predicted }).collect();
    let miss = |of: &FarOff| (of.right - of.predicted).abs();
    found.sort_by(|a, b| miss(b).total_cmp(&miss(a)));
    found.truncate(count);
    found
}

/// One class, label or type of entity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassRow {
    /// Its name.
    pub label: String,
    /// Precision, recall and F1.
    #[serde(flatten)]
    pub rates: Rates,
    /// How often it is right.
    pub support: u64,
    /// How often it was predicted.
    pub predicted: u64,
}

/// Rates by name, in the order given.
pub fn class_table<'a>(tallies: impl IntoIterator<Item = (&'a str, Tally)>) -> Vec<ClassRow> {
    let row = |(label, tally): (&str, Tally)| ClassRow {
        label: label.to_owned(),
        rates: tally.rates(),
        support: tally.support,
        predicted: tally.predicted,
    };
    tallies.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_misread_example_is_the_one_whose_label_was_least_probable() {
        let (right, predicted) = ([0, 1, 1, 1, 1], [0, 0, 1, 0, 0]);
        let probabilities = [0.9, 0.4, 0.8, 0.01, 0.5];
        let found = worst_misread(&right, &predicted, &probabilities, 9);
        assert_eq!(found.iter().map(|misread| misread.example).collect::<Vec<_>>(), [3, 1, 4]);
        assert!((found[0].loss - 4.605).abs() < 1e-3 && found[0].predicted == 0, "{found:?}");
        assert_eq!(worst_misread(&right, &predicted, &probabilities, 1).len(), 1);
    }

    #[test]
    fn the_number_missed_by_most_comes_first() {
        let found = farthest_off(&[1.0, 2.0, 3.0], &[1.5, f64::NAN, 1.0], 2);
        assert_eq!(found.iter().map(|far| far.example).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_row_of_a_class_is_flat_in_json() {
        let rows = class_table([("B", Tally { hits: 1, predicted: 2, support: 4 })]);
        let text = serde_json::to_string(&rows[0]).unwrap();
        assert_eq!(
            text,
            r#"{"label":"B","precision":0.5,"recall":0.25,"f1":0.3333333333333333,"support":4,"predicted":2}"#
        );
    }
}
