//! Each fault is planted into the record of a healthy run, and must be found by its own question, with its numbers; the healthy run has none.

mod of_text;

use electra_kernels::Precision;
use electra_model::Sharing;

use super::record::{Record, Untied};
use super::text::Text;
use super::{Diagnosis, Finding, Severity};
use crate::config::{PositionInitializer, resolve};
use crate::pretraining::metrics::MetricsRow;
use crate::run::{TimingsRow, TrainState};
use crate::step::schedule::lr_at;

const STEPS: u64 = 4000;

/// A healthy row of the preset `first`: values that such a run has after `step` steps, without noise.
pub(super) fn row(step: u64, split: &str) -> MetricsRow {
    let learnt = 1.0 - (-(step as f64) / 600.0).exp();
    let (sampled, nats) = (0.14 * learnt, 7.6 - 2.3 * learnt);
    let is_training = split == "train";
    let held_out = [("unigram_auc", 0.51), ("bigram_auc", 0.76), ("swap_auc", 0.5 + 0.34 * learnt)];
    let extra = if is_training { &[][..] } else { &held_out[..] };
    let replaced = 0.15 * (1.0 - sampled);
    let found = 0.42 - 0.2 * learnt;
    MetricsRow {
        step,
        split: split.to_owned(),
        loss: Some(nats + 50.0 * found),
        generator_loss: Some(nats),
        discriminator_loss: Some(found),
        discriminator_auc: Some(0.5 + 0.38 * learnt + 2e-6 * step as f64),
        discriminator_accuracy: Some(1.0 - replaced + 0.04 * learnt),
        discriminator_precision: Some(0.7),
        discriminator_recall: Some(0.43 * learnt),
        generator_accuracy: Some(0.2 * learnt),
        sampled_accuracy: Some(sampled),
        replaced_rate: Some(replaced),
        learning_rate: is_training.then(|| lr_at(step - 1, 2e-3, 200, STEPS)),
        gradient_norm: is_training.then_some(12.0 - 5.0 * learnt),
        extra: extra.iter().map(|(name, value)| ((*name).to_owned(), Some(*value))).collect(),
    }
}

fn healthy_run(objective: &str) -> Record {
    let sets = [format!("objective.name=\"{objective}\""), format!("train.steps={STEPS}")];
    let mut config = resolve(Some("first"), None, &sets).unwrap();
    config.settle_phases();
    let is_phase = |step: u64| objective != "two_stage" || step > STEPS / 2;
    // What the objective has no network for is null, as in its files.
    let pair = ["rtd", "electra_15", "all_tokens_mlm", "two_stage", "adversarial", "electric"].contains(&objective);
    let of = |step: u64, split: &str| {
        let mut row = row(step, split);
        if !pair || !is_phase(step) {
            row.discriminator_loss = None;
            row.discriminator_auc = None;
            row.discriminator_accuracy = None;
            row.discriminator_precision = None;
            row.discriminator_recall = None;
            row.replaced_rate = None;
            row.sampled_accuracy = None;
            row.extra.clear();
        }
        if objective == "causal" {
            row.loss = row.generator_loss.take();
            row.generator_accuracy = None;
        }
        row
    };
    let timing = |step: u64| TimingsRow {
        step,
        seconds: step as f64 / 40.0,
        steps_per_second: 40.0,
        tokens_per_second: 40.0 * 2048.0,
    };
    Record {
        config,
        train: (1..=40).map(|number| of(100 * number, "train")).collect(),
        validation: (1..=8).map(|number| of(500 * number, "validation")).collect(),
        timings: (1..=40).map(|number| timing(100 * number)).collect(),
        state: Some(TrainState { step: STEPS, updates: STEPS, tokens_seen: 8_000_000, ..TrainState::default() }),
        text: Some(Text {
            train_tokens: 5_600_000,
            held_out_tokens: 116_000,
            text_bytes: 18_900_000,
            vocab_size: 2048,
            used_entries: 2030,
            unigram_entropy: 6.1,
            judged_tokens: 100_000,
            leaked_tokens: 120,
            leaked_lines: 5,
            ..Text::default()
        }),
        tables_seen: vec!["step_004000".to_owned()],
        ..Record::default()
    }
}

fn objectives() -> Vec<&'static str> {
    electra_model::objective::names()
}

#[test]
fn a_healthy_run_of_every_objective_has_nothing_wrong_and_nothing_suspicious() {
    for objective in objectives() {
        let diagnosis = Diagnosis::of(&healthy_run(objective));
        let bad: Vec<&Finding> = diagnosis.findings.iter().filter(|found| found.severity != Severity::Fine).collect();
        assert!(bad.is_empty(), "{objective}: {bad:#?}");
        assert!(diagnosis.findings.len() >= 8, "{objective}: {:#?}", diagnosis.findings);
        assert!(diagnosis.beside.is_some_and(|beside| !beside.metrics.is_empty()), "{objective}");
    }
}

/// Plants a fault into a healthy run and expects one family to find it, with `parts` in what it says.
#[track_caller]
fn expect_of(mut record: Record, plant: impl FnOnce(&mut Record), about: &str, severity: Severity, parts: &[&str]) {
    plant(&mut record);
    let diagnosis = Diagnosis::of(&record);
    let found = diagnosis.findings.iter().filter(|finding| finding.about == about);
    let found: Vec<&Finding> = found.filter(|finding| finding.severity == severity).collect();
    assert_eq!(found.len(), 1, "{:#?}", diagnosis.findings);
    let text = format!("{} {} {}", found[0].what, found[0].evidence, found[0].remedy.as_deref().unwrap_or_default());
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert_eq!(found[0].remedy.is_some(), severity != Severity::Fine, "{text}");
    // Nothing worse stands elsewhere for this fault alone.
    assert!(diagnosis.findings[0].severity >= severity, "{:#?}", diagnosis.findings);
}

#[track_caller]
fn expect(plant: impl FnOnce(&mut Record), about: &str, severity: Severity, parts: &[&str]) {
    expect_of(healthy_run("rtd"), plant, about, severity, parts);
}

use Severity::{Fine, Suspicious, Wrong};

/// A discriminator that says "original" of every token.
fn stand_at_the_majority(row: &mut MetricsRow) {
    row.discriminator_auc = row.discriminator_auc.map(|_| 0.501);
    row.discriminator_recall = row.discriminator_recall.map(|_| 0.0);
    row.discriminator_precision = None;
    row.discriminator_accuracy = row.replaced_rate.map(|rate| 1.0 - rate);
}

#[test]
fn a_discriminator_at_the_majority_class_is_judged_by_its_own_replaced_rate() {
    let plant = |record: &mut Record| {
        record.train.iter_mut().chain(&mut record.validation).for_each(stand_at_the_majority);
    };
    let parts = [
        "majority class",
        "steps 3100 to 4000",
        "AUC 0.501",
        "accuracy 0.871",
        "scores 0.871",
        "word pairs 0.760",
        "model.sharing",
    ];
    expect(plant, "discriminator", Wrong, &parts);
    // What the run has already is no remedy.
    let without_neighbours = |record: &mut Record| {
        plant(record);
        record.config.model.position_initializer = PositionInitializer::Normal;
        record.config.model.sharing = Sharing::None;
        record.train.iter_mut().chain(&mut record.validation).for_each(|row| row.step *= 4);
        record.config.train.steps = 4 * STEPS;
        record.state = None;
    };
    expect(
        without_neighbours,
        "discriminator",
        Wrong,
        &["one at a time: position_initializer = \"neighbours\"", "; a weaker"],
    );
    // As early in a run that looks for its neighbours, it is what each run begins with.
    let early = |record: &mut Record| {
        plant(record);
        record.config.model.position_initializer = PositionInitializer::Normal;
        record.config.train.steps = 100_000;
        record.is_being_trained = true;
    };
    expect(early, "discriminator", Fine, &["too early", "step 10000"]);
    // In the first stage there is no discriminator to judge; in the second there is.
    expect_of(healthy_run("two_stage"), plant, "discriminator", Wrong, &["majority class", "steps 3600 to 4000"]);
    // Trained on masked places, most of which are replaced, the majority is the other answer.
    let replaced_for_all = |record: &mut Record| {
        for row in &mut record.train {
            (row.discriminator_auc, row.discriminator_recall, row.discriminator_accuracy) =
                (Some(0.49), Some(1.0), row.replaced_rate);
        }
    };
    expect_of(healthy_run("electra_15"), replaced_for_all, "discriminator", Wrong, &["majority class", "recall 1.000"]);
}

#[test]
fn a_discriminator_below_a_table_of_pairs_or_blind_to_swaps_is_suspicious() {
    let below = |record: &mut Record| record.validation.iter_mut().for_each(|row| row.discriminator_auc = Some(0.7));
    expect(below, "discriminator", Suspicious, &["table of word pairs", "AUC 0.700", "0.760"]);
    let blind = |record: &mut Record| {
        record.validation.iter_mut().for_each(|row| {
            row.extra.insert("swap_auc".to_owned(), Some(0.52));
        });
    };
    expect(blind, "discriminator", Suspicious, &["not swapped words", "0.520"]);
}

#[test]
fn a_generator_that_does_not_learn_is_told_from_one_that_knows_frequencies_and_one_on_a_plateau() {
    let at =
        |nats: f64| move |record: &mut Record| record.train.iter_mut().for_each(|row| row.generator_loss = Some(nats));
    expect(at(7.6), "generator", Wrong, &["as good as guessing", "7.600 nats", "guessing costs 7.625"]);
    expect(at(6.08), "generator", Wrong, &["how frequent words are", "frequencies alone 6.100"]);
    let causal = |record: &mut Record| record.train.iter_mut().for_each(|row| row.loss = Some(7.6));
    expect_of(healthy_run("causal"), causal, "generator", Wrong, &["the language model does not learn"]);
    let plateau = |record: &mut Record| {
        at(5.7)(record);
        record.train.iter_mut().for_each(|row| row.learning_rate = Some(2e-3));
    };
    // A weak generator is a fine one while the discriminator still gets better.
    expect(plateau, "generator", Fine, &["the generator learns"]);
    let plateau = |record: &mut Record| {
        plateau(record);
        record.train.iter_mut().for_each(|row| row.discriminator_auc = Some(0.7));
    };
    expect(plateau, "generator", Suspicious, &["plateau", "accuracy 0.199"]);
    let early = |record: &mut Record| {
        at(7.6)(record);
        record.train.truncate(5);
        record.validation.clear();
        record.state = None;
        record.is_being_trained = true;
    };
    expect(early, "generator", Fine, &["too early", "step 1000"]);
}

#[test]
fn a_collapsed_replaced_rate_and_leaking_samples_are_told_apart() {
    let right = |sampled: f64, likeliest: f64| {
        move |record: &mut Record| {
            record.train.iter_mut().for_each(|row| {
                row.sampled_accuracy = Some(sampled);
                row.generator_accuracy = Some(likeliest);
                row.replaced_rate = Some(0.15 * (1.0 - sampled));
            });
        }
    };
    expect(right(0.95, 0.96), "replaced", Wrong, &["nothing to find", "0.008 of the tokens", "original in 0.950"]);
    expect(right(0.7, 0.75), "replaced", Suspicious, &["generator is strong", "0.045"]);
    expect(right(0.5, 0.2), "replaced", Wrong, &["generator does not", "likeliest token in 0.200"]);
}

#[test]
fn tables_that_differ_are_named_with_their_distance() {
    let plant = |place: &'static str| {
        move |record: &mut Record| {
            let table = "electra.embeddings.word_embeddings.weight".to_owned();
            record.untied.push(Untied { place: place.to_owned(), table, difference: Some(0.25) });
        }
    };
    expect(plant("step_004000"), "embeddings", Wrong, &["\"embeddings\"", "word_embeddings", "0.250 apart", "resume"]);
    expect(plant("the exported networks"), "embeddings", Wrong, &["electra export"]);
}

#[test]
fn a_rate_that_never_warms_up_is_wrong_and_one_that_still_does_is_told() {
    let too_long = |record: &mut Record| {
        record.config.train.warmup_steps = 10_000;
        record.train.iter_mut().for_each(|row| row.learning_rate = Some(lr_at(row.step - 1, 2e-3, 10_000, STEPS)));
    };
    expect(too_long, "schedule", Wrong, &["never gets to its peak", "10000 of 4000", "the highest was"]);
    let within = |record: &mut Record| {
        record.config.train.steps = 100_000;
        record.config.train.warmup_steps = 10_000;
        record.is_being_trained = true;
    };
    expect(within, "schedule", Suspicious, &["warm-up still, at step 4000 of 10000"]);
    expect(|record| record.config.train.warmup_steps = 0, "schedule", Suspicious, &["not warmed up"]);
    expect(|record| record.config.train.learning_rate = 0.1, "schedule", Suspicious, &["unusual", "1e-1"]);
}

#[test]
fn a_run_that_stopped_early_is_told_from_one_that_is_at_work() {
    let longer = |record: &mut Record| record.config.train.steps = 8000;
    expect(longer, "progress", Suspicious, &["stopped before its last step", "step 4000 of 8000, 50 %", "--resume"]);
    let at_work = |record: &mut Record| {
        longer(record);
        record.is_being_trained = true;
    };
    expect(at_work, "progress", Fine, &["being trained"]);
    let slower = |record: &mut Record| {
        record
            .timings
            .iter_mut()
            .filter(|row| row.step > 2000)
            .for_each(|row| row.seconds = 50.0 + (row.step - 2000) as f64 / 8.0);
    };
    expect(slower, "progress", Suspicious, &["slower", "40.0 steps a second", "8.000 in the last"]);
    expect(
        |record| record.damaged.push("step_004000: damaged".to_owned()),
        "progress",
        Suspicious,
        &["the newest checkpoint is damaged"],
    );
}

#[test]
fn numbers_that_are_not_finite_are_counted() {
    let skipped = |count: u64| move |record: &mut Record| record.state.as_mut().unwrap().nonfinite_steps = count;
    expect(skipped(3), "not_finite", Suspicious, &["3 of 4000 steps were skipped"]);
    expect(skipped(200), "not_finite", Wrong, &["200 of 4000", "learning_rate"]);
    let ended = |record: &mut Record| record.broken_batches.push("nonfinite_step_004000.json".to_owned());
    expect(ended, "not_finite", Wrong, &["nonfinite_step_004000.json"]);
    expect(|record| record.train[30].loss = None, "not_finite", Wrong, &["no loss", "step 3100"]);
}

#[test]
fn a_gradient_that_runs_away_vanishes_or_is_far_beyond_its_clipping_is_found() {
    let norms = |of: fn(u64) -> f64| {
        move |record: &mut Record| record.train.iter_mut().for_each(|row| row.gradient_norm = Some(of(row.step)))
    };
    expect(
        norms(|step| if step > 3000 { 400.0 } else { 7.0 }),
        "gradient",
        Wrong,
        &["runs away", "median 400.0", "7.000 in its quietest"],
    );
    expect(norms(|_| 1e-9), "gradient", Wrong, &["vanished"]);
    expect(norms(|_| 90.0), "gradient", Suspicious, &["far beyond", "clip_norm = 1.000 in 100 %"]);
}

#[test]
fn a_loss_scale_that_is_stuck_or_falls_is_found() {
    let scale = |factor: f64, updates: u64| {
        move |record: &mut Record| {
            record.config.train.precision = Precision::F16;
            let state = record.state.as_mut().unwrap();
            (state.loss_scale, state.updates) = (Some([factor, 12.0]), updates);
        }
    };
    expect(scale(1.0, 3900), "loss_scale", Wrong, &["stuck", "factor 1.000", "100 updates skipped"]);
    expect(scale(4096.0, 3900), "loss_scale", Suspicious, &["keeps falling", "2.5 %"]);
    expect(scale(65_536.0, 3990), "loss_scale", Fine, &["10 updates skipped"]);
}

#[test]
fn held_out_loss_that_rises_while_training_loss_falls_is_learning_by_heart() {
    let rising = |by: f64| {
        move |record: &mut Record| {
            record.validation.iter_mut().filter(|row| row.step > 2000).for_each(|row| {
                row.generator_loss = Some(5.4 * (1.0 + by * (row.step - 2000) as f64 / 2000.0));
            });
        }
    };
    expect(rising(0.05), "overfitting", Suspicious, &["by heart", "language model's loss on held-out text 5.3"]);
    expect(rising(0.3), "overfitting", Wrong, &["by heart", "7.020 at step 4000"]);
    // Both rise: the run gets worse, but not by heart.
    let both = |record: &mut Record| {
        rising(0.05)(record);
        record.train.iter_mut().filter(|row| row.step > 2000).for_each(|row| row.generator_loss = Some(5.6));
    };
    let mut record = healthy_run("rtd");
    both(&mut record);
    let diagnosis = Diagnosis::of(&record);
    assert!(diagnosis.findings.iter().any(|found| found.about == "overfitting" && found.severity == Fine));
}

#[test]
fn what_shares_nothing_is_not_asked_for_its_tables() {
    let mut record = healthy_run("rtd");
    record.config.model.sharing = Sharing::None;
    record.tables_seen.clear();
    assert!(Diagnosis::of(&record).findings.iter().all(|found| found.about != "embeddings"));
}
