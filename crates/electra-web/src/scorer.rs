//! Scoring a text with a discriminator.

use std::path::Path;

use burn::tensor::{Device, ExecutionError, activation};
use electra_data::{DataError, Tokenizer};
use electra_model::{ConfigError, Discriminator, ElectraConfig, EncoderInput, Layout, Parameters};
use electra_train::TensorFile;
use serde::Serialize;
use thiserror::Error;

/// Why a text cannot be scored.
#[derive(Debug, Error)]
pub enum ScoreError {
    #[error("config.json: {0}; take the file from the folder of an ELECTRA discriminator")]
    ConfigSyntax(#[from] serde_json::Error),
    #[error("config.json: {0}")]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Weights(#[from] electra_train::Error),
    #[error(transparent)]
    Tokenizer(#[from] DataError),
    #[error(
        "tokenizer.json knows {tokenizer} tokens, but config.json says {config}; take both from the same model's folder"
    )]
    Vocabulary { tokenizer: usize, config: usize },
    #[error("the text has {tokens} tokens, but the model reads {limit} at most; shorten it")]
    TooLong { tokens: usize, limit: usize },
    #[error("the result cannot be read back: {0}")]
    Device(#[from] ExecutionError),
}

/// One token of a text and the discriminator's opinion of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenScore {
    /// As the vocabulary writes it, with `##` before a word's continuation.
    pub token: String,
    /// Where it begins in the text, in UTF-16 units.
    pub start: usize,
    /// Where it ends in the text, in UTF-16 units.
    pub end: usize,
    /// 0 to 1.
    pub replaced_probability: f32,
}

/// A discriminator with its tokenizer, on the CPU.
pub struct Scorer {
    tokenizer: Tokenizer,
    discriminator: Discriminator,
    device: Device,
    /// Tokens of a text, [CLS] and [SEP] not counted.
    max_tokens: usize,
}

impl Scorer {
    pub fn new(config_json: &str, weights: Vec<u8>, tokenizer_json: &str) -> Result<Self, ScoreError> {
        let config: ElectraConfig = serde_json::from_str(config_json)?;
        config.validate()?;
        let tokenizer = Tokenizer::from_json_bytes(tokenizer_json.as_bytes())?;
        if tokenizer.vocab_size() > config.vocab_size {
            let (tokenizer, config) = (tokenizer.vocab_size(), config.vocab_size);
            return Err(ScoreError::Vocabulary { tokenizer, config });
        }
        let device = Device::flex();
        let file = TensorFile::parse(Path::new("model.safetensors"), weights)?;
        let layout = Layout::new(Discriminator::specs(&config, ""), Vec::new());
        // Checked before the networks borrow them: a missing tensor is the file's fault, not the code's.
        let mut tensors = Vec::new();
        for spec in layout.specs() {
            tensors.push(file.tensor(&spec.name, Some(&spec.shape))?);
        }
        let mut tensors = tensors.into_iter();
        let parameters = Parameters::from_values(&layout, &device, |_| {
            tensors.next().expect("one tensor was read for each spec").values
        });
        Ok(Self {
            tokenizer,
            discriminator: Discriminator::bind(&config, &parameters, ""),
            device,
            max_tokens: config.max_position_embeddings.saturating_sub(2),
        })
    }

    pub async fn score(&self, text: &str) -> Result<Vec<TokenScore>, ScoreError> {
        let (tokens, ranges) = self.tokenizer.encode_with_offsets(text);
        if tokens.len() > self.max_tokens {
            return Err(ScoreError::TooLong { tokens: tokens.len(), limit: self.max_tokens });
        }
        let special = self.tokenizer.special();
        let ids = [&[special.cls], tokens.as_slice(), &[special.sep]].concat();
        let logits = self.discriminator.forward(&EncoderInput::single(&ids, &self.device), None);
        let probabilities = activation::sigmoid(logits).into_data_async().await?;
        let probabilities = probabilities.iter::<f32>().skip(1);
        let units = Utf16Positions::new(text);
        let scores = tokens.iter().zip(ranges).zip(probabilities);
        Ok(scores
            .map(|((&id, (start, end)), replaced_probability)| TokenScore {
                token: self.tokenizer.token(id).unwrap_or_default(),
                start: units.of_byte(start),
                end: units.of_byte(end),
                replaced_probability,
            })
            .collect())
    }
}

/// Turns byte positions in a text into positions in UTF-16 units.
struct Utf16Positions {
    /// For each byte position, one past the last included.
    units: Vec<usize>,
}

impl Utf16Positions {
    fn new(text: &str) -> Self {
        let mut units = Vec::with_capacity(text.len() + 1);
        let mut position = 0;
        for character in text.chars() {
            units.resize(units.len() + character.len_utf8(), position);
            position += character.len_utf16();
        }
        units.push(position);
        Self { units }
    }

    fn of_byte(&self, byte: usize) -> usize {
        self.units[byte.min(self.units.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use cubecl::future::block_on;

    use super::*;

    /// A vocabulary whose token number n is written `wn`, so that the golden ids can be written as text.
    fn tokenizer_json(size: usize) -> String {
        let mut tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned).to_vec();
        tokens.extend((tokens.len()..size).map(|number| format!("w{number}")));
        Tokenizer::from_vocab_bytes(tokens.join("\n").as_bytes(), true).unwrap().to_json()
    }

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny_proj").join(name)
    }

    fn config() -> String {
        fs::read_to_string(fixture("discriminator/config.json")).unwrap()
    }

    fn weights() -> Vec<u8> {
        fs::read(fixture("discriminator/model.safetensors")).unwrap()
    }

    #[test]
    fn probabilities_are_those_of_the_golden_logits() {
        let golden = fs::read(fixture("forward.safetensors")).unwrap();
        let golden = TensorFile::parse(Path::new("forward.safetensors"), golden).unwrap();
        let logits = golden.tensor("out.disc_logits_no_mask_no_types", Some(&[3, 16])).unwrap().values;
        let scorer = Scorer::new(&config(), weights(), &tokenizer_json(99)).unwrap();
        // The first row of in.input_ids, without [CLS] in front and [SEP] at the end.
        let text = "w77 w66 w46 w45 w85 w13 w70 [SEP] w13 w54 w96 w74 w76 w72";
        let scores = block_on(scorer.score(text)).unwrap();
        let words: Vec<_> = scores.iter().map(|score| score.token.as_str()).collect();
        assert_eq!(words.join(" "), text);
        for (score, logit) in scores.iter().zip(&logits[1..15]) {
            let expected = 1.0 / (1.0 + (-logit).exp());
            let difference = (score.replaced_probability - expected).abs();
            // A logit may differ by 2e-5 + 1e-5 |x|; the sigmoid's slope is at most 1/4.
            assert!(difference <= 1e-5, "{}: {difference}", score.token);
        }
    }

    #[test]
    fn ranges_count_as_javascript_does() {
        let scorer = Scorer::new(&config(), weights(), &tokenizer_json(99)).unwrap();
        let text = "é 😀 w7";
        let scores = block_on(scorer.score(text)).unwrap();
        let ranges: Vec<_> = scores.iter().map(|score| (score.start, score.end)).collect();
        assert_eq!(ranges, [(0, 1), (2, 4), (5, 7)]);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let failure = |config: &str, weights: Vec<u8>, tokenizer: &str| {
            Scorer::new(config, weights, tokenizer).err().expect("must be refused").to_string()
        };
        let tokenizer = tokenizer_json(99);
        assert!(failure("{", weights(), &tokenizer).starts_with("config.json: "));
        assert!(failure(&config(), weights()[..1000].to_vec(), &tokenizer).starts_with("model.safetensors: "));
        assert!(failure(&config(), weights(), &tokenizer_json(100)).contains("100 tokens, but config.json says 99"));
        let other = config().replace("\"hidden_size\": 32", "\"hidden_size\": 64");
        assert!(failure(&other, weights(), &tokenizer).contains("shape"));
        let scorer = Scorer::new(&config(), weights(), &tokenizer).unwrap();
        let error = block_on(scorer.score(&"w7 ".repeat(39))).unwrap_err();
        assert_eq!(error.to_string(), "the text has 39 tokens, but the model reads 38 at most; shorten it");
        assert!(block_on(scorer.score("")).unwrap().is_empty());
    }
}
