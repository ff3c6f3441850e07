//! The shader against the reference.

#[cfg(not(target_family = "wasm"))]
mod gpu {
    use burn::tensor::{Int, Tensor, TensorData};

    use crate::check::testing::{assert_matches, operands};

    #[test]
    fn repeated_and_missing_positions_match_the_reference() {
        for (batch, seq, masked, width) in [(1, 1, 1, 1), (2, 9, 4, 5), (3, 64, 10, 32)] {
            let operands = operands(&[[batch * seq, width]]);
            let positions: Vec<i32> = (0..batch * masked).map(|i| (i * i % seq) as i32).collect();
            type Body = fn(Tensor<2>, &Tensor<2, Int>, usize) -> Tensor<2>;
            let body = |body: Body| {
                let positions = positions.clone();
                move |operands: Vec<Tensor<2>>| {
                    let [hidden] = operands.try_into().unwrap();
                    let data = TensorData::new(positions.clone(), [batch, masked]);
                    let positions = Tensor::<2, Int>::from_data(data, &hidden.device());
                    body(hidden, &positions, seq)
                }
            };
            let what = format!("gather {batch} x {seq}, {masked} masked positions, width {width}");
            let (kernel, oracle) =
                (body(crate::gather_positions), body(crate::ops::gather::reference::gather_positions));
            assert_matches(&what, &operands, 1e-6, &kernel, &oracle);
        }
    }
}
