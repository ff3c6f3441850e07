//! Text to token ids and back: the `tokenizers` crate behind what ELECTRA needs from it.
//!
//! A [`Tokenizer`] is BERT's: normaliser, pre-tokeniser, WordPiece. What a file says on truncation and padding is
//! dropped, since cutting and padding are the packer's work; a post-processor is kept for those who load the saved folder
//! elsewhere, but never used here. [`Tokenizer::sha256`] identifies whatever decides ids, so that shards and checkpoints
//! can refuse a tokenizer that isn't theirs.

#[cfg(feature = "native")]
pub mod files;
#[cfg(feature = "native")]
mod train;
pub(crate) mod words;

use ahash::AHashMap;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, NormalizedString, Normalizer};

use crate::error::{DataError, Result};
#[cfg(feature = "native")]
pub use train::TrainOptions;
pub use words::LineEncoder;

/// Names of the special tokens in BERT's vocabularies, in the order in which a trained vocabulary starts.
pub const SPECIAL_NAMES: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

const SPECIAL_REMEDY: &str = "ELECTRA needs [PAD], [UNK], [CLS], [SEP] and [MASK] in its vocabulary: \
     add them, or train a vocabulary with \"electra tokenizer train\"";

/// Ids of the tokens that have a role of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct SpecialTokens {
    pub pad: u32,
    pub unknown: u32,
    pub cls: u32,
    pub sep: u32,
    pub mask: u32,
}

/// A vocabulary and the rules that turn text into its ids.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    special: SpecialTokens,
    vocab_size: usize,
    lowercase: bool,
    sha256: String,
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
        let remedy = "expected a tokenizer.json as Hugging Face tokenizers writes it";
        let mut value: Value = serde_json::from_slice(bytes)
            .map_err(|error| DataError::tokenizer(path, format!("malformed JSON: {error}"), remedy))?;
        let Some(fields) = value.as_object_mut() else {
            return Err(DataError::tokenizer(path, "the JSON is not an object", remedy));
        };
        // Dropped before parsing: these sections decide nothing here and may be of a version that the crate can't read.
        fields.insert("truncation".into(), Value::Null);
        fields.insert("padding".into(), Value::Null);
        let inner: tokenizers::Tokenizer = serde_json::from_value(value)
            .map_err(|error| DataError::tokenizer(path, format!("not a tokenizer: {error}"), remedy))?;
        Self::from_inner(inner, path)
    }

    /// BERT's tokenizer over the tokens of a `vocab.txt`, one a line, the line's number being the id.
    ///
    /// `lowercase` also strips accents, as BERT's uncased models do.
    ///
    /// # Errors
    /// A vocabulary that is not UTF-8, lists a token twice, or lacks one of the special tokens.
    pub fn from_vocab_bytes(bytes: &[u8], lowercase: bool) -> Result<Self> {
        Self::from_vocab(&parse_vocab(bytes, "vocab.txt")?, lowercase, "vocab.txt")
    }

    pub(crate) fn from_vocab(tokens: &[String], lowercase: bool, path: &str) -> Result<Self> {
        let ids: AHashMap<String, u32> =
            tokens.iter().enumerate().map(|(id, token)| (token.clone(), id as u32)).collect();
        require_special(|name| ids.get(name).copied(), path)?;
        let sep = ids["[SEP]"];
        let cls = ids["[CLS]"];
        let model = WordPiece::builder()
            .vocab(ids)
            .unk_token("[UNK]".into())
            .build()
            .map_err(|error| DataError::tokenizer(path, error, "check the vocabulary"))?;
        let mut inner = tokenizers::Tokenizer::new(model);
        inner.with_normalizer(Some(BertNormalizer::new(true, true, None, lowercase)));
        inner.with_pre_tokenizer(Some(BertPreTokenizer));
        inner.with_post_processor(Some(BertProcessing::new(("[SEP]".into(), sep), ("[CLS]".into(), cls))));
        inner.with_decoder(Some(WordPieceDecoder::default()));
        inner.add_special_tokens(&SPECIAL_NAMES.map(|name| AddedToken::from(name, true)));
        Self::from_inner(inner, path)
    }

    fn from_inner(inner: tokenizers::Tokenizer, path: &str) -> Result<Self> {
        let special = require_special(|name| inner.token_to_id(name), path)?;
        // The largest id and not the count: a vocabulary may have holes, and an embedding table is indexed by id.
        let vocab_size = inner.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1);
        let description =
            serde_json::to_value(&inner).map_err(|error| DataError::tokenizer(path, error, "check the vocabulary"))?;
        let model = &description["model"];
        if model["type"] != "WordPiece" {
            let reason = format!("the model is {} and not WordPiece", model["type"]);
            return Err(DataError::tokenizer(
                path,
                reason,
                "import a WordPiece tokenizer, or train one with \"electra tokenizer train\"",
            ));
        }
        if model["unk_token"] != "[UNK]" {
            let reason = format!("the model's unk_token is {} and not \"[UNK]\"", model["unk_token"]);
            return Err(DataError::tokenizer(path, reason, SPECIAL_REMEDY));
        }
        let sha256 = sha256_of_rules(&description);
        let word_rules = words::WordRules::of(&description, &inner);
        let lowercase = match inner.get_normalizer() {
            Some(normalizer) => {
                let mut probe = NormalizedString::from("A");
                normalizer.normalize(&mut probe).is_ok() && probe.get() == "a"
            }
            None => false,
        };
        Ok(Self { inner, special, vocab_size, lowercase, sha256, word_rules })
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

    /// Hex SHA-256 of whatever decides ids: vocabulary, normaliser, pre-tokeniser and added tokens.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The text of `tokenizer.json`.
    pub fn to_json(&self) -> String {
        self.inner.to_string(true).unwrap_or_default()
    }

    /// Every token in the order of the ids; a hole is `[unused_hole_ID]`, so that line numbers stay ids.
    pub fn tokens(&self) -> Vec<String> {
        (0..self.vocab_size as u32).map(|id| self.token(id).unwrap_or_else(|| format!("[unused_hole_{id}]"))).collect()
    }
}

fn require_special(id: impl Fn(&str) -> Option<u32>, path: &str) -> Result<SpecialTokens> {
    let missing: Vec<&str> = SPECIAL_NAMES.into_iter().filter(|name| id(name).is_none()).collect();
    if !missing.is_empty() {
        return Err(DataError::tokenizer(path, format!("the vocabulary lacks {}", missing.join(", ")), SPECIAL_REMEDY));
    }
    let of = |name| id(name).unwrap_or_default();
    Ok(SpecialTokens { pad: of("[PAD]"), unknown: of("[UNK]"), cls: of("[CLS]"), sep: of("[SEP]"), mask: of("[MASK]") })
}

/// The lines of a `vocab.txt`. Only line ends are cut off, since a token may be any other white space.
pub(crate) fn parse_vocab(bytes: &[u8], path: &str) -> Result<Vec<String>> {
    let remedy = "a vocab.txt lists one token a line";
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
        DataError::tokenizer(path, format!("line {line}: not valid UTF-8"), remedy)
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tokens: Vec<String> = text.trim_end_matches(['\r', '\n']).lines().map(str::to_owned).collect();
    let mut seen: AHashMap<&str, usize> = AHashMap::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate() {
        if let Some(first) = seen.insert(token, id) {
            let reason = format!("line {}: the token {token:?} is already on line {}", id + 1, first + 1);
            return Err(DataError::tokenizer(path, reason, "every token may stand once; remove one of them"));
        }
    }
    Ok(tokens)
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
