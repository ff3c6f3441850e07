//! The engine of the page, natively on the CPU, and between it and the terminal.

mod reading;
mod training;
mod walking;

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use electra_data::{FilesInMemory, Tokenizer};
use electra_web::model::Model;
use electra_web::protocol::ModelKind;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny_proj").join(name)
}

/// A vocabulary whose token number n is written `wn`, so that the golden ids can be written as text.
fn tokenizer(size: usize) -> Tokenizer {
    let mut tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned).to_vec();
    tokens.extend((tokens.len()..size).map(|number| format!("w{number}")));
    Tokenizer::from_vocab_bytes(tokens.join("\n").as_bytes(), true).unwrap()
}

/// The golden network of that role, as a page gets it.
fn folder(role: &str) -> FilesInMemory {
    let mut files = FilesInMemory::new();
    for name in ["config.json", "model.safetensors"] {
        files.insert(name.to_owned(), fs::read(fixture(role).join(name)).unwrap());
    }
    files.insert("tokenizer.json".to_owned(), tokenizer(99).to_json().into_bytes());
    files
}

fn load(role: &str, kind: ModelKind) -> Model {
    Model::load(&folder(role), kind, &Device::flex()).unwrap()
}

/// The files as a folder on disk, as a reader saves them.
fn saved(files: &FilesInMemory) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

/// No run here is shown how fast it is.
fn clock() -> f64 {
    0.0
}
