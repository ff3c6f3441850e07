//! A corruption of held-out text that no generator decides: one word of an example swapped for another of about its frequency.
//!
//! A discriminator that is judged on its own generator's samples cannot be compared with one that has another generator: the weaker
//! the generator, the easier the task. Here every network reads the same swaps. A word's successor is drawn among its
//! neighbours in frequency, so that how rare a token is tells nothing; it is a whole word in a whole word's place, so
//! that its shape tells nothing either, and only the sense is left: on books (4.7 M tokens, vocabulary of 8,192) a detector of rare
//! tokens has an AUC of .51.
//!
//! An example, which is a packed sequence, has one swap however many sentences it holds. The swap is a hash of the seed and of the
//! example's tokens: the same in whatever batch it stands, on every platform.

use std::cmp::Reverse;

use crate::batch::Batch;
use crate::packing::Corpus;
use crate::random::Draws;
use crate::tokenizer::TokenKind;

/// Keeps these draws apart from those of other purposes.
const PURPOSE: u64 = 0x7377_6170; // "swap"
/// A word of rank r is swapped for one of the ranks r - r / 8 to r + r / 8. Since frequencies fall about as 1 / r, these are as
/// frequent as it is to within an eighth.
const NEARBY: usize = 8;
/// At the top, where an eighth of the rank is nothing: so many ranks to either side.
const NEARBY_AT_TOP: usize = 3;

/// The words of a vocabulary by their frequency, to swap them in batches.
#[derive(Debug, Clone)]
pub struct WordSwaps {
    /// `[vocab]`
    kinds: Vec<TokenKind>,
    /// Ids of the words, the most frequent first.
    words: Vec<u32>,
    /// `[vocab]` place of each id among `words`; None for what is no word, or was never seen as one.
    ranks: Vec<Option<u32>>,
}

/// A batch with a word swapped in each example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swapped {
    /// `[batch, seq]` as [`Batch::original_ids`], with the swapped words.
    pub corrupted_ids: Vec<i32>,
    /// `[batch]` position of the swapped word in its row; None where the example has no word that could be swapped, and is as it was.
    pub positions: Vec<Option<usize>>,
}

impl WordSwaps {
    /// Ranks words by `counts`, `[vocab]`, best those of [`whole_word_counts`]. What was never counted is neither swapped nor put in
    /// a word's place. Where nothing is known of the tokens, let all but the special ones be a [`TokenKind::Word`].
    pub fn new(counts: &[u64], kinds: Vec<TokenKind>) -> Self {
        assert_eq!(counts.len(), kinds.len(), "counts and kinds of one vocabulary");
        let seen = |&id: &u32| kinds[id as usize] == TokenKind::Word && counts[id as usize] > 0;
        let mut words: Vec<u32> = (0..kinds.len() as u32).filter(seen).collect();
        words.sort_by_key(|&id| (Reverse(counts[id as usize]), id));
        let mut ranks = vec![None; kinds.len()];
        for (rank, &id) in words.iter().enumerate() {
            ranks[id as usize] = Some(rank as u32);
        }
        Self { kinds, words, ranks }
    }

    /// Swaps a word in each example of `batch`. Every word that may be swapped is equally likely to be.
    pub fn swap(&self, batch: &Batch, seed: u64) -> Swapped {
        let mut corrupted_ids = batch.original_ids.clone();
        let rows = corrupted_ids.chunks_mut(batch.seq).zip(batch.attention_mask.chunks(batch.seq));
        let positions = rows
            .map(|(ids, mask)| {
                let tokens = mask.iter().take_while(|&&mask| mask != 0).count();
                self.swap_one(&mut ids[..tokens], seed)
            })
            .collect();
        Swapped { corrupted_ids, positions }
    }

    /// Swaps a word of an example without its padding.
    fn swap_one(&self, ids: &mut [i32], seed: u64) -> Option<usize> {
        let whole_words = (0..ids.len()).filter(|&at| is_whole_word(ids, at, &self.kinds));
        let candidates: Vec<(usize, u32)> =
            whole_words.filter_map(|at| Some((at, self.ranks[ids[at] as usize]?))).collect();
        // A word alone in its vocabulary has no other to be swapped for.
        if candidates.is_empty() || self.words.len() == 1 {
            return None;
        }
        let key: Vec<u64> = [PURPOSE, seed].into_iter().chain(ids.iter().map(|&id| id as u64)).collect();
        let mut draws = Draws::new(&key);
        let (at, rank) = candidates[draws.below(candidates.len() as u64) as usize];
        ids[at] = self.draw_near(rank as usize, &mut draws) as i32;
        Some(at)
    }

    /// Another word among those nearest in rank, each equally likely.
    fn draw_near(&self, rank: usize, draws: &mut Draws) -> u32 {
        let reach = NEARBY_AT_TOP.max(rank / NEARBY);
        let width = (2 * reach + 1).min(self.words.len());
        // At either end the window is as wide, and reaches further to the other side.
        let first = rank.saturating_sub(reach).min(self.words.len() - width);
        let drawn = first + draws.below(width as u64 - 1) as usize;
        // The word itself is stepped over.
        self.words[drawn + usize::from(drawn >= rank)]
    }
}

/// How often each id stands as a whole word of one piece among the first `max_tokens` tokens of `corpus`, `[kinds.len()]`.
///
/// Not the tokens' own counts: a piece that mostly begins longer words would be swapped for words that are far more frequent.
pub fn whole_word_counts(corpus: &dyn Corpus, kinds: &[TokenKind], max_tokens: u64) -> Vec<u64> {
    let mut counts = vec![0; kinds.len()];
    corpus.for_each_line(max_tokens, &mut |ids| {
        for at in (0..ids.len()).filter(|&at| is_whole_word(ids, at, kinds)) {
            counts[ids[at] as usize] += 1;
        }
    });
    counts
}

/// Whether the token at `at` is a word, and no piece that continues it follows.
fn is_whole_word(ids: &[i32], at: usize, kinds: &[TokenKind]) -> bool {
    let kind = |at: usize| ids.get(at).and_then(|&id| kinds.get(id as usize));
    kind(at) == Some(&TokenKind::Word) && kind(at + 1) != Some(&TokenKind::Continuation)
}
