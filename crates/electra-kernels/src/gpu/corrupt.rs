//! Putting samples in the originals' places, on graphics adapters.

use burn_wgpu::CubeTensor;

use super::{
    empty, empty_ids,
    launch::Launch,
    matrix,
    shader::{Shader, shader},
};

static CORRUPT: Shader = shader!("corrupt");

/// `original`: `[batch, seq]`; the others `[batch, slots]`. Returns corrupted ids and 1 where they differ.
pub(crate) fn corrupt(
    original: &CubeTensor,
    positions: &CubeTensor,
    weights: &CubeTensor,
    samples: &CubeTensor,
) -> (CubeTensor, CubeTensor) {
    let ([batch, seq], [_, slots]) = (matrix(original), matrix(positions));
    let (corrupted, is_replaced) = (empty_ids(original, [batch, seq]), empty(original, [batch, seq]));
    Launch::new(&CORRUPT)
        .buffer(original)
        .buffer(positions)
        .buffer(weights)
        .buffer(samples)
        .buffer(&corrupted)
        .buffer(&is_replaced)
        .size(batch)
        .size(seq)
        .size(slots)
        .run(64, (batch * seq).div_ceil(64));
    (corrupted, is_replaced)
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use burn::tensor::{Int, Tensor, TensorData};

    use crate::gpu::testing::device;

    #[test]
    fn duplicates_and_unused_slots_are_as_in_the_reference() {
        let Some(device) = device() else { return };
        for (batch, seq, slots) in [(1, 1, 1), (2, 9, 4), (3, 130, 19)] {
            let ints = |values: Vec<i32>, columns: usize, device: &burn::tensor::Device| {
                Tensor::<2, Int>::from_data(TensorData::new(values, [batch, columns]), device)
            };
            let run = |device: &burn::tensor::Device| {
                let original = ints((0..batch * seq).map(|i| (i % 17) as i32).collect(), seq, device);
                let positions = ints((0..batch * slots).map(|i| (i * i % seq) as i32).collect(), slots, device);
                let samples = ints((0..batch * slots).map(|i| (i * 5 % 17) as i32).collect(), slots, device);
                let weights: Vec<f32> = (0..batch * slots).map(|i| if i % 4 == 3 { 0.0 } else { 1.0 }).collect();
                let weights = Tensor::<2>::from_data(TensorData::new(weights, [batch, slots]), device);
                let (corrupted, is_replaced) = crate::corrupt(&original, &positions, &weights, &samples);
                let corrupted: Vec<i64> = corrupted.into_data().iter().collect();
                (corrupted, is_replaced.into_data().iter::<f64>().collect::<Vec<_>>())
            };
            assert_eq!(run(&device), run(&burn::tensor::Device::flex()), "{batch} x {seq}, {slots} slots");
            crate::gpu::testing::assert_canaries("corrupt");
        }
    }
}
