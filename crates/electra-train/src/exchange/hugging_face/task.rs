//! What a folder says of the task that its network was fine-tuned for: `id2label`, `label2id` and `problem_type` as `transformers` knows them,
//! and what it does not know under the key "electra".

use electra_model::head::HeadStyle;
use electra_task::Kind;
use electra_task::encode::{EncodeOptions, LongTexts};
use electra_task::task::custom::Decision;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Architecture;

/// Key of config.json.
pub(super) const KEY: &str = "electra";

/// A task as a folder remembers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Its name.
    pub task: String,
    /// What is said.
    pub kind: Kind,
    /// Whose head.
    pub head: HeadStyle,
    /// Tokens of an example.
    pub max_length: usize,
    /// What happened to longer texts.
    #[serde(default)]
    pub long_texts: LongTexts,
    /// Of questions: tokens between the beginnings of two windows.
    #[serde(default = "stride")]
    pub stride: usize,
    /// Of a table: its columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Decision>,
    /// Of questions: where more than this speaks for no answer, there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_answer_threshold: Option<f64>,
}

fn stride() -> usize {
    EncodeOptions::default().stride
}

impl TaskRecord {
    /// How texts become features.
    pub fn encode_options(&self) -> EncodeOptions {
        EncodeOptions {
            max_length: self.max_length,
            long_texts: self.long_texts,
            stride: self.stride,
            ..EncodeOptions::default()
        }
    }

    /// The class that it is saved as.
    pub fn architecture(&self) -> Architecture {
        match &self.kind {
            Kind::Tagging { labels } => Architecture::TokenClassification { labels: labels.len() },
            Kind::QuestionAnswering { unanswerable } => match self.head {
                HeadStyle::Hf => Architecture::QuestionAnswering,
                HeadStyle::Paper => Architecture::JointSpan { unanswerable: *unanswerable },
            },
            Kind::Regression { .. } => Architecture::SequenceClassification { labels: 1, style: self.head },
            kind => Architecture::SequenceClassification { labels: kind.labels().len(), style: self.head },
        }
    }

    /// What `transformers` calls the kind, where it has a word for it.
    pub(super) fn problem_type(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Classification { .. } => Some("single_label_classification"),
            Kind::MultiLabel { .. } => Some("multi_label_classification"),
            Kind::Regression { .. } => Some("regression"),
            Kind::Tagging { .. } | Kind::QuestionAnswering { .. } => None,
        }
    }

    /// The value of [`KEY`].
    pub(super) fn to_json(&self) -> Value {
        json!(self)
    }

    /// What config.json's `fields` say of a network of `architecture`, whoever wrote them. `None`: it is no task's.
    pub(super) fn of(fields: &Map<String, Value>, architecture: Architecture, positions: usize) -> Option<Self> {
        let own = fields.get(KEY).cloned().and_then(|value| serde_json::from_value(value).ok());
        if own.is_some() {
            return own;
        }
        let labels = |count: usize| {
            let name = |index: usize| {
                let named = fields.get("id2label").and_then(|names| names.get(index.to_string())?.as_str());
                named.map_or_else(|| format!("LABEL_{index}"), str::to_owned)
            };
            (0..count).map(name).collect::<Vec<_>>()
        };
        let problem = fields.get("problem_type").and_then(Value::as_str);
        let (kind, head) = match architecture {
            Architecture::SequenceClassification { labels: count, style } => match problem {
                Some("multi_label_classification") => (Kind::MultiLabel { labels: labels(count) }, style),
                Some("regression") => (Kind::Regression { scale: 1.0 }, style),
                _ if count == 1 => (Kind::Regression { scale: 1.0 }, style),
                _ => (Kind::Classification { labels: labels(count) }, style),
            },
            Architecture::TokenClassification { labels: count } => {
                (Kind::Tagging { labels: labels(count) }, HeadStyle::Hf)
            }
            // Another's may have been trained on questions without an answer; what it says of [CLS] tells.
            Architecture::QuestionAnswering => (Kind::QuestionAnswering { unanswerable: false }, HeadStyle::Hf),
            Architecture::JointSpan { unanswerable } => (Kind::QuestionAnswering { unanswerable }, HeadStyle::Paper),
            Architecture::Encoder | Architecture::PreTraining | Architecture::MaskedLm | Architecture::CausalLm => {
                return None;
            }
        };
        Some(Self {
            task: String::new(),
            kind,
            head,
            max_length: positions,
            long_texts: LongTexts::Cut,
            stride: stride(),
            columns: None,
            no_answer_threshold: None,
        })
    }
}
