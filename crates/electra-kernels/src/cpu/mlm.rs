//! The masked-language-model loss on the CPU: the logits by one product, then one pass over each row that finds the
//! log-sum-exp, the most probable id and the drawn one. Noise is made where it is used, never stored. Backward turns
//! the logits into their gradient in place.

use burn_flex::FlexTensor;

use super::{
    Operand,
    buffer::Buffer,
    fused,
    linear::total,
    math::{LANES, exp, gumbel, lanes_sum, ln, vectorised},
    product::{Matrix, product},
    row_blocks, values,
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
struct RowResult {
    /// Highest logit, and the sum of the exponentials of all logits less it.
    top: f32,
    sum: f32,
    loss: f32,
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
        let kept = Kept { hidden, table, logits: logits.into_tensor([rows, vocab]), softmax, targets, weights, denominator };
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
    let mut sums = Buffer::new(rows.div_ceil(ROWS) * vocab);
    let blocks = logits.storage_mut::<f32>().chunks_mut(ROWS * vocab).zip(sums.chunks_mut(vocab)).collect();
    row_blocks(blocks, |block, (logits, sums): (&mut [f32], &mut [f32])| {
        sums.fill(0.0);
        for (index, logits) in logits.chunks_exact_mut(vocab).enumerate() {
            let row = block * ROWS + index;
            let weight = (f64::from(weights[row]) / denominator) as f32 * upstream;
            if weights[row] == 0.0 {
                logits.fill(0.0);
            } else {
                row_gradient(logits, softmax[row], weight, targets[row], sums);
            }
        }
    });
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

/// The highest of the values offered, by lane; at equal values the lowest id.
#[derive(Clone, Copy)]
struct Highest {
    values: [f32; LANES],
    ids: [u32; LANES],
}

impl Highest {
    #[inline(always)]
    fn new() -> Self {
        Self { values: [f32::NEG_INFINITY; LANES], ids: [0; LANES] }
    }

    #[inline(always)]
    fn offer(&mut self, lane: usize, value: f32, id: u32) {
        // Ids rise within a lane: the first of equals stays.
        let higher = value > self.values[lane];
        self.values[lane] = if higher { value } else { self.values[lane] };
        self.ids[lane] = if higher { id } else { self.ids[lane] };
    }

    #[inline(always)]
    fn get(&self) -> (f32, u32) {
        let mut best = (self.values[0], self.ids[0]);
        for (&value, &id) in self.values.iter().zip(&self.ids).skip(1) {
            if value > best.0 || (value == best.0 && id < best.1) {
                best = (value, id);
            }
        }
        best
    }
}

vectorised! {
    /// Adds the bias to a row of logits and finds what is asked of it. `noise`: key, 1 / temperature, and what is
    /// added to the target's logit before a draw.
    fn look_at(logits: &mut [f32], bias: &[f32], target: u32, noise: Option<(NoiseKey, f32, f32)>) -> RowResult {
        let vocab = logits.len();
        let bias = &bias[..vocab];
        let whole = vocab / LANES * LANES;
        let mut highest = Highest::new();
        for first in (0..whole).step_by(LANES) {
            for lane in 0..LANES {
                let logit = logits[first + lane] + bias[first + lane];
                logits[first + lane] = logit;
                highest.offer(lane, logit, (first + lane) as u32);
            }
        }
        for index in whole..vocab {
            logits[index] += bias[index];
            highest.offer(index - whole, logits[index], index as u32);
        }
        let (top, predicted) = highest.get();

        let mut sums = [0.0; LANES];
        for first in (0..whole).step_by(LANES) {
            for lane in 0..LANES {
                sums[lane] += exp(logits[first + lane] - top);
            }
        }
        for index in whole..vocab {
            sums[index - whole] += exp(logits[index] - top);
        }
        let sum = lanes_sum(&sums);

        let mut sampled = 0;
        if let Some((key, cold, penalty)) = noise {
            let mut highest = Highest::new();
            for first in (0..whole).step_by(LANES) {
                for lane in 0..LANES {
                    let id = (first + lane) as u32;
                    let logit = logits[first + lane] + if id == target { penalty } else { 0.0 };
                    highest.offer(lane, logit * cold + gumbel(key.bits(id)), id);
                }
            }
            for index in whole..vocab {
                let id = index as u32;
                let logit = logits[index] + if id == target { penalty } else { 0.0 };
                highest.offer(index - whole, logit * cold + gumbel(key.bits(id)), id);
            }
            sampled = highest.get().1;
        }
        RowResult { top, sum, loss: ln(sum) - (logits[target as usize] - top), predicted, sampled }
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
