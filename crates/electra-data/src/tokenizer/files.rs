//! A tokenizer's folder, in Hugging Face's layout: tokenizer.json, tokenizer_config.json, vocab.txt.

use std::path::Path;

use serde_json::json;

use super::{Tokenizer, parse_vocab};
use crate::atomic;
use crate::error::{DataError, Result, io_error, shown};
use crate::out_folder::finish_interrupted;

/// The file that everything is read from.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// For libraries that read it: lowercasing and special tokens.
pub const CONFIG_FILE: &str = "tokenizer_config.json";
/// One token a line.
pub const VOCAB_FILE: &str = "vocab.txt";

impl Tokenizer {
    /// Reads the tokenizer of a folder that [`Tokenizer::save`] wrote, or any folder with a tokenizer.json.
    ///
    /// # Errors
    /// A missing folder or file, malformed JSON, missing special tokens.
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
        Self::from_json(&bytes, &shown(&path))
    }

    /// Reads a vocab.txt, a tokenizer.json, or a folder with either. Truncation and padding sections are dropped.
    ///
    /// `lowercase` decides for a vocab.txt; without it a tokenizer_config.json beside the file does, else whether
    /// any token has a capital letter.
    ///
    /// # Errors
    /// As [`Tokenizer::load`]; a `lowercase` that contradicts the tokenizer.json.
    pub fn import(path: impl AsRef<Path>, lowercase: Option<bool>) -> Result<Self> {
        let mut path = path.as_ref().to_owned();
        if path.is_dir() {
            let found =
                [TOKENIZER_FILE, VOCAB_FILE].map(|name| path.join(name)).into_iter().find(|file| file.is_file());
            let Some(file) = found else {
                let remedy = "name a vocab.txt, a tokenizer.json or a folder with either";
                return Err(DataError::tokenizer(
                    shown(&path),
                    "the folder has no tokenizer.json and no vocab.txt",
                    remedy,
                ));
            };
            path = file;
        }
        let bytes = std::fs::read(&path).map_err(io_error("read", &path))?;
        let starts_as_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        if path.extension().is_some_and(|extension| extension == "json") || (starts_as_json && bytes.ends_with(b"}")) {
            let tokenizer = Self::from_json(&bytes, &shown(&path))?;
            if let Some(wanted) = lowercase.filter(|&wanted| wanted != tokenizer.lowercase()) {
                let reason = format!("its normaliser {} lowercase", if wanted { "does not" } else { "does" });
                return Err(DataError::tokenizer(
                    shown(&path),
                    reason,
                    "leave the choice to the file, or import its vocab.txt",
                ));
            }
            return Ok(tokenizer);
        }
        let tokens = parse_vocab(&bytes, &shown(&path))?;
        let lowercase = match lowercase.or_else(|| configured_lowercase(&path)) {
            Some(lowercase) => lowercase,
            None => !tokens.iter().any(|token| !is_bracketed(token) && token.to_lowercase() != *token),
        };
        Self::from_vocab(&tokens, lowercase, &shown(&path))
    }

    /// Writes tokenizer.json, tokenizer_config.json and vocab.txt into `folder`, which is made if need be.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        let mut vocab = self.tokens().join("\n");
        vocab.push('\n');
        let config = json!({
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": self.lowercase(),
            "strip_accents": null,
            "tokenize_chinese_chars": true,
            "model_max_length": 512,
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
        });
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            atomic::write(&path, text.as_bytes()).map_err(io_error("write to", &path))
        };
        write(VOCAB_FILE, &vocab)?;
        write(CONFIG_FILE, &format!("{config:#}\n"))?;
        // Last, since loading looks for this one.
        write(TOKENIZER_FILE, &self.to_json())
    }
}

fn is_bracketed(token: &str) -> bool {
    token.starts_with('[') && token.ends_with(']')
}

fn configured_lowercase(vocab: &Path) -> Option<bool> {
    let bytes = std::fs::read(vocab.with_file_name(CONFIG_FILE)).ok()?;
    serde_json::from_slice::<serde_json::Value>(&bytes).ok()?.get("do_lower_case")?.as_bool()
}
