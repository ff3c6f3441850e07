//! What an update of the optimizer takes.

use burn::tensor::Tensor;

/// The numbers of one update, the same for all values of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamUpdate {
    /// Of this step, with warmup and decay in it.
    pub learning_rate: f64,
    /// How much of the first moment remains at each step.
    pub beta1: f64,
    /// How much of the second moment remains.
    pub beta2: f64,
    /// Added to the second moment's root.
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
    /// The values that are updated.
    pub parameter: Tensor<1>,
    /// First moment: the mean of gradients.
    pub m: Tensor<1>,
    /// Second moment: the mean of their squares.
    pub v: Tensor<1>,
}

/// Constants of an update that is decided on the device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceUpdate {
    /// Of this step, with warmup and decay in it.
    pub learning_rate: f64,
    /// How much of the first moment remains at each step.
    pub beta1: f64,
    /// How much of the second moment remains.
    pub beta2: f64,
    /// Added to the second moment's root.
    pub epsilon: f64,
    /// Greatest global norm of the gradient; infinity: no clipping.
    pub clip_norm: f64,
    /// Whether the moments are divided by what they lack in the first steps.
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
