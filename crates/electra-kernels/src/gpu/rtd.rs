//! The replaced-token-detection loss on graphics adapters.

use burn_wgpu::CubeTensor;

use super::{
    Operand, empty, empty_like, is_software,
    launch::Launch,
    shader::{Shader, shader},
};
use crate::graph::fused;

static FORWARD: Shader = shader!("rtd_fwd");
static BACKWARD: Shader = shader!("rtd_bwd");

/// `sum of m (max(d, 0) - d y + log1p(exp(-|d|))) / denominator`, `[1]`; all operands `[batch, seq]`.
pub(crate) fn loss(logits: Operand, labels: CubeTensor, mask: CubeTensor, denominator: f64) -> Operand {
    let share = (1.0 / denominator) as f32;
    let body = move |[logits]: [CubeTensor; 1], _| {
        let loss = empty(&logits, [1]);
        let workgroup = if is_software(&logits) { 8 } else { 256 };
        Launch::new(&FORWARD)
            .buffer(&logits)
            .buffer(&labels)
            .buffer(&mask)
            .buffer(&loss)
            .size(logits.meta.shape().num_elements())
            .float(share)
            .run(workgroup, 1);
        (loss, (share, [logits, labels, mask]), ())
    };
    fused([logits], body, |(share, [logits, labels, mask]), upstream, _| {
        let result = empty_like(&logits);
        let length = logits.meta.shape().num_elements();
        Launch::new(&BACKWARD)
            .buffer(&logits)
            .buffer(&labels)
            .buffer(&mask)
            .buffer(&upstream)
            .buffer(&result)
            .size(length)
            .float(share)
            .run(64, length.div_ceil(64));
        [Some(result)]
    })
    .0
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use burn::tensor::{Tensor, TensorData};

    use crate::gpu::testing::{assert_matches, operands};

    #[test]
    fn matches_the_reference_from_tiny_to_huge_logits() {
        for (batch, seq) in [(1, 1), (3, 7), (2, 64), (5, 131)] {
            for spread in [1.0, 60.0] {
                let mut operands = operands(&[[batch, seq]]);
                operands[0].0.iter_mut().for_each(|x| *x *= spread);
                type Loss = fn(Tensor<2>, Tensor<2>, Tensor<2>, f64) -> Tensor<1>;
                let body = |loss: Loss| {
                    move |operands: Vec<Tensor<2>>| {
                        let [logits] = operands.try_into().unwrap();
                        let of = |every: usize| {
                            let values: Vec<f32> = (0..batch * seq).map(|i| f32::from(i % every == 0)).collect();
                            Tensor::<2>::from_data(TensorData::new(values, [batch, seq]), &logits.device())
                                .cast(logits.dtype())
                        };
                        loss(logits.clone(), of(7), of(2), 12.5).reshape([1, 1])
                    }
                };
                let (kernel, oracle) = (body(crate::rtd_loss), body(crate::electra_loss::rtd_reference));
                assert_matches(&format!("rtd {batch} x {seq} x {spread}"), &operands, 2e-6, &kernel, &oracle);
            }
        }
    }
}
