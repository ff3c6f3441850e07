//! Loading, scoring and proposing.

use std::path::Path;

use burn::tensor::Device;
use electra_train::TensorFile;
use electra_train::host::wait_for;
use electra_web::model::{Model, propose, score};
use electra_web::protocol::ModelKind;

use crate::{fixture, folder, load, tokenizer};

#[test]
fn probabilities_are_those_of_the_golden_logits() {
    let golden = std::fs::read(fixture("forward.safetensors")).unwrap();
    let golden = TensorFile::parse(Path::new("forward.safetensors"), golden).unwrap();
    let logits = golden.tensor("out.disc_logits_no_mask_no_types", Some(&[3, 16])).unwrap().values;
    let model = load("discriminator", ModelKind::Discriminator);
    // The first row of in.input_ids, without [CLS] in front and [SEP] at the end.
    let text = "w77 w66 w46 w45 w85 w13 w70 [SEP] w13 w54 w96 w74 w76 w72";
    let scores = wait_for(score(model.discriminator().unwrap(), text)).unwrap();
    let words: Vec<_> = scores.iter().map(|score| score.token.token.as_str()).collect();
    assert_eq!(words.join(" "), text);
    for (score, logit) in scores.iter().zip(&logits[1..15]) {
        let expected = 1.0 / (1.0 + (-logit).exp());
        let difference = (score.replaced - expected).abs();
        // A logit may differ by 2e-5 + 1e-5 |x|; the sigmoid's slope is at most 1/4.
        assert!(difference <= 1e-5, "{}: {difference}", score.token.token);
    }
}

#[test]
fn ranges_count_as_javascript_does() {
    let model = load("discriminator", ModelKind::Discriminator);
    let scores = wait_for(score(model.discriminator().unwrap(), "é 😀 w7")).unwrap();
    let ranges: Vec<_> = scores.iter().map(|score| (score.token.start, score.token.end)).collect();
    assert_eq!(ranges, [(0, 1), (2, 4), (5, 7)]);
    assert!(wait_for(score(model.discriminator().unwrap(), "")).unwrap().is_empty());
}

#[test]
fn the_token_at_the_position_is_masked_and_no_other() {
    let model = load("generator", ModelKind::Generator);
    let generator = model.generator().unwrap();
    let proposals = |text, position| wait_for(propose(generator, text, position, 5)).unwrap();
    let found = proposals("w7 w8 w9", 1);
    assert_eq!(found.len(), 5);
    assert!(found.windows(2).all(|pair| pair[0].probability >= pair[1].probability), "{found:?}");
    assert_eq!(found, proposals("w7 w50 w9", 1), "what is hidden does not count");
    assert_ne!(found, proposals("w7 w8 w9", 2));
    // A mask of the text's own comes first among the masks.
    let expected = wait_for(generator.fill_ids(&[2, 4, 8, 4, 3], 5)).unwrap();
    let found: Vec<u32> = proposals("[MASK] w8 w9", 2).iter().map(|proposal| proposal.id).collect();
    assert_eq!(found, expected[1].iter().map(|guess| guess.id).collect::<Vec<_>>());
    let error = wait_for(propose(generator, "w7 w8", 2, 5)).unwrap_err();
    assert!(error.message.contains("2 tokens, and none number 2"), "{error}");
}

#[test]
fn what_the_page_is_told_of_a_network_is_what_it_is() {
    let loaded = load("discriminator", ModelKind::Discriminator).loaded(3);
    let text = serde_json::to_value(&loaded).unwrap();
    assert_eq!(
        (text["model"].as_u64(), text["kind"].as_str(), text["maxTokens"].as_u64()),
        (Some(3), Some("discriminator"), Some(38))
    );
    assert_eq!((loaded.hidden, loaded.vocabulary), (32, 99));
}

#[test]
fn what_does_not_fit_is_told_with_its_file() {
    let failure = |change: &dyn Fn(&mut electra_data::FilesInMemory), kind| {
        let mut files = folder("discriminator");
        change(&mut files);
        Model::load(&files, kind, &Device::flex()).err().expect("must be refused").message
    };
    let discriminator = ModelKind::Discriminator;
    let put = |name: &str, bytes: Vec<u8>| {
        let name = name.to_owned();
        move |files: &mut electra_data::FilesInMemory| drop(files.insert(name.clone(), bytes.clone()))
    };
    let cut = folder("discriminator")["model.safetensors"][..1000].to_vec();
    assert!(failure(&put("config.json", b"{".to_vec()), discriminator).starts_with("config.json: "));
    assert!(failure(&put("model.safetensors", cut), discriminator).starts_with("model.safetensors: "));
    let large = tokenizer(100).to_json().into_bytes();
    assert!(failure(&put("tokenizer.json", large), discriminator).contains("100 entries, but the network only 99"));
    let config = String::from_utf8(folder("discriminator")["config.json"].clone()).unwrap();
    let other = config.replace("\"hidden_size\": 32", "\"hidden_size\": 64").into_bytes();
    assert!(failure(&put("config.json", other), discriminator).contains("shape"));
    let without = |name: &'static str| move |files: &mut electra_data::FilesInMemory| drop(files.remove(name));
    assert!(failure(&without("config.json"), discriminator).starts_with("config.json: cannot read"));
    assert!(failure(&without("model.safetensors"), discriminator).contains("no weights"));
    assert!(failure(&without("tokenizer.json"), discriminator).contains("no tokenizer.json and no vocab.txt"));
    assert!(failure(&|_| {}, ModelKind::Generator).contains("ElectraForMaskedLM is needed"));
    assert!(failure(&|_| {}, ModelKind::Classifier).contains("fine-tune it first"));
}
