//! The replaced-token-detection loss on graphics adapters.

use burn_wgpu::CubeTensor;

use crate::autodiff::fused;
use crate::gpu::{
    Operand, empty, empty_like, is_software,
    launch::Launch,
    shader::{Shader, shader},
};

static FORWARD: Shader = shader!("rtd_loss", "rtd_fwd");
static BACKWARD: Shader = shader!("rtd_loss", "rtd_bwd");

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
