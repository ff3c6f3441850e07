//! Batches by number: any step's batch can be asked for at any time, in any order.
//!
//! Examples are numbered through the whole run: example g of step s is g = s * batch_size + row. Epochs follow each other without
//! a gap, so a batch may span two. An epoch's examples are cut anew (its number is part of the seed; with static masks that of
//! the epoch it repeats), shuffled as a whole, and kept in memory for as long as batches ask for it. Epochs differ in length, so the
//! lengths of those before are found (by cutting them) and remembered: resuming at epoch 10 cuts ten times, which is fast.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::batch::{Batch, ExampleKey, push_example};
use crate::error::{DataError, Result};
use crate::masking::MaskingConfig;
use crate::packing::{Corpus, CutKey, CutList, MIN_SEQUENCE, cut_list};
use crate::random::Draws;
use crate::tokenizer::SpecialTokens;

/// Keeps these draws apart from those of other purposes.
const PURPOSE: u64 = 0x006f_7264_6572; // "order"
/// A batch that spans two epochs needs both; threads may still work on the one before.
const EPOCHS_KEPT: usize = 3;

/// Keeps cut lists from run to run, as the dataset folder does. Losing one only costs time.
pub trait CutCache: Send + Sync {
    /// The list stored for `key`, if it is there and whole.
    fn load(&self, key: CutKey) -> Option<CutList>;
    /// Stores a list, if that is worth it and possible.
    fn store(&self, key: CutKey, cuts: &CutList);
}

/// Batches of a corpus as a pure function of the step. Cheap to clone; clones share what is cut.
#[derive(Clone)]
pub struct BatchSource {
    shared: Arc<Shared>,
}

struct Shared {
    corpus: Arc<dyn Corpus>,
    cache: Option<Arc<dyn CutCache>>,
    special: SpecialTokens,
    vocab_size: usize,
    seq: usize,
    batch_size: usize,
    masking: MaskingConfig,
    single_segments: bool,
    seed: u64,
    epochs: Mutex<Epochs>,
}

impl Default for Epochs {
    fn default() -> Self {
        Self { starts: vec![0], recent: VecDeque::new() }
    }
}

struct Epochs {
    /// Number of the first example of each epoch known so far, and of the one after them.
    starts: Vec<u64>,
    recent: VecDeque<(u64, Arc<Epoch>)>,
}

struct Epoch {
    cuts: CutList,
    /// Examples in the order in which they are shown.
    order: Vec<u32>,
}

impl BatchSource {
    /// Batches of `batch_size` examples of at most `seq` tokens; where the masks have random words, these are of `0..vocab_size`.
    ///
    /// # Errors
    /// An empty corpus; a sequence length below [`MIN_SEQUENCE`], a batch size of 0, masking out of range, no vocabulary.
    pub fn new(
        corpus: Arc<dyn Corpus>,
        special: SpecialTokens,
        vocab_size: usize,
        seq: usize,
        batch_size: usize,
        masking: MaskingConfig,
        seed: u64,
    ) -> Result<Self> {
        masking.validate()?;
        if !(MIN_SEQUENCE..=1 << 20).contains(&seq) {
            return Err(DataError::setting(
                "sequence_length",
                seq,
                format!("must be {MIN_SEQUENCE} to 1048576 tokens"),
            ));
        }
        if batch_size == 0 || u32::try_from(batch_size).is_err() {
            return Err(DataError::setting("batch_size", batch_size, "must be at least 1 and below 2^32"));
        }
        if vocab_size == 0 || i32::try_from(vocab_size).is_err() {
            return Err(DataError::setting("vocab_size", vocab_size, "must be at least 1 and below 2^31"));
        }
        if corpus.token_count() == 0 {
            return Err(DataError::TooSmall {
                what: "corpus".into(),
                reason: "it holds no token".into(),
                remedy: "give it text".into(),
            });
        }
        let (cache, single_segments, epochs) = (None, false, Mutex::default());
        let shared =
            Shared { corpus, cache, special, vocab_size, seq, batch_size, masking, single_segments, seed, epochs };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Keeps cut lists in `cache` too.
    pub fn with_cache(self, cache: Arc<dyn CutCache>) -> Self {
        self.with(|shared| shared.cache = Some(cache))
    }

    /// Examples of one segment alone, for networks that know no second (`type_vocab_size` = 1).
    pub fn with_single_segments(self) -> Self {
        self.with(|shared| shared.single_segments = true)
    }

    /// As this one, changed, with nothing cut yet.
    fn with(self, change: impl FnOnce(&mut Shared)) -> Self {
        let Shared { corpus, cache, special, vocab_size, seq, batch_size, masking, single_segments, seed, .. } =
            &*self.shared;
        let mut shared = Shared {
            corpus: corpus.clone(),
            cache: cache.clone(),
            special: *special,
            vocab_size: *vocab_size,
            seq: *seq,
            batch_size: *batch_size,
            masking: masking.clone(),
            single_segments: *single_segments,
            seed: *seed,
            epochs: Mutex::default(),
        };
        change(&mut shared);
        Self { shared: Arc::new(shared) }
    }

    /// The text that batches are cut from.
    pub fn corpus(&self) -> &dyn Corpus {
        &*self.shared.corpus
    }

    /// Examples per batch.
    pub fn batch_size(&self) -> usize {
        self.shared.batch_size
    }

    /// Tokens per row.
    pub fn seq(&self) -> usize {
        self.shared.seq
    }

    /// Chosen positions that a row has room for.
    pub fn max_masked(&self) -> usize {
        self.shared.masking.max_masked(self.shared.seq)
    }

    /// Examples in an epoch.
    pub fn examples_in_epoch(&self, epoch: u64) -> u64 {
        self.shared.epoch(epoch).order.len() as u64
    }

    /// The batch of a step. The same step gives the same batch, whatever was asked before.
    pub fn batch(&self, step: u64) -> Batch {
        let shared = &*self.shared;
        let mut batch = Batch::new(shared.seq, self.max_masked());
        let mut current: Option<(u64, u64, Arc<Epoch>)> = None;
        for row in 0..shared.batch_size as u64 {
            let number = step * shared.batch_size as u64 + row;
            let (epoch, start, examples) = match current.take() {
                Some(known) if number - known.1 < known.2.order.len() as u64 => known,
                _ => shared.epoch_of(number),
            };
            shared.push(&mut batch, &examples, epoch, number - start, row as u32);
            current = Some((epoch, start, examples));
        }
        batch
    }

    /// Examples `first..first + count` of an epoch in the order shown, fewer at its end: for evaluation, each example once.
    pub fn epoch_batch(&self, epoch: u64, first: u64, count: usize) -> Batch {
        let shared = &*self.shared;
        let mut batch = Batch::new(shared.seq, self.max_masked());
        let examples = shared.epoch(epoch);
        let end = (examples.order.len() as u64).min(first.saturating_add(count as u64));
        for place in first..end {
            shared.push(&mut batch, &examples, epoch, place, (place - first) as u32);
        }
        batch
    }

    /// Which epoch the first example of `step` belongs to, and how far through it is, 0..1.
    pub fn position(&self, step: u64) -> (u64, f64) {
        let number = step * self.shared.batch_size as u64;
        let (epoch, start, examples) = self.shared.epoch_of(number);
        (epoch, (number - start) as f64 / examples.order.len() as f64)
    }
}

impl Shared {
    fn push(&self, batch: &mut Batch, examples: &Epoch, epoch: u64, place: u64, number_in_batch: u32) {
        let example = examples.order[place as usize];
        let key = ExampleKey { seed: self.seed, epoch, example: u64::from(example), number_in_batch };
        let runs = examples.cuts.runs(example as usize);
        push_example(batch, &*self.corpus, runs, self.special, self.vocab_size, &self.masking, key);
    }

    /// The epoch that holds example `number`, its first example's number, and its examples.
    fn epoch_of(&self, number: u64) -> (u64, u64, Arc<Epoch>) {
        let mut epochs = self.epochs.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let known = epochs.starts.len() as u64 - 1;
            let end = epochs.starts[known as usize];
            if number < end {
                break;
            }
            let length = match epochs.kept(known) {
                Some(examples) => examples.order.len(),
                None => {
                    let (cuts, is_new) = self.cut(known);
                    let length = cuts.len();
                    // An epoch that is only passed over is neither shuffled nor stored.
                    if number < end + length as u64 {
                        self.keep(&mut epochs, known, cuts, is_new);
                    }
                    length
                }
            };
            epochs.starts.push(end + length as u64);
        }
        let epoch = epochs.starts.partition_point(|&start| start <= number) as u64 - 1;
        let start = epochs.starts[epoch as usize];
        let examples = self.load(&mut epochs, epoch);
        (epoch, start, examples)
    }

    fn epoch(&self, epoch: u64) -> Arc<Epoch> {
        let mut epochs = self.epochs.lock().unwrap_or_else(PoisonError::into_inner);
        self.load(&mut epochs, epoch)
    }

    fn load(&self, epochs: &mut Epochs, epoch: u64) -> Arc<Epoch> {
        if let Some(known) = epochs.kept(epoch) {
            return known;
        }
        let (cuts, is_new) = self.cut(epoch);
        self.keep(epochs, epoch, cuts, is_new)
    }

    fn key(&self, epoch: u64) -> CutKey {
        CutKey {
            seed: self.seed,
            epoch: self.masking.repeated_epoch(epoch),
            seq: self.seq,
            paper_exact: self.masking.paper_exact,
            single_segments: self.single_segments,
        }
    }

    /// The cut list of an epoch, and whether it was made just now.
    fn cut(&self, epoch: u64) -> (CutList, bool) {
        let key = self.key(epoch);
        match self.cache.as_ref().and_then(|cache| cache.load(key)) {
            Some(cuts) => (cuts, false),
            None => (cut_list(&*self.corpus, key), true),
        }
    }

    /// Shuffles an epoch's examples and keeps them, a new list in the cache too.
    fn keep(&self, epochs: &mut Epochs, epoch: u64, cuts: CutList, is_new: bool) -> Arc<Epoch> {
        if let Some(cache) = self.cache.as_ref().filter(|_| is_new) {
            cache.store(self.key(epoch), &cuts);
        }
        assert!(u32::try_from(cuts.len()).is_ok(), "an epoch of 2^32 examples and more");
        let mut order: Vec<u32> = (0..cuts.len() as u32).collect();
        Draws::new(&[PURPOSE, self.seed, epoch]).shuffle(&mut order);
        let examples = Arc::new(Epoch { cuts, order });
        epochs.recent.push_back((epoch, examples.clone()));
        if epochs.recent.len() > EPOCHS_KEPT {
            epochs.recent.pop_front();
        }
        examples
    }
}

impl Epochs {
    fn kept(&self, epoch: u64) -> Option<Arc<Epoch>> {
        self.recent.iter().find(|(number, _)| *number == epoch).map(|(_, examples)| examples.clone())
    }
}
