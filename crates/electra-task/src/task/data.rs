//! A task's examples, read.

use std::collections::HashSet;

use crate::table::Report;
use crate::{Example, Input, Kind};

use super::custom::Decision;

/// What a task's files hold.
#[derive(Debug, Clone)]
pub struct TaskData {
    /// What is to be said of a text.
    pub kind: Kind,
    /// Names of the scores, the one that counts first.
    pub metrics: &'static [&'static str],
    /// To train on; absent where there is no such file.
    pub train: Option<Split>,
    /// To compare checkpoints on, the one that counts first.
    pub dev: Vec<Split>,
    /// To predict.
    pub test: Vec<Split>,
    /// What was decided of a user's table.
    pub decision: Option<Decision>,
    /// What a user should hear, a sentence each.
    pub notes: Vec<String>,
}

/// Examples that belong together.
#[derive(Debug, Clone, Default)]
pub struct Split {
    /// Such as `dev` or `dev_mismatched`.
    pub name: String,
    /// The files they come from.
    pub files: Vec<String>,
    /// The examples, in the order of the files.
    pub examples: Vec<Example>,
    /// What was wrong with their rows.
    pub report: Report,
    /// The file that GLUE's server takes the predictions in.
    pub submission: Option<&'static str>,
}

impl TaskData {
    /// Data of a kind, without examples.
    pub fn of(kind: Kind) -> Self {
        Self { kind, metrics: &[], train: None, dev: Vec::new(), test: Vec::new(), decision: None, notes: Vec::new() }
    }

    /// Says how many texts that are scored were trained on.
    pub(super) fn note_shared_inputs(&mut self) {
        let Some(train) = &self.train else { return };
        let known: HashSet<&Input> = train.examples.iter().map(|example| &example.input).collect();
        for split in self.dev.iter().chain(&self.test) {
            let shared = split.examples.iter().filter(|example| known.contains(&example.input)).count();
            if shared > 0 {
                let all = split.examples.len();
                self.notes.push(format!("{shared} of {all} texts of {} stand in {} too", split.name, train.name));
            }
        }
    }
}

/// Names of the scores that a kind of answer is usually judged by, the one that counts first.
pub fn usual_metrics(kind: &Kind) -> &'static [&'static str] {
    match kind {
        Kind::Classification { .. } => &["accuracy", "macro_f1"],
        Kind::Regression { .. } => &["spearman", "pearson"],
        Kind::MultiLabel { .. } => &["micro_f1", "macro_f1", "subset_accuracy"],
        Kind::Tagging { .. } => &["f1", "precision", "recall", "accuracy"],
        Kind::QuestionAnswering { .. } => &["f1", "exact_match"],
    }
}
