//! Folders that Hugging Face's `transformers` loads and saves: import and export.
//!
//! A folder holds `config.json`, `model.safetensors`, the tokenizer's files and a model card. Weights already
//! have Hugging Face's names and `[out, in]` layout in memory, so that this is mostly checking: a folder from
//! elsewhere may be of another architecture, half downloaded, in half precision, or hold the buffers and tied
//! copies that some releases of `transformers` wrote.

use std::path::Path;

use electra_data::{ImportOptions, Tokenizer};
use electra_model::head::{QuestionAnswering, SequenceClassifier, TokenClassifier};
use electra_model::objective::PretrainedHead;
use electra_model::{Discriminator, ElectraConfig, Generator, ParameterSpec};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::file;
use crate::model_card::ModelCard;
use crate::tensor_file::{HostTensor, encode, metadata_of};
use crate::weights::{WEIGHTS, Weights};

/// The file without which nobody takes a folder for a network's.
pub(crate) const CONFIG: &str = "config.json";
const CARD: &str = "README.md";
/// Key of the weights' metadata.
const RUN: &str = "run";
/// What belongs to a tokenizer in a network's folder; the last is written by others alone.
const TOKENIZER_FILES: [&str; 4] = ["tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"];

/// Which class of `transformers` a folder is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// The discriminator.
    PreTraining,
    /// The generator.
    MaskedLm,
    SequenceClassification {
        labels: usize,
    },
    TokenClassification {
        labels: usize,
    },
    QuestionAnswering,
}

impl Architecture {
    /// That of a pre-trained network with `head`.
    pub fn of(head: PretrainedHead) -> Self {
        match head {
            PretrainedHead::ReplacedTokenDetection => Self::PreTraining,
            PretrainedHead::MaskedLanguageModeling => Self::MaskedLm,
        }
    }

    /// The class's name in `config.json`.
    pub fn class_name(self) -> &'static str {
        match self {
            Self::PreTraining => "ElectraForPreTraining",
            Self::MaskedLm => "ElectraForMaskedLM",
            Self::SequenceClassification { .. } => "ElectraForSequenceClassification",
            Self::TokenClassification { .. } => "ElectraForTokenClassification",
            Self::QuestionAnswering => "ElectraForQuestionAnswering",
        }
    }

    fn from_class_name(name: &str, labels: usize) -> Option<Self> {
        [
            Self::PreTraining,
            Self::MaskedLm,
            Self::SequenceClassification { labels },
            Self::TokenClassification { labels },
            Self::QuestionAnswering,
        ]
        .into_iter()
        .find(|architecture| architecture.class_name() == name)
    }

    /// Name and shape of every tensor in the folder.
    pub fn specs(self, config: &ElectraConfig) -> Vec<ParameterSpec> {
        match self {
            Self::PreTraining => Discriminator::specs(config, ""),
            Self::MaskedLm => Generator::specs(config, ""),
            Self::SequenceClassification { labels } => SequenceClassifier::specs(config, labels, ""),
            Self::TokenClassification { labels } => TokenClassifier::specs(config, labels, ""),
            Self::QuestionAnswering => QuestionAnswering::specs(config, ""),
        }
    }

    fn labels(self) -> Option<usize> {
        match self {
            Self::SequenceClassification { labels } | Self::TokenClassification { labels } => Some(labels),
            _ => None,
        }
    }
}

/// A network as a folder holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    pub architecture: Architecture,
    pub config: ElectraConfig,
    /// Dropout before a classifier; the encoder's where `None`.
    pub classifier_dropout: Option<f64>,
    /// In the order of [`Architecture::specs`], names without a prefix.
    pub tensors: Vec<HostTensor>,
}

/// Every file that [`export`] may write.
pub(crate) fn files() -> impl Iterator<Item = &'static str> {
    [CONFIG, WEIGHTS, CARD].into_iter().chain(TOKENIZER_FILES)
}

/// The run that trained the network in `folder`, where it was exported from one: [`ModelCard::run`].
pub fn run_of(folder: &Path) -> Option<String> {
    metadata_of(&folder.join(WEIGHTS), RUN)
}

/// Writes `network` into `folder`, with the tokenizer of the folder `tokenizer` and a model card.
///
/// What is written says of the tokenizer what holds for this network: the number of its positions, the id of its padding.
/// Other files in the folder stay, and each file is replaced whole; [`crate::export::NetworkFolders`] replaces all of them
/// together.
///
/// # Errors
/// A file cannot be read or written; the tokenizer has more entries than the network has words.
pub fn export(folder: &Path, network: &Network, tokenizer: Option<&Path>, card: &ModelCard) -> Result<()> {
    let mut config = network.config.clone();
    let tokenizer = tokenizer.map(|folder| Tokenizer::import(folder, &ImportOptions::default())).transpose()?;
    file::create_folder(folder)?;
    if let Some(tokenizer) = tokenizer {
        let tokenizer = tokenizer.tokenizer;
        check_tokenizer_fits(&tokenizer, &config, folder)?;
        config.pad_token_id = tokenizer.special().pad as usize;
        tokenizer.with_max_length(config.max_position_embeddings).save(folder)?;
    }
    file::write_atomically(&folder.join(CARD), card.to_markdown(network).as_bytes())?;
    // `transformers` asks for the format.
    let metadata = [Some(("format", "pt")), card.run.as_deref().map(|run| (RUN, run))];
    file::write_atomically(&folder.join(WEIGHTS), &encode(&network.tensors, metadata.into_iter().flatten()))?;
    file::write_atomically(&folder.join(CONFIG), config_text(network, &config).as_bytes())
}

/// A word table may have more rows than the tokenizer has entries (padded, to a multiple of 8 for example), never fewer.
pub(crate) fn check_tokenizer_fits(tokenizer: &Tokenizer, config: &ElectraConfig, folder: &Path) -> Result<()> {
    let (entries, rows) = (tokenizer.vocab_size(), config.vocab_size);
    if entries <= rows {
        return Ok(());
    }
    let problem = format!("the tokenizer has {entries} entries, but the network only {rows}");
    Err(Error::invalid(folder, problem, "put the tokenizer of this model into the folder"))
}

/// `config.json`, field by field as `save_pretrained` writes it, but for `transformers_version`: no release of
/// `transformers` wrote it.
pub fn config_json(network: &Network) -> String {
    config_text(network, &network.config)
}

fn config_text(network: &Network, config: &ElectraConfig) -> String {
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
    // Two labels are the default, which `save_pretrained` leaves out.
    let labels = network.architecture.labels().filter(|labels| *labels != 2);
    let label = |index: usize| format!("LABEL_{index}");
    if let Some(labels) = labels {
        put("id2label", Value::Object((0..labels).map(|i| (i.to_string(), json!(label(i)))).collect()));
    }
    put("initializer_range", json!(config.initializer_range));
    put("intermediate_size", json!(config.intermediate_size));
    put("is_decoder", json!(false));
    if let Some(labels) = labels {
        put("label2id", Value::Object((0..labels).map(|i| (label(i), json!(i))).collect()));
    }
    put("layer_norm_eps", json!(config.layer_norm_eps));
    put("max_position_embeddings", json!(config.max_position_embeddings));
    put("model_type", json!("electra"));
    put("num_attention_heads", json!(config.num_attention_heads));
    put("num_hidden_layers", json!(config.num_hidden_layers));
    put("pad_token_id", json!(config.pad_token_id));
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

/// Reads the network in `folder`, whichever it is.
///
/// # Errors
/// A file is missing or damaged, the network is not an ELECTRA this crate knows, or weights and configuration
/// do not belong together; the message names file and remedy.
pub fn import(folder: &Path) -> Result<Network> {
    let path = folder.join(CONFIG);
    let (config, architecture, classifier_dropout) = read_config(&path)?;
    let architecture = architecture?;
    let tensors = import_tensors(folder, &architecture.specs(&config), |_| false)?;
    Ok(Network { architecture, config, classifier_dropout, tensors })
}

/// Reads the network in `folder`, which must be of `class_name` (`"ElectraForPreTraining"`).
///
/// # Errors
/// As [`import`], and where the folder holds another class.
pub fn import_as(folder: &Path, class_name: &str) -> Result<Network> {
    let network = import(folder)?;
    let found = network.architecture.class_name();
    if found != class_name {
        let remedy = "give the other network's folder (\"discriminator\" and \"generator\" lie side by side)";
        return Err(Error::invalid(&folder.join(CONFIG), format!("{found}, but {class_name} is needed"), remedy));
    }
    Ok(network)
}

/// Reads `config.json` alone.
///
/// # Errors
/// The file is missing, damaged, or describes no ELECTRA that can be built.
pub fn import_config(folder: &Path) -> Result<ElectraConfig> {
    read_config(&folder.join(CONFIG)).map(|(config, ..)| config)
}

type ConfigParts = (ElectraConfig, Result<Architecture>, Option<f64>);

/// The architecture is a result of its own: who wants the sizes alone does not need one.
fn read_config(path: &Path) -> Result<ConfigParts> {
    let invalid = |problem: String, remedy: &str| Error::invalid(path, problem, remedy);
    let bytes = file::read(path)?;
    let again = "copy or export the folder again";
    let fields: Map<String, Value> =
        serde_json::from_slice(&bytes).map_err(|error| invalid(format!("not a JSON object ({error})"), again))?;
    let word = |name: &str, default: &str| match fields.get(name) {
        None | Some(Value::Null) => json!(default),
        Some(value) => value.clone(),
    };
    let kind = word("model_type", "");
    if kind != "electra" {
        let problem = format!("model_type is {kind}, but \"electra\" is needed");
        return Err(invalid(problem, "give the folder of an ELECTRA model"));
    }
    let positions = word("position_embedding_type", "absolute");
    if positions != "absolute" {
        let problem = format!("position_embedding_type is {positions}, and only \"absolute\" can be built");
        return Err(invalid(problem, "take a network with absolute positions, as all are that the authors published"));
    }
    // `null` stands for the default in files of some releases, and some writers make 32.0 of 32.
    let given: Map<String, Value> = fields
        .clone()
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name, whole_if_it_is(value)))
        .collect();
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
    let architecture = class.and_then(|name| Architecture::from_class_name(name, labels)).ok_or_else(|| {
        let found = class.map_or_else(|| "missing".to_owned(), |name| format!("\"{name}\""));
        invalid(
            format!("architectures is {found}"),
            "ElectraForPreTraining, ElectraForMaskedLM, ElectraForSequenceClassification, \
             ElectraForTokenClassification and ElectraForQuestionAnswering can be read",
        )
    });
    let dropout = fields.get("classifier_dropout").and_then(Value::as_f64);
    Ok((config, architecture, dropout))
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

/// The tensors that `specs` name, from `folder`'s weights; others must pass `ignored` (a head that is replaced).
///
/// # Errors
/// Lists what is missing, what is unexpected, or names the first tensor of another shape or type, or with values that are not
/// finite.
pub fn import_tensors(
    folder: &Path,
    specs: &[ParameterSpec],
    ignored: impl Fn(&str) -> bool,
) -> Result<Vec<HostTensor>> {
    let weights = Weights::open(folder)?;
    let path = weights.path();
    let missing: Vec<&str> =
        specs.iter().map(|spec| spec.name.as_str()).filter(|name| !weights.contains(name)).collect();
    let unexpected: Vec<&str> = weights
        .names()
        .filter(|name| !is_redundant(name) && !ignored(name) && !specs.iter().any(|spec| spec.name == **name))
        .collect();
    let listed = |names: &[&str]| {
        let more = names.len().saturating_sub(4);
        let shown = names.iter().take(4).map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{shown} and {more} more") } else { shown }
    };
    let remedy = "config.json and the weights do not belong together: copy or export the folder again";
    if !missing.is_empty() {
        let mut problem = format!("missing {}", listed(&missing));
        if !unexpected.is_empty() {
            problem.push_str(&format!(", unexpected {}", listed(&unexpected)));
        }
        return Err(Error::invalid(path, problem, remedy));
    }
    if !unexpected.is_empty() {
        return Err(Error::invalid(path, format!("unexpected {}", listed(&unexpected)), remedy));
    }
    let tensors: Vec<HostTensor> =
        specs.iter().map(|spec| weights.tensor(&spec.name, Some(&spec.shape))).collect::<Result<_>>()?;

    // The output table is the word table; a copy of it may be there, but not another table.
    let tied = "generator_lm_head.weight";
    let words = tensors.iter().find(|tensor| tensor.name == "electra.embeddings.word_embeddings.weight");
    if weights.contains(tied)
        && let Some(words) = words
        && weights.tensor(tied, None)?.values != words.values
    {
        let problem = format!("\"{tied}\" is not the table of word embeddings");
        return Err(Error::invalid(path, problem, "only networks with tied output embeddings can be read"));
    }
    Ok(tensors)
}

/// Tensors that some releases write beside the weights: buffers, and the copy of a tied table.
fn is_redundant(name: &str) -> bool {
    name.ends_with(".position_ids") || name.ends_with(".token_type_ids") || name == "generator_lm_head.weight"
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn network(architecture: Architecture) -> Network {
        let config = ElectraConfig {
            vocab_size: 11,
            embedding_size: 4,
            hidden_size: 6,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 8,
            max_position_embeddings: 9,
            ..ElectraConfig::default()
        };
        let tensors = architecture
            .specs(&config)
            .iter()
            .map(|spec| HostTensor::new(&spec.name, spec.shape.clone(), spec.initial_values(3)))
            .collect();
        Network { architecture, config, classifier_dropout: None, tensors }
    }

    const ALL: [Architecture; 5] = [
        Architecture::PreTraining,
        Architecture::MaskedLm,
        Architecture::SequenceClassification { labels: 1 },
        Architecture::TokenClassification { labels: 7 },
        Architecture::QuestionAnswering,
    ];

    fn exported(network: &Network) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        export(folder.path(), network, None, &ModelCard::default()).unwrap();
        folder
    }

    fn failure(folder: &Path) -> String {
        import(folder).expect_err("an error is expected").to_string()
    }

    #[test]
    fn every_architecture_returns_as_it_was() {
        for architecture in ALL {
            let network = network(architecture);
            assert_eq!(import(exported(&network).path()).unwrap(), network);
        }
        let names: Vec<String> = network(Architecture::MaskedLm).tensors.into_iter().map(|t| t.name).collect();
        assert!(!names.contains(&"generator_lm_head.weight".to_owned()), "a tied table is not written");
    }

    #[test]
    fn equal_networks_give_equal_bytes() {
        let network = network(Architecture::PreTraining);
        let read = |folder: &Path| fs::read(folder.join(WEIGHTS)).unwrap();
        assert_eq!(read(exported(&network).path()), read(exported(&network).path()));
    }

    #[test]
    fn buffers_and_tied_copies_are_accepted_and_untied_tables_are_not() {
        let mut network = network(Architecture::MaskedLm);
        let clean = network.clone();
        let words = network.tensors[0].clone();
        network.tensors.push(HostTensor::new("electra.embeddings.position_ids", [1, 2], vec![0.0, 1.0]));
        network.tensors.push(HostTensor { name: "generator_lm_head.weight".into(), ..words });
        assert_eq!(import(exported(&network).path()).unwrap(), clean);
        network.tensors.last_mut().unwrap().values[0] += 1.0;
        assert!(failure(exported(&network).path()).contains("tied output"));
    }

    #[test]
    fn missing_unexpected_and_misshapen_tensors_are_named() {
        let whole = network(Architecture::PreTraining);
        let mut other = whole.clone();
        let dropped = other.tensors.remove(5);
        let message = failure(exported(&other).path());
        assert!(message.contains(&dropped.name) && message.contains("model.safetensors"), "{message}");
        other = whole.clone();
        other.tensors.push(HostTensor::new("classifier.weight", [1], vec![0.0]));
        assert!(failure(exported(&other).path()).contains("unexpected \"classifier.weight\""));
        other = whole.clone();
        other.config.intermediate_size = 9;
        assert!(failure(exported(&other).path()).contains("has shape [8, 6], but [9, 6]"));
        let folder = exported(&whole);
        let message = import_as(folder.path(), "ElectraForMaskedLM").unwrap_err().to_string();
        assert!(message.contains("ElectraForPreTraining, but ElectraForMaskedLM"), "{message}");
    }

    #[test]
    fn a_damaged_folder_is_an_error_with_file_and_remedy() {
        let folder = exported(&network(Architecture::PreTraining));
        let config = fs::read_to_string(folder.path().join(CONFIG)).unwrap();
        for len in (0..config.trim_end().len()).step_by(11) {
            fs::write(folder.path().join(CONFIG), &config[..len]).unwrap();
            assert!(failure(folder.path()).contains("config.json"));
        }
        for (from, to, expected) in [
            ("\"electra\"", "\"bert\"", "give the folder of an ELECTRA model"),
            ("\"gelu\",\n  \"hidden_dropout", "\"relu\",\n  \"hidden_dropout", "hidden_act"),
            ("ElectraForPreTraining", "ElectraForCausalLM", "ElectraForCausalLM"),
            ("\"hidden_size\": 6", "\"hidden_size\": \"six\"", "six"),
            ("\"hidden_size\": 6", "\"hidden_size\": 7", "num_attention_heads 2"),
        ] {
            assert!(config.contains(from), "{from}");
            fs::write(folder.path().join(CONFIG), config.replacen(from, to, 1)).unwrap();
            let message = failure(folder.path());
            assert!(message.contains(expected) && message.contains("config.json"), "{message}");
        }
        fs::write(folder.path().join(CONFIG), &config).unwrap();
        let weights = fs::read(folder.path().join(WEIGHTS)).unwrap();
        for len in (0..weights.len()).step_by(97) {
            fs::write(folder.path().join(WEIGHTS), &weights[..len]).unwrap();
            assert!(failure(folder.path()).contains("model.safetensors"));
        }
        fs::remove_file(folder.path().join(WEIGHTS)).unwrap();
        assert!(failure(folder.path()).contains("check the path"));
        fs::write(folder.path().join("pytorch_model.bin"), "x").unwrap();
        assert!(failure(folder.path()).contains("save_pretrained"));
    }

    fn tokenizer(vocab: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        Tokenizer::from_vocab_bytes(vocab.as_bytes(), true).unwrap().save(folder.path()).unwrap();
        folder
    }

    #[test]
    fn the_tokenizer_comes_along_as_this_network_needs_it() {
        let (absent, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let network = network(Architecture::PreTraining);
        let card = ModelCard::default();
        let message = export(folder.path(), &network, Some(absent.path()), &card).unwrap_err().to_string();
        assert!(message.contains("tokenizer.json"), "{message}");
        assert!(!folder.path().join(CONFIG).exists());

        let source = tokenizer("[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\nword");
        let json = |folder: &Path, name: &str| -> Value {
            serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
        };
        assert!(json(source.path(), "tokenizer_config.json").get("model_max_length").is_none());
        // From its own folder too, as when a run is exported again.
        for source in [source.path(), folder.path()] {
            export(folder.path(), &network, Some(source), &card).unwrap();
            assert_eq!(fs::read_to_string(folder.path().join("vocab.txt")).unwrap().lines().count(), 6);
            assert_eq!(json(folder.path(), "tokenizer_config.json")["model_max_length"], 9);
            assert_eq!(json(folder.path(), CONFIG)["pad_token_id"], 3);
        }
        // An old folder has a vocab.txt alone.
        fs::remove_file(source.path().join("tokenizer.json")).unwrap();
        let old = tempfile::tempdir().unwrap();
        export(old.path(), &network, Some(source.path()), &card).unwrap();
        assert_eq!(json(old.path(), "tokenizer.json"), json(folder.path(), "tokenizer.json"));

        let large = tokenizer("[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\na\nb\nc\nd\ne\nf\ng");
        let message = export(folder.path(), &network, Some(large.path()), &card).unwrap_err().to_string();
        assert!(message.contains("12 entries, but the network only 11"), "{message}");
    }

    #[test]
    fn what_other_writers_make_of_a_folder_is_read() {
        let whole = network(Architecture::PreTraining);
        let folder = exported(&whole);
        let path = folder.path().join(CONFIG);
        let config = fs::read_to_string(&path).unwrap();
        let floats =
            config.replace("\"hidden_size\": 6,", "\"hidden_size\": 6.0,").replace("_layers\": 2,", "_layers\": 2.0,");
        assert_ne!(floats, config);
        fs::write(&path, floats).unwrap();
        assert_eq!(import(folder.path()).unwrap(), whole);
        fs::write(&path, config.replace("\"hidden_size\": 6,", "\"hidden_size\": 6.5,")).unwrap();
        assert!(failure(folder.path()).contains("6.5"));
        fs::write(&path, config.replacen('{', "{\"position_embedding_type\": \"relative_key\",", 1)).unwrap();
        let message = failure(folder.path());
        assert!(message.contains("relative_key") && message.contains("absolute"), "{message}");

        fs::write(&path, &config).unwrap();
        let mut old = whole.clone();
        for tensor in &mut old.tensors {
            tensor.name =
                tensor.name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        }
        assert_eq!(import(exported(&old).path()).unwrap(), whole);

        let mut broken = whole.clone();
        broken.tensors[3].values[1] = f32::NAN;
        let message = failure(exported(&broken).path());
        assert!(message.contains(&broken.tensors[3].name) && message.contains("not finite"), "{message}");
    }
}
