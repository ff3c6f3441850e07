//! Attention of one text to look at: probabilities of queries and keys, on the host. The kernels never write them down.

/// Softmax over keys of `queries keys^T / sqrt(head size)`, appended to `maps` as `[head][query][key]`. Both are `[tokens, hidden]`, row-major.
pub(crate) fn append_probabilities(queries: &[f32], keys: &[f32], tokens: usize, heads: usize, maps: &mut Vec<f32>) {
    let hidden = queries.len() / tokens;
    let size = hidden / heads;
    let scale = 1.0 / (size as f32).sqrt();
    let of_head = |row: usize, head: usize| row * hidden + head * size..row * hidden + (head + 1) * size;
    for head in 0..heads {
        for query in 0..tokens {
            let query = &queries[of_head(query, head)];
            let score = |key: usize| -> f32 {
                scale * query.iter().zip(&keys[of_head(key, head)]).map(|(q, k)| q * k).sum::<f32>()
            };
            let scores: Vec<f32> = (0..tokens).map(score).collect();
            let greatest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let weights: Vec<f32> = scores.iter().map(|score| (score - greatest).exp()).collect();
            let total: f32 = weights.iter().sum();
            maps.extend(weights.iter().map(|weight| weight / total));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};
    use electra_kernels::{Visibility, attention, read};

    use super::*;

    #[test]
    fn probabilities_are_those_that_the_kernel_weighs_values_with() {
        let (tokens, heads, size) = (5, 2, 4);
        let hidden = heads * size;
        let values =
            |seed: usize| -> Vec<f32> { (0..tokens * hidden).map(|i| ((i * 7 + seed) as f32).sin()).collect() };
        let [queries, keys, of_tokens] = [values(1), values(2), values(3)];
        let mut maps = Vec::new();
        append_probabilities(&queries, &keys, tokens, heads, &mut maps);
        assert_eq!(maps.len(), heads * tokens * tokens);

        let device = Device::flex();
        let on = |values: &[f32]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [tokens, hidden]), &device);
        let all = Visibility::all(Tensor::ones([1, tokens], &device));
        let found = attention(on(&queries), on(&keys), on(&of_tokens), &all, heads, None);
        let found = read::floats(&found).unwrap();
        for (place, found) in found.iter().enumerate() {
            let (query, head) = (place / hidden, place % hidden / size);
            let row = &maps[(head * tokens + query) * tokens..][..tokens];
            let weighed: f32 = (0..tokens).map(|key| row[key] * of_tokens[key * hidden + place % hidden]).sum();
            assert!((found - weighed).abs() < 1e-5, "{place}: {found} {weighed}");
        }
    }
}
