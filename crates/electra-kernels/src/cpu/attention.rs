//! Attention on the CPU: one task per example and head, its products taken straight from the head's columns.
//!
//! The forward pass keeps the probabilities P `[batch, heads, seq, seq]`, with a minus sign where dropout dropped one:
//! P is never negative, so its sign is free, and the backward pass needs no hash. With M the mask's factors:
//!   dV = (P M)^T dO;  dP = (dO V^T) M;  dS = P (dP - rowsum(P dP));  dQ = scale dS K;  dK = scale dS^T Q

use burn_flex::FlexTensor;

use super::{
    Operand,
    buffer::Buffer,
    dropout::{Mask, Rule},
    fused,
    math::{exp, highest, sum, vectorised},
    product::{Matrix, Threads, product_here, product_into},
    row_blocks, values,
};
use crate::noise::NoiseKey;

/// Added to the score of a masked key: its exponential is exactly 0.
const MASKED: f32 = -1e30;

#[derive(Debug, Clone, Copy)]
struct Sizes {
    batch: usize,
    seq: usize,
    heads: usize,
    head_dim: usize,
}

impl Sizes {
    fn hidden(self) -> usize {
        self.heads * self.head_dim
    }

    /// Where the head's columns begin in the example's first row.
    fn start(self, example: usize, head: usize) -> usize {
        example * self.seq * self.hidden() + head * self.head_dim
    }

    /// A head's `[seq, head_dim]` of a `[batch * seq, hidden]` matrix.
    fn of(self, tensor: &FlexTensor, task: usize) -> Matrix<'_> {
        let start = self.start(task / self.heads, task % self.heads);
        Matrix::strided(&values(tensor)[start..], self.seq, self.head_dim, self.hidden())
    }

    fn scale(self) -> f32 {
        (1.0 / (self.head_dim as f64).sqrt()) as f32
    }
}

/// A result that the tasks write side by side: each only the columns of its head in the rows of its example.
struct Shared(*mut f32);

// SAFETY: the tasks write disjoint values; `write` says which.
unsafe impl Sync for Shared {}

impl Shared {
    /// `scale a b` into a head's columns.
    ///
    /// # Safety
    /// The matrix is `[batch * seq, hidden]`; a task's columns are written by that task alone.
    unsafe fn write(&self, sizes: Sizes, task: usize, scale: f32, a: Matrix<'_>, b: Matrix<'_>) {
        let start = sizes.start(task / sizes.heads, task % sizes.heads);
        // SAFETY: rows `hidden` apart from `start` stay within the example's rows.
        unsafe { product_into(self.0.add(start), sizes.hidden(), scale, a, b, Threads::This) }
    }
}

/// `operands`: queries, keys, values; `attention_mask`: `[batch, seq]`. The public function has checked the shapes.
pub(crate) fn attention(
    operands: [Operand; 3],
    attention_mask: &FlexTensor,
    heads: usize,
    mask: Option<Mask>,
) -> Operand {
    let [batch, seq] = [attention_mask.layout().shape()[0], attention_mask.layout().shape()[1]];
    let forward = |[q, k, v]: [FlexTensor; 3], tracked: bool| {
        let sizes = Sizes { batch, seq, heads, head_dim: q.layout().shape()[1] / heads };
        let (output, probabilities) = forward(sizes, &q, &k, &v, values(attention_mask), mask.as_ref(), tracked);
        let rule = mask.as_ref().map(|mask| mask.rule);
        (output, (sizes, rule, q, k, v, probabilities), ())
    };
    fused(operands, forward, |(sizes, rule, q, k, v, probabilities), gradient, _| {
        backward(sizes, rule, [&q, &k, &v], &probabilities, &gradient).map(Some)
    })
    .0
}

fn forward(
    sizes: Sizes,
    q: &FlexTensor,
    k: &FlexTensor,
    v: &FlexTensor,
    attention_mask: &[f32],
    mask: Option<&Mask>,
    tracked: bool,
) -> (FlexTensor, FlexTensor) {
    let Sizes { batch, seq, heads, .. } = sizes;
    let (tasks, square) = (batch * heads, seq * seq);
    let bias: Vec<f32> = attention_mask.iter().map(|&mask| if mask > 0.0 { 0.0 } else { MASKED }).collect();
    let mut output = Buffer::new(batch * seq * sizes.hidden());
    let mut kept = Buffer::new(if tracked { tasks * square } else { 0 });
    let shared = Shared(output.as_mut_ptr());
    let mut parts: Vec<&mut [f32]> = kept.chunks_mut(square.max(1)).collect();
    parts.resize_with(tasks, Default::default);
    row_blocks(parts, |task, kept| {
        let (example, head) = (task / heads, task % heads);
        let mut own = Buffer::new(if tracked { 0 } else { square });
        let scores = if tracked { kept } else { &mut *own };
        product_here(scores, sizes.scale(), sizes.of(q, task), sizes.of(k, task).transposed());
        let bias = &bias[example * seq..(example + 1) * seq];
        let any_key = bias.contains(&0.0);
        for row in scores.chunks_exact_mut(seq) {
            if any_key { softmax(row, bias) } else { row.fill(0.0) }
        }
        let mut dropped = Buffer::new(if mask.is_some() { square } else { 0 });
        if let Some(mask) = mask {
            // The reference body counts an example's elements as [heads, seq, seq].
            drop_some(scores, &mut dropped, mask.rule, mask.key(example), (head * square) as u32);
        }
        let weights = if mask.is_some() { &*dropped } else { &*scores };
        // SAFETY: `output` is [batch * seq, hidden], and this is the only task of this example and head.
        unsafe { shared.write(sizes, task, 1.0, Matrix::new(weights, seq, seq), sizes.of(v, task)) };
    });
    let kept = if tracked { kept.into_tensor([batch, heads, seq, seq]) } else { kept.into_tensor([0]) };
    (output.into_tensor([batch * seq, sizes.hidden()]), kept)
}

fn backward(
    sizes: Sizes,
    rule: Option<Rule>,
    [q, k, v]: [&FlexTensor; 3],
    probabilities: &FlexTensor,
    gradient: &FlexTensor,
) -> [FlexTensor; 3] {
    let Sizes { batch, seq, heads, .. } = sizes;
    let square = seq * seq;
    let mut results: [Buffer; 3] = std::array::from_fn(|_| Buffer::new(batch * seq * sizes.hidden()));
    let [of_q, of_k, of_v] = results.each_mut().map(|result| Shared(result.as_mut_ptr()));
    let probabilities = values(probabilities);
    row_blocks((0..batch * heads).collect(), |_, task: usize| {
        let probabilities = &probabilities[task * square..(task + 1) * square];
        let gradient = sizes.of(gradient, task);
        let mut scores = Buffer::new(square);
        let mut dropped = Buffer::new(if rule.is_some() { square } else { 0 });
        if let Some(rule) = rule {
            keep_rest(probabilities, &mut dropped, rule.scale);
        }
        let weights = Matrix::new(if rule.is_some() { &dropped } else { probabilities }, seq, seq);
        // SAFETY: the results are [batch * seq, hidden], and this is the only task of this example and head.
        unsafe { of_v.write(sizes, task, 1.0, weights.transposed(), gradient) };
        product_here(&mut scores, 1.0, gradient, sizes.of(v, task).transposed());
        for (scores, probabilities) in scores.chunks_exact_mut(seq).zip(probabilities.chunks_exact(seq)) {
            softmax_gradient(scores, probabilities, rule.map_or(1.0, |rule| rule.scale));
        }
        let scores = Matrix::new(&scores, seq, seq);
        // SAFETY: as above.
        unsafe { of_q.write(sizes, task, sizes.scale(), scores, sizes.of(k, task)) };
        // SAFETY: as above.
        unsafe { of_k.write(sizes, task, sizes.scale(), scores.transposed(), sizes.of(q, task)) };
    });
    results.map(|result| result.into_tensor([batch * seq, sizes.hidden()]))
}

vectorised! {
    fn softmax(row: &mut [f32], bias: &[f32]) {
        for (score, bias) in row.iter_mut().zip(bias) {
            *score += *bias;
        }
        let highest = highest(row);
        for score in row.iter_mut() {
            *score = exp(*score - highest);
        }
        let reciprocal = 1.0 / sum(row.len(), |index| row[index]);
        for value in row {
            *value *= reciprocal;
        }
    }
}

vectorised! {
    /// `dropped` = probabilities times their factors; those with factor 0 get a minus sign.
    fn drop_some(probabilities: &mut [f32], dropped: &mut [f32], rule: Rule, key: NoiseKey, first: u32) {
        for (offset, (probability, dropped)) in probabilities.iter_mut().zip(dropped).enumerate() {
            let factor = rule.factor(key, first.wrapping_add(offset as u32));
            *dropped = *probability * factor;
            *probability = if factor == 0.0 { -*probability } else { *probability };
        }
    }
}

vectorised! {
    fn keep_rest(probabilities: &[f32], dropped: &mut [f32], scale: f32) {
        for (probability, dropped) in probabilities.iter().zip(dropped) {
            *dropped = if probability.is_sign_negative() { 0.0 } else { *probability * scale };
        }
    }
}

vectorised! {
    /// From the gradient of a row of dropped probabilities to that of its scores.
    fn softmax_gradient(row: &mut [f32], probabilities: &[f32], scale: f32) {
        let probabilities = &probabilities[..row.len()];
        for (value, probability) in row.iter_mut().zip(probabilities) {
            *value = if probability.is_sign_negative() { 0.0 } else { *value * scale };
        }
        let delta = sum(row.len(), |index| probabilities[index].abs() * row[index]);
        for (value, probability) in row.iter_mut().zip(probabilities) {
            *value = probability.abs() * (*value - delta);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;
    use crate::{
        Dropout,
        cpu::testing::{assert_same_bits, error, host, leaf, plain, random, wide},
    };

    /// `[batch, seq, heads, head_dim]`
    const SIZES: [[usize; 4]; 7] =
        [[1, 1, 1, 8], [2, 7, 3, 8], [1, 16, 2, 4], [3, 65, 2, 8], [2, 64, 1, 37], [2, 33, 4, 64], [1, 130, 2, 16]];

    /// The last example all padding, the others with padding at the end; `[batch, seq]`.
    fn padded(batch: usize, seq: usize) -> Vec<f32> {
        let keeps = |example: usize, place: usize| example + 1 < batch && place < (seq - example * seq / 4).max(1);
        (0..batch * seq).map(|index| f32::from(u8::from(keeps(index / seq, index % seq)))).collect()
    }

    fn site(probability: f64, examples: &[u32]) -> Dropout<'_> {
        Dropout { probability, key: NoiseKey::new(5), examples }
    }

    /// Output and the gradients of queries, keys and values.
    fn run(sizes: [usize; 4], mask: &[f32], probability: f64, spread: f32, fused: bool) -> Vec<Vec<f32>> {
        let [batch, seq, heads, head_dim] = sizes;
        let shape = [batch * seq, heads * head_dim];
        let examples: Vec<u32> = (0..batch as u32).map(|example| 7 * example).collect();
        let dropout = site(probability, &examples);
        let input = |seed, factor: f32| {
            leaf::<2>(&random(seed, shape[0] * shape[1]).iter().map(|x| x * factor).collect::<Vec<_>>(), shape)
        };
        let [q, k, v] = [input(1, spread), input(2, spread), input(3, 1.0)];
        let body = if fused { crate::attention } else { crate::attention::reference };
        let mask: Tensor<2> = plain(mask, [batch, seq]);
        let y = body(q.clone(), k.clone(), v.clone(), &mask, heads, Some(&dropout));
        let upstream = plain(&random(4, shape[0] * shape[1]), shape);
        let gradients = (y.clone() * upstream).sum().backward();
        let [q, k, v] = [q, k, v].map(|x| host(x.grad(&gradients).unwrap()));
        vec![host(y), q, k, v]
    }

    /// The same in f64.
    fn exact([batch, seq, heads, head_dim]: [usize; 4], mask: &[f32], probability: f64, spread: f32) -> Vec<Vec<f64>> {
        let hidden = heads * head_dim;
        let length = batch * seq * hidden;
        let examples: Vec<u32> = (0..batch as u32).map(|example| 7 * example).collect();
        let factors = wide(&site(probability, &examples).factors(heads * seq * seq));
        let spread = |values: Vec<f32>| -> Vec<f64> { values.iter().map(|x| f64::from(x * spread)).collect() };
        let (q, k) = (spread(random(1, length)), spread(random(2, length)));
        let (v, upstream) = (wide(&random(3, length)), wide(&random(4, length)));
        let mut results = vec![vec![0.0; length]; 4];
        let scale = 1.0 / (head_dim as f64).sqrt();
        for example in 0..batch {
            for head in 0..heads {
                let at = |token: usize, d: usize| (example * seq + token) * hidden + head * head_dim + d;
                for query in 0..seq {
                    let keys: Vec<usize> = (0..seq).filter(|key| mask[example * seq + key] > 0.0).collect();
                    if keys.is_empty() {
                        continue;
                    }
                    let dot = |key| (0..head_dim).map(|d| q[at(query, d)] * k[at(key, d)]).sum::<f64>() * scale;
                    let scores: Vec<f64> = keys.iter().map(|&key| dot(key)).collect();
                    let highest = scores.iter().fold(f64::MIN, |a, &b| a.max(b));
                    let sum: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
                    let p: Vec<f64> = scores.iter().map(|score| (score - highest).exp() / sum).collect();
                    let factor = |key| factors[((example * heads + head) * seq + query) * seq + key];
                    let dp: Vec<f64> = keys
                        .iter()
                        .map(|&key| {
                            factor(key) * (0..head_dim).map(|d| upstream[at(query, d)] * v[at(key, d)]).sum::<f64>()
                        })
                        .collect();
                    let delta: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
                    for ((&key, &p), &dp) in keys.iter().zip(&p).zip(&dp) {
                        for d in 0..head_dim {
                            results[0][at(query, d)] += p * factor(key) * v[at(key, d)];
                            results[1][at(query, d)] += scale * p * (dp - delta) * k[at(key, d)];
                            results[2][at(key, d)] += scale * p * (dp - delta) * q[at(query, d)];
                            results[3][at(key, d)] += p * factor(key) * upstream[at(query, d)];
                        }
                    }
                }
            }
        }
        results
    }

    #[test]
    fn agrees_with_f64_and_with_the_reference() {
        for sizes in SIZES {
            for probability in [0.0, 0.1, 0.5] {
                for mask in [vec![1.0; sizes[0] * sizes[1]], padded(sizes[0], sizes[1])] {
                    let found = run(sizes, &mask, probability, 1.0, true);
                    let reference: Vec<_> =
                        run(sizes, &mask, probability, 1.0, false).iter().map(|x| wide(x)).collect();
                    for expected in [exact(sizes, &mask, probability, 1.0), reference] {
                        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                            let tolerance = if index == 0 { 2e-6 } else { 1e-5 };
                            let error = error(found, expected, 1e-2);
                            assert!(error < tolerance, "{sizes:?} {probability}, result {index}: {error}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn rows_without_a_key_give_nothing_and_take_nothing() {
        let sizes = [2, 9, 2, 8];
        let mask = [vec![1.0; 9], vec![0.0; 9]].concat();
        for result in run(sizes, &mask, 0.1, 1.0, true) {
            assert!(result[9 * 16..].iter().all(|&x| x == 0.0));
            assert!(result[..9 * 16].iter().any(|&x| x != 0.0));
        }
    }

    #[test]
    fn extreme_scores_stay_numbers() {
        let sizes = [2, 17, 2, 8];
        let found = run(sizes, &padded(2, 17), 0.1, 1e4, true);
        assert!(found.iter().flatten().all(|x| x.is_finite()));
        // Scores of 1e8 in f32 leave their order alone: values only.
        assert!(error(&found[0], &exact(sizes, &padded(2, 17), 0.1, 1e4)[0], 1e-2) < 1e-3);
    }

    #[test]
    fn without_a_graph_the_values_are_the_same() {
        let [batch, seq, heads, head_dim] = [3, 20, 2, 8];
        let shape = [batch * seq, heads * head_dim];
        let [q, k, v] = [1, 2, 3].map(|seed| plain::<2>(&random(seed, shape[0] * shape[1]), shape).inner());
        let mask = padded(batch, seq);
        let y = crate::attention(q, k, v, &plain(&mask, [batch, seq]).inner(), heads, None);
        assert_eq!(host(y), run([batch, seq, heads, head_dim], &mask, 0.0, 1.0, true)[0]);
    }

    #[test]
    fn threads_change_no_bit() {
        assert_same_bits(|| run([4, 100, 4, 32], &padded(4, 100), 0.1, 1.0, true));
    }
}
