//! Area under the ROC curve.

/// Area under the ROC curve, [`electra_task::metric::roc_auc`]. `None` where one of the classes is empty or a score is not a number.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn roc_auc(scores: &[f32], labels: &[bool]) -> Option<f64> {
    let area = electra_task::metric::roc_auc(scores, labels);
    (!area.is_nan()).then_some(area)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auc_by_pairs(scores: &[f32], labels: &[bool]) -> f64 {
        let (mut won, mut pairs) = (0.0, 0.0);
        for (a, _) in scores.iter().zip(labels).filter(|(_, label)| **label) {
            for (b, _) in scores.iter().zip(labels).filter(|(_, label)| !**label) {
                pairs += 1.0;
                won += if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                };
            }
        }
        won / pairs
    }

    #[test]
    fn auc_counts_pairs_with_ties_as_halves() {
        assert_eq!(roc_auc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]), Some(0.75));
        assert_eq!(roc_auc(&[1.0, 1.0], &[true, false]), Some(0.5));
        assert_eq!(roc_auc(&[0.0, -0.0], &[true, false]), Some(0.5));
        assert_eq!(roc_auc(&[1.0, 2.0], &[true, true]), None);
        assert_eq!(roc_auc(&[f32::NAN, 2.0], &[true, false]), None);
        assert_eq!(roc_auc(&[f32::INFINITY, f32::NEG_INFINITY], &[true, false]), Some(1.0));
        let mut state = 1u32;
        for size in 2..60 {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state >> 24
            };
            let scores: Vec<f32> = (0..size).map(|_| (next() % 12) as f32).collect();
            let mut labels: Vec<bool> = (0..size).map(|_| next() % 3 == 0).collect();
            (labels[0], labels[1]) = (true, false);
            let (found, expected) = (roc_auc(&scores, &labels).unwrap(), auc_by_pairs(&scores, &labels));
            assert!((found - expected).abs() < 1e-12, "{found} != {expected}");
        }
    }
}
