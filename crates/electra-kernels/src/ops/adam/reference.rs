//! The update in primitives: what runs where there is no fused body, and the oracle of the one there is.

use burn::tensor::Tensor;

use crate::types::update::{AdamTensors, AdamUpdate};

/// `adam_update` in primitives.
pub(super) fn update(tensors: AdamTensors, gradient: Tensor<1>, update: &AdamUpdate) -> AdamTensors {
    let gradient = gradient * update.gradient_scale;
    let m = tensors.m * update.beta1 + gradient.clone() * (1.0 - update.beta1);
    let v = tensors.v * update.beta2 + gradient.clone() * gradient * (1.0 - update.beta2);
    let [correction1, correction2] = update.bias_corrections;
    let denominator = (v.clone() * correction2).sqrt() + update.epsilon;
    let step = m.clone() * correction1 / denominator + tensors.parameter.clone() * update.weight_decay;
    AdamTensors { parameter: tensors.parameter - step * update.learning_rate, m, v }
}
