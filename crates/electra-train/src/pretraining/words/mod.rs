//! What a run counts and learns of the words of its text before its networks learn anything.

mod context_detector;
mod similar;

use std::cmp::Reverse;

use electra_data::{BatchSource, SpecialTokens};
use electra_kernels::noise::NoiseKey;
use electra_model::context_detector::{ContextDetector, ContextShape};
use electra_model::objective::SimilarWords;

pub(crate) use self::context_detector::ContextLesson;
use self::similar::similar_words;

/// Tokens that are read: what more text would tell of a word is little, and this bounds memory (four bytes a token).
const MOST_TOKENS: u64 = 100_000_000;

/// The most frequent entries, half of all text, are what others are told apart by. Hardly anybody can tell which of them stood in a
/// place, so that they are neither replaced by similar ones nor asked about.
pub(super) const LITTLE_WORDS: usize = 256;

/// The training text as a row of words, and which of them are similar.
pub(crate) struct Words {
    ids: Vec<u32>,
    /// `[vocab]`
    counts: Vec<u64>,
    similar: SimilarWords,
}

impl Words {
    /// Of the text of `source`, whose vocabulary has `vocab_size` entries.
    pub(crate) fn of(source: &BatchSource, vocab_size: usize, special: SpecialTokens) -> Self {
        let mut ids = Vec::new();
        source.corpus().for_each_line(MOST_TOKENS, &mut |line| ids.extend(line.iter().map(|&id| id as u32)));
        ids.retain(|id| (*id as usize) < vocab_size);
        let mut counts = vec![0; vocab_size];
        ids.iter().for_each(|id| counts[*id as usize] += 1);
        let never = [special.pad, special.unknown, special.cls, special.sep, special.mask];
        let mut by_frequency: Vec<u32> =
            (0..vocab_size as u32).filter(|id| counts[*id as usize] > 0 && !never.contains(id)).collect();
        by_frequency.sort_by_key(|id| (Reverse(counts[*id as usize]), *id));
        let similar = similar_words(&ids, &counts, &by_frequency);
        Self { ids, counts, similar }
    }

    /// Tokens that were read.
    pub(crate) fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// How often each entry was seen, `[vocab]`.
    pub(crate) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Which are similar.
    pub(crate) fn into_similar(self) -> SimilarWords {
        self.similar
    }

    /// A detector that has read all of the text, and what it has learnt.
    pub(crate) fn context_detector(&self, shape: ContextShape, key: NoiseKey) -> (ContextDetector, ContextLesson) {
        context_detector::learn(&self.ids, &self.similar, self.counts.len(), shape, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text of two subjects: a noun or two of one, and a verb of the same, between little words.
    pub(super) fn two_subjects(sentences: u64) -> Vec<u32> {
        let key = NoiseKey::new(9);
        let word = |sentence: u64, place: u64| {
            let subject = (key.uniform_f64(sentence, 0) * 2.0) as u32;
            300 + subject * 100 + (key.uniform_f64(sentence, 1 + place) * 100.0) as u32
        };
        let of_sentence = |sentence: u64| {
            let little = |place: u64| (key.uniform_f64(sentence, 100 + place) * 280.0) as u32;
            (0..6).flat_map(move |place| [little(place), word(sentence, place)]).collect::<Vec<_>>()
        };
        (0..sentences).flat_map(of_sentence).collect()
    }

    pub(super) fn words(ids: Vec<u32>, vocab: usize) -> Words {
        let mut counts = vec![0; vocab];
        ids.iter().for_each(|id| counts[*id as usize] += 1);
        let mut by_frequency: Vec<u32> = (0..vocab as u32).filter(|id| counts[*id as usize] > 0).collect();
        // Little words first, however often the others stand.
        by_frequency.sort_by_key(|id| (*id >= 280, Reverse(counts[*id as usize]), *id));
        Words { similar: similar_words(&ids, &counts, &by_frequency), counts, ids }
    }
}
