use std::fs;

use serde_json::Value;

use super::*;

fn network(architecture: Architecture) -> Network {
    let config = ElectraConfig {
        vocab_size: 11,
        embedding_size: 4,
        hidden_size: 6,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 8,
        max_position_embeddings: 9,
        ..ElectraConfig::default()
    };
    let tensors = architecture
        .specs(&config)
        .iter()
        .map(|spec| HostTensor::new(&spec.name, spec.shape.clone(), spec.initial_values(3)))
        .collect();
    Network { architecture, config, classifier_dropout: None, task: None, tensors }
}

const ALL: [Architecture; 6] = [
    Architecture::Encoder,
    Architecture::PreTraining,
    Architecture::MaskedLm,
    Architecture::SequenceClassification { labels: 1, style: HeadStyle::Hf },
    Architecture::TokenClassification { labels: 7 },
    Architecture::QuestionAnswering,
];

fn exported(network: &Network) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    export(folder.path(), network, None, &ModelCard::default()).unwrap();
    folder
}

fn failure(folder: &Path) -> String {
    import(folder).expect_err("an error is expected").to_string()
}

#[test]
fn every_architecture_returns_as_it_was() {
    for architecture in ALL {
        let network = network(architecture);
        // What a head is for is guessed where nobody says it.
        let found = Network { task: None, ..import(exported(&network).path()).unwrap() };
        assert!(found == network, "{architecture:?}");
    }
    let names: Vec<String> = network(Architecture::MaskedLm).tensors.into_iter().map(|t| t.name).collect();
    assert!(!names.contains(&"generator_lm_head.weight".to_owned()), "a tied table is not written");
}

#[test]
fn equal_networks_give_equal_bytes() {
    let network = network(Architecture::PreTraining);
    let read = |folder: &Path| fs::read(folder.join(WEIGHTS)).unwrap();
    assert_eq!(read(exported(&network).path()), read(exported(&network).path()));
}

#[test]
fn buffers_and_tied_copies_are_accepted_and_untied_tables_are_not() {
    let mut network = network(Architecture::MaskedLm);
    let clean = network.clone();
    let words = network.tensors[0].clone();
    network.tensors.push(HostTensor::new("electra.embeddings.position_ids", [1, 2], vec![0.0, 1.0]));
    network.tensors.push(HostTensor { name: "generator_lm_head.weight".into(), ..words });
    assert_eq!(import(exported(&network).path()).unwrap(), clean);
    network.tensors.last_mut().unwrap().values[0] += 1.0;
    assert!(failure(exported(&network).path()).contains("tied output"));
}

#[test]
fn missing_unexpected_and_misshapen_tensors_are_named() {
    let whole = network(Architecture::PreTraining);
    let mut other = whole.clone();
    let dropped = other.tensors.remove(5);
    let message = failure(exported(&other).path());
    assert!(message.contains(&dropped.name) && message.contains("model.safetensors"), "{message}");
    other = whole.clone();
    other.tensors.push(HostTensor::new("classifier.weight", [1], vec![0.0]));
    assert!(failure(exported(&other).path()).contains("unexpected \"classifier.weight\""));
    other = whole.clone();
    other.config.intermediate_size = 9;
    assert!(failure(exported(&other).path()).contains("has shape [8, 6], but [9, 6]"));
    let folder = exported(&whole);
    let message = import_as(folder.path(), "ElectraForMaskedLM").unwrap_err().to_string();
    assert!(message.contains("ElectraForPreTraining, but ElectraForMaskedLM"), "{message}");
}

#[test]
fn a_damaged_folder_is_an_error_with_file_and_remedy() {
    let folder = exported(&network(Architecture::PreTraining));
    let config = fs::read_to_string(folder.path().join(CONFIG)).unwrap();
    for len in (0..config.trim_end().len()).step_by(11) {
        fs::write(folder.path().join(CONFIG), &config[..len]).unwrap();
        assert!(failure(folder.path()).contains("config.json"));
    }
    for (from, to, expected) in [
        ("\"electra\"", "\"roberta\"", "give the folder of an ELECTRA model"),
        ("\"electra\"", "\"bert\"", "electra import"),
        ("\"gelu\",\n  \"hidden_dropout", "\"relu\",\n  \"hidden_dropout", "hidden_act"),
        ("ElectraForPreTraining", "ElectraForMultipleChoice", "ElectraForMultipleChoice"),
        ("\"hidden_size\": 6", "\"hidden_size\": \"six\"", "six"),
        ("\"hidden_size\": 6", "\"hidden_size\": 7", "num_attention_heads 2"),
    ] {
        assert!(config.contains(from), "{from}");
        fs::write(folder.path().join(CONFIG), config.replacen(from, to, 1)).unwrap();
        let message = failure(folder.path());
        assert!(message.contains(expected) && message.contains("config.json"), "{message}");
    }
    fs::write(folder.path().join(CONFIG), &config).unwrap();
    let weights = fs::read(folder.path().join(WEIGHTS)).unwrap();
    for len in (0..weights.len()).step_by(97) {
        fs::write(folder.path().join(WEIGHTS), &weights[..len]).unwrap();
        assert!(failure(folder.path()).contains("model.safetensors"));
    }
    fs::remove_file(folder.path().join(WEIGHTS)).unwrap();
    assert!(failure(folder.path()).contains("check the path"));
    fs::write(folder.path().join("pytorch_model.bin"), "x").unwrap();
    assert!(failure(folder.path()).contains("save_pretrained"));
}

fn tokenizer(vocab: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    Tokenizer::from_vocab_bytes(vocab.as_bytes(), true).unwrap().save(folder.path()).unwrap();
    folder
}

#[test]
fn the_tokenizer_comes_along_as_this_network_needs_it() {
    let (absent, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let network = network(Architecture::PreTraining);
    let card = ModelCard::default();
    let message = export(folder.path(), &network, Some(absent.path()), &card).unwrap_err().to_string();
    assert!(message.contains("tokenizer.json"), "{message}");
    assert!(!folder.path().join(CONFIG).exists());

    let source = tokenizer("[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\nword");
    let json =
        |folder: &Path, name: &str| -> Value { serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap() };
    assert!(json(source.path(), "tokenizer_config.json").get("model_max_length").is_none());
    // From its own folder too, as when a run is exported again.
    for source in [source.path(), folder.path()] {
        export(folder.path(), &network, Some(source), &card).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("vocab.txt")).unwrap().lines().count(), 6);
        assert_eq!(json(folder.path(), "tokenizer_config.json")["model_max_length"], 9);
        assert_eq!(json(folder.path(), CONFIG)["pad_token_id"], 3);
    }
    // An old folder has a vocab.txt alone.
    fs::remove_file(source.path().join("tokenizer.json")).unwrap();
    let old = tempfile::tempdir().unwrap();
    export(old.path(), &network, Some(source.path()), &card).unwrap();
    assert_eq!(json(old.path(), "tokenizer.json"), json(folder.path(), "tokenizer.json"));

    let large = tokenizer("[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\na\nb\nc\nd\ne\nf\ng");
    let message = export(folder.path(), &network, Some(large.path()), &card).unwrap_err().to_string();
    assert!(message.contains("12 entries, but the network only 11"), "{message}");
}

#[test]
fn what_other_writers_make_of_a_folder_is_read() {
    let whole = network(Architecture::PreTraining);
    let folder = exported(&whole);
    let path = folder.path().join(CONFIG);
    let config = fs::read_to_string(&path).unwrap();
    let floats =
        config.replace("\"hidden_size\": 6,", "\"hidden_size\": 6.0,").replace("_layers\": 2,", "_layers\": 2.0,");
    assert_ne!(floats, config);
    fs::write(&path, floats).unwrap();
    assert_eq!(import(folder.path()).unwrap(), whole);
    fs::write(&path, config.replace("\"hidden_size\": 6,", "\"hidden_size\": 6.5,")).unwrap();
    assert!(failure(folder.path()).contains("6.5"));
    fs::write(&path, config.replacen('{', "{\"position_embedding_type\": \"relative_key\",", 1)).unwrap();
    let message = failure(folder.path());
    assert!(message.contains("relative_key") && message.contains("absolute"), "{message}");

    fs::write(&path, &config).unwrap();
    let mut old = whole.clone();
    for tensor in &mut old.tensors {
        tensor.name =
            tensor.name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
    }
    assert_eq!(import(exported(&old).path()).unwrap(), whole);

    let mut broken = whole.clone();
    broken.tensors[3].values[1] = f32::NAN;
    let message = failure(exported(&broken).path());
    assert!(message.contains(&broken.tensors[3].name) && message.contains("not finite"), "{message}");
}
