//! The manifest: what a dataset folder holds. It is written last, so a folder without one is not a dataset.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::corpus_record::CorpusRecord;
use crate::error::{DataError, Result, io_error, shown};
use crate::input::{LeftOut, Skipped};
use crate::out_folder::finish_interrupted;
use crate::shard::ShardRecord;
use crate::tokenizer::UnknownTokens;

/// Name in the dataset's folder.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Folder of the tokenizer's copy.
pub const TOKENIZER_FOLDER: &str = "tokenizer";
/// Raised when shards, packing or masking change their meaning.
pub(crate) const FORMAT_VERSION: u32 = 1;
const FORMAT: &str = "electra-data";
const REBUILD: &str = "rebuild the dataset with \"electra data build\"";

/// Which side of the held-out split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// What is learnt from.
    Train,
    /// What is held out.
    Validation,
}

impl Split {
    /// "train" or "validation", as in file names and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
        }
    }
}

/// How text was held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldOutBy {
    /// Whole documents.
    Documents,
    /// Contiguous blocks, cut at line ends or within long lines, as there are too few documents.
    Lines,
}

/// One side of the split.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRecord {
    /// A document that a full shard cut counts once for each part.
    pub documents: u64,
    /// Not empty.
    pub lines: u64,
    /// Without [CLS] and [SEP].
    pub tokens: u64,
    /// In the order of the text.
    pub shards: Vec<ShardRecord>,
}

impl SplitRecord {
    pub(crate) fn of(shards: Vec<ShardRecord>) -> Self {
        let sum = |count: fn(&ShardRecord) -> u64| shards.iter().map(count).sum();
        Self {
            documents: sum(|shard| shard.documents),
            lines: sum(|shard| shard.lines),
            tokens: sum(|shard| shard.tokens),
            shards,
        }
    }
}

/// What a dataset folder holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// "electra-data".
    pub format: String,
    /// Of the format.
    pub version: u32,
    /// [`crate::Tokenizer::sha256`] of the tokenizer that made the tokens.
    pub tokenizer_sha256: String,
    /// Above all ids.
    pub vocab_size: usize,
    /// The corpus' name, where one was given: the folder's is none of this file's business, so that equal text gives
    /// equal files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The input files, or a description: for this machine alone, so never for a model card.
    pub sources: Vec<String>,
    /// See [`CorpusRecord::text_bytes`].
    pub text_bytes: u64,
    /// See [`CorpusRecord::tokens_sha256`]. Absent in datasets of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_sha256: Option<String>,
    /// Share of the text that was to be held out.
    pub validation_fraction: f64,
    /// Decided what was held out.
    pub seed: u64,
    /// How it was held out.
    pub held_out_by: HeldOutBy,
    /// Files of the input, and members of its archives, that were not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// Bad records that were left out or mended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
    /// What is learnt from.
    pub train: SplitRecord,
    /// What is held out.
    pub validation: SplitRecord,
    /// How much of the text is [UNK]; not in datasets of before it was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<UnknownTokens>,
    /// CRC-32C of this manifest's compact JSON with 0 in this field.
    pub crc32c: u32,
}

impl Manifest {
    pub(crate) fn format() -> String {
        FORMAT.into()
    }

    /// One side of the split.
    pub fn split(&self, split: Split) -> &SplitRecord {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
        }
    }

    /// The share of tokens that is held out: near [`Self::validation_fraction`], as far as the text allows.
    pub fn held_out_share(&self) -> f64 {
        self.validation.tokens as f64 / (self.train.tokens + self.validation.tokens).max(1) as f64
    }

    /// What may be said elsewhere of the corpus in `folder`, whose own name it has unless it was given another.
    pub fn corpus(&self, folder: impl AsRef<Path>) -> CorpusRecord {
        let folder = folder.as_ref();
        // Not "." and not "..".
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let folder_name = || folder.file_name().map(|name| name.to_string_lossy().into_owned());
        CorpusRecord {
            name: self.name.clone().or_else(folder_name).unwrap_or_else(|| "unnamed".into()),
            text_bytes: self.text_bytes,
            tokens: self.train.tokens + self.validation.tokens,
            tokens_sha256: self.tokens_sha256.clone(),
        }
    }

    /// Whether a folder holds a dataset, whole or not; nothing in it is touched.
    pub(crate) fn lies_in(folder: &Path) -> bool {
        let text = std::fs::read(folder.join(MANIFEST_FILE)).unwrap_or_default();
        serde_json::from_slice::<serde_json::Value>(&text).is_ok_and(|value| value["format"] == FORMAT)
    }

    /// Reads and checks the manifest of a dataset folder.
    ///
    /// # Errors
    /// A folder that is missing or no dataset, an interrupted build, another version, a damaged file.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        finish_interrupted(folder)?;
        let path = folder.join(MANIFEST_FILE);
        let error =
            |reason: String, remedy: &str| DataError::Dataset { path: shown(&path), reason, remedy: remedy.into() };
        if !path.is_file() {
            let reason = if !folder.exists() {
                "no such dataset"
            } else {
                "the folder has no manifest: it is no dataset, or its build was interrupted"
            };
            let path = shown(folder);
            return Err(DataError::Dataset {
                path,
                reason: reason.into(),
                remedy: "run \"electra data build\"".into(),
            });
        }
        let text = std::fs::read(&path).map_err(io_error("read", &path))?;
        // The version first: another version's fields may differ.
        let value: serde_json::Value =
            serde_json::from_slice(&text).map_err(|failure| error(format!("malformed JSON: {failure}"), REBUILD))?;
        if value["format"] != FORMAT {
            return Err(error("not the manifest of an Electra dataset".into(), "check the path"));
        }
        if value["version"] != FORMAT_VERSION {
            return Err(error(format!("format version {}, expected {FORMAT_VERSION}", value["version"]), REBUILD));
        }
        let manifest: Self = serde_json::from_value(value)
            .map_err(|failure| error(format!("not a whole manifest: {failure}"), REBUILD))?;
        if manifest.checksum() != manifest.crc32c {
            return Err(error("its checksum does not fit: damaged or edited".into(), REBUILD));
        }
        for shard in manifest.train.shards.iter().chain(&manifest.validation.shards) {
            if Path::new(&shard.file).file_name() != Some(shard.file.as_ref()) {
                return Err(error(format!("the shard {:?} lies outside the folder", shard.file), REBUILD));
            }
        }
        Ok(manifest)
    }

    /// The files of the dataset in `folder`, the manifest first: of any version, and even where it is damaged in other
    /// ways. `None` without the manifest of a dataset.
    pub(crate) fn listed_files(folder: &Path) -> Option<Vec<PathBuf>> {
        let text = std::fs::read(folder.join(MANIFEST_FILE)).ok()?;
        let value: serde_json::Value = serde_json::from_slice(&text).ok()?;
        if value["format"] != FORMAT {
            return None;
        }
        let shards = [Split::Train, Split::Validation].map(|split| value[split.name()]["shards"].as_array().cloned());
        let shards =
            shards.into_iter().flatten().flatten().filter_map(|shard| shard["file"].as_str().map(PathBuf::from));
        // Never anything outside the folder, whatever the manifest says.
        let shards = shards.filter(|file| file.file_name() == Some(file.as_os_str()));
        Some(std::iter::once(MANIFEST_FILE.into()).chain(shards).collect())
    }

    pub(crate) fn save(mut self, folder: &Path) -> Result<Self> {
        self.crc32c = self.checksum();
        let path = folder.join(MANIFEST_FILE);
        let json =
            serde_json::to_string_pretty(&self).map_err(|failure| io_error("write to", &path)(failure.into()))?;
        atomic::write(&path, format!("{json}\n").as_bytes()).map_err(io_error("write to", &path))?;
        Ok(self)
    }

    fn checksum(&self) -> u32 {
        let blank = Self { crc32c: 0, ..self.clone() };
        crc32c::crc32c(serde_json::to_string(&blank).unwrap_or_default().as_bytes())
    }

    /// Refuses a tokenizer that isn't the one these shards were made with.
    ///
    /// # Errors
    /// Another hash.
    pub fn check_tokenizer(&self, folder: impl AsRef<Path>, tokenizer_sha256: &str) -> Result<()> {
        if self.tokenizer_sha256 == tokenizer_sha256 {
            return Ok(());
        }
        let short = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
        let reason = format!(
            "the shards were made with another tokenizer (theirs {}, given {})",
            short(&self.tokenizer_sha256),
            short(tokenizer_sha256)
        );
        let remedy = format!(
            "use the tokenizer in {}, or rebuild the dataset with \"electra data build\"",
            shown(&folder.as_ref().join(TOKENIZER_FOLDER))
        );
        Err(DataError::Dataset { path: shown(folder.as_ref()), reason, remedy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_without_the_newer_fields_is_whole() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let manifest = Manifest {
            format: Manifest::format(),
            version: FORMAT_VERSION,
            tokenizer_sha256: "ab".into(),
            vocab_size: 5,
            name: None,
            sources: vec!["/home/me/text.txt".into()],
            text_bytes: 12,
            tokens_sha256: None,
            validation_fraction: 0.02,
            seed: 0,
            held_out_by: HeldOutBy::Lines,
            left_out: Vec::new(),
            skipped: Vec::new(),
            train: SplitRecord { tokens: 3, ..SplitRecord::default() },
            validation: SplitRecord { tokens: 1, ..SplitRecord::default() },
            unknown: None,
            crc32c: 0,
        };
        manifest.save(folder.path()).expect("saved");
        let text = std::fs::read_to_string(folder.path().join(MANIFEST_FILE)).expect("read");
        for field in ["\"name\"", "tokens_sha256", "unknown"] {
            assert!(!text.contains(field), "{text}");
        }
        let corpus = Manifest::load(folder.path()).expect("whole").corpus(folder.path());
        let name = folder.path().file_name().expect("a name").to_string_lossy().into_owned();
        assert_eq!(corpus, CorpusRecord { name, text_bytes: 12, tokens: 4, tokens_sha256: None });
    }

    #[test]
    fn only_plain_names_are_listed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listed = |text: &str| {
            std::fs::write(folder.path().join(MANIFEST_FILE), text).expect("written");
            Manifest::listed_files(folder.path())
        };
        let shards =
            r#"[{"file": "train-0.safetensors"}, {"file": "../../etc/passwd"}, {"file": "/root/x"}, {"file": ".."}]"#;
        let text = format!(r#"{{"format": "electra-data", "version": 7, "train": {{"shards": {shards}}}}}"#);
        assert_eq!(listed(&text), Some(vec![MANIFEST_FILE.into(), "train-0.safetensors".into()]));
        assert_eq!(listed(r#"{"format": "electra-data"}"#), Some(vec![MANIFEST_FILE.into()]));
        assert_eq!(listed(r#"{"name": "app"}"#), None);
        assert_eq!(listed("half a mani"), None);
    }
}
