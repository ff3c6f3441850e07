//! Golden losses and gradients of the objectives beside RTD, on the CPU and on an adapter: `FOLDER/objectives/NAME.safetensors`
//! beside the pairs of networks that golden.rs reads. `param.*`: parameters that the pair has not; `out.*`: parts of the loss;
//! `grad.*`: gradients of `out.total_loss`, of which one that is absent is exactly 0.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use electra_checks::golden::Tensors;
use electra_model::objective::{self, NetworkPlan};
use electra_model::pretraining::GENERATOR;
use electra_model::{DeviceBatch, Objective, ObjectiveConfig, Observations, Parameters, Sharing};
use electra_train::exchange::hugging_face;
use electra_train::step::trainer::gradients_of;

use super::golden::{
    ENCODER, ENCODER_BACKWARD, LOSS_TOLERANCE, OUTPUT_TOLERANCE, Pair, assert_close, assert_gradient_close, batch_of,
    context, fixture_name, load_pair, on_adapter, pair_folders, values, with_part,
};

/// Objectives that golden.rs checks, or that are another's with other masks.
const ELSEWHERE: [&str; 4] = ["rtd", "mlm", "bert", "roberta"];

#[test]
fn golden_objectives() {
    check(&Device::flex());
}

#[test]
fn golden_objectives_on_adapter() {
    on_adapter(check, &[&ENCODER[..], &ENCODER_BACKWARD, &["mlm_rows", "rtd_fwd", "rtd_bwd", "corrupt", "gather"]]);
}

/// What a file is of: an objective, or a way of sharing weights.
fn objective_of(name: &str, pair: &Pair) -> Box<dyn Objective> {
    let mut networks = pair.networks.clone();
    let name = if name == "gdes" {
        networks.sharing = Sharing::Gdes;
        "rtd"
    } else {
        name
    };
    let config = ObjectiveConfig { name: name.to_owned(), ..ObjectiveConfig::default() };
    objective::from_config(&config, &networks).expect("a name of the list")
}

fn check(device: &Device) {
    let device = device.clone().autodiff();
    let objectives = objective::names().into_iter().filter(|name| !ELSEWHERE.contains(name));
    let names: Vec<&str> = objectives.chain(["gdes"]).collect();
    let mut checked = 0;
    for folder in with_part("objectives", pair_folders(), "objectives") {
        for name in &names {
            let path = folder.join(format!("objectives/{name}.safetensors"));
            if path.exists() {
                check_one(name, &folder, &Tensors::read(&path), &device);
                checked += 1;
            } else {
                // Two stages have golden numbers for networks of equal sizes alone.
                eprintln!("golden: {} is not there: {name} not checked", path.display());
            }
        }
    }
    assert!(checked > 0, "no objective has golden numbers");
}

/// The file's parameters where it has some, else the pair's; embeddings that the pair shares are both networks'.
fn parameters_of(
    objective: &dyn Objective,
    folder: &Path,
    pair: &Pair,
    golden: &Tensors,
    device: &Device,
) -> Parameters {
    let own = hugging_face::import(&folder.join("generator")).expect("a generator").tensors;
    Parameters::from_values(&objective.layout(), device, |spec| {
        let name = format!("param.{}", fixture_name(&spec.name));
        if golden.has(&name) {
            return golden.floats_at(&name, None);
        }
        if let Some([whole]) = pair.parameters.pieces(&spec.name) {
            return values(whole.clone());
        }
        let of_generator = spec.name.strip_prefix(GENERATOR).and_then(|name| own.iter().find(|own| own.name == name));
        let found = of_generator.unwrap_or_else(|| panic!("neither the pair nor the golden file has {}", spec.name));
        found.values.clone()
    })
}

fn check_one(name: &str, folder: &Path, golden: &Tensors, device: &Device) {
    let pair = load_pair(folder, device);
    let objective = objective_of(name, &pair);
    let parameters = parameters_of(objective.as_ref(), folder, &pair, golden, device);
    let parameters = parameters.map(|_, _, value| value.clone().require_grad());
    let (batch, samples) = batch_of(&Tensors::read(&folder.join("joint_step.safetensors")), None);
    let mut context = context(&batch, &samples, device);
    if golden.has("in.order") {
        context.given.ranks = Some(golden.ints_at("in.order", None).into_iter().map(|rank| rank as u32).collect());
    }
    let output = objective.step(&parameters, &DeviceBatch::new(&batch, device), &context);

    let mut compared = 0;
    for (part, found) in parts_of(name, &output.observations) {
        if golden.has(&format!("out.{part}")) {
            let what = format!("{} {name} out.{part}", folder.display());
            assert_close(&what, &values(found), &golden.floats_at(&format!("out.{part}"), None), LOSS_TOLERANCE, 0.0);
            compared += 1;
        }
    }
    assert!(compared >= 1, "{name}: no part of the loss was compared");
    let losses = golden.names("out.").iter().filter(|name| name.ends_with("_loss")).count();
    assert_eq!(compared, losses, "{name}: every part of the loss was compared");
    for (part, found) in [("discriminator_logits", &output.observations.discriminator_logits)] {
        let Some(found) = found.clone().filter(|_| golden.has(&format!("out.{part}"))) else { continue };
        let mask: Vec<f32> = batch.attention_mask.iter().map(|&mask| f32::from(mask)).collect();
        let found: Vec<f32> = values(found).iter().zip(mask).map(|(logit, mask)| logit * mask).collect();
        let what = format!("{} {name} out.{part}", folder.display());
        assert_close(&what, &found, &golden.floats_at(&format!("out.{part}"), None), OUTPUT_TOLERANCE, 1e-5);
    }
    let gradients = gradients_of(&parameters, &output.loss);
    let mut given = 0;
    for (spec, gradient) in parameters.specs().iter().zip(gradients) {
        let key = format!("grad.{}", fixture_name(&spec.name));
        let found = gradient.map_or_else(|| vec![0.0; spec.len()], values);
        let expected = if golden.has(&key) { golden.floats_at(&key, None) } else { vec![0.0; spec.len()] };
        given += usize::from(golden.has(&key));
        assert_gradient_close(&format!("{} {name} {key}", folder.display()), &found, &expected);
    }
    assert_eq!(given, golden.names("grad.").len(), "{name}: every golden gradient is of a parameter");
    let kept: &NetworkPlan = &objective.networks()[0];
    assert!(parameters.specs().iter().any(|spec| spec.name.starts_with(kept.prefix)), "{}", kept.role);
}

/// The parts of the loss by the golden files' names.
fn parts_of(name: &str, seen: &Observations) -> Vec<(String, Tensor<1>)> {
    let mut parts = vec![("total_loss".to_owned(), seen.loss.clone().expect("every objective has a loss"))];
    parts.extend(seen.discriminator_loss.clone().map(|loss| ("discriminator_loss".to_owned(), loss)));
    // What the generator minimises; where that is not its MLM loss, it is a part of its own.
    let generator = match name {
        "adversarial" => None,
        _ => seen.generator_loss.clone(),
    };
    parts.extend(generator.map(|loss| ("generator_loss".to_owned(), loss)));
    for (part, loss) in &seen.parts {
        let part = if *part == "policy_loss" { "generator_loss" } else { part };
        parts.push((part.to_owned(), loss.clone()));
    }
    parts
}
