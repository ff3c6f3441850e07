//! The masked-language-model loss on graphics adapters, with the generator's sample.
//!
//! Logits exist for a chunk of rows at a time: their gradient is known as soon as they are, but for the factor that
//! comes back through the graph, so the products with it are made at once and the chunk's memory is used again. No more
//! products than keeping all logits would need, and memory does not grow with the batch.
//!
//! Of a table in pieces, each gives its columns of the logits and gets its gradient from them.

use burn::tensor::Tensor;
use burn_wgpu::CubeTensor;

use crate::autodiff::fused;
use crate::gpu::{
    Operand, SOFTWARE_TURNS, columns, constant, empty, empty_ids, empty_like, is_software,
    launch::Launch,
    matrix, operand,
    product::{Epilogue, Mode, product},
    rows,
    shader::{Shader, shader},
    view,
};

static ROWS: Shader = shader!("mlm_loss", "mlm_rows");
static WEIGHTED_SUM: Shader = shader!("mlm_loss", "weighted_sum");
static SCALE: Shader = shader!("mlm_loss", "scale");

/// Logits that lie in memory at once, in bytes; less than any adapter can bind.
const CHUNK_BYTES: usize = 64 << 20;
/// Rows of a chunk are a multiple of it, so that every chunk of the operands begins where a binding may.
const ROW_BLOCK: usize = 64;

/// How samples are drawn, as the shader sees it.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    pub(crate) key: [u32; 2],
    pub(crate) inverse_temperature: f32,
    /// What is added to the target's logit before the draw.
    pub(crate) penalty: f32,
    pub(crate) examples: Vec<u32>,
}

/// What rows give beside the loss: negative log-likelihoods `[rows]` and ids `[2, rows]`, predicted and sampled.
pub(crate) struct Rows {
    pub(crate) losses: CubeTensor,
    pub(crate) ids: CubeTensor,
}

/// A piece of the table: the id of its first row, and its rows.
pub(crate) struct Piece {
    first: usize,
    rows: CubeTensor,
}

impl Piece {
    /// The pieces of a table: its first, and those that follow.
    pub(crate) fn all(first: CubeTensor, rest: &[Tensor<2>]) -> Vec<Self> {
        let mut pieces = vec![Self { first: 0, rows: first }];
        for piece in rest {
            let last = &pieces[pieces.len() - 1];
            pieces.push(Self { first: last.first + matrix(&last.rows)[0], rows: constant(piece) });
        }
        pieces
    }

    /// The part of a matrix whose columns are the vocabulary.
    fn columns(&self, of: &CubeTensor) -> CubeTensor {
        columns(of, self.first, matrix(&self.rows)[0])
    }

    /// The part of a vector over the vocabulary.
    fn values(&self, of: &CubeTensor) -> CubeTensor {
        let (all, count) = (of.meta.shape().num_elements(), matrix(&self.rows)[0]);
        view(of, self.first, all - self.first - count, [count])
    }
}

/// Of so many rows, those whose logits lie in memory at once.
pub(crate) fn rows_at_once(all: usize, vocab: usize) -> usize {
    let fitting = CHUNK_BYTES / (4 * vocab) / ROW_BLOCK * ROW_BLOCK;
    fitting.max(ROW_BLOCK).min(all)
}

/// Logits `[rows, vocab]` of `inputs`, piece by piece of the table.
pub(crate) fn score(inputs: &CubeTensor, pieces: &[Piece], bias: &CubeTensor, logits: &CubeTensor) {
    for piece in pieces {
        let (bias, into) = (piece.values(bias), Some(piece.columns(logits)));
        let epilogue = Epilogue { bias: Some(&bias), into, ..Epilogue::default() };
        product(Mode::TransposedB, inputs, &piece.rows, epilogue);
    }
}

/// What is to be found of rows of logits, and where it goes.
pub(crate) struct Search<'a> {
    /// `[all rows]` each.
    pub(crate) targets: &'a CubeTensor,
    pub(crate) weights: &'a CubeTensor,
    /// Results: negative log-likelihoods `[all rows]`, ids `[2, all rows]`, highest logit and sum of exponentials `[all rows, 2]`.
    pub(crate) losses: &'a CubeTensor,
    pub(crate) ids: &'a CubeTensor,
    pub(crate) softmax: Option<&'a CubeTensor>,
    pub(crate) draw: Option<&'a Draw>,
    /// Whether the logits become their gradients.
    pub(crate) gradient: bool,
}

impl Search<'_> {
    /// Looks at the logits `[rows, vocab]` of the rows from `first` on.
    pub(crate) fn run(&self, logits: &CubeTensor, first: usize) {
        let [count, vocab] = matrix(logits);
        let all = self.losses.meta.shape()[0];
        let launch = Launch::new(&ROWS)
            .buffer(logits)
            .buffer(self.targets)
            .buffer(self.weights)
            .buffer(self.losses)
            .buffer(self.ids)
            .optional("SOFTMAX", self.softmax)
            .define("SAMPLE", self.draw.is_some())
            .define("GRADIENT", self.gradient)
            .size(vocab)
            .size(first)
            .size(all);
        let launch = match self.draw {
            Some(draw) => launch
                .words(&draw.key)
                .float(draw.inverse_temperature)
                .float(draw.penalty)
                .size(all / draw.examples.len())
                .words(&draw.examples),
            None => launch,
        };
        // Three loops over the vocabulary.
        let few = is_software(logits) && 3 * vocab.div_ceil(8) < SOFTWARE_TURNS;
        launch.run(if few { 8 } else { 64 }, count);
    }
}

/// `operands`: hidden `[rows, embedding]`, table `[vocab, embedding]` or its first piece, bias `[vocab]`; `rest`: the
/// table's other pieces; `targets`, `weights`: `[rows]`.
pub(crate) fn loss(
    operands: [Operand; 3],
    rest: &[Tensor<2>],
    targets: &CubeTensor,
    weights: &CubeTensor,
    denominator: f64,
    draw: Option<&Draw>,
) -> (Operand, Rows) {
    let share = (1.0 / denominator) as f32;
    let body = |[hidden, table, bias]: [CubeTensor; 3], tracked: bool| {
        let (all, vocab) = (matrix(&hidden)[0], bias.meta.shape()[0]);
        let pieces = Piece::all(table, rest);
        let losses = empty(&hidden, [all]);
        let ids = empty_ids(&hidden, [2, all]);
        let of_pieces = || pieces.iter().map(|piece| empty_like(&piece.rows)).collect::<Vec<_>>();
        let gradients = tracked.then(|| (empty_like(&hidden), of_pieces(), empty(&bias, [vocab])));
        let chunk = rows_at_once(all, vocab);
        let search = Search { targets, weights, losses: &losses, ids: &ids, softmax: None, draw, gradient: tracked };
        let logits = empty(&hidden, [chunk, vocab]);
        for first in (0..all).step_by(chunk) {
            let count = chunk.min(all - first);
            let (inputs, logits) = (rows(&hidden, first, count), rows(&logits, 0, count));
            score(&inputs, &pieces, &bias, &logits);
            search.run(&logits, first);
            let Some((of_hidden, of_pieces, of_bias)) = &gradients else { continue };
            for (piece, of_piece) in pieces.iter().zip(of_pieces) {
                let (logits, sums) = (piece.columns(&logits), piece.values(of_bias));
                let into = Some(rows(of_hidden, first, count));
                let epilogue = Epilogue { into, accumulate: piece.first > 0, ..Epilogue::default() };
                product(Mode::Plain, &logits, &piece.rows, epilogue);
                let into = Some(of_piece.clone());
                let epilogue = Epilogue { sums: Some(&sums), into, accumulate: first > 0, ..Epilogue::default() };
                product(Mode::TransposedA, &logits, &inputs, epilogue);
            }
        }
        let loss = empty(&hidden, [1]);
        Launch::new(&WEIGHTED_SUM)
            .buffer(&losses)
            .buffer(weights)
            .buffer(&loss)
            .size(all)
            .float(share)
            .run(if is_software(&hidden) { 8 } else { 256 }, 1);
        let (of_first, of_rest) = match gradients {
            None => (None, Vec::new()),
            Some((of_hidden, mut of_pieces, of_bias)) => {
                let of_rest = of_pieces.split_off(1);
                (of_pieces.pop().map(|of_table| [of_hidden, of_table, of_bias]), of_rest)
            }
        };
        (loss, (of_first, share), (Rows { losses, ids }, of_rest))
    };
    let (mut loss, (rows, of_rest)) = fused(operands, body, |(gradients, share), upstream, wanted| {
        let gradients = gradients.expect("made, since a gradient is wanted");
        let mut wanted = wanted.into_iter();
        gradients.map(|gradient| wanted.next().unwrap_or(false).then(|| scaled(&gradient, &upstream, share)))
    });
    // A node has a fixed number of operands, so each further piece is a node of its own, through which the loss passes.
    for (piece, gradient) in rest.iter().zip(of_rest) {
        let pass = |[loss, _]: [CubeTensor; 2], _| (loss, (gradient, share), ());
        (loss, ()) = fused([loss, operand(piece.clone())], pass, |(gradient, share), upstream, wanted| {
            let of_piece = wanted[1].then(|| scaled(&gradient, &upstream, share));
            [wanted[0].then_some(upstream), of_piece]
        });
    }
    (loss, rows)
}

/// `values` times the one value of `factor`, and `share`.
fn scaled(values: &CubeTensor, factor: &CubeTensor, share: f32) -> CubeTensor {
    let result = empty_like(values);
    let length = values.meta.shape().num_elements();
    Launch::new(&SCALE)
        .buffer(values)
        .buffer(factor)
        .buffer(&result)
        .size(length)
        .float(share)
        .run(64, length.div_ceil(64));
    result
}
