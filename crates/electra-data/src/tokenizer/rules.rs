//! From text to words: normalisers and pre-tokenisers, and which of them a new tokenizer gets.
//!
//! BERT's uncased rules take every mark off every letter and cut words at blanks. That suits Latin letters and loses text
//! elsewhere: Hindi without vowel signs, Korean taken apart into letters, a Thai sentence that is one word and so [UNK].
//! What replaces them there is made of steps that every reader of a tokenizer.json knows (Hugging Face's tokenizers with
//! either of its two engines for regular expressions, JavaScript's ports of it), so that all give the same ids. Classes of
//! characters are therefore written out: \p{...} depends on an engine's version of Unicode, and escapes on its syntax.

use serde_json::Value;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{BertNormalizer, Lowercase, NFC, NFD, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{
    NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    SplitDelimiterBehavior,
};

/// Marks above and below Latin, Greek and Cyrillic letters, in decomposed text, and the selectors of emoji and of variants,
/// which are marks of no script. Look-behind, since the same marks belong to other scripts too: a Syriac plural, "≠".
const ACCENTS: &str = concat!(
    "(?<=[A-Za-zªºÀ-ÖØ-öø-ʯͰ-ͽͿ-ϡϰ-ҁҊ-ԯᲀ-ᲈᴀ-ᶿḀ-῾Ⱡ-ⱿꙀ-ꙮꚀ-ꚝꜢ-ꟿꬰ-ꭤＡ-Ｚａ-ｚ])",
    "[\u{300}-\u{36f}\u{483}-\u{487}\u{1ab0}-\u{1abd}\u{1abf}-\u{1ace}\u{1dc0}-\u{1dff}\u{20d0}-\u{20dc}\u{20e1}",
    "\u{20e5}-\u{20f0}\u{2de0}-\u{2dff}\u{a66f}\u{a674}-\u{a67d}\u{a69e}\u{a69f}\u{fe20}-\u{fe2f}]+",
    "|[\u{fe00}-\u{fe0f}\u{e0100}-\u{e01ef}]+",
);

/// Stretches of Thai, Lao, Khmer and Burmese between places that surely divide syllables, whatever the words are: before
/// a vowel that is written in front of its consonant and behind one that ends a syllable (Thai, Lao), before a consonant that
/// bears a vowel (Khmer) or no sign that it ends a syllable (Burmese). A cut that depended on more could fall elsewhere in
/// another sentence, and the same word would get other pieces. At most 25 consonants are a stretch; signs without a
/// consonant are one too.
const SYLLABLES: &str = concat!(
    // Thai.
    "[เ-ไ]*(?:[ก-ฮ][\u{e31}\u{e32}\u{e34}-\u{e3a}\u{e45}\u{e47}-\u{e4e}]*){1,24}(?:[ฯะำๆ][\u{e47}-\u{e4e}]*)*",
    "|[เ-ไ]+|[ฯ-\u{e3a}\u{e45}-\u{e4e}]+",
    // Lao.
    "|[ເ-ໄ]*(?:[ກ-ຮໜ-ໟ][\u{eb1}\u{eb2}\u{eb4}-\u{ebd}\u{ec8}-\u{ece}]*){1,24}(?:[ຯະຳໆ][\u{ec8}-\u{ece}]*)*",
    "|[ເ-ໄ]+|[ຯ-\u{ebd}ໆ-\u{ece}]+",
    // Khmer; U+17D2 joins a consonant to the one before it.
    "|[ក-ឳ](?:\u{17d2}[ក-ឳ])*[\u{17b4}-\u{17d1}\u{17d3}\u{17dd}]*",
    "(?:[ក-ឳ](?:\u{17d2}[ក-ឳ])*[\u{17c9}-\u{17d1}\u{17d3}\u{17dd}]*(?![\u{17b4}-\u{17d3}\u{17dd}])){0,24}ៗ*",
    "|[\u{17b4}-\u{17d3}ៗ\u{17dc}\u{17dd}]+",
    // Burmese, Shan and other languages of that script; U+1039 joins consonants, U+103A ends a syllable.
    "|[က-ဪဿၐ-ၕၚ-ၝၡၥၦၮ-ၰၵ-ႁႎꧠ-ꧤꧧ-ꧯꧺ-ꧾꩠ-ꩶꩺꩾꩿ]",
    "(?:[\u{102b}-\u{1038}\u{103a}-\u{103e}\u{1056}-\u{1059}\u{105e}-\u{1060}\u{1062}-\u{1064}\u{1067}-\u{106d}",
    "\u{1071}-\u{1074}\u{1082}-\u{108d}\u{108f}\u{109a}-\u{109d}\u{a9e5}\u{aa7b}-\u{aa7d}]",
    "|\u{1039}[က-ဪဿၐ-ၕၚ-ၝၡၥၦၮ-ၰၵ-ႁႎꧠ-ꧤꧧ-ꧯꧺ-ꧾꩠ-ꩶꩺꩾꩿ]",
    "|[က-ဪဿၐ-ၕၚ-ၝၡၥၦၮ-ၰၵ-ႁႎꧠ-ꧤꧧ-ꧯꧺ-ꧾꩠ-ꩶꩺꩾꩿ](?=\u{1037}?[\u{1039}\u{103a}])){0,24}",
    "|[\u{102b}-\u{103e}\u{1056}-\u{1059}\u{105e}-\u{1060}\u{1062}-\u{1064}\u{1067}-\u{106d}\u{1071}-\u{1074}",
    "\u{1082}-\u{108d}\u{108f}\u{109a}-\u{109d}\u{a9e5}\u{aa7b}-\u{aa7d}]+",
);

/// Whether BERT's normaliser puts blanks around a character: the CJK ideographs, but not kana and Hangul.
pub(crate) fn is_chinese(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2a6df}'
        | '\u{2a700}'..='\u{2b81f}' | '\u{2b920}'..='\u{2ceaf}' | '\u{2f800}'..='\u{2fa1f}')
}

/// Whether a character is of a script that writes sentences without blanks between words.
fn is_unspaced(character: char) -> bool {
    matches!(character, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{a9e0}'..='\u{a9ff}'
        | '\u{aa60}'..='\u{aa7f}')
}

/// Which marks a tokenizer takes off letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StripAccents {
    /// As BERT where text is lowercased, but of Latin, Greek and Cyrillic letters alone; none where capitals are kept.
    /// For a vocabulary from elsewhere: what its files say, else what its pieces show.
    #[default]
    Auto,
    /// All marks of all scripts, as BERT's uncased models do.
    Always,
    /// None.
    Never,
}

impl StripAccents {
    /// What was asked for; `None` for [`StripAccents::Auto`].
    pub(crate) fn asked(self) -> Option<bool> {
        match self {
            Self::Auto => None,
            Self::Always => Some(true),
            Self::Never => Some(false),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marks {
    /// As BERT's `strip_accents` says; `None`: taken off where text is lowercased.
    Bert(Option<bool>),
    /// Taken off Latin, Greek and Cyrillic letters.
    OfAlphabets,
}

/// The rules that a tokenizer of ours is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TextRules {
    lowercase: bool,
    marks: Marks,
    /// Whether each Chinese character is a word.
    cut_chinese: bool,
    /// Whether [`SYLLABLES`] are words.
    cut_syllables: bool,
}

impl TextRules {
    /// BERT's, with its settings.
    pub(crate) fn bert(lowercase: bool, strip_accents: Option<bool>, cut_chinese: bool) -> Self {
        Self { lowercase, marks: Marks::Bert(strip_accents), cut_chinese, cut_syllables: false }
    }

    /// The rules that lose nothing of any script, for text yet to be seen; [`TextRules::simplified`] once it has been.
    pub(crate) fn careful(lowercase: bool, strip_accents: StripAccents) -> Self {
        let marks = match strip_accents {
            StripAccents::Auto if lowercase => Marks::OfAlphabets,
            // BERT's own word for what happens to text that keeps its capitals.
            StripAccents::Auto => Marks::Bert(None),
            asked => Marks::Bert(asked.asked()),
        };
        Self { lowercase, marks, cut_chinese: true, cut_syllables: true }
    }

    /// These rules without what changes none of `words`, which they cut: exactly BERT's for a text in alphabets, so that
    /// its tokenizer is one that every program for BERT reads.
    pub(crate) fn simplified<'w>(self, words: impl Iterator<Item = &'w str> + Clone) -> Self {
        let mut beyond_ascii = words.filter(|word| !word.is_ascii());
        let cut_syllables = self.cut_syllables && beyond_ascii.clone().any(|word| word.chars().any(is_unspaced));
        let bert = BertNormalizer::new(true, false, None, self.lowercase);
        let marks = match self.marks {
            Marks::OfAlphabets if beyond_ascii.all(|word| normalized(&bert, word) == word) => Marks::Bert(None),
            marks => marks,
        };
        Self { marks, cut_syllables, ..self }
    }

    pub(crate) fn of_chunks(&self) -> ChunkRules {
        ChunkRules { lowercase: self.lowercase, cut_chinese: self.cut_chinese }
    }

    pub(crate) fn normalizer(&self) -> NormalizerWrapper {
        let bert = |strip_accents, lowercase| BertNormalizer::new(true, self.cut_chinese, strip_accents, lowercase);
        match self.marks {
            Marks::Bert(strip_accents) => bert(strip_accents, self.lowercase).into(),
            Marks::OfAlphabets => {
                let accents = Replace::new(ReplacePattern::Regex(ACCENTS.into()), "").expect("a valid pattern");
                let mut steps: Vec<NormalizerWrapper> =
                    vec![bert(Some(false), false).into(), NFD.into(), accents.into(), NFC.into()];
                if self.lowercase {
                    steps.push(Lowercase.into());
                }
                Normalizers::new(steps).into()
            }
        }
    }

    pub(crate) fn pre_tokenizer(&self) -> PreTokenizerWrapper {
        if !self.cut_syllables {
            return BertPreTokenizer.into();
        }
        let pattern = SplitPattern::Regex(SYLLABLES.into());
        let syllables = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).expect("a valid pattern");
        PreTokenizers::new(vec![BertPreTokenizer.into(), syllables.into()]).into()
    }
}

/// `text` as `normalizer` makes it; as it was where that fails, as a tokenizer's file from elsewhere might.
pub(crate) fn normalized(normalizer: &impl Normalizer, text: &str) -> String {
    let mut string = NormalizedString::from(text);
    match normalizer.normalize(&mut string) {
        Ok(()) => string.get().to_owned(),
        Err(_) => text.to_owned(),
    }
}

/// Cuts text into words: a tokenizer's normaliser and pre-tokeniser without its vocabulary.
#[derive(Debug, Clone)]
pub(crate) struct WordCutter {
    normalizer: NormalizerWrapper,
    pre_tokenizer: PreTokenizerWrapper,
}

impl WordCutter {
    pub(crate) fn new(rules: &TextRules) -> Self {
        Self { normalizer: rules.normalizer(), pre_tokenizer: rules.pre_tokenizer() }
    }

    pub(crate) fn of(tokenizer: &tokenizers::Tokenizer) -> Option<Self> {
        let (normalizer, pre_tokenizer) = (tokenizer.get_normalizer()?, tokenizer.get_pre_tokenizer()?);
        Some(Self { normalizer: normalizer.clone(), pre_tokenizer: pre_tokenizer.clone() })
    }

    /// Calls `found` with every word of `text`, normalised, in order. False where a rule fails, which ours never do.
    pub(crate) fn for_each_word(&self, text: &str, mut found: impl FnMut(&str)) -> bool {
        let mut cut = PreTokenizedString::from(text);
        let done = cut
            .normalize(|part| self.normalizer.normalize(part))
            .and_then(|()| self.pre_tokenizer.pre_tokenize(&mut cut));
        if done.is_err() {
            return false;
        }
        for (word, _, _) in cut.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
            if !word.is_empty() {
                found(word);
            }
        }
        true
    }
}

/// What is left of rules where text is cut into chunks before they see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkRules {
    pub(crate) lowercase: bool,
    /// Whether a chunk may be cut at [`is_chinese`] characters too.
    pub(crate) cut_chinese: bool,
}

/// Whether text may be cut at blanks before `description`'s rules see it; `None` where words could depend on what stands
/// beyond a blank, or ASCII text on more than lowering and BERT's cleaning.
pub(crate) fn chunk_rules(description: &Value) -> Option<ChunkRules> {
    let mut normalizers = Vec::new();
    flatten(&description["normalizer"], "normalizers", &mut normalizers);
    let mut pre_tokenizers = Vec::new();
    flatten(&description["pre_tokenizer"], "pretokenizers", &mut pre_tokenizers);
    let cleans = normalizers.iter().any(|step| step["type"] == "BertNormalizer" && step["clean_text"] == true);
    let known_normalizers = normalizers.iter().all(|step| match step["type"].as_str() {
        Some("BertNormalizer" | "NFC" | "NFD" | "NFKC" | "NFKD" | "Lowercase" | "StripAccents") => true,
        Some("Replace") => step["pattern"]["Regex"] == ACCENTS && step["content"] == "",
        _ => false,
    });
    let known_pre_tokenizers = pre_tokenizers.first().is_some_and(|step| step["type"] == "BertPreTokenizer")
        && pre_tokenizers[1..]
            .iter()
            .all(|step| step["pattern"]["Regex"] == SYLLABLES && step["behavior"] == "Isolated");
    let rules = ChunkRules {
        lowercase: normalizers.iter().any(|step| step["type"] == "Lowercase" || step["lowercase"] == true),
        cut_chinese: normalizers.iter().any(|step| step["handle_chinese_chars"] == true),
    };
    (cleans && known_normalizers && known_pre_tokenizers).then_some(rules)
}

/// The steps of a sequence, in order, or the one step that stands by itself.
fn flatten<'v>(step: &'v Value, key: &str, steps: &mut Vec<&'v Value>) {
    match step[key].as_array() {
        Some(inner) if step["type"] == "Sequence" => inner.iter().for_each(|step| flatten(step, key, steps)),
        _ => steps.push(step),
    }
}
