//! The bodies against f64 and the reference.

mod cpu {
    use crate::{
        cpu::testing::{error, host, leaf, plain, random, wide},
        ops::rtd_loss::reference,
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
            let reference = run(reference::rtd_loss);
            for (index, tolerance) in [2e-6, 1e-5].into_iter().enumerate() {
                assert!(error(&found[index], &exact[index], 1e-6) < tolerance, "{batch} {seq} {index}");
                assert!(error(&found[index], &wide(&reference[index]), 1e-6) < tolerance, "{batch} {seq} {index}");
            }
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod gpu {
    use burn::tensor::{Tensor, TensorData};

    use crate::check::testing::{assert_matches, operands};

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
                let (kernel, oracle) = (body(crate::rtd_loss), body(crate::ops::rtd_loss::reference::rtd_loss));
                assert_matches(&format!("rtd {batch} x {seq} x {spread}"), &operands, 2e-6, &kernel, &oracle);
            }
        }
    }
}
