//! One example of a task, as a person would read it: text and what is to be said of it.

use serde::{Deserialize, Serialize};

/// What is to be said of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One of these labels.
    Classification {
        /// Their names, in the order of the network's outputs; at least two.
        labels: Vec<String>,
    },
    /// A number.
    Regression {
        /// What the network predicts is the number divided by this: 5 in STS-B, the largest magnitude in a user's table.
        scale: f64,
    },
    /// Any of these labels.
    MultiLabel {
        /// Their names, in the order of the network's outputs.
        labels: Vec<String>,
    },
    /// One of these labels for each word.
    Tagging {
        /// Their names (`O`, `B-PER`, ...), in the order of the network's outputs.
        labels: Vec<String>,
    },
    /// A part of the second text that answers the first.
    QuestionAnswering {
        /// Some questions have no answer (SQuAD 2.0).
        unanswerable: bool,
    },
}

impl Kind {
    /// Names of what the network chooses from; none where it does not choose.
    pub fn labels(&self) -> &[String] {
        match self {
            Self::Classification { labels } | Self::MultiLabel { labels } | Self::Tagging { labels } => labels,
            Self::Regression { .. } | Self::QuestionAnswering { .. } => &[],
        }
    }
}

/// What the network reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// `[CLS] text [SEP]`
    Text(String),
    /// `[CLS] first [SEP] second [SEP]`; a question and its context are such a pair.
    Pair(String, String),
    /// Words of a sentence, each with a label of its own.
    Words(Vec<String>),
}

/// What is right.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Nobody has said: a test set.
    Unknown,
    /// Number of the label.
    Class(usize),
    /// The number as the file has it, not scaled.
    Value(f64),
    /// Numbers of the labels, ascending; there may be none.
    Classes(Vec<usize>),
    /// Number of each word's label.
    Tags(Vec<usize>),
    /// Answers that people gave. None: the question has no answer.
    Answers(Vec<Answer>),
}

/// A part of a context that answers a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// As it stands in the context.
    pub text: String,
    /// Unicode code points of the context before it, as SQuAD counts.
    #[serde(rename = "answer_start")]
    pub start: usize,
}

/// One example.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The file's own name for it, or its number in the file, from 0.
    pub id: String,
    /// What the network reads.
    pub input: Input,
    /// What is right.
    pub target: Target,
}
