//! A text in memory as a run needs it: for a page, where there are no folders.

use std::path::PathBuf;
use std::sync::Arc;

use electra_data::{BatchSource, CorpusRecord, MemoryCorpus, TextInMemory, Tokenizer, UnknownTokens};

use super::{TrainingData, VALIDATION_SEED, describe, frequencies, swaps};
use crate::config::RunConfig;
use crate::error::Result;

/// Share of the text that is held out, and the seed that decides where: as `data build` does where nobody asks for others.
const VALIDATION_FRACTION: f64 = 0.02;
const SPLIT_SEED: u64 = 0;

/// What a run learns from `text`, called `name`, in the tokens of `tokenizer`, whose size becomes `config.model.vocab_size`.
///
/// # Errors
/// There is too little text, or what `config` asks of it cannot be had.
pub fn in_memory(config: &mut RunConfig, tokenizer: &Tokenizer, name: &str, text: &str) -> Result<TrainingData> {
    config.model.vocab_size = tokenizer.vocab_size();
    let text = TextInMemory::new(text, tokenizer, VALIDATION_FRACTION, SPLIT_SEED)?;
    let train = Arc::new(text.train);
    let baseline = Some(frequencies(&*train, tokenizer.vocab_size()));
    let swaps = Some(swaps(&*train, tokenizer));
    let corpus = CorpusRecord {
        name: name.to_owned(),
        text_bytes: text.text_bytes,
        tokens: text.unknown.tokens,
        tokens_sha256: Some(text.tokens_sha256.clone()),
    };
    let batches = |corpus: Arc<MemoryCorpus>, seed| {
        let (seq, batch_size) = (config.train.sequence_length, config.train.batch_size);
        let (special, words) = (tokenizer.special(), tokenizer.vocab_size());
        let batches = BatchSource::new(corpus, special, words, seq, batch_size, config.masking(), seed)?;
        // A network that knows one segment gets no second.
        let is_single = config.model.type_vocab_size == 1;
        Ok::<_, electra_data::DataError>(if is_single { batches.with_single_segments() } else { batches })
    };
    let unknown = Some(&text.unknown).filter(|unknown| unknown.is_notable());
    Ok(TrainingData {
        vocab_size: tokenizer.vocab_size(),
        is_mostly_unknown: unknown.is_some_and(UnknownTokens::is_refused),
        unknown_warning: unknown.map(|unknown| unknown.explained(tokenizer)),
        train: batches(train, config.seed)?,
        validation: batches(Arc::new(text.validation), VALIDATION_SEED)?,
        special: tokenizer.special(),
        baseline,
        swaps,
        probe: None,
        tokenizer: PathBuf::new(),
        corpus,
        tokenizer_description: describe(tokenizer),
        tokenizer_sha256: tokenizer.sha256().to_owned(),
        // What is held out follows from the tokens.
        fingerprint: text.tokens_sha256,
    })
}
