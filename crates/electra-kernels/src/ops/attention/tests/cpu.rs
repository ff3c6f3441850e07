//! The body for the CPU.

use burn::tensor::Tensor;

use super::{Attention, Sight, Sizes, assert_no_leak, ranked, square};
use crate::noise::NoiseKey;
use crate::{
    Dropout,
    cpu::testing::{assert_same_bits, error, host, leaf, plain, random, wide},
    ops::attention::reference,
};

/// Every pattern at sizes that no vector divides.
fn all_sizes() -> Vec<Sizes> {
    let seqs =
        [[1, 1, 1, 8], [2, 7, 3, 8], [1, 16, 2, 4], [3, 65, 2, 8], [2, 64, 1, 37], [2, 33, 4, 64], [1, 130, 2, 16]];
    let mut all = seqs.map(|sizes| square(Sight::All, sizes)).to_vec();
    for sizes in [[1, 1, 1, 8], [2, 7, 3, 8], [3, 65, 2, 8]] {
        all.extend([Sight::Backwards, Sight::Forwards, Sight::Ranks].map(|sight| square(sight, sizes)));
    }
    all.extend([[2, 5, 13, 2, 8], [1, 1, 65, 1, 4], [3, 33, 1, 2, 5], [2, 70, 33, 1, 16]].map(ranked));
    all
}

/// The last example all padding, the others with padding at the end; `[batch, keys]`.
fn padded(Sizes { batch, keys, .. }: Sizes) -> Vec<f32> {
    let keeps = |example: usize, place: usize| example + 1 < batch && place < (keys - example * keys / 4).max(1);
    (0..batch * keys).map(|index| f32::from(u8::from(keeps(index / keys, index % keys)))).collect()
}

fn site(probability: f64, examples: &[u32]) -> Dropout<'_> {
    Dropout { probability, key: NoiseKey::new(5), examples }
}

/// Output and the gradients of queries, keys and values.
fn run(sizes: Sizes, mask: &[f32], probability: f64, spread: f32, attention: Attention) -> Vec<Vec<f32>> {
    let shapes = sizes.shapes();
    let examples: Vec<u32> = (0..sizes.batch as u32).map(|example| 7 * example).collect();
    let dropout = site(probability, &examples);
    let input = |index: usize, factor: f32| {
        let values = random(index as u64 + 1, shapes[index].iter().product());
        leaf::<2>(&values.iter().map(|x| x * factor).collect::<Vec<_>>(), shapes[index])
    };
    let [q, k, v] = [input(0, spread), input(1, spread), input(2, 1.0)];
    let visibility = sizes.visibility(plain(mask, [sizes.batch, sizes.keys]));
    let y = attention(q.clone(), k.clone(), v.clone(), &visibility, sizes.heads, Some(&dropout));
    let upstream = plain(&random(4, shapes[0].iter().product()), shapes[0]);
    let gradients = (y.clone() * upstream).sum().backward();
    let [q, k, v] = [q, k, v].map(|x| host(x.grad(&gradients).unwrap()));
    vec![host(y), q, k, v]
}

/// The same in f64.
fn exact(sizes: Sizes, mask: &[f32], probability: f64, spread: f32) -> Vec<Vec<f64>> {
    let Sizes { batch, queries, keys, heads, head_dim, .. } = sizes;
    let [of_queries, of_keys, _] = sizes.shapes().map(|shape| shape.iter().product::<usize>());
    let examples: Vec<u32> = (0..batch as u32).map(|example| 7 * example).collect();
    let factors = wide(&site(probability, &examples).factors(heads * queries * keys));
    let spread = |values: Vec<f32>| -> Vec<f64> { values.iter().map(|x| f64::from(x * spread)).collect() };
    let (q, k) = (spread(random(1, of_queries)), spread(random(2, of_keys)));
    let (v, upstream) = (wide(&random(3, of_keys)), wide(&random(4, of_queries)));
    let mut results = [of_queries, of_queries, of_keys, of_keys].map(|length| vec![0.0; length]).to_vec();
    let scale = 1.0 / (head_dim as f64).sqrt();
    for example in 0..batch {
        for head in 0..heads {
            let column = |d: usize| head * head_dim + d;
            let at_query = |query: usize, d: usize| (example * queries + query) * sizes.hidden() + column(d);
            let at_key = |key: usize, d: usize| (example * keys + key) * sizes.hidden() + column(d);
            for query in 0..queries {
                let seen: Vec<usize> =
                    (0..keys).filter(|&key| mask[example * keys + key] > 0.0 && sizes.sees(query, key)).collect();
                let dot = |key| (0..head_dim).map(|d| q[at_query(query, d)] * k[at_key(key, d)]).sum::<f64>() * scale;
                let scores: Vec<f64> = seen.iter().map(|&key| dot(key)).collect();
                let highest = scores.iter().fold(f64::MIN, |a, &b| a.max(b));
                let sum: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
                let p: Vec<f64> = scores.iter().map(|score| (score - highest).exp() / sum).collect();
                let factor = |key| factors[((example * heads + head) * queries + query) * keys + key];
                let of_probability = |&key: &usize| {
                    let dot = (0..head_dim).map(|d| upstream[at_query(query, d)] * v[at_key(key, d)]).sum::<f64>();
                    factor(key) * dot
                };
                let dp: Vec<f64> = seen.iter().map(of_probability).collect();
                let delta: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
                for ((&key, &p), &dp) in seen.iter().zip(&p).zip(&dp) {
                    for d in 0..head_dim {
                        results[0][at_query(query, d)] += p * factor(key) * v[at_key(key, d)];
                        results[1][at_query(query, d)] += scale * p * (dp - delta) * k[at_key(key, d)];
                        results[2][at_key(key, d)] += scale * p * (dp - delta) * q[at_query(query, d)];
                        results[3][at_key(key, d)] += p * factor(key) * upstream[at_query(query, d)];
                    }
                }
            }
        }
    }
    results
}

#[test]
fn agrees_with_f64_and_with_the_reference() {
    for sizes in all_sizes() {
        for probability in [0.0, 0.1, 0.5] {
            for mask in [vec![1.0; sizes.batch * sizes.keys], padded(sizes)] {
                let found = run(sizes, &mask, probability, 1.0, crate::attention);
                let reference: Vec<_> =
                    run(sizes, &mask, probability, 1.0, reference::attention).iter().map(|x| wide(x)).collect();
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
    let mask = [vec![1.0; 9], vec![0.0; 9]].concat();
    for sight in [Sight::All, Sight::Backwards, Sight::Ranks] {
        for result in run(square(sight, [2, 9, 2, 8]), &mask, 0.1, 1.0, crate::attention) {
            assert!(result[9 * 16..].iter().all(|&x| x == 0.0));
            assert!(result[..9 * 16].iter().any(|&x| x != 0.0));
        }
    }
}

#[test]
fn a_query_that_sees_nothing_gives_nothing_and_takes_nothing() {
    let sizes = ranked([2, 4, 9, 2, 8]);
    let found = run(sizes, &[1.0; 18], 0.1, 1.0, crate::attention);
    for of_queries in &found[..2] {
        for (query, row) in of_queries.chunks_exact(sizes.hidden()).enumerate() {
            assert_eq!(row.iter().all(|&x| x == 0.0), query % 4 == 2, "query {query}");
        }
    }
}

#[test]
fn what_a_query_does_not_see_changes_no_bit_of_it() {
    let all = [Sight::All, Sight::Backwards, Sight::Forwards].map(|sight| square(sight, [2, 21, 2, 8]));
    for sizes in all.into_iter().chain([ranked([2, 12, 21, 2, 8])]) {
        assert_no_leak(sizes, |values| {
            let shapes = sizes.shapes();
            let [q, k, v] = [0, 1, 2].map(|index| plain::<2>(&values[index], shapes[index]));
            let visibility = sizes.visibility(plain(&vec![1.0; sizes.batch * sizes.keys], [sizes.batch, sizes.keys]));
            host(crate::attention(q, k, v, &visibility, sizes.heads, None))
        });
    }
}

#[test]
fn extreme_scores_stay_numbers() {
    for sight in [Sight::All, Sight::Backwards] {
        let sizes = square(sight, [2, 17, 2, 8]);
        let found = run(sizes, &padded(sizes), 0.1, 1e4, crate::attention);
        assert!(found.iter().flatten().all(|x| x.is_finite()));
        // Scores of 1e8 in f32 leave their order alone: values only.
        assert!(error(&found[0], &exact(sizes, &padded(sizes), 0.1, 1e4)[0], 1e-2) < 1e-3);
    }
}

#[test]
fn without_a_graph_the_values_are_the_same() {
    for sizes in [square(Sight::All, [3, 20, 2, 8]), ranked([3, 7, 20, 2, 8])] {
        let (mask, shapes) = (padded(sizes), sizes.shapes());
        let [q, k, v] = [0, 1, 2].map(|index: usize| {
            plain::<2>(&random(index as u64 + 1, shapes[index].iter().product()), shapes[index]).inner()
        });
        let visibility = sizes.visibility(plain(&mask, [sizes.batch, sizes.keys]).inner());
        let y: Tensor<2> = crate::attention(q, k, v, &visibility, sizes.heads, None);
        assert_eq!(host(y), run(sizes, &mask, 0.0, 1.0, crate::attention)[0]);
    }
}

#[test]
fn threads_change_no_bit() {
    for sizes in [square(Sight::All, [4, 100, 4, 32]), ranked([4, 40, 100, 4, 32])] {
        assert_same_bits(|| run(sizes, &padded(sizes), 0.1, 1.0, crate::attention));
    }
}
