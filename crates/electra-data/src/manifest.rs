//! The manifest: what a dataset folder holds. It is written last, so a folder without one is not a dataset.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::error::{DataError, Result, io_error, shown};
use crate::shard::ShardRecord;
use crate::tokenizer::UnknownTokens;

/// Name in the dataset's folder.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Folder of the tokenizer's copy.
pub const TOKENIZER_FOLDER: &str = "tokenizer";
/// Raised when shards, packing or masking change their meaning.
pub const FORMAT_VERSION: u32 = 1;
const FORMAT: &str = "electra-data";
const REBUILD: &str = "rebuild the dataset with \"electra data build\"";

/// Which side of the held-out split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    Train,
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
    /// Contiguous blocks of lines, as there are too few documents.
    Lines,
}

/// One side of the split.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRecord {
    pub documents: u64,
    pub lines: u64,
    pub tokens: u64,
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
    pub format: String,
    pub version: u32,
    pub tokenizer_sha256: String,
    pub vocab_size: usize,
    /// The input files, or a description.
    pub sources: Vec<String>,
    pub text_bytes: u64,
    pub validation_fraction: f64,
    pub seed: u64,
    pub held_out_by: HeldOutBy,
    pub train: SplitRecord,
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

    /// Reads and checks the manifest of a dataset folder.
    ///
    /// # Errors
    /// A folder that is missing or no dataset, an interrupted build, another version, a damaged file.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
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

    pub(crate) fn save(mut self, folder: &Path) -> Result<Self> {
        self.crc32c = self.checksum();
        let path = folder.join(MANIFEST_FILE);
        let json =
            serde_json::to_string_pretty(&self).map_err(|failure| io_error("write to", &path)(failure.into()))?;
        atomic::write(&path, format!("{json}\n").as_bytes())?;
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
