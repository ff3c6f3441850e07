//! Attention on graphics adapters: neither scores nor probabilities ever lie in memory.

use burn_wgpu::CubeTensor;

use super::{
    Noise, Operand, adapter, empty, is_software,
    launch::Launch,
    matrix,
    shader::{Shader, shader},
};
use crate::graph::fused;

static FORWARD: Shader = shader!("attention_fwd");
static BACKWARD_QUERY: Shader = shader!("attention_bwd_query");
static BACKWARD_KEY: Shader = shader!("attention_bwd_key");

/// Widest head that fits an invocation's registers.
pub(crate) const WIDEST_HEAD: usize = 128;

/// Rows of an invocation on a software adapter, where a value that all lanes read costs as much as several products, if
/// each reads it for itself; on a card they would not fit the registers.
const SOFTWARE_ROWS: usize = 4;
/// Vectors, or values, of a head beyond which a software adapter gets a row an invocation: its compiler takes half a minute
/// for four of 32 vectors.
const MOST_PARTS_OF_ROWS: usize = 16;

/// Sizes of an attention, and where its heads lie.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) batch: usize,
    pub(crate) seq: usize,
    pub(crate) heads: usize,
    pub(crate) head_dim: usize,
    /// Values from a row of q, k or v to the next.
    pub(crate) stride: usize,
    /// Where the first head of q, k and v begins in a row.
    pub(crate) offsets: [usize; 3],
    pub(crate) noise: Option<Noise>,
}

impl Shape {
    /// Of queries, keys and values with so many arrays: three, or one with all three side by side.
    pub(crate) fn new(
        [batch, seq]: [usize; 2],
        hidden: usize,
        heads: usize,
        arrays: usize,
        noise: Option<Noise>,
    ) -> Self {
        let offsets = if arrays == 1 { [0, hidden, 2 * hidden] } else { [0; 3] };
        Self { batch, seq, heads, head_dim: hidden / heads, stride: 3 * hidden / arrays, offsets, noise }
    }

    fn is_joined(&self) -> bool {
        self.stride > self.heads * self.head_dim
    }

    /// A launch with all that the three kernels share but their buffers: those go first. `per_value`: operations of a score
    /// for each value of its query.
    fn launch<'a>(
        &self,
        shader: &'static Shader,
        per_value: usize,
        buffers: impl IntoIterator<Item = &'a CubeTensor>,
    ) -> (Launch<'a>, u32, usize) {
        let buffers: Vec<&CubeTensor> = buffers.into_iter().collect();
        let is_vector = [self.head_dim, self.stride].into_iter().chain(self.offsets).all(|x| x.is_multiple_of(4));
        let width = if is_vector { 4 } else { 1 };
        let parts = self.head_dim / width;
        let (workgroup, rows) = match is_software(buffers[0]) {
            true if parts <= MOST_PARTS_OF_ROWS => (8, SOFTWARE_ROWS),
            true => (8, 1),
            false => (64, 1),
        };
        let blocks = self.seq.div_ceil(workgroup * rows);
        let mut launch = Launch::new(shader)
            .define("VECTOR", is_vector)
            .define("PARTS", parts as i64)
            .define("ROWS", rows as i64)
            .define("JOINED", self.is_joined())
            .define("SHARES", workgroup == 8 && adapter::of(buffers[0]).subgroup == Some(8))
            .define("DROPOUT", self.noise.is_some())
            .size(self.seq)
            .size(self.heads)
            .size(self.stride / width);
        for offset in self.offsets {
            launch = launch.size(offset / width);
        }
        launch = launch.size(blocks).float((1.0 / (self.head_dim as f64).sqrt()) as f32);
        if let Some(noise) = &self.noise {
            launch = launch.words(&noise.words).words(&noise.examples);
        }
        // Beside its products a score has an exponential and dropout's hash. Twice, since rows that are read by one
        // invocation each keep a card less busy than a product's tiles.
        let scores = (self.batch * self.heads * self.seq) as f64 * self.seq as f64;
        launch = launch.work(2.0 * scores * (per_value * self.head_dim + 32) as f64);
        let launch = buffers.into_iter().fold(launch, Launch::buffer);
        (launch, workgroup as u32, self.batch * self.heads * blocks)
    }

    fn output(&self, like: &CubeTensor) -> CubeTensor {
        empty(like, [self.batch * self.seq, self.heads * self.head_dim])
    }
}

/// `qkv`: three arrays or one ([`Shape::new`]). Output `[tokens, hidden]` and what the backward pass needs of each row beside it, `[batch, 2 * heads + 1, seq]`: the mask
/// too, so that no backward kernel has more buffers than WebGPU promises.
pub(crate) fn forward(shape: &Shape, qkv: &[CubeTensor], mask: &CubeTensor) -> (CubeTensor, CubeTensor) {
    let output = shape.output(mask);
    let rows = empty(mask, [shape.batch * (2 * shape.heads + 1) * shape.seq]);
    let (launch, workgroup, groups) = shape.launch(&FORWARD, 4, qkv.iter().chain([mask, &output, &rows]));
    launch.run(workgroup, groups);
    (output, rows)
}

/// Gradients, which lie as queries, keys and values do.
pub(crate) fn backward(
    shape: &Shape,
    qkv: &[CubeTensor],
    [output, rows]: [&CubeTensor; 2],
    gradient: &CubeTensor,
) -> Vec<CubeTensor> {
    let results: Vec<CubeTensor> = qkv.iter().map(|x| empty(x, matrix(x))).collect();
    let of_queries = qkv.iter().chain([output, gradient, rows, &results[0]]);
    let (launch, workgroup, groups) = shape.launch(&BACKWARD_QUERY, 6, of_queries);
    launch.run(workgroup, groups);
    let of_keys_and_values = if shape.is_joined() { &results } else { &results[1..] };
    let buffers = qkv.iter().chain([gradient, rows]).chain(of_keys_and_values);
    let (launch, workgroup, groups) = shape.launch(&BACKWARD_KEY, 8, buffers);
    launch.run(workgroup, groups);
    results
}

/// `operands`: queries, keys, values; `attention_mask`: `[batch, seq]`. The public function has checked the shapes.
pub(crate) fn attention(operands: [Operand; 3], mask: CubeTensor, heads: usize, noise: Option<Noise>) -> Operand {
    let body = move |qkv: [CubeTensor; 3], _| {
        let shape = Shape::new(matrix(&mask), matrix(&qkv[0])[1], heads, 3, noise);
        let (output, rows) = forward(&shape, &qkv, &mask);
        (output.clone(), (shape, qkv, [output, rows]), ())
    };
    fused(operands, body, |(shape, qkv, [output, rows]), gradient, _| {
        let mut results = backward(&shape, &qkv, [&output, &rows], &gradient).into_iter();
        std::array::from_fn(|_| results.next())
    })
    .0
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use burn::tensor::{Tensor, TensorData};

    use crate::gpu::testing::{Operands, assert_differentiates, assert_matches, operands};
    use crate::{Dropout, noise::NoiseKey};

    /// The reference body, with the mask in the operands' precision.
    fn check(
        what: &str,
        [batch, seq, heads, head_dim]: [usize; 4],
        lengths: &[usize],
        probability: f64,
        differentiate: bool,
    ) {
        let hidden = heads * head_dim;
        let mut operands: Operands = operands(&[[batch * seq, hidden]; 3]);
        // Scores of some size, or softmax hardly matters.
        operands.iter_mut().for_each(|(values, _)| values.iter_mut().for_each(|x| *x *= 2.0));
        let examples: Vec<u32> = (0..batch as u32).map(|i| i + 11).collect();
        let mask: Vec<f32> =
            (0..batch * seq).map(|i| if i % seq < lengths[i / seq % lengths.len()] { 1.0 } else { 0.0 }).collect();
        let site = Dropout { probability, key: NoiseKey::new(9).child(2), examples: &examples };
        type Attention = fn(Tensor<2>, Tensor<2>, Tensor<2>, &Tensor<2>, usize, Option<&Dropout<'_>>) -> Tensor<2>;
        let body = |attention: Attention| {
            let (mask, site) = (mask.clone(), site.clone());
            move |operands: Vec<Tensor<2>>| {
                let [q, k, v] = operands.try_into().unwrap();
                let mask =
                    Tensor::<2>::from_data(TensorData::new(mask.clone(), [batch, seq]), &q.device()).cast(q.dtype());
                attention(q, k, v, &mask, heads, Some(&site))
            }
        };
        let what = format!("{what}: {batch} x {seq} x {heads} x {head_dim}, dropout {probability}");
        let (kernel, oracle) = (body(crate::attention), body(crate::attention::reference));
        assert_matches(&what, &operands, 1e-5, &kernel, &oracle);
        if differentiate {
            assert_differentiates(&what, &operands, &oracle);
        }
    }

    #[test]
    fn awkward_lengths_match_the_reference() {
        for seq in [1, 2, 7, 8, 9, 63, 64, 65, 127, 128] {
            check("seq", [2, seq, 2, 8], &[seq, seq.div_ceil(2)], 0.0, false);
        }
        for seq in [511, 512] {
            check("seq", [1, seq, 1, 4], &[seq - 3], 0.1, false);
        }
    }

    #[test]
    fn heads_of_any_width_match_the_reference() {
        for head_dim in [1, 3, 4, 8, 16, 19, 32, 64, 128] {
            check("head_dim", [1, 10, 2, head_dim], &[10], 0.1, false);
        }
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        check("tiny", [1, 5, 2, 3], &[4], 0.0, true);
        check("tiny", [2, 3, 1, 4], &[3, 2], 0.3, true);
    }

    #[test]
    fn examples_without_any_token_give_zero() {
        check("padding", [3, 6, 2, 4], &[0, 6, 0], 0.2, false);
    }
}
