//! What an update of the optimizer takes.

use burn::tensor::Tensor;

/// The numbers of one update, the same for all values of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamUpdate {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// 0 for a parameter that does not decay.
    pub weight_decay: f64,
    /// What the gradient is multiplied by: clipping's scale, or 1.
    pub gradient_scale: f64,
    /// `1 / (1 - beta1^t)` and `1 / (1 - beta2^t)` with bias correction, 1 and 1 without.
    pub bias_corrections: [f64; 2],
}

/// A parameter and its two moments, `[len]` each.
#[derive(Debug, Clone)]
pub struct AdamTensors {
    pub parameter: Tensor<1>,
    pub m: Tensor<1>,
    pub v: Tensor<1>,
}

/// Constants of an update that is decided on the device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceUpdate {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// Greatest global norm of the gradient; infinity: no clipping.
    pub clip_norm: f64,
    pub bias_correction: bool,
}

/// What one parameter's update depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParameterRule {
    /// Factor of the learning rate.
    pub factor: f64,
    /// 0 for a parameter that does not decay.
    pub weight_decay: f64,
}
