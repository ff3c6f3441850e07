//! Text to token ids and back: the `tokenizers` crate behind what ELECTRA needs from it.
//!
//! A [`Tokenizer`] is BERT's: normaliser, pre-tokeniser, WordPiece. What a file says on truncation and padding is
//! dropped, since cutting and padding are the packer's work; a post-processor is kept for those who load the saved folder
//! elsewhere, but never used here. [`Tokenizer::sha256`] identifies whatever decides ids, so that shards and checkpoints
//! can refuse a tokenizer that isn't theirs.

pub mod files;
#[cfg_attr(not(feature = "native"), allow(dead_code))]
mod rules;
mod settings;
mod train;
#[cfg(feature = "native")]
mod train_source;
#[cfg_attr(not(feature = "native"), allow(dead_code))]
mod unknown;
#[cfg_attr(not(feature = "native"), allow(dead_code))]
mod vocabulary;
#[cfg_attr(not(feature = "native"), allow(dead_code))]
pub(crate) mod words;

use ahash::AHashMap;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, PostProcessorWrapper};

use crate::error::{DataError, Result};
pub use files::{ImportOptions, Imported};
pub use rules::StripAccents;
use rules::{TextRules, normalized};
pub use train::{LeftOutCharacters, TrainOptions, Trained};
pub(crate) use unknown::UnknownWords;
pub use unknown::{NOTABLE_SHARE, REFUSED_SHARE, UnknownTokens, UnknownWord};
pub use vocabulary::{TokenKind, Unreachable};
use vocabulary::{fill_holes, parse_vocab, placeholder};
pub use words::LineEncoder;

/// Names of the special tokens in BERT's vocabularies, in the order in which a trained vocabulary starts.
pub const SPECIAL_NAMES: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

const SPECIAL_REMEDY: &str = "ELECTRA needs [PAD], [UNK], [CLS], [SEP] and [MASK] in its vocabulary: \
     add them, or train a vocabulary with \"electra tokenizer train\"";

/// Ids of the tokens that have a role of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct SpecialTokens {
    /// [PAD], behind an example.
    pub pad: u32,
    /// [UNK], for words that the vocabulary has no pieces for.
    pub unknown: u32,
    /// [CLS], before an example.
    pub cls: u32,
    /// [SEP], behind each of its segments.
    pub sep: u32,
    /// [MASK], in place of a token that is to be predicted.
    pub mask: u32,
}

/// A vocabulary and the rules that turn text into its ids.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    special: SpecialTokens,
    vocab_size: usize,
    lowercase: bool,
    strips_accents: bool,
    sha256: String,
    /// Tokens that the networks it is for can take, where its files say. No part of the hash: it decides no ids.
    max_length: Option<usize>,
    /// Set where text can be cut into words beforehand, see [`words`].
    word_rules: Option<words::WordRules>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size)
            .field("lowercase", &self.lowercase)
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads the text of a `tokenizer.json`. Its truncation and padding sections are dropped.
    ///
    /// # Errors
    /// Malformed JSON, and a vocabulary that lacks one of the special tokens.
    pub fn from_json_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_json(bytes, "tokenizer.json")
    }

    pub(crate) fn from_json(bytes: &[u8], path: &str) -> Result<Self> {
        Self::from_json_value(parse_json(bytes, path)?, path)
    }

    pub(crate) fn from_json_value(mut value: Value, path: &str) -> Result<Self> {
        let remedy = "expected a tokenizer.json as Hugging Face tokenizers writes it";
        let Some(fields) = value.as_object_mut() else {
            return Err(DataError::tokenizer(path, "the JSON is not an object", remedy));
        };
        check_kind(fields.get("model").unwrap_or(&Value::Null), path)?;
        // Dropped before parsing: these sections decide nothing here and may be of a version that the crate can't read.
        fields.insert("truncation".into(), Value::Null);
        fields.insert("padding".into(), Value::Null);
        if let Some(vocab) = fields.get_mut("model").and_then(|model| model.get_mut("vocab")?.as_object_mut()) {
            fill_holes(vocab, path)?;
        }
        let inner: tokenizers::Tokenizer = serde_json::from_value(value)
            .map_err(|error| DataError::tokenizer(path, format!("not a tokenizer: {error}"), remedy))?;
        Self::from_inner(inner, path)
    }

    /// BERT's tokenizer over the tokens of a `vocab.txt`, one a line, the line's number being the id.
    ///
    /// `lowercase` also strips accents, as BERT's uncased models do. Of a token that stands there twice the last line counts.
    ///
    /// # Errors
    /// A vocabulary that is not UTF-8, or lacks one of the special tokens.
    pub fn from_vocab_bytes(bytes: &[u8], lowercase: bool) -> Result<Self> {
        let rules = TextRules::bert(lowercase, None, true);
        Self::from_vocab(&parse_vocab(bytes, "vocab.txt")?.tokens, &rules, "vocab.txt")
    }

    pub(crate) fn from_vocab(tokens: &[String], rules: &TextRules, path: &str) -> Result<Self> {
        let ids: AHashMap<String, u32> =
            tokens.iter().enumerate().map(|(id, token)| (token.clone(), id as u32)).collect();
        require_special(|name| ids.get(name).copied(), path)?;
        let model = WordPiece::builder()
            .vocab(ids)
            .unk_token("[UNK]".into())
            .build()
            .map_err(|error| DataError::tokenizer(path, error, "check the vocabulary"))?;
        let mut inner = tokenizers::Tokenizer::new(model);
        inner.with_normalizer(Some(rules.normalizer()));
        inner.with_pre_tokenizer(Some(rules.pre_tokenizer()));
        inner.with_decoder(Some(WordPieceDecoder::default()));
        Self::from_inner(inner, path)
    }

    fn from_inner(mut inner: tokenizers::Tokenizer, path: &str) -> Result<Self> {
        let special = require_special(|name| inner.token_to_id(name), path)?;
        // Whoever loads the folder makes special tokens of them, spelled out in a text or not; so does this.
        let added = inner.get_added_tokens_decoder();
        let missing = SPECIAL_NAMES.into_iter().filter(|name| !added.values().any(|token| token.content == *name));
        inner.add_special_tokens(&missing.map(|name| AddedToken::from(name, true)).collect::<Vec<_>>());
        if inner.get_post_processor().is_none() {
            // Networks see every text between these two, whoever cuts it into tokens.
            let frame = BertProcessing::new(("[SEP]".into(), special.sep), ("[CLS]".into(), special.cls));
            inner.with_post_processor(Some(PostProcessorWrapper::from(frame)));
        }
        // The largest id and not the count: added tokens may have any id, and an embedding table is indexed by id.
        let vocab_size = inner.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1);
        let description =
            serde_json::to_value(&inner).map_err(|error| DataError::tokenizer(path, error, "check the vocabulary"))?;
        let model = &description["model"];
        if model["unk_token"] != "[UNK]" {
            let reason = format!("the model's unk_token is {} and not \"[UNK]\"", model["unk_token"]);
            return Err(DataError::tokenizer(path, reason, SPECIAL_REMEDY));
        }
        let sha256 = sha256_of_rules(&description);
        let word_rules = words::WordRules::of(&description, &inner);
        let becomes = |text, made: &str| inner.get_normalizer().is_some_and(|rules| normalized(rules, text) == made);
        Ok(Self {
            lowercase: becomes("A", "a"),
            strips_accents: becomes("é", "e"),
            inner,
            special,
            vocab_size,
            sha256,
            max_length: None,
            word_rules,
        })
    }

    /// Ids of `text`, without [CLS] and [SEP]. Special tokens written out in the text become their ids, as in BERT's own.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        match self.inner.encode_fast(text, false) {
            Ok(encoding) => encoding.get_ids().to_vec(),
            Err(_) => self.unknown_text(text).0,
        }
    }

    /// Ids of `text` and for each the byte range in `text` that it came from.
    pub fn encode_with_offsets(&self, text: &str) -> (Vec<u32>, Vec<(usize, usize)>) {
        match self.inner.encode(text, false) {
            Ok(encoding) => (encoding.get_ids().to_vec(), encoding.get_offsets().to_vec()),
            Err(_) => self.unknown_text(text),
        }
    }

    /// A text that the rules fail on is one unknown word. BERT's rules never fail: this needs an imported tokenizer whose
    /// regular expressions give up on the text.
    fn unknown_text(&self, text: &str) -> (Vec<u32>, Vec<(usize, usize)>) {
        (vec![self.special.unknown], vec![(0, text.len())])
    }

    /// Text of `ids`, with or without the special tokens among them.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        self.inner.decode(ids, skip_special).unwrap_or_default()
    }

    /// The token of an id, as the vocabulary writes it.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of a token, as the vocabulary writes it.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Rows that an embedding table needs: the largest id plus one.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Ids of [PAD], [UNK], [CLS], [SEP] and [MASK].
    pub fn special(&self) -> SpecialTokens {
        self.special
    }

    /// Whether the normaliser lowercases.
    pub fn lowercase(&self) -> bool {
        self.lowercase
    }

    /// Whether the normaliser takes accents off Latin letters.
    pub fn strips_accents(&self) -> bool {
        self.strips_accents
    }

    /// What the normaliser does to letters, in words.
    pub fn casing(&self) -> &'static str {
        match (self.lowercase, self.strips_accents) {
            (true, true) => "lowercased, accents stripped",
            (true, false) => "lowercased",
            (false, true) => "cased, accents stripped",
            (false, false) => "cased",
        }
    }

    /// Hex SHA-256 of whatever decides ids: vocabulary, normaliser, pre-tokeniser and added tokens.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The text of `tokenizer.json`.
    pub fn to_json(&self) -> String {
        self.inner.to_string(true).unwrap_or_default()
    }

    /// Every token in the order of the ids; a placeholder for ids without a token and for tokens that are no line of a file.
    pub fn tokens(&self) -> Vec<String> {
        let is_line = |token: &String| !token.is_empty() && !token.contains(['\n', '\r']);
        (0..self.vocab_size)
            .map(|id| self.token(id as u32).filter(is_line).unwrap_or_else(|| placeholder(id)))
            .collect()
    }
}

/// The JSON of a `tokenizer.json`.
pub(crate) fn parse_json(bytes: &[u8], path: &str) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|error| {
        let remedy = "expected a tokenizer.json as Hugging Face tokenizers writes it";
        DataError::tokenizer(path, format!("malformed JSON: {error}"), remedy)
    })
}

/// Refuses other kinds of vocabularies by their name, before anything is asked of them that only WordPiece has.
fn check_kind(model: &Value, path: &str) -> Result<()> {
    // Files of old versions don't say: each kind has a field that no other has.
    let kind = match model["type"].as_str() {
        Some(kind) => kind,
        None if model.get("merges").is_some() => "BPE",
        None if model["vocab"].is_array() => "Unigram",
        None if model.get("continuing_subword_prefix").is_none() => "WordLevel",
        None => "WordPiece",
    };
    if kind == "WordPiece" {
        return Ok(());
    }
    let remedy = "a vocabulary of another kind cannot be turned into one: take a network with a WordPiece vocabulary \
                  (BERT's, ELECTRA's), or train a vocabulary on your text with \"electra tokenizer train\"";
    Err(DataError::tokenizer(path, format!("its kind is {kind}, and ELECTRA's is WordPiece"), remedy))
}

fn require_special(id: impl Fn(&str) -> Option<u32>, path: &str) -> Result<SpecialTokens> {
    let missing: Vec<&str> = SPECIAL_NAMES.into_iter().filter(|name| id(name).is_none()).collect();
    if !missing.is_empty() {
        return Err(DataError::tokenizer(path, format!("the vocabulary lacks {}", missing.join(", ")), SPECIAL_REMEDY));
    }
    let of = |name| id(name).unwrap_or_default();
    Ok(SpecialTokens { pad: of("[PAD]"), unknown: of("[UNK]"), cls: of("[CLS]"), sep: of("[SEP]"), mask: of("[MASK]") })
}

fn sha256_of_rules(description: &Value) -> String {
    let mut hash = Sha256::new();
    for section in ["added_tokens", "normalizer", "pre_tokenizer", "model"] {
        hash.update(section);
        hash.update([0]);
        hash.update(description.get(section).unwrap_or(&Value::Null).to_string());
        hash.update([0]);
    }
    hex(&hash.finalize())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
