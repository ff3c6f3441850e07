//! What one step does: gradients reach what they should, labels are right, micro-batches add up, and a batch can be
//! learnt by heart.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};
use electra_data::{Batch, MaskingConfig, SpecialTokens, choose_masked};
use electra_model::objective::{self, Given, ObjectiveConfig};
use electra_model::pretraining::{DISCRIMINATOR, GENERATOR};
use electra_model::{DeviceBatch, NoiseKey, Objective, Parameters, StepContext, Totals};
use electra_train::config::{MicroBatch, ModelConfig, TrainConfig};
use electra_train::pretraining::learner::ObjectiveLearner;
use electra_train::step::trainer::{Trainer, gradients_of};
use electra_train::{Plan, RunConfig};

const SPECIAL: SpecialTokens = SpecialTokens { pad: 0, unknown: 1, cls: 2, sep: 3, mask: 4 };
const VOCAB: usize = 60;
const SEQ: usize = 32;

fn networks(dropout: f64) -> ModelConfig {
    ModelConfig {
        vocab_size: VOCAB,
        embedding_size: 16,
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 64,
        max_position_embeddings: SEQ,
        hidden_dropout_prob: dropout,
        attention_probs_dropout_prob: dropout,
        generator_size: 0.5,
        generator_depth: 0.5,
        ..ModelConfig::default()
    }
}

fn objective(networks: &ModelConfig, config: ObjectiveConfig) -> Box<dyn Objective> {
    objective::from_config(&config, &networks.networks()).unwrap()
}

/// Rows of `lengths` tokens, [CLS] and [SEP] included.
fn batch(lengths: &[usize]) -> Batch {
    let masking = MaskingConfig::default();
    let mut batch = Batch::new(SEQ, SEQ / 4);
    for (row, &length) in lengths.iter().enumerate() {
        let word = |at: usize| (5 + (7 * at + 13 * row + at * at * (row + 3)) % (VOCAB - 5)) as i32;
        let mut ids: Vec<i32> = (0..length).map(word).collect();
        (ids[0], ids[length - 1]) = (SPECIAL.cls as i32, SPECIAL.sep as i32);
        let masked = choose_masked(&ids, SPECIAL, VOCAB, &masking, SEQ / 4, (1, 0, row as u64));
        batch.push(&ids, length, &masked, SPECIAL, row as u32);
    }
    batch
}

fn trainer(networks: &ModelConfig, micro_batch: usize) -> Trainer<ObjectiveLearner> {
    trainer_of("rtd", networks, micro_batch)
}

fn trainer_of(name: &str, networks: &ModelConfig, micro_batch: usize) -> Trainer<ObjectiveLearner> {
    let objective = ObjectiveConfig { name: name.to_owned(), ..ObjectiveConfig::default() };
    let train = TrainConfig { micro_batch: MicroBatch::Size(micro_batch), ..TrainConfig::default() };
    let config = RunConfig { seed: 5, model: networks.clone(), train, objective, ..RunConfig::default() };
    Plan::new(&config, SPECIAL, &Device::flex()).unwrap().trainer()
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn ids(tensor: Tensor<2, Int>) -> Vec<i32> {
    tensor.into_data().iter::<i64>().map(|id| id as i32).collect()
}

fn context(batch: &Batch, samples: Option<Tensor<2, Int>>) -> StepContext {
    StepContext {
        key: NoiseKey::new(5),
        step: 0,
        training: true,
        special: SPECIAL,
        totals: Totals::of(batch, SPECIAL),
        masking_probability: 0.15,
        recompute: false,
        frequencies: None,
        similar_words: None,
        given: Given { samples, ranks: None },
    }
}

#[test]
fn overfits_one_batch() {
    let networks = networks(0.0);
    let batch = batch(&[32, 32, 30, 28, 31, 25, 32, 20]);
    let mut trainer = trainer(&networks, 8);
    let mut losses = Vec::new();
    for step in 0..300 {
        let done = trainer.step(&batch, step, 3e-3).unwrap();
        assert!(done.applied, "step {step}");
        losses.push((done.metrics.generator_loss.unwrap(), done.metrics.discriminator_loss.unwrap()));
    }
    let mean = |range: Range<usize>| {
        let sums = losses[range.clone()].iter().fold((0.0, 0.0), |sums, loss| (sums.0 + loss.0, sums.1 + loss.1));
        (sums.0 / range.len() as f64, sums.1 / range.len() as f64)
    };
    let (first, last) = (losses[0], mean(290..300));
    // The generator starts at a uniform guess, ln 60 = 4.09, and ends by knowing every masked word; the discriminator
    // starts at a coin's ln 2 = 0.69. Its task grows easier and harder at once: fewer tokens are replaced.
    assert!((first.0 - (VOCAB as f64).ln()).abs() < 0.15, "generator starts at {first:?}");
    assert!((first.1 - 2f64.ln()).abs() < 0.1, "discriminator starts at {first:?}");
    assert!(last.0 < 0.1, "generator ends at {last:?}");
    assert!(last.1 < 0.03, "discriminator ends at {last:?}");
}

#[test]
fn every_objective_learns_one_batch_by_heart() {
    let networks = networks(0.0);
    let batch = batch(&[32, 32, 30, 28, 31, 25, 32, 20]);
    for name in objective::names() {
        let mut trainer = trainer_of(name, &networks, 8);
        let mut last = None;
        let mut first = None;
        for step in 0..300 {
            let done = trainer.step(&batch, step, 3e-3).unwrap();
            assert!(done.applied, "{name}, step {step}");
            last = Some(done.metrics);
            first = first.or(last.clone());
        }
        let (first, last) = (first.unwrap(), last.unwrap());
        match name {
            // Its generator is rewarded for what the discriminator gets wrong: the one who must still learn is the latter.
            "adversarial" => {
                let [first, last] = [first, last].map(|metrics| metrics.discriminator_loss.unwrap());
                assert!(last < 0.5 * first, "{name}: from {first} to {last}");
            }
            // Whether a token was chosen cannot be known where the noise is as good as the text: its noise must learn.
            "electric" => {
                let generator = last.generator_loss.unwrap();
                assert!(generator < 0.15, "{name}: the noise's loss ends at {generator}");
                assert!(last.loss < first.loss, "{name}: from {} to {}", first.loss, last.loss);
            }
            // From its first step on in the second stage, whose generator has learnt nothing.
            "two_stage" => assert!(last.loss < 0.2 * first.loss, "{name}: from {} to {}", first.loss, last.loss),
            _ => {
                if let Some(generator) = last.generator_loss {
                    assert!(generator < 0.15, "{name}: the MLM loss ends at {generator}");
                }
                assert!(last.loss < 0.2 * first.loss, "{name}: from {} to {}", first.loss, last.loss);
            }
        }
    }
}

#[test]
fn a_token_is_replaced_where_it_differs_from_the_original() {
    let networks = networks(0.1);
    let batch = batch(&[32, 24, 9]);
    let device = Device::flex();
    // Every other slot gets the original back, the rest another word.
    let samples: Vec<i32> = batch
        .masked_original_ids
        .iter()
        .enumerate()
        .map(|(slot, &id)| if slot % 2 == 0 { id } else { 5 + (id - 5 + 1) % (VOCAB as i32 - 5) })
        .collect();
    let given = Tensor::from_data(TensorData::new(samples.clone(), [batch.batch, batch.max_masked]), &device);
    let rtd = objective(&networks, ObjectiveConfig::default());
    let parameters = Parameters::initialize(&rtd.layout(), 5, &device);
    let seen = rtd.step(&parameters, &DeviceBatch::new(&batch, &device), &context(&batch, Some(given))).observations;

    let mut expected = batch.original_ids.clone();
    let mut replaced = vec![0.0; expected.len()];
    for (slot, &sample) in samples.iter().enumerate().filter(|(slot, _)| batch.mask_weights[*slot] > 0.0) {
        let at = slot / batch.max_masked * SEQ + batch.masked_positions[slot] as usize;
        expected[at] = sample;
        replaced[at] = f32::from(u8::from(slot % 2 == 1));
    }
    assert!(replaced.contains(&1.0) && batch.masked_ids.contains(&(SPECIAL.mask as i32)));
    assert_eq!(ids(seen.corrupted_ids.unwrap()), expected);
    assert_eq!(floats(seen.is_replaced.unwrap()), replaced);
}

#[test]
fn each_loss_reaches_its_own_network() {
    let networks = networks(0.0);
    let batch = batch(&[32, 24, 9]);
    let device = Device::flex().autodiff();
    // The sum of absolute gradients by parameter, of one loss alone.
    let reached = |generator_loss_weight: f64, discriminator_loss_weight: f64| -> Vec<(String, f64)> {
        let mut config = ObjectiveConfig::default();
        config.rtd.generator_loss_weight = generator_loss_weight;
        config.rtd.discriminator_loss_weight = discriminator_loss_weight;
        let rtd = objective(&networks, config);
        let parameters =
            Parameters::initialize(&rtd.layout(), 5, &device).map(|_, _, value| value.clone().require_grad());
        let output = rtd.step(&parameters, &DeviceBatch::new(&batch, &device), &context(&batch, None));
        let sum = |gradient: Tensor<1>| floats(gradient).into_iter().map(|x| f64::from(x.abs())).sum();
        let gradients = gradients_of(&parameters, &output.loss).into_iter();
        gradients.zip(parameters.specs()).map(|(g, spec)| (spec.name.clone(), g.map_or(0.0, sum))).collect()
    };
    let shared = format!("{DISCRIMINATOR}electra.embeddings.");
    for (name, sum) in reached(0.0, 1.0) {
        if name.starts_with(GENERATOR) {
            assert_eq!(sum, 0.0, "{name}: nothing flows back through the samples");
        } else if !name.ends_with("key.bias") {
            // A key's bias shifts all scores of a softmax alike, and so has no gradient.
            assert!(sum > 0.0, "{name} learns nothing from the discriminator's loss");
        }
    }
    for (name, sum) in reached(1.0, 0.0) {
        if name.starts_with(DISCRIMINATOR) && !name.starts_with(&shared) {
            assert_eq!(sum, 0.0, "{name}: the generator's loss is none of its business");
        } else if !name.ends_with("key.bias") {
            assert!(sum > 0.0, "{name} learns nothing from the generator's loss");
        }
    }
}

#[test]
fn micro_batches_of_unequal_lengths_add_up_to_the_batch() {
    objective::names().into_iter().for_each(micro_batches_add_up);
}

fn micro_batches_add_up(name: &str) {
    let networks = networks(0.1);
    // Six rows whose halves and thirds differ much in tokens and masked positions; dropout and sampling are on.
    let batch = batch(&[32, 6, 30, 9, 12, 27]);
    let step = |micro_batch: usize| {
        let mut trainer = trainer_of(name, &networks, micro_batch);
        let done = trainer.step(&batch, 0, 1e-3).unwrap();
        let moments: Vec<Vec<f32>> = trainer.adam.moments().0.iter().map(|m| floats(m.clone())).collect();
        (done, moments)
    };
    let (whole, whole_moments) = step(6);
    assert!(whole.applied);
    for (micro_batch, number) in [(3, 2), (2, 3), (4, 2), (1, 6)] {
        let (parts, moments) = step(micro_batch);
        let close = |what: &str, found: f64, expected: f64| {
            let error = (found - expected).abs() / expected.abs().max(1.0);
            assert!(error <= 1e-6, "{name}: {what} of {number} micro-batches: {found} instead of {expected}");
        };
        close("loss", parts.metrics.loss, whole.metrics.loss);
        for (found, expected) in parts.metrics.generator_loss.into_iter().zip(whole.metrics.generator_loss) {
            close("MLM loss", found, expected);
        }
        for (found, expected) in parts.metrics.discriminator_loss.into_iter().zip(whole.metrics.discriminator_loss) {
            close("RTD loss", found, expected);
        }
        close("gradient norm", parts.gradient_norm, whole.gradient_norm);
        assert_eq!(parts.metrics.is_replaced, whole.metrics.is_replaced, "the same samples");
        assert_eq!(parts.metrics.masked, whole.metrics.masked);
        // After one step a first moment is a tenth of the clipped gradient.
        for (found, expected) in moments.iter().zip(&whole_moments) {
            let scale = expected.iter().fold(0f32, |scale, x| scale.max(x.abs()));
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() <= 2e-6 * scale + 1e-9, "{name}: gradient {a} instead of {b} (greatest {scale})");
            }
        }
    }
}
