//! Vocabularies from elsewhere: every setting of their files is read, and what cannot be is named.

use std::path::Path;

use electra_data::{ImportOptions, Imported, StripAccents, Tokenizer};
use serde_json::{Value, json};

const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// A folder with a vocab.txt of the special tokens and `words`, and with `config` as tokenizer_config.json.
fn folder(words: &[&str], config: Option<Value>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines: Vec<&str> = SPECIAL.iter().chain(words).copied().collect();
    std::fs::write(folder.path().join("vocab.txt"), lines.join("\n") + "\n").expect("written");
    if let Some(config) = config {
        std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).expect("written");
    }
    folder
}

fn import(path: &Path) -> Imported {
    Tokenizer::import(path, &ImportOptions::default()).expect("imported")
}

fn refusal(path: &Path) -> String {
    Tokenizer::import(path, &ImportOptions::default()).expect_err("refused").to_string()
}

fn tokens(tokenizer: &Tokenizer, text: &str) -> Vec<String> {
    tokenizer.encode(text).into_iter().map(|id| tokenizer.token(id).expect("known")).collect()
}

/// A tokenizer.json whose model is `model`.
fn write_json(folder: &Path, model: Value) {
    let mut value: Value = serde_json::from_str(&crate::support::tokenizer(true).to_json()).expect("JSON");
    value["model"] = model;
    std::fs::write(folder.join("tokenizer.json"), value.to_string()).expect("written");
}

#[test]
fn every_setting_beside_a_vocab_txt_is_read() {
    let words = ["ärzte", "arzte", "Ärzte", "中国", "中", "国"];
    let read = |config| tokens(&import(folder(&words, Some(config)).path()).tokenizer, "Ärzte 中国");
    let setting = |lower: bool, strip: Value, chinese: bool| json!({"do_lower_case": lower, "strip_accents": strip, "tokenize_chinese_chars": chinese});
    assert_eq!(read(setting(true, Value::Null, true)), ["arzte", "中", "国"]);
    assert_eq!(read(setting(true, json!(true), true)), ["arzte", "中", "国"]);
    assert_eq!(read(setting(true, json!(false), true)), ["ärzte", "中", "国"]);
    assert_eq!(read(setting(false, Value::Null, true)), ["Ärzte", "中", "国"]);
    assert_eq!(read(setting(false, json!(false), false)), ["Ärzte", "中国"]);

    let limited = import(folder(&words, Some(json!({"model_max_length": 128}))).path()).tokenizer;
    let out = tempfile::tempdir().expect("a temporary folder");
    let max_length = |tokenizer: &Tokenizer| {
        tokenizer.save(out.path()).expect("saved");
        let written = std::fs::read(out.path().join("tokenizer_config.json")).expect("written");
        serde_json::from_slice::<Value>(&written).expect("JSON")["model_max_length"].as_u64()
    };
    assert_eq!(max_length(&limited), Some(128));
    assert_eq!(max_length(&Tokenizer::load(out.path()).expect("loaded")), Some(128));
    assert_eq!(max_length(&limited.clone().with_max_length(512)), Some(128));
    assert_eq!(max_length(&limited.with_max_length(32)), Some(32));
    // What transformers writes where there is no limit.
    let unlimited = json!({"model_max_length": 1_000_000_000_000_000_019_884_624_838_656.0_f64});
    assert_eq!(max_length(&import(folder(&words, Some(unlimited)).path()).tokenizer), None);
}

#[test]
fn a_vocab_txt_whose_rules_stood_in_a_missing_tokenizer_json_is_said() {
    let said = |class: &str| import(folder(&["a"], Some(json!({"tokenizer_class": class}))).path()).notices;
    assert_eq!(said("BertTokenizer"), [] as [&str; 0]);
    let [notice] = &said("PreTrainedTokenizerFast")[..] else { panic!("one notice") };
    assert!(notice.contains("tokenizer.json, which is not there") && notice.contains("ids may differ"), "{notice}");
}

#[test]
fn settings_that_cannot_be_read_or_followed_are_said() {
    let with = |config: Value| folder(&["a"], Some(config));
    let message = refusal(with(json!({"do_lower_case": "yes"})).path());
    assert!(message.contains("do_lower_case is \"yes\"") && message.contains("tokenizer_config.json"), "{message}");
    assert!(refusal(with(json!([1])).path()).contains("not a JSON object"));
    for config in [
        json!({"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab"}),
        json!({"do_basic_tokenize": false}),
    ] {
        let notices = import(with(config).path()).notices;
        assert!(notices.iter().any(|notice| notice.contains("cut otherwise")), "{notices:?}");
    }
    // Special tokens of another name are named as the file has them.
    let other = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(other.path().join("vocab.txt"), "<pad>\n[UNK]\n<s>\n</s>\n<mask>\na\n").expect("written");
    let config = json!({"pad_token": "<pad>", "mask_token": {"content": "<mask>"}, "unk_token": "[UNK]"});
    std::fs::write(other.path().join("tokenizer_config.json"), config.to_string()).expect("written");
    let message = refusal(other.path());
    assert!(message.contains("pad_token is \"<pad>\", mask_token is \"<mask>\""), "{message}");
}

#[test]
fn without_settings_the_pieces_decide() {
    let korean = import(folder(&["학생", "##이", "시장"], None).path());
    assert!(korean.tokenizer.lowercase() && !korean.tokenizer.strips_accents());
    assert_eq!(tokens(&korean.tokenizer, "학생이"), ["학생", "##이"]);
    assert!(korean.notices[0].contains("--strip-accents true"), "{:?}", korean.notices);
    let german = import(folder(&["schön", "bar"], None).path()).tokenizer;
    assert_eq!(tokens(&german, "Schön BAR"), ["schön", "bar"]);
    let english = import(folder(&["chef", "bar"], None).path());
    assert!(english.tokenizer.strips_accents() && english.notices.is_empty());
    assert_eq!(tokens(&english.tokenizer, "Chéf"), ["chef"]);
    let cased = import(folder(&["Chef", "bar"], None).path()).tokenizer;
    assert!(!cased.lowercase() && !cased.strips_accents());

    // A choice against the pieces is taken, and what it makes unreachable is counted.
    let options = ImportOptions { lowercase: Some(true), strip_accents: StripAccents::Always };
    let stripped =
        Tokenizer::import(folder(&["학생", "##이", "Chef", "bar"], None).path(), &options).expect("imported");
    assert!(stripped.notices[0].contains("3 of 4 pieces can never be found"), "{:?}", stripped.notices);
    // Chinese words that the rules would cut are such pieces, continuing characters are not.
    let words = import(folder(&["中国", "中", "国", "##国"], None).path());
    assert!(words.notices[0].contains("1 of 4 pieces"), "{:?}", words.notices);
}

#[test]
fn blank_and_repeated_lines_keep_the_ids_of_the_others() {
    let blank = import(folder(&["a", "", "", "b"], None).path()).tokenizer;
    assert_eq!((blank.id("a"), blank.id("b"), blank.vocab_size()), (Some(5), Some(8), 9));
    let repeated = import(folder(&["a", "b", "a", "c"], None).path());
    assert_eq!((repeated.tokenizer.id("a"), repeated.tokenizer.id("c")), (Some(7), Some(8)));
    assert!(repeated.notices[0].contains("\"a\" on lines 6 and 8"), "{:?}", repeated.notices);
    for tokenizer in [blank, repeated.tokenizer] {
        let out = tempfile::tempdir().expect("a temporary folder");
        tokenizer.save(out.path()).expect("saved");
        let lines = std::fs::read_to_string(out.path().join("vocab.txt")).expect("written");
        assert_eq!(lines.lines().position(|line| line == "b").map(|id| id as u32), tokenizer.id("b"));
        assert_eq!(Tokenizer::load(out.path()).expect("loaded").sha256(), tokenizer.sha256());
    }
}

#[test]
fn the_table_of_a_tokenizer_json_is_made_whole_or_refused() {
    let out = tempfile::tempdir().expect("a temporary folder");
    let model = |words: Value| {
        let mut vocab = json!({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4});
        vocab.as_object_mut().expect("a table").extend(words.as_object().expect("a table").clone());
        json!({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab})
    };
    write_json(out.path(), model(json!({"a": 5, "\n": 6, "b": 9})));
    let tokenizer = import(out.path()).tokenizer;
    assert_eq!((tokenizer.id("b"), tokenizer.id("\n"), tokenizer.vocab_size()), (Some(9), Some(6), 10));
    // No token of a line break may break the lines of a vocab.txt.
    tokenizer.save(out.path()).expect("saved");
    let lines = std::fs::read_to_string(out.path().join("vocab.txt")).expect("written");
    assert_eq!(
        lines.lines().skip(5).collect::<Vec<_>>(),
        ["a", "[unused_hole_6]", "[unused_hole_7]", "[unused_hole_8]", "b"]
    );
    for (words, reason) in [
        (json!({"a": 5, "b": 5}), "both have id 5"),
        (json!({"a": 4_000_000_000_u64}), "ids go up to 4000000000"),
        (json!({"a": -1}), "the id of \"a\" is -1"),
    ] {
        write_json(out.path(), model(words));
        let message = refusal(out.path());
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn other_kinds_of_vocabularies_are_named() {
    let out = tempfile::tempdir().expect("a temporary folder");
    let bpe = json!({"vocab": {"<unk>": 0, "t": 1, "h": 2, "th": 3}, "merges": ["t h"], "unk_token": "<unk>"});
    let mut typed = bpe.clone();
    typed["type"] = "BPE".into();
    for (model, kind) in [
        (bpe, "BPE"),
        (typed, "BPE"),
        (json!({"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.0]]}), "Unigram"),
        (json!({"vocab": [["<unk>", 0.0], ["a", -1.0]]}), "Unigram"),
        (json!({"type": "WordLevel", "unk_token": "[UNK]", "vocab": {"[UNK]": 0}}), "WordLevel"),
    ] {
        write_json(out.path(), model);
        let message = refusal(out.path());
        assert!(message.contains(&format!("its kind is {kind}, and ELECTRA's is WordPiece")), "{message}");
        assert!(!message.contains("lacks"), "{message}");
    }
    std::fs::remove_file(out.path().join("tokenizer.json")).expect("removed");
    std::fs::write(out.path().join("spiece.model"), "x").expect("written");
    assert!(refusal(out.path()).contains("spiece.model"));
}

#[test]
fn where_two_files_disagree_the_one_counts_that_counts_in_transformers() {
    let out = tempfile::tempdir().expect("a temporary folder");
    let vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\närzte\narzte\n";
    Tokenizer::from_vocab_bytes(vocab.as_bytes(), true).expect("a vocabulary").save(out.path()).expect("saved");
    let write =
        |config: Value| std::fs::write(out.path().join("tokenizer_config.json"), config.to_string()).expect("written");
    for class in ["BertTokenizer", "BertTokenizerFast", "ElectraTokenizer", "ElectraTokenizerFast"] {
        write(json!({"tokenizer_class": class, "do_lower_case": true, "strip_accents": false}));
        let imported = import(out.path());
        assert_eq!(tokens(&imported.tokenizer, "Ärzte"), ["ärzte"], "{class}");
        assert!(imported.notices.iter().any(|notice| notice.contains("strip_accents false, which counts")));
    }
    write(json!({"tokenizer_class": "BertTokenizer", "do_lower_case": true, "strip_accents": true}));
    assert!(import(out.path()).notices.iter().all(|notice| !notice.contains("counts")), "they say the same");
    write(json!({"tokenizer_class": "PreTrainedTokenizerFast", "strip_accents": false}));
    assert_eq!(tokens(&import(out.path()).tokenizer, "Ärzte"), ["arzte"], "that class takes tokenizer.json as it is");
}
