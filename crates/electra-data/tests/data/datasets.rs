//! Datasets that were built, opened again.

use electra_data::{BuildOptions, Dataset, MaskingConfig, Split, TextSource, Tokenizer, build, inspect};

use crate::support::{documents_of, numbered_documents, open, quiet, tokenizer};

#[test]
fn inspect_counts_and_decodes() {
    let tokenizer = tokenizer(true);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("data");
    build(
        &TextSource::memory("test", numbered_documents(250, 3)),
        &tokenizer,
        &out,
        &BuildOptions::default(),
        &mut quiet,
    )
    .expect("built");
    let seen = inspect(&out, 64, MaskingConfig::default(), 0, 1_000_003).expect("inspected");
    let train = &seen.splits[0];
    assert_eq!((train.split, train.documents), ("train", seen.manifest.train.documents));
    assert_eq!(train.line_tokens.counts.iter().sum::<u64>(), train.lines);
    assert_eq!(train.unknown_share, 0.0);
    assert_eq!(seen.example[0].token, "[CLS]");
    assert!(seen.example.iter().any(|token| token.chosen) && seen.text.contains("the meals"));
    serde_json::to_string(&seen).expect("JSON");
}

#[test]
fn another_tokenizer_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("data");
    build(
        &TextSource::memory("test", numbered_documents(3, 9)),
        &tokenizer(true),
        &out,
        &BuildOptions::default(),
        &mut quiet,
    )
    .expect("built");
    let message = Dataset::open(&out, Split::Train, tokenizer(false).sha256()).err().expect("refused").to_string();
    assert!(message.contains("another tokenizer") && message.contains("rebuild"), "{message}");
}

#[test]
fn large_vocabularies_are_stored_wide() {
    let mut vocab = String::from("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
    (0..70_000).for_each(|word| vocab.push_str(&format!("w{word}\n")));
    let tokenizer = Tokenizer::from_vocab_bytes(vocab.as_bytes(), true).expect("a vocabulary");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("data");
    let source = TextSource::memory("test", vec![vec!["w69999 w1".into(), "w65536".into()]]);
    build(&source, &tokenizer, &out, &BuildOptions::default(), &mut quiet).expect("built");
    let mut lines = [Split::Train, Split::Validation]
        .map(|split| documents_of(&*open(&out, split, &tokenizer).corpus()).concat())
        .concat();
    lines.sort();
    assert_eq!(lines, [vec![65_541], vec![70_004, 6]]);
    // The shard is a plain safetensors file.
    let bytes = std::fs::read(out.join("train-00000.safetensors")).expect("read");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    assert_eq!(tensors.tensor("tokens").expect("tokens").dtype(), safetensors::Dtype::U32);
}
