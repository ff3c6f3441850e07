//! A dataset folder as a run needs it: batches of both splits, and the frequencies that a detector must beat.

use std::path::{Path, PathBuf};

use electra_data::{Dataset, Manifest, Split, TOKENIZER_FOLDER, Tokenizer, UnknownTokens, dataset_tokenizer};
use sha2::{Digest, Sha256};

use super::{TrainingData, VALIDATION_SEED, describe, frequencies, swaps};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::exchange::hugging_face::{self, check_tokenizer_fits};
use crate::pretraining::probe;

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
    let masking = config.masking();
    let batches = |dataset: &Dataset, seed| {
        let (seq, batch_size) = (config.train.sequence_length, config.train.batch_size);
        let batches = dataset.batches(&tokenizer, seq, batch_size, masking.clone(), seed)?;
        // A network that knows one segment gets no second.
        let is_single = config.model.type_vocab_size == 1;
        Ok::<_, Error>(if is_single { batches.with_single_segments() } else { batches })
    };
    let manifest = train.manifest();
    let unknown = manifest.unknown.as_ref().filter(|unknown| unknown.is_notable());
    Ok(TrainingData {
        vocab_size: tokenizer.vocab_size(),
        is_mostly_unknown: unknown.is_some_and(UnknownTokens::is_refused),
        unknown_warning: unknown.map(|unknown| unknown.explained(&tokenizer)),
        train: batches(&train, config.seed)?,
        validation: batches(&validation, VALIDATION_SEED)?,
        special: tokenizer.special(),
        baseline: Some(frequencies(&*train.corpus(), tokenizer.vocab_size())),
        swaps: Some(swaps(&*train.corpus(), &tokenizer)),
        probe: probe::open(config, &tokenizer)?,
        tokenizer: folder.join(TOKENIZER_FOLDER),
        corpus: manifest.corpus(&folder),
        tokenizer_description: describe(&tokenizer),
        tokenizer_sha256: tokenizer.sha256().to_owned(),
        fingerprint: fingerprint(manifest),
    })
}

/// What tells the tokens of a dataset from any others: the checksums and sizes of its shards, in their order. Names of
/// files are not in it, so that a dataset which was moved, or built again from the same text, is the same.
pub(crate) fn fingerprint(manifest: &Manifest) -> String {
    let mut digest = Sha256::new();
    for split in [Split::Train, Split::Validation] {
        for shard in &manifest.split(split).shards {
            let counts = [shard.bytes, shard.documents, shard.lines, shard.tokens];
            digest.update(format!("{} {:08x} {counts:?}\n", split.name(), shard.crc32c));
        }
    }
    crate::hex(&digest.finalize())
}

/// Gives the word table more rows than the tokenizer has entries: those of the network in `init_from`, else `asked`.
///
/// Tables are padded to a multiple of 8 or 64 for some hardware. Rows without a token are closed ([`crate::pretraining::pretrain`]).
///
/// # Errors
/// The network in `init_from` cannot be read.
pub fn pad_word_table(config: &mut RunConfig, asked: Option<usize>, init_from: Option<&Path>) -> Result<()> {
    let rows = match init_from {
        // The discriminator's, or that of an objective's only network, or of a folder that is a network itself.
        Some(folder) => {
            let networks = ["discriminator", "generator", ""].map(|name| folder.join(name));
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

/// Keeps a copy of the data's tokenizer in the folder of a run, whose networks mean nothing without it.
///
/// # Errors
/// It cannot be read or written.
pub(crate) fn keep_tokenizer(tokenizer: &Path, sha256: &str, run: &Path) -> Result<()> {
    let kept = run.join(TOKENIZER_FOLDER);
    let is_there = Tokenizer::load(&kept).is_ok_and(|kept| kept.sha256() == sha256);
    if !is_there {
        Tokenizer::load(tokenizer)?.save(&kept)?;
    }
    Ok(())
}

/// The folder of a run's tokenizer and what is in it: `given`, or the run's own copy, or the one beside its exported
/// networks, or its dataset's.
///
/// # Errors
/// There is none; it is not the one with `sha256`, which the run was trained with; or it has more entries than the network has words.
pub fn tokenizer_of(
    config: &RunConfig,
    run: &Path,
    given: Option<&Path>,
    sha256: &str,
) -> Result<(PathBuf, Tokenizer)> {
    let own = [
        run.join(TOKENIZER_FOLDER),
        run.join("discriminator"),
        run.join("generator"),
        config.data.dir.join(TOKENIZER_FOLDER),
    ];
    let folder = match given {
        Some(given) => given.to_owned(),
        None => match own.into_iter().find(|folder| folder.join("tokenizer.json").is_file()) {
            Some(folder) => folder,
            None => {
                let problem = "the run has lost its copy of the tokenizer, and its dataset is gone";
                return Err(Error::invalid(run, problem, "name the tokenizer's folder with --tokenizer"));
            }
        },
    };
    let tokenizer = Tokenizer::load(&folder)?;
    if tokenizer.sha256() != sha256 {
        let problem = "this is not the tokenizer that the run was trained with";
        return Err(Error::invalid(&folder, problem, "name the one that its dataset was built with, with --tokenizer"));
    }
    check_tokenizer_fits(&tokenizer, &config.model.discriminator(), &folder)?;
    Ok((folder, tokenizer))
}
