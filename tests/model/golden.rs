//! Golden numbers from PyTorch, of every model folder under `$ELECTRA_FIXTURES` (default `tests/fixtures`).
//!
//! `make_fixtures.py` beside the fixtures made them in float64; its README explains the layout. Each test takes
//! the folders that have the part it checks, says which lack it, and fails where it found none, so that other
//! folders of the same layout can be tried. Tolerances are the README's: torch's own f32 error is 5-20x smaller.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use electra_checks::golden::{
    self, ADAPTER_SLACK, Folder, JOINT_STEP, PARTS, Stored, Tensors, UPDATE, assert_launched, set_slack, slack,
};
pub(super) use electra_checks::golden::{
    ENCODER, ENCODER_BACKWARD, LOSS_TOLERANCE, OUTPUT_TOLERANCE, Pair, assert_close, assert_gradient_close, batch_of,
    context, fixture_name,
};
use electra_kernels::launches;
use electra_model::DeviceBatch;
use electra_train::exchange::hugging_face;
use electra_train::host::wait_for;
use electra_train::step::trainer::gradients_of;
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

pub(super) use on_both;

on_both! {
    golden_forward, golden_forward_on_adapter: forward launches [&ENCODER[..]];
    golden_joint_step, golden_joint_step_on_adapter: joint_step launches
        [&ENCODER[..], &ENCODER_BACKWARD, &JOINT_STEP];
    golden_micro_batches, golden_micro_batches_on_adapter: micro_batches_add_up_to_the_batch launches
        [&ENCODER[..], &ENCODER_BACKWARD, &JOINT_STEP];
    golden_ten_steps, golden_ten_steps_on_adapter: ten_steps launches
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
pub(super) fn folders(has: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
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

pub(super) fn flat(values: Vec<f32>, device: &Device) -> Tensor<1> {
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

pub(super) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
