//! `tokenizer_config.json`: written from what a tokenizer does, and read with all that decides ids.
//!
//! Whoever loads a folder with `transformers` gets what this file says, not what tokenizer.json says: a class for BERT builds
//! its normaliser anew from `do_lower_case`, `strip_accents` and `tokenize_chinese_chars` (release 4 where they differ,
//! release 5 always). So that class is named only for a tokenizer that these settings describe exactly; any other gets the
//! class that takes tokenizer.json as it is. tests/transformers holds both releases against it.

use serde_json::{Map, Value, json};
use tokenizers::{AddedToken, Model, ModelWrapper, PreTokenizerWrapper};

use super::files::CONFIG_FILE;
use super::{SPECIAL_NAMES, Tokenizer};
use crate::error::{DataError, Result, io_error, shown};
use crate::folder::Folder;

/// What `transformers` takes for no limit, and writes where there is none: anything above this.
const NO_LIMIT: f64 = 1e9;

/// A tokenizer's settings as a `tokenizer_config.json` has them; `None` for what it doesn't say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Settings {
    pub class: Option<String>,
    pub lowercase: Option<bool>,
    /// Also `None` for `null`, which means: where text is lowercased.
    pub strip_accents: Option<bool>,
    pub cut_chinese: Option<bool>,
    pub max_length: Option<usize>,
    /// Names of the special tokens that are not BERT's: key and name.
    pub other_names: Vec<(String, String)>,
    /// Whether the class cuts words in a way that no tokenizer.json describes.
    pub cuts_otherwise: Option<String>,
}

impl Settings {
    /// Those of `folder`; all `None` where it has no such file.
    ///
    /// # Errors
    /// A file that is there and is no JSON object, or has a setting of another type.
    pub(crate) fn read(folder: Folder<'_>) -> Result<Self> {
        let path = folder.path(CONFIG_FILE);
        let bytes = match folder.read(CONFIG_FILE) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        let fields: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|error| {
            DataError::tokenizer(shown(&path), format!("not a JSON object ({error})"), "copy or download it again")
        })?;
        let flag = |key: &str| match fields.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => {
                Err(DataError::tokenizer(shown(&path), format!("{key} is {other}"), "it must be true, false or null"))
            }
        };
        let class = fields.get("tokenizer_class").and_then(Value::as_str).map(str::to_owned);
        let word_tokenizer = fields.get("word_tokenizer_type").and_then(Value::as_str).filter(|kind| *kind != "basic");
        let cuts_otherwise = match (&class, word_tokenizer) {
            (_, Some(kind)) => Some(format!("word_tokenizer_type {kind:?}")),
            (Some(class), _) if class.starts_with("BertJapanese") => Some(class.clone()),
            _ if flag("do_basic_tokenize")? == Some(false) => Some("do_basic_tokenize false".to_owned()),
            _ => None,
        };
        let roles = ["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"];
        let name = |value: &Value| value.as_str().or_else(|| value["content"].as_str()).map(str::to_owned);
        let other_names = roles
            .iter()
            .zip(SPECIAL_NAMES)
            .filter_map(|(role, expected)| Some((role.to_string(), name(fields.get(*role)?)?, expected)))
            .filter(|(_, name, expected)| name != expected)
            .map(|(role, name, _)| (role, name))
            .collect();
        let max_length = fields.get("model_max_length").and_then(Value::as_f64);
        Ok(Self {
            lowercase: flag("do_lower_case")?,
            strip_accents: flag("strip_accents")?,
            cut_chinese: flag("tokenize_chinese_chars")?,
            max_length: max_length.filter(|length| (1.0..NO_LIMIT).contains(length)).map(|length| length as usize),
            other_names,
            cuts_otherwise,
            class,
        })
    }

    /// Whether the class is one that builds BERT's rules from these settings, whatever tokenizer.json says.
    pub(crate) fn overrules_json(&self) -> bool {
        self.class.as_deref().is_some_and(|class| {
            let class = class.trim_end_matches("Fast");
            ["BertTokenizer", "ElectraTokenizer", "DistilBertTokenizer"].contains(&class)
        })
    }
}

impl Tokenizer {
    /// What `tokenizer_config.json` says of this tokenizer.
    pub(crate) fn settings_json(&self) -> Value {
        let mut settings = match self.bert_settings() {
            Some((lowercase, strip_accents, cut_chinese)) => json!({
                "tokenizer_class": "BertTokenizer",
                "do_lower_case": lowercase,
                "strip_accents": strip_accents,
                "tokenize_chinese_chars": cut_chinese,
            }),
            None => json!({
                "tokenizer_class": "PreTrainedTokenizerFast",
                "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
            }),
        };
        for (role, name) in ["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"].iter().zip(SPECIAL_NAMES)
        {
            settings[role] = name.into();
        }
        if let Some(length) = self.max_length {
            settings["model_max_length"] = length.into();
        }
        settings
    }

    /// Lowercasing, stripping of accents and cutting of Chinese, where these make exactly this tokenizer out of BERT's class.
    fn bert_settings(&self) -> Option<(bool, Option<bool>, bool)> {
        let normalizer = serde_json::to_value(self.inner.get_normalizer()?).ok()?;
        let ModelWrapper::WordPiece(model) = self.inner.get_model() else { return None };
        let rules = normalizer["type"] == "BertNormalizer"
            && normalizer["clean_text"] == true
            && matches!(self.inner.get_pre_tokenizer()?, PreTokenizerWrapper::BertPreTokenizer(_))
            && model.continuing_subword_prefix == "##"
            && model.max_input_chars_per_word == 100;
        let added = self.inner.get_added_tokens_decoder();
        let special = added.len() == SPECIAL_NAMES.len()
            && added.values().all(|token| {
                let AddedToken { single_word, lstrip, rstrip, normalized, special, .. } = token;
                let is_plain = *special && !(*single_word || *lstrip || *rstrip || *normalized);
                is_plain && SPECIAL_NAMES.contains(&token.content.as_str())
            })
            && SPECIAL_NAMES.iter().all(|name| model.token_to_id(name).is_some());
        if !(rules && special && self.frames_as_bert()) {
            return None;
        }
        Some((
            normalizer["lowercase"].as_bool()?,
            normalizer["strip_accents"].as_bool(),
            normalizer["handle_chinese_chars"].as_bool()?,
        ))
    }

    /// Whether the post-processor puts [CLS] and [SEP] around one text and two as BERT does.
    fn frames_as_bert(&self) -> bool {
        let (cls, sep) = (self.special.cls, self.special.sep);
        let one = self.inner.encode("", true);
        let two = self.inner.encode(("", ""), true);
        match (one, two) {
            (Ok(one), Ok(two)) => {
                one.get_ids() == [cls, sep] && two.get_ids() == [cls, sep, sep] && two.get_type_ids() == [0, 0, 1]
            }
            _ => false,
        }
    }
}
