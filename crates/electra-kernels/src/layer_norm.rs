//! Layer normalization over the last dimension, alone or after a residual connection with dropout.
//!   z = x + dropout(branch);  y = (z - mean) / sqrt(variance + eps) * gamma + beta
//! The variance is a mean of squared differences, never E[z^2] - E[z]^2, which cancels badly in f32.

use burn::tensor::Tensor;

use crate::{
    cpu,
    dropout::{Dropout, dropout},
    gpu::{self, Kernel},
    shape::expect,
};

/// `x`: `[tokens, hidden]`; `gamma`, `beta`: `[hidden]`. Returns `[tokens, hidden]`. Ba et al. 2016.
///
/// # Panics
/// If the shapes do not fit.
pub fn layer_norm(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let [_, hidden] = x.dims();
    expect("layer_norm: gamma [hidden]", gamma.dims(), [hidden]);
    expect("layer_norm: beta [hidden]", beta.dims(), [hidden]);
    if [cpu::is_cpu(&x), cpu::is_cpu(&gamma), cpu::is_cpu(&beta)] == [true; 3] && x.dims()[0] > 0 {
        let [x, gamma, beta] = [cpu::operand(x), cpu::operand(gamma), cpu::operand(beta)];
        return cpu::layer_norm::layer_norm(x, gamma, beta, epsilon).into_tensor();
    }
    let on_gpu = [gpu::is_gpu(&x), gpu::is_gpu(&gamma), gpu::is_gpu(&beta)];
    if gpu::runs(Kernel::LayerNorm, &x, on_gpu) && x.dims()[0] > 0 {
        let [x, gamma, beta] = [gpu::operand(x), gpu::operand(gamma), gpu::operand(beta)];
        return gpu::layer_norm::layer_norm(x, gamma, beta, epsilon).into_tensor();
    }
    reference(x, gamma, beta, epsilon)
}

/// `layer_norm` in primitives.
#[doc(hidden)]
pub fn reference(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let centred = x.clone() - x.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    centred * variance.add_scalar(epsilon).sqrt().recip() * gamma.unsqueeze() + beta.unsqueeze()
}

/// Layer normalization of `x + dropout(branch)`: a post-LN transformer's residual connection.
///
/// `x`, `branch`: `[tokens, hidden]`, tokens in the order of the dropout's examples.
///
/// # Panics
/// If the shapes do not fit.
pub fn add_layer_norm(
    x: Tensor<2>,
    branch: Tensor<2>,
    branch_dropout: Option<&Dropout<'_>>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<2> {
    expect("add_layer_norm: branch [tokens, hidden]", branch.dims(), x.dims());
    let [tokens, hidden] = x.dims();
    expect("add_layer_norm: gamma [hidden]", gamma.dims(), [hidden]);
    expect("add_layer_norm: beta [hidden]", beta.dims(), [hidden]);
    let mask = cpu::dropout::Mask::new(branch_dropout);
    let whole_rows = mask.as_ref().is_none_or(|mask| tokens.is_multiple_of(mask.examples()));
    let on_cpu = [cpu::is_cpu(&x), cpu::is_cpu(&branch), cpu::is_cpu(&gamma), cpu::is_cpu(&beta)] == [true; 4];
    if on_cpu && whole_rows && tokens > 0 {
        let [x, branch, gamma, beta] = [cpu::operand(x), cpu::operand(branch), cpu::operand(gamma), cpu::operand(beta)];
        return cpu::layer_norm::add_layer_norm(x, branch, mask, gamma, beta, epsilon).into_tensor();
    }
    let on_gpu = [gpu::is_gpu(&x), gpu::is_gpu(&branch), gpu::is_gpu(&gamma), gpu::is_gpu(&beta)];
    if gpu::runs(Kernel::LayerNorm, &x, on_gpu) && whole_rows && tokens > 0 {
        let [x, branch, gamma, beta] = [gpu::operand(x), gpu::operand(branch), gpu::operand(gamma), gpu::operand(beta)];
        let noise = gpu::Noise::new(branch_dropout);
        return gpu::layer_norm::add_layer_norm(x, branch, noise, gamma, beta, epsilon).into_tensor();
    }
    reference(x + dropout(branch, branch_dropout), gamma, beta, epsilon)
}
