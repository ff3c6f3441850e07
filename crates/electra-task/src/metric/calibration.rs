//! Whether a network is right as often as it is sure: predictions in bins of their probability, and the gap between the two.

use serde::{Deserialize, Serialize};

/// Bins that are usual: those of Guo et al. 2017.
pub const BINS: usize = 15;

/// Predictions in bins of equal width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error: the mean gap between a bin's accuracy and its confidence, each bin counting by its predictions. NaN
    /// without any.
    pub expected_error: f64,
    /// The bins from 0 to 1, empty ones too.
    pub bins: Vec<CalibrationBin>,
}

/// Predictions whose probability is above `from` and at most `to`; the first bin also has those of probability 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// Predictions in it.
    pub count: u64,
    /// Mean of their probabilities; 0 without any.
    pub confidence: f64,
    /// Share of them that is right; 0 without any.
    pub accuracy: f64,
}

/// The table of predictions by `confidences`, each the probability that the network gave what it predicted, in `bins` bins of equal width
/// ([`BINS`] are usual). Guo et al. 2017, "On Calibration of Modern Neural Networks".
///
/// # Panics
/// If the lengths differ, a probability is not from 0 to 1, or `bins` is 0.
pub fn calibration(confidences: &[f64], is_right: &[bool], bins: usize) -> Calibration {
    assert_eq!(confidences.len(), is_right.len(), "each prediction is right or wrong");
    assert!(bins > 0, "at least one bin");
    let edge = |number: usize| number as f64 / bins as f64;
    let mut sums = vec![(0u64, 0.0, 0u64); bins];
    for (&confidence, &right) in confidences.iter().zip(is_right) {
        assert!((0.0..=1.0).contains(&confidence), "a probability of {confidence}");
        // The guess may be one off where rounding meets an edge.
        let guess = ((confidence * bins as f64) as usize).saturating_sub(1);
        let bin = (guess..bins - 1).find(|&bin| confidence <= edge(bin + 1)).unwrap_or(bins - 1);
        let (count, sum, hits) = &mut sums[bin];
        *count += 1;
        *sum += confidence;
        *hits += u64::from(right);
    }
    let of = |sum: f64, count: u64| if count > 0 { sum / count as f64 } else { 0.0 };
    let table: Vec<CalibrationBin> = sums
        .iter()
        .enumerate()
        .map(|(bin, &(count, sum, hits))| CalibrationBin {
            from: edge(bin),
            to: edge(bin + 1),
            count,
            confidence: of(sum, count),
            accuracy: of(hits as f64, count),
        })
        .collect();
    let gaps: f64 = table.iter().map(|bin| bin.count as f64 * (bin.accuracy - bin.confidence).abs()).sum();
    Calibration { expected_error: gaps / confidences.len() as f64, bins: table }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_belongs_to_the_bin_below_it() {
        let edges: Vec<f64> = (0..=BINS).map(|number| number as f64 / BINS as f64).collect();
        let found = calibration(&edges, &vec![true; edges.len()], BINS);
        let counts: Vec<u64> = found.bins.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [&[2][..], &[1; BINS - 1]].concat());
    }

    #[test]
    fn one_that_is_right_as_often_as_it_is_sure_has_no_error() {
        let found = calibration(&[0.75; 4], &[true, true, true, false], BINS);
        assert_eq!(found.expected_error, 0.0);
        assert_eq!(calibration(&[1.0, 1.0], &[false, false], BINS).expected_error, 1.0);
        assert!(calibration(&[], &[], BINS).expected_error.is_nan());
    }
}
