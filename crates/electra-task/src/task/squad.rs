//! SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018): `train-v1.1.json` and `dev-v1.1.json` of a folder, in any compression, or one file.

use electra_data::record::without_compression;

use super::{LoadOptions, Source, Split, Task, TaskData};
use crate::files::Files;
use crate::squad::{Squad, read_squad, with_questions_moved};
use crate::{Kind, Result, TaskError};

/// 1.1: every question has an answer.
pub(super) const SQUAD1: Task = Task {
    name: "squad1",
    title: "SQuAD 1.1",
    about: "which part of a paragraph answers a question",
    metrics: &["f1", "exact_match"],
    in_glue_average: false,
    epochs: 2.0,
    max_length: 512,
    both_orders: false,
    note: "",
    source: Source::Read(|files, options| load(files, options, false)),
};

/// 2.0: some have none.
pub(super) const SQUAD2: Task = Task {
    name: "squad2",
    title: "SQuAD 2.0",
    about: "which part of a paragraph answers a question, if any does",
    metrics: &["f1", "exact_match"],
    in_glue_average: false,
    epochs: 2.0,
    max_length: 512,
    both_orders: false,
    note: "",
    source: Source::Read(|files, options| load(files, options, true)),
};

fn load(files: &Files, options: &LoadOptions, unanswerable: bool) -> Result<TaskData> {
    let mut data = TaskData::of(Kind::QuestionAnswering { unanswerable });
    let names: Vec<String> = match files.given() {
        Some(given) => vec![given.to_owned()],
        None => files.names().filter(|name| is_squad(name)).map(str::to_owned).collect(),
    };
    if names.is_empty() {
        let remedy = "expected train-v1.1.json and dev-v1.1.json (or v2.0), packed or not, or give one such file";
        return Err(TaskError::unsuitable(files.root(), "no file of SQuAD is in there", remedy));
    }
    for name in names {
        let bytes = files.text(&name)?;
        let (mut squad, report) = read_squad(&bytes, &name)?;
        let mut note = |text: String| data.notes.push(format!("{name}: {text}"));
        if report.repaired > 0 {
            note(format!(
                "{} of {} answers do not stand at their answer_start; their first occurrence is taken",
                report.repaired, report.answers
            ));
        }
        if !report.misplaced.is_empty() {
            let ids = report.misplaced.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
            note(format!(
                "{} questions have an answer that stands nowhere in the context ({ids}, ...)",
                report.misplaced.len()
            ));
        }
        if !report.repeated.is_empty() {
            note(format!("{} ids stand there more than once", report.repeated.len()));
        }
        if !unanswerable && report.unanswerable > 0 {
            let reason = format!("{} of {} questions have no answer", report.unanswerable, report.questions);
            return Err(TaskError::unsuitable(&name, reason, "this is SQuAD 2.0's kind: take --task squad2"));
        }
        if options.unanswerable > 0.0 {
            if !unanswerable {
                let reason = "questions without an answer cannot be added";
                return Err(TaskError::unsuitable("--task squad1", reason, "take --task squad2"));
            }
            let (more, moved) = with_questions_moved(&squad, options.unanswerable, options.seed);
            squad = more;
            note(format!(
                "{} questions are asked again of another paragraph of their article, which does not answer them",
                moved.questions
            ));
        }
        let split = split(&name, &squad);
        if is_train(&name) && files.given().is_none() {
            data.train = Some(split);
        } else {
            data.dev.push(split);
        }
    }
    if let (Some(given), None, [split]) = (files.given(), &data.train, &data.dev[..])
        && is_train(given)
    {
        data.train = Some(split.clone());
        data.dev.clear();
    }
    Ok(data)
}

fn split(name: &str, squad: &Squad) -> Split {
    let short = if is_train(name) { "train" } else { "dev" };
    Split { name: short.to_owned(), files: vec![name.to_owned()], examples: squad.examples(), ..Split::default() }
}

fn base(name: &str) -> String {
    without_compression(name.rsplit('/').next().unwrap_or(name)).to_lowercase()
}

fn is_squad(name: &str) -> bool {
    let base = base(name);
    base.ends_with(".json") && (base.starts_with("train") || base.starts_with("dev") || base.starts_with("valid"))
}

fn is_train(name: &str) -> bool {
    base(name).starts_with("train")
}
