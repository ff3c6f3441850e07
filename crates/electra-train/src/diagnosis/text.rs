//! A run's text in numbers: how well its vocabulary fits, and whether what is held out stands in the training text too.

use std::collections::HashMap;
use std::path::Path;

use electra_data::{Dataset, Manifest, Split, UnknownTokens, dataset_tokenizer};

use crate::data::fingerprint;
use crate::error::{Error, Result};

/// Lines below this length stand in any two texts ("he said.", a chapter's number).
pub(super) const SHORTEST_LINE: usize = 16;
/// Training text that is looked through: what is left out can only hide a leak, and this is read in seconds.
const MOST_TRAINING_TOKENS: u64 = 200_000_000;
/// Held-out text that is looked for, which bounds memory.
const MOST_HELD_OUT_TOKENS: u64 = 20_000_000;
/// Characters of a line that evidence quotes.
const QUOTED: usize = 70;

/// What is asked of a text.
#[derive(Default)]
pub(super) struct Text {
    /// Tells its tokens from any others.
    pub fingerprint: String,
    pub train_tokens: u64,
    pub held_out_tokens: u64,
    pub text_bytes: u64,
    /// Entries of the vocabulary …
    pub vocab_size: usize,
    /// … and those that occur in the training text that was looked through.
    pub used_entries: usize,
    pub unknown: UnknownTokens,
    /// The same in words, with the cause.
    pub unknown_explained: String,
    /// Of the training text's tokens, in nats: the loss of a network that knows frequencies alone.
    pub unigram_entropy: f64,
    /// Held-out tokens in lines of [`SHORTEST_LINE`] and more, of the text that was looked for …
    pub judged_tokens: u64,
    /// … those of them in lines that stand in the training text as well …
    pub leaked_tokens: u64,
    pub leaked_lines: u64,
    /// … and the longest of these lines.
    pub leaked_example: String,
}

impl Text {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        if folder.as_os_str().is_empty() {
            return Err(Error::invalid(folder, "run.toml names no dataset", "set data.dir there"));
        }
        let manifest = Manifest::load(folder)?;
        let tokenizer = dataset_tokenizer(folder)?;
        let [train, held_out] =
            [Split::Train, Split::Validation].map(|split| Dataset::open(folder, split, tokenizer.sha256()));
        let (train, held_out) = (train?.corpus(), held_out?.corpus());

        // How often each held-out line stands there, and whether it was found.
        let mut lines: HashMap<Vec<i32>, (u64, bool)> = HashMap::new();
        let mut judged_tokens = 0;
        held_out.for_each_line(MOST_HELD_OUT_TOKENS, &mut |line| {
            if line.len() >= SHORTEST_LINE {
                lines.entry(line.to_vec()).or_default().0 += 1;
                judged_tokens += line.len() as u64;
            }
        });
        let mut counts = vec![0u64; tokenizer.vocab_size()];
        let (mut leaked_tokens, mut leaked_lines, mut longest) = (0, 0, Vec::new());
        train.for_each_line(MOST_TRAINING_TOKENS, &mut |line| {
            for &id in line {
                if let Some(count) = counts.get_mut(id as usize) {
                    *count += 1;
                }
            }
            let Some((times, was_found)) = lines.get_mut(line) else { return };
            if !std::mem::replace(was_found, true) {
                leaked_lines += *times;
                leaked_tokens += *times * line.len() as u64;
                if line.len() > longest.len() {
                    longest = line.to_vec();
                }
            }
        });
        let looked_through: u64 = counts.iter().sum();
        let unknown = manifest.unknown.clone().unwrap_or_else(|| UnknownTokens {
            tokens: looked_through,
            unknown: counts[tokenizer.special().unknown as usize],
            words: Vec::new(),
        });
        let share = |count: u64| count as f64 / looked_through.max(1) as f64;
        let ids: Vec<u32> = longest.iter().map(|&id| id as u32).collect();
        Ok(Self {
            fingerprint: fingerprint(&manifest),
            train_tokens: manifest.train.tokens,
            held_out_tokens: manifest.validation.tokens,
            text_bytes: manifest.text_bytes,
            vocab_size: tokenizer.vocab_size(),
            used_entries: counts.iter().filter(|count| **count > 0).count(),
            unknown_explained: unknown.explained(&tokenizer),
            unknown,
            unigram_entropy: counts
                .iter()
                .filter(|count| **count > 0)
                .map(|&count| -share(count) * share(count).ln())
                .sum(),
            judged_tokens,
            leaked_tokens,
            leaked_lines,
            leaked_example: tokenizer.decode(&ids, true).chars().take(QUOTED).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use electra_data::{BuildOptions, TextSource, Tokenizer, TrainOptions, build};

    use super::*;

    /// Documents of lines of their own, of words that are drawn by `seed`.
    fn documents(count: u64, seed: u64) -> Vec<Vec<String>> {
        let mut state = seed;
        let mut word = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ["river", "stone", "cloud", "garden", "winter", "letter", "window", "morning"][(state >> 40) as usize % 8]
        };
        let mut line = || (0..24).map(|_| word()).collect::<Vec<_>>().join(" ");
        (0..count).map(|_| (0..4).map(|_| line()).collect()).collect()
    }

    fn read(documents: Vec<Vec<String>>, vocabulary_of: &[Vec<String>]) -> Text {
        let folder = tempfile::tempdir().unwrap();
        let text = vocabulary_of.iter().flatten().cloned().collect::<Vec<_>>().join("\n");
        let tokenizer = Tokenizer::train_on_text(&text, &TrainOptions { vocab_size: 120, ..TrainOptions::default() })
            .unwrap()
            .tokenizer;
        let source = TextSource::memory("a test's", documents);
        let options = BuildOptions { validation_fraction: 0.1, allow_unknown: true, ..BuildOptions::default() };
        build(&source, &tokenizer, folder.path().join("data"), &options, &mut |_| ControlFlow::Continue(())).unwrap();
        Text::read(&folder.path().join("data")).unwrap()
    }

    #[test]
    fn documents_that_stand_on_both_sides_are_found_and_others_are_not() {
        let own = documents(300, 1);
        let clean = read(own.clone(), &own);
        assert!(
            clean.judged_tokens > 1000 && clean.leaked_tokens == 0,
            "{} of {}",
            clean.leaked_tokens,
            clean.judged_tokens
        );
        let twice: Vec<_> = own.iter().chain(&own).cloned().collect();
        let leaking = read(twice, &own);
        assert!(
            leaking.leaked_tokens * 2 > leaking.judged_tokens,
            "{} of {}",
            leaking.leaked_tokens,
            leaking.judged_tokens
        );
        assert!(
            leaking.leaked_example.contains("river") || leaking.leaked_example.contains("stone"),
            "{}",
            leaking.leaked_example
        );
    }

    #[test]
    fn a_vocabulary_of_other_text_is_seen_and_frequencies_have_their_entropy() {
        let own = documents(300, 1);
        let text = read(own.clone(), &own);
        // Eight words, equally frequent, each one token.
        assert!((text.unigram_entropy - 8f64.ln()).abs() < 0.01, "{}", text.unigram_entropy);
        assert_eq!(text.used_entries, 8);
        assert!(text.unknown.share() == 0.0);
        let other = vec![vec!["абв где жзи клм".repeat(20)]];
        let text = read(own, &other);
        assert!(text.unknown.share() > 0.9, "{:?}", text.unknown);
        assert!(text.unknown_explained.contains("no piece for"), "{}", text.unknown_explained);
    }
}
