//! One label out of several: accuracy, the table of who was taken for whom, rates of each class, Matthews' correlation.

use super::{Tally, micro_average};

/// Share of predictions that are right; NaN without any.
///
/// # Panics
/// If the lengths differ.
pub fn accuracy(right: &[usize], predicted: &[usize]) -> f64 {
    assert_eq!(right.len(), predicted.len(), "one prediction for each example");
    let hits = right.iter().zip(predicted).filter(|(right, predicted)| right == predicted).count();
    hits as f64 / right.len() as f64
}

/// Counts of examples: `[right][predicted]`, both below `labels`.
///
/// # Panics
/// If the lengths differ, or a number is not below `labels`.
pub fn confusion_matrix(right: &[usize], predicted: &[usize], labels: usize) -> Vec<Vec<u64>> {
    assert_eq!(right.len(), predicted.len(), "one prediction for each example");
    let mut counts = vec![vec![0; labels]; labels];
    right.iter().zip(predicted).for_each(|(&right, &predicted)| counts[right][predicted] += 1);
    counts
}

/// What was found of each of `labels` classes, in their order.
///
/// # Panics
/// If the lengths differ, or a number is not below `labels`.
pub fn per_class(right: &[usize], predicted: &[usize], labels: usize) -> Vec<Tally> {
    assert_eq!(right.len(), predicted.len(), "one prediction for each example");
    let mut tallies = vec![Tally::default(); labels];
    for (&right, &predicted) in right.iter().zip(predicted) {
        tallies[right].support += 1;
        tallies[predicted].predicted += 1;
        tallies[right].hits += u64::from(right == predicted);
    }
    tallies
}

/// F1 of the class `positive`, as GLUE has it for MRPC and QQP (1, the paraphrases).
///
/// # Panics
/// If the lengths differ.
pub fn f1_binary(right: &[usize], predicted: &[usize], positive: usize) -> f64 {
    let is_positive =
        |labels: &[usize]| -> Vec<usize> { labels.iter().map(|&label| usize::from(label == positive)).collect() };
    micro_average(&per_class(&is_positive(right), &is_positive(predicted), 2)[1..]).f1
}

/// Matthews' correlation, of any number of classes (Gorodkin 2004): 1 where all is right, 0 for predictions that tell nothing. 0 as well
/// where what is right, or what is predicted, is one class throughout, as scikit-learn has it.
///
/// # Panics
/// If the lengths differ.
pub fn matthews(right: &[usize], predicted: &[usize]) -> f64 {
    let labels = right.iter().chain(predicted).max().map_or(0, |&largest| largest + 1);
    let tallies = per_class(right, predicted, labels);
    // Whole numbers up to the root: nothing cancels.
    let sum = |of: fn(&Tally) -> u64| -> i128 { tallies.iter().map(|tally| i128::from(of(tally))).sum() };
    let products = |of: fn(&Tally) -> i128| -> i128 { tallies.iter().map(of).sum() };
    let (examples, hits) = (sum(|t| t.support), sum(|t| t.hits));
    let between = hits * examples - products(|t| i128::from(t.support) * i128::from(t.predicted));
    let of_right = examples * examples - products(|t| i128::from(t.support).pow(2));
    let of_predicted = examples * examples - products(|t| i128::from(t.predicted).pow(2));
    if of_right == 0 || of_predicted == 0 {
        return 0.0;
    }
    between as f64 / ((of_right as f64).sqrt() * (of_predicted as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_the_confusion_matrix_is_what_a_class_was_taken_for() {
        let found = confusion_matrix(&[0, 0, 1, 2], &[0, 1, 1, 0], 3);
        assert_eq!(found, [[1, 1, 0], [0, 1, 0], [1, 0, 0]]);
    }

    #[test]
    fn nothing_to_judge_has_no_accuracy() {
        assert!(accuracy(&[], &[]).is_nan());
        assert_eq!(matthews(&[], &[]), 0.0);
    }
}
