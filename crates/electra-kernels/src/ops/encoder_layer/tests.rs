//! The layer as one node of the graph against its operations.

#[cfg(not(target_family = "wasm"))]
mod gpu {
    use burn::tensor::{DType, Tensor, TensorData};

    use burn_wgpu::CubeTensor;

    use crate::check::testing::{Operands, assert_matches, device, download, error, operands, random, run, upload};
    use crate::gpu::instruments::assert_canaries;
    use crate::gpu::{Noise, rows, view};
    use crate::ops::attention::gpu::Pattern;
    use crate::ops::encoder_layer::{
        gpu::{Settings, backward, forward},
        reference,
    };
    use crate::{Dropout, EncoderLayer, LayerSettings, Visibility, launches, noise::NoiseKey};

    const BATCH: usize = 2;

    /// Every token, or those before.
    type Sight = fn(Tensor<2>) -> Visibility;
    const ALL: Sight = Visibility::all;
    const CAUSAL: Sight = |mask| Visibility::backwards(&mask);

    fn layer(operands: Vec<Tensor<2>>) -> (Tensor<2>, EncoderLayer) {
        let mut operands = operands.into_iter();
        let mut next = || operands.next().expect("seventeen operands");
        let flat = |x: Tensor<2>| {
            let [_, length] = x.dims();
            x.reshape([length])
        };
        let x = next();
        let mut dense = || (next(), flat(next()));
        let (query, key, value, attention_output) = (dense(), dense(), dense(), dense());
        let mut norm = || (flat(next()), flat(next()));
        let attention_layer_norm = norm();
        let mut dense = || (next(), flat(next()));
        let (intermediate, output) = (dense(), dense());
        let output_layer_norm = (flat(next()), flat(next()));
        let layer = EncoderLayer {
            query,
            key,
            value,
            attention_output,
            attention_layer_norm,
            intermediate,
            output,
            output_layer_norm,
        };
        (x, layer)
    }

    fn operands_of(seq: usize, hidden: usize, inner: usize) -> Operands {
        let (square, vector) = ([hidden, hidden], [1, hidden]);
        let mut shapes = vec![[BATCH * seq, hidden]];
        shapes.extend([square, vector].repeat(4));
        shapes.extend([vector; 2]);
        shapes.extend([[inner, hidden], [1, inner], [hidden, inner], vector, vector, vector]);
        operands(&shapes)
    }

    /// Sites of dropout with one probability, each with a key of its own.
    fn sites(probability: f64) -> [Option<Dropout<'static>>; 3] {
        [1, 2, 3].map(|site| Some(Dropout { probability, key: NoiseKey::new(8).child(site), examples: &[4, 9] }))
    }

    /// The first example's last two are padding.
    fn mask(seq: usize, like: &Tensor<2>) -> Tensor<2> {
        let mask: Vec<f32> = (0..BATCH * seq).map(|i| if i + 2 < seq || i >= seq { 1.0 } else { 0.0 }).collect();
        Tensor::<2>::from_data(TensorData::new(mask, [BATCH, seq]), &like.device()).cast(like.dtype())
    }

    fn body(
        run: impl Fn(Tensor<2>, &Visibility, &EncoderLayer, &LayerSettings<'_>) -> Tensor<2>,
        sight: Sight,
        seq: usize,
        heads: usize,
        probability: f64,
        recompute: bool,
    ) -> impl Fn(Vec<Tensor<2>>) -> Tensor<2> {
        move |operands| {
            let (x, layer) = layer(operands);
            let visibility = sight(mask(seq, &x));
            let settings = LayerSettings { heads, epsilon: 1e-12, recompute, dropout: sites(probability) };
            run(x, &visibility, &layer, &settings)
        }
    }

    /// The layer's operations in primitives, so that they run in f64.
    fn composed(
        x: Tensor<2>,
        visibility: &Visibility,
        layer: &EncoderLayer,
        settings: &LayerSettings<'_>,
    ) -> Tensor<2> {
        // f64 is no kernel's: every operation falls back to its reference body.
        reference::composed(x.clone(), x, visibility, layer, settings)
    }

    #[test]
    fn a_layer_is_its_operations_one_after_another() {
        let check = |sight, seq, heads, head_dim, inner, probability| {
            let operands = operands_of(seq, heads * head_dim, inner);
            let kernel = body(crate::encoder_layer, sight, seq, heads, probability, false);
            let oracle = body(composed, sight, seq, heads, probability, false);
            let what = format!("layer {seq}, {heads} heads of {head_dim}, {inner}, dropout {probability}");
            assert_matches(&what, &operands, 3e-5, &kernel, &oracle);
        };
        for (seq, heads, head_dim, inner) in [(1, 1, 4, 3), (5, 2, 3, 7), (17, 2, 8, 37), (40, 4, 16, 128)] {
            for probability in [0.0, 0.2] {
                check(ALL, seq, heads, head_dim, inner, probability);
            }
        }
        check(CAUSAL, 17, 2, 8, 37, 0.2);
    }

    #[test]
    fn a_layer_of_two_streams_is_its_operations_one_after_another() {
        let (queries, keys, hidden, heads) = (5, 17, 16, 2);
        let mut operands = operands_of(queries, hidden, 37);
        operands.insert(1, (random(55, BATCH * keys * hidden), [BATCH * keys, hidden]));
        type Cross = fn(Tensor<2>, Tensor<2>, &Visibility, &EncoderLayer, &LayerSettings<'_>) -> Tensor<2>;
        let body = |cross: Cross| {
            move |mut operands: Vec<Tensor<2>>| {
                let memory = operands.remove(1);
                let (x, layer) = layer(operands);
                let rows = |each: usize| {
                    let ranks: Vec<f32> = (0..BATCH * each).map(|i| (i % each % 4) as f32).collect();
                    Tensor::<2>::from_data(TensorData::new(ranks, [BATCH, each]), &x.device()).cast(x.dtype())
                };
                // The first query of each example sees nothing.
                let visibility = Visibility::ranked(&mask(keys, &x), rows(keys), rows(queries) - 1.0);
                let settings = LayerSettings { heads, epsilon: 1e-12, recompute: false, dropout: sites(0.2) };
                cross(x, memory, &visibility, &layer, &settings)
            }
        };
        assert_matches("two streams", &operands, 3e-5, &body(crate::cross_layer), &body(reference::composed));
    }

    #[test]
    fn projections_that_lie_together_are_one_product() {
        for sight in [ALL, CAUSAL] {
            joined_projections(sight);
        }
    }

    fn joined_projections(sight: Sight) {
        let Some(device) = device() else { return };
        let (seq, hidden, inner, heads) = (21, 64, 37, 4);
        let mut operands = operands_of(seq, hidden, inner).into_iter();
        let mut next = || operands.next().unwrap();
        let on = |(values, shape): (Vec<f64>, [usize; 2])| {
            let array = upload(&device, &values, shape);
            if shape[0] == 1 { view(&array, 0, 0, [shape[1]]) } else { array }
        };
        let x = on(next());
        // Query, key and value come first, weights and biases in turns.
        let projections: Vec<_> = (0..6).map(|_| next()).collect();
        let rest: Vec<CubeTensor> = std::iter::from_fn(|| operands.next()).map(on).collect();
        let gradient = upload(&device, &random(77, BATCH * seq * hidden), [BATCH * seq, hidden]);
        let settings = Settings {
            pattern: Pattern::new(&sight(Tensor::ones([BATCH, seq], &device))),
            heads,
            epsilon: 1e-12,
            recompute: false,
            noise: sites(0.2).map(|site| Noise::new(site.as_ref())),
        };
        let run = |projections: Vec<CubeTensor>| {
            let p = [projections, rest.clone()].concat();
            let (results, launched) = launches::record(|| {
                let (y, kept) = forward(&x, &p, &settings);
                let mut results = backward(&x, &p, &settings, kept, &gradient);
                results.push(y);
                results
            });
            let products = launched.iter().filter(|name| name.contains("product")).count();
            (results.into_iter().map(download).collect::<Vec<_>>(), products)
        };
        let (apart, products_apart) = run(projections.iter().cloned().map(on).collect());
        let joined = |at: usize| {
            let values = [0, 2, 4].iter().flat_map(|part| projections[part + at].0.clone()).collect::<Vec<_>>();
            let rows = values.len() / hidden;
            (upload(&device, &values, [rows, hidden]), rows / 3)
        };
        let ((weights, count), (biases, _)) = (joined(0), joined(1));
        let part = |i: usize| [rows(&weights, i * count, count), view(&biases, i * hidden, (2 - i) * hidden, [hidden])];
        let (together, products_together) = run([0, 1, 2].into_iter().flat_map(part).collect());
        // Each three: forward, the parameters' gradients, the input's gradient.
        assert_eq!(products_together + 6, products_apart);
        for (i, (found, expected)) in together.iter().zip(&apart).enumerate() {
            let error = error(found, expected);
            assert!(error < 3e-6, "result {i}: {error}");
        }
        assert_canaries("one projection");
    }

    #[test]
    fn recomputing_changes_no_bit() {
        let Some(device) = device() else { return };
        let operands = operands_of(17, 16, 37);
        for sight in [ALL, CAUSAL] {
            let body = |recompute| body(crate::encoder_layer, sight, 17, 2, 0.2, recompute);
            let kept = run(&device, DType::F32, &operands, &body(false));
            let again = run(&device, DType::F32, &operands, &body(true));
            assert!(kept == again);
        }
        assert_canaries("recompute");
    }
}
