//! How well scores order two classes.

/// Area under the ROC curve: the probability that a positive scores above a negative, ties counting half.
///
/// Exact, by ranks (Mann and Whitney). NaN where one of the classes is empty or a score is no number.
///
/// # Panics
/// If the lengths differ.
pub fn roc_auc<Score: Copy + PartialOrd>(scores: &[Score], is_positive: &[bool]) -> f64 {
    assert_eq!(scores.len(), is_positive.len(), "one label for each score");
    if scores.iter().any(|score| score.partial_cmp(score).is_none()) {
        return f64::NAN;
    }
    let mut ranked: Vec<(Score, bool)> = scores.iter().copied().zip(is_positive.iter().copied()).collect();
    ranked.sort_unstable_by(|a, b| a.0.partial_cmp(&b.0).expect("every score is a number"));
    // Twice the pairs won by positives, whole numbers throughout: the result does not depend on any order.
    let (mut won_twice, mut positives, mut negatives) = (0u128, 0u128, 0u128);
    for tied in ranked.chunk_by(|a, b| a.0 == b.0) {
        let tied_positives = tied.iter().filter(|entry| entry.1).count() as u128;
        let tied_negatives = tied.len() as u128 - tied_positives;
        won_twice += tied_positives * (2 * negatives + tied_negatives);
        positives += tied_positives;
        negatives += tied_negatives;
    }
    won_twice as f64 / (2 * positives * negatives) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half_and_one_class_has_no_area() {
        assert_eq!(roc_auc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]), 0.75);
        assert_eq!(roc_auc(&[0.0, -0.0], &[true, false]), 0.5);
        assert_eq!(roc_auc(&[f64::INFINITY, f64::NEG_INFINITY], &[true, false]), 1.0);
        assert!(roc_auc(&[1.0, 2.0], &[true, true]).is_nan());
        assert!(roc_auc(&[f64::NAN, 2.0], &[true, false]).is_nan());
        assert!(roc_auc::<f64>(&[], &[]).is_nan());
    }
}
