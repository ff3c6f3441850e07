//! SQuAD from a file's bytes to official scores.

mod decode;
mod evaluate;
mod read;
mod windows;

use electra_data::Tokenizer;

/// A tokenizer that knows some words, and spells out the others by letters.
fn tokenizer() -> Tokenizer {
    let mut vocab = String::from("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nchef\nate\nmeal\nin\ncafe\n##s\n");
    for character in 'a'..='z' {
        vocab.push_str(&format!("{character}\n"));
        if character != 's' {
            vocab.push_str(&format!("##{character}\n"));
        }
    }
    (0..10).for_each(|digit| vocab.push_str(&format!("{digit}\n")));
    vocab.push_str(".\n(\n)\n?\n");
    Tokenizer::from_vocab_bytes(vocab.as_bytes(), true).expect("a whole vocabulary")
}
