use std::collections::HashSet;
use std::io::Read;

use electra_data::{ImportOptions, LineEncoder, StripAccents, TextSource, Tokenizer, TrainOptions};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::{json, own_fixtures, quiet, tokenizer};

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().expect("a list").iter().map(|id| id.as_u64().expect("an id") as u32).collect()
}

/// Both ways of encoding must agree with `expected`.
fn assert_encodes(tokenizer: &Tokenizer, text: &str, expected: &[u32]) {
    assert_eq!(tokenizer.encode(text), expected, "{text:?}");
    let mut fast = Vec::new();
    LineEncoder::new(tokenizer).encode_into(text, &mut fast);
    assert_eq!(fast, expected, "fast path, {text:?}");
}

#[test]
fn mini_vocabulary_cases() {
    let fixture = json("tokenizer/mini_vocab_cases.json");
    let vocab: Vec<&str> =
        fixture["vocab"].as_array().expect("a list").iter().map(|token| token.as_str().expect("text")).collect();
    let tokenizer = Tokenizer::from_vocab_bytes(vocab.join("\n").as_bytes(), true).expect("a whole vocabulary");
    assert_eq!(tokenizer.vocab_size(), 35);
    let cases = fixture["cases"].as_array().expect("a list");
    assert!(cases.len() >= 12);
    for case in cases {
        let text = case["text"].as_str().expect("text");
        assert_encodes(&tokenizer, text, &ids(&case["ids"]));
        let tokens: Vec<String> =
            tokenizer.encode(text).iter().map(|&id| tokenizer.token(id).expect("known")).collect();
        assert_eq!(serde_json::json!(tokens), case["tokens"]);
    }
}

/// BERT's uncased vocabulary, as a folder with a vocab.txt.
fn bert_vocab() -> tempfile::TempDir {
    let packed = std::fs::read(own_fixtures().join("tokenizer/bert_uncased_vocab.txt.gz")).expect("a fixture");
    let mut vocab = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut vocab).expect("a whole archive");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("vocab.txt"), vocab).expect("written");
    folder
}

#[test]
fn bert_vocabulary_cases() {
    let imported = Tokenizer::import(bert_vocab().path(), &ImportOptions::default()).expect("BERT's vocabulary");
    assert_eq!(imported.notices, Vec::<String>::new());
    let tokenizer = imported.tokenizer;
    assert!(tokenizer.strips_accents() && tokenizer.unreachable().is_none());
    assert!(tokenizer.lowercase(), "an uncased vocabulary is recognised");
    assert_eq!(tokenizer.vocab_size(), 30_522);
    let fixture = json("tokenizer/wordpiece_cases.json");
    let cases = fixture["cases"].as_array().expect("a list");
    assert_eq!(cases.len(), 89);
    let mut differs_from_google = 0;
    for case in cases {
        let text = case["text"].as_str().expect("text");
        let expected = ids(&case["ids"]);
        assert_encodes(&tokenizer, text, &expected);
        let (with_offsets, offsets) = tokenizer.encode_with_offsets(text);
        assert_eq!(with_offsets, expected);
        // The fixture counts code points.
        let characters = |byte: usize| text[..byte].chars().count();
        let offsets: Vec<[usize; 2]> =
            offsets.iter().map(|&(start, end)| [characters(start), characters(end)]).collect();
        assert_eq!(serde_json::json!(offsets), case["offsets_chars"], "{text:?}");
        // docs/DESIGN.md lists where the original's Python tokenizer gives other ids.
        if case["google_same"] == false {
            differs_from_google += 1;
            assert_ne!(ids(&case["google_ids"]), expected, "{text:?}");
        }
    }
    assert_eq!(differs_from_google, 7);
    for case in fixture["decode"].as_array().expect("a list") {
        assert_eq!(tokenizer.decode(&ids(&case["ids"]), false), case["decoded"].as_str().expect("text"));
        assert_eq!(tokenizer.decode(&ids(&case["ids"]), true), case["skip_special"].as_str().expect("text"));
    }
}

/// Text with what makes tokenizers differ: controls, accents, marks, CJK, spaces of many kinds, special tokens.
fn awkward_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[a-zA-Z0-9]{1,8}",
        3 => "[!-~]{1,4}",
        3 => r"[ \t\r\n]{1,3}",
        2 => any::<char>().prop_map(String::from),
        1 => r"\PC{1,6}",
        2 => prop::sample::select(vec![
            "é", "e\u{301}", "\u{301}", "a\u{301}\u{323}", "ß", "İ", "ΟΔΥΣΣΕΥΣ", "語", "今今", "한", "\u{ac00}\u{11a8}", "ﬁ", "\u{0}", "\u{1}", "\u{7f}",
            "\u{b}", "\u{c}", "\u{85}", "\u{a0}", "\u{2028}", "\u{3000}", "\u{200b}", "\u{fffd}", "\u{feff}", "…", "—", "«", "😀", "\u{378}",
            "\u{1d400}", "[MASK]", "[SEP]", "[sep]", "[ MASK]", "the[CLS]the", "##s",
        ]).prop_map(String::from),
        1 => Just("a".repeat(101)),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_fast_path_gives_the_crates_ids(lines in prop::collection::vec(awkward_text(), 1..6), lowercase: bool) {
        let tokenizer = tokenizer(lowercase);
        // One encoder for all lines: what it remembers must not change anything.
        let mut encoder = LineEncoder::new(&tokenizer);
        for line in lines.iter().chain(&lines) {
            let mut fast = Vec::new();
            encoder.encode_into(line, &mut fast);
            prop_assert_eq!(fast, tokenizer.encode(line), "{:?}", line);
        }
    }
}

#[test]
fn saves_and_loads_as_it_was() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for lowercase in [false, true] {
        let tokenizer = tokenizer(lowercase);
        tokenizer.save(folder.path()).expect("saved");
        let import = |path| Tokenizer::import(path, &ImportOptions::default()).expect("imported").tokenizer;
        for copy in [
            Tokenizer::load(folder.path()).expect("loaded"),
            import(folder.path().to_owned()),
            import(folder.path().join("vocab.txt")),
            Tokenizer::from_json_bytes(tokenizer.to_json().as_bytes()).expect("parsed"),
        ] {
            assert_eq!(copy.sha256(), tokenizer.sha256());
            assert_eq!(copy.lowercase(), lowercase);
            assert_eq!(copy.special(), tokenizer.special());
        }
    }
    assert_ne!(tokenizer(true).sha256(), tokenizer(false).sha256());
    for options in [
        ImportOptions { lowercase: Some(false), ..ImportOptions::default() },
        ImportOptions { strip_accents: StripAccents::Never, ..ImportOptions::default() },
    ] {
        let message = Tokenizer::import(folder.path(), &options).expect_err("the file does both").to_string();
        assert!(message.contains("always"), "{message}");
    }
}

#[test]
fn truncation_and_padding_in_a_file_are_dropped() {
    let tokenizer = tokenizer(true);
    let mut value: Value = serde_json::from_str(&tokenizer.to_json()).expect("JSON");
    value["truncation"] =
        serde_json::json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
    value["padding"] = serde_json::json!({"strategy": {"Fixed": 128}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"});
    let copy = Tokenizer::from_json_bytes(value.to_string().as_bytes()).expect("parsed");
    assert_eq!(copy.encode("the meals meals").len(), 5);
    assert_eq!(copy.sha256(), tokenizer.sha256());
}

#[test]
fn bad_vocabularies_are_refused_by_name() {
    let refuse = |vocab: &[u8]| Tokenizer::from_vocab_bytes(vocab, true).expect_err("refused").to_string();
    assert!(refuse(b"[PAD]\n[UNK]\n[CLS]\nthe").contains("the vocabulary lacks [SEP], [MASK]"));
    assert!(refuse(b"").contains("lacks [PAD]"));
    assert!(refuse(b"[PAD]\n\xff").contains("line 2: not valid UTF-8"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (reason, path) in
        [("no such folder", folder.path().join("missing")), ("no tokenizer.json", folder.path().to_owned())]
    {
        let message = Tokenizer::load(&path).expect_err("refused").to_string();
        assert!(message.contains(reason) && message.contains("electra tokenizer train"), "{message}");
    }
    let other = tokenizer(true).to_json().replace("\"WordPiece\"", "\"WordLevel\"");
    assert!(Tokenizer::from_json_bytes(other.as_bytes()).is_err());
    let other = tokenizer(true).to_json().replace("\"unk_token\": \"[UNK]\"", "\"unk_token\": \"<unk>\"");
    let message = Tokenizer::from_json_bytes(other.as_bytes()).expect_err("refused").to_string();
    assert!(message.contains("unk_token"), "{message}");
}

fn corpus(lines: usize) -> TextSource {
    // Many words with equal counts, so that ties must be broken.
    let document = (0..lines)
        .map(|line| {
            (0..20)
                .map(|word| format!("w{}x{} Étude今", (line * 7 + word * 13) % 97, word % 5))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    TextSource::memory("test", vec![document])
}

#[test]
fn training_is_deterministic_and_gives_what_was_asked() {
    let options = |jobs| TrainOptions { vocab_size: 150, jobs, ..TrainOptions::default() };
    let source = corpus(3000);
    let first = Tokenizer::train(&source, &options(1), &mut quiet).expect("trained");
    // Hash maps are seeded anew for each: four runs would hardly agree by chance.
    for jobs in [1, 2, 3, 5] {
        let again = Tokenizer::train(&source, &options(jobs), &mut quiet).expect("trained");
        assert_eq!(again.tokens(), first.tokens());
        assert_eq!(again.sha256(), first.sha256());
    }
    assert_eq!(first.vocab_size(), 150);
    assert_eq!(first.tokens()[..5], ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]);
    assert_eq!(first.tokens().iter().collect::<HashSet<_>>().len(), 150);
    assert!(!first.encode("w5x1 etude 今 W90X4").contains(&first.special().unknown));
    let cased =
        Tokenizer::train(&source, &TrainOptions { lowercase: false, ..options(2) }, &mut quiet).expect("trained");
    assert!(cased.id("É").is_some() && first.id("É").is_none() && first.id("e").is_some());
}

#[test]
fn a_vocabulary_of_few_pieces_has_the_most_frequent_words_whole() {
    // Eight beginnings with each of twelve endings, "warmation" the most frequent; all of one beginning are equally frequent.
    const BEGINNINGS: [&str; 8] = ["warm", "cold", "dark", "kind", "soft", "loud", "mild", "firm"];
    const ENDINGS: [&str; 12] =
        ["ation", "ness", "ward", "ment", "less", "hood", "ship", "some", "like", "able", "ible", "wise"];
    let words = |place: usize| ENDINGS.map(|ending| format!("{}{ending}", BEGINNINGS[place]));
    let lines = (0..BEGINNINGS.len()).flat_map(|place| vec![words(place).join(" "); 200 - 20 * place]).collect();
    let source = TextSource::memory("test", vec![lines]);
    let train = |pieces, jobs| {
        let options = TrainOptions { vocab_size: 100, pieces, jobs, ..TrainOptions::default() };
        Tokenizer::train(&source, &options, &mut quiet).expect("trained")
    };
    let pieces = |tokenizer: &Tokenizer| {
        let is_piece = |token: &&String| token.starts_with("##") && token.chars().count() > 3;
        tokenizer.tokens().iter().filter(is_piece).count()
    };
    assert!(pieces(&train(None, 1)) > 20, "{:?}", train(None, 1).tokens());
    let few = train(Some(5), 1);
    assert_eq!((few.vocab_size(), few.tokens()), (100, train(Some(5), 3).tokens()));
    assert!((1..=5).contains(&pieces(&few)), "{:?}", few.tokens());
    assert_eq!(pieces(&train(Some(0), 1)), 0);
    let whole = |place: usize| words(place).iter().filter(|word| few.encode(word).len() == 1).count();
    assert_eq!([whole(0), whole(1), whole(7)], [12, 12, 0], "{:?}", few.tokens());
    // Rarer words are read in pieces, as ever.
    assert!(!few.encode("firmwise").contains(&few.special().unknown));
}

#[test]
fn training_says_what_is_too_small() {
    let train = |source: &TextSource, vocab_size| {
        Tokenizer::train(source, &TrainOptions { vocab_size, ..TrainOptions::default() }, &mut quiet)
            .expect_err("refused")
            .to_string()
    };
    assert!(
        train(&corpus(10), 8).contains("vocab_size = 8: the special tokens and the corpus's characters alone take")
    );
    assert!(train(&TextSource::memory("nothing", vec![]), 100).contains("no word found"));
}
