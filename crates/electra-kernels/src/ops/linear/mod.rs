//! Dense layer.  y = x W^T + b, W in Hugging Face's `[out, in]` layout.

pub(in crate::ops) mod cpu;
pub(in crate::ops) mod gpu;
pub(crate) mod reference;
#[cfg(test)]
pub(in crate::ops) mod tests;

use burn::tensor::Tensor;

use crate::place::Place;
use crate::types::{kernel::Kernel, shape::expect};

/// `x`: `[tokens, in]`; `weight`: `[out, in]`; `bias`: `[out]`. Returns `[tokens, out]`.
///
/// # Panics
/// If the shapes do not fit.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let [_, inputs] = x.dims();
    let [outputs, _] = weight.dims();
    expect("linear: weight [out, in]", weight.dims(), [outputs, inputs]);
    expect("linear: bias [out]", bias.dims(), [outputs]);
    match Place::of(Kernel::Linear, &[&x, &weight, &bias]) {
        Place::Cpu => {
            let [x, weight, bias] = [crate::cpu::operand(x), crate::cpu::operand(weight), crate::cpu::operand(bias)];
            cpu::linear(x, weight, bias).into_tensor()
        }
        Place::Gpu if x.dims()[0] > 0 => {
            let [x, weight, bias] = [crate::gpu::operand(x), crate::gpu::operand(weight), crate::gpu::operand(bias)];
            gpu::linear(x, weight, bias).into_tensor()
        }
        _ => reference::linear(x, weight, bias),
    }
}
