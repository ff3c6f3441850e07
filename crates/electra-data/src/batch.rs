//! Lays examples out as the fixed-shape arrays that the networks take.

use std::ops::Range;

use crate::masking::{Masked, MaskingConfig, choose_masked};
use crate::packing::{Corpus, Run};
use crate::tokenizer::SpecialTokens;

/// A batch on the host; all arrays row-major, of fixed shape, rows padded with [PAD].
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Rows.
    pub batch: usize,
    /// Tokens in a row.
    pub seq: usize,
    /// Chosen positions that a row has room for.
    pub max_masked: usize,
    /// `[batch]` number of each example in the global batch.
    pub example_numbers: Vec<u32>,
    /// `[batch, seq]` ids of the text: [CLS] A [SEP] B [SEP].
    pub original_ids: Vec<i32>,
    /// `[batch, seq]` ids that the generator sees: [MASK], and random words where the policy has them, at chosen positions.
    pub masked_ids: Vec<i32>,
    /// `[batch, seq]` 1 for segment B and its [SEP], else 0.
    pub token_type_ids: Vec<i32>,
    /// `[batch, seq]` 1 = token, 0 = padding.
    pub attention_mask: Vec<u8>,
    /// `[batch, max_masked]` chosen positions, ascending; unused slots hold 0.
    pub masked_positions: Vec<i32>,
    /// `[batch, max_masked]` original ids at the chosen positions; unused slots hold 0.
    pub masked_original_ids: Vec<i32>,
    /// `[batch, max_masked]` 1 for a used slot, else 0.
    pub mask_weights: Vec<f32>,
}

impl Batch {
    /// A batch without rows, to which [`Batch::push`] adds.
    pub fn new(seq: usize, max_masked: usize) -> Self {
        Self {
            batch: 0,
            seq,
            max_masked,
            example_numbers: Vec::new(),
            original_ids: Vec::new(),
            masked_ids: Vec::new(),
            token_type_ids: Vec::new(),
            attention_mask: Vec::new(),
            masked_positions: Vec::new(),
            masked_original_ids: Vec::new(),
            mask_weights: Vec::new(),
        }
    }

    /// Adds a row: `ids` (with [CLS] and [SEP], at most `seq`), the first token of segment B or `ids.len()`, the mask.
    pub fn push(
        &mut self,
        ids: &[i32],
        start_of_b: usize,
        masked: &Masked,
        special: SpecialTokens,
        example_number: u32,
    ) {
        assert!(ids.len() <= self.seq, "a row of {} tokens in a batch with seq = {}", ids.len(), self.seq);
        let count = masked.positions.len();
        assert!(count <= self.max_masked, "{count} positions in a batch with max_masked = {}", self.max_masked);
        let padding = self.seq - ids.len();
        let row = self.batch * self.seq;
        self.original_ids.extend_from_slice(ids);
        self.original_ids.extend(std::iter::repeat_n(special.pad as i32, padding));
        self.masked_ids.extend_from_slice(&self.original_ids[row..]);
        self.token_type_ids.extend((0..self.seq).map(|at| i32::from(at >= start_of_b && at < ids.len())));
        self.attention_mask.extend((0..self.seq).map(|at| u8::from(at < ids.len())));
        for (&position, &id) in masked.positions.iter().zip(&masked.ids) {
            self.masked_positions.push(position as i32);
            self.masked_original_ids.push(ids[position]);
            self.mask_weights.push(1.0);
            // Where a position stands twice, keeping the token there does not undo another draw.
            if id != ids[position] {
                self.masked_ids[row + position] = id;
            }
        }
        let slots = (self.batch + 1) * self.max_masked;
        self.masked_positions.resize(slots, 0);
        self.masked_original_ids.resize(slots, 0);
        self.mask_weights.resize(slots, 0.0);
        self.example_numbers.push(example_number);
        self.batch += 1;
    }

    /// Rows `rows` as a batch of their own, which keeps their numbers in the global batch.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        assert!(rows.start <= rows.end && rows.end <= self.batch, "rows {rows:?} of a batch of {}", self.batch);
        let tokens = rows.start * self.seq..rows.end * self.seq;
        let slots = rows.start * self.max_masked..rows.end * self.max_masked;
        Self {
            batch: rows.len(),
            seq: self.seq,
            max_masked: self.max_masked,
            example_numbers: self.example_numbers[rows].to_vec(),
            original_ids: self.original_ids[tokens.clone()].to_vec(),
            masked_ids: self.masked_ids[tokens.clone()].to_vec(),
            token_type_ids: self.token_type_ids[tokens.clone()].to_vec(),
            attention_mask: self.attention_mask[tokens].to_vec(),
            masked_positions: self.masked_positions[slots.clone()].to_vec(),
            masked_original_ids: self.masked_original_ids[slots.clone()].to_vec(),
            mask_weights: self.mask_weights[slots].to_vec(),
        }
    }

    /// Used slots: the MLM loss's count.
    pub fn masked_count(&self) -> usize {
        self.mask_weights.iter().filter(|&&weight| weight != 0.0).count()
    }

    /// Tokens that are not padding: the RTD loss's count.
    pub fn token_count(&self) -> usize {
        self.attention_mask.iter().filter(|&&mask| mask != 0).count()
    }
}

/// Which example of which epoch, for the mask, and its place in the global batch.
#[derive(Debug, Clone, Copy)]
pub struct ExampleKey {
    /// The source's.
    pub seed: u64,
    /// From 0.
    pub epoch: u64,
    /// Its number in the epoch's cut list, from 0.
    pub example: u64,
    /// Its row in the global batch.
    pub number_in_batch: u32,
}

/// Adds the example that `runs` describe, masked, as a row of `batch`; random words are drawn from `0..vocab_size`.
pub fn push_example(
    batch: &mut Batch,
    corpus: &dyn Corpus,
    runs: &[Run],
    special: SpecialTokens,
    vocab_size: usize,
    masking: &MaskingConfig,
    key: ExampleKey,
) {
    let mut ids = Vec::with_capacity(batch.seq);
    ids.push(special.cls as i32);
    let add = |is_b: bool, ids: &mut Vec<i32>| {
        for run in runs.iter().filter(|run| run.is_b() == is_b) {
            corpus.append_tokens(run.start(), run.length(), ids);
        }
    };
    add(false, &mut ids);
    ids.push(special.sep as i32);
    let start_of_b = ids.len();
    add(true, &mut ids);
    if ids.len() > start_of_b {
        ids.push(special.sep as i32);
    }
    let key_of_mask = (key.seed, key.epoch, key.example);
    let masked = choose_masked(&ids, special, vocab_size, masking, batch.max_masked, key_of_mask);
    batch.push(&ids, start_of_b, &masked, special, key.number_in_batch);
}
