//! Faults of the text, its vocabulary and its batches.

use electra_data::UnknownTokens;

use super::{Record, Suspicious, Text, Wrong, expect};

#[test]
fn a_tiny_batch_is_suspicious() {
    let size = |size: usize| move |record: &mut Record| record.config.train.batch_size = size;
    expect(size(4), "batch", Suspicious, &["tiny", "4 sequences of 64 tokens: 256 a step", "38 of them masked"]);
    expect(size(12), "batch", Suspicious, &["small", "768 a step"]);
}

#[test]
fn a_vocabulary_of_other_text_is_found_by_its_unknown_unused_and_short_pieces() {
    let text = |change: fn(&mut Text)| move |record: &mut Record| change(record.text.as_mut().unwrap());
    let unknown = |unknown| UnknownTokens { tokens: 1000, unknown, words: Vec::new() };
    let share = |count: u64| {
        move |record: &mut Record| {
            let text = record.text.as_mut().unwrap();
            text.unknown = unknown(count);
            text.unknown_explained = format!("{count} of a thousand");
        }
    };
    expect(share(400), "vocabulary", Wrong, &["much of the text is [UNK]", "400 of a thousand", "tokenizer train"]);
    expect(share(30), "vocabulary", Suspicious, &["some of the text is [UNK]"]);
    expect(text(|text| text.used_entries = 300), "vocabulary", Suspicious, &["never occurs", "300 of 2048"]);
    expect(text(|text| text.text_bytes = 8_000_000), "vocabulary", Suspicious, &["letters", "1.4 bytes a token"]);
    expect(|record| record.config.model.vocab_size = 1000, "vocabulary", Wrong, &["fewer words than the tokenizer"]);
}

#[test]
fn held_out_text_that_was_trained_on_is_quoted() {
    let leak = |tokens: u64| {
        move |record: &mut Record| {
            let text = record.text.as_mut().unwrap();
            (text.leaked_tokens, text.leaked_example) = (tokens, "call me ishmael".to_owned());
        }
    };
    expect(leak(40_000), "held_out", Wrong, &["40000 of 100000", "40 %", "\"call me ishmael\""]);
    expect(leak(3000), "held_out", Suspicious, &["3.0 %"]);
    expect(
        |record| record.text.as_mut().unwrap().held_out_tokens = 900,
        "held_out",
        Suspicious,
        &["little held-out text", "900 tokens"],
    );
}

#[test]
fn a_text_that_is_read_many_times_over_is_suspicious() {
    let short = |record: &mut Record| record.text.as_mut().unwrap().train_tokens = 100_000;
    expect(short, "passes", Suspicious, &["many times over", "80.0 times by step 4000"]);
    // What is yet to come counts.
    let longer = |record: &mut Record| {
        (record.config.train.steps, record.is_being_trained) = (400_000, true);
    };
    expect(longer, "passes", Suspicious, &["1.429 times until now and 142.9 times by step 400000"]);
}
