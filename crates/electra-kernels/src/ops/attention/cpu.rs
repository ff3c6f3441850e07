//! Attention on the CPU: one task per example and head, its products taken straight from the head's columns.
//!
//! The forward pass keeps the probabilities P `[batch, heads, queries, keys]`, with a minus sign where dropout dropped one:
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
use crate::types::visibility::{UNSEEN, Visibility};

/// The score of a key that is not seen: its exponential is exactly 0.
const MASKED: f32 = -1e30;

#[derive(Debug, Clone, Copy)]
struct Sizes {
    batch: usize,
    queries: usize,
    keys: usize,
    heads: usize,
    head_dim: usize,
}

impl Sizes {
    fn hidden(self) -> usize {
        self.heads * self.head_dim
    }

    /// Where a task's columns begin, which are its head's, in a matrix of so many rows for each example.
    fn start(self, rows: usize, task: usize) -> usize {
        task / self.heads * rows * self.hidden() + task % self.heads * self.head_dim
    }

    /// A head's `[rows, head_dim]` of a `[batch * rows, hidden]` matrix.
    fn of(self, rows: usize, tensor: &FlexTensor, task: usize) -> Matrix<'_> {
        Matrix::strided(&values(tensor)[self.start(rows, task)..], rows, self.head_dim, self.hidden())
    }

    fn of_queries(self, tensor: &FlexTensor, task: usize) -> Matrix<'_> {
        self.of(self.queries, tensor, task)
    }

    fn of_keys(self, tensor: &FlexTensor, task: usize) -> Matrix<'_> {
        self.of(self.keys, tensor, task)
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
    /// The matrix is `[batch * rows, hidden]`, with as many rows as `a`; a task's columns are written by that task alone.
    unsafe fn write(&self, sizes: Sizes, task: usize, scale: f32, a: Matrix<'_>, b: Matrix<'_>) {
        let start = sizes.start(a.rows(), task);
        // SAFETY: rows `hidden` apart from `start` stay within the example's rows.
        unsafe { product_into(self.0.add(start), sizes.hidden(), scale, a, b, Threads::This) }
    }
}

/// Ranks of all keys, `[batch, keys]`, and limits of all queries, `[batch, queries]`. Where every token is seen, tokens have the
/// rank 0, and so has every limit.
struct Pattern {
    ranks: Vec<f32>,
    limits: Vec<f32>,
}

impl Pattern {
    fn new(visibility: &Visibility) -> Self {
        let (queries, keys) = (visibility.queries(), visibility.keys());
        let pattern = crate::cpu::constant(&visibility.pattern);
        let pattern = values(&pattern);
        if visibility.is_ranked() {
            let examples = || pattern.chunks_exact(keys + queries);
            let ranks = examples().flat_map(|example| &example[..keys]).copied().collect();
            let limits = examples().flat_map(|example| &example[keys..]).copied().collect();
            return Self { ranks, limits };
        }
        let ranks = pattern.iter().map(|&mask| if mask > 0.0 { 0.0 } else { UNSEEN }).collect();
        Self { ranks, limits: vec![0.0; visibility.batch() * queries] }
    }
}

/// `operands`: queries, keys, values. The public function has checked the shapes.
pub(crate) fn attention(operands: [Operand; 3], visibility: &Visibility, heads: usize, mask: Option<Mask>) -> Operand {
    let pattern = Pattern::new(visibility);
    let (batch, queries, keys) = (visibility.batch(), visibility.queries(), visibility.keys());
    let forward = |[q, k, v]: [FlexTensor; 3], tracked: bool| {
        let sizes = Sizes { batch, queries, keys, heads, head_dim: q.layout().shape()[1] / heads };
        let (output, probabilities) = forward(sizes, [&q, &k, &v], &pattern, mask.as_ref(), tracked);
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
    [q, k, v]: [&FlexTensor; 3],
    pattern: &Pattern,
    mask: Option<&Mask>,
    tracked: bool,
) -> (FlexTensor, FlexTensor) {
    let Sizes { batch, queries, keys, heads, .. } = sizes;
    let (tasks, scores_each) = (batch * heads, queries * keys);
    let mut output = Buffer::new(batch * queries * sizes.hidden());
    let mut kept = Buffer::new(if tracked { tasks * scores_each } else { 0 });
    let shared = Shared(output.as_mut_ptr());
    let mut parts: Vec<&mut [f32]> = kept.chunks_mut(scores_each).collect();
    parts.resize_with(tasks, Default::default);
    row_blocks(parts, |task, kept| {
        let (example, head) = (task / heads, task % heads);
        let mut own = Buffer::new(if tracked { 0 } else { scores_each });
        let scores = if tracked { kept } else { &mut *own };
        product_here(scores, sizes.scale(), sizes.of_queries(q, task), sizes.of_keys(k, task).transposed());
        let ranks = &pattern.ranks[example * keys..(example + 1) * keys];
        let limits = &pattern.limits[example * queries..(example + 1) * queries];
        for (row, &limit) in scores.chunks_exact_mut(keys).zip(limits) {
            if ranks.iter().any(|&rank| rank <= limit) { softmax(row, ranks, limit) } else { row.fill(0.0) }
        }
        let mut dropped = Buffer::new(if mask.is_some() { scores_each } else { 0 });
        if let Some(mask) = mask {
            // The reference body counts an example's elements as [heads, queries, keys].
            drop_some(scores, &mut dropped, mask.rule, mask.key(example), (head * scores_each) as u32);
        }
        let weights = if mask.is_some() { &*dropped } else { &*scores };
        // SAFETY: `output` is [batch * queries, hidden], and this is the only task of this example and head.
        unsafe { shared.write(sizes, task, 1.0, Matrix::new(weights, queries, keys), sizes.of_keys(v, task)) };
    });
    let kept = if tracked { kept.into_tensor([batch, heads, queries, keys]) } else { kept.into_tensor([0]) };
    (output.into_tensor([batch * queries, sizes.hidden()]), kept)
}

fn backward(
    sizes: Sizes,
    rule: Option<Rule>,
    [q, k, v]: [&FlexTensor; 3],
    probabilities: &FlexTensor,
    gradient: &FlexTensor,
) -> [FlexTensor; 3] {
    let Sizes { batch, queries, keys, heads, .. } = sizes;
    let scores_each = queries * keys;
    let rows = [queries, keys, keys].map(|each| batch * each);
    let mut results = rows.map(|rows| Buffer::new(rows * sizes.hidden()));
    let [of_q, of_k, of_v] = results.each_mut().map(|result| Shared(result.as_mut_ptr()));
    let probabilities = values(probabilities);
    row_blocks((0..batch * heads).collect(), |_, task: usize| {
        let probabilities = &probabilities[task * scores_each..(task + 1) * scores_each];
        let gradient = sizes.of_queries(gradient, task);
        let mut scores = Buffer::new(scores_each);
        let mut dropped = Buffer::new(if rule.is_some() { scores_each } else { 0 });
        if let Some(rule) = rule {
            keep_rest(probabilities, &mut dropped, rule.scale);
        }
        let weights = Matrix::new(if rule.is_some() { &dropped } else { probabilities }, queries, keys);
        // SAFETY: `of_v` is [batch * keys, hidden], and this is the only task of this example and head.
        unsafe { of_v.write(sizes, task, 1.0, weights.transposed(), gradient) };
        product_here(&mut scores, 1.0, gradient, sizes.of_keys(v, task).transposed());
        for (scores, probabilities) in scores.chunks_exact_mut(keys).zip(probabilities.chunks_exact(keys)) {
            softmax_gradient(scores, probabilities, rule.map_or(1.0, |rule| rule.scale));
        }
        let scores = Matrix::new(&scores, queries, keys);
        // SAFETY: as above, `of_q` with the rows of queries.
        unsafe { of_q.write(sizes, task, sizes.scale(), scores, sizes.of_keys(k, task)) };
        // SAFETY: as above.
        unsafe { of_k.write(sizes, task, sizes.scale(), scores.transposed(), sizes.of_queries(q, task)) };
    });
    let [of_q, of_k, of_v] = results;
    let shaped = |result: Buffer, rows: usize| result.into_tensor([rows, sizes.hidden()]);
    [shaped(of_q, rows[0]), shaped(of_k, rows[1]), shaped(of_v, rows[2])]
}

vectorised! {
    /// Over the keys whose rank is not above `limit`.
    fn softmax(row: &mut [f32], ranks: &[f32], limit: f32) {
        for (score, rank) in row.iter_mut().zip(ranks) {
            *score = if *rank <= limit { *score } else { MASKED };
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
