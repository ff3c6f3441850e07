//! Trains a WordPiece vocabulary on a corpus of files: their words are counted in one parallel pass.

use super::Tokenizer;
use super::rules::TextRules;
use super::train::{Counted, TrainOptions, Trained, WordCounter};
use crate::error::Result;
use crate::input::TextSource;
use crate::pipeline::{LineBlock, OnProgress, Progress, Stage, for_each_block, report, worker_count};

impl Tokenizer {
    /// [`Tokenizer::train_with_report`] without its report.
    ///
    /// # Errors
    /// The same.
    pub fn train(source: &TextSource, options: &TrainOptions, on_progress: &mut OnProgress) -> Result<Self> {
        Ok(Self::train_with_report(source, options, on_progress)?.tokenizer)
    }

    /// Trains BERT's kind of tokenizer. Equal text gives an equal vocabulary, whatever the number of jobs.
    ///
    /// Memory grows with the number of distinct words, not with the corpus.
    ///
    /// # Errors
    /// Those of reading; a corpus without words; a `vocab_size` too small for the characters found.
    pub fn train_with_report(
        source: &TextSource,
        options: &TrainOptions,
        on_progress: &mut OnProgress,
    ) -> Result<Trained> {
        let careful = TextRules::careful(options.lowercase, options.strip_accents);
        let (counted, progress) = count_words(source, &careful, options, on_progress)?;
        report(on_progress, &Progress { stage: Stage::Merging, ..progress })?;
        Self::train_on_counts(careful, counted, &source.names().join(", "), options)
    }
}

impl Counted {
    /// Adds what was counted elsewhere.
    fn merge(&mut self, other: Self) {
        for (word, count) in other.words {
            *self.words.entry(word).or_default() += count;
        }
        self.too_long.count += other.too_long.count;
        self.too_long.words.merge(&other.too_long.words);
    }
}

fn count_words(
    source: &TextSource,
    rules: &TextRules,
    options: &TrainOptions,
    on_progress: &mut OnProgress,
) -> Result<(Counted, Progress)> {
    let mut all = Counted::default();
    let mut progress = Progress { input_total_bytes: source.input_bytes(), ..Progress::default() };
    let make_worker = || {
        let mut counter = WordCounter::new(rules);
        move |block: LineBlock| {
            block.lines().for_each(|line| counter.count(line));
            let counted = std::mem::take(&mut counter.counted);
            (counted, block.lines().count() as u64, block.document_ends.len() as u64, block.text_bytes())
        }
    };
    for_each_block(
        source,
        worker_count(options.jobs),
        make_worker,
        |(counted, lines, documents, text_bytes), input_bytes| {
            all.merge(counted);
            progress.lines += lines;
            progress.documents += documents;
            progress.text_bytes += text_bytes;
            progress.input_bytes = input_bytes;
            report(on_progress, &progress)
        },
    )?;
    Ok((all, progress))
}
