//! Numbers against numbers: Pearson's and Spearman's correlations, mean squared error.

/// Mean of squared differences; NaN without any.
///
/// # Panics
/// If the lengths differ.
pub fn mean_squared_error(right: &[f64], predicted: &[f64]) -> f64 {
    assert_eq!(right.len(), predicted.len(), "one prediction for each example");
    right.iter().zip(predicted).map(|(right, predicted)| (right - predicted).powi(2)).sum::<f64>() / right.len() as f64
}

/// Pearson's correlation. NaN where one side is constant or no number, and for fewer than two examples.
///
/// # Panics
/// If the lengths differ.
pub fn pearson(right: &[f64], predicted: &[f64]) -> f64 {
    assert_eq!(right.len(), predicted.len(), "one prediction for each example");
    let (Some(right), Some(predicted)) = (direction(right), direction(predicted)) else { return f64::NAN };
    let correlation: f64 = right.iter().zip(&predicted).map(|(a, b)| a * b).sum();
    correlation.clamp(-1.0, 1.0)
}

/// Spearman's correlation: Pearson's of the ranks, equal values sharing the mean of theirs. NaN as in [`pearson`].
///
/// # Panics
/// If the lengths differ.
pub fn spearman(right: &[f64], predicted: &[f64]) -> f64 {
    if right.iter().chain(predicted).any(|value| value.is_nan()) {
        return f64::NAN;
    }
    pearson(&ranks(right), &ranks(predicted))
}

/// Differences from the mean, scaled to length 1.
fn direction(values: &[f64]) -> Option<Vec<f64>> {
    let first = values.first()?;
    if values.iter().all(|value| value == first) {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let differences: Vec<f64> = values.iter().map(|value| value - mean).collect();
    // By the largest first: squares of very large or very small numbers leave the range of f64.
    let largest = differences.iter().fold(0.0f64, |largest, difference| largest.max(difference.abs()));
    let length = largest * differences.iter().map(|difference| (difference / largest).powi(2)).sum::<f64>().sqrt();
    Some(differences.iter().map(|difference| difference / length).collect())
}

/// Ranks from 1.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    // By equality, not by the order of bits: 0 and -0 are the same.
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = start as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|&place| ranks[place] = rank);
        start += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_the_mean_of_their_ranks() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, -0.0, 0.0, 3.0]), [5.0, 3.0, 5.0, 1.5, 1.5, 5.0]);
    }

    #[test]
    fn what_is_no_number_has_no_correlation() {
        for correlation in [pearson, spearman] {
            assert!(correlation(&[1.0, f64::NAN, 3.0], &[1.0, 2.0, 3.0]).is_nan());
            assert!(correlation(&[1.0], &[2.0]).is_nan());
            assert!(correlation(&[], &[]).is_nan());
        }
    }

    #[test]
    fn very_large_and_very_small_numbers_correlate_too() {
        let found = pearson(&[1e300, 2e300, 3e300], &[1e-300, 2e-300, 3e-300]);
        assert!((found - 1.0).abs() < 1e-15, "{found}");
    }
}
