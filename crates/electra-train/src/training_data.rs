//! A dataset folder as a run needs it: batches of both splits, and the frequencies that a detector must beat.

use std::path::{Path, PathBuf};

use electra_data::{Dataset, MaskingConfig, Split, TOKENIZER_FOLDER, Tokenizer, dataset_tokenizer};

use crate::baseline::FrequencyDetector;
use crate::error::{Error, Result};
use crate::pretrain::TrainingData;
use crate::run_config::RunConfig;

/// The validation split's examples are the same for every run of a dataset, whatever the run's seed.
const VALIDATION_SEED: u64 = 0;
/// Tokens that the frequency detectors count: enough for stable bigrams, and a bound on memory.
const BASELINE_TOKENS: u64 = 20_000_000;

/// Opens the dataset in `config.data.dir` and its tokenizer, whose size becomes `config.model.vocab_size`.
///
/// # Errors
/// The folder is no whole dataset, or what `config` asks of it cannot be had.
pub fn open(config: &mut RunConfig) -> Result<TrainingData> {
    let folder = config.data.dir.clone();
    let tokenizer = dataset_tokenizer(&folder)?;
    config.model.vocab_size = tokenizer.vocab_size();
    let train = Dataset::open(&folder, Split::Train, tokenizer.sha256())?;
    let validation = Dataset::open(&folder, Split::Validation, tokenizer.sha256())?;
    let masking = MaskingConfig {
        probability: config.data.masking_probability,
        paper_exact: config.data.paper_exact,
        ..MaskingConfig::default()
    };
    let batches = |dataset: &Dataset, seed| {
        dataset.batches(&tokenizer, config.train.sequence_length, config.train.batch_size, masking.clone(), seed)
    };
    let manifest = train.manifest();
    Ok(TrainingData {
        train: batches(&train, config.seed)?,
        validation: batches(&validation, VALIDATION_SEED)?,
        special: tokenizer.special(),
        baseline: Some(frequencies(&train, &tokenizer)),
        tokenizer: folder.join(TOKENIZER_FOLDER),
        corpus: manifest.corpus(&folder).to_string(),
        tokenizer_description: describe(&tokenizer),
        fingerprint: format!("{}-{}", tokenizer.sha256(), manifest.crc32c),
    })
}

fn describe(tokenizer: &Tokenizer) -> String {
    let casing = if tokenizer.lowercase() { "lowercased" } else { "cased" };
    format!("WordPiece, {} entries, {casing}", tokenizer.vocab_size())
}

fn frequencies(dataset: &Dataset, tokenizer: &Tokenizer) -> FrequencyDetector {
    let corpus = dataset.corpus();
    let mut lines: Vec<Vec<u32>> = Vec::new();
    let (mut tokens, mut ids) = (0, Vec::new());
    corpus.for_each_document(&mut |document| {
        if tokens >= BASELINE_TOKENS {
            return;
        }
        for bounds in document.line_offsets.windows(2) {
            let length = (bounds[1] - bounds[0]) as usize;
            ids.clear();
            corpus.append_tokens(document.base + bounds[0], length, &mut ids);
            lines.push(ids.iter().map(|&id| id as u32).collect());
            tokens += length as u64;
        }
    });
    FrequencyDetector::count(&lines, tokenizer.vocab_size(), BASELINE_TOKENS)
}

/// A run is resumed with the data it was started with, or not at all.
pub(crate) fn check_fingerprint(path: &Path, saved: &str, found: &str) -> Result<()> {
    if saved == found {
        return Ok(());
    }
    Err(Error::invalid(
        path,
        "the checkpoint was written with another dataset or another tokenizer",
        "give --data the folder it was trained on, or start in another run folder",
    ))
}

/// The tokenizer's folder of the run in `run`: the one beside its exported networks, else its dataset's.
/// Sets `config.model.vocab_size`.
///
/// # Errors
/// Neither is there.
pub fn tokenizer_folder(config: &mut RunConfig, run: &Path) -> Result<PathBuf> {
    let candidates = [run.join("discriminator"), run.join("generator"), config.data.dir.join(TOKENIZER_FOLDER)];
    let Some(folder) = candidates.iter().find(|folder| folder.join("tokenizer.json").is_file()) else {
        return Err(Error::invalid(
            &config.data.dir,
            "the run's dataset and its tokenizer are gone",
            "put the dataset back, or build it again from the same text",
        ));
    };
    config.model.vocab_size = Tokenizer::load(folder)?.vocab_size();
    Ok(folder.clone())
}
