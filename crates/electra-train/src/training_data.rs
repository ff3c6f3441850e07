//! A dataset folder as a run needs it: batches of both splits, and the frequencies that a detector must beat.

use std::path::{Path, PathBuf};

use electra_data::{Dataset, MaskingConfig, Split, TOKENIZER_FOLDER, Tokenizer, UnknownTokens, dataset_tokenizer};

use crate::baseline::FrequencyDetector;
use crate::error::{Error, Result};
use crate::hugging_face::{self, check_tokenizer_fits};
use crate::pretrain::TrainingData;
use crate::run_config::RunConfig;

/// The validation split's examples are the same for every run of a dataset, whatever the run's seed.
const VALIDATION_SEED: u64 = 0;
/// Tokens that the frequency detectors count: enough for stable bigrams, and a bound on memory.
const BASELINE_TOKENS: u64 = 20_000_000;

/// Opens the dataset in `config.data.dir` and its tokenizer, whose size becomes `config.model.vocab_size` ([`pad_word_table`] for
/// more rows).
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
    let tokens = manifest.train.tokens;
    let unknown = manifest.unknown.as_ref().filter(|unknown| unknown.is_notable());
    Ok(TrainingData {
        vocab_size: tokenizer.vocab_size(),
        is_mostly_unknown: unknown.is_some_and(UnknownTokens::is_refused),
        unknown_warning: unknown.map(|unknown| unknown.explained(&tokenizer)),
        train: batches(&train, config.seed)?,
        validation: batches(&validation, VALIDATION_SEED)?,
        special: tokenizer.special(),
        baseline: Some(frequencies(&train, &tokenizer)),
        tokenizer: folder.join(TOKENIZER_FOLDER),
        corpus: format!(
            "{} ({:.1} MB of text, {tokens} tokens to train on)",
            manifest.sources.join(", "),
            manifest.text_bytes as f64 / 1e6
        ),
        tokenizer_description: describe(&tokenizer),
        fingerprint: format!("{}-{}", tokenizer.sha256(), manifest.crc32c),
    })
}

/// Gives the word table more rows than the tokenizer has entries: those of the network in `init_from`, else `asked`.
///
/// Tables are padded to a multiple of 8 or 64 for some hardware. Rows without a token are closed ([`crate::pretrain::pretrain`]).
///
/// # Errors
/// The network in `init_from` cannot be read.
pub fn pad_word_table(config: &mut RunConfig, asked: Option<usize>, init_from: Option<&Path>) -> Result<()> {
    let rows = match init_from {
        // The discriminator's, or that of an objective's only network.
        Some(folder) => {
            let networks = ["discriminator", "generator"].map(|name| folder.join(name));
            match networks.iter().find(|network| network.join("config.json").is_file()) {
                Some(network) => Some(hugging_face::import_config(network)?.vocab_size),
                // That it is missing is said where it is read.
                None => asked,
            }
        }
        None => asked,
    };
    config.model.vocab_size = config.model.vocab_size.max(rows.unwrap_or(0));
    Ok(())
}

fn describe(tokenizer: &Tokenizer) -> String {
    format!("WordPiece, {} entries, {}", tokenizer.vocab_size(), tokenizer.casing())
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
///
/// # Errors
/// Neither is there; the tokenizer has more entries than the run's network has words.
pub fn tokenizer_folder(config: &RunConfig, run: &Path) -> Result<PathBuf> {
    let candidates = [run.join("discriminator"), run.join("generator"), config.data.dir.join(TOKENIZER_FOLDER)];
    let Some(folder) = candidates.iter().find(|folder| folder.join("tokenizer.json").is_file()) else {
        return Err(Error::invalid(
            &config.data.dir,
            "the run's dataset and its tokenizer are gone",
            "put the dataset back, or build it again from the same text",
        ));
    };
    check_tokenizer_fits(&Tokenizer::load(folder)?, &config.model.discriminator(), folder)?;
    Ok(folder.clone())
}
