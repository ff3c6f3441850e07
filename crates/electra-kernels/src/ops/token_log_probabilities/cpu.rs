//! Negative log-likelihoods of given tokens on the CPU, a chunk of rows at a time.
//!
//! Of the forward pass two numbers a row remain, by which the backward pass makes a softmax of logits that it computes again.

use std::ops::Range;

use burn_flex::FlexTensor;

use crate::autodiff::fused;
use crate::cpu::{
    Operand, add_rows,
    buffer::Buffer,
    product::{Matrix, product, product_onto},
    row_blocks, values,
};
use crate::ops::mlm_loss::cpu::{gradient_of_logits, look_at};

/// Logits that lie in memory at once, in bytes.
const CHUNK_BYTES: usize = 64 << 20;
/// Rows of a chunk at least: a product of fewer does not pay for reading the table.
const FEWEST_ROWS: usize = 64;

#[derive(Debug, Clone)]
struct Kept {
    hidden: FlexTensor,
    table: FlexTensor,
    bias: FlexTensor,
    targets: Vec<u32>,
    /// Of each row the highest logit, and the sum of the exponentials of all less it.
    softmax: Vec<[f32; 2]>,
}

impl Kept {
    /// Rows, embedding, vocabulary.
    fn sizes(&self) -> [usize; 3] {
        let (hidden, table) = (self.hidden.layout().shape(), self.table.layout().shape());
        [hidden[0], hidden[1], table[0]]
    }

    /// The rows in chunks.
    fn chunks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let [rows, _, vocab] = self.sizes();
        let chunk = (CHUNK_BYTES / (4 * vocab)).max(FEWEST_ROWS);
        (0..rows).step_by(chunk).map(move |first| first..(first + chunk).min(rows))
    }

    fn inputs(&self, chunk: &Range<usize>) -> Matrix<'_> {
        let [_, width, _] = self.sizes();
        Matrix::new(&values(&self.hidden)[chunk.start * width..chunk.end * width], chunk.len(), width)
    }

    fn words(&self) -> Matrix<'_> {
        let [_, width, vocab] = self.sizes();
        Matrix::new(values(&self.table), vocab, width)
    }

    /// Logits of a chunk, without bias.
    fn logits(&self, chunk: &Range<usize>) -> Buffer {
        let [_, _, vocab] = self.sizes();
        let mut logits = Buffer::new(chunk.len() * vocab);
        product(&mut logits, self.inputs(chunk), self.words().transposed());
        logits
    }
}

/// Negative log-likelihoods of `targets`, `[rows]`. `operands`: hidden, table, bias. The public function has checked the shapes.
pub(crate) fn losses(operands: [Operand; 3], targets: Vec<u32>) -> Operand {
    let forward = |[hidden, table, bias]: [FlexTensor; 3], _| {
        let mut kept = Kept { softmax: vec![[0.0; 2]; targets.len()], hidden, table, bias, targets };
        let [rows, _, vocab] = kept.sizes();
        let mut losses = Buffer::new(rows);
        for chunk in kept.chunks() {
            let mut logits = kept.logits(&chunk);
            let results = losses[chunk.clone()].iter_mut().zip(&mut kept.softmax[chunk.clone()]);
            let parts = logits.chunks_exact_mut(vocab).zip(results).collect();
            let (bias, targets) = (values(&kept.bias), &kept.targets[chunk]);
            row_blocks(parts, |row, (logits, (loss, softmax)): (&mut [f32], (&mut f32, &mut [f32; 2]))| {
                let found = look_at(logits, bias, targets[row], None);
                (*loss, *softmax) = (found.loss, [found.top, found.sum]);
            });
        }
        (losses.into_tensor([rows]), kept, ())
    };
    fused(operands, forward, |kept, upstream, wanted| backward(&kept, values(&upstream), wanted)).0
}

fn backward(kept: &Kept, upstream: &[f32], wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
    let [rows, width, vocab] = kept.sizes();
    let [mut of_hidden, mut of_table, mut of_bias] = [rows * width, vocab * width, vocab].map(Buffer::new);
    of_bias.fill(0.0);
    for chunk in kept.chunks() {
        let mut logits = kept.logits(&chunk);
        row_blocks(logits.chunks_exact_mut(vocab).collect(), |_, row| add_rows(row, values(&kept.bias)));
        let (softmax, targets) = (&kept.softmax[chunk.clone()], &kept.targets[chunk.clone()]);
        let sums = gradient_of_logits(&mut logits, softmax, targets, |row| upstream[chunk.start + row]);
        add_rows(&mut of_bias, &sums);
        let gradient = Matrix::new(&logits, chunk.len(), vocab);
        if wanted[0] {
            product(&mut of_hidden[chunk.start * width..chunk.end * width], gradient, kept.words());
        }
        if wanted[1] {
            let onto: fn(&mut [f32], Matrix<'_>, Matrix<'_>) = if chunk.start == 0 { product } else { product_onto };
            onto(&mut of_table, gradient.transposed(), kept.inputs(&chunk));
        }
    }
    [
        wanted[0].then(|| of_hidden.into_tensor([rows, width])),
        wanted[1].then(|| of_table.into_tensor([vocab, width])),
        wanted[2].then(|| of_bias.into_tensor([vocab])),
    ]
}
