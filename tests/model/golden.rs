//! Golden numbers from PyTorch, of every model folder under `$ELECTRA_FIXTURES` (default `tests/fixtures`).
//!
//! `make_fixtures.py` beside the fixtures made them in float64; its README explains the layout. Each test takes
//! the folders that have the part it checks, says which lack it, and fails where it found none, so that other
//! folders of the same layout can be tried. Tolerances are the README's: torch's own f32 error is 5-20x smaller.

use std::{
    cell::Cell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, Int, Tensor, TensorData};
use electra_data::{Batch, SpecialTokens};
use electra_kernels::launches;
use electra_model::{
    Alias, DeviceBatch, Discriminator, ElectraConfig, EncoderInput, Generator, Layout, NoiseKey, Objective,
    ObjectiveConfig, Parameters, PretrainingConfig, Sharing, StepContext, Totals,
    head::{self, QuestionAnswering, SequenceClassifier, TokenClassifier},
    objective::{self, Given},
    pretraining::{DISCRIMINATOR, GENERATOR},
};
use electra_train::exchange::hugging_face;
use electra_train::step::trainer::gradients_of;
use electra_train::{Adam, AdamConfig, Architecture, Network, lr_at};
use serde_json::Value;

use crate::support::{adapter::gpu, fixtures::fixtures_root, tensors::Tensors};

/// The fixtures' special tokens.
const SPECIAL: SpecialTokens = SpecialTokens { pad: 0, unknown: 1, cls: 2, sep: 3, mask: 4 };

pub(super) const OUTPUT_TOLERANCE: f64 = 2e-5;
const GRADIENT_TOLERANCE: f64 = 2e-5;
const PARAMETER_TOLERANCE: f64 = 2e-5;
/// The total is about 44.
pub(super) const LOSS_TOLERANCE: f64 = 1e-4;

// ------------------------------------------------------------------------------------------------ devices

/// Graphics adapters round exp, log, division and square roots less strictly than PyTorch's f64 on which the goldens
/// rest (WGSL asks for 2.5 ulp and more), and add long sums in other orders: tolerances there are so many times wider.
const ADAPTER_SLACK: f64 = 5.0;

thread_local! {
    static SLACK: Cell<f64> = const { Cell::new(1.0) };
}

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

/// What every forward pass of an encoder launches.
pub(super) const ENCODER: [&str; 4] =
    ["embeddings_fwd", "layer_norm_fwd", "product_direct|product_staged", "attention_fwd"];
/// What its backward pass launches.
pub(super) const ENCODER_BACKWARD: [&str; 5] =
    ["layer_norm_bwd", "layer_norm_bwd_parameters", "attention_bwd_query", "attention_bwd_key", "embedding_bwd_words"];

on_both! {
    golden_forward, golden_forward_on_adapter: forward launches [&ENCODER[..]];
    golden_joint_step, golden_joint_step_on_adapter: joint_step launches
        [&ENCODER[..], &ENCODER_BACKWARD, &["mlm_rows", "rtd_fwd", "rtd_bwd", "corrupt", "gather"]];
    golden_micro_batches, golden_micro_batches_on_adapter: micro_batches_add_up_to_the_batch launches
        [&ENCODER[..], &ENCODER_BACKWARD, &["mlm_rows", "rtd_fwd", "rtd_bwd", "corrupt", "gather"]];
    golden_ten_steps, golden_ten_steps_on_adapter: ten_steps launches
        [&ENCODER[..], &ENCODER_BACKWARD, &["mlm_rows", "rtd_bwd", "adam_norm", "adam_decide", "adam_update"]];
    golden_heads, golden_heads_on_adapter: heads launches [&ENCODER[..], &ENCODER_BACKWARD];
    golden_fine_tuning_steps, golden_fine_tuning_steps_on_adapter: fine_tuning_steps launches
        [&ENCODER[..], &ENCODER_BACKWARD, &["adam_norm", "adam_decide", "adam_update"]];
    golden_formula_models, golden_formula_models_on_adapter: formula_models launches
        [&ENCODER[..], &ENCODER_BACKWARD, &["mlm_rows", "rtd_bwd", "adam_norm", "adam_decide", "adam_update"]];
}

pub(super) fn on_adapter(check: fn(&Device), shaders: &[&[&str]]) {
    let Some(opened) = gpu() else { return };
    SLACK.set(ADAPTER_SLACK);
    let ((), launched) = launches::record(|| check(&opened.device));
    for wanted in shaders.iter().flat_map(|shaders| shaders.iter()) {
        let ran = wanted.split('|').any(|stem| launched.contains(&format!("{}{stem}", launches::PREFIX).as_str()));
        assert!(ran, "{wanted} was not launched: a reference body ran in its place");
    }
    // The reference bodies' own products are what an operation that fell back cannot do without.
    let foreign = launched.iter().find(|name| !name.starts_with(launches::PREFIX) && name.contains("matmul"));
    assert_eq!(foreign, None, "a product of Burn's was launched");
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

// ------------------------------------------------------------------------------------------------ comparison

#[track_caller]
pub(super) fn assert_close(what: &str, found: &[f32], expected: &[f32], absolute: f64, relative: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    let mut worst = (0.0, 0);
    for (i, (&a, &b)) in found.iter().zip(expected).enumerate() {
        let allowed = (absolute + relative * f64::from(b).abs()) * SLACK.get();
        let excess = (f64::from(a) - f64::from(b)).abs() - allowed;
        if excess.is_nan() || excess > worst.0 {
            worst = (excess, i);
        }
    }
    assert!(
        worst.0 == 0.0,
        "{what}[{}]: {} instead of {} (tolerance {absolute:e} + {relative:e} |x|, times {})",
        worst.1,
        found[worst.1],
        expected[worst.1],
        SLACK.get()
    );
}

#[track_caller]
pub(super) fn assert_gradient_close(what: &str, found: &[f32], expected: &[f32]) {
    let scale = expected.iter().fold(0.0f64, |scale, &x| scale.max(f64::from(x).abs()));
    // 1e-6 for tensors that are numerically zero, such as key.bias.
    assert_close(what, found, expected, GRADIENT_TOLERANCE * scale + 1e-6, 0.0);
}

pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

// ------------------------------------------------------------------------------------------------ pairs

/// A generator and a discriminator as a fixture folder holds them, joined in one set of parameters.
pub(super) struct Pair {
    pub(super) networks: PretrainingConfig,
    pub(super) parameters: Parameters,
}

impl Pair {
    pub(super) fn load(folder: &Path, device: &Device) -> Self {
        let read = |name: &str| hugging_face::import(&folder.join(name)).unwrap();
        let (discriminator, generator) = (read("discriminator"), read("generator"));
        let same = |prefix: &str| {
            let mut shared = generator.tensors.iter().filter(|tensor| tensor.name.starts_with(prefix)).peekable();
            shared.peek().is_some() && shared.all(|tensor| discriminator.tensors.contains(tensor))
        };
        let sharing = match (same("electra.embeddings."), same("electra.encoder.")) {
            (true, true) => Sharing::All,
            (true, false) => Sharing::Embeddings,
            (false, _) => Sharing::None,
        };
        let networks = PretrainingConfig {
            discriminator: discriminator.config.clone(),
            generator: generator.config.clone(),
            sharing,
        };
        networks.validate().unwrap();
        let find = |network: &Network, name: &str| {
            network.tensors.iter().find(|tensor| tensor.name == name).unwrap_or_else(|| panic!("{name}")).values.clone()
        };
        let parameters =
            Parameters::from_values(&networks.layout(), device, |spec| match spec.name.strip_prefix(DISCRIMINATOR) {
                Some(name) => find(&discriminator, name),
                None => find(&generator, spec.name.strip_prefix(GENERATOR).unwrap()),
            });
        Self { networks, parameters }
    }

    fn objective(&self) -> Box<dyn Objective> {
        objective::from_config(&ObjectiveConfig::default(), &self.networks).unwrap()
    }
}

fn flat(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}

/// The fixtures' short names: `disc.` and `gen.`.
pub(super) fn fixture_name(name: &str) -> String {
    match name.strip_prefix(DISCRIMINATOR) {
        Some(rest) => format!("disc.{rest}"),
        None => format!("gen.{}", name.strip_prefix(GENERATOR).unwrap()),
    }
}

/// The `in.*` arrays as a batch; `step` picks one where they hold several.
pub(super) fn batch_of(tensors: &Tensors, step: Option<usize>) -> (Batch, Vec<i32>) {
    let ints = |name: &str| tensors.ints_at(name, step);
    let ids = tensors.shape_at("in.input_ids", step);
    let slots = tensors.shape_at("in.masked_lm_positions", step);
    let (batch, seq, max_masked) = (ids[0], ids[1], slots[1]);
    let batch = Batch {
        batch,
        seq,
        max_masked,
        example_numbers: (0..batch as u32).collect(),
        original_ids: ints("in.input_ids"),
        masked_ids: ints("in.masked_input_ids"),
        token_type_ids: ints("in.token_type_ids"),
        attention_mask: ints("in.attention_mask").into_iter().map(|mask| mask as u8).collect(),
        masked_positions: ints("in.masked_lm_positions"),
        masked_original_ids: ints("in.masked_lm_ids"),
        mask_weights: tensors.floats_at("in.masked_lm_weights", step),
    };
    (batch, ints("in.sampled_ids"))
}

pub(super) fn context(batch: &Batch, samples: &[i32], device: &Device) -> StepContext {
    StepContext {
        key: NoiseKey::new(0),
        // Fixtures were made without dropout.
        training: false,
        step: 0,
        special: SPECIAL,
        totals: Totals::of(batch, SPECIAL),
        masking_probability: 0.15,
        recompute: false,
        frequencies: None,
        given: Given {
            samples: Some(Tensor::from_data(
                TensorData::new(samples.to_vec(), [samples.len() / batch.max_masked, batch.max_masked]),
                device,
            )),
            ranks: None,
        },
    }
}

fn input_of(tensors: &Tensors, device: &Device) -> EncoderInput {
    let shape: [usize; 2] = tensors.shape_at("in.input_ids", None).try_into().unwrap();
    let ints = |name: &str| Tensor::<2, Int>::from_data(TensorData::new(tensors.ints_at(name, None), shape), device);
    EncoderInput {
        ids: ints("in.input_ids"),
        token_type_ids: ints("in.token_type_ids"),
        attention_mask: ints("in.attention_mask").float(),
    }
}

fn forward(device: &Device) {
    let device = device.clone();
    for folder in with_part("forward pass", pair_folders(), "forward.safetensors") {
        let tensors = Tensors::read(&folder.join("forward.safetensors"));
        let Pair { networks, parameters } = Pair::load(&folder, &device);
        let generator = Generator::bind(&networks.generator, &parameters, GENERATOR);
        let discriminator = Discriminator::bind(&networks.discriminator, &parameters, DISCRIMINATOR);
        let input = input_of(&tensors, &device);
        let check = |name: &str, found: Tensor<2>| {
            let what = format!("{} {name}", folder.display());
            assert_close(&what, &values(found), &tensors.floats_at(name, None), OUTPUT_TOLERANCE, 1e-5);
        };
        let hidden = generator.encode(&input, None).last_hidden;
        check("out.gen_last_hidden", hidden.clone());
        check("out.gen_logits", generator.logits(hidden));
        check("out.disc_logits", discriminator.forward(&input, None));
        let states = discriminator.encoder.forward(&input, None).hidden_states;
        for (i, state) in states.into_iter().enumerate() {
            check(&format!("out.disc_hidden_{i}"), state);
        }
        let plain = EncoderInput {
            ids: input.ids.clone(),
            token_type_ids: input.token_type_ids.zeros_like(),
            attention_mask: input.attention_mask.ones_like(),
        };
        check("out.disc_logits_no_mask_no_types", discriminator.forward(&plain, None));
    }
}

fn joint_step(device: &Device) {
    let device = device.clone().autodiff();
    for folder in with_part("joint step and its gradients", pair_folders(), "joint_step.safetensors") {
        let tensors = Tensors::read(&folder.join("joint_step.safetensors"));
        let pair = Pair::load(&folder, &device);
        let (batch, samples) = batch_of(&tensors, None);
        let device_batch = DeviceBatch::new(&batch, &device);
        let parameters = pair.parameters.map(|_, _, value| value.clone().require_grad());
        let output = pair.objective().step(&parameters, &device_batch, &context(&batch, &samples, &device));
        let seen = &output.observations;

        let loss = |name: &str, found: &Option<Tensor<1>>| {
            let what = format!("{} {name}", folder.display());
            let found = values(found.clone().unwrap());
            assert_close(&what, &found, &tensors.floats_at(name, None), LOSS_TOLERANCE, 0.0);
        };
        loss("out.mlm_loss", &seen.generator_loss);
        loss("out.disc_loss", &seen.discriminator_loss);
        loss("out.total_loss", &seen.loss);
        let ids = |found: &Option<Tensor<2, Int>>| -> Vec<i32> {
            found.clone().unwrap().into_data().iter::<i64>().map(|id| id as i32).collect()
        };
        assert_eq!(ids(&seen.corrupted_ids), tensors.ints_at("in.fake_input_ids", None), "corrupted ids");
        let labels: Vec<i32> = values(seen.is_replaced.clone().unwrap()).into_iter().map(|x| x as i32).collect();
        assert_eq!(labels, tensors.ints_at("in.disc_labels", None), "is_replaced");
        assert_close(
            "out.disc_logits",
            &values(seen.discriminator_logits.clone().unwrap()),
            &tensors.floats_at("out.disc_logits", None),
            OUTPUT_TOLERANCE,
            1e-5,
        );
        let generator = Generator::bind(&pair.networks.generator, &pair.parameters, GENERATOR);
        let hidden = generator.encode(&device_batch.input(device_batch.masked_ids.clone()), None).last_hidden;
        let masked = electra_kernels::gather_positions(hidden, &device_batch.masked_positions, batch.seq);
        assert_close(
            "out.gen_masked_logits",
            &values(generator.logits(masked)),
            &tensors.floats_at("out.gen_masked_logits", None),
            OUTPUT_TOLERANCE,
            1e-5,
        );

        // The total's gradients as the trainer takes them, then each loss's alone through the weights.
        let check = |loss: &str, gradients: Vec<Option<Tensor<1>>>| {
            for (spec, gradient) in parameters.specs().iter().zip(gradients) {
                let name = format!("grad.{loss}.{}", fixture_name(&spec.name));
                let found = gradient.map_or_else(|| vec![0.0; spec.len()], values);
                // One that is absent is exactly 0.
                let expected = match tensors.has(&name) {
                    true => tensors.floats_at(&name, None),
                    false => vec![0.0; spec.len()],
                };
                assert_gradient_close(&format!("{} {name}", folder.display()), &found, &expected);
            }
        };
        check("total_loss", gradients_of(&parameters, &output.loss));
        for (name, generator, discriminator) in [("mlm_loss", 1.0, 0.0), ("disc_loss", 0.0, 1.0)] {
            let mut config = ObjectiveConfig::default();
            config.rtd.generator_loss_weight = generator;
            config.rtd.discriminator_loss_weight = discriminator;
            let objective = objective::from_config(&config, &pair.networks).unwrap();
            let output = objective.step(&parameters, &device_batch, &context(&batch, &samples, &device));
            check(name, gradients_of(&parameters, &output.loss));
        }
    }
}

fn micro_batches_add_up_to_the_batch(device: &Device) {
    let device = device.clone().autodiff();
    for folder in with_part("gradient accumulation", pair_folders(), "joint_step.safetensors") {
        let tensors = Tensors::read(&folder.join("joint_step.safetensors"));
        let pair = Pair::load(&folder, &device);
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
            (loss - whole_loss).abs() <= 1e-6 * SLACK.get() as f32 * whole_loss,
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

fn adam_config(optimizer: &Value) -> AdamConfig {
    let number = |name: &str, default: f64| optimizer.get(name).and_then(Value::as_f64).unwrap_or(default);
    AdamConfig {
        beta1: number("beta1", 0.9),
        beta2: number("beta2", 0.999),
        epsilon: number("eps", 1e-6),
        weight_decay: number("weight_decay", 0.01),
        clip_norm: number("clip_global_norm", 1.0),
        ..AdamConfig::default()
    }
}

fn ten_steps(device: &Device) {
    let base = device.clone();
    let device = base.clone().autodiff();
    for folder in with_part("ten training steps", pair_folders(), "train10.safetensors") {
        let tensors = Tensors::read(&folder.join("train10.safetensors"));
        let record = json(&folder.join("train10.json"));
        let optimizer = &record["optimizer"];
        let steps = record["steps"].as_array().unwrap();
        let pair = Pair::load(&folder, &base);
        let objective = pair.objective();
        let mut parameters = pair.parameters.clone();
        let mut adam = Adam::new(adam_config(optimizer), &parameters);
        let rate = |step: u64| {
            lr_at(
                step,
                optimizer["peak_lr"].as_f64().unwrap(),
                optimizer["warmup_steps"].as_u64().unwrap(),
                optimizer["num_train_steps"].as_u64().unwrap(),
            )
        };
        for (i, expected) in steps.iter().enumerate() {
            let (batch, samples) = batch_of(&tensors, Some(i));
            let tracked = parameters.map(|_, _, value| Tensor::from_inner(value.clone()).require_grad());
            let output =
                objective.step(&tracked, &DeviceBatch::new(&batch, &device), &context(&batch, &samples, &device));
            let gradients = gradients_of(&tracked, &output.loss);
            let learning_rate = rate(i as u64);
            let near = |name: &str, found: f64, tolerance: f64| {
                let expected = expected[name].as_f64().unwrap();
                assert!(
                    (found - expected).abs() <= tolerance * SLACK.get(),
                    "{} step {i} {name}: {found} instead of {expected}",
                    folder.display()
                );
            };
            near("lr", learning_rate, 1e-12);
            let seen = |loss: Option<Tensor<1>>| f64::from(values(loss.unwrap())[0]);
            near("mlm_loss", seen(output.observations.generator_loss), LOSS_TOLERANCE);
            near("disc_loss", seen(output.observations.discriminator_loss), LOSS_TOLERANCE);
            near("total_loss", seen(output.observations.loss), LOSS_TOLERANCE);
            let report;
            (parameters, report) = adam.step(parameters, gradients, learning_rate).unwrap();
            assert!(report.applied);
            near("grad_norm", report.gradient_norm, 1e-4 * expected["grad_norm"].as_f64().unwrap());
            if i == 1 {
                compare_parameters(&tensors, "after2.", &parameters, parameters.values());
            }
        }
        compare_parameters(&tensors, "final.", &parameters, parameters.values());
        // Moments are sums of gradients: held to the gradients' tolerance.
        let (m, v) = adam.moments();
        for (spec, (m, v)) in parameters.specs().iter().zip(m.iter().zip(v)) {
            let name = fixture_name(&spec.name);
            assert_gradient_close(&name, &values(m.clone()), &tensors.floats_at(&format!("adam_m.{name}"), None));
            assert_gradient_close(&name, &values(v.clone()), &tensors.floats_at(&format!("adam_v.{name}"), None));
        }
    }
}

fn compare_parameters(tensors: &Tensors, prefix: &str, parameters: &Parameters, found: &[Tensor<1>]) {
    for (spec, value) in parameters.specs().iter().zip(found) {
        let name = format!("{prefix}{}", fixture_name(&spec.name));
        assert_close(&name, &values(value.clone()), &tensors.floats_at(&name, None), PARAMETER_TOLERANCE, 0.0);
    }
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
            assert!(
                (found - golden).abs() <= LOSS_TOLERANCE * SLACK.get(),
                "step {i}: loss {found} instead of {golden}"
            );
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
                (norm - expected_norm).abs() <= (1e-4 * expected_norm + 1e-5) * SLACK.get(),
                "{} {field}: norm {norm} instead of {expected_norm}",
                spec.name
            );
            let indices = golden["idx"].as_array().unwrap().iter().map(|i| i.as_u64().unwrap() as usize);
            for (i, expected) in indices.zip(golden[field].as_array().unwrap()) {
                let (found, expected) = (f64::from(found[i]), expected.as_f64().unwrap());
                assert!(
                    (found - expected).abs() <= (tolerance * scale + 1e-6) * SLACK.get(),
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
                (total_loss - golden).abs() <= LOSS_TOLERANCE * SLACK.get(),
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
