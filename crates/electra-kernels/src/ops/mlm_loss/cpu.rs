//! The masked-language-model loss on the CPU: the logits by one product, then one pass over each row that finds the
//! log-sum-exp, the most probable id and the drawn one. Noise is made where it is used, never stored. Backward turns
//! the logits into their gradient in place.

use burn_flex::FlexTensor;

use crate::autodiff::fused;
use crate::cpu::{
    Operand,
    buffer::Buffer,
    math::{exp, gumbel, highest, sum, vectorised},
    product::{Matrix, product},
    row_blocks, total, values,
};
use crate::noise::NoiseKey;

/// Rows whose bias gradients are summed together. Fewer than elsewhere: a row is a whole vocabulary.
const ROWS: usize = 16;

/// Per row, `[rows]` each: negative log-likelihoods, most probable ids, drawn ids.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) losses: Vec<f32>,
    pub(crate) predicted: Vec<i32>,
    pub(crate) sampled: Vec<i32>,
}

/// How rows are sampled.
pub(crate) struct Draw {
    pub(crate) temperature: f64,
    pub(crate) disallow_correct: bool,
    /// One per row.
    pub(crate) keys: Vec<NoiseKey>,
}

/// What one row gives.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RowResult {
    /// Highest logit, and the sum of the exponentials of all logits less it.
    pub(crate) top: f32,
    pub(crate) sum: f32,
    pub(crate) loss: f32,
    predicted: u32,
    sampled: u32,
}

/// Loss `[1]` with its gradients, and the rows' results. Rows of weight 0 are not looked at: their results are 0.
pub(crate) fn loss(
    operands: [Operand; 3],
    targets: Vec<u32>,
    weights: Vec<f32>,
    denominator: f64,
    draw: Option<&Draw>,
) -> (Operand, Rows) {
    let forward = |[hidden, table, bias]: [FlexTensor; 3], _| {
        let [rows, inputs] = [hidden.layout().shape()[0], hidden.layout().shape()[1]];
        let vocab = table.layout().shape()[0];
        let mut logits = Buffer::new(rows * vocab);
        let hidden_rows = Matrix::new(values(&hidden), rows, inputs);
        product(&mut logits, hidden_rows, Matrix::new(values(&table), vocab, inputs).transposed());

        let mut results = vec![RowResult::default(); rows];
        let parts = logits.chunks_mut(vocab).zip(&mut results).collect();
        row_blocks(parts, |row, (logits, result): (&mut [f32], &mut RowResult)| {
            if weights[row] != 0.0 {
                let target = targets[row];
                let noise = draw.map(|draw| {
                    let penalty = if draw.disallow_correct { -1000.0 } else { 0.0 };
                    (draw.keys[row], (1.0 / draw.temperature) as f32, penalty)
                });
                *result = look_at(logits, values(&bias), target, noise);
            }
        });
        let loss: f64 = results.iter().zip(&weights).map(|(row, &w)| f64::from(row.loss) * f64::from(w)).sum();
        let mut output = Buffer::new(1);
        output[0] = (loss / denominator) as f32;
        let extra = Rows {
            losses: results.iter().map(|row| row.loss).collect(),
            predicted: results.iter().map(|row| row.predicted as i32).collect(),
            sampled: results.iter().map(|row| row.sampled as i32).collect(),
        };
        let softmax: Vec<[f32; 2]> = results.iter().map(|row| [row.top, row.sum]).collect();
        let kept =
            Kept { hidden, table, logits: logits.into_tensor([rows, vocab]), softmax, targets, weights, denominator };
        (output.into_tensor([1]), kept, extra)
    };
    fused(operands, forward, |kept, upstream, wanted| backward(kept, values(&upstream)[0], wanted))
}

#[derive(Debug, Clone)]
struct Kept {
    hidden: FlexTensor,
    table: FlexTensor,
    logits: FlexTensor,
    /// `top` and `sum` of each row.
    softmax: Vec<[f32; 2]>,
    targets: Vec<u32>,
    weights: Vec<f32>,
    denominator: f64,
}

fn backward(kept: Kept, upstream: f32, wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
    let Kept { hidden, table, mut logits, softmax, targets, weights, denominator } = kept;
    let [rows, inputs] = [hidden.layout().shape()[0], hidden.layout().shape()[1]];
    let vocab = table.layout().shape()[0];
    let weight = |row: usize| (f64::from(weights[row]) / denominator) as f32 * upstream;
    let sums = gradient_of_logits(logits.storage_mut::<f32>(), &softmax, &targets, weight);
    let gradient = Matrix::new(values(&logits), rows, vocab);
    let of_hidden = wanted[0].then(|| {
        let mut result = Buffer::new(rows * inputs);
        product(&mut result, gradient, Matrix::new(values(&table), vocab, inputs));
        result.into_tensor([rows, inputs])
    });
    let of_table = wanted[1].then(|| {
        let mut result = Buffer::new(vocab * inputs);
        product(&mut result, gradient.transposed(), Matrix::new(values(&hidden), rows, inputs));
        result.into_tensor([vocab, inputs])
    });
    [of_hidden, of_table, wanted[2].then(|| total(&sums, vocab))]
}

/// Logits `[rows, vocab]` become the gradients of their rows' losses times `weight(row)`, of either sign; rows of weight 0 are not
/// looked at. Returns the sums of blocks of rows. `softmax`: `top` and `sum` of each row.
pub(crate) fn gradient_of_logits(
    logits: &mut [f32],
    softmax: &[[f32; 2]],
    targets: &[u32],
    weight: impl Fn(usize) -> f32 + Sync,
) -> Buffer {
    let rows = targets.len();
    let vocab = logits.len() / rows;
    let mut sums = Buffer::new(rows.div_ceil(ROWS) * vocab);
    let blocks = logits.chunks_mut(ROWS * vocab).zip(sums.chunks_mut(vocab)).collect();
    row_blocks(blocks, |block, (logits, sums): (&mut [f32], &mut [f32])| {
        sums.fill(0.0);
        for (index, logits) in logits.chunks_exact_mut(vocab).enumerate() {
            let row = block * ROWS + index;
            let weight = weight(row);
            if weight == 0.0 {
                logits.fill(0.0);
            } else {
                row_gradient(logits, softmax[row], weight, targets[row], sums);
            }
        }
    });
    sums
}

/// Values that are worked on at a time: they stay in the nearest cache from step to step.
const CHUNK: usize = 256;

/// The highest value so far and its id; at equal values the lowest id, since chunks are offered in their order.
#[derive(Clone, Copy)]
struct Highest {
    value: f32,
    id: u32,
}

impl Highest {
    const NONE: Self = Self { value: f32::NEG_INFINITY, id: 0 };

    /// Values of consecutive ids. Few chunks hold a new highest value, so that only few are searched for its place.
    #[inline(always)]
    fn offer(&mut self, values: &[f32], first: usize) {
        let value = highest(values);
        if value > self.value {
            let place = values.iter().position(|&other| other == value).unwrap_or(0);
            *self = Self { value, id: (first + place) as u32 };
        }
    }
}

vectorised! {
    /// Adds the bias to a row of logits and finds what is asked of it. `noise`: key, 1 / temperature, and what is
    /// added to the target's logit before a draw.
    pub(crate) fn look_at(
        logits: &mut [f32],
        bias: &[f32],
        target: u32,
        noise: Option<(NoiseKey, f32, f32)>,
    ) -> RowResult {
        let mut predicted = Highest::NONE;
        for (chunk, (logits, bias)) in logits.chunks_mut(CHUNK).zip(bias.chunks(CHUNK)).enumerate() {
            for (logit, bias) in logits.iter_mut().zip(bias) {
                *logit += *bias;
            }
            predicted.offer(logits, chunk * CHUNK);
        }
        let top = predicted.value;

        let mut scratch = [0.0; CHUNK];
        let mut total = 0.0;
        let mut drawn = Highest::NONE;
        for (chunk, logits) in logits.chunks(CHUNK).enumerate() {
            let scratch = &mut scratch[..logits.len()];
            for (value, logit) in scratch.iter_mut().zip(logits) {
                *value = exp(*logit - top);
            }
            total += sum(scratch.len(), |index| scratch[index]);
            if let Some((key, inverse_temperature, penalty)) = noise {
                let first = (chunk * CHUNK) as u32;
                for (offset, (value, logit)) in scratch.iter_mut().zip(logits).enumerate() {
                    *value = *logit * inverse_temperature + gumbel(key.bits(first.wrapping_add(offset as u32)));
                }
                if let Some(value) = scratch.get_mut(target.wrapping_sub(first) as usize) {
                    *value += penalty * inverse_temperature;
                }
                drawn.offer(scratch, chunk * CHUNK);
            }
        }
        let loss = total.ln() - (logits[target as usize] - top);
        RowResult { top, sum: total, loss, predicted: predicted.id, sampled: drawn.id }
    }
}

vectorised! {
    /// A row of logits becomes its gradient, and is added to `sums`.
    fn row_gradient(logits: &mut [f32], softmax: [f32; 2], weight: f32, target: u32, sums: &mut [f32]) {
        let sums = &mut sums[..logits.len()];
        let target = target as usize;
        let [top, sum] = softmax;
        let factor = weight / sum;
        for (logit, sum) in logits.iter_mut().zip(sums.iter_mut()) {
            *logit = exp(*logit - top) * factor;
            *sum += *logit;
        }
        logits[target] -= weight;
        sums[target] -= weight;
    }
}
