//! `electra predict`: what a fine-tuned network says of texts, tables and questions.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use electra_data::atomic;
use electra_kernels::device::DeviceChoice;
use electra_task::table::{Table, TableOptions};
use electra_task::task::custom::{Decision, Need};
use electra_task::task::submission;
use electra_task::{Example, Input, Kind, Prediction, Target};
use electra_train::inference::TaskNetwork;
use serde_json::{Map, Value, json};

use crate::model_folder;
use crate::task_files::{TaskFiles, task_named};
use crate::terminal::{Progress, Terminal, Unit};
use crate::verification::open_checked;

const EXAMPLES: &str = "\
Examples:
  electra predict --model tuned/sst2 \"a film that is better than it looks\"
  electra predict --model tuned/sst2 < sentences.txt                       one text a line, one JSON object a line
  electra predict --model tuned/reviews --input new.csv --output labelled.csv
  electra predict --model tuned/squad --question \"Who ate?\" --context \"The chef ate the meal.\"
  electra predict --model tuned/sst2 --data glue/SST-2 --output submission      SST-2.tsv for GLUE's server
  electra predict --model tuned/squad --data SQuAD --output answers.json        as the official scripts take it

A pair of texts is written with a tab between them. Probabilities are those of the network, which may be surer of itself
than it should be: electra eval --calibration says by how much.";

/// Say what a fine-tuned network makes of texts, tables and questions
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Texts; without any, and without --input or --data, each line of standard input is one
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// A folder that electra finetune wrote
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// A CSV, TSV, JSONL or Parquet whose rows are predicted
    #[arg(long, value_name = "FILE", conflicts_with_all = ["texts", "data"])]
    input: Option<PathBuf>,
    /// Where predictions go: .jsonl or .csv by its name; with --data a folder, or for SQuAD a .json [default: JSON lines on
    /// standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A question about --context
    #[arg(long, requires = "context", conflicts_with_all = ["texts", "input", "data"])]
    question: Option<String>,
    /// The text that answers --question
    #[arg(long, requires = "question")]
    context: Option<String>,
    /// auto, cpu, gpu or gpu:N; `auto` takes a GPU if there is one, else the CPU
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    #[command(flatten)]
    files: TaskFiles,
}

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let folder = model_folder::find(Some(&args.model), "discriminator", terminal)?;
    let device = open_checked(args.device, terminal)?;
    let network = TaskNetwork::load(&folder, &device.device)?;
    network.notices.iter().for_each(|notice| terminal.warn(notice));
    terminal.detail(format_args!("{} on {}", folder.display(), device.description));
    if let (Some(question), Some(context)) = (&args.question, &args.context) {
        return ask(&network, question, context, terminal);
    }
    if args.files.data.is_some() {
        return task_sets(&args, &network, terminal);
    }
    if let Some(input) = &args.input {
        return table(&args, &network, input, terminal);
    }
    if !args.texts.is_empty() {
        let examples: Vec<Example> =
            args.texts.iter().enumerate().map(|(number, text)| example(number, text, &network)).collect();
        let predictions = network.predict(&examples, &mut |_, _| {})?.predictions;
        return write_rows(&args, &network, &examples, &predictions, None, terminal);
    }
    lines(&args, &network, terminal)
}

/// Lines of standard input, so many at a time: a reader of a pipe need not wait for all.
fn lines(args: &Args, network: &TaskNetwork, terminal: &Terminal) -> anyhow::Result<()> {
    const AT_A_TIME: usize = 1024;
    let mut lines = std::io::stdin().lock().lines().enumerate();
    let mut all = Vec::new();
    loop {
        let mut examples = Vec::new();
        for (number, line) in lines.by_ref().take(AT_A_TIME) {
            let line = line.with_context(|| format!("standard input, line {}: not UTF-8 text", number + 1))?;
            examples.push(example(number, &line, network));
        }
        if examples.is_empty() {
            break;
        }
        let predictions = network.predict(&examples, &mut |_, _| {})?.predictions;
        if args.output.is_some() {
            all.extend(examples.into_iter().zip(predictions));
            continue;
        }
        write_rows(args, network, &examples, &predictions, None, terminal)?;
        std::io::stdout().flush()?;
    }
    if args.output.is_none() {
        return Ok(());
    }
    let (examples, predictions): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    write_rows(args, network, &examples, &predictions, None, terminal)
}

fn example(number: usize, text: &str, network: &TaskNetwork) -> Example {
    let input = match &network.record.kind {
        Kind::Tagging { .. } => Input::Words(text.split_whitespace().map(str::to_owned).collect()),
        Kind::QuestionAnswering { .. } => {
            let (question, context) = text.split_once('\t').unwrap_or((text, ""));
            Input::Pair(question.to_owned(), context.to_owned())
        }
        _ => match text.split_once('\t') {
            Some((first, second)) => Input::Pair(first.to_owned(), second.to_owned()),
            None => Input::Text(text.to_owned()),
        },
    };
    Example { id: number.to_string(), input, target: Target::Unknown }
}

fn ask(network: &TaskNetwork, question: &str, context: &str, terminal: &Terminal) -> anyhow::Result<()> {
    let Kind::QuestionAnswering { unanswerable } = network.record.kind else {
        bail!("this network was fine-tuned on {}, and answers no questions", network.record.task);
    };
    let answered = network.answer(question, context)?;
    let threshold = network.record.no_answer_threshold.filter(|_| unanswerable).unwrap_or(f64::INFINITY);
    let candidates: Vec<Value> = answered
        .candidates
        .iter()
        .take(5)
        .map(|candidate| json!({ "text": candidate.text, "start": candidate.start, "probability": candidate.probability }))
        .collect();
    terminal.result(json!({
        "question": question, "answer": answered.text_unless(threshold), "no_answer_score": answered.no_answer,
        "candidates": candidates,
    }))?;
    Ok(())
}

/// A prediction as one JSON object.
pub(crate) fn prediction_json(kind: &Kind, prediction: &Prediction) -> Map<String, Value> {
    let labels = kind.labels();
    let by_name = |probabilities: &[f32]| {
        let named = labels.iter().zip(probabilities).map(|(label, probability)| (label.clone(), json!(probability)));
        Value::Object(named.collect())
    };
    let mut row = Map::new();
    match prediction {
        Prediction::Class { label, probabilities } => {
            row.insert("label".into(), json!(labels[*label]));
            row.insert("probability".into(), json!(probabilities.get(*label)));
            row.insert("probabilities".into(), by_name(probabilities));
        }
        Prediction::Value(value) => {
            row.insert("value".into(), json!(value));
        }
        Prediction::Classes { labels: found, probabilities } => {
            row.insert("labels".into(), found.iter().map(|label| json!(labels[*label])).collect());
            row.insert("probabilities".into(), by_name(probabilities));
        }
        Prediction::Tags { labels: found, probabilities } => {
            row.insert("tags".into(), found.iter().map(|label| json!(labels[*label])).collect());
            row.insert("probabilities".into(), json!(probabilities));
        }
        Prediction::Answer { text, no_answer } => {
            row.insert("answer".into(), json!(text));
            row.insert("no_answer_score".into(), json!(no_answer));
        }
    }
    row
}

fn input_json(input: &Input, row: &mut Map<String, Value>) {
    match input {
        Input::Text(text) => {
            row.insert("text".into(), json!(text));
        }
        Input::Pair(first, second) => {
            row.insert("text".into(), json!(first));
            row.insert("pair".into(), json!(second));
        }
        Input::Words(words) => {
            row.insert("words".into(), json!(words));
        }
    }
}

fn write_rows(
    args: &Args,
    network: &TaskNetwork,
    examples: &[Example],
    predictions: &[Prediction],
    own: Option<&Table>,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let kind = &network.record.kind;
    let rows = || {
        examples.iter().zip(predictions).map(|(example, prediction)| {
            let mut row = Map::new();
            input_json(&example.input, &mut row);
            row.extend(prediction_json(kind, prediction));
            row
        })
    };
    let Some(output) = &args.output else {
        for row in rows() {
            terminal.result(Value::Object(row))?;
        }
        return Ok(());
    };
    let is_csv = output.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let text = if is_csv {
        csv(kind, examples, predictions, own)
    } else {
        rows().map(|row| format!("{}\n", Value::Object(row))).collect()
    };
    atomic::write(output, text.as_bytes())?;
    terminal.note(format_args!("wrote {} rows to {}", examples.len(), output.display()));
    Ok(())
}

/// The table's own columns where there is one, else the texts; then what was predicted.
fn csv(kind: &Kind, examples: &[Example], predictions: &[Prediction], own: Option<&Table>) -> String {
    let of_lines = |fields: Vec<String>| {
        let quoted = fields.iter().map(|field| {
            let needs_quotes = field.contains([',', '"', '\n', '\r']);
            if needs_quotes { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.clone() }
        });
        let mut line = quoted.collect::<Vec<_>>().join(",");
        line.push('\n');
        line
    };
    let mut heading: Vec<String> = match own {
        Some(table) => table.columns().to_vec(),
        None if examples.iter().any(|example| matches!(example.input, Input::Pair(..))) => {
            vec!["text".into(), "pair".into()]
        }
        None => vec!["text".into()],
    };
    let added: Vec<String> = match kind {
        Kind::Classification { labels } | Kind::MultiLabel { labels } => {
            let probabilities = labels.iter().map(|label| format!("probability_{label}"));
            ["prediction".to_owned()].into_iter().chain(probabilities).collect()
        }
        Kind::QuestionAnswering { .. } => vec!["prediction".into(), "no_answer_score".into()],
        Kind::Regression { .. } | Kind::Tagging { .. } => vec!["prediction".into()],
    };
    heading.extend(added);
    let mut text = of_lines(heading);
    let table_rows = own.map(|table| table.rows().collect::<Vec<_>>());
    for (number, (example, prediction)) in examples.iter().zip(predictions).enumerate() {
        let mut fields: Vec<String> = match (&table_rows, own) {
            (Some(rows), Some(table)) => {
                let at = example.id.parse::<usize>().unwrap_or(number);
                (0..table.columns().len()).map(|column| rows[at].cell(column).to_owned()).collect()
            }
            _ => match &example.input {
                Input::Text(text) => vec![text.clone()],
                Input::Pair(first, second) => vec![first.clone(), second.clone()],
                Input::Words(words) => vec![words.join(" ")],
            },
        };
        let labels = kind.labels();
        match prediction {
            Prediction::Class { label, probabilities } => {
                fields.push(labels[*label].clone());
                fields.extend(probabilities.iter().map(f32::to_string));
            }
            Prediction::Value(value) => fields.push(value.to_string()),
            Prediction::Classes { labels: found, probabilities } => {
                fields.push(found.iter().map(|label| labels[*label].as_str()).collect::<Vec<_>>().join("|"));
                fields.extend(probabilities.iter().map(f32::to_string));
            }
            Prediction::Tags { labels: found, .. } => {
                fields.push(found.iter().map(|label| labels[*label].as_str()).collect::<Vec<_>>().join(" "));
            }
            Prediction::Answer { text, no_answer } => fields.extend([text.clone(), no_answer.to_string()]),
        }
        text.push_str(&of_lines(fields));
    }
    text
}

/// A table of the user's, read by the columns that the network was trained on, or by those that flags name.
fn table(args: &Args, network: &TaskNetwork, input: &Path, terminal: &Terminal) -> anyhow::Result<()> {
    let table = Table::open(input, &TableOptions::default())?;
    let decision = decision_of(args, network, &table)?;
    let split = decision.read(&table, "input", Need::TextsAlone)?;
    for sentence in split.report.sentences() {
        terminal.warn(sentence);
    }
    let mut progress = terminal.progress("predicting", None, Unit::Examples);
    let predicted = network.predict(&split.examples, &mut |done, total| {
        progress.update(done as u64, format_args!("of {total}"));
    })?;
    finish(progress, &predicted.encoded, split.examples.len());
    write_rows(args, network, &split.examples, &predicted.predictions, Some(&table), terminal)
}

fn finish(progress: Progress, encoded: &electra_task::encode::Encoded, examples: usize) {
    let cut = if encoded.cut > 0 { format!(", {} of them cut", encoded.cut) } else { String::new() };
    progress.finish(format_args!("{examples} texts predicted{cut}"));
}

fn decision_of(args: &Args, network: &TaskNetwork, table: &Table) -> anyhow::Result<Decision> {
    let known = network.record.columns.clone();
    let column = |flag: &Option<String>, known: Option<String>, usual: &[&str]| {
        flag.clone()
            .or(known.filter(|name| table.column(name).is_some()))
            .or_else(|| usual.iter().find(|name| table.column(name).is_some()).map(|name| (*name).to_owned()))
    };
    let usual = ["text", "sentence", "sentence1", "premise", "question", "content", "body", "review"];
    let text = column(&args.files.text_column, known.as_ref().map(|known| known.text_column.clone()), &usual);
    let Some(text_column) = text.or_else(|| (table.columns().len() == 1).then(|| table.columns()[0].clone())) else {
        bail!("which column holds the text? name it with --text-column; there are {}", table.columns().join(", "));
    };
    let second = known.as_ref().and_then(|known| known.pair_column.clone());
    let usual = ["sentence2", "hypothesis", "question2", "context"];
    let reads_pairs = known.as_ref().is_none_or(|known| known.pair_column.is_some());
    let pair_column =
        if reads_pairs { column(&args.files.pair_column, second, &usual) } else { args.files.pair_column.clone() };
    Ok(Decision {
        text_column,
        pair_column,
        label_column: known.as_ref().map(|known| known.label_column.clone()).unwrap_or_default(),
        kind: network.record.kind.clone(),
        list: known.and_then(|known| known.list),
        sentences: Vec::new(),
    })
}

/// The sets of a task that are to be predicted: GLUE's submission files, or SQuAD's answers.
fn task_sets(args: &Args, network: &TaskNetwork, terminal: &Terminal) -> anyhow::Result<()> {
    let task = task_named(args.files.task.as_deref().unwrap_or(&network.record.task))?;
    let data = args.files.load(task, 42, terminal)?;
    let Some(output) = &args.output else {
        bail!("where to? name a folder for submission files with --output, or for SQuAD a .json");
    };
    if let Kind::QuestionAnswering { .. } = network.record.kind {
        let split = data.test.first().or(data.dev.first()).context("there are no questions in there")?;
        let predicted = predict(network, &split.examples, terminal)?;
        let (mut answers, mut scores) = (Map::new(), Map::new());
        let threshold = network.record.no_answer_threshold.unwrap_or(f64::INFINITY);
        for (example, prediction) in split.examples.iter().zip(&predicted) {
            let Prediction::Answer { text, no_answer } = prediction else { continue };
            let text = if *no_answer > threshold { "" } else { text };
            answers.insert(example.id.clone(), json!(text));
            scores.insert(example.id.clone(), json!(no_answer));
        }
        atomic::write(output, Value::Object(answers).to_string().as_bytes())?;
        let beside = output.with_extension("na.json");
        atomic::write(&beside, Value::Object(scores).to_string().as_bytes())?;
        terminal.note(format_args!("wrote {} and {}", output.display(), beside.display()));
        return Ok(());
    }
    let sets: Vec<_> = data.test.iter().filter(|split| split.submission.is_some()).collect();
    if sets.is_empty() {
        bail!("{}: there is no test set in there", args.files.data.as_deref().unwrap_or(Path::new("")).display());
    }
    std::fs::create_dir_all(output).with_context(|| format!("{}: cannot be created", output.display()))?;
    for split in sets {
        let predicted = predict(network, &split.examples, terminal)?;
        let path = output.join(split.submission.unwrap_or_default());
        atomic::write(&path, submission(task, split, &predicted)?.as_bytes())?;
        terminal.note(format_args!("wrote {}", path.display()));
    }
    Ok(())
}

pub(crate) fn predict(
    network: &TaskNetwork,
    examples: &[Example],
    terminal: &Terminal,
) -> anyhow::Result<Vec<Prediction>> {
    let mut progress = terminal.progress("predicting", None, Unit::Examples);
    let predicted = network.predict(examples, &mut |done, total| {
        progress.update(done as u64, format_args!("of {total}"));
    })?;
    finish(progress, &predicted.encoded, examples.len());
    Ok(predicted.predictions)
}
