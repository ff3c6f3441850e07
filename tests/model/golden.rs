//! Golden numbers from PyTorch, of every model folder under `$ELECTRA_FIXTURES` (default `tests/fixtures`).
//!
//! `make_fixtures.py` beside the fixtures made them in float64; its README explains the layout. Each test takes
//! the folders that have the part it checks, says which lack it, and fails where it found none, so that other
//! folders of the same layout can be tried. Tolerances are the README's: torch's own f32 error is 5-20x smaller.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use electra_checks::golden::{
    self, ADAPTER_SLACK, Folder, GRADIENT_TOLERANCE, JOINT_STEP, PARAMETER_TOLERANCE, PARTS, Stored, Tensors, UPDATE,
    assert_launched, input_of, set_slack, slack,
};
pub(super) use electra_checks::golden::{
    ENCODER, ENCODER_BACKWARD, LOSS_TOLERANCE, OUTPUT_TOLERANCE, Pair, assert_close, assert_gradient_close, batch_of,
    context, fixture_name,
};
use electra_kernels::launches;
use electra_model::{
    Alias, DeviceBatch, ElectraConfig, Layout, ObjectiveConfig, Parameters, PretrainingConfig, Sharing,
    head::{self, QuestionAnswering, SequenceClassifier, TokenClassifier},
    objective,
};
use electra_train::exchange::hugging_face;
use electra_train::host::wait_for;
use electra_train::step::trainer::gradients_of;
use electra_train::{Adam, AdamConfig, Architecture, Network, lr_at};
use serde_json::Value;

use crate::support::{adapter::gpu, fixtures::fixtures_root};

// ------------------------------------------------------------------------------------------------ devices

/// A test of each check on the CPU, and one on a graphics adapter that must have launched these shaders.
macro_rules! on_both {
    ($($cpu:ident, $gpu:ident: $check:ident launches $shaders:expr;)*) => {
        $(
            #[test]
            fn $cpu() {
                $check(&Device::flex());
            }

            #[test]
            fn $gpu() {
                on_adapter($check, &$shaders);
            }
        )*
    };
}

on_both! {
    golden_forward, golden_forward_on_adapter: forward launches [&ENCODER[..]];
    golden_joint_step, golden_joint_step_on_adapter: joint_step launches
        [&ENCODER[..], &ENCODER_BACKWARD, &JOINT_STEP];
    golden_micro_batches, golden_micro_batches_on_adapter: micro_batches_add_up_to_the_batch launches
        [&ENCODER[..], &ENCODER_BACKWARD, &JOINT_STEP];
    golden_ten_steps, golden_ten_steps_on_adapter: ten_steps launches
        [&ENCODER[..], &ENCODER_BACKWARD, &JOINT_STEP, &UPDATE];
    golden_heads, golden_heads_on_adapter: heads launches [&ENCODER[..], &ENCODER_BACKWARD];
    golden_fine_tuning_steps, golden_fine_tuning_steps_on_adapter: fine_tuning_steps launches
        [&ENCODER[..], &ENCODER_BACKWARD, &UPDATE];
    golden_formula_models, golden_formula_models_on_adapter: formula_models launches
        [&ENCODER[..], &ENCODER_BACKWARD, &JOINT_STEP, &UPDATE];
}

pub(super) fn on_adapter(check: fn(&Device), shaders: &[&[&str]]) {
    let Some(opened) = gpu() else { return };
    set_slack(ADAPTER_SLACK);
    let ((), launched) = launches::record(|| check(&opened.device));
    assert_launched(&launched, shaders);
}

// ------------------------------------------------------------------------------------------------ folders

/// Folders below the fixtures' root for which `has` holds, at any depth.
fn folders(has: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    fn walk(folder: &Path, has: &impl Fn(&Path) -> bool, found: &mut Vec<PathBuf>) {
        if has(folder) {
            found.push(folder.to_owned());
        }
        let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in entries.into_iter().filter(|entry| entry.is_dir()) {
            walk(&entry, has, found);
        }
    }
    let mut found = Vec::new();
    walk(&fixtures_root(), &has, &mut found);
    found
}

/// The folders among `candidates` that have `part`; names the others; fails where there is none.
pub(super) fn with_part(what: &str, candidates: Vec<PathBuf>, part: &str) -> Vec<PathBuf> {
    let (with, without): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|folder| folder.join(part).exists());
    for folder in without {
        eprintln!("golden: {} has no {part}: {what} not checked there", folder.display());
    }
    assert!(!with.is_empty(), "no folder with {part} under {}: {what} was not checked", fixtures_root().display());
    for folder in &with {
        eprintln!("golden: {what}: {}", folder.display());
    }
    with
}

pub(super) fn pair_folders() -> Vec<PathBuf> {
    folders(|folder| folder.join("discriminator/config.json").exists() && folder.join("generator/config.json").exists())
}

// ------------------------------------------------------------------------------------------------ pairs

pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    wait_for(golden::values(tensor))
}

fn stored(folder: &Path) -> Stored {
    let network = hugging_face::import(folder).unwrap();
    Stored { config: network.config, tensors: network.tensors }
}

fn load(folder: &Path) -> Folder {
    let part = |name: &str| std::fs::read(folder.join(name)).ok().map(|bytes| (name.to_owned(), bytes));
    Folder {
        name: folder.display().to_string(),
        discriminator: stored(&folder.join("discriminator")),
        generator: stored(&folder.join("generator")),
        parts: PARTS.into_iter().filter_map(part).collect(),
    }
}

pub(super) fn load_pair(folder: &Path, device: &Device) -> Pair {
    Pair::of(&load(folder), device)
}

fn flat(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}

fn forward(device: &Device) {
    for folder in with_part("forward pass", pair_folders(), "forward.safetensors") {
        wait_for(golden::forward(&load(&folder), device));
    }
}

fn joint_step(device: &Device) {
    for folder in with_part("joint step and its gradients", pair_folders(), "joint_step.safetensors") {
        wait_for(golden::joint_step(&load(&folder), device));
    }
}

fn ten_steps(device: &Device) {
    for folder in with_part("ten training steps", pair_folders(), "train10.safetensors") {
        wait_for(golden::ten_steps(&load(&folder), device));
    }
}

fn micro_batches_add_up_to_the_batch(device: &Device) {
    let device = device.clone().autodiff();
    for folder in with_part("gradient accumulation", pair_folders(), "joint_step.safetensors") {
        let tensors = Tensors::read(&folder.join("joint_step.safetensors"));
        let pair = load_pair(&folder, &device);
        let (batch, samples) = batch_of(&tensors, None);
        let parameters = pair.parameters.map(|_, _, value| value.clone().require_grad());
        let objective = pair.objective();
        let step = |rows: std::ops::Range<usize>| {
            let samples = &samples[rows.start * batch.max_masked..rows.end * batch.max_masked];
            // Counts of the whole batch, whatever the rows.
            let context = context(&batch, samples, &device);
            let output = objective.step(&parameters, &DeviceBatch::new(&batch.slice(rows), &device), &context);
            let loss = values(output.observations.loss.clone().unwrap())[0];
            let gradients: Vec<Vec<f32>> =
                gradients_of(&parameters, &output.loss).into_iter().map(|gradient| values(gradient.unwrap())).collect();
            (loss, gradients)
        };
        let (whole_loss, whole) = step(0..batch.batch);
        let parts: Vec<_> = (0..batch.batch).map(|row| step(row..row + 1)).collect();
        let loss: f32 = parts.iter().map(|part| part.0).sum();
        assert!(
            (loss - whole_loss).abs() <= 1e-6 * slack() as f32 * whole_loss,
            "{loss} in parts, {whole_loss} at once"
        );
        for (i, spec) in parameters.specs().iter().enumerate() {
            let scale = whole[i].iter().fold(0.0f32, |scale, x| scale.max(x.abs()));
            let sum: Vec<f32> = (0..spec.len()).map(|j| parts.iter().map(|part| part.1[i][j]).sum()).collect();
            // Three roundings of f32 at the tensor's own scale.
            assert_close(&spec.name, &sum, &whole[i], 1e-6 * f64::from(scale) + 1e-6, 0.0);
        }
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

// ------------------------------------------------------------------------------------------------ heads

fn head_folders() -> Vec<PathBuf> {
    folders(|folder| {
        let Ok(config) = std::fs::read(folder.join("config.json")) else { return false };
        let config: Value = serde_json::from_slice(&config).unwrap();
        let class = config["architectures"][0].as_str().unwrap_or_default().to_owned();
        !(class.ends_with("ForPreTraining") || class.ends_with("ForMaskedLM"))
    })
}

struct Head {
    network: Network,
    parameters: Parameters,
}

impl Head {
    fn load(folder: &Path, device: &Device) -> Self {
        let network = hugging_face::import(folder).unwrap();
        let layout = Layout::new(network.architecture.specs(&network.config), Vec::<Alias>::new());
        let mut stored = network.tensors.iter();
        let parameters = Parameters::from_values(&layout, device, |spec| {
            let tensor = stored.next().unwrap();
            assert_eq!(tensor.name, spec.name);
            tensor.values.clone()
        });
        Self { network, parameters }
    }

    /// Outputs by the fixtures' names, and the loss.
    fn forward(&self, parameters: &Parameters, tensors: &Tensors, device: &Device) -> (Outputs, Tensor<1>) {
        let config: &ElectraConfig = &self.network.config;
        let input = input_of(tensors, device);
        let ints = |name: &str| {
            let values = tensors.ints_at(name, None);
            let len = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [len]), device)
        };
        match self.network.architecture {
            Architecture::SequenceClassification { labels } => {
                let logits = SequenceClassifier::bind(config, 0.0, parameters, "").forward(&input, None);
                let loss = if labels == 1 {
                    head::regression_loss(logits.clone(), flat(tensors.floats_at("in.labels", None), device))
                } else {
                    head::cross_entropy(logits.clone(), ints("in.labels"))
                };
                (BTreeMap::from([("out.logits", logits)]), loss)
            }
            Architecture::TokenClassification { .. } => {
                let logits = TokenClassifier::bind(config, 0.0, parameters, "").forward(&input, None);
                let loss = head::cross_entropy(logits.clone(), ints("in.labels"));
                (BTreeMap::from([("out.logits", logits)]), loss)
            }
            Architecture::QuestionAnswering => {
                let (start, end) = QuestionAnswering::bind(config, parameters, "").forward(&input, None);
                let loss = head::question_answering_loss(
                    start.clone(),
                    end.clone(),
                    ints("in.start_positions"),
                    ints("in.end_positions"),
                );
                (BTreeMap::from([("out.start_logits", start), ("out.end_logits", end)]), loss)
            }
            other => panic!("{} is no head", other.class_name()),
        }
    }
}

type Outputs = BTreeMap<&'static str, Tensor<2>>;

fn heads(device: &Device) {
    let device = device.clone().autodiff();
    for folder in with_part("head", head_folders(), "golden.safetensors") {
        let tensors = Tensors::read(&folder.join("golden.safetensors"));
        let head = Head::load(&folder, &device);
        let parameters = head.parameters.map(|_, _, value| value.clone().require_grad());
        let (outputs, loss) = head.forward(&parameters, &tensors, &device);
        for (name, found) in outputs {
            let what = format!("{} {name}", folder.display());
            assert_close(&what, &values(found), &tensors.floats_at(name, None), OUTPUT_TOLERANCE, 1e-5);
        }
        assert_close("loss", &values(loss.clone()), &tensors.floats_at("out.loss", None), LOSS_TOLERANCE, 0.0);
        let gradients = gradients_of(&parameters, &loss);
        for (spec, gradient) in parameters.specs().iter().zip(gradients) {
            let name = format!("grad.{}", spec.name);
            let found = gradient.map_or_else(|| vec![0.0; spec.len()], values);
            assert_gradient_close(&format!("{} {name}", folder.display()), &found, &tensors.floats_at(&name, None));
        }
    }
}

fn fine_tuning_steps(device: &Device) {
    let base = device.clone();
    let device = base.clone().autodiff();
    for folder in with_part("fine-tuning with layer-wise learning rates", head_folders(), "finetune.safetensors") {
        let tensors = Tensors::read(&folder.join("golden.safetensors"));
        let finals = Tensors::read(&folder.join("finetune.safetensors"));
        let record = json(&folder.join("finetune.json"));
        let head = Head::load(&folder, &base);
        let mut parameters = head.parameters.clone();
        let (layers, decay) = (head.network.config.num_hidden_layers, record["layerwise_lr_decay"].as_f64().unwrap());
        let scale = |name: &str| {
            use electra_train::{LayerwiseExponent::Reference, layerwise_multiplier};
            let scale = layerwise_multiplier(name, layers, decay, Reference);
            let expected = record["lr_scale"][name].as_f64().unwrap();
            assert!((scale - expected).abs() < 1e-12, "{name}: {scale} instead of {expected}");
            scale
        };
        let mut adam =
            Adam::new(AdamConfig::default(), &parameters).with_learning_rate_scales(parameters.layout(), scale);
        for (i, expected) in record["steps"].as_array().unwrap().iter().enumerate() {
            let tracked = parameters.map(|_, _, value| Tensor::from_inner(value.clone()).require_grad());
            let (_, loss) = head.forward(&tracked, &tensors, &device);
            let found = f64::from(values(loss.clone())[0]);
            let golden = expected["loss"].as_f64().unwrap();
            assert!((found - golden).abs() <= LOSS_TOLERANCE * slack(), "step {i}: loss {found} instead of {golden}");
            let gradients = gradients_of(&tracked, &loss);
            let rate = lr_at(
                i as u64,
                record["peak_lr"].as_f64().unwrap(),
                record["warmup_steps"].as_u64().unwrap(),
                record["num_train_steps"].as_u64().unwrap(),
            );
            (parameters, _) = adam.step(parameters, gradients, rate).unwrap();
        }
        for (spec, value) in parameters.iter() {
            let name = format!("final.{}", spec.name);
            assert_close(&name, &values(value.clone()), &finals.floats_at(&name, None), PARAMETER_TOLERANCE, 0.0);
        }
    }
}

// ------------------------------------------------------------------------------------------------ small

/// `formula_tensor` of make_fixtures.py: FNV-1a of the name, then SplitMix64.
fn formula(name: &str, shape: &[usize]) -> Vec<f32> {
    let hash = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
    (1..=shape.iter().product::<usize>() as u64)
        .map(|i| {
            let mut z = hash.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            let r = 2.0 * ((z >> 40) as f64 / f64::from(1 << 24)) - 1.0;
            let value = if name.contains("LayerNorm.weight") {
                1.0 + 0.1 * r
            } else if shape.len() == 1 {
                0.02 * r
            } else {
                0.035 * r
            };
            value as f32
        })
        .collect()
}

fn small_config(sizes: &Value) -> ElectraConfig {
    let size = |name: &str| sizes[name].as_u64().unwrap() as usize;
    ElectraConfig {
        vocab_size: size("vocab_size"),
        embedding_size: size("embedding_size"),
        hidden_size: size("hidden_size"),
        num_hidden_layers: size("layers"),
        num_attention_heads: size("heads"),
        intermediate_size: size("ffn"),
        max_position_embeddings: size("max_pos"),
        ..ElectraConfig::default()
    }
}

fn formula_models(device: &Device) {
    let base = device.clone();
    let device = base.clone().autodiff();
    let candidates = folders(|folder| folder.join("golden.json").exists());
    for folder in with_part("model of formula weights", candidates, "golden.safetensors") {
        let tensors = Tensors::read(&folder.join("golden.safetensors"));
        let record = json(&folder.join("golden.json"));
        let networks = PretrainingConfig {
            discriminator: small_config(&record["config_disc"]),
            generator: small_config(&record["config_gen"]),
            sharing: Sharing::Embeddings,
        };
        let mut parameters =
            Parameters::from_values(&networks.layout(), &base, |spec| formula(&fixture_name(&spec.name), &spec.shape));
        assert_eq!(
            parameters.layout().parameter_count() as u64,
            record["param_count"]["joint"].as_u64().unwrap(),
            "number of parameters"
        );
        let check = |spec: &electra_model::ParameterSpec, field: &str, found: &[f32], tolerance: f64| {
            let golden = &record["params"][fixture_name(&spec.name)];
            let expected_norm = golden[format!("{field}_l2")].as_f64().unwrap();
            let norm = found.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            let scale = if field == "grad" { expected_norm } else { 1.0 };
            assert!(
                (norm - expected_norm).abs() <= (1e-4 * expected_norm + 1e-5) * slack(),
                "{} {field}: norm {norm} instead of {expected_norm}",
                spec.name
            );
            let indices = golden["idx"].as_array().unwrap().iter().map(|i| i.as_u64().unwrap() as usize);
            for (i, expected) in indices.zip(golden[field].as_array().unwrap()) {
                let (found, expected) = (f64::from(found[i]), expected.as_f64().unwrap());
                assert!(
                    (found - expected).abs() <= (tolerance * scale + 1e-6) * slack(),
                    "{} {field}[{i}]: {found} instead of {expected}",
                    spec.name
                );
            }
        };
        for (spec, value) in parameters.iter() {
            check(spec, "weight", &values(value.clone()), 1e-9);
        }

        let objective = objective::from_config(&ObjectiveConfig::default(), &networks).unwrap();
        let mut adam = Adam::new(AdamConfig::default(), &parameters);
        let (peak, warmup, total) = (
            record["peak_lr"].as_f64().unwrap(),
            record["warmup_steps"].as_u64().unwrap(),
            record["num_train_steps"].as_u64().unwrap(),
        );
        for (i, expected) in record["steps"].as_array().unwrap().iter().enumerate() {
            let (batch, samples) = batch_of(&tensors, Some(i));
            let tracked = parameters.map(|_, _, value| Tensor::from_inner(value.clone()).require_grad());
            let output =
                objective.step(&tracked, &DeviceBatch::new(&batch, &device), &context(&batch, &samples, &device));
            let seen = output.observations;
            let total_loss = f64::from(values(seen.loss.unwrap())[0]);
            let golden = expected["total_loss"].as_f64().unwrap();
            assert!(
                (total_loss - golden).abs() <= LOSS_TOLERANCE * slack(),
                "step {i}: loss {total_loss} instead of {golden}"
            );
            if i == 0 {
                let logits = values(seen.discriminator_logits.unwrap());
                let golden = tensors.floats_at("out.disc_logits", None);
                assert_close("out.disc_logits", &logits, &golden, OUTPUT_TOLERANCE, 1e-5);
            }
            let gradients = gradients_of(&tracked, &output.loss);
            if i == 0 {
                for (spec, gradient) in parameters.specs().iter().zip(&gradients) {
                    // Of the norm: a tensor's greatest entry is not recorded, and the norm is above it.
                    check(spec, "grad", &values(gradient.clone().unwrap()), GRADIENT_TOLERANCE);
                }
            }
            (parameters, _) = adam.step(parameters, gradients, lr_at(i as u64, peak, warmup, total)).unwrap();
        }
        for (spec, value) in parameters.iter() {
            check(spec, "final", &values(value.clone()), PARAMETER_TOLERANCE);
        }
    }
}
