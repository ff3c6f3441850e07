//! The bodies against f64, the reference and each other.

mod cpu {
    use burn::tensor::Tensor;

    use crate::noise::NoiseKey;
    use crate::{
        Dropout,
        cpu::testing::{assert_same_bits, error, host, leaf, plain, random, wide},
    };

    /// `[batch, seq, heads, head_dim]`
    const SIZES: [[usize; 4]; 7] =
        [[1, 1, 1, 8], [2, 7, 3, 8], [1, 16, 2, 4], [3, 65, 2, 8], [2, 64, 1, 37], [2, 33, 4, 64], [1, 130, 2, 16]];

    /// The last example all padding, the others with padding at the end; `[batch, seq]`.
    fn padded(batch: usize, seq: usize) -> Vec<f32> {
        let keeps = |example: usize, place: usize| example + 1 < batch && place < (seq - example * seq / 4).max(1);
        (0..batch * seq).map(|index| f32::from(u8::from(keeps(index / seq, index % seq)))).collect()
    }

    fn site(probability: f64, examples: &[u32]) -> Dropout<'_> {
        Dropout { probability, key: NoiseKey::new(5), examples }
    }

    /// Output and the gradients of queries, keys and values.
    fn run(sizes: [usize; 4], mask: &[f32], probability: f64, spread: f32, fused: bool) -> Vec<Vec<f32>> {
        let [batch, seq, heads, head_dim] = sizes;
        let shape = [batch * seq, heads * head_dim];
        let examples: Vec<u32> = (0..batch as u32).map(|example| 7 * example).collect();
        let dropout = site(probability, &examples);
        let input = |seed, factor: f32| {
            leaf::<2>(&random(seed, shape[0] * shape[1]).iter().map(|x| x * factor).collect::<Vec<_>>(), shape)
        };
        let [q, k, v] = [input(1, spread), input(2, spread), input(3, 1.0)];
        let body = if fused { crate::attention } else { crate::ops::attention::reference::attention };
        let mask: Tensor<2> = plain(mask, [batch, seq]);
        let y = body(q.clone(), k.clone(), v.clone(), &mask, heads, Some(&dropout));
        let upstream = plain(&random(4, shape[0] * shape[1]), shape);
        let gradients = (y.clone() * upstream).sum().backward();
        let [q, k, v] = [q, k, v].map(|x| host(x.grad(&gradients).unwrap()));
        vec![host(y), q, k, v]
    }

    /// The same in f64.
    fn exact([batch, seq, heads, head_dim]: [usize; 4], mask: &[f32], probability: f64, spread: f32) -> Vec<Vec<f64>> {
        let hidden = heads * head_dim;
        let length = batch * seq * hidden;
        let examples: Vec<u32> = (0..batch as u32).map(|example| 7 * example).collect();
        let factors = wide(&site(probability, &examples).factors(heads * seq * seq));
        let spread = |values: Vec<f32>| -> Vec<f64> { values.iter().map(|x| f64::from(x * spread)).collect() };
        let (q, k) = (spread(random(1, length)), spread(random(2, length)));
        let (v, upstream) = (wide(&random(3, length)), wide(&random(4, length)));
        let mut results = vec![vec![0.0; length]; 4];
        let scale = 1.0 / (head_dim as f64).sqrt();
        for example in 0..batch {
            for head in 0..heads {
                let at = |token: usize, d: usize| (example * seq + token) * hidden + head * head_dim + d;
                for query in 0..seq {
                    let keys: Vec<usize> = (0..seq).filter(|key| mask[example * seq + key] > 0.0).collect();
                    if keys.is_empty() {
                        continue;
                    }
                    let dot = |key| (0..head_dim).map(|d| q[at(query, d)] * k[at(key, d)]).sum::<f64>() * scale;
                    let scores: Vec<f64> = keys.iter().map(|&key| dot(key)).collect();
                    let highest = scores.iter().fold(f64::MIN, |a, &b| a.max(b));
                    let sum: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
                    let p: Vec<f64> = scores.iter().map(|score| (score - highest).exp() / sum).collect();
                    let factor = |key| factors[((example * heads + head) * seq + query) * seq + key];
                    let dp: Vec<f64> = keys
                        .iter()
                        .map(|&key| {
                            factor(key) * (0..head_dim).map(|d| upstream[at(query, d)] * v[at(key, d)]).sum::<f64>()
                        })
                        .collect();
                    let delta: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
                    for ((&key, &p), &dp) in keys.iter().zip(&p).zip(&dp) {
                        for d in 0..head_dim {
                            results[0][at(query, d)] += p * factor(key) * v[at(key, d)];
                            results[1][at(query, d)] += scale * p * (dp - delta) * k[at(key, d)];
                            results[2][at(key, d)] += scale * p * (dp - delta) * q[at(query, d)];
                            results[3][at(key, d)] += p * factor(key) * upstream[at(query, d)];
                        }
                    }
                }
            }
        }
        results
    }

    #[test]
    fn agrees_with_f64_and_with_the_reference() {
        for sizes in SIZES {
            for probability in [0.0, 0.1, 0.5] {
                for mask in [vec![1.0; sizes[0] * sizes[1]], padded(sizes[0], sizes[1])] {
                    let found = run(sizes, &mask, probability, 1.0, true);
                    let reference: Vec<_> =
                        run(sizes, &mask, probability, 1.0, false).iter().map(|x| wide(x)).collect();
                    for expected in [exact(sizes, &mask, probability, 1.0), reference] {
                        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                            let tolerance = if index == 0 { 2e-6 } else { 1e-5 };
                            let error = error(found, expected, 1e-2);
                            assert!(error < tolerance, "{sizes:?} {probability}, result {index}: {error}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn rows_without_a_key_give_nothing_and_take_nothing() {
        let sizes = [2, 9, 2, 8];
        let mask = [vec![1.0; 9], vec![0.0; 9]].concat();
        for result in run(sizes, &mask, 0.1, 1.0, true) {
            assert!(result[9 * 16..].iter().all(|&x| x == 0.0));
            assert!(result[..9 * 16].iter().any(|&x| x != 0.0));
        }
    }

    #[test]
    fn extreme_scores_stay_numbers() {
        let sizes = [2, 17, 2, 8];
        let found = run(sizes, &padded(2, 17), 0.1, 1e4, true);
        assert!(found.iter().flatten().all(|x| x.is_finite()));
        // Scores of 1e8 in f32 leave their order alone: values only.
        assert!(error(&found[0], &exact(sizes, &padded(2, 17), 0.1, 1e4)[0], 1e-2) < 1e-3);
    }

    #[test]
    fn without_a_graph_the_values_are_the_same() {
        let [batch, seq, heads, head_dim] = [3, 20, 2, 8];
        let shape = [batch * seq, heads * head_dim];
        let [q, k, v] = [1, 2, 3].map(|seed| plain::<2>(&random(seed, shape[0] * shape[1]), shape).inner());
        let mask = padded(batch, seq);
        let y = crate::attention(q, k, v, &plain(&mask, [batch, seq]).inner(), heads, None);
        assert_eq!(host(y), run([batch, seq, heads, head_dim], &mask, 0.0, 1.0, true)[0]);
    }

    #[test]
    fn threads_change_no_bit() {
        assert_same_bits(|| run([4, 100, 4, 32], &padded(4, 100), 0.1, 1.0, true));
    }
}

#[cfg(not(target_family = "wasm"))]
mod gpu {
    use burn::tensor::{Tensor, TensorData};

    use crate::check::testing::{Operands, assert_differentiates, assert_matches, operands};
    use crate::ops::attention::gpu::{FORCED, OnCard};
    use crate::{Dropout, noise::NoiseKey};

    /// The reference body, with the mask in the operands' precision.
    fn check(
        what: &str,
        [batch, seq, heads, head_dim]: [usize; 4],
        lengths: &[usize],
        probability: f64,
        differentiate: bool,
    ) {
        let hidden = heads * head_dim;
        let mut operands: Operands = operands(&[[batch * seq, hidden]; 3]);
        // Scores of some size, or softmax hardly matters.
        operands.iter_mut().for_each(|(values, _)| values.iter_mut().for_each(|x| *x *= 2.0));
        let examples: Vec<u32> = (0..batch as u32).map(|i| i + 11).collect();
        let mask: Vec<f32> =
            (0..batch * seq).map(|i| if i % seq < lengths[i / seq % lengths.len()] { 1.0 } else { 0.0 }).collect();
        let site = Dropout { probability, key: NoiseKey::new(9).child(2), examples: &examples };
        type Attention = fn(Tensor<2>, Tensor<2>, Tensor<2>, &Tensor<2>, usize, Option<&Dropout<'_>>) -> Tensor<2>;
        let body = |attention: Attention| {
            let (mask, site) = (mask.clone(), site.clone());
            move |operands: Vec<Tensor<2>>| {
                let [q, k, v] = operands.try_into().unwrap();
                let mask =
                    Tensor::<2>::from_data(TensorData::new(mask.clone(), [batch, seq]), &q.device()).cast(q.dtype());
                attention(q, k, v, &mask, heads, Some(&site))
            }
        };
        let what = format!("{what}: {batch} x {seq} x {heads} x {head_dim}, dropout {probability}");
        let (kernel, oracle) = (body(crate::attention), body(crate::ops::attention::reference::attention));
        assert_matches(&what, &operands, 1e-5, &kernel, &oracle);
        if differentiate {
            assert_differentiates(&what, &operands, &oracle);
        }
    }

    #[test]
    fn awkward_lengths_match_the_reference() {
        for seq in [1, 2, 7, 8, 9, 63, 64, 65, 127, 128] {
            check("seq", [2, seq, 2, 8], &[seq, seq.div_ceil(2)], 0.0, false);
        }
        for seq in [511, 512] {
            check("seq", [1, seq, 1, 4], &[seq - 3], 0.1, false);
        }
    }

    #[test]
    fn heads_of_any_width_match_the_reference() {
        for head_dim in [1, 3, 4, 8, 16, 19, 32, 64, 128] {
            check("head_dim", [1, 10, 2, head_dim], &[10], 0.1, false);
        }
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        check("tiny", [1, 5, 2, 3], &[4], 0.0, true);
        check("tiny", [2, 3, 1, 4], &[3, 2], 0.3, true);
    }

    #[test]
    fn examples_without_any_token_give_zero() {
        check("padding", [3, 6, 2, 4], &[0, 6, 0], 0.2, false);
    }

    #[test]
    fn rows_shared_among_lanes_match_the_reference() {
        for (forced, head_dim) in
            [((8, 1, 2), 16), ((16, 1, 4), 32), ((16, 2, 4), 64), ((8, 2, 8), 64), ((16, 1, 2), 6)]
        {
            FORCED.set(Some(forced));
            check("lanes", [2, 21, 2, head_dim], &[21, 13], 0.1, false);
            FORCED.set(None);
        }
    }

    #[test]
    fn a_row_is_shared_among_as_few_lanes_as_hold_it() {
        use crate::ops::attention::gpu::{
            BACKWARD_KEY_ON_CARD as KEY, BACKWARD_QUERY_ON_CARD as QUERY, FORWARD_ON_CARD as FORWARD,
        };
        let of = |on_card: &OnCard, head_dim: usize, subgroup| {
            let width = if head_dim.is_multiple_of(4) { 4 } else { 1 };
            on_card.rows_and_lanes(head_dim / width, width, subgroup)
        };
        for subgroup in [Some(32), Some(64), Some(8)] {
            assert_eq!([&FORWARD, &QUERY, &KEY].map(|kernel| of(kernel, 64, subgroup)), [(2, 2), (2, 4), (1, 4)]);
            assert_eq!([&FORWARD, &QUERY, &KEY].map(|kernel| of(kernel, 128, subgroup)), [(2, 4), (2, 8), (1, 8)]);
        }
        assert_eq!(of(&FORWARD, 16, Some(32)), (2, 1));
        assert_eq!(of(&KEY, 19, Some(32)), (1, 1), "a prime number of values");
        assert_eq!(of(&FORWARD, 64, None), (1, 1), "no subgroups");
    }
}
