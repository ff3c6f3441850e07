//! Matrix products in the forms that cards take: staged in workgroup memory, in half precision, on cooperative matrices.

use burn::tensor::Device;

use super::case::{Asked, Case, Extent, TOLERANCE, differentiate, host, matrix, sizes};
use crate::gpu::{
    self,
    cooperative_matrix::{CooperativeMatrix, Shares},
    product::{Epilogue, Form, Mode, Tile, product_in},
};
use crate::ops::{linear, linear_gelu};
use crate::precision::{Precision, with_precision};
use crate::types::{failure::DeviceFailure, kernel::Kernel};

/// Products whose operands only the adapter rounds to f16: by at most 2^-10 each, where an adapter rounds towards zero.
const HALF_TOLERANCE: f64 = 5e-3;

pub(super) fn cases(device: &Device, extent: Extent) -> Vec<Case> {
    let mut cases = Vec::new();
    // A software adapter takes it for very long rows alone, and many seconds to compile it.
    if extent == Extent::Full || !gpu::is_software(&gpu::probe(device)) {
        let workgroup_bytes = gpu::adapter::of(&gpu::probe(device)).workgroup_bytes;
        let tiles = Tile::ALL.into_iter().filter(|tile| tile.fits(workgroup_bytes));
        let sizes = sizes(extent, &[[128, 256, 256]], &[[67, 37, 100]]);
        for (tile, size) in tiles.flat_map(|tile| sizes.iter().map(move |&size| (tile, size))) {
            let [m, n, k] = size;
            let name = format!("products in tiles of {} x {}, {m} x {n} x {k}", tile.rows, tile.columns);
            cases.push(Case::new(Kernel::Linear, name, move |device| dense(device, size, tile)));
        }
    }
    if !gpu::has_f16(device) {
        return cases;
    }
    for [rows, inputs, outputs] in sizes(extent, &[[33, 37, 19]], &[[1, 1, 1], [128, 256, 64], [65, 512, 1]]) {
        let name = format!("linear in half precision {rows} x {inputs} -> {outputs}");
        let case = Case::new(Kernel::Linear, name, move |device| {
            with_precision(Precision::F16, || {
                differentiate(device, &[[rows, inputs], [outputs, inputs], [1, outputs]], |operands, _| {
                    let [x, weight, bias] = operands.try_into().expect("three operands");
                    linear::linear(x, weight, bias.reshape([outputs]))
                })
            })
        });
        cases.push(Case { tolerance: HALF_TOLERANCE, ..case });
    }
    let Some(cooperative_matrix) = gpu::adapter::of(&gpu::probe(device)).cooperative_matrix else { return cases };
    let more = [[1, 1, 1], [128, 64, 256], [700, 130, 37], [65, 64, 1100]];
    let sizes = sizes(extent, &[[67, 132, 100]], &more);
    let all = Shares::ALL.into_iter().filter(|shares| cooperative_matrix.have_room_for(shares));
    for (shares, size) in all.flat_map(|shares| sizes.iter().map(move |&size| (shares, size))) {
        let [m, n, k] = size;
        // Both round alike, and differ by the order of their sums.
        cases.push(Case {
            kernel: Kernel::CooperativeMatrix,
            name: format!(
                "products on matrix units of {0} x {0}, in tiles of {1} x {2}, {m} x {n} x {k}",
                cooperative_matrix.size, shares.rows, shares.columns
            ),
            tolerance: TOLERANCE,
            body: Box::new(move |device| on_cooperative_matrix(device, size, cooperative_matrix, shares)),
            twin: Some(Box::new(move |device| staged_in_half(device, size))),
        });
    }
    cases
}

pub(super) fn on_cooperative_matrix(
    device: &Device,
    size: [usize; 3],
    cooperative_matrix: CooperativeMatrix,
    shares: Shares,
) -> Result<Asked, DeviceFailure> {
    with_precision(Precision::F16, || {
        products(device, size, &|parts| Form::Matrix { cooperative_matrix, shares, parts })
    })
}

pub(super) fn staged_in_half(device: &Device, size: [usize; 3]) -> Result<Asked, DeviceFailure> {
    with_precision(Precision::F16, || products(device, size, &Form::staged))
}

/// What a dense layer with GELU makes of products in `form`: its results, the values before GELU, and the gradients of
/// input, weight and bias where a gradient has come back to those values.
fn products(device: &Device, [m, n, k]: [usize; 3], form: &dyn Fn(usize) -> Form) -> Result<Asked, DeviceFailure> {
    let operand = |seed, shape| gpu::constant(&matrix(seed, shape, device));
    let (x, weight, bias, dy) = (operand(1, [m, k]), operand(2, [n, k]), operand(3, [1, n]), operand(4, [m, n]));
    let (z, of_bias) = (gpu::empty(&x, [m, n]), gpu::empty(&x, [n, 1]));
    let forward = Epilogue { bias: Some(&bias), gelu: true, keep: Some(&z), ..Epilogue::default() };
    let to_weight = Epilogue { sums: Some(&of_bias), ..Epilogue::default() };
    let found = [
        product_in(form(1), Mode::TransposedB, &x, &weight, forward),
        product_in(form(1), Mode::Plain, &dy, &weight, Epilogue::default()),
        product_in(form(2), Mode::TransposedA, &dy, &x, to_weight),
    ];
    host(&found.into_iter().chain([z, of_bias]).map(gpu::tensor::<2>).collect::<Vec<_>>())
}

/// The same on the CPU in primitives, and staged in `tile`s elsewhere.
fn dense(device: &Device, [m, n, k]: [usize; 3], tile: Tile) -> Result<Asked, DeviceFailure> {
    if gpu::is_gpu(&matrix(1, [1, 1], device)) {
        return products(device, [m, n, k], &|parts| Form::Staged { tile, parts });
    }
    let operand = |seed, shape| matrix(seed, shape, device);
    let (x, weight, bias, dy) =
        (operand(1, [m, k]), operand(2, [n, k]), operand(3, [1, n]).reshape([n]), operand(4, [m, n]));
    let z = linear::reference::linear(x.clone(), weight.clone(), bias.clone());
    let y = linear_gelu::reference::linear_gelu(x.clone(), weight.clone(), bias);
    let of_weight = dy.clone().transpose().matmul(x);
    let of_bias = dy.clone().sum_dim(0).transpose();
    host(&[y, dy.matmul(weight), of_weight, z, of_bias])
}
