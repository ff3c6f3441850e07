//! config.json, as `transformers` writes it and as others do.

use electra_data::Folder;
use electra_model::ElectraConfig;
use electra_model::head::HeadStyle;
use serde_json::{Map, Value, json};

use super::task::KEY;
use super::{Architecture, CONFIG, Network, TaskRecord, read};
use crate::error::{Error, Result};

/// `config.json`, field by field as `save_pretrained` writes it, but for `transformers_version`: no release of
/// `transformers` wrote it.
pub fn config_json(network: &Network) -> String {
    config_text(network, &network.config)
}

pub(super) fn config_text(network: &Network, config: &ElectraConfig) -> String {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("add_cross_attention", json!(false));
    put("architectures", json!([network.architecture.class_name()]));
    put("attention_probs_dropout_prob", json!(config.attention_probs_dropout_prob));
    put("bos_token_id", Value::Null);
    put("classifier_dropout", json!(network.classifier_dropout));
    put("dtype", json!("float32"));
    put("embedding_size", json!(config.embedding_size));
    put("eos_token_id", Value::Null);
    put("hidden_act", json!(config.hidden_act));
    put("hidden_dropout_prob", json!(config.hidden_dropout_prob));
    put("hidden_size", json!(config.hidden_size));
    let names = network.task.as_ref().map_or(&[][..], |task| task.kind.labels());
    // Two labels without names are the default, which `save_pretrained` leaves out.
    let labels = network.architecture.labels().filter(|labels| *labels != 2 || !names.is_empty());
    let label = |index: usize| names.get(index).cloned().unwrap_or_else(|| format!("LABEL_{index}"));
    if let Some(task) = &network.task {
        put(KEY, task.to_json());
    }
    if let Some(labels) = labels {
        put("id2label", Value::Object((0..labels).map(|i| (i.to_string(), json!(label(i)))).collect()));
    }
    put("initializer_range", json!(config.initializer_range));
    put("intermediate_size", json!(config.intermediate_size));
    put("is_decoder", json!(network.architecture == Architecture::CausalLm));
    if let Some(labels) = labels {
        put("label2id", Value::Object((0..labels).map(|i| (label(i), json!(i))).collect()));
    }
    put("layer_norm_eps", json!(config.layer_norm_eps));
    put("max_position_embeddings", json!(config.max_position_embeddings));
    put("model_type", json!("electra"));
    put("num_attention_heads", json!(config.num_attention_heads));
    put("num_hidden_layers", json!(config.num_hidden_layers));
    put("pad_token_id", json!(config.pad_token_id));
    if let Some(problem) = network.task.as_ref().and_then(TaskRecord::problem_type) {
        put("problem_type", json!(problem));
    }
    put("summary_activation", json!("gelu"));
    put("summary_last_dropout", json!(0.1));
    put("summary_type", json!("first"));
    put("summary_use_proj", json!(true));
    put("tie_word_embeddings", json!(true));
    put("type_vocab_size", json!(config.type_vocab_size));
    put("use_cache", json!(true));
    put("vocab_size", json!(config.vocab_size));
    let mut text = serde_json::to_string_pretty(&fields).expect("plain data");
    text.push('\n');
    text
}

/// Reads `config.json` alone: the sizes of an encoder, ELECTRA's or BERT's.
///
/// # Errors
/// The file is missing, damaged, or describes no encoder that can be built.
pub fn import_config<'f>(folder: impl Into<Folder<'f>>) -> Result<ElectraConfig> {
    read_config(folder.into(), &["electra", "bert"]).map(|parts| parts.config)
}

/// The class of the network in `folder`; `None` where that cannot be read.
#[cfg(feature = "native")]
pub(crate) fn architecture_of(folder: &std::path::Path) -> Option<Architecture> {
    read_config(folder.into(), &["electra"]).ok()?.architecture.ok()
}

/// What config.json says.
pub(super) struct ConfigParts {
    pub(super) config: ElectraConfig,
    /// The first of `architectures`; empty where there is none.
    pub(super) class: String,
    /// A result of its own: who wants the sizes alone does not need one.
    pub(super) architecture: Result<Architecture>,
    pub(super) classifier_dropout: Option<f64>,
    /// All of it.
    pub(super) fields: Map<String, Value>,
}

/// Sizes that `transformers` takes for BERT where config.json is silent.
const BERT: [(&str, usize); 4] =
    [("hidden_size", 768), ("num_hidden_layers", 12), ("num_attention_heads", 12), ("intermediate_size", 3072)];

/// `kinds` are the values of model_type that are taken.
pub(super) fn read_config(folder: Folder<'_>, kinds: &[&str]) -> Result<ConfigParts> {
    let path = folder.path(CONFIG);
    let invalid = |problem: String, remedy: &str| Error::invalid(&path, problem, remedy);
    let bytes = read(folder, CONFIG)?;
    let again = "copy or export the folder again";
    let fields: Map<String, Value> =
        serde_json::from_slice(&bytes).map_err(|error| invalid(format!("not a JSON object ({error})"), again))?;
    let word = |name: &str, default: &str| match fields.get(name) {
        None | Some(Value::Null) => json!(default),
        Some(value) => value.clone(),
    };
    let kind = word("model_type", "");
    if !kinds.iter().any(|known| kind == *known) {
        let problem = format!("model_type is {kind}, but \"{}\" is needed", kinds.join("\" or \""));
        let remedy = match kind.as_str() {
            Some("bert") => "\"electra import FOLDER --out DIR\" takes its encoder: give what that writes",
            _ => "give the folder of an ELECTRA model",
        };
        return Err(invalid(problem, remedy));
    }
    let positions = word("position_embedding_type", "absolute");
    if positions != "absolute" {
        let problem = format!("position_embedding_type is {positions}, and only \"absolute\" can be built");
        return Err(invalid(problem, "take a network with absolute positions, as all are that the authors published"));
    }
    // `null` stands for the default in files of some releases, and some writers make 32.0 of 32.
    let mut given: Map<String, Value> = fields
        .clone()
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name, whole_if_it_is(value)))
        .collect();
    if kind == "bert" {
        for (name, size) in BERT {
            given.entry(name).or_insert(json!(size));
        }
        // BERT's embeddings are as wide as its layers.
        given.insert("embedding_size".to_owned(), given["hidden_size"].clone());
    }
    let config: ElectraConfig =
        serde_json::from_value(Value::Object(given)).map_err(|error| invalid(error.to_string(), again))?;
    config.validate().map_err(|error| invalid(error.to_string(), "only ELECTRA's own encoder can be built"))?;

    let labels = match (fields.get("id2label"), fields.get("num_labels").and_then(Value::as_u64)) {
        (Some(Value::Object(labels)), _) => labels.len(),
        (_, Some(labels)) => labels as usize,
        _ => 2,
    };
    let classes = fields.get("architectures").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let class = classes.first().and_then(Value::as_str);
    let own = |name: &str| fields.get(KEY).and_then(|own| own.get(name));
    let style = if own("head") == Some(&json!("paper")) { HeadStyle::Paper } else { HeadStyle::Hf };
    let kind = own("kind").and_then(|kind| kind.get("question_answering"));
    let unanswerable = kind.and_then(|kind| kind.get("unanswerable")).and_then(Value::as_bool).unwrap_or(false);
    let known = |name| Architecture::from_class_name(name, labels, style, unanswerable);
    let architecture = class.and_then(known).ok_or_else(|| {
        let found = class.map_or_else(|| "missing".to_owned(), |name| format!("\"{name}\""));
        invalid(
            format!("architectures is {found}"),
            "ElectraModel, ElectraForPreTraining, ElectraForMaskedLM, ElectraForCausalLM, ElectraForSequenceClassification, \
             ElectraForTokenClassification and ElectraForQuestionAnswering can be read",
        )
    });
    let classifier_dropout = fields.get("classifier_dropout").and_then(Value::as_f64);
    Ok(ConfigParts { config, class: class.unwrap_or_default().to_owned(), architecture, classifier_dropout, fields })
}

/// A number without a fraction as an integer.
fn whole_if_it_is(value: Value) -> Value {
    match value.as_f64() {
        Some(number) if value.is_f64() && number.fract() == 0.0 && (0.0..1e15).contains(&number) => {
            json!(number as u64)
        }
        _ => value,
    }
}
