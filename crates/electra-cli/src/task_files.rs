//! A task's data as the commands name it: `--task`, `--data`, and what may be said of a table.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use electra_task::Files;
use electra_task::task::custom::{Flags, KindName};
use electra_task::task::{LoadOptions, TASKS, Task, TaskData};
use serde::{Deserialize, Serialize};

use crate::terminal::Terminal;

/// Which examples are read, and how.
#[derive(Debug, Clone, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskFiles {
    /// What is to be learnt: cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte, wnli, squad1, squad2, tagging (CoNLL columns),
    /// or csv for any CSV, TSV, JSONL or Parquet
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,
    /// The task's folder or file, packed or not; or GLUE's folder with one for each task
    #[arg(long, value_name = "DIR|FILE")]
    pub data: Option<PathBuf>,
    /// A file to compare checkpoints on [default: the one that its name tells, else a part of the training file]
    #[arg(long, value_name = "FILE")]
    pub dev: Option<PathBuf>,
    /// Share of the training file that is held out where there is no file for that
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub dev_share: f64,
    /// Column of the text [default: found by names and contents]
    #[arg(long, value_name = "COLUMN", help_heading = "Tables")]
    pub text_column: Option<String>,
    /// Column of a second text
    #[arg(long, value_name = "COLUMN", help_heading = "Tables")]
    pub pair_column: Option<String>,
    /// Column of the label
    #[arg(long, value_name = "COLUMN", help_heading = "Tables")]
    pub label_column: Option<String>,
    /// What the label is: classification, regression or multi-label [default: found by its values]
    #[arg(long, value_name = "KIND", value_parser = parse_kind, help_heading = "Tables")]
    pub kind: Option<KindName>,
    /// What separates the labels of one cell
    #[arg(long, value_name = "CHARACTER", help_heading = "Tables")]
    pub separator: Option<char>,
    /// Column of the words in CoNLL files, from 0
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Tables")]
    pub word_column: usize,
    /// Column of the tags in CoNLL files, from 0 [default: the last]
    #[arg(long, value_name = "N", help_heading = "Tables")]
    pub tag_column: Option<usize>,
    /// Of squad2: ask this share of the questions again of another paragraph of their article, which does not answer them
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub unanswerable: f64,
}

fn parse_kind(word: &str) -> Result<KindName, String> {
    match word {
        "classification" => Ok(KindName::Classification),
        "regression" => Ok(KindName::Regression),
        "multi-label" | "multi_label" => Ok(KindName::MultiLabel),
        _ => Err("it is classification, regression or multi-label".to_owned()),
    }
}

impl TaskFiles {
    /// The task that `--task` names.
    pub(crate) fn task(&self) -> anyhow::Result<&'static Task> {
        let Some(name) = &self.task else {
            bail!("no task: name one with --task, or give --task csv for a table of your own");
        };
        task_named(name)
    }

    /// The task's data, with what a user should hear of it.
    pub(crate) fn load(&self, task: &Task, seed: u64, terminal: &Terminal) -> anyhow::Result<TaskData> {
        let Some(path) = &self.data else { bail!("no data: name the task's folder or file with --data") };
        self.load_from(path, task, seed, terminal)
    }

    /// As [`TaskFiles::load`], from elsewhere.
    pub(crate) fn load_from(
        &self,
        path: &Path,
        task: &Task,
        seed: u64,
        terminal: &Terminal,
    ) -> anyhow::Result<TaskData> {
        let mut files = Files::at(path)?;
        let dev = self.dev.as_ref().map(|dev| files.add(dev));
        let options = LoadOptions {
            dev,
            dev_share: self.dev_share,
            seed,
            custom: Flags {
                text_column: self.text_column.clone(),
                pair_column: self.pair_column.clone(),
                label_column: self.label_column.clone(),
                kind: self.kind,
                separator: self.separator,
            },
            word_column: self.word_column,
            tag_column: self.tag_column,
            unanswerable: self.unanswerable,
            ..LoadOptions::default()
        };
        let data = task.load(&files, &options)?;
        for sentence in data.decision.iter().flat_map(|decision| &decision.sentences) {
            terminal.note(sentence);
        }
        for note in &data.notes {
            terminal.note(note);
        }
        for split in data.train.iter().chain(&data.dev).chain(&data.test) {
            for sentence in split.report.sentences() {
                terminal.warn(format_args!("{}: {sentence}", split.name));
            }
        }
        Ok(data)
    }
}

/// The task called `name`.
pub(crate) fn task_named(name: &str) -> anyhow::Result<&'static Task> {
    Task::named(name).with_context(|| {
        let names: Vec<&str> = TASKS.iter().map(|task| task.name).collect();
        format!("--task {name}: the tasks are {}, and glue for all of GLUE", names.join(", "))
    })
}
