//! Matrix products, with what precedes and follows them in a network done on the way.
//!
//! Three forms: `product_direct` for software adapters, `product_staged` for cards, and `product_matrix` for products in half
//! precision on cards with cooperative matrices, where the second is its portable twin: the same roundings, sums in another order. The
//! measurements behind the first two stand in docs/PERFORMANCE.md.

use burn_wgpu::CubeTensor;

use super::adapter;
use super::arrays::{SOFTWARE_TURNS, empty, is_software, matrix, rows, stride};
use super::cooperative_matrix::{CooperativeMatrix, Shares};
use super::launch::Launch;
use super::shader::{Shader, shader};
use crate::precision::{self, Precision};
use crate::types::kernel::Kernel;

#[cfg(all(test, not(target_family = "wasm")))]
mod tests;

static DIRECT: Shader = shader!("product", "product_direct");
static STAGED: Shader = shader!("product", "product_staged");
static MATRIX: Shader = shader!("product", "product_matrix");
static SUM_PARTS: Shader = shader!("product", "sum_parts");

/// How the operands lie; the result is always `[m, n]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `A [m, k]`, `B [n, k]`: a dense layer forward.
    TransposedB = 0,
    /// `A [m, k]`, `B [k, n]`: the gradient of its input.
    Plain = 1,
    /// `A [k, m]`, `B [k, n]`: the gradient of its weight.
    TransposedA = 2,
}

/// Which of the forms runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Direct {
        /// Lanes read A for one another: each its own part, handed on through the subgroup.
        shares: bool,
    },
    Staged {
        tile: Tile,
        /// Into so many `k` is cut.
        parts: usize,
    },
    /// On cooperative matrices, in half precision only.
    Matrix {
        cooperative_matrix: CooperativeMatrix,
        shares: Shares,
        /// Into so many `k` is cut.
        parts: usize,
    },
}

/// What a workgroup of the staged form computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Products that are staged at a time.
    pub(crate) depth: usize,
}

impl Tile {
    /// What every adapter has room for.
    pub(crate) const SMALL: Self = Self { rows: 64, columns: 64, depth: 8 };
    pub(crate) const LARGE: Self = Self { rows: 128, columns: 128, depth: 16 };
    /// Those that are checked.
    pub(crate) const ALL: [Self; 2] = [Self::SMALL, Self::LARGE];

    /// Whether a workgroup that shares so many bytes holds the operands' tiles, of f32.
    pub(crate) fn fits(&self, workgroup_bytes: usize) -> bool {
        4 * self.depth * (self.rows + self.columns + 8) <= workgroup_bytes.max(16 << 10)
    }

    /// 8 x 8 results each.
    fn invocations(&self) -> usize {
        self.rows * self.columns / 64
    }

    /// Blocks of 4 x 4 values that an invocation stages at a time, of either operand.
    fn turns(&self) -> usize {
        ((self.rows + self.columns) * self.depth / 16).div_ceil(self.invocations())
    }
}

/// What becomes of the sums of products.
#[derive(Default)]
pub(crate) struct Epilogue<'a> {
    /// `[n]`, added to every row.
    pub(crate) bias: Option<&'a CubeTensor>,
    /// GELU after the bias.
    pub(crate) gelu: bool,
    /// `[m, n]`: where the values before GELU go.
    pub(crate) keep: Option<&'a CubeTensor>,
    /// `[m, n]`, values before GELU: the result is multiplied by GELU's slope there.
    pub(crate) slope: Option<&'a CubeTensor>,
    /// `[m]`: where the sums of A's columns go ([`Mode::TransposedA`] only).
    pub(crate) sums: Option<&'a CubeTensor>,
    /// `[m, n]`: where the result goes, else a new array. Its rows may lie further apart than they are long, as A's may.
    pub(crate) into: Option<CubeTensor>,
    /// The result, and the sums, are added to what is there.
    pub(crate) accumulate: bool,
}

impl Form {
    /// The staged form with the tile that every adapter has room for.
    pub(crate) fn staged(parts: usize) -> Self {
        Self::Staged { tile: Tile::SMALL, parts }
    }
}

impl Epilogue<'_> {
    /// Whether the result is no more than sums of products, added to what is there or not.
    fn is_bare(&self) -> bool {
        self.bias.is_none() && self.keep.is_none() && self.slope.is_none() && !self.gelu
    }
}

/// Invocations of a workgroup of the direct form: as many as a software adapter's vectors hold values.
const LANES: usize = 8;
/// Length of k below which it is not worth cutting.
const SHORTEST_PART: usize = 256;
/// Length of k that a workgroup goes through at most in one launch of a weight's gradient, a multiple of where bindings may
/// begin: 34 MFLOP, so that a dispatch of as much work as one may have keeps a large card busy too.
const LONGEST_PART: usize = 4096;
/// Workgroups into which a product with a small result is cut, to keep a large card busy.
const MANY_GROUPS: usize = 256;
/// Workgroups of the larger tile that keep a large card busy as they are; below, smaller ones share the work.
const ENOUGH_GROUPS: usize = 128;

/// The form for a product of this size on the adapter of `like`. `is_bare`: nothing happens to the sums on the way, so
/// that parts of k may be added up afterwards.
pub(crate) fn form(like: &CubeTensor, mode: Mode, [m, n, k]: [usize; 3], is_bare: bool) -> Form {
    if is_software(like) {
        // One turn takes 4 products where k divides, and the sums beside MODE 2 take one.
        let turns = if mode == Mode::TransposedA || !k.is_multiple_of(4) { k } else { k / 4 };
        let shares = adapter::of(like).subgroup == Some(LANES);
        return if turns <= SOFTWARE_TURNS {
            Form::Direct { shares }
        } else {
            Form::staged(k.div_ceil(SOFTWARE_TURNS / 4))
        };
    }
    // A weight's gradient, and that of the rows before logits, have a long k and a small result.
    let cut = |rows, columns| {
        let tiles = m.div_ceil(rows) * n.div_ceil(columns);
        let parts = if is_bare { (MANY_GROUPS / tiles).min(k / SHORTEST_PART).max(1) } else { 1 };
        (parts, tiles * parts >= ENOUGH_GROUPS)
    };
    let traits = adapter::of(like);
    let cooperative_matrix = traits.cooperative_matrix.filter(|_| precision::current() == Precision::F16);
    match cooperative_matrix.filter(|_| adapter::runs(Kernel::CooperativeMatrix, like)) {
        Some(cooperative_matrix) => {
            let larger = if n > Shares::NARROW.columns { Shares::LARGE } else { Shares::NARROW };
            let (parts, is_enough) = cut(larger.rows, larger.columns);
            if is_enough && cooperative_matrix.have_room_for(&larger) {
                return Form::Matrix { cooperative_matrix, shares: larger, parts };
            }
            let shares = Shares::SMALL;
            Form::Matrix { cooperative_matrix, shares, parts: cut(shares.rows, shares.columns).0 }
        }
        None => {
            let (parts, is_enough) = cut(Tile::LARGE.rows, Tile::LARGE.columns);
            if is_enough && Tile::LARGE.fits(traits.workgroup_bytes) {
                return Form::Staged { tile: Tile::LARGE, parts };
            }
            let tile = Tile::SMALL;
            Form::Staged { tile, parts: cut(tile.rows, tile.columns).0 }
        }
    }
}

/// `A B` in `mode`, through `epilogue`.
///
/// # Panics
/// If the operands' sizes do not fit.
pub(crate) fn product(mode: Mode, a: &CubeTensor, b: &CubeTensor, epilogue: Epilogue<'_>) -> CubeTensor {
    let [m, n, k] = dimensions(mode, a, b);
    let is_dense = epilogue.into.as_ref().is_none_or(|into| stride(into) == n);
    let form = form(a, mode, [m, n, k], epilogue.is_bare() && is_dense);
    match form {
        Form::Staged { parts, .. } | Form::Matrix { parts, .. }
            if mode == Mode::TransposedA && k > LONGEST_PART * parts && !is_software(a) =>
        {
            in_sections(LONGEST_PART * parts, form, a, b, epilogue)
        }
        _ => product_in(form, mode, a, b, epilogue),
    }
}

/// [`Mode::TransposedA`] over `section` rows of the operands after another, each added to the ones before.
fn in_sections(section: usize, form: Form, a: &CubeTensor, b: &CubeTensor, epilogue: Epilogue<'_>) -> CubeTensor {
    let [m, n, k] = dimensions(Mode::TransposedA, a, b);
    let Epilogue { bias: None, gelu: false, keep: None, slope: None, sums, into, accumulate } = epilogue else {
        panic!("product: sections of k are only added up, so nothing can follow them on the way")
    };
    assert!(into.is_some() || !accumulate, "product: nothing to add to");
    let result = into.unwrap_or_else(|| empty(a, [m, n]));
    for first in (0..k).step_by(section) {
        let count = section.min(k - first);
        let into = Some(result.clone());
        let epilogue = Epilogue { sums, into, accumulate: accumulate || first > 0, ..Epilogue::default() };
        product_in(form, Mode::TransposedA, &rows(a, first, count), &rows(b, first, count), epilogue);
    }
    result
}

fn dimensions(mode: Mode, a: &CubeTensor, b: &CubeTensor) -> [usize; 3] {
    let ([a0, a1], [b0, b1]) = (matrix(a), matrix(b));
    let ([m, k], [n, other]) = match mode {
        Mode::TransposedB => ([a0, a1], [b0, b1]),
        Mode::Plain => ([a0, a1], [b1, b0]),
        Mode::TransposedA => ([a1, a0], [b1, b0]),
    };
    assert_eq!(k, other, "product: {mode:?} of [{a0}, {a1}] and [{b0}, {b1}]");
    [m, n, k]
}

/// As [`product`], in a form of the caller's choice.
pub(crate) fn product_in(form: Form, mode: Mode, a: &CubeTensor, b: &CubeTensor, epilogue: Epilogue<'_>) -> CubeTensor {
    let [m, n, k] = dimensions(mode, a, b);
    let is_bare = epilogue.is_bare();
    let Epilogue { bias, gelu, keep, slope, sums, into, accumulate } = epilogue;
    assert!(into.is_some() || !accumulate, "product: nothing to add to");
    let result = into.unwrap_or_else(|| empty(a, [m, n]));
    if m == 0 || n == 0 {
        return result;
    }
    let (a_stride, result_stride) = (stride(a), stride(&result));
    assert_eq!(stride(b), matrix(b)[1], "product: the rows of B lie side by side");
    let parts = match form {
        Form::Direct { .. } => 1,
        Form::Staged { parts, .. } | Form::Matrix { parts, .. } => parts,
    };
    let is_half = precision::current() == Precision::F16;
    assert!(parts == 1 || is_bare, "product: parts of k are only added up, so nothing can follow them on the way");
    let is_dense = result_stride == n;
    assert!(is_dense || (parts == 1 && keep.is_none() && slope.is_none()), "product: rows apart in the result alone");
    let has_sums = usize::from(sums.is_some());
    let split = (parts > 1).then(|| empty(a, [parts, m * n + has_sums * m]));
    // A multiple of the forms' depths, so that only the last part has a ragged end.
    let part = k.div_ceil(parts).next_multiple_of(32);
    // What lies side by side can be read in fours where rows begin at multiples of four.
    let side_by_side = if mode == Mode::TransposedA { m } else { k };
    let vector_a = side_by_side.is_multiple_of(4) && a_stride.is_multiple_of(4);
    let vector_b = if mode == Mode::TransposedB { k } else { n }.is_multiple_of(4);
    // The other forms write in fours where rows of results begin at multiples of four; the sums of columns lie behind.
    let vector_result = !matches!(form, Form::Direct { .. })
        && n.is_multiple_of(4)
        && result_stride.is_multiple_of(4)
        && (sums.is_none() || m.is_multiple_of(4));
    let sum_groups = |lanes: usize| has_sums * m.div_ceil(if vector_result { 4 * lanes } else { lanes });
    // With all that the forms share: `blocks` of rows and of columns.
    let launch = |shader, blocks: [usize; 2]| {
        let launch = Launch::new(shader).buffer(a).buffer(b).buffer(split.as_ref().unwrap_or(&result));
        let launch = launch.optional("BIAS", bias).optional("KEEP", keep).optional("SLOPE", slope);
        let launch = launch.define("SUMS", has_sums as i64).define("SPLIT", parts as i64);
        let launch = match sums {
            Some(sums) if parts == 1 => launch.buffer(sums),
            _ => launch,
        };
        let launch = launch.define("HALF", is_half).define("VECTOR_RESULT", vector_result);
        let launch = launch.define("MODE", mode as i64).define("GELU", gelu).define("ACCUMULATE", accumulate);
        let launch = launch.work(2.0 * m as f64 * n as f64 * k as f64);
        let sizes = [m, n, k, blocks[0], blocks[1], part, a_stride, result_stride];
        sizes.into_iter().fold(launch, Launch::size)
    };
    match form {
        Form::Direct { shares } => {
            // Along k both are read alike.
            let vector_b = if mode == Mode::TransposedB { vector_a } else { vector_b };
            // A tile of 256 results an invocation, or what the matrix fills: they spill from registers to the stack, and that is
            // still cheaper than more loads. Where A is shared B's loads are the most expensive, and each serves more rows.
            let most_rows = if shares { 32 } else { 16 };
            let fill = m.max(if vector_a { 4 } else { 1 });
            let rows = [most_rows, 16, 8, 4].into_iter().find(|&rows| rows <= fill).unwrap_or(1);
            // Columns of an invocation, singles or vectors: no more than the matrix has.
            let (most, width) = if mode != Mode::TransposedB && vector_b { (64, n / 4) } else { (256, n) };
            let columns = (most / rows.max(16)).min(width.div_ceil(LANES).next_power_of_two());
            let (row_blocks, column_blocks) = (m.div_ceil(rows), width.div_ceil(columns * LANES));
            let groups = row_blocks * column_blocks + sum_groups(LANES);
            let unroll = if k.is_multiple_of(4) { 4 } else { 1 };
            // What a turn reads of A: rows, or of each k the values of all rows.
            let per_k = if vector_a { rows.div_ceil(4) } else { rows };
            let reads = if mode == Mode::TransposedA { unroll * per_k } else { rows };
            launch(&DIRECT, [row_blocks, column_blocks])
                .define("ROWS", rows as i64)
                .define("COLUMNS", columns as i64)
                .define("VECTOR_A", vector_a)
                .define("VECTOR_B", vector_b)
                .define("SHARES", shares && reads.is_multiple_of(LANES))
                .define("UNROLL", unroll as i64)
                .define("PER_K", per_k as i64)
                .run(LANES as u32, groups);
        }
        Form::Staged { tile, .. } => {
            let (row_blocks, column_blocks) = (m.div_ceil(tile.rows), n.div_ceil(tile.columns));
            let groups = (row_blocks * column_blocks + sum_groups(tile.invocations())) * parts;
            launch(&STAGED, [row_blocks, column_blocks])
                .define("VECTOR_A", vector_a)
                .define("VECTOR_B", vector_b)
                .define("ROWS", tile.rows as i64)
                .define("COLUMNS", tile.columns as i64)
                .define("DEPTH", tile.depth as i64)
                .define("TURNS", tile.turns() as i64)
                .run(tile.invocations() as u32, groups);
        }
        Form::Matrix { cooperative_matrix, shares, .. } => {
            assert!(is_half, "product: cooperative matrices take half precision");
            let (row_blocks, column_blocks) = (m.div_ceil(shares.rows), n.div_ceil(shares.columns));
            let lanes = cooperative_matrix.lanes(&shares);
            let groups = (row_blocks * column_blocks + sum_groups(lanes)) * parts;
            launch(&MATRIX, [row_blocks, column_blocks])
                .define("VECTOR_A", vector_a)
                .define("VECTOR_B", vector_b)
                .define("ROWS", shares.rows as i64)
                .define("COLUMNS", shares.columns as i64)
                .define("OWN_ROWS", shares.own[0] as i64)
                .define("OWN_COLUMNS", shares.own[1] as i64)
                .define("FOURS", cooperative_matrix.takes_fours)
                .define("SIZE", cooperative_matrix.size as i64)
                .define("STRIPS", cooperative_matrix.most_subgroups(&shares) as i64)
                .define("EMULATED", cooperative_matrix.is_emulated)
                .define("SUBGROUP", cooperative_matrix.subgroups[0] as i64)
                .run(lanes as u32, groups);
        }
    }
    if let Some(split) = &split {
        sum_parts(split, &result, sums, parts, accumulate);
    }
    result
}

/// `parts`: `[count, length of result + length of sums]`, added up in order into the two.
pub(crate) fn sum_parts(
    parts: &CubeTensor,
    result: &CubeTensor,
    sums: Option<&CubeTensor>,
    count: usize,
    accumulate: bool,
) {
    let elements = |tensor: &CubeTensor| tensor.meta.shape().num_elements();
    let (length, rest) = (elements(result), sums.map_or(0, elements));
    Launch::new(&SUM_PARTS)
        .buffer(parts)
        .buffer(result)
        .optional("SUMS", sums)
        .define("ACCUMULATE", accumulate)
        .size(length)
        .size(rest)
        .size(count)
        .run(64, (length + rest).div_ceil(64));
}
