//! Tasks: what is asked of a network, where its files lie and how they are read, how it is scored; a file each, and a line in [`TASKS`].

mod beside;
pub mod custom;
mod data;
mod glue;
mod hold_out;
mod sentences;
mod squad;
mod submission;
mod tagging;

pub use data::{Split, TaskData, usual_metrics};
pub use hold_out::hold_out;
pub use sentences::{Answers, Label, Role, Sentences, Set, Tsv, in_both_orders};
pub use submission::submission;
pub use tagging::{Scheme, Tagged, read_conll};

use crate::Result;
use crate::files::Files;
use crate::table::TableOptions;

/// All tasks by name. A new one is a file with a constant like these, and a line here.
pub const TASKS: &[&Task] = &[
    &glue::COLA,
    &glue::SST2,
    &glue::MRPC,
    &glue::STSB,
    &glue::QQP,
    &glue::MNLI,
    &glue::QNLI,
    &glue::RTE,
    &glue::WNLI,
    &squad::SQUAD1,
    &squad::SQUAD2,
    &tagging::TASK,
    &custom::TASK,
];

/// A task.
#[derive(Debug)]
pub struct Task {
    /// What `--task` takes.
    pub name: &'static str,
    /// As papers write it.
    pub title: &'static str,
    /// What is asked, in a few words.
    pub about: &'static str,
    /// Names of its scores, the one that counts first; none: those that are usual for its kind ([`usual_metrics`]).
    pub metrics: &'static [&'static str],
    /// Whether the first score is part of GLUE's average.
    pub in_glue_average: bool,
    /// The ELECTRA paper's epochs of fine-tuning.
    pub epochs: f64,
    /// The paper's longest text, in tokens with [CLS] and [SEP].
    pub max_length: usize,
    /// Whether a network is trained on both orders of each pair, [`in_both_orders`].
    pub both_orders: bool,
    /// Something about its files that a user should know; empty: nothing.
    pub note: &'static str,
    /// Where its examples come from.
    pub source: Source,
}

/// Where examples come from.
#[derive(Debug)]
pub enum Source {
    /// Tables of sentences or pairs of them, at known places.
    Sentences(Sentences),
    /// A function of their own.
    Read(fn(&Files, &LoadOptions) -> Result<TaskData>),
}

/// How a task's data is read.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The file to compare checkpoints on, a name among the [`Files`]; none: what its name tells, or a part of the training file. Of
    /// tables and tagging only.
    pub dev: Option<String>,
    /// Share of the training file that is held out where there is no file for that.
    pub dev_share: f64,
    /// Decides which.
    pub seed: u64,
    /// How the tables of `--task csv` are read.
    pub table: TableOptions,
    /// What the user said of their columns.
    pub custom: custom::Flags,
    /// Column of the words in tagging's files, from 0.
    pub word_column: usize,
    /// Column of the tags, from 0; none: the last.
    pub tag_column: Option<usize>,
    /// Of SQuAD 2.0: the share of questions that are asked again of another paragraph, which does not answer them.
    pub unanswerable: f64,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            dev: None,
            dev_share: 0.1,
            seed: 42,
            table: TableOptions::default(),
            custom: custom::Flags::default(),
            word_column: 0,
            tag_column: None,
            unanswerable: 0.0,
        }
    }
}

impl Task {
    /// The task of that name; `-`, `_` and upper case mean nothing: `sst2`, `SST-2`.
    pub fn named(name: &str) -> Option<&'static Self> {
        TASKS.iter().find(|task| plain(task.name) == plain(name)).copied()
    }

    /// GLUE's tasks, WNLI included.
    pub fn of_glue() -> impl Iterator<Item = &'static Self> {
        TASKS.iter().copied().filter(|task| matches!(task.source, Source::Sentences(_)))
    }

    /// Reads the task's data: `files` are its folder's, GLUE's, or for tables and tagging a file's.
    ///
    /// # Errors
    /// There is none, it cannot be read, or it does not suit the task.
    pub fn load(&self, files: &Files, options: &LoadOptions) -> Result<TaskData> {
        let mut data = match &self.source {
            Source::Sentences(sentences) => sentences::load(self, sentences, files, options)?,
            Source::Read(read) => read(files, options)?,
        };
        data.metrics = if self.metrics.is_empty() { usual_metrics(&data.kind) } else { self.metrics };
        data.note_shared_inputs();
        if !self.note.is_empty() {
            data.notes.push(self.note.to_owned());
        }
        Ok(data)
    }
}

/// The tasks of GLUE that have a file to train on or to compare checkpoints on among `files`.
pub fn find(files: &Files) -> Vec<&'static Task> {
    let has_data = |task: &&Task| match &task.source {
        Source::Sentences(sentences) => sentences::has_data(sentences, files),
        Source::Read(_) => false,
    };
    Task::of_glue().filter(has_data).collect()
}

/// A name without what people write differently: `SST-2`, `sst_2`, `sst2`.
fn plain(name: &str) -> String {
    name.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
