//! A text in memory against a file with the same text.

use electra_data::{
    BuildOptions, Dataset, InputOptions, Split, TextInMemory, TextSource, Tokenizer, TrainOptions, build,
};
use proptest::prelude::*;

use crate::support::{documents_of, quiet, tokenizer};

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn a_text_in_memory_gives_the_dataset_of_its_file(
        lines in prop::collection::vec(1usize..6, 1..190), long in 1usize..900, fraction in 0.001f64..0.5, seed: u64, crlf: bool
    ) {
        prop_assume!(lines.iter().sum::<usize>() >= 2);
        let end = if crlf { "\r\n" } else { "\n" };
        let mut text = format!("{}{end}", "a long line of meals ".repeat(long));
        for (document, &lines) in lines.iter().enumerate() {
            (0..lines).for_each(|line| text.push_str(&format!(" d{document}l{line} 語 the \u{1} meals {end}")));
            text.push_str(end);
        }
        let tokenizer = tokenizer(true);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, out) = (folder.path().join("text.txt"), folder.path().join("data"));
        std::fs::write(&path, &text).expect("written");
        let source = TextSource::find(&[&path], InputOptions::default()).expect("found");
        let options = BuildOptions { validation_fraction: fraction, seed, ..BuildOptions::default() };
        let manifest = build(&source, &tokenizer, &out, &options, &mut quiet).expect("built");

        let found = TextInMemory::new(&text, &tokenizer, fraction, seed).expect("enough text");
        let open = |split| Dataset::open(&out, split, tokenizer.sha256()).expect("a whole dataset").corpus();
        prop_assert_eq!(documents_of(&found.train), documents_of(&*open(Split::Train)));
        prop_assert_eq!(documents_of(&found.validation), documents_of(&*open(Split::Validation)));
        prop_assert_eq!(Some(found.tokens_sha256), manifest.tokens_sha256);
        prop_assert_eq!(found.text_bytes, manifest.text_bytes);
        prop_assert_eq!(Some(found.unknown), manifest.unknown);
    }
}

#[test]
fn a_vocabulary_of_a_text_in_memory_is_that_of_its_file() {
    let text: String = (0..400).map(|n| format!("Le {n}e café, где едят {}\n", "abcdefgh".repeat(n % 14))).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("text.txt");
    std::fs::write(&path, &text).expect("written");
    let source = TextSource::find(&[&path], InputOptions::default()).expect("found");
    let options = TrainOptions { vocab_size: 300, ..TrainOptions::default() };
    let expected = Tokenizer::train_with_report(&source, &options, &mut quiet).expect("trained");
    let found = Tokenizer::train_on_text(&text, &options).expect("trained");
    assert_eq!(found.tokenizer.to_json(), expected.tokenizer.to_json());
    assert_eq!((found.unknown, found.left_out), (expected.unknown, expected.left_out));
    let error = Tokenizer::train_on_text(" \n", &options).unwrap_err().to_string();
    assert!(error.contains("no word found"), "{error}");
}

#[test]
fn a_text_of_one_line_cannot_be_held_out_of() {
    for (text, said) in [("", "no line of text"), ("the meal", "only one line of text")] {
        let error = TextInMemory::new(text, &tokenizer(true), 0.1, 0).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
