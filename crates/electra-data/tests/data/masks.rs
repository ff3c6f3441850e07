use std::sync::Arc;

use electra_data::random::mix;
use electra_data::{BatchSource, Masked, MaskingConfig, MemoryCorpus, Replacement, choose_masked};
use proptest::prelude::*;

use crate::support::{SPECIAL, json};

const VOCAB: usize = 1000;

/// An example of `tokens` tokens, [CLS] and [SEP] counted, all of them different.
fn example(tokens: usize) -> Vec<i32> {
    std::iter::once(2).chain((5..).take(tokens - 2)).chain([3]).collect()
}

fn bert() -> MaskingConfig {
    MaskingConfig { replacement: Replacement::BERT, ..MaskingConfig::default() }
}

/// Positions at which [MASK] stands.
fn hidden(masked: &Masked) -> Vec<usize> {
    let shown = masked.positions.iter().zip(&masked.ids);
    shown.filter(|&(_, &id)| id == SPECIAL.mask as i32).map(|(&position, _)| position).collect()
}

proptest! {
    #[test]
    fn masks_hit_candidates_only(
        ids in prop::collection::vec(0i32..12, 0..128), probability in 0.01f64..0.9, exact: bool, key: (u64, u64, u64)
    ) {
        let config = MaskingConfig { probability, paper_exact: exact, ..MaskingConfig::default() };
        let max_masked = config.max_masked(128);
        let masked = choose_masked(&ids, SPECIAL, VOCAB, &config, max_masked, key);
        prop_assert_eq!(masked.positions.len(), masked.ids.len());
        let candidates = ids.iter().filter(|id| ![2, 3, 4].contains(*id)).count();
        let wanted = config.masked_count(ids.len(), max_masked);
        let expected = if candidates == 0 { 0 } else if exact { wanted } else { wanted.min(candidates) };
        prop_assert_eq!(masked.positions.len(), expected);
        for &position in &masked.positions {
            prop_assert!(![2, 3, 4].contains(&ids[position]));
        }
        prop_assert!(masked.positions.windows(2).all(|pair| pair[0] < pair[1] || (exact && pair[0] == pair[1])));
        prop_assert_eq!(&masked, &choose_masked(&ids, SPECIAL, VOCAB, &config, max_masked, key));
    }
}

#[test]
fn masked_counts_equal_the_references() {
    let schedules = json("schedules.json");
    let settings = schedules["mask_counts"].as_object().expect("an object");
    assert_eq!(settings.len(), 4);
    for (name, expected) in settings {
        let number = |key: &str| -> f64 {
            let value = name.split(' ').find_map(|part| part.strip_prefix(key)).expect("named");
            value.trim_start_matches('=').parse().expect("a number")
        };
        let config = MaskingConfig { probability: number("mask_prob"), ..MaskingConfig::default() };
        let max_masked = config.max_masked(number("max_seq") as usize);
        assert_eq!(max_masked as u64, expected["max_predictions"].as_u64().expect("a count"), "{name}");
        for (tokens, count) in expected["num_to_predict"].as_object().expect("an object") {
            let tokens: usize = tokens.parse().expect("a number");
            assert_eq!(
                config.masked_count(tokens, max_masked) as u64,
                count.as_u64().expect("a count"),
                "{name}, {tokens}"
            );
        }
    }
}

#[test]
fn paper_exact_draws_as_google_does() {
    // What google's own mask() gave over many rows of 128 tokens (make_fixtures.py).
    let google = json("google_behaviour.json");
    let number = |key: &str| google[key].as_f64().expect("a number");
    let ids = example(128);
    let statistics = |paper_exact| {
        let config = MaskingConfig { paper_exact, ..MaskingConfig::default() };
        let (mut distinct, mut masks) = (0, 0);
        for row in 0..4000 {
            let masked = choose_masked(&ids, SPECIAL, VOCAB, &config, 19, (1, 2, row));
            assert_eq!(masked.positions.len(), 19);
            let mut hidden = hidden(&masked);
            hidden.dedup();
            masks += hidden.len();
            let mut positions = masked.positions;
            positions.dedup();
            distinct += positions.len();
        }
        (f64::from(distinct as u32) / 4000.0, f64::from(masks as u32) / 4000.0)
    };
    let (distinct, masks) = statistics(true);
    // Standard deviations of one row: 1.1 and 1.7; of google's mean over 160 rows .09 and .13; three of them.
    assert!((distinct - number("mean distinct positions per 128-token row")).abs() < 0.3, "{distinct}");
    assert!((masks - number("mean [MASK] tokens")).abs() < 0.45, "{masks}");
    let (distinct, masks) = statistics(false);
    assert_eq!(distinct, 19.0);
    assert!((masks - 19.0 * 0.85).abs() < 0.1, "{masks}");
}

#[test]
fn electras_masks_are_those_of_every_version() {
    // Recorded before there was another policy. Other numbers here mean that every run in progress would see other masks.
    let masked = choose_masked(&example(40), SPECIAL, VOCAB, &MaskingConfig::default(), 6, (42, 3, 17));
    assert_eq!(masked.positions, [2, 4, 5, 24, 28, 31]);
    assert_eq!(hidden(&masked), [2, 4, 24, 28, 31]);
    let recorded = [
        (false, 0.15, 0x4c0d_43a7_f60e_90e8),
        (true, 0.15, 0x1f22_0d26_f56d_9182),
        (false, 0.25, 0xd479_9f70_dc70_b9e6),
    ];
    for (paper_exact, probability, recorded) in recorded {
        let config = MaskingConfig { probability, paper_exact, ..MaskingConfig::default() };
        let mut digest = 0;
        for number in 0..2000 {
            let key = (number % 7, number % 3, number);
            let ids = example(5 + number as usize % 124);
            let masked = choose_masked(&ids, SPECIAL, VOCAB, &config, config.max_masked(128), key);
            for (&position, &id) in masked.positions.iter().zip(&masked.ids) {
                digest = mix(digest ^ ((position as u64) << 1 | u64::from(id == SPECIAL.mask as i32)));
            }
        }
        assert_eq!(digest, recorded, "{paper_exact}, {probability}");
    }
}

#[test]
fn bert_replaces_in_its_proportions_and_draws_every_word_of_the_vocabulary_alike() {
    let (config, ids) = (bert(), example(128));
    let (mut masks, mut kept, mut words) = (0u32, 0u32, vec![0u32; VOCAB]);
    for number in 0..20_000 {
        let masked = choose_masked(&ids, SPECIAL, VOCAB, &config, 19, (1, 0, number));
        for (&position, &id) in masked.positions.iter().zip(&masked.ids) {
            match id {
                4 => masks += 1,
                _ if id == ids[position] => kept += 1,
                _ => words[id as usize] += 1,
            }
        }
    }
    // 380,000 positions: standard deviations .00065 and .00049, five of them.
    let share = |count: u32| f64::from(count) / 380_000.0;
    assert!((share(masks) - 0.8).abs() < 0.0033, "{masks} [MASK]");
    assert!((share(kept) - 0.1).abs() < 0.0025, "{kept} kept");
    // 38 of each but [MASK], which counts among the others: chi-square's standard deviation is 45.
    words.remove(4);
    let mean = f64::from(words.iter().sum::<u32>()) / words.len() as f64;
    let chi_square: f64 = words.iter().map(|&count| (f64::from(count) - mean).powi(2) / mean).sum();
    assert!((chi_square - 998.0).abs() < 5.0 * 45.0, "{chi_square}");
}

#[test]
fn random_words_change_nothing_else_that_is_drawn() {
    let ids = example(100);
    let random = Replacement { random: 0.15, ..Replacement::ELECTRA };
    let (mut positions, mut others) = (0, 0);
    for number in 0..1000 {
        for paper_exact in [false, true] {
            let plain = MaskingConfig { paper_exact, ..MaskingConfig::default() };
            let config = MaskingConfig { replacement: random, ..plain.clone() };
            let key = (3, 1, number);
            let (plain, masked) = (
                choose_masked(&ids, SPECIAL, VOCAB, &plain, 15, key),
                choose_masked(&ids, SPECIAL, VOCAB, &config, 15, key),
            );
            assert_eq!(masked.positions, plain.positions);
            for (at, (&id, &plain)) in masked.ids.iter().zip(&plain.ids).enumerate() {
                assert!((0..VOCAB as i32).contains(&id));
                assert!(plain != 4 || id == 4, "[MASK] stays where it was");
                others += u32::from(plain != 4 && id != ids[masked.positions[at]]);
            }
            positions += masked.ids.len();
        }
    }
    // All the rest is random now: 15 % of 30,000, standard deviation 62.
    assert!(positions == 30_000 && (4190..4810).contains(&others), "{others} of {positions}");
}

#[test]
fn every_position_is_chosen_alike() {
    for probability in [0.15, 0.3] {
        let config = MaskingConfig { probability, ..bert() };
        let (ids, chosen) = (example(128), config.masked_count(128, config.max_masked(128)));
        let mut counts = [0u32; 128];
        for number in 0..20_000 {
            let masked = choose_masked(&ids, SPECIAL, VOCAB, &config, config.max_masked(128), (1, 0, number));
            masked.positions.iter().for_each(|&position| counts[position] += 1);
        }
        assert_eq!((counts[0], counts[127]), (0, 0), "[CLS] and [SEP] are never chosen");
        let share = chosen as f64 / 126.0;
        let deviation = (20_000.0 * share * (1.0 - share)).sqrt();
        let odd = |&count: &u32| (f64::from(count) - 20_000.0 * share).abs() > 5.0 * deviation;
        assert!(!counts[1..127].iter().any(odd), "{counts:?}");
    }
}

#[test]
fn shares_of_a_quarter_and_more_are_kept_at_all_lengths() {
    for probability in [0.25, 0.26, 0.28, 0.3] {
        let config = MaskingConfig { probability, ..MaskingConfig::default() };
        for seq in 5..=512 {
            let max_masked = config.max_masked(seq);
            assert!((1..seq - 2).contains(&max_masked), "{max_masked} of {seq}");
            for tokens in 3..=seq {
                let count = config.masked_count(tokens, max_masked);
                let exact = probability * tokens as f64;
                assert!((1..=max_masked).contains(&count), "{count} of {tokens}, room for {max_masked}");
                assert!((count as f64 - exact).abs() <= 1.0, "{count} of {tokens} at {probability}");
            }
            let masked = choose_masked(&example(seq), SPECIAL, VOCAB, &config, max_masked, (0, 0, seq as u64));
            assert_eq!(masked.positions.len(), config.masked_count(seq, max_masked));
        }
    }
}

/// Rows as (original, masked) of an epoch, in the order shown.
fn epoch(source: &BatchSource, epoch: u64) -> Vec<(Vec<i32>, Vec<i32>)> {
    let batch = source.epoch_batch(epoch, 0, usize::MAX);
    let rows = batch.original_ids.chunks(batch.seq).zip(batch.masked_ids.chunks(batch.seq));
    rows.map(|(original, masked)| (original.to_vec(), masked.to_vec())).collect()
}

#[test]
fn static_masks_repeat_after_ten_epochs_in_another_order() {
    let lines: Vec<Vec<u32>> = (0..40).map(|line| (5 + 20 * line..25 + 20 * line).collect()).collect();
    let source = |distinct_epochs| {
        let corpus = Arc::new(MemoryCorpus::new([lines.as_slice()]));
        let masking = MaskingConfig { distinct_epochs, ..bert() };
        BatchSource::new(corpus, SPECIAL, VOCAB, 24, 4, masking, 7).expect("valid")
    };
    let sorted = |mut rows: Vec<(Vec<i32>, Vec<i32>)>| {
        rows.sort();
        rows
    };
    let ten = source(Some(10));
    for number in 0..3 {
        let (first, again) = (epoch(&ten, number), epoch(&ten, number + 10));
        assert_ne!(first, again, "the order is drawn anew");
        assert_eq!(sorted(first), sorted(again));
    }
    // No two of the ten are alike, and without the policy none repeats.
    let dynamic = source(None);
    assert_eq!(epoch(&ten, 9), epoch(&dynamic, 9));
    for other in 1..10 {
        assert_ne!(sorted(epoch(&ten, 0)), sorted(epoch(&ten, other)));
    }
    assert_ne!(sorted(epoch(&dynamic, 3)), sorted(epoch(&dynamic, 13)));
    // Steps count on through the epochs.
    let step = (0..).find(|&step| ten.position(step).0 == 13).expect("reached");
    let known = epoch(&ten, 3);
    let batch = ten.batch(step);
    for (original, masked) in batch.original_ids.chunks(24).zip(batch.masked_ids.chunks(24)).take(2) {
        assert!(known.contains(&(original.to_vec(), masked.to_vec())));
    }
    // The masks alone, whoever asks for them.
    let masks = |distinct_epochs, epoch| {
        let config = MaskingConfig { distinct_epochs, ..bert() };
        choose_masked(&example(128), SPECIAL, VOCAB, &config, 19, (1, epoch, 5))
    };
    assert_eq!(masks(Some(10), 13), masks(Some(10), 3));
    assert_ne!(masks(None, 13), masks(None, 3));
}

#[test]
fn policies_out_of_range_are_refused() {
    let refused = |mask, random, distinct_epochs| {
        let replacement = Replacement { mask, random };
        let config = MaskingConfig { replacement, distinct_epochs, ..MaskingConfig::default() };
        config.validate().err().map(|error| error.to_string())
    };
    for (mask, random) in [(0.85, 0.0), (0.8, 0.1), (0.9, 0.1), (0.0, 1.0), (0.0, 0.0), (0.7, 0.3)] {
        assert_eq!(refused(mask, random, None), None);
    }
    assert_eq!(refused(0.8, 0.1, Some(1)), None);
    let contains = |message: Option<String>, part| message.is_some_and(|message| message.contains(part));
    assert!(contains(refused(1.1, 0.0, None), "replacement.mask = 1.1"));
    assert!(contains(refused(0.5, -0.1, None), "replacement.random = -0.1"));
    assert!(contains(refused(0.5, f64::NAN, None), "replacement.random = NaN"));
    assert!(contains(refused(0.8, 0.3, None), "at most 1 together with replacement.mask = 0.8"));
    assert!(contains(refused(0.8, 0.1, Some(0)), "distinct_epochs = 0"));
}
