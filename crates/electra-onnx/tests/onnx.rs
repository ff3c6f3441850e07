//! What is written, run by somebody else's runtime (rten) and held against the golden values that PyTorch computed.
//!
//! onnxruntime's own answer, on more shapes, is `tests/fixtures/compare_onnx.py`, which runs by hand.

use std::path::{Path, PathBuf};

use electra_onnx::{Network, OnnxError, Precision, Tensor, encode};
use rten::{Model, Value};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value as Json;

/// Names and values of a fixture's file; integers as f32, which holds them exactly.
type Values = Vec<(String, Vec<usize>, Vec<f32>)>;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

fn values_of(path: &Path) -> Values {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |dtype, data: &[u8]| -> Vec<f32> {
        let words = data.as_chunks::<4>().0.iter();
        match dtype {
            Dtype::F32 => words.map(|word| f32::from_le_bytes(*word)).collect(),
            Dtype::I32 => words.map(|word| i32::from_le_bytes(*word) as f32).collect(),
            other => panic!("{other:?}"),
        }
    };
    let mut all: Values = file
        .iter()
        .map(|(name, view)| (name.to_owned(), view.shape().to_vec(), values(view.dtype(), view.data())))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn find<'v>(values: &'v Values, name: &str) -> &'v [f32] {
    &values.iter().find(|(known, ..)| known == name).unwrap_or_else(|| panic!("no {name}")).2
}

/// A folder's network: configuration and tensors.
struct Folder {
    config: Json,
    tensors: Values,
}

impl Folder {
    fn open(path: &str) -> Self {
        let folder = fixtures().join(path);
        let config = serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
        Self { config, tensors: values_of(&folder.join("model.safetensors")) }
    }

    fn network<'f>(&'f self, class: &'f str) -> Network<'f> {
        Network {
            class,
            layers: self.config["num_hidden_layers"].as_u64().unwrap() as usize,
            heads: self.config["num_attention_heads"].as_u64().unwrap() as usize,
            layer_norm_eps: self.config["layer_norm_eps"].as_f64().unwrap(),
            tensors: self.tensors.iter().map(|(name, shape, values)| Tensor { name, shape, values }).collect(),
        }
    }

    fn own_class(&self) -> &str {
        self.config["architectures"][0].as_str().unwrap()
    }

    fn model(&self, class: &str, precision: Precision) -> Model {
        Model::load(encode(&self.network(class), precision).unwrap()).unwrap()
    }
}

struct Batch {
    rows: usize,
    ids: Vec<i32>,
    mask: Vec<i32>,
    types: Vec<i32>,
}

impl Batch {
    /// The batch of a golden file: padding and two segments in it.
    fn golden(golden: &Values) -> Self {
        let integers = |name: &str| find(golden, name).iter().map(|&value| value as i32).collect();
        Self {
            rows: 3,
            ids: integers("in.input_ids"),
            mask: integers("in.attention_mask"),
            types: integers("in.token_type_ids"),
        }
    }

    fn single(ids: &[i32]) -> Self {
        Self { rows: 1, ids: ids.to_vec(), mask: vec![1; ids.len()], types: vec![0; ids.len()] }
    }

    /// Every output, flat, in the file's order.
    fn run(&self, model: &Model) -> Vec<Vec<f32>> {
        let shape = [self.rows, self.ids.len() / self.rows];
        let input = |name: &str, values: &Vec<i32>| {
            (model.node_id(name).unwrap(), NdTensor::from_data(shape, values.clone()).into())
        };
        let inputs = vec![
            input("input_ids", &self.ids),
            input("attention_mask", &self.mask),
            input("token_type_ids", &self.types),
        ];
        let flat = |value: Value| value.into_tensor::<f32>().expect("f32").to_vec();
        model.run(inputs, model.output_ids(), None).unwrap().into_iter().map(flat).collect()
    }
}

/// Values of float64, rounded; the same in float32 strays by 2e-5 + 1e-5 |x| (tests/fixtures/README.md), and a runtime that sums in
/// another order by a little more.
fn assert_golden(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= 4e-5 + 2e-5 * expected.abs(), "{what}[{i}]: {found}, expected {expected}");
    }
}

#[test]
fn networks_of_pre_training_give_the_golden_values() {
    for shape in ["tiny_proj", "tiny_noproj"] {
        let golden = values_of(&fixtures().join(shape).join("forward.safetensors"));
        let batch = Batch::golden(&golden);
        let padding: Vec<bool> = batch.mask.iter().map(|&mask| mask == 0).collect();
        assert!(padding.contains(&true), "the batch must have padding to show it");
        for (role, class, output) in [
            ("discriminator", "ElectraForPreTraining", "out.disc_logits"),
            ("discriminator", "ElectraModel", "out.disc_last_hidden"),
            ("generator", "ElectraForMaskedLM", "out.gen_logits"),
            ("generator", "ElectraModel", "out.gen_last_hidden"),
        ] {
            let model = Folder::open(&format!("{shape}/{role}")).model(class, Precision::F32);
            let [found] = batch.run(&model).try_into().unwrap();
            assert_golden(&found, find(&golden, output), &format!("{shape} {class}"));
        }
    }
}

#[test]
fn heads_of_fine_tuning_give_the_golden_values() {
    for (head, outputs) in [("seq_cls", &["out.logits"][..]), ("qa", &["out.start_logits", "out.end_logits"])] {
        let golden = values_of(&fixtures().join("heads").join(head).join("golden.safetensors"));
        let folder = Folder::open(&format!("heads/{head}"));
        let found = Batch::golden(&golden).run(&folder.model(folder.own_class(), Precision::F32));
        assert_eq!(found.len(), outputs.len());
        for (found, output) in found.iter().zip(outputs) {
            assert_golden(found, find(&golden, output), output);
        }
    }
}

/// A dense layer of 3 labels on the hidden states of `tiny_noproj`: the paper's head reads [CLS], that of tokens reads all.
#[test]
fn the_papers_head_and_a_tokens_head_are_one_dense_layer() {
    let golden = values_of(&fixtures().join("tiny_noproj/forward.safetensors"));
    let mut folder = Folder::open("tiny_noproj/discriminator");
    let (labels, hidden) = (3, 32);
    let weight: Vec<f32> = (0..labels * hidden).map(|i| ((i * 37 % 101) as f32 - 50.0) / 500.0).collect();
    let bias = vec![0.25, -0.5, 1.0];
    let states = find(&golden, "out.disc_last_hidden");
    let dense = |state: &[f32], label: usize| -> f32 {
        let row = &weight[label * hidden..][..hidden];
        bias[label] + row.iter().zip(state).map(|(a, b)| a * b).sum::<f32>()
    };
    let mut logits = Vec::new();
    for state in states.chunks(hidden) {
        logits.extend((0..labels).map(|label| dense(state, label)));
    }
    folder.tensors.push(("classifier.weight".into(), vec![labels, hidden], weight));
    folder.tensors.push(("classifier.bias".into(), vec![labels], bias));
    let batch = Batch::golden(&golden);
    let tokens = folder.model("ElectraForTokenClassification", Precision::F32);
    assert_golden(&batch.run(&tokens)[0], &logits, "tokens");
    let first: Vec<f32> = logits.chunks(labels).step_by(16).flatten().copied().collect();
    let sequences = folder.model("ElectraForSequenceClassification", Precision::F32);
    assert_golden(&batch.run(&sequences)[0], &first, "sequences");
}

#[test]
fn batch_and_sequence_have_any_length_and_padding_changes_nothing() {
    let folder = Folder::open("tiny_proj/discriminator");
    for precision in [Precision::F32, Precision::Int8] {
        let model = folder.model("ElectraForPreTraining", precision);
        for length in [1, 2, 7, 40] {
            let ids: Vec<i32> = (0..length).map(|i| 5 + i * 13 % 90).collect();
            let alone = Batch::single(&ids).run(&model).remove(0);
            assert_eq!(alone.len(), ids.len());
            if length == 40 {
                continue;
            }
            // The same ids twice, with two columns of padding that hold words; the second row shows that rows do not meet.
            let padded = |tail: [i32; 2]| ids.iter().copied().chain(tail).collect::<Vec<i32>>();
            let row = |tail| [vec![1; ids.len()], vec![tail; 2]].concat();
            let batch = Batch {
                rows: 2,
                ids: [padded([7, 98]), padded([50, 3])].concat(),
                mask: [row(0), row(0)].concat(),
                types: vec![0; 2 * (ids.len() + 2)],
            };
            let found = batch.run(&model).remove(0);
            for row in found.chunks(ids.len() + 2) {
                match precision {
                    Precision::F32 => assert_golden(&row[..ids.len()], &alone, "padded"),
                    // Scales of activations are those of the whole batch, padding included.
                    Precision::Int8 => assert!(row.iter().all(|logit| logit.is_finite())),
                }
            }
        }
    }
}

#[test]
fn a_causal_network_sees_nothing_of_what_comes_later() {
    let folder = Folder::open("tiny_proj/generator");
    let (causal, masked) =
        ["ElectraForCausalLM", "ElectraForMaskedLM"].map(|class| folder.model(class, Precision::F32)).into();
    let ids = [2, 17, 44, 81, 9, 30];
    let mut other = ids;
    other[4..].copy_from_slice(&[60, 61]);
    let [one, two] = [ids, other].map(|ids| Batch::single(&ids).run(&causal).remove(0));
    let words = one.len() / ids.len();
    assert_eq!(one[..4 * words], two[..4 * words]);
    assert_ne!(one[4 * words..], two[4 * words..]);
    // The last token sees all others in one layer, causal or not: this generator has one.
    let all = Batch::single(&ids).run(&masked).remove(0);
    assert_golden(&one[5 * words..], &all[5 * words..], "the last token");
    assert_ne!(one[..words], all[..words]);
}

#[test]
fn eight_bits_stay_near_the_golden_values_and_take_a_quarter() {
    for (path, class, output) in [
        ("tiny_proj/discriminator", "ElectraModel", "out.disc_last_hidden"),
        ("tiny_noproj/discriminator", "ElectraForPreTraining", "out.disc_logits"),
        ("tiny_proj/generator", "ElectraForMaskedLM", "out.gen_logits"),
    ] {
        let shape = path.split('/').next().unwrap();
        let golden = values_of(&fixtures().join(shape).join("forward.safetensors"));
        let folder = Folder::open(path);
        let found = Batch::golden(&golden).run(&folder.model(class, Precision::Int8)).remove(0);
        let expected = find(&golden, output);
        let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>().sqrt();
        let error = norm(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / norm(&mut expected.iter().copied());
        assert!((1e-6..0.05).contains(&error), "{path} {class}: relative error {error}");
    }
    // Of a table that is most of a network, one byte a value and its scales are left.
    let mut folder = Folder::open("tiny_proj/generator");
    let rows = 20_000;
    for (name, shape, values) in &mut folder.tensors {
        if name.ends_with("word_embeddings.weight") || name == "generator_lm_head.bias" {
            shape[0] = rows;
            let columns = shape.get(1).copied().unwrap_or(1);
            *values = values.iter().copied().cycle().take(rows * columns).collect();
        }
    }
    let network = folder.network("ElectraForMaskedLM");
    let [whole, eight] = [Precision::F32, Precision::Int8].map(|precision| encode(&network, precision).unwrap().len());
    let table = rows * 16;
    assert!(whole - eight > 4 * table - table - 4 * rows - 10_000, "{whole} bytes, {eight} in int8");
}

#[test]
fn equal_networks_give_equal_bytes() {
    let folder = Folder::open("tiny_proj/discriminator");
    let network = folder.network("ElectraForPreTraining");
    for precision in [Precision::F32, Precision::Int8] {
        assert_eq!(encode(&network, precision).unwrap(), encode(&network, precision).unwrap());
    }
}

#[test]
fn what_cannot_be_written_is_named() {
    let folder = Folder::open("tiny_proj/discriminator");
    let mut network = folder.network("ElectraForPreTraining");
    let name = "electra.encoder.layer.1.output.dense.weight";
    let place = network.tensors.iter().position(|tensor| tensor.name == name).unwrap();
    let values = network.tensors.remove(place);
    for precision in [Precision::F32, Precision::Int8] {
        assert_eq!(encode(&network, precision), Err(OnnxError::Missing { name: name.to_owned() }));
    }
    network.tensors.push(Tensor { shape: &values.shape[..1], ..values });
    assert!(matches!(encode(&network, Precision::F32), Err(OnnxError::Shape { .. })));
    let message = encode(&folder.network("ElectraForMultipleChoice"), Precision::F32).unwrap_err().to_string();
    assert!(message.contains("ElectraForMultipleChoice") && message.contains("ElectraForPreTraining"), "{message}");
}
