//! One operation each: its result and its gradients.

use burn::tensor::{Device, Tensor, TensorData};

use super::case::{Asked, Case, Extent, derivatives, differentiate, ids, sizes};
use crate::gpu;
use crate::noise::NoiseKey;
use crate::ops::attention::attention;
use crate::ops::corrupt::corrupt;
use crate::ops::dropout::dropout;
use crate::ops::embedding::embeddings;
use crate::ops::gather::gather_positions;
use crate::ops::layer_norm::add_layer_norm;
use crate::ops::linear::linear;
use crate::ops::linear_gelu::linear_gelu;
use crate::ops::mlm_loss::mlm_loss;
use crate::ops::rtd_loss::rtd_loss;
use crate::ops::token_log_probabilities::token_log_probabilities;
use crate::read::Reads;
use crate::types::{dropout::Dropout, kernel::Kernel, table::Table, visibility::Visibility};

pub(super) fn cases(device: &Device, extent: Extent) -> Vec<Case> {
    let mut cases = Vec::new();
    // What a software adapter compiles for many seconds it shows when somebody asks for all.
    let is_quick = extent == Extent::Short && gpu::is_software(&gpu::probe(device));
    for [rows, inputs, outputs, gelu] in sizes(
        extent,
        &[[33, 37, 19, 0], [67, 64, 132, 1]],
        &[[1, 1, 1, 0], [128, 256, 256, 0], [700, 128, 512, 1], [65, 512, 1, 0]],
    ) {
        let layer = if gelu == 1 { linear_gelu } else { linear };
        let name = if gelu == 1 { "gelu_linear" } else { "linear" };
        cases.push(Case::new(Kernel::Linear, format!("{name} {rows} x {inputs} -> {outputs}"), move |device| {
            differentiate(device, &[[rows, inputs], [outputs, inputs], [1, outputs]], |operands, _| {
                let [x, weight, bias] = operands.try_into().expect("three operands");
                layer(x, weight, bias.reshape([outputs]))
            })
        }));
    }
    for [batch, seq, heads, head_dim] in sizes(
        extent,
        &[[2, 13, 2, 12], [1, 65, 1, 64]],
        &[[1, 1, 1, 1], [2, 65, 4, 32], [1, 128, 2, 64], [1, 512, 1, 16], [1, 9, 1, 128]],
    ) {
        if is_quick && head_dim == 64 {
            continue;
        }
        let name = format!("attention {batch} x {seq}, {heads} heads of {head_dim}, dropout");
        cases.push(Case::new(Kernel::Attention, name, move |device| {
            let hidden = heads * head_dim;
            let examples: Vec<u32> = (7..7 + batch as u32).collect();
            let site = Dropout { probability: 0.1, key: NoiseKey::new(3), examples: &examples };
            let mask: Vec<f32> =
                (0..batch * seq).map(|i| if i / seq == 1 && i % seq > seq / 2 { 0.0 } else { 1.0 }).collect();
            differentiate(device, &[[batch * seq, hidden]; 3], |operands, device| {
                let [q, k, v] = operands.try_into().expect("three operands");
                let mask = Tensor::from_data(TensorData::new(mask.clone(), [batch, seq]), device);
                attention(q, k, v, &Visibility::all(mask), heads, Some(&site))
            })
        }));
    }
    for [batch, queries, keys, heads, head_dim] in
        sizes(extent, &[[2, 5, 13, 2, 12]], &[[1, 1, 65, 2, 16], [2, 70, 33, 1, 8], [3, 9, 4, 1, 5]])
    {
        let name = format!("attention, ranked, {batch} x {queries} of {keys}, {heads} heads of {head_dim}, dropout");
        cases.push(Case::new(Kernel::Attention, name, move |device| {
            let hidden = heads * head_dim;
            let examples: Vec<u32> = (7..7 + batch as u32).collect();
            let site = Dropout { probability: 0.1, key: NoiseKey::new(3), examples: &examples };
            // Ranks with ties, all above the third query's limit; the second example's last keys are padding.
            let of = |columns: usize, value: &dyn Fn(usize, usize) -> usize| -> Vec<f32> {
                (0..batch * columns).map(|i| value(i / columns, i % columns) as f32).collect()
            };
            let mask = of(keys, &|example, key| usize::from(example != 1 || key <= keys / 2));
            let ranks = of(keys, &|_, key| 1 + key * 5 % 7);
            let limits = of(queries, &|_, query| (query * 5 + 6) % 8);
            let shapes = [[batch * queries, hidden], [batch * keys, hidden], [batch * keys, hidden]];
            differentiate(device, &shapes, |operands, device| {
                let [q, k, v] = operands.try_into().expect("three operands");
                let on = |values: &Vec<f32>, columns: usize| {
                    Tensor::<2>::from_data(TensorData::new(values.clone(), [batch, columns]), device)
                };
                let visibility = Visibility::ranked(&on(&mask, keys), on(&ranks, keys), on(&limits, queries));
                attention(q, k, v, &visibility, heads, Some(&site))
            })
        }));
    }
    for [examples, per_example, hidden] in sizes(extent, &[[3, 5, 37]], &[[1, 1, 3], [2, 64, 256], [2, 9, 1024]]) {
        let name = format!("add_layer_norm {examples} x {per_example} x {hidden}, dropout");
        cases.push(Case::new(Kernel::LayerNorm, name, move |device| {
            let numbers: Vec<u32> = (0..examples as u32).collect();
            let site = Dropout { probability: 0.1, key: NoiseKey::new(4), examples: &numbers };
            let rows = examples * per_example;
            let shapes = [[rows, hidden], [rows, hidden], [1, hidden], [1, hidden]];
            differentiate(device, &shapes, |operands, _| {
                let [x, branch, gamma, beta] = operands.try_into().expect("four operands");
                add_layer_norm(x, branch, Some(&site), gamma.reshape([hidden]), beta.reshape([hidden]), 1e-12)
            })
        }));
        let name = format!("dropout {examples} x {per_example} x {hidden}");
        cases.push(Case::new(Kernel::Dropout, name, move |device| {
            let numbers: Vec<u32> = (0..examples as u32).collect();
            let site = Dropout { probability: 0.5, key: NoiseKey::new(5), examples: &numbers };
            let shape = [examples * per_example, hidden];
            differentiate(device, &[shape], |operands, _| dropout(operands[0].clone(), Some(&site)))
        }));
    }
    for [batch, seq, vocab, width] in sizes(extent, &[[2, 9, 99, 5]], &[[3, 128, 2048, 64], [1, 1, 1, 1]]) {
        let name = format!("embeddings {batch} x {seq}, vocabulary {vocab} x {width}");
        cases.push(Case::new(Kernel::Embedding, name, move |device| {
            differentiate(device, &[[vocab, width], [seq, width], [2, width]], |operands, device| {
                let [words, positions, types] = operands.try_into().expect("three operands");
                embeddings(words, positions, types, &ids(batch, seq, vocab, device), &ids(batch, seq, 2, device))
            })
        }));
        let name = format!("embeddings {batch} x {seq}, vocabulary 64 + {vocab} x {width}");
        cases.push(Case::new(Kernel::Embedding, name, move |device| {
            let shapes = [[64, width], [vocab, width], [seq, width], [2, width]];
            differentiate(device, &shapes, |operands, device| {
                let [first, rest, positions, types] = operands.try_into().expect("four operands");
                let words = Table::new(vec![first, rest]);
                let ids_of = |below| ids(batch, seq, below, device);
                embeddings(words, positions, types, &ids_of(64 + vocab), &ids_of(2))
            })
        }));
        let name = format!("gather and corrupt {batch} x {seq} x {width}");
        cases.push(Case::new(Kernel::Embedding, name, move |device| {
            let masked = seq.div_ceil(6);
            let arrays = derivatives(device, &[[batch * seq, width]], |operands, device| {
                gather_positions(operands[0].clone(), &ids(batch, masked, seq, device), seq)
            });
            let weights = Tensor::<2>::ones([batch, masked], device);
            let (positions, samples) = (ids(batch, masked, seq, device), ids(batch, masked, vocab, device));
            let (corrupted, is_replaced) = corrupt(&ids(batch, seq, vocab, device), &positions, &weights, &samples);
            let mut reads = Reads::default();
            for array in &arrays {
                reads.floats(array);
            }
            reads.ints(&corrupted);
            reads.floats(&is_replaced);
            Ok(Asked::of(reads))
        }));
    }
    for [rows, width, vocab] in sizes(extent, &[[10, 16, 99]], &[[152, 64, 2048], [2, 3, 5]]) {
        cases.push(Case::new(Kernel::ElectraLoss, format!("mlm_loss {rows} x {width} x {vocab}"), move |device| {
            differentiate(device, &[[rows, width], [vocab, width], [1, vocab]], |operands, device| {
                let [hidden, table, bias] = operands.try_into().expect("three operands");
                let weights: Vec<f32> = (0..rows).map(|row| f32::from(row % 3 != 2)).collect();
                let weights = Tensor::from_data(TensorData::new(weights, [rows]), device);
                let targets = ids(1, rows, vocab, device).reshape([rows]);
                mlm_loss(hidden, table, bias.reshape([vocab]), targets, weights, 7.0, None).loss.reshape([1, 1])
            })
        }));
        let name = format!("token_log_probabilities {rows} x {width} x {vocab}");
        cases.push(Case::new(Kernel::ElectraLoss, name, move |device| {
            differentiate(device, &[[rows, width], [vocab, width], [1, vocab]], |operands, device| {
                let [hidden, table, bias] = operands.try_into().expect("three operands");
                let targets = ids(1, rows, vocab, device).reshape([rows]);
                token_log_probabilities(hidden, table, bias.reshape([vocab]), targets).reshape([rows, 1])
            })
        }));
        cases.push(Case::new(Kernel::ElectraLoss, format!("rtd_loss {rows} x {width}"), move |device| {
            differentiate(device, &[[rows, width]], |operands, device| {
                let labels: Vec<f32> = (0..rows * width).map(|i| f32::from(i % 7 == 0)).collect();
                let labels = Tensor::from_data(TensorData::new(labels, [rows, width]), device);
                rtd_loss(operands[0].clone() * 9.0, labels, Tensor::ones([rows, width], device), 11.0).reshape([1, 1])
            })
        }));
    }
    cases
}
