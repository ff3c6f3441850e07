//! Matrix products for vectors of 128 bits, as WebAssembly has: of small matrices above all, where a page scores a sentence.
//!
//! One operand lies across the vectors, packed eight wide ("lanes"); of the other, four values at a time are read where they are
//! and spread ("spread"). Of `x W^T` with few rows of x that is x: W, which is many times as large, is read once and not copied. The loops have no
//! instructions of their own: the compiler makes vectors of arrays of eight.
//!
//! Each value of the result is summed by one order over the inner dimension, whatever the other sizes.

use super::buffer::Buffer;

/// Values of the packed operand side by side: two vectors.
const LANES: usize = 8;
/// Values of the other operand: with eight lanes, eight vectors of sums, which leaves half of sixteen registers to work with.
const SPREAD: usize = 4;
/// Steps of the inner dimension in one go, so that a panel (8 KiB) and the rows it meets stay in the nearest cache.
const INNER: usize = 256;
/// Lanes that are packed in one go.
const PACKED: usize = 512;
/// Rows of the spread operand (at most 128 KiB) that meet all packed panels before the next ones are read.
const AT_ONCE: usize = 128;

/// An operand as `count` vectors along the inner dimension.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub(super) start: *const f32,
    pub(super) count: usize,
    /// From one vector to the next.
    pub(super) stride: usize,
    /// From one value of a vector to the next.
    pub(super) inner_stride: usize,
}

/// `[rows, columns]`, where it is written.
#[derive(Clone, Copy)]
pub(super) struct Out {
    pub(super) start: *mut f32,
    pub(super) row_stride: usize,
    /// Added to what is there.
    pub(super) onto: bool,
    pub(super) scale: f32,
}

/// `out[i, j] = scale * sum over k of rows[i, k] columns[j, k]`, with `inner` values of k.
///
/// # Safety
/// All values that the sides speak of can be read, and all of `out` can be written and is nobody else's; where it is added to, it has values.
pub(super) unsafe fn multiply(out: Out, rows: Side, columns: Side, inner: usize) {
    // What is contiguous across vectors packs fastest; of two that are not, or are, the rows: activations, not weights.
    let lanes_are_columns = columns.stride == 1 && columns.inner_stride != 1;
    let (lanes, spread) = if lanes_are_columns { (columns, rows) } else { (rows, columns) };
    // From one spread value's results to the next one's, and from one lane's.
    let (by_spread, by_lane) = if lanes_are_columns { (out.row_stride, 1) } else { (1, out.row_stride) };
    let mut panels = Buffer::new(PACKED.min(lanes.count.next_multiple_of(LANES)) * INNER.min(inner));
    // An empty sum is written, too.
    for from in (0..inner.max(1)).step_by(INNER) {
        let steps = INNER.min(inner - from);
        let out = Out { onto: out.onto || from > 0, ..out };
        for first in (0..lanes.count).step_by(PACKED) {
            let packed = PACKED.min(lanes.count - first);
            for (panel, lane) in
                panels.as_chunks_mut::<LANES>().0.chunks_mut(steps.max(1)).zip((0..packed).step_by(LANES))
            {
                // SAFETY: lanes and steps of the operand.
                unsafe { pack(panel, lanes, first + lane, from) };
            }
            for beyond in (0..spread.count).step_by(AT_ONCE) {
                let last = spread.count.min(beyond + AT_ONCE);
                for lane in (0..packed).step_by(LANES) {
                    let panel = &panels.as_chunks::<LANES>().0[lane / LANES * steps..][..steps];
                    for at in (beyond..last).step_by(SPREAD) {
                        // The last group reads its last row again instead of one beyond.
                        // SAFETY: rows and steps of the operand.
                        let read = std::array::from_fn(|of| unsafe {
                            spread.start.add((at + of).min(last - 1) * spread.stride + from * spread.inner_stride)
                        });
                        // SAFETY: as many steps as the panel has are within the operand.
                        let sums = unsafe {
                            if spread.inner_stride == 1 {
                                tile(panel, read, 1)
                            } else {
                                tile(panel, read, spread.inner_stride)
                            }
                        };
                        let (some, many) = (LANES.min(packed - lane), SPREAD.min(last - at));
                        // SAFETY: results of these lanes and rows, which are within `out`.
                        unsafe {
                            let start = out.start.add(at * by_spread + (first + lane) * by_lane);
                            let to = Out { start, ..out };
                            // A whole tile's sizes are constants, so that its loops come apart.
                            match (lanes_are_columns, some == LANES && many == SPREAD) {
                                (true, true) => store(to, LANES, SPREAD, |lane, of| sums[of][lane]),
                                (true, false) => store(to, some, many, |lane, of| sums[of][lane]),
                                (false, true) => store(to, SPREAD, LANES, |of, lane| sums[of][lane]),
                                (false, false) => store(to, many, some, |of, lane| sums[of][lane]),
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Takes eight lanes from `lane` on, as many steps as there is room for from `from` on; zeros beyond the last lane.
#[inline(always)]
unsafe fn pack(panel: &mut [[f32; LANES]], side: Side, lane: usize, from: usize) {
    let some = LANES.min(side.count - lane);
    // SAFETY: the caller's.
    let start = unsafe { side.start.add(lane * side.stride + from * side.inner_stride) };
    if some == LANES && side.stride == 1 {
        for (step, values) in panel.iter_mut().enumerate() {
            // SAFETY: eight lanes of one step.
            *values = unsafe { start.add(step * side.inner_stride).cast::<[f32; LANES]>().read() };
        }
        return;
    }
    if some < LANES {
        panel.fill([0.0; LANES]);
    }
    for lane in 0..some {
        for (step, values) in panel.iter_mut().enumerate() {
            // SAFETY: one lane of one step.
            values[lane] = unsafe { start.add(lane * side.stride + step * side.inner_stride).read() };
        }
    }
}

/// The sums of one tile.
#[inline(always)]
unsafe fn tile(panel: &[[f32; LANES]], spread: [*const f32; SPREAD], stride: usize) -> [[f32; LANES]; SPREAD] {
    let mut sums = [[0.0; LANES]; SPREAD];
    for (step, lanes) in panel.iter().enumerate() {
        for (sums, start) in sums.iter_mut().zip(spread) {
            // SAFETY: the caller's.
            let value = unsafe { start.add(step * stride).read() };
            for (sum, lane) in sums.iter_mut().zip(lanes) {
                *sum += *lane * value;
            }
        }
    }
    sums
}

/// Writes the `columns` x `rows` values of a tile: `of(column, row)`.
#[inline(always)]
unsafe fn store(out: Out, columns: usize, rows: usize, of: impl Fn(usize, usize) -> f32) {
    for row in 0..rows {
        for column in 0..columns {
            // SAFETY: the caller's.
            unsafe {
                let value = out.start.add(row * out.row_stride + column);
                let before = if out.onto { value.read() } else { 0.0 };
                value.write(before + out.scale * of(column, row));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{error, random};

    /// A matrix in a larger one, `[count, inner]`.
    struct Operand {
        values: Vec<f32>,
        side: Side,
    }

    impl Operand {
        /// Vectors along the inner dimension lie side by side, or, `across`, one after another; either way with a gap.
        fn new(seed: u64, count: usize, inner: usize, across: bool) -> Self {
            let (stride, inner_stride) = if across { (1, count + 2) } else { (inner + 3, 1) };
            let values = random(seed, count * (inner + 3) + inner * (count + 2) + 1);
            let side = Side { start: values.as_ptr(), count, stride, inner_stride };
            Self { values, side }
        }

        fn at(&self, index: usize, step: usize) -> f64 {
            f64::from(self.values[index * self.side.stride + step * self.side.inner_stride])
        }
    }

    fn check(rows: usize, columns: usize, inner: usize, across: [bool; 2], onto: bool) {
        const GAP: usize = 5;
        let (a, b) = (Operand::new(1, rows, inner, across[0]), Operand::new(2, columns, inner, across[1]));
        let row_stride = columns + GAP;
        let before = if onto { random(3, rows * row_stride) } else { vec![f32::NAN; rows * row_stride] };
        let mut found = before.clone();
        let out = Out { start: found.as_mut_ptr(), row_stride, onto, scale: 0.5 };
        // SAFETY: the operands have these values, the result has rows of this stride.
        unsafe { multiply(out, a.side, b.side, inner) };
        let mut results = Vec::new();
        let mut expected = Vec::new();
        for (at, (found, before)) in found.iter().zip(&before).enumerate() {
            let (row, column) = (at / row_stride, at % row_stride);
            if column >= columns {
                assert_eq!(found.to_bits(), before.to_bits(), "row {row}, {column}: beside the result");
                continue;
            }
            let sum: f64 = (0..inner).map(|step| a.at(row, step) * b.at(column, step)).sum();
            results.push(*found);
            expected.push(0.5 * sum + if onto { f64::from(*before) } else { 0.0 });
        }
        let error = error(&results, &expected, 1.0);
        assert!(error < 1e-6 * (inner as f64).sqrt().max(1.0), "{rows} x {columns} x {inner}, {across:?}: {error:e}");
    }

    /// However the operands lie, and whether there is something to add to.
    fn check_all_ways(rows: usize, columns: usize, inner: usize) {
        for across in [[false, false], [false, true], [true, false], [true, true]] {
            for onto in [false, true] {
                check(rows, columns, inner, across, onto);
            }
        }
    }

    #[test]
    fn every_shape_is_the_sum_in_f64() {
        for rows in (1..18).chain([32, 33]) {
            for columns in (1..18).chain([32, 33]) {
                for inner in [0, 1, 2, 3, 19] {
                    check_all_ways(rows, columns, inner);
                }
            }
        }
    }

    #[test]
    fn more_than_one_block_of_every_kind() {
        let beyond =
            [(PACKED + 9, 3, 5), (3, PACKED + 9, 5), (9, AT_ONCE + 5, INNER + 1), (AT_ONCE + 5, 9, 2 * INNER + 7)];
        for (rows, columns, inner) in beyond {
            check_all_ways(rows, columns, inner);
        }
    }

    #[test]
    fn a_value_does_not_depend_on_the_matrix_around_it() {
        let (a, b) = (Operand::new(1, 13, 300, false), Operand::new(2, 11, 300, false));
        let product = |rows: usize, columns: usize| {
            let mut values = vec![0.0; rows * columns];
            let out = Out { start: values.as_mut_ptr(), row_stride: columns, onto: false, scale: 1.0 };
            let [a, b] = [Side { count: rows, ..a.side }, Side { count: columns, ..b.side }];
            // SAFETY: the first vectors of the operands.
            unsafe { multiply(out, a, b, 300) };
            values
        };
        let all = product(13, 11);
        for (rows, columns) in [(1, 1), (8, 4), (9, 5), (13, 1)] {
            for (at, value) in product(rows, columns).iter().enumerate() {
                assert_eq!(value.to_bits(), all[at / columns * 11 + at % columns].to_bits());
            }
        }
    }
}
