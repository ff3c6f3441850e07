//! Layer normalization over the last dimension, alone or after a residual connection with dropout.
//!   z = x + dropout(branch);  y = (z - mean) / sqrt(variance + eps) * gamma + beta
//! The variance is a mean of squared differences, never E[z^2] - E[z]^2, which cancels badly in f32.

mod cpu;
pub(in crate::ops) mod gpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

use crate::cpu::mask::Mask;
use crate::gpu::Noise;
use crate::ops::dropout::dropout;
use crate::place::Place;
use crate::types::{dropout::Dropout, kernel::Kernel, shape::expect};

/// `x`: `[tokens, hidden]`; `gamma`, `beta`: `[hidden]`. Returns `[tokens, hidden]`. Ba et al. 2016.
///
/// # Panics
/// If the shapes do not fit.
pub fn layer_norm(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let [tokens, hidden] = x.dims();
    expect("layer_norm: gamma [hidden]", gamma.dims(), [hidden]);
    expect("layer_norm: beta [hidden]", beta.dims(), [hidden]);
    match Place::of(Kernel::LayerNorm, &[&x, &gamma, &beta]) {
        Place::Cpu if tokens > 0 => {
            let [x, gamma, beta] = [crate::cpu::operand(x), crate::cpu::operand(gamma), crate::cpu::operand(beta)];
            cpu::layer_norm(x, gamma, beta, epsilon).into_tensor()
        }
        Place::Gpu if tokens > 0 => {
            let [x, gamma, beta] = [crate::gpu::operand(x), crate::gpu::operand(gamma), crate::gpu::operand(beta)];
            gpu::layer_norm(x, gamma, beta, epsilon).into_tensor()
        }
        _ => reference::layer_norm(x, gamma, beta, epsilon),
    }
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
    let whole_rows = branch_dropout
        .filter(|dropout| dropout.probability > 0.0)
        .is_none_or(|dropout| tokens.is_multiple_of(dropout.examples.len()));
    match Place::of(Kernel::LayerNorm, &[&x, &branch, &gamma, &beta]) {
        Place::Cpu if whole_rows && tokens > 0 => {
            let [x, branch] = [x, branch].map(crate::cpu::operand);
            let [gamma, beta] = [gamma, beta].map(crate::cpu::operand);
            cpu::add_layer_norm(x, branch, Mask::new(branch_dropout), gamma, beta, epsilon).into_tensor()
        }
        Place::Gpu if whole_rows && tokens > 0 => {
            let [x, branch] = [x, branch].map(crate::gpu::operand);
            let [gamma, beta] = [gamma, beta].map(crate::gpu::operand);
            gpu::add_layer_norm(x, branch, Noise::new(branch_dropout), gamma, beta, epsilon).into_tensor()
        }
        _ => reference::layer_norm(x + dropout(branch, branch_dropout), gamma, beta, epsilon),
    }
}
