//! Linear models of sparse rows. Classes: logistic regression by stochastic gradient descent on the L2-regularised loss, with the step size
//! that Bottou (2010) gives for it; the weights' decay is one factor for all, so that a step touches a row's own features alone.
//! Numbers: ridge regression, by conjugate gradients on its normal equations.

use electra_data::random::Draws;

use super::features::Rows;

/// Sequences of draws for this purpose.
const PURPOSE: u64 = 0x0062_6173_656c; // "basel"
/// scikit-learn's `C` and its default: the loss of all examples against half the squared weights.
const INVERSE_PENALTY: f64 = 1.0;
/// The first step.
const FIRST_RATE: f64 = 1.0;
/// Products of an entry and an output that an epoch may take before epochs become fewer.
const WORK: usize = 2_000_000_000;
const MOST_EPOCHS: usize = 20;
const FEWEST_EPOCHS: usize = 5;
/// Ridge regression's penalty on squared weights.
const RIDGE_PENALTY: f64 = 1.0;
const MOST_ITERATIONS: usize = 200;

/// From scores to probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// One of the outputs.
    Softmax,
    /// Each output by itself.
    Sigmoid,
}

/// Weights, `[features, outputs]`, and what is added to each output.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Weights {
    pub(super) fn scores(&self, row: &[(u32, f32)]) -> Vec<f32> {
        let mut scores = vec![0.0; self.bias.len()];
        self.add_products(row, &mut scores);
        scores.iter_mut().zip(&self.bias).for_each(|(score, bias)| *score += bias);
        scores
    }

    pub(super) fn probabilities(&self, row: &[(u32, f32)], link: Link) -> Vec<f32> {
        let mut scores = self.scores(row);
        link.apply(&mut scores);
        scores
    }

    fn add_products(&self, row: &[(u32, f32)], scores: &mut [f32]) {
        let outputs = scores.len();
        for (feature, value) in row {
            let weights = &self.weights[*feature as usize * outputs..][..outputs];
            scores.iter_mut().zip(weights).for_each(|(score, weight)| *score += value * weight);
        }
    }
}

impl Link {
    fn apply(self, scores: &mut [f32]) {
        match self {
            Self::Softmax => {
                let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                scores.iter_mut().for_each(|score| *score = (*score - most).exp());
                let sum: f32 = scores.iter().sum();
                scores.iter_mut().for_each(|score| *score /= sum);
            }
            Self::Sigmoid => scores.iter_mut().for_each(|score| *score = 1.0 / (1.0 + (-*score).exp())),
        }
    }
}

/// Weights that tell the labels of `targets` (one of them, or any number) from the rows.
pub(super) fn fit(
    rows: &Rows,
    targets: &[Vec<usize>],
    features: usize,
    outputs: usize,
    link: Link,
    seed: u64,
) -> Weights {
    let penalty = 1.0 / (INVERSE_PENALTY * rows.len() as f64);
    let epochs = (WORK / (rows.entries() * outputs).max(1)).clamp(FEWEST_EPOCHS, MOST_EPOCHS);
    // The weights are `scale` times these.
    let mut model = Weights { weights: vec![0.0; features * outputs], bias: vec![0.0; outputs] };
    let mut scale = 1.0f64;
    let mut order: Vec<u32> = (0..rows.len() as u32).collect();
    let mut errors = vec![0.0; outputs];
    let mut step = 0u64;
    for epoch in 0..epochs {
        Draws::new(&[PURPOSE, seed, epoch as u64]).shuffle(&mut order);
        for &number in &order {
            let row = rows.row(number as usize);
            let rate = FIRST_RATE / (1.0 + FIRST_RATE * penalty * step as f64);
            step += 1;
            errors.fill(0.0);
            model.add_products(row, &mut errors);
            errors.iter_mut().zip(&model.bias).for_each(|(score, bias)| *score = *score * scale as f32 + bias);
            link.apply(&mut errors);
            targets[number as usize].iter().for_each(|label| errors[*label] -= 1.0);
            scale *= 1.0 - rate * penalty;
            for (feature, value) in row {
                let weights = &mut model.weights[*feature as usize * outputs..][..outputs];
                let by = (rate / scale) as f32 * value;
                weights.iter_mut().zip(&errors).for_each(|(weight, error)| *weight -= by * error);
            }
            model.bias.iter_mut().zip(&errors).for_each(|(bias, error)| *bias -= rate as f32 * error);
        }
        // Before the factor becomes too small for f32.
        model.weights.iter_mut().for_each(|weight| *weight *= scale as f32);
        scale = 1.0;
    }
    model
}

/// Weights of the least squared error plus [`RIDGE_PENALTY`] times the squared weights; the bias costs nothing.
pub(super) fn ridge(rows: &Rows, values: &[f64], features: usize) -> Weights {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    // The last unknown is the bias, beyond the mean.
    let product = |row: &[(u32, f32)], by: &[f64]| {
        row.iter().map(|(feature, value)| f64::from(*value) * by[*feature as usize]).sum::<f64>() + by[features]
    };
    let add = |row: &[(u32, f32)], by: f64, to: &mut [f64]| {
        row.iter().for_each(|(feature, value)| to[*feature as usize] += f64::from(*value) * by);
        to[features] += by;
    };
    let apply = |direction: &[f64]| {
        let mut result: Vec<f64> = direction.iter().map(|weight| RIDGE_PENALTY * weight).collect();
        result[features] = 0.0;
        for number in 0..rows.len() {
            add(rows.row(number), product(rows.row(number), direction), &mut result);
        }
        result
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();

    let mut weights = vec![0.0; features + 1];
    let mut residual = vec![0.0; features + 1];
    for (number, value) in values.iter().enumerate() {
        add(rows.row(number), value - mean, &mut residual);
    }
    let mut direction = residual.clone();
    let mut norm = dot(&residual, &residual);
    let enough = norm * 1e-12;
    for _ in 0..MOST_ITERATIONS {
        if norm <= enough {
            break;
        }
        let applied = apply(&direction);
        let step = norm / dot(&direction, &applied);
        weights.iter_mut().zip(&direction).for_each(|(weight, by)| *weight += step * by);
        residual.iter_mut().zip(&applied).for_each(|(residual, by)| *residual -= step * by);
        let next = dot(&residual, &residual);
        direction.iter_mut().zip(&residual).for_each(|(direction, by)| *direction = by + next / norm * *direction);
        norm = next;
    }
    let bias = vec![(weights[features] + mean) as f32];
    Weights { weights: weights[..features].iter().map(|weight| *weight as f32).collect(), bias }
}
