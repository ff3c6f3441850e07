//! Dense layer followed by GELU, the exact form.  y = z (1 + erf(z / sqrt 2)) / 2,  z = x W^T + b

mod cpu;
pub(in crate::ops) mod gpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

use crate::place::Place;
use crate::types::{kernel::Kernel, shape::expect};

/// As `linear`, then GELU (erf form; Hendrycks and Gimpel 2016). `[tokens, in]` to `[tokens, out]`.
///
/// # Panics
/// If the shapes do not fit.
pub fn linear_gelu(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let [_, inputs] = x.dims();
    let [outputs, _] = weight.dims();
    expect("linear_gelu: weight [out, in]", weight.dims(), [outputs, inputs]);
    expect("linear_gelu: bias [out]", bias.dims(), [outputs]);
    match Place::of(Kernel::Linear, &[&x, &weight, &bias]) {
        Place::Cpu => {
            let [x, weight, bias] = [crate::cpu::operand(x), crate::cpu::operand(weight), crate::cpu::operand(bias)];
            cpu::linear_gelu(x, weight, bias).into_tensor()
        }
        Place::Gpu if x.dims()[0] > 0 => {
            let [x, weight, bias] = [crate::gpu::operand(x), crate::gpu::operand(weight), crate::gpu::operand(bias)];
            gpu::linear_gelu(x, weight, bias).into_tensor()
        }
        _ => reference::linear_gelu(x, weight, bias),
    }
}
