//! The replaced-token-detection loss on the CPU: value and gradient in one pass over the few logits there are.

use burn_flex::FlexTensor;

use crate::autodiff::fused;
use crate::cpu::{Operand, buffer::Buffer, scale, values};

/// `sum of m (max(d, 0) - d y + log1p(exp(-|d|))) / denominator`, `[1]`.
pub(crate) fn loss(logits: Operand, is_replaced: &FlexTensor, token_mask: &FlexTensor, denominator: f64) -> Operand {
    let forward = |[logits]: [FlexTensor; 1], _| {
        let [batch, seq] = [logits.layout().shape()[0], logits.layout().shape()[1]];
        let mut gradient = Buffer::new(batch * seq);
        let inputs = values(&logits).iter().zip(values(is_replaced)).zip(values(token_mask));
        let mut sum = 0.0f64;
        for (((&logit, &label), &mask), gradient) in inputs.zip(gradient.iter_mut()) {
            // exp of a negative number: overflows for no logit.
            let small = (-logit.abs()).exp();
            let loss = logit.max(0.0) - logit * label + small.ln_1p();
            // `max` hides NaN.
            let loss = if logit.is_nan() { logit } else { loss };
            let sigmoid = if logit >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
            sum += f64::from(loss) * f64::from(mask);
            *gradient = mask * (sigmoid - label) * (1.0 / denominator) as f32;
        }
        let mut loss = Buffer::new(1);
        loss[0] = (sum / denominator) as f32;
        (loss.into_tensor([1]), gradient.into_tensor([batch, seq]), ())
    };
    fused([logits], forward, |mut kept, upstream, _| {
        scale(kept.storage_mut::<f32>(), values(&upstream)[0]);
        [Some(kept)]
    })
    .0
}
