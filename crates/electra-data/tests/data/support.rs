//! What several tests need.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use electra_data::{Corpus, Dataset, Progress, SpecialTokens, Split, Tokenizer};

/// Ids as [`tokenizer`] numbers them.
pub(crate) const SPECIAL: SpecialTokens = SpecialTokens { pad: 0, unknown: 1, cls: 2, sep: 3, mask: 4 };

/// The folder of golden fixtures: `$ELECTRA_FIXTURES`, or the repository's own.
pub(crate) fn fixtures() -> PathBuf {
    match std::env::var_os("ELECTRA_FIXTURES") {
        Some(folder) => PathBuf::from(folder),
        None => own_fixtures(),
    }
}

/// The repository's own fixtures, for files that another folder may lack.
pub(crate) fn own_fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

/// A fixture as JSON: from the folder asked for, else the repository's own.
pub(crate) fn json(name: &str) -> serde_json::Value {
    let path = [fixtures().join(name), own_fixtures().join(name)].into_iter().find(|path| path.is_file());
    let path = path.unwrap_or_else(|| panic!("{name} is neither in {:?} nor in {:?}", fixtures(), own_fixtures()));
    serde_json::from_slice(&std::fs::read(&path).expect("readable")).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// A tokenizer that spells words out: every ASCII character and some others, as first and as continuing piece.
pub(crate) fn tokenizer(lowercase: bool) -> Tokenizer {
    let mut vocab = String::from("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nmeal\n##s\n");
    for character in ('!'..='~').chain("äéßıΣσς語今한".chars()) {
        vocab.push_str(&format!("{character}\n"));
        if character != 's' {
            vocab.push_str(&format!("##{character}\n"));
        }
    }
    Tokenizer::from_vocab_bytes(vocab.as_bytes(), lowercase).expect("a whole vocabulary")
}

pub(crate) fn quiet(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Lines of ids of each document.
pub(crate) fn documents_of(corpus: &dyn Corpus) -> Vec<Vec<Vec<i32>>> {
    let mut documents = Vec::new();
    corpus.for_each_document(&mut |document| {
        let lines = document.line_offsets.windows(2).map(|bounds| {
            let mut line = Vec::new();
            corpus.append_tokens(document.base + bounds[0], (bounds[1] - bounds[0]) as usize, &mut line);
            line
        });
        documents.push(lines.collect());
    });
    documents
}

pub(crate) fn open(folder: &Path, split: Split, tokenizer: &Tokenizer) -> Dataset {
    Dataset::open(folder, split, tokenizer.sha256()).expect("a whole dataset")
}

pub(crate) fn numbered_documents(documents: usize, lines: usize) -> Vec<Vec<String>> {
    (0..documents).map(|document| (0..lines).map(|line| format!("d{document}l{line} the meals")).collect()).collect()
}
