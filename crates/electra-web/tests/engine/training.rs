//! Fine-tuning and pre-training step by step, and what leaves the page and comes back.

use burn::tensor::Device;
use electra_data::{FilesInMemory, Folder};
use electra_train::host::wait_for;
use electra_train::inference::{Detector, Filler, TaskNetwork};
use electra_web::EngineError;
use electra_web::finetune::{FineTuneOptions, FineTuned, FineTuner};
use electra_web::model::{Model, classify, score};
use electra_web::pretrain::{PretrainOptions, Pretrained, Pretrainer};
use electra_web::protocol::{ModelKind, Progress};
use electra_web::table::Columns;

use crate::{clock, load, saved};

/// Rows whose label is their first word.
fn table() -> String {
    let row = |number: usize| {
        format!("w{} w{} w{},{}\n", 10 + number % 2, 20 + number % 7, 30 + number % 11, ["up", "down"][number % 2])
    };
    format!("text,label\n{}", (0..120).map(row).collect::<String>())
}

fn tuned(steps: u64) -> Result<(FineTuned, Vec<Progress>), EngineError> {
    let model = load("discriminator", ModelKind::Discriminator);
    let options = FineTuneOptions {
        columns: Columns::default(),
        epochs: 50.0,
        batch_size: 16,
        learning_rate: 3e-3,
        max_length: 16,
        seed: 1,
        from_scratch: false,
        steps,
    };
    let base = model.discriminator().unwrap().clone();
    let table = table();
    let begun = FineTuner::begin(base, "CPU", ("reviews.csv", table.as_bytes()), &options, clock);
    let (mut tuner, mut told) = wait_for(begun)?;
    loop {
        let (goes_on, more) = wait_for(tuner.step())?;
        told.extend(more);
        if !goes_on {
            return Ok((wait_for(tuner.finish())?, told));
        }
    }
}

#[test]
fn a_fine_tuned_folder_says_the_same_in_the_page_and_natively() {
    let (tuned, told) = tuned(60).unwrap();
    let steps = told.iter().filter(|progress| matches!(progress, Progress::Step { .. })).count();
    let rows: Vec<_> = told
        .iter()
        .filter_map(|progress| if let Progress::Row { row } = progress { Some(row) } else { None })
        .collect();
    assert_eq!(steps, 60);
    assert!(rows.iter().any(|row| row["split"] == "train" && row["loss"].is_f64()), "{rows:?}");
    assert!(rows.iter().any(|row| row["split"] == "validation" && row["accuracy"].is_f64()), "{rows:?}");
    let result = &tuned.result;
    assert!(result.scores.get("accuracy") > result.baselines["majority"].get("accuracy"), "{result:?}");
    let confusion = result.confusion.as_ref().unwrap();
    let (all, right): (u64, u64) =
        (confusion.counts.iter().flatten().sum(), (0..2).map(|label| confusion.counts[label][label]).sum());
    assert_eq!((all, confusion.labels.join(" ").as_str()), (12, "down up"));
    assert!((result.scores.get("accuracy").unwrap() - right as f64 / all as f64).abs() < 1e-12);
    assert_eq!(result.worst.len() as u64, all - right);

    let folder = saved(&tuned.files);
    let native = TaskNetwork::load(folder.path(), &Device::flex()).unwrap();
    let again = Model::load(&tuned.files, ModelKind::Classifier, &Device::flex()).unwrap();
    assert_eq!(again.loaded(1).labels, ["down", "up"]);
    for text in ["w10 w21 w33", "w11 w21 w33"] {
        let [page, native] =
            [again.classifier().unwrap(), &native].map(|network| wait_for(classify(network, text, None)).unwrap());
        assert_eq!(page, native);
        assert_eq!(page.probabilities.len(), 2);
    }
    assert_eq!(native.record.columns.as_ref().unwrap().text_column, "text");
}

#[test]
fn a_limit_of_steps_ends_it_early() {
    let (_, told) = tuned(3).unwrap();
    let steps = told.iter().filter_map(|progress| {
        if let Progress::Step { step, steps, .. } = progress { Some((*step, *steps)) } else { None }
    });
    assert_eq!(steps.collect::<Vec<_>>(), [(1, 3), (2, 3), (3, 3)]);
}

/// Sentences that follow a few patterns, of more than 20 kB.
fn text() -> String {
    let word = |number: usize, of: &[&str]| of[number * 7919 % 104_729 % of.len()].to_owned();
    let sentence = |number: usize| {
        let subject = word(number, &["the cook", "a sailor", "my neighbour", "the old woman", "a child"]);
        let verb = word(number / 3, &["sees", "likes", "carries", "paints"]);
        let object = word(number / 5, &["the red boat", "a small house", "some bread", "the dark river", "a letter"]);
        format!("{subject} {verb} {object}. ")
    };
    (0..900).map(sentence).collect()
}

fn options(objective: &str, steps: u64) -> PretrainOptions {
    PretrainOptions {
        text: text(),
        vocabulary: 160,
        steps,
        objective: objective.to_owned(),
        layers: 1,
        hidden: 32,
        generator_size: None,
        batch_size: 4,
        sequence_length: 32,
        learning_rate: 1e-3,
        seed: 5,
        sample_every: 10,
    }
}

fn begin(options: &PretrainOptions, resume: Option<&[u8]>) -> Result<Pretrainer, EngineError> {
    Pretrainer::begin(options, resume, &Device::flex(), "CPU", clock).map(|(trainer, _)| trainer)
}

/// Steps to its end; what was told, and what it came to.
fn to_its_end(mut trainer: Pretrainer) -> (Vec<Progress>, Pretrained) {
    let mut told = Vec::new();
    loop {
        let (goes_on, more) = wait_for(trainer.step()).unwrap();
        told.extend(more);
        if !goes_on {
            return (told, wait_for(trainer.finish()).unwrap());
        }
    }
}

#[test]
fn a_pre_trained_folder_says_the_same_in_the_page_and_natively() {
    let (told, done) = to_its_end(begin(&options("rtd", 20), None).unwrap());
    let samples: Vec<_> = told
        .iter()
        .filter_map(
            |progress| if let Progress::Sample { step, tokens } = progress { Some((step, tokens)) } else { None },
        )
        .collect();
    assert_eq!(samples.iter().map(|(step, _)| **step).collect::<Vec<_>>(), [10, 10, 20, 20]);
    assert!(samples.iter().all(|(_, tokens)| tokens.iter().any(|token| token.token != token.original)), "{samples:?}");
    let folder = saved(&done.files);
    let native = Detector::load(&folder.path().join("discriminator"), &Device::flex()).unwrap();
    let page = done.discriminator.unwrap();
    let text = "the cook paints some bread";
    let [page, native] =
        [page.discriminator().unwrap(), &native].map(|detector| wait_for(score(detector, text)).unwrap());
    assert_eq!(page, native);
    assert!(page.len() >= 5);
    Filler::load(&folder.path().join("generator"), &Device::flex()).unwrap();

    // And the terminal's folder in the page.
    let files: FilesInMemory = std::fs::read_dir(folder.path().join("discriminator"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    let again = Detector::load(Folder::Memory(&files), &Device::flex()).unwrap();
    assert_eq!(wait_for(score(&again, text)).unwrap(), native);
}

#[test]
fn a_run_that_was_left_and_taken_up_again_ends_as_one_that_was_not() {
    let (_, whole) = to_its_end(begin(&options("rtd", 20), None).unwrap());
    let mut left = begin(&options("rtd", 20), None).unwrap();
    for _ in 0..7 {
        wait_for(left.step()).unwrap();
    }
    let (step, bytes) = wait_for(left.checkpoint()).unwrap();
    assert_eq!(step, 7);
    let (told, taken_up) = to_its_end(begin(&options("rtd", 20), Some(&bytes)).unwrap());
    assert!(matches!(told[0], Progress::Step { step: 8, steps: 20, .. }), "{:?}", told[0]);
    assert!(whole.files == taken_up.files, "weights, bit for bit");
    assert!(whole.checkpoint == taken_up.checkpoint, "and all that a run remembers");

    let failure = |options: &PretrainOptions, bytes: &[u8]| begin(options, Some(bytes)).err().expect("refused").message;
    assert!(failure(&options("rtd", 20), &bytes[..bytes.len() - 1]).contains("damaged"));
    assert!(failure(&options("rtd", 20), b"no checkpoint at all").contains("damaged"));
    assert!(failure(&PretrainOptions { learning_rate: 2e-3, ..options("rtd", 20) }, &bytes).contains("learning_rate"));
}

#[test]
fn an_objective_without_a_discriminator_gives_a_generator_alone() {
    let (told, done) = to_its_end(begin(&options("mlm", 3), None).unwrap());
    assert!(done.discriminator.is_none() && done.generator.is_some());
    assert!(!told.iter().any(|progress| matches!(progress, Progress::Sample { .. })));
}

#[test]
fn the_generator_is_as_wide_as_it_is_asked_to_be() {
    for (share, width) in [(0.25, 8), (0.5, 16), (1.0, 32)] {
        let options = PretrainOptions { generator_size: Some(share), ..options("rtd", 1) };
        let (_, done) = to_its_end(begin(&options, None).unwrap());
        assert_eq!(done.generator.unwrap().loaded(1).hidden, width);
    }
}

#[test]
fn what_cannot_be_trained_is_told() {
    let failure = |options: &PretrainOptions| begin(options, None).err().expect("refused").message;
    let short = PretrainOptions { text: "too short".to_owned(), ..options("rtd", 3) };
    assert!(failure(&short).contains("20 are needed"));
    assert!(failure(&options("magic", 3)).contains("objective.name"));
    assert!(failure(&PretrainOptions { learning_rate: 0.0, ..options("rtd", 3) }).contains("train.learning_rate"));
    assert!(failure(&PretrainOptions { generator_size: Some(2.0), ..options("rtd", 3) }).contains("generator_size"));
}
