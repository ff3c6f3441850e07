//! A tokenizer's folder, in Hugging Face's layout: tokenizer.json, tokenizer_config.json, vocab.txt.

#[cfg(feature = "native")]
use std::path::Path;

use serde_json::json;

use super::rules::TextRules;
use super::settings::Settings;
use super::vocabulary::{changed_by, parse_vocab};
use super::{StripAccents, Tokenizer, parse_json};
use crate::error::{DataError, Result, io_error, shown};
use crate::folder::Folder;
#[cfg(feature = "native")]
use crate::{atomic, out_folder::finish_interrupted};

/// The file that everything is read from.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// For libraries that read it: class, casing, special tokens, length.
pub const CONFIG_FILE: &str = "tokenizer_config.json";
/// One token a line.
pub const VOCAB_FILE: &str = "vocab.txt";

/// How a tokenizer from elsewhere is to be understood, where its files leave it open.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportOptions {
    /// Whether text is lowercased.
    pub lowercase: Option<bool>,
    /// Which marks are taken off letters.
    pub strip_accents: StripAccents,
}

/// A tokenizer from elsewhere.
#[derive(Debug, Clone)]
pub struct Imported {
    /// With the ids that its files say.
    pub tokenizer: Tokenizer,
    /// What its user should know of it, one message each.
    pub notices: Vec<String>,
}

impl Tokenizer {
    /// Reads the tokenizer of a folder that [`Tokenizer::save`] wrote, or any folder with a tokenizer.json.
    ///
    /// # Errors
    /// A missing folder or file, malformed JSON, missing special tokens.
    #[cfg(feature = "native")]
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        finish_interrupted(folder)?;
        let path = folder.join(TOKENIZER_FILE);
        if !path.is_file() {
            let (reason, remedy) = if !folder.exists() {
                ("no such folder", "make a tokenizer with \"electra tokenizer train\" or \"electra tokenizer import\"")
            } else if folder.is_file() {
                ("a file and not a tokenizer's folder", "import it with \"electra tokenizer import\"")
            } else if folder.join(VOCAB_FILE).is_file() {
                ("the folder has a vocab.txt but no tokenizer.json", "import it with \"electra tokenizer import\"")
            } else {
                (
                    "the folder has no tokenizer.json",
                    "make a tokenizer with \"electra tokenizer train\" or \"electra tokenizer import\"",
                )
            };
            return Err(DataError::tokenizer(shown(folder), reason, remedy));
        }
        let bytes = std::fs::read(&path).map_err(io_error("read", &path))?;
        let mut tokenizer = Self::from_json(&bytes, &shown(&path))?;
        tokenizer.max_length = Settings::read(folder.into())?.max_length;
        Ok(tokenizer)
    }

    /// Reads a vocab.txt, a tokenizer.json, or a folder with either, with the tokenizer_config.json beside it. Truncation and
    /// padding sections are dropped.
    ///
    /// For a vocab.txt `options` decide, then tokenizer_config.json, then the pieces themselves: capitals show that text is
    /// not lowercased, pieces that lose a mark that none is stripped.
    ///
    /// # Errors
    /// As [`Tokenizer::load`]; `options` that contradict the tokenizer.json.
    #[cfg(feature = "native")]
    pub fn import(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Imported> {
        let path = path.as_ref();
        match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) if !path.is_dir() => {
                Self::import_file(folder.into(), &name.to_string_lossy(), options)
            }
            _ => Self::import_from(path, options),
        }
    }

    /// As [`Tokenizer::import`], of a folder, which may lie in memory.
    ///
    /// # Errors
    /// As [`Tokenizer::import`].
    pub fn import_from<'f>(folder: impl Into<Folder<'f>>, options: &ImportOptions) -> Result<Imported> {
        let folder = folder.into();
        match [TOKENIZER_FILE, VOCAB_FILE].into_iter().find(|name| folder.has(name)) {
            Some(name) => Self::import_file(folder, name, options),
            None => Err(no_vocabulary(folder)),
        }
    }

    fn import_file(folder: Folder<'_>, name: &str, options: &ImportOptions) -> Result<Imported> {
        let path = folder.path(name);
        let bytes = folder.read(name).map_err(io_error("read", &path))?;
        let settings = Settings::read(folder)?;
        let starts_as_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let is_json =
            path.extension().is_some_and(|extension| extension == "json") || (starts_as_json && bytes.ends_with(b"}"));
        let read = if is_json {
            from_json(&bytes, &settings, options, &shown(&path))
        } else {
            from_vocab(&bytes, &settings, options, &shown(&path))
        };
        let mut imported = read.map_err(|error| name_special_tokens(error, &settings))?;
        imported.tokenizer.max_length = settings.max_length;
        if let Some(how) = &settings.cuts_otherwise {
            imported.notices.push(format!(
                "{CONFIG_FILE} beside {} has {how}: words are cut otherwise there, so that ids may differ",
                path.display()
            ));
        }
        if !is_json && settings.class.as_deref() == Some("PreTrainedTokenizerFast") {
            imported.notices.push(format!(
                "{CONFIG_FILE} beside {} names PreTrainedTokenizerFast, whose rules stand in a {TOKENIZER_FILE}, which is not there: \
                 BERT's are taken, so that ids may differ",
                path.display()
            ));
        }
        if let Some(unreachable) = imported.tokenizer.unreachable().filter(super::Unreachable::is_notable) {
            imported.notices.push(format!("{}: {unreachable}", path.display()));
        }
        Ok(imported)
    }

    /// For a network that takes `length` tokens: no text of this tokenizer is to be longer.
    pub fn with_max_length(mut self, length: usize) -> Self {
        self.max_length = Some(self.max_length.map_or(length, |own| own.min(length)));
        self
    }

    /// The files of this tokenizer by their names, in the order in which they are written: the one that loading looks for comes last.
    pub fn to_files(&self) -> [(&'static str, String); 3] {
        let mut vocab = self.tokens().join("\n");
        vocab.push('\n');
        let settings = format!("{:#}\n", self.settings_json());
        [(VOCAB_FILE, vocab), (CONFIG_FILE, settings), (TOKENIZER_FILE, self.to_json())]
    }

    /// Writes tokenizer.json, tokenizer_config.json and vocab.txt into `folder`, which is made if need be.
    ///
    /// # Errors
    /// What the file system says.
    #[cfg(feature = "native")]
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        for (name, text) in self.to_files() {
            let path = folder.join(name);
            atomic::write(&path, text.as_bytes()).map_err(io_error("write to", &path))?;
        }
        Ok(())
    }
}

/// What to say of a folder without a vocabulary that can be read.
fn no_vocabulary(folder: Folder<'_>) -> DataError {
    let other = ["spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "merges.txt"]
        .into_iter()
        .find(|name| folder.has(name));
    let reason = match other {
        Some(name) => format!("the folder has no tokenizer.json and no vocab.txt, but {name}, which is no WordPiece"),
        None => "the folder has no tokenizer.json and no vocab.txt".to_owned(),
    };
    DataError::tokenizer(shown(&folder.place()), reason, "name a vocab.txt, a tokenizer.json or a folder with either")
}

/// An error for want of special tokens names those that the settings have in their place.
fn name_special_tokens(error: DataError, settings: &Settings) -> DataError {
    match error {
        DataError::Tokenizer { path, reason, remedy }
            if reason.contains("lacks") && !settings.other_names.is_empty() =>
        {
            let names: Vec<String> =
                settings.other_names.iter().map(|(role, name)| format!("{role} is {name:?}")).collect();
            DataError::Tokenizer { path, reason: format!("{reason} ({CONFIG_FILE}: {})", names.join(", ")), remedy }
        }
        error => error,
    }
}

/// A tokenizer.json as `transformers` takes it: with BERT's class, what tokenizer_config.json says comes before it.
fn from_json(bytes: &[u8], settings: &Settings, options: &ImportOptions, path: &str) -> Result<Imported> {
    let mut value = parse_json(bytes, path)?;
    let mut notices = Vec::new();
    let normalizer = &mut value["normalizer"];
    if settings.overrules_json() && normalizer["type"] == "BertNormalizer" {
        for (key, setting, said) in [
            ("lowercase", "do_lower_case", settings.lowercase),
            ("strip_accents", "strip_accents", settings.strip_accents),
            ("handle_chinese_chars", "tokenize_chinese_chars", settings.cut_chinese),
        ] {
            // Where it isn't said, accents go where capitals do.
            let does = normalizer[key].as_bool().or_else(|| normalizer["lowercase"].as_bool());
            if let Some(said) = said.filter(|said| Some(*said) != does) {
                notices.push(format!(
                    "{path} has {key} {}, but {CONFIG_FILE} beside it {setting} {said}, which counts in transformers and here",
                    normalizer[key]
                ));
                normalizer[key] = json!(said);
            }
        }
    }
    let tokenizer = Tokenizer::from_json_value(value, path)?;
    for (asked, does, what) in [
        (options.lowercase, tokenizer.lowercase(), "lowercases"),
        (options.strip_accents.asked(), tokenizer.strips_accents(), "strips accents"),
    ] {
        if asked.is_some_and(|asked| asked != does) {
            let reason = format!("its normaliser {} {what}", if does { "always" } else { "never" });
            return Err(DataError::tokenizer(path, reason, "leave the choice to the file, or import its vocab.txt"));
        }
    }
    Ok(Imported { tokenizer, notices })
}

fn from_vocab(bytes: &[u8], settings: &Settings, options: &ImportOptions, path: &str) -> Result<Imported> {
    let vocab = parse_vocab(bytes, path)?;
    let is_changed = |normalizer: tokenizers::NormalizerWrapper| {
        vocab.tokens.iter().any(|token| changed_by(&normalizer, token).is_some())
    };
    let lowers = tokenizers::normalizers::Lowercase;
    let lowercase = options.lowercase.or(settings.lowercase).unwrap_or_else(|| !is_changed(lowers.into()));
    let mut notices = vocab.notices;
    let strip_accents = match options.strip_accents.asked().or(settings.strip_accents) {
        Some(strips) => Some(strips),
        // As BERT: where text is lowercased, and files that say so mean it.
        None if !lowercase || settings.lowercase.is_some() => None,
        None if is_changed(TextRules::bert(true, Some(true), false).normalizer()) => {
            notices.push(format!(
                "{path}: it has pieces with accents, vowel signs or syllables that BERT's stripping of accents would take \
                 apart, so nothing is stripped; --strip-accents true does it all the same"
            ));
            Some(false)
        }
        None => None,
    };
    let rules = TextRules::bert(lowercase, strip_accents, settings.cut_chinese.unwrap_or(true));
    Ok(Imported { tokenizer: Tokenizer::from_vocab(&vocab.tokens, &rules, path)?, notices })
}
