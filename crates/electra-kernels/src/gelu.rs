//! Dense layer followed by GELU, the exact form.  y = z (1 + erf(z / sqrt 2)) / 2,  z = x W^T + b

use burn::tensor::{Tensor, activation};

use crate::{
    cpu,
    gpu::{self, Kernel},
    linear,
    shape::expect,
};

/// As `linear`, then GELU (erf form; Hendrycks and Gimpel 2016). `[tokens, in]` to `[tokens, out]`.
///
/// # Panics
/// If the shapes do not fit.
pub fn gelu_linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let [_, inputs] = x.dims();
    let [outputs, _] = weight.dims();
    expect("gelu_linear: weight [out, in]", weight.dims(), [outputs, inputs]);
    expect("gelu_linear: bias [out]", bias.dims(), [outputs]);
    if [cpu::is_cpu(&x), cpu::is_cpu(&weight), cpu::is_cpu(&bias)] == [true; 3] {
        return cpu::linear::gelu_linear(cpu::operand(x), cpu::operand(weight), cpu::operand(bias)).into_tensor();
    }
    let on_gpu = [gpu::is_gpu(&x), gpu::is_gpu(&weight), gpu::is_gpu(&bias)];
    if gpu::runs(Kernel::Linear, &x, on_gpu) && x.dims()[0] > 0 {
        return gpu::linear::gelu_linear(gpu::operand(x), gpu::operand(weight), gpu::operand(bias)).into_tensor();
    }
    reference(x, weight, bias)
}

/// The function above in primitives.
#[doc(hidden)]
pub fn reference(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    activation::gelu(linear::reference(x, weight, bias))
}
