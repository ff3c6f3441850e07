//! Attention on graphics adapters: neither scores nor probabilities ever lie in memory.

use burn_wgpu::CubeTensor;

use crate::autodiff::fused;
use crate::gpu::{
    Noise, Operand, adapter, constant, empty, is_software,
    launch::Launch,
    matrix,
    shader::{Shader, shader},
};
use crate::types::visibility::{Order, Visibility};

static FORWARD: Shader = shader!("attention", "attention_fwd");
static BACKWARD_QUERY: Shader = shader!("attention", "attention_bwd_query");
static BACKWARD_KEY: Shader = shader!("attention", "attention_bwd_key");

/// Widest head that fits an invocation's registers.
pub(crate) const WIDEST_HEAD: usize = 128;

/// Rows of an invocation on a software adapter, where a value that all lanes read costs as much as several products, if
/// each reads it for itself; on a card they would not fit the registers.
const SOFTWARE_ROWS: usize = 4;
/// Vectors, or values, of a head beyond which a software adapter gets a row an invocation: its compiler takes half a minute
/// for four of 32 vectors.
const MOST_PARTS_OF_ROWS: usize = 16;

/// How a kernel goes about its rows on a card whose subgroups hand values on.
pub(super) struct OnCard {
    /// Rows of an invocation, or of those that have them together.
    rows: usize,
    /// Values of a row that each of these holds of every array at most.
    own: usize,
}

/// What was fastest on an H100 at heads of 64 (docs/PERFORMANCE.md): a kernel that holds more arrays of a row holds fewer values.
pub(super) const FORWARD_ON_CARD: OnCard = OnCard { rows: 2, own: 32 };
pub(super) const BACKWARD_QUERY_ON_CARD: OnCard = OnCard { rows: 2, own: 16 };
pub(super) const BACKWARD_KEY_ON_CARD: OnCard = OnCard { rows: 1, own: 16 };

impl OnCard {
    /// Rows and lanes, for rows of so many parts of `width` values; one of each without subgroups.
    pub(super) fn rows_and_lanes(&self, parts: usize, width: usize, subgroup: Option<usize>) -> (usize, usize) {
        let Some(subgroup) = subgroup else { return (1, 1) };
        let fits = |&lanes: &usize| parts.is_multiple_of(lanes) && subgroup.is_multiple_of(lanes);
        let mut all = [1, 2, 4, 8].into_iter().filter(fits);
        let fewest = all.clone().find(|lanes| parts / lanes * width <= self.own);
        // Where no number of lanes is enough, as many as can be, and a row at a time.
        fewest.map_or_else(|| (1, all.next_back().unwrap_or(1)), |lanes| (self.rows, lanes))
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
thread_local! {
    /// Workgroup, rows and lanes of a test's choice.
    pub(super) static FORCED: std::cell::Cell<Option<(usize, usize, usize)>> = const { std::cell::Cell::new(None) };
}

/// Which keys queries see, as shaders take it ([`Visibility`]).
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    values: CubeTensor,
    batch: usize,
    queries: usize,
    keys: usize,
    order: Order,
}

impl Pattern {
    pub(crate) fn new(visibility: &Visibility) -> Self {
        let (batch, queries, keys) = (visibility.batch(), visibility.queries(), visibility.keys());
        Self { values: constant(&visibility.pattern), batch, queries, keys, order: visibility.order }
    }
}

/// Sizes of an attention, and where its heads lie.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) pattern: Pattern,
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
    pub(crate) fn new(pattern: &Pattern, hidden: usize, heads: usize, arrays: usize, noise: Option<Noise>) -> Self {
        let offsets = if arrays == 1 { [0, hidden, 2 * hidden] } else { [0; 3] };
        let (pattern, head_dim) = (pattern.clone(), hidden / heads);
        Self { pattern, heads, head_dim, stride: 3 * hidden / arrays, offsets, noise }
    }

    fn is_joined(&self) -> bool {
        self.stride > self.heads * self.head_dim
    }

    /// A launch with all that the three kernels share but their buffers: those go first. `owns_keys`: the rows of its
    /// invocations are keys, and else queries; `per_value`: operations of a score for each value of its query.
    fn launch<'a>(
        &self,
        shader: &'static Shader,
        on_card: &OnCard,
        owns_keys: bool,
        per_value: usize,
        buffers: impl IntoIterator<Item = &'a CubeTensor>,
    ) -> (Launch<'a>, u32, usize) {
        let buffers: Vec<&CubeTensor> = buffers.into_iter().collect();
        let is_vector = [self.head_dim, self.stride].into_iter().chain(self.offsets).all(|x| x.is_multiple_of(4));
        let width = if is_vector { 4 } else { 1 };
        let parts = self.head_dim / width;
        let (workgroup, rows, lanes) = match is_software(buffers[0]) {
            true if parts <= MOST_PARTS_OF_ROWS => (8, SOFTWARE_ROWS, 1),
            true => (8, 1, 1),
            false => {
                let (rows, lanes) = on_card.rows_and_lanes(parts, width, adapter::of(buffers[0]).subgroup);
                (64, rows, lanes)
            }
        };
        #[cfg(all(test, not(target_family = "wasm")))]
        let (workgroup, rows, lanes) = FORCED.get().unwrap_or((workgroup, rows, lanes));
        let Pattern { batch, queries, keys, order, .. } = self.pattern;
        let blocks = if owns_keys { keys } else { queries }.div_ceil(workgroup / lanes * rows);
        let [sees_before, sees_after] = [order == Order::Backwards, order == Order::Forwards];
        let mut launch = Launch::new(shader)
            .define("VECTOR", is_vector)
            .define("PARTS", (parts / lanes) as i64)
            .define("LANES", lanes as i64)
            .define("ROWS", rows as i64)
            .define("JOINED", self.is_joined())
            .define("SHARES", workgroup == 8 && lanes == 1 && adapter::of(buffers[0]).subgroup == Some(8))
            .define("DROPOUT", self.noise.is_some())
            .define("RANKED", order != Order::All)
            .define("SKIPS_BEFORE", if owns_keys { sees_before } else { sees_after })
            .define("SKIPS_AFTER", if owns_keys { sees_after } else { sees_before })
            .size(queries)
            .size(keys)
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
        let scores = (batch * self.heads * queries) as f64 * keys as f64;
        launch = launch.work(2.0 * scores * (per_value * self.head_dim + 32) as f64);
        let launch = buffers.into_iter().fold(launch, Launch::buffer);
        (launch, workgroup as u32, batch * self.heads * blocks)
    }
}

/// `qkv`: three arrays or one ([`Shape::new`]). Output `[batch * queries, hidden]`, and what the backward pass needs of each row
/// beside it: the pattern too, so that no backward kernel has more buffers than WebGPU promises.
pub(crate) fn forward(shape: &Shape, qkv: &[CubeTensor]) -> (CubeTensor, CubeTensor) {
    let Pattern { values: pattern, batch, queries, .. } = &shape.pattern;
    let output = empty(pattern, [batch * queries, shape.heads * shape.head_dim]);
    let of_pattern = pattern.meta.shape().num_elements();
    let rows = empty(pattern, [batch * 2 * shape.heads * queries + of_pattern]);
    let (launch, workgroup, groups) =
        shape.launch(&FORWARD, &FORWARD_ON_CARD, false, 4, qkv.iter().chain([pattern, &output, &rows]));
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
    let (launch, workgroup, groups) = shape.launch(&BACKWARD_QUERY, &BACKWARD_QUERY_ON_CARD, false, 6, of_queries);
    launch.run(workgroup, groups);
    let of_keys_and_values = if shape.is_joined() { &results } else { &results[1..] };
    let buffers = qkv.iter().chain([gradient, rows]).chain(of_keys_and_values);
    let (launch, workgroup, groups) = shape.launch(&BACKWARD_KEY, &BACKWARD_KEY_ON_CARD, true, 8, buffers);
    launch.run(workgroup, groups);
    results
}

/// `operands`: queries, keys, values. The public function has checked the shapes.
pub(crate) fn attention(operands: [Operand; 3], pattern: Pattern, heads: usize, noise: Option<Noise>) -> Operand {
    let body = move |qkv: [CubeTensor; 3], _| {
        let shape = Shape::new(&pattern, matrix(&qkv[0])[1], heads, 3, noise);
        let (output, rows) = forward(&shape, &qkv);
        (output.clone(), (shape, qkv, [output, rows]), ())
    };
    fused(operands, body, |(shape, qkv, [output, rows]), gradient, _| {
        let mut results = backward(&shape, &qkv, [&output, &rows], &gradient).into_iter();
        std::array::from_fn(|_| results.next())
    })
    .0
}
