//! The replaced-token-detection loss on the CPU: value and gradient in one pass over the few logits there are.

use burn_flex::FlexTensor;

use super::{Operand, buffer::Buffer, fused, values};

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
            // `max` hides what is not a number.
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
        super::scale(kept.storage_mut::<f32>(), values(&upstream)[0]);
        [Some(kept)]
    })
    .0
}

#[cfg(test)]
mod tests {
    use crate::{
        cpu::testing::{error, host, leaf, plain, random, wide},
        electra_loss::rtd_reference,
    };

    #[test]
    fn agrees_with_f64_and_with_the_reference_also_at_extremes() {
        for [batch, seq] in [[1, 1], [3, 7], [4, 128]] {
            let length = batch * seq;
            let mut logits: Vec<f32> = random(1, length).iter().map(|x| x * 8.0).collect();
            let edges = [0.0, -0.0, 1e4, -1e4, 90.0, -90.0];
            let count = edges.len().min(length);
            logits[..count].copy_from_slice(&edges[..count]);
            let labels: Vec<f32> = (0..length).map(|index| (index % 3 == 0) as u8 as f32).collect();
            let mask: Vec<f32> = (0..length).map(|index| (index % 5 != 4) as u8 as f32).collect();
            let total = 3.25 + length as f64;

            let run = |body: fn(_, _, _, f64) -> burn::tensor::Tensor<1>| {
                let shape = [batch, seq];
                let tensor = leaf(&logits, shape);
                let loss = body(tensor.clone(), plain(&labels, shape), plain(&mask, shape), total);
                let gradients = (loss.clone() * 50.0).backward();
                [host(loss), host(tensor.grad(&gradients).unwrap())]
            };
            let mut exact = [vec![0.0], vec![]];
            for ((logit, label), mask) in wide(&logits).into_iter().zip(wide(&labels)).zip(wide(&mask)) {
                let loss = logit.max(0.0) - logit * label + (-logit.abs()).exp().ln_1p();
                exact[0][0] += loss * mask / (total + 1e-6);
                exact[1].push(50.0 * mask * (1.0 / (1.0 + (-logit).exp()) - label) / (total + 1e-6));
            }
            let found = run(crate::rtd_loss);
            let reference = run(rtd_reference);
            for (index, tolerance) in [2e-6, 1e-5].into_iter().enumerate() {
                assert!(error(&found[index], &exact[index], 1e-6) < tolerance, "{batch} {seq} {index}");
                assert!(error(&found[index], &wide(&reference[index]), 1e-6) < tolerance, "{batch} {seq} {index}");
            }
        }
    }
}
