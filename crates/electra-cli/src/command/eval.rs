//! `electra eval`: how good a fine-tuned network, or somebody's file of answers, is on a task's data.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use electra_kernels::device::DeviceChoice;
use electra_task::metric::{BINS, TagScheme, calibration, confusion_matrix, entity_scores, per_class, per_label};
use electra_task::report::{ClassRow, class_table, farthest_off, worst_misread};
use electra_task::squad::{evaluate_1_1, evaluate_2_0, read_no_answer_scores, read_predictions, read_squad};
use electra_task::task::Split;
use electra_task::{Example, Files, Input, Kind, Prediction, Scores, Target, score};
use electra_train::inference::TaskNetwork;
use serde_json::{Map, Value, json};

use super::predict;
use crate::model_folder;
use crate::task_files::{TaskFiles, task_named};
use crate::terminal::{HEADING_STYLE, Terminal};
use crate::verification::open_checked;

const EXAMPLES: &str = "\
Examples:
  electra eval --model tuned/sst2 --data glue/SST-2
  electra eval --model tuned/reviews --data test.csv --confusion --per-class --worst 10 --calibration
  electra eval --task squad1 --data dev-v1.1.json --predictions answers.json
  electra eval --task squad2 --data dev-v2.0.json --predictions answers.json --na-probabilities na.json --json

With --predictions the scores are those of SQuAD's official scripts, each version's own rules included: in 1.1 a question
without a prediction counts 0, in 2.0 two empty answers agree. Scores of SQuAD are in percent.";

/// Score a fine-tuned network, or a file of answers, on a task's data
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A folder that electra finetune wrote
    #[arg(long, value_name = "DIR", required_unless_present = "predictions")]
    model: Option<PathBuf>,
    #[command(flatten)]
    files: TaskFiles,
    /// SQuAD: score these answers (a JSON object of texts by question id) in place of a network's
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    predictions: Option<PathBuf>,
    /// SQuAD 2.0: how much speaks for each question having no answer (a JSON object of numbers by question id)
    #[arg(long, value_name = "FILE", requires = "predictions")]
    na_probabilities: Option<PathBuf>,
    /// SQuAD 2.0: above this a prediction counts as no answer
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0)]
    na_threshold: f64,
    /// Show which labels are taken for which
    #[arg(long)]
    confusion: bool,
    /// Show precision, recall and F1 of each label
    #[arg(long)]
    per_class: bool,
    /// Show so many of the examples that are misread worst
    #[arg(long, value_name = "N", default_value_t = 0)]
    worst: usize,
    /// Show how sure the network is of itself, and how often it is right then
    #[arg(long)]
    calibration: bool,
    /// auto, cpu, gpu or gpu:N; `auto` takes a GPU if there is one, else the CPU
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    if let Some(predictions) = &args.predictions {
        return answers(&args, predictions, terminal);
    }
    let folder = model_folder::find(args.model.as_deref(), "discriminator", terminal)?;
    let device = open_checked(args.device, terminal)?;
    let network = TaskNetwork::load(&folder, &device.device)?;
    network.notices.iter().for_each(|notice| terminal.warn(notice));
    let name = args.files.task.clone().unwrap_or_else(|| network.record.task.clone());
    let task = task_named(&name)?;
    let (sets, metrics) = sets(&args, &network, task, terminal)?;
    let mut all = Map::new();
    for split in &sets {
        let predicted = predict::predict(&network, &split.examples, terminal)?;
        let scores = score(&network.record.kind, &metrics, &split.examples, &predicted)?;
        let mut of_set = json!({ "examples": split.examples.len(), "metric": scores });
        if !args.json {
            show_scores(&split.name, &scores, terminal)?;
        }
        details(&args, &network.record.kind, split, &predicted, &mut of_set, terminal)?;
        all.insert(split.name.clone(), of_set);
    }
    if args.json {
        terminal.result(Value::Object(all))?;
    }
    Ok(())
}

/// What is judged: a task's dev sets, a table read as the network's was, a file of questions.
fn sets(
    args: &Args,
    network: &TaskNetwork,
    task: &'static electra_task::task::Task,
    terminal: &Terminal,
) -> anyhow::Result<(Vec<Split>, Vec<&'static str>)> {
    let Some(path) = &args.files.data else { bail!("no data: name the task's folder or file with --data") };
    let usual = electra_task::task::usual_metrics(&network.record.kind);
    let metrics = if task.metrics.is_empty() { usual } else { task.metrics };
    if let (Some(decision), true) = (&network.record.columns, path.is_file()) {
        let mut decision = decision.clone();
        if let Some(column) = &args.files.text_column {
            decision.text_column.clone_from(column);
        }
        if let Some(column) = &args.files.label_column {
            decision.label_column.clone_from(column);
        }
        let table = electra_task::table::Table::open(path, &Default::default())?;
        let split = decision.read(&table, "dev", electra_task::task::custom::Need::Labels)?;
        split.report.sentences().iter().for_each(|sentence| terminal.warn(sentence));
        return Ok((vec![split], metrics.to_vec()));
    }
    let data = args.files.load(task, 42, terminal)?;
    let labelled = |split: &&Split| split.examples.iter().any(|example| example.target != Target::Unknown);
    let mut sets: Vec<Split> = data.dev.iter().chain(&data.test).filter(labelled).cloned().collect();
    if sets.is_empty() {
        // A file by itself is what it is named for, and is judged whole.
        sets.extend(data.train.into_iter().filter(|_| path.is_file()));
    }
    if sets.is_empty() {
        bail!("{}: there is nothing with labels to judge by", path.display());
    }
    if data.kind != network.record.kind {
        bail!(
            "{}: it asks for {:?}, but the network was fine-tuned for {:?}",
            path.display(),
            data.kind.labels(),
            network.record.kind.labels()
        );
    }
    Ok((sets, metrics.to_vec()))
}

fn show_scores(set: &str, scores: &Scores, terminal: &Terminal) -> anyhow::Result<()> {
    terminal.result(format_args!("{HEADING_STYLE}{set}{HEADING_STYLE:#}"))?;
    for (name, value) in scores.iter() {
        if value.is_finite() {
            terminal.result(format_args!("  {name:<20}{value:>12.4}"))?;
        } else {
            terminal.result(format_args!("  {name:<20}{:>12}", "no value"))?;
        }
    }
    Ok(())
}

fn details(
    args: &Args,
    kind: &Kind,
    split: &Split,
    predicted: &[Prediction],
    of_set: &mut Value,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let known: Vec<(usize, &Example, &Prediction)> = split
        .examples
        .iter()
        .zip(predicted)
        .enumerate()
        .filter(|(_, (example, _))| example.target != Target::Unknown)
        .map(|(number, (example, prediction))| (number, example, prediction))
        .collect();
    let labels = kind.labels();
    let (mut right, mut said, mut probabilities) = (Vec::new(), Vec::new(), Vec::new());
    for (_, example, prediction) in &known {
        if let (Target::Class(class), Prediction::Class { label, probabilities: of_labels }) =
            (&example.target, prediction)
        {
            right.push(*class);
            said.push(*label);
            probabilities.push(of_labels.as_slice());
        }
    }
    let is_classes = matches!(kind, Kind::Classification { .. });
    if args.per_class {
        let rows = match kind {
            Kind::Classification { .. } => named(labels, per_class(&right, &said, labels.len())),
            Kind::MultiLabel { .. } => {
                let (right, said): (Vec<Vec<usize>>, Vec<Vec<usize>>) = known
                    .iter()
                    .filter_map(|(_, e, p)| match (&e.target, p) {
                        (Target::Classes(right), Prediction::Classes { labels, .. }) => {
                            Some((right.clone(), labels.clone()))
                        }
                        _ => None,
                    })
                    .unzip();
                named(labels, per_label(&right, &said, labels.len()))
            }
            Kind::Tagging { .. } => {
                let names = |tags: &[usize]| tags.iter().map(|tag| labels[*tag].clone()).collect::<Vec<_>>();
                let (right, said): (Vec<Vec<String>>, Vec<Vec<String>>) = known
                    .iter()
                    .filter_map(|(_, e, p)| match (&e.target, p) {
                        (Target::Tags(right), Prediction::Tags { labels, .. }) => Some((names(right), names(labels))),
                        _ => None,
                    })
                    .unzip();
                let found = entity_scores(&right, &said, TagScheme::default())?;
                class_table(found.types.iter().map(|(name, tally)| (name.as_str(), *tally)))
            }
            _ => Vec::new(),
        };
        show_classes(&rows, args.json, terminal)?;
        of_set["per_class"] = json!(rows);
    }
    if args.confusion && is_classes {
        let matrix = confusion_matrix(&right, &said, labels.len());
        if !args.json {
            terminal.result(format_args!("  {HEADING_STYLE}right \\ said{HEADING_STYLE:#}"))?;
            for (label, row) in labels.iter().zip(&matrix) {
                let cells: String = row.iter().map(|count| format!("{count:>8}")).collect();
                terminal.result(format_args!("  {label:<20}{cells}"))?;
            }
        }
        of_set["confusion"] = json!({ "labels": labels, "counts": matrix });
    }
    if args.calibration && is_classes {
        let confidences: Vec<f64> = probabilities.iter().zip(&said).map(|(of, label)| f64::from(of[*label])).collect();
        let hits: Vec<bool> = right.iter().zip(&said).map(|(right, said)| right == said).collect();
        let found = calibration(&confidences, &hits, BINS);
        if !args.json {
            terminal.result(format_args!("  expected calibration error {:.4}", found.expected_error))?;
            for bin in found.bins.iter().filter(|bin| bin.count > 0) {
                terminal.result(format_args!(
                    "  {:>8} examples: sure by {:.2}, right by {:.2}",
                    bin.count, bin.confidence, bin.accuracy
                ))?;
            }
        }
        of_set["calibration"] = json!(found);
    }
    if args.worst > 0 {
        of_set["worst"] = worst(args, kind, &known, &probabilities, [&right, &said], terminal)?;
    }
    Ok(())
}

fn worst(
    args: &Args,
    kind: &Kind,
    known: &[(usize, &Example, &Prediction)],
    probabilities: &[&[f32]],
    [right, said]: [&[usize]; 2],
    terminal: &Terminal,
) -> anyhow::Result<Value> {
    let labels = kind.labels();
    let of_own: Vec<f64> = probabilities.iter().zip(right).map(|(of, label)| f64::from(of[*label])).collect();
    let rows: Vec<Value> = match kind {
        Kind::Classification { .. } => worst_misread(right, said, &of_own, args.worst)
            .iter()
            .map(|misread| {
                let (_, example, _) = known[misread.example];
                json!({
                    "id": example.id, "text": shown(&example.input), "right": labels[misread.right],
                    "predicted": labels[misread.predicted], "probability": misread.probability,
                })
            })
            .collect(),
        Kind::Regression { .. } => {
            let (right, said): (Vec<f64>, Vec<f64>) = known
                .iter()
                .filter_map(|(_, e, p)| match (&e.target, p) {
                    (Target::Value(right), Prediction::Value(said)) => Some((*right, *said)),
                    _ => None,
                })
                .unzip();
            farthest_off(&right, &said, args.worst)
                .iter()
                .map(|far| {
                    let (_, example, _) = known[far.example];
                    json!({ "id": example.id, "text": shown(&example.input), "right": far.right, "predicted": far.predicted })
                })
                .collect()
        }
        _ => known
            .iter()
            .filter_map(|(_, example, prediction)| {
                let said = predict::prediction_json(kind, prediction);
                let right = match (&example.target, prediction) {
                    (Target::Classes(right), Prediction::Classes { labels: said, .. }) if right != said => {
                        json!(right.iter().map(|label| &labels[*label]).collect::<Vec<_>>())
                    }
                    (Target::Tags(right), Prediction::Tags { labels: said, .. }) if right != said => {
                        json!(right.iter().map(|label| &labels[*label]).collect::<Vec<_>>())
                    }
                    (Target::Answers(answers), Prediction::Answer { text, .. })
                        if !answers.iter().any(|answer| answer.text == *text) =>
                    {
                        json!(answers.iter().map(|answer| &answer.text).collect::<Vec<_>>())
                    }
                    _ => return None,
                };
                Some(json!({ "id": example.id, "text": shown(&example.input), "right": right, "predicted": said }))
            })
            .take(args.worst)
            .collect(),
    };
    if !args.json {
        rows.iter().try_for_each(|row| terminal.result(format_args!("  {row}")))?;
    }
    Ok(json!(rows))
}

fn shown(input: &Input) -> String {
    match input {
        Input::Text(text) => text.clone(),
        Input::Pair(first, second) => format!("{first} | {second}"),
        Input::Words(words) => words.join(" "),
    }
}

fn named(labels: &[String], tallies: Vec<electra_task::metric::Tally>) -> Vec<ClassRow> {
    class_table(labels.iter().map(String::as_str).zip(tallies))
}

fn show_classes(rows: &[ClassRow], json: bool, terminal: &Terminal) -> anyhow::Result<()> {
    if json || rows.is_empty() {
        return Ok(());
    }
    terminal.result(format_args!(
        "  {HEADING_STYLE}{:<20}{:>10}{:>10}{:>10}{:>10}{HEADING_STYLE:#}",
        "label", "precision", "recall", "F1", "examples"
    ))?;
    for row in rows {
        terminal.result(format_args!(
            "  {:<20}{:>10.4}{:>10.4}{:>10.4}{:>10}",
            row.label, row.rates.precision, row.rates.recall, row.rates.f1, row.support
        ))?;
    }
    Ok(())
}

/// SQuAD's official scores of a file of answers.
fn answers(args: &Args, predictions: &Path, terminal: &Terminal) -> anyhow::Result<()> {
    let task = args.files.task()?;
    let version_2 = match task.name {
        "squad1" => false,
        "squad2" => true,
        other => bail!("--predictions is for squad1 and squad2, and not for {other}"),
    };
    let Some(data) = &args.files.data else { bail!("no data: name the file of questions with --data") };
    let files = Files::at(data)?;
    let name = match files.given() {
        Some(given) => given.to_owned(),
        None => files
            .names()
            .find(|name| name.rsplit('/').next().is_some_and(|base| base.starts_with("dev") && base.contains(".json")))
            .map(str::to_owned)
            .with_context(|| format!("{}: there is no dev file of SQuAD in there", data.display()))?,
    };
    let (squad, _) = read_squad(&files.text(&name)?, &name)?;
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()));
    let said = read_predictions(&read(predictions)?, &predictions.display().to_string())?;
    let found = if version_2 {
        let scores = args
            .na_probabilities
            .as_deref()
            .map(|path| anyhow::Ok(read_no_answer_scores(&read(path)?, &path.display().to_string())?));
        let scores = scores.transpose()?;
        evaluate_2_0(&squad, &name, &said, scores.as_deref(), args.na_threshold)?
    } else {
        evaluate_1_1(&squad, &name, &said)?
    };
    if !found.missing.is_empty() {
        let how = if version_2 { "left out" } else { "counted as wrong" };
        terminal.warn(format_args!("{} questions have no prediction, and are {how}", found.missing.len()));
    }
    if args.json {
        terminal.result(json!(found.scores))?;
    } else {
        show_scores(&name, &found.scores, terminal)?;
    }
    Ok(())
}
