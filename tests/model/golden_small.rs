//! Golden numbers of networks in the size of ELECTRA-Small, whose weights come from a formula.

use burn::tensor::{Device, Tensor};
use electra_checks::golden::{GRADIENT_TOLERANCE, JOINT_STEP, PARAMETER_TOLERANCE, Tensors, UPDATE, slack};
use electra_model::{DeviceBatch, ElectraConfig, ObjectiveConfig, Parameters, PretrainingConfig, Sharing, objective};
use electra_train::step::trainer::gradients_of;
use electra_train::{Adam, AdamConfig, lr_at};
use serde_json::Value;

use super::golden::{
    ENCODER, ENCODER_BACKWARD, LOSS_TOLERANCE, OUTPUT_TOLERANCE, assert_close, batch_of, context, fixture_name,
    folders, json, on_adapter, on_both, values, with_part,
};

on_both! {
    golden_formula_models, golden_formula_models_on_adapter: formula_models launches
        [&ENCODER[..], &ENCODER_BACKWARD, &JOINT_STEP, &UPDATE];
}

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
