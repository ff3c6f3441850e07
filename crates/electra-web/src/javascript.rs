//! What JavaScript sees: it converts and delegates.

use wasm_bindgen::prelude::{JsError, wasm_bindgen};

use crate::scorer;

#[wasm_bindgen(start)]
fn start() {
    electra_kernels::device::run_constructors();
}

/// Says of every token of a text how likely it was replaced.
#[wasm_bindgen]
pub struct Scorer {
    scorer: scorer::Scorer,
}

#[wasm_bindgen]
impl Scorer {
    /// A discriminator from the three files of a Hugging Face folder: the text of `config.json`, the bytes of
    /// `model.safetensors`, and the text of `tokenizer.json`. It computes on the CPU.
    ///
    /// # Errors
    /// A file that is malformed, or files that do not belong together.
    #[wasm_bindgen(constructor)]
    pub fn new(config_json: &str, weights: Vec<u8>, tokenizer_json: &str) -> Result<Scorer, JsError> {
        Ok(Self { scorer: scorer::Scorer::new(config_json, weights, tokenizer_json)? })
    }

    /// Scores `text`: the JSON text of an array of `{token, start, end, replaced_probability}`, one for each token
    /// without [CLS] and [SEP]. `start` and `end` count UTF-16 units, as JavaScript's strings do.
    ///
    /// # Errors
    /// A text with more tokens than the model has positions.
    pub async fn score(&self, text: String) -> Result<String, JsError> {
        let scores = self.scorer.score(&text).await?;
        Ok(serde_json::to_string(&scores)?)
    }
}
