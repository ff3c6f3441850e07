//! The model card (README.md) of an exported folder: what it is, what it learnt from, how good it is, how to load it.
//!
//! It says what is known and says so where nothing is: a licence or a data set is never guessed. It is made to be
//! published, and so names nothing of the machine that it was written on: no path, no user.

use crate::exchange::hugging_face::{Architecture, Network};

/// What a model card says beyond the network itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelCard {
    /// Name of the run or the model.
    pub name: String,
    /// Tells the run from any other, see [`crate::exchange::networks::run_id`].
    pub run: Option<String>,
    /// An identifier that Hugging Face knows (`apache-2.0`); the card says `unknown` where it is `None`.
    pub license: Option<String>,
    /// ISO code of the text's language (`en`), where known.
    pub language: Option<String>,
    /// The corpus in words: its name, how much, which text; see [`electra_data::CorpusRecord`].
    pub corpus: Option<String>,
    /// The tokenizer in words: kind, entries, casing.
    pub tokenizer: Option<String>,
    /// Objective, steps, batch, sequence, learning rate: name and value of each.
    pub training: Vec<(String, String)>,
    /// Held-out metrics, in order.
    pub metrics: Vec<(String, f64)>,
}

impl ModelCard {
    /// The card of `network`, as Markdown with Hugging Face's YAML front matter.
    pub fn to_markdown(&self, network: &Network) -> String {
        let class = network.architecture.class_name();
        let config = &network.config;
        let name = if self.name.is_empty() { "ELECTRA" } else { &self.name };
        let parameters: usize = network.tensors.iter().map(|tensor| tensor.values.len()).sum();
        let (role, pipeline) = match network.architecture {
            Architecture::Encoder => ("an encoder without a head: a start for fine-tuning", Some("feature-extraction")),
            Architecture::PreTraining => ("the discriminator: it tells replaced tokens from original ones", None),
            Architecture::MaskedLm => ("a masked-language model: it fills masked tokens", Some("fill-mask")),
            Architecture::CausalLm => {
                ("a causal language model: it says which token comes next", Some("text-generation"))
            }
            Architecture::SequenceClassification { .. } => {
                ("fine-tuned to classify texts", Some("text-classification"))
            }
            Architecture::TokenClassification { .. } => ("fine-tuned to label tokens", Some("token-classification")),
            Architecture::QuestionAnswering | Architecture::JointSpan { .. } => {
                ("fine-tuned to answer questions", Some("question-answering"))
            }
        };
        let mut text = String::from("---\n");
        let mut line = |content: String| {
            text.push_str(&content);
            text.push('\n');
        };
        line(format!("license: {}", quoted(self.license.as_deref().unwrap_or("unknown"))));
        if let Some(language) = &self.language {
            line(format!("language: {}", quoted(language)));
        }
        line("library_name: transformers".to_owned());
        if let Some(pipeline) = pipeline {
            line(format!("pipeline_tag: {pipeline}"));
        }
        line("tags:\n- electra\n---\n".to_owned());
        line(format!("# {name}\n"));
        line(format!(
            "An ELECTRA network ([Clark et al. 2020](https://openreview.net/forum?id=r1xMH1BtvB)), {role}. \
             Written by Electra, version {}.\n",
            env!("CARGO_PKG_VERSION"),
        ));
        line("## Network\n".to_owned());
        line(format!(
            "`{class}`, {parameters} parameters: {} layers, hidden size {}, feed-forward {}, {} attention heads, \
             embedding size {}, {} vocabulary entries, at most {} tokens.\n",
            config.num_hidden_layers,
            config.hidden_size,
            config.intermediate_size,
            config.num_attention_heads,
            config.embedding_size,
            config.vocab_size,
            config.max_position_embeddings,
        ));
        line("## Training\n".to_owned());
        line(format!("- Corpus: {}", self.corpus.as_deref().unwrap_or("not recorded")));
        line(format!("- Tokenizer: {}", self.tokenizer.as_deref().unwrap_or("not recorded")));
        if let Some(run) = &self.run {
            line(format!("- Run: {run}"));
        }
        for (name, value) in &self.training {
            line(format!("- {name}: {value}"));
        }
        line("\n## Held-out metrics\n".to_owned());
        if self.metrics.is_empty() {
            line("None were recorded.".to_owned());
        } else {
            line("| metric | value |\n|---|---|".to_owned());
        }
        for (name, value) in &self.metrics {
            line(format!("| {name} | {value:.4} |"));
        }
        line(format!(
            "\n## Use\n\n```python\nfrom transformers import AutoTokenizer, {class}\n\n\
             tokenizer = AutoTokenizer.from_pretrained(\"PATH\")\nmodel = {class}.from_pretrained(\"PATH\")\n```\n\n\
             `PATH` is this folder.\n\n## Limits\n\n\
             The network repeats what its corpus says, errors and prejudices included, and was not examined for them.\n\
             The licence above is what the one who exported it declared; `unknown` means that nobody did."
        ));
        text
    }
}

/// A YAML scalar that cannot become anything but text (`no` is a language and a boolean).
fn quoted(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    let word = text.chars().any(|c| c.is_ascii_digit() || c == '-') || text == "unknown";
    // A JSON string is a YAML one.
    if plain && word { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use electra_model::ElectraConfig;

    use super::*;

    #[test]
    fn a_card_says_what_is_known_and_what_is_not() {
        let network = Network {
            architecture: Architecture::MaskedLm,
            config: ElectraConfig::default(),
            classifier_dropout: None,
            task: None,
            tensors: vec![],
        };
        let card = ModelCard::default().to_markdown(&network);
        assert!(card.starts_with("---\nlicense: unknown\n"), "{card}");
        assert!(card.contains("Corpus: not recorded") && card.contains("None were recorded"));
        let card = ModelCard {
            license: Some("apache-2.0".into()),
            language: Some("no".into()),
            metrics: vec![("discriminator_auc".into(), 0.87654)],
            ..ModelCard::default()
        };
        let card = card.to_markdown(&network);
        assert!(card.contains("license: apache-2.0\nlanguage: \"no\"\n"), "{card}");
        assert!(card.contains("| discriminator_auc | 0.8765 |") && card.contains("pipeline_tag: fill-mask"));
    }
}
