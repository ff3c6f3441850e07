use std::collections::HashMap;
use std::sync::Arc;

use electra_data::{Batch, BatchSource, Corpus, CutKey, CutList, MaskingConfig, MemoryCorpus, Prefetcher, cut_list};
use proptest::prelude::*;

use crate::support::SPECIAL;

/// Above all ids of these tests. What random words are drawn from, and here there are none.
const VOCAB: usize = 1 << 20;

/// Documents of lines whose tokens are numbered through the corpus, so that each is recognised.
fn numbered(line_lengths: &[Vec<usize>]) -> Vec<Vec<Vec<u32>>> {
    let mut next = 5;
    let mut line = |length: usize| {
        next += length as u32;
        (next - length as u32..next).collect()
    };
    line_lengths.iter().map(|document| document.iter().map(|&length| line(length)).collect()).collect()
}

fn corpus_of(documents: &[Vec<Vec<u32>>]) -> MemoryCorpus {
    MemoryCorpus::new(documents.iter().map(Vec::as_slice))
}

/// The cuts of two segments, as networks mostly have them.
fn pairs(seq: usize, paper_exact: bool, seed: u64, epoch: u64) -> CutKey {
    CutKey { seed, epoch, seq, paper_exact, single_segments: false }
}

fn documents() -> impl Strategy<Value = Vec<Vec<usize>>> {
    let line = prop_oneof![5 => 1usize..30, 1 => 30usize..300];
    prop::collection::vec(prop::collection::vec(line, 1..20), 1..12)
}

fn tokens_of(cuts: &CutList) -> Vec<u64> {
    (0..cuts.len())
        .flat_map(|i| cuts.runs(i).to_vec())
        .flat_map(|run| run.start()..run.start() + run.length() as u64)
        .collect()
}

/// Document of each token.
fn owners(line_lengths: &[Vec<usize>]) -> Vec<usize> {
    let sizes = line_lengths.iter().map(|document| document.iter().sum());
    sizes.enumerate().flat_map(|(number, size): (usize, usize)| std::iter::repeat_n(number, size)).collect()
}

proptest! {
    #[test]
    fn every_token_stands_in_exactly_one_example(
        lengths in documents(), seq in 5usize..140, seed: u64, epoch in 0u64..5, single: bool
    ) {
        let corpus = corpus_of(&numbered(&lengths));
        let cuts = cut_list(&corpus, CutKey { single_segments: single, ..pairs(seq, false, seed, epoch) });
        // In order and without a gap: once each.
        prop_assert!(tokens_of(&cuts).into_iter().eq(0..corpus.token_count()));
        let owners = owners(&lengths);
        for i in 0..cuts.len() {
            let runs = cuts.runs(i);
            let specials = if runs.iter().any(|run| run.is_b()) { 3 } else { 2 };
            let length: usize = runs.iter().map(|run| run.length()).sum();
            prop_assert!(length >= 1 && length + specials <= seq);
            let most = if single { 1 } else { 2 };
            prop_assert!(!runs[0].is_b() && runs.len() <= most);
            let last = runs.last().expect("a run");
            prop_assert_eq!(owners[runs[0].start() as usize], owners[last.start() as usize + last.length() - 1]);
        }
    }

    #[test]
    fn paper_exact_repeats_nothing_and_keeps_the_order(
        lengths in documents(), seq in 5usize..140, seed: u64, single: bool
    ) {
        let corpus = corpus_of(&numbered(&lengths));
        let cuts = cut_list(&corpus, CutKey { single_segments: single, ..pairs(seq, true, seed, 0) });
        let mut tokens = tokens_of(&cuts);
        tokens.sort_unstable();
        prop_assert!(tokens.windows(2).all(|pair| pair[0] < pair[1]));
        // Lines start in order, and only what a full example had no room for is missing.
        for i in 0..cuts.len() {
            let runs = cuts.runs(i);
            let length: usize = runs.iter().map(|run| run.length()).sum();
            let specials = if runs.iter().any(|run| run.is_b()) { 3 } else { 2 };
            prop_assert!(length + specials <= seq);
            prop_assert!(!runs[0].is_b() && (!single || runs.len() == 1));
            for is_b in [false, true] {
                let starts: Vec<u64> = runs.iter().filter(|run| run.is_b() == is_b).map(|run| run.start()).collect();
                prop_assert!(starts.windows(2).all(|pair| pair[0] < pair[1]));
            }
            let next = if i + 1 < cuts.len() { cuts.runs(i + 1)[0].start() } else { corpus.token_count() };
            let gathered = next - runs[0].start();
            if gathered as usize > length {
                prop_assert!(length + 3 >= seq, "dropped from an example that was not full");
            }
        }
    }

    #[test]
    fn text_added_behind_changes_no_example_before(lengths in documents(), seq in 5usize..140, seed: u64, exact: bool) {
        let all = numbered(&lengths);
        let cuts = cut_list(&corpus_of(&all), pairs(seq, exact, seed, 1));
        for kept in 0..all.len() {
            let fewer = cut_list(&corpus_of(&all[..kept]), pairs(seq, exact, seed, 1));
            prop_assert!((0..fewer.len()).all(|i| fewer.runs(i) == cuts.runs(i)));
        }
    }

    #[test]
    fn an_epoch_shows_every_example_once(lengths in documents(), batch_size in 1usize..9, seed: u64) {
        let corpus = Arc::new(corpus_of(&numbered(&lengths)));
        let source = BatchSource::new(corpus.clone(), SPECIAL, VOCAB, 32, batch_size, MaskingConfig::default(), seed).expect("valid");
        let (first, second) = (source.examples_in_epoch(0), source.examples_in_epoch(1));
        // Rows of the batches that hold the first two epochs, in order.
        let steps = (first + second).div_ceil(batch_size as u64);
        let rows: Vec<Vec<i32>> = (0..steps).flat_map(|step| rows_of(&source.batch(step))).collect();
        for (epoch, range) in [(0, 0..first), (1, first..first + second)] {
            let mut shown: Vec<i32> = rows[range.start as usize..range.end as usize].concat();
            let tokens = corpus.token_count() as usize;
            shown.retain(|&id| id >= 5);
            shown.sort_unstable();
            prop_assert!(shown.into_iter().eq(5..5 + tokens as i32), "epoch {}", epoch);
        }
        // Any order of asking gives the same batches, from a source that has seen nothing.
        let fresh = BatchSource::new(corpus, SPECIAL, VOCAB, 32, batch_size, MaskingConfig::default(), seed).expect("valid");
        for step in (0..steps).rev() {
            prop_assert_eq!(fresh.batch(step), source.batch(step));
        }
    }
}

/// Each row's original ids without padding.
fn rows_of(batch: &Batch) -> Vec<Vec<i32>> {
    (0..batch.batch)
        .map(|row| {
            let at = row * batch.seq..(row + 1) * batch.seq;
            let (ids, mask) = (&batch.original_ids[at.clone()], &batch.attention_mask[at]);
            ids.iter().zip(mask).filter(|(_, mask)| **mask == 1).map(|(&id, _)| id).collect()
        })
        .collect()
}

fn some_corpus() -> Arc<MemoryCorpus> {
    let lengths: Vec<Vec<usize>> =
        (0..60).map(|document| (0..30).map(|line| 1 + (document * 7 + line * 11) % 60).collect()).collect();
    Arc::new(corpus_of(&numbered(&lengths)))
}

#[test]
fn a_source_of_single_segments_has_no_second_one_and_every_token() {
    let corpus = Arc::new(corpus_of(&numbered(&[vec![4; 300], vec![50; 20]])));
    for exact in [false, true] {
        let masking = MaskingConfig { paper_exact: exact, ..MaskingConfig::default() };
        let source = BatchSource::new(corpus.clone(), SPECIAL, VOCAB, 32, 8, masking, 1).expect("good settings");
        assert!(source.batch(0).token_type_ids.contains(&1), "two segments unless asked otherwise");
        let source = source.with_single_segments();
        for step in 0..20 {
            let batch = source.batch(step);
            assert!(batch.token_type_ids.iter().all(|&id| id == 0));
            for row in batch.original_ids.chunks(32) {
                assert_eq!(row.iter().filter(|&&id| id == SPECIAL.sep as i32).count(), 1, "{row:?}");
            }
        }
    }
}

#[test]
fn cuts_have_the_references_proportions() {
    // One long document of short lines: nothing but the rules decides.
    let corpus = corpus_of(&numbered(&[vec![4; 200_000]]));
    let seq = 128;
    let cuts = cut_list(&corpus, pairs(seq, false, 3, 0));
    let mut by_kind: HashMap<&str, usize> = HashMap::new();
    for i in 0..cuts.len() - 1 {
        let runs = cuts.runs(i);
        let length = runs.iter().map(|run| run.length()).sum::<usize>() + 1 + runs.len();
        *by_kind.entry(if runs.len() == 1 { "single" } else { "pair" }).or_default() += 1;
        *by_kind.entry(if length == seq { "full" } else { "short" }).or_default() += 1;
        if runs.len() == 2 && length == seq {
            // The line that crosses the middle (62) goes to either side.
            let crossing = runs[0].length().abs_diff(62);
            assert!(crossing <= 4, "{}", runs[0].length());
        }
    }
    let share = |kind| by_kind[kind] as f64 / (cuts.len() - 1) as f64;
    // 6,500 examples: standard deviations .0037 and .0027; a short pair may also become single.
    assert!((share("single") - 0.1).abs() < 0.02, "{by_kind:?}");
    assert!((share("short") - 0.05).abs() < 0.015, "{by_kind:?}");
}

#[test]
fn a_batch_has_the_layout_of_the_network() {
    let corpus = some_corpus();
    let source = BatchSource::new(corpus, SPECIAL, VOCAB, 48, 16, MaskingConfig::default(), 9).expect("valid");
    let batch = source.batch(3);
    assert_eq!(batch.example_numbers, (0..16).collect::<Vec<u32>>());
    for row in 0..16 {
        let one = batch.slice(row..row + 1);
        let length = one.token_count();
        assert_eq!(one.example_numbers, [row as u32]);
        assert!(
            one.attention_mask[..length].iter().all(|&mask| mask == 1)
                && one.original_ids[length..].iter().all(|&id| id == 0)
        );
        assert_eq!((one.original_ids[0], one.original_ids[length - 1]), (2, 3));
        let separators: Vec<usize> = (0..length).filter(|&at| one.original_ids[at] == 3).collect();
        let end_of_a = separators[0];
        assert!(separators.len() <= 2);
        for at in 0..48 {
            assert_eq!(one.token_type_ids[at], i32::from(at > end_of_a && at < length));
        }
        let chosen = one.masked_count();
        assert_eq!(chosen, MaskingConfig::default().masked_count(length, one.max_masked));
        for slot in 0..one.max_masked {
            let position = one.masked_positions[slot] as usize;
            if slot < chosen {
                assert_eq!(one.masked_original_ids[slot], one.original_ids[position]);
                assert!([4, one.original_ids[position]].contains(&one.masked_ids[position]));
            } else {
                assert_eq!((position, one.masked_original_ids[slot], one.mask_weights[slot]), (0, 0, 0.0));
            }
        }
        let chosen: Vec<i32> = one.masked_positions[..chosen].to_vec();
        for at in 0..48 {
            if !chosen.contains(&(at as i32)) {
                assert_eq!(one.masked_ids[at], one.original_ids[at]);
            }
        }
    }
    assert_eq!(batch.masked_count(), (0..16).map(|row| batch.slice(row..row + 1).masked_count()).sum::<usize>());
}

#[test]
fn prefetched_batches_are_the_same_in_order() {
    let source = BatchSource::new(some_corpus(), SPECIAL, VOCAB, 32, 8, MaskingConfig::default(), 5).expect("valid");
    for threads in [1, 2, 3] {
        for first_step in [0, 1, 5, 7] {
            let mut ahead = Prefetcher::new(source.clone(), first_step, threads);
            for step in first_step..first_step + 40 {
                assert_eq!(ahead.next_step(), step);
                assert!(ahead.next_batch() == source.batch(step), "step {step}, {threads} threads");
            }
        }
    }
}

#[test]
fn epochs_differ_and_seeds_differ() {
    let of =
        |seed| BatchSource::new(some_corpus(), SPECIAL, VOCAB, 32, 8, MaskingConfig::default(), seed).expect("valid");
    assert_ne!(of(1).batch(0), of(2).batch(0));
    let source = of(1);
    assert_ne!(source.epoch_batch(0, 0, 8).original_ids, source.epoch_batch(1, 0, 8).original_ids);
    assert_eq!(source.batch(0), source.epoch_batch(0, 0, 8));
    let examples = source.examples_in_epoch(0);
    assert_eq!(source.epoch_batch(0, examples - 3, 8).batch, 3);
    assert_eq!(source.epoch_batch(0, examples, 8).batch, 0);
    assert_eq!(source.position(0), (0, 0.0));
    assert_eq!(source.position(examples.div_ceil(8)).0, 1);
}

#[test]
fn settings_out_of_range_are_refused() {
    let make = |seq, batch, probability| {
        let masking = MaskingConfig { probability, ..MaskingConfig::default() };
        BatchSource::new(some_corpus(), SPECIAL, VOCAB, seq, batch, masking, 1).err().map(|error| error.to_string())
    };
    assert_eq!(make(5, 1, 0.15), None);
    assert!(make(4, 1, 0.15).is_some_and(|message| message.contains("sequence_length = 4")));
    assert!(make(8, 0, 0.15).is_some_and(|message| message.contains("batch_size = 0")));
    assert!(make(8, 1, 0.0).is_some_and(|message| message.contains("masking probability = 0")));
    assert!(make(8, 1, f64::NAN).is_some());
    let none = BatchSource::new(some_corpus(), SPECIAL, 0, 8, 1, MaskingConfig::default(), 1);
    assert!(none.is_err_and(|error| error.to_string().contains("vocab_size = 0")));
    let empty = BatchSource::new(Arc::new(MemoryCorpus::new([])), SPECIAL, VOCAB, 8, 1, MaskingConfig::default(), 1);
    assert!(empty.is_err_and(|error| error.to_string().contains("no token")));
}

#[test]
fn batches_are_pinned() {
    // Other numbers here mean that every run in progress would see other batches: that needs a new format version.
    let source = BatchSource::new(some_corpus(), SPECIAL, VOCAB, 16, 2, MaskingConfig::default(), 42).expect("valid");
    let batch = source.batch(5);
    assert_eq!(batch.original_ids, ORIGINAL_IDS);
    assert_eq!(batch.masked_positions, [2, 9, 7, 10]);
    assert_eq!(batch.masked_ids.iter().filter(|&&id| id == SPECIAL.mask as i32).count(), 3);
    assert_eq!([source.examples_in_epoch(0), source.examples_in_epoch(1)], [4109, 4097]);
}

#[rustfmt::skip]
const ORIGINAL_IDS: [i32; 32] = [
    2, 43407, 43408, 43409, 43410, 43411, 43412, 43413, 43414, 43415, 43416, 43417, 43418, 43419, 43420, 3,
    2, 23190, 23191, 23192, 23193, 23194, 23195, 23196, 23197, 3, 23198, 23199, 23200, 23201, 23202, 3,
];
