//! Any number of labels for each example. Micro and macro F1 are averages of [`per_label`]'s tallies, all labels counting.

use super::Tally;

/// Share of examples whose labels are all right, none too many and none too few; NaN without any example.
///
/// # Panics
/// If the lengths differ.
pub fn subset_accuracy(right: &[Vec<usize>], predicted: &[Vec<usize>]) -> f64 {
    assert_eq!(right.len(), predicted.len(), "one prediction for each example");
    let same = right.iter().zip(predicted).filter(|(right, predicted)| sorted(right) == sorted(predicted)).count();
    same as f64 / right.len() as f64
}

/// What was found of each of `labels` labels, in their order.
///
/// # Panics
/// If the lengths differ, or a number is not below `labels`.
pub fn per_label(right: &[Vec<usize>], predicted: &[Vec<usize>], labels: usize) -> Vec<Tally> {
    assert_eq!(right.len(), predicted.len(), "one prediction for each example");
    let mut tallies = vec![Tally::default(); labels];
    for (right, predicted) in right.iter().zip(predicted) {
        let (right, predicted) = (sorted(right), sorted(predicted));
        right.iter().for_each(|&label| tallies[label].support += 1);
        predicted.iter().for_each(|&label| tallies[label].predicted += 1);
        right.iter().filter(|label| predicted.contains(label)).for_each(|&label| tallies[label].hits += 1);
    }
    tallies
}

fn sorted(labels: &[usize]) -> Vec<usize> {
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    labels.dedup();
    labels
}
