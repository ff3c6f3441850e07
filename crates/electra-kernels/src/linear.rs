//! Dense layer.  y = x W^T + b, W in Hugging Face's `[out, in]` layout.

use burn::tensor::Tensor;

use crate::{
    cpu,
    gpu::{self, Kernel},
    shape::expect,
};

/// `x`: `[tokens, in]`; `weight`: `[out, in]`; `bias`: `[out]`. Returns `[tokens, out]`.
///
/// # Panics
/// If the shapes do not fit.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let [_, inputs] = x.dims();
    let [outputs, _] = weight.dims();
    expect("linear: weight [out, in]", weight.dims(), [outputs, inputs]);
    expect("linear: bias [out]", bias.dims(), [outputs]);
    if [cpu::is_cpu(&x), cpu::is_cpu(&weight), cpu::is_cpu(&bias)] == [true; 3] {
        return cpu::linear::linear(cpu::operand(x), cpu::operand(weight), cpu::operand(bias)).into_tensor();
    }
    let on_gpu = [gpu::is_gpu(&x), gpu::is_gpu(&weight), gpu::is_gpu(&bias)];
    if gpu::runs(Kernel::Linear, &x, on_gpu) && x.dims()[0] > 0 {
        return gpu::linear::linear(gpu::operand(x), gpu::operand(weight), gpu::operand(bias)).into_tensor();
    }
    reference(x, weight, bias)
}

/// The function above in primitives.
#[doc(hidden)]
pub fn reference(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    x.matmul(weight.transpose()) + bias.unsqueeze()
}
