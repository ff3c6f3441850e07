//! Tokenizers for text of other scripts than Latin, and what of a text a vocabulary has no pieces for.

use electra_data::{
    BuildOptions, DataError, LineEncoder, StripAccents, TextSource, Tokenizer, TrainOptions, Trained, build, inspect,
};
use proptest::prelude::*;

use crate::support::quiet;

const HINDI: &str = "लड़का बाज़ार में किताबें खरीदता है। मेरी बहन नदी के किनारे फूलों की टोकरी लेकर आयी।";
const KOREAN: &str = "학생이 시장에서 오래된 시계를 찾았다. 우리 선생님은 강가에서 책을 들고 왔다.";
const JAPANESE: &str = "がくせいはパンとデザートをたべました。ポケットの中に学校の本があります。";
const ARABIC: &str = "ذَهَبَ الطَّالِبُ إلى المدرسة، وقرأ كتابًا آخر.";
const HEBREW: &str = "הַיֶּלֶד קָנָה סֵפֶר בַּשּׁוּק.";
const SYRIAC: &str = "ܡܠܟ̈ܐ ܘܟܬܒ̈ܐ";
const THAI: &str = "เด็กนักเรียนที่ตลาดค้นหาหนังสือเล่มใหม่และกล่องไม้ใบใหญ่จะๆน้ำท่วม";
const LAO: &str = "ປະເທດລາວເປັນປະເທດໜຶ່ງໃນອາຊີຕາເວັນອອກສຽງໃຕ້ນ້ຳ";
const KHMER: &str = "ប្រទេសកម្ពុជាជាប្រទេសមួយនៅក្នុងអាស៊ីអាគ្នេយ៍ផ្សារកណ្តាលចាប់ផ្ដើមក្រុមហ៊ុន";
const BURMESE: &str = "မြန်မာနိုင်ငံသည်အရှေ့တောင်အာရှတွင်တည်ရှိသောနိုင်ငံဖြစ်သည်အင်္ဂလိပ်မန္တလေးတက္ကသိုလ်";
const GERMAN: &str = "Die Ärztin möchte schöne Äpfel. Über der Brücke müßte man drei Bücher suchen.";
const GREEK: &str = "Ο μαθητής διάβασε ένα βιβλίο. Ταξίδεψε στην Αθήνα.";
const RUSSIAN: &str = "Ёлка стоит в чаще, и мой брат её нашёл. Россия́не";
const MATHEMATICS: &str = "if a ≠ b then a ≤ b";

const ALL: [&str; 14] =
    [HINDI, KOREAN, JAPANESE, ARABIC, HEBREW, SYRIAC, THAI, LAO, KHMER, BURMESE, GERMAN, GREEK, RUSSIAN, MATHEMATICS];

fn train_on(texts: &[&str], options: TrainOptions) -> Trained {
    let document = texts.iter().cycle().take(4 * texts.len()).map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let source = TextSource::memory("test", vec![document]);
    Tokenizer::train_with_report(&source, &options, &mut quiet).expect("trained")
}

fn options() -> TrainOptions {
    TrainOptions { vocab_size: 2000, jobs: 1, ..TrainOptions::default() }
}

/// The text that tokens stand for, words without what is between them.
fn said(tokenizer: &Tokenizer, text: &str) -> String {
    let tokens = tokenizer.encode(text).into_iter().map(|id| tokenizer.token(id).expect("known"));
    tokens.map(|token| token.strip_prefix("##").map(str::to_owned).unwrap_or(token)).collect()
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).collect()
}

/// As the default rules leave letters whose marks they keep.
fn composed_and_lowercased(text: &str) -> String {
    let mut text = tokenizers::NormalizedString::from(text);
    text.nfc();
    text.get().to_lowercase()
}

fn published(tokenizer: &Tokenizer) -> serde_json::Value {
    let folder = tempfile::tempdir().expect("a temporary folder");
    tokenizer.save(folder.path()).expect("saved");
    let bytes = std::fs::read(folder.path().join("tokenizer_config.json")).expect("written");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[test]
fn no_script_loses_a_sign_by_default() {
    for text in [HINDI, KOREAN, JAPANESE, ARABIC, HEBREW, SYRIAC, THAI, LAO, KHMER, BURMESE, MATHEMATICS] {
        let trained = train_on(&[text], options());
        assert_eq!(trained.unknown.unknown, 0, "{text}");
        assert_eq!(said(&trained.tokenizer, text), squeezed(&composed_and_lowercased(text)), "{text}");
    }
}

#[test]
fn accents_of_latin_greek_and_cyrillic_are_stripped_by_default_and_kept_when_asked() {
    for (text, stripped, kept) in [
        ("Schöne Äpfel", "schoneapfel", "schöneäpfel"),
        ("διάβασε ένα", "διαβασεενα", "διάβασεένα"),
        ("мой Ёлка", "моиелка", "мойёлка"),
    ] {
        let train = |strip_accents| {
            train_on(&[GERMAN, GREEK, RUSSIAN, text], TrainOptions { strip_accents, ..options() }).tokenizer
        };
        assert_eq!(said(&train(StripAccents::Auto), text), stripped);
        assert_eq!(said(&train(StripAccents::Always), text), stripped);
        assert_eq!(said(&train(StripAccents::Never), text), kept);
    }
    // Beside text whose marks stay, too; and nothing is stripped where capitals are kept.
    let mixed = train_on(&ALL, options()).tokenizer;
    assert_eq!(said(&mixed, "Über में Ёлка"), "uberमेंелка");
    let cased = train_on(&ALL, TrainOptions { lowercase: false, ..options() }).tokenizer;
    assert_eq!(said(&cased, "Über में Ёлка"), "ÜberमेंЁлка");
}

#[test]
fn text_in_alphabets_gets_exactly_berts_tokenizer_and_other_text_another_class() {
    for texts in [&[GERMAN][..], &[GERMAN, GREEK, RUSSIAN], &["plain English text", "中文 is cut by character"]] {
        let settings = published(&train_on(texts, options()).tokenizer);
        assert_eq!(settings["tokenizer_class"], "BertTokenizer", "{texts:?}");
        assert_eq!((&settings["do_lower_case"], &settings["strip_accents"]), (&true.into(), &serde_json::Value::Null));
    }
    for text in [HINDI, KOREAN, JAPANESE, ARABIC, HEBREW, SYRIAC, THAI, LAO, KHMER, BURMESE, MATHEMATICS] {
        let settings = published(&train_on(&[GERMAN, text], options()).tokenizer);
        assert_eq!(settings["tokenizer_class"], "PreTrainedTokenizerFast", "{text}");
    }
    let never = train_on(&[HINDI], TrainOptions { strip_accents: StripAccents::Never, ..options() }).tokenizer;
    assert_eq!(published(&never)["strip_accents"], false);
}

#[test]
fn a_sentence_without_blanks_is_cut_into_syllables_wherever_it_stands() {
    let tokenizer = train_on(&[THAI, LAO, KHMER, BURMESE], options()).tokenizer;
    for text in [THAI, LAO, KHMER, BURMESE] {
        // As one long line, 100,000 characters without a blank.
        let long = text.repeat(100_000 / text.chars().count());
        let ids = tokenizer.encode(&long);
        assert!(!ids.contains(&tokenizer.special().unknown), "{text}");
        let longest = ids.iter().map(|&id| tokenizer.token(id).expect("known").chars().count()).max();
        assert!(longest < Some(100), "{longest:?}");
        let mut fast = Vec::new();
        LineEncoder::new(&tokenizer).encode_into(&long, &mut fast);
        assert!(fast == ids, "{text}");
    }
    // The same word has the same tokens after any other.
    for (before, word) in [("ซื้อ", "เรียน"), ("และ", "เรียน"), ("ក្នុង", "ជា"), ("កម្ពុ", "ជា"), ("သည်", "နိုင်ငံ"), ("မာ", "နိုင်ငံ")]
    {
        let alone = tokenizer.encode(word);
        let joined = tokenizer.encode(&format!("{before}{word}"));
        assert_eq!(joined[joined.len() - alone.len()..], alone, "{before}{word}");
    }
}

#[test]
fn the_alphabet_grows_with_the_vocabulary_and_what_is_left_out_is_said() {
    // 1,800 characters, the rare ones eight times.
    let character = |index: u32| char::from_u32(0x4e00 + index).expect("a character");
    let text: String = (0..1800).flat_map(|index| vec![character(index); 8 + (1800 - index as usize) / 30]).collect();
    let train =
        |vocab_size, alphabet_limit| train_on(&[&text], TrainOptions { vocab_size, alphabet_limit, ..options() });
    let roomy = train(4000, None);
    assert_eq!(roomy.unknown.share(), roomy.left_out.as_ref().map_or(0.0, |left| left.share));
    assert!(roomy.unknown.share() < 2e-4, "{:?}", roomy.left_out);
    // Half of the vocabulary is for words, but a thousand characters are taken in any case.
    let tight = train(2400, None);
    let left = tight.left_out.expect("some are left out");
    assert_eq!((left.kept, left.characters), (1200, 600));
    assert_eq!(left.examples[0], character(1200));
    assert!(tight.unknown.is_notable() && tight.unknown.words[0].word == character(1200).to_string());
    let limited = train(4000, Some(1500));
    assert_eq!(limited.left_out.map(|left| left.kept), Some(1500));
}

#[test]
fn training_names_words_that_are_too_long() {
    let long = "x".repeat(150);
    let train = |text: &str| {
        let source = TextSource::memory("test", vec![vec![text.to_owned()]]);
        Tokenizer::train_with_report(&source, &TrainOptions { vocab_size: 100, ..options() }, &mut quiet)
    };
    let message = train(&format!("{long} {long}")).expect_err("nothing to train on").to_string();
    assert!(message.contains("all 2 words are longer than 100 characters"), "{message}");
    let unknown = train(&format!("a {long} b")).expect("trained").unknown;
    assert_eq!((unknown.tokens, unknown.unknown), (3, 1));
    assert_eq!(unknown.words[0].count, 1);
}

#[test]
fn a_dataset_of_text_that_the_vocabulary_cannot_say_is_refused_unless_asked_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tokenizer = train_on(&[GERMAN], options()).tokenizer;
    let lines: Vec<String> = (0..200).map(|_| HINDI.to_owned()).collect();
    let source = TextSource::memory("hindi", vec![lines]);
    let make = |jobs, allow_unknown| {
        let out = folder.path().join(format!("{jobs}{allow_unknown}"));
        let options = BuildOptions { jobs, allow_unknown, ..BuildOptions::default() };
        (build(&source, &tokenizer, &out, &options, &mut quiet), out)
    };
    let (refused, out) = make(1, false);
    let error = refused.expect_err("mostly unknown");
    assert!(matches!(error, DataError::Unknown { .. }) && !out.exists());
    let message = error.to_string();
    for part in ["% of the tokens are [UNK]", "no piece for", "--allow-unknown", "tokenizer train"] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    let (manifest, out) = make(1, true);
    let manifest = manifest.expect("asked for");
    let unknown = manifest.unknown.clone().expect("counted");
    assert!(unknown.is_refused() && unknown.words.iter().any(|word| word.count >= 200), "{unknown:?}");
    assert_eq!(unknown.tokens, manifest.train.tokens + manifest.validation.tokens);
    assert_eq!(make(3, true).0.expect("asked for").unknown, manifest.unknown, "whatever the number of threads");
    let seen = inspect(&out, 32, Default::default(), 0, 0).expect("a dataset");
    assert!(seen.unknown_warning.is_some_and(|warning| warning.contains("[UNK]")));
}

#[test]
fn a_share_of_unknown_tokens_is_counted_exactly_and_with_its_words() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tokenizer = train_on(&[GERMAN], options()).tokenizer;
    // Remembered or not, in a chunk with punctuation or by itself: each is one.
    let lines = ["die 漢 über, «漢» 漢字 möchte 漢,漢 漢", "with a [MASK] 漢, a line goes another way: 漢漢"];
    let unknown = tokenizer.special().unknown;
    let expected = lines.iter().flat_map(|line| tokenizer.encode(line)).filter(|&id| id == unknown).count() as u64;
    let source = TextSource::memory("some", vec![lines.repeat(50).into_iter().map(String::from).collect(); 8]);
    let options = BuildOptions { allow_unknown: true, ..BuildOptions::default() };
    let manifest = build(&source, &tokenizer, folder.path().join("out"), &options, &mut quiet).expect("built");
    let unknown = manifest.unknown.expect("counted");
    assert_eq!(unknown.unknown, 400 * expected);
    assert_eq!((unknown.words[0].word.as_str(), unknown.words[0].count), ("漢", 400 * 9));
}

/// Text of many scripts, with what makes rules differ.
fn mixed_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(ALL.iter().flat_map(|text| text.split(' ')).collect::<Vec<_>>()).prop_map(String::from),
        2 => "[a-zA-Z0-9]{1,6}",
        2 => "[ \t.,!-]{1,2}",
        // Letters and signs of these blocks in any order, as nobody writes them.
        2 => "[\u{e00}-\u{e5b}\u{e80}-\u{edf}]{1,8}",
        2 => "[\u{1000}-\u{109f}]{1,8}",
        2 => "[\u{1780}-\u{17dd}]{1,8}",
        1 => "[\u{900}-\u{97f}\u{300}-\u{310}a-c]{1,6}",
        1 => "[\u{3040}-\u{30ff}\u{1100}-\u{11ff}]{1,5}",
        1 => any::<char>().prop_map(String::from),
        1 => prop::sample::select(vec![
            "é", "e\u{301}", "\u{301}", "a\u{323}\u{301}", "❤\u{fe0f}", "≠", "=\u{338}", "\u{200b}", "\u{200d}", "İ", "ΟΔΥΣΣΕΥΣ",
            "ﬁ", "ｔｈｅ", "[MASK]", "今", "\u{212b}", "क़", "\u{958}",
        ]).prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

/// The tokenizer of all scripts, and variants of it with other normalisers, as files from elsewhere have them.
fn variants() -> Vec<Tokenizer> {
    let careful = train_on(&ALL, options()).tokenizer;
    let json: serde_json::Value = serde_json::from_str(&careful.to_json()).expect("JSON");
    let mut variants = vec![careful];
    let bert = |lowercase: bool, strip: Option<bool>, chinese: bool| {
        serde_json::json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": chinese,
            "strip_accents": strip, "lowercase": lowercase})
    };
    for lowercase in [false, true] {
        for strip in [None, Some(false), Some(true)] {
            for chinese in [false, true] {
                for around in ["", "NFC", "NFD", "NFKC", "NFKD", "Lowercase"] {
                    let mut value = json.clone();
                    let bert = bert(lowercase, strip, chinese);
                    value["normalizer"] = match around {
                        "" => bert,
                        step => serde_json::json!({"type": "Sequence", "normalizers": [{"type": step}, bert]}),
                    };
                    if !chinese {
                        value["pre_tokenizer"] = serde_json::json!({"type": "BertPreTokenizer"});
                    }
                    variants.push(Tokenizer::from_json_bytes(value.to_string().as_bytes()).expect("parsed"));
                }
            }
        }
    }
    variants
}

/// A tokenizer as `transformers` has it from a saved folder: BERT's class builds its rules from tokenizer_config.json, the
/// other takes tokenizer.json. tests/transformers holds this against both releases.
fn as_transformers_loads(folder: &std::path::Path) -> tokenizers::Tokenizer {
    use tokenizers::normalizers::BertNormalizer;
    let mut inner = tokenizers::Tokenizer::from_file(folder.join("tokenizer.json")).expect("a tokenizer");
    let bytes = std::fs::read(folder.join("tokenizer_config.json")).expect("written");
    let settings: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    if settings["tokenizer_class"] == "BertTokenizer" {
        let flag = |key: &str| settings[key].as_bool().expect("a flag");
        let chinese = flag("tokenize_chinese_chars");
        let strip = settings["strip_accents"].as_bool();
        inner.with_normalizer(Some(BertNormalizer::new(true, chinese, strip, flag("do_lower_case"))));
        inner.with_pre_tokenizer(Some(tokenizers::pre_tokenizers::bert::BertPreTokenizer));
    }
    inner
}

#[test]
fn whatever_the_settings_everyone_who_reads_the_files_gets_the_same_ids() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut readers = Vec::new();
    let mut bert = 0;
    for (number, tokenizer) in variants().into_iter().enumerate() {
        let path = folder.path().join(number.to_string());
        tokenizer.save(&path).expect("saved");
        let again = Tokenizer::import(&path, &Default::default()).expect("imported");
        assert_eq!(again.tokenizer.sha256(), tokenizer.sha256());
        bert += usize::from(published(&tokenizer)["tokenizer_class"] == "BertTokenizer");
        readers.push((
            tokenizer,
            as_transformers_loads(&path),
            tokenizers::Tokenizer::from_file(path.join("tokenizer.json")).expect("JSON"),
        ));
    }
    assert_eq!(bert, 6, "those that are exactly BERT's");
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 300, ..ProptestConfig::default() });
    let lines = prop::collection::vec(mixed_text(), 1..4);
    let checked = runner.run(&(lines, 0..readers.len()), |(lines, which)| {
        // The tokenizer of ours is one of many: it has its turn each time.
        for (tokenizer, published, file) in [&readers[0], &readers[which]] {
            let mut encoder = LineEncoder::new(tokenizer);
            for line in lines.iter().chain(&lines) {
                let ids = tokenizer.encode(line);
                let mut fast = Vec::new();
                encoder.encode_into(line, &mut fast);
                prop_assert_eq!(&fast, &ids, "fast path, {:?}", line);
                for other in [published, file] {
                    let theirs = other.encode(line.as_str(), false).expect("encoded");
                    prop_assert_eq!(theirs.get_ids(), &ids, "{:?}", line);
                }
            }
        }
        Ok(())
    });
    if let Err(failure) = checked {
        panic!("{failure}");
    }
}
