//! The shader against the reference.

#[cfg(not(target_family = "wasm"))]
mod gpu {
    use burn::tensor::{Int, Tensor, TensorData};

    use crate::check::testing::device;

    #[test]
    fn duplicates_and_unused_masked_positions_are_as_in_the_reference() {
        let Some(device) = device() else { return };
        for (batch, seq, masked) in [(1, 1, 1), (2, 9, 4), (3, 130, 19)] {
            let ints = |values: Vec<i32>, columns: usize, device: &burn::tensor::Device| {
                Tensor::<2, Int>::from_data(TensorData::new(values, [batch, columns]), device)
            };
            let run = |device: &burn::tensor::Device| {
                let original = ints((0..batch * seq).map(|i| (i % 17) as i32).collect(), seq, device);
                let positions = ints((0..batch * masked).map(|i| (i * i % seq) as i32).collect(), masked, device);
                let samples = ints((0..batch * masked).map(|i| (i * 5 % 17) as i32).collect(), masked, device);
                let weights: Vec<f32> = (0..batch * masked).map(|i| if i % 4 == 3 { 0.0 } else { 1.0 }).collect();
                let weights = Tensor::<2>::from_data(TensorData::new(weights, [batch, masked]), device);
                let (corrupted, is_replaced) = crate::corrupt(&original, &positions, &weights, &samples);
                let corrupted: Vec<i64> = corrupted.into_data().iter().collect();
                (corrupted, is_replaced.into_data().iter::<f64>().collect::<Vec<_>>())
            };
            assert_eq!(run(&device), run(&burn::tensor::Device::flex()), "{batch} x {seq}, {masked} masked positions");
            crate::gpu::instruments::assert_canaries("corrupt");
        }
    }
}
