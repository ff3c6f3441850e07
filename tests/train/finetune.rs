//! Fine-tuning: every kind of task and head learns what can be learnt, and nothing is lost when it ends early.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use electra_data::Tokenizer;
use electra_kernels::launches;
use electra_model::ElectraConfig;
use electra_model::head::HeadStyle;
use electra_task::task::{Split, TaskData, usual_metrics};
use electra_task::{Answer, Example, Input, Kind, Target};
use electra_train::TrainEvent;
use electra_train::finetuning::{FineTuneConfig, FineTuneOptions, FineTunePlan, FineTuned, FineTuningData, finetune};

use crate::support::adapter::gpu;

const WORDS: [&str; 12] = ["good", "bad", "film", "book", "the", "a", "very", "chef", "meal", "ate", "saw", "who"];

fn tokenizer() -> Tokenizer {
    let vocab = format!("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n{}\n##s", WORDS.join("\n"));
    Tokenizer::from_vocab_bytes(vocab.as_bytes(), true).unwrap()
}

fn network() -> ElectraConfig {
    ElectraConfig {
        vocab_size: 18,
        embedding_size: 16,
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 64,
        max_position_embeddings: 40,
        ..ElectraConfig::default()
    }
}

/// Texts that say what is right: a word among others decides.
fn data(kind: &Kind, count: usize) -> TaskData {
    let text = |number: usize| {
        let filler = WORDS[2 + number % 5];
        let (is_good, is_book) = (number.is_multiple_of(2), number.is_multiple_of(3));
        let word = if is_good { "good" } else { "bad" };
        (format!("the {filler} very {word} {}", if is_book { "book" } else { "film" }), is_good, is_book)
    };
    let example = |number: usize| {
        let (text, is_good, is_book) = text(number);
        let (input, target) = match kind {
            Kind::Classification { .. } => (Input::Text(text), Target::Class(usize::from(is_good))),
            Kind::Regression { .. } => (Input::Text(text), Target::Value(if is_good { 5.0 } else { 1.0 })),
            Kind::MultiLabel { .. } => {
                let labels = [(0, is_good), (1, is_book)].into_iter().filter(|(_, is)| *is).map(|(label, _)| label);
                (Input::Text(text), Target::Classes(labels.collect()))
            }
            Kind::Tagging { .. } => {
                let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
                let tags = words.iter().map(|word| usize::from(word == "good" || word == "bad")).collect();
                (Input::Words(words), Target::Tags(tags))
            }
            Kind::QuestionAnswering { unanswerable } => {
                let context = if number.is_multiple_of(2) { "the very good chef ate" } else { "chef saw the film" };
                let start = context.find("chef").unwrap();
                let none = *unanswerable && number.is_multiple_of(3);
                let context = if none { context.replace("chef", "book") } else { context.to_owned() };
                let answers = if none { vec![] } else { vec![Answer { text: "chef".into(), start }] };
                (Input::Pair("who ate".into(), context), Target::Answers(answers))
            }
        };
        Example { id: number.to_string(), input, target }
    };
    let split = |name: &str, numbers: std::ops::Range<usize>| Split {
        name: name.to_owned(),
        examples: numbers.map(example).collect(),
        ..Split::default()
    };
    TaskData {
        train: Some(split("train", 0..count)),
        dev: vec![split("dev", count..count + 12)],
        metrics: usual_metrics(kind),
        ..TaskData::of(kind.clone())
    }
}

fn labels(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Quick to learn, dropout on.
fn config(head: HeadStyle, sets: impl Fn(&mut FineTuneConfig)) -> FineTuneConfig {
    let mut config = FineTuneConfig {
        task: "csv".into(),
        head,
        epochs: 6.0,
        batch_size: 8,
        learning_rate: 2e-3,
        layer_decay: 0.9,
        max_length: 40,
        log_every: 1,
        ..FineTuneConfig::default()
    };
    sets(&mut config);
    config
}

/// What a run's rows say of the loss of its steps.
fn losses(folder: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    rows.filter(|row| row["split"] == "train").map(|row| row["loss"].as_f64().unwrap()).collect()
}

/// Fine-tunes in `folder`; stops after `stop_after` steps, if that is above 0.
fn run(
    kind: &Kind,
    config: &FineTuneConfig,
    folder: &Path,
    device: &Device,
    stop_after: u64,
    resume: bool,
) -> FineTuned {
    let tokenizer = tokenizer();
    let data = FineTuningData::prepare(&data(kind, 48), config, &tokenizer).unwrap();
    let plan = FineTunePlan::new(config, &network(), kind, tokenizer.special(), device, "here");
    let stop = AtomicBool::new(false);
    let mut watch = |event: &TrainEvent<_>| {
        if let TrainEvent::Progress { step, .. } = event {
            stop.fetch_or(stop_after > 0 && *step >= stop_after, Ordering::SeqCst);
        }
    };
    let options = FineTuneOptions { folder, resume, stop: &stop };
    finetune(plan, data, &[], &options, &mut watch).unwrap()
}

fn kinds() -> Vec<(Kind, HeadStyle, f64)> {
    let classes = || Kind::Classification { labels: labels(&["bad", "good"]) };
    let questions = |unanswerable| Kind::QuestionAnswering { unanswerable };
    vec![
        (classes(), HeadStyle::Hf, 0.99),
        (classes(), HeadStyle::Paper, 0.99),
        (Kind::Regression { scale: 5.0 }, HeadStyle::Hf, 0.8),
        (Kind::MultiLabel { labels: labels(&["good", "book"]) }, HeadStyle::Hf, 0.95),
        (Kind::Tagging { labels: labels(&["O", "B-JUDGEMENT"]) }, HeadStyle::Hf, 0.95),
        (questions(false), HeadStyle::Hf, 90.0),
        (questions(false), HeadStyle::Paper, 90.0),
        (questions(true), HeadStyle::Paper, 90.0),
    ]
}

#[test]
fn every_kind_learns_what_a_word_tells() {
    for (kind, head, least) in kinds() {
        let folder = tempfile::tempdir().unwrap();
        let tuned = run(&kind, &config(head, |config| config.epochs = 30.0), folder.path(), &Device::flex(), 0, false);
        let losses = losses(folder.path());
        let [first, last] = [&losses[..6], &losses[losses.len() - 6..]].map(|part| part.iter().sum::<f64>() / 6.0);
        assert!(last < 0.5 * first, "{kind:?} {head:?}: loss {first} to {last}");
        let (name, score) = tuned.judged[0].primary().unwrap();
        assert!(score >= least, "{kind:?} {head:?}: {name} {score}, {:?}", tuned.judged[0]);
    }
}

#[test]
fn micro_batches_add_up_to_the_batch_in_every_kind() {
    for (kind, head, _) in kinds() {
        let [whole, parts] = [8, 3].map(|micro_batch| {
            let folder = tempfile::tempdir().unwrap();
            let config = config(head, |config| {
                config.micro_batch = micro_batch;
                config.epochs = 1.0;
                config.class_weights = true;
            });
            run(&kind, &config, folder.path(), &Device::flex(), 0, false);
            losses(folder.path())
        });
        assert_eq!(whole.len(), 6);
        for (whole, parts) in whole.iter().zip(&parts) {
            assert!((whole - parts).abs() <= 1e-4 * whole.abs().max(1.0), "{kind:?} {head:?}: {whole} {parts}");
        }
    }
}

#[test]
fn a_stopped_run_goes_on_as_if_it_had_not_been() {
    for (kind, head) in [
        (Kind::Classification { labels: labels(&["bad", "good"]) }, HeadStyle::Hf),
        (Kind::QuestionAnswering { unanswerable: true }, HeadStyle::Paper),
    ] {
        let config = config(head, |config| {
            config.epochs = 3.0;
            config.checkpoint_every = 4;
            config.evaluations_per_epoch = 2;
            config.patience = 4;
        });
        let [whole, stopped] = [0, 1].map(|_| tempfile::tempdir().unwrap());
        let expected = run(&kind, &config, whole.path(), &Device::flex(), 0, false);
        for stop_after in [2, 7, 11] {
            let ended = run(&kind, &config, stopped.path(), &Device::flex(), stop_after, stop_after > 2);
            assert!(ended.interrupted && ended.state.step == stop_after, "{:?}", ended.state);
        }
        let found = run(&kind, &config, stopped.path(), &Device::flex(), 0, true);
        assert_eq!(found.tensors, expected.tensors);
        assert_eq!((found.state, found.judged), (expected.state, expected.judged));
        let rows = |folder: &Path| std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
        assert_eq!(rows(stopped.path()), rows(whole.path()));
    }
}

#[test]
fn a_resumed_run_is_refused_other_examples_and_settings() {
    let kind = Kind::Classification { labels: labels(&["bad", "good"]) };
    let folder = tempfile::tempdir().unwrap();
    let ours = config(HeadStyle::Hf, |_| {});
    run(&kind, &ours, folder.path(), &Device::flex(), 3, false);
    let tokenizer = tokenizer();
    let resume = |config: &FineTuneConfig, examples: usize| {
        let data = FineTuningData::prepare(&data(&kind, examples), config, &tokenizer).unwrap();
        let plan = FineTunePlan::new(config, &network(), &kind, tokenizer.special(), &Device::flex(), "here");
        let stop = AtomicBool::new(true);
        let options = FineTuneOptions { folder: folder.path(), resume: true, stop: &stop };
        finetune(plan, data, &[], &options, &mut |_| {}).map(|_| ())
    };
    let message = resume(&config(HeadStyle::Hf, |config| config.learning_rate = 1e-3), 48).unwrap_err().to_string();
    assert!(message.contains("learning_rate = 0.002") && message.contains("0.001"), "{message}");
    let message = resume(&ours, 40).unwrap_err().to_string();
    assert!(message.contains("other examples"), "{message}");
    resume(&config(HeadStyle::Hf, |config| config.micro_batch = 2), 48).unwrap();
}

#[test]
fn an_adapter_learns_what_the_cpu_does() {
    let Some(opened) = gpu() else { return };
    for (kind, head, _) in kinds() {
        let config = config(head, |config| config.epochs = 1.0);
        let [on_cpu, on_adapter] = [0, 1].map(|_| tempfile::tempdir().unwrap());
        run(&kind, &config, on_cpu.path(), &Device::flex(), 0, false);
        let (_, launched) = launches::record(|| run(&kind, &config, on_adapter.path(), &opened.device, 0, false));
        assert!(!launched.is_empty(), "{kind:?}: no kernel of ours ran");
        for (cpu, adapter) in losses(on_cpu.path()).iter().zip(losses(on_adapter.path())) {
            assert!((cpu - adapter).abs() <= 1e-3 * cpu.abs().max(1.0), "{kind:?} {head:?}: {cpu} {adapter}");
        }
    }
}
