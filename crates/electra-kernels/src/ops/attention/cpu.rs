//! Attention on the CPU: one task per example and head, its products taken straight from the head's columns.
//!
//! The forward pass keeps the probabilities P `[batch, heads, seq, seq]`, with a minus sign where dropout dropped one:
//! P is never negative, so its sign is free, and the backward pass needs no hash. With M the mask's factors:
//!   dV = (P M)^T dO;  dP = (dO V^T) M;  dS = P (dP - rowsum(P dP));  dQ = scale dS K;  dK = scale dS^T Q

use burn_flex::FlexTensor;

use crate::autodiff::fused;
use crate::cpu::{
    Operand,
    buffer::Buffer,
    mask::{Mask, Rule},
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
