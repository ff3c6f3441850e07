//! Whether a run can fit this machine at all: an estimate before anything is allocated.
//!
//! An allocator that is asked for more than there is ends the process, without a word of which size was too large. So what
//! a run needs at the very least is added up from its configuration alone, and held against what the machine has. It is
//! a lower bound (one example at a time), and nothing of it makes a list whose length is one of the sizes.

use crate::config::{RunConfig, RunConfigError};
use crate::estimate::footprint;

/// Batches that are in memory at a time: made ahead by two threads, waiting, and worked on.
const BATCHES: f64 = 8.0;
/// Of one parameter: its name, its shape, its place in lists and graphs.
const NAME_BYTES: f64 = 1000.0;

/// What a run needs at least of the host's memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Least {
    /// Trainable values, shared ones once.
    pub parameter_count: f64,
    /// Weights, moments and gradients.
    pub parameters_bytes: f64,
    /// Of one example.
    pub activations_bytes: f64,
    /// Batches that wait.
    pub batches_bytes: f64,
}

impl Least {
    /// For a run of `config`. `on_host`: whether it is trained on the CPU, rather than on an adapter with memory of its own.
    pub fn of(config: &RunConfig, on_host: bool) -> Self {
        let plans = config.trained_networks();
        let (trained, masked) = footprint::encoders_and_logits(&plans, config.data.masking_probability);
        let parameter_count = footprint::parameter_count(config);
        let layers: f64 = trained.iter().map(|network| network.num_hidden_layers as f64).sum();
        let seq = config.train.sequence_length;
        let step = footprint::training_memory(&trained, parameter_count, 1, seq, masked);
        // A checkpoint takes weights and moments of an adapter through the host.
        let parameters_bytes = if on_host { step.parameters_bytes } else { 12.0 * parameter_count };
        let masking = config.masking();
        let example = 13.0 * seq as f64 + 12.0 * masking.max_masked(seq) as f64 + 4.0;
        Self {
            parameter_count,
            parameters_bytes: parameters_bytes + 16.0 * layers * NAME_BYTES,
            activations_bytes: if on_host { step.activations_bytes } else { 0.0 },
            batches_bytes: BATCHES * config.train.batch_size as f64 * example,
        }
    }

    /// All together.
    pub fn total_bytes(&self) -> f64 {
        self.parameters_bytes + self.activations_bytes + self.batches_bytes
    }
}

/// Refuses a run that `memory_bytes` cannot hold, and names the key that weighs most.
///
/// # Errors
/// [`RunConfigError::Memory`].
pub fn check(config: &RunConfig, on_host: bool, memory_bytes: f64) -> Result<Least, RunConfigError> {
    let least = Least::of(config, on_host);
    if least.total_bytes() <= memory_bytes {
        return Ok(least);
    }
    let (key, value) = heaviest(config, on_host);
    Err(RunConfigError::Memory {
        key,
        value,
        need: in_words(least.total_bytes()),
        parts: format!(
            "{} for {:.3e} parameters, {} for one example's activations, {} for batches",
            in_words(least.parameters_bytes),
            least.parameter_count,
            in_words(least.activations_bytes),
            in_words(least.batches_bytes)
        ),
        has: in_words(memory_bytes),
    })
}

/// The size that saves most when it is made the usual one, or half of what it is where it is no more than that.
fn heaviest(config: &RunConfig, on_host: bool) -> (&'static str, usize) {
    type Size = fn(&mut RunConfig) -> &mut usize;
    let sizes: [(&str, Size); 10] = [
        ("model.hidden_size", |config| &mut config.model.hidden_size),
        ("model.intermediate_size", |config| &mut config.model.intermediate_size),
        ("model.num_hidden_layers", |config| &mut config.model.num_hidden_layers),
        ("model.embedding_size", |config| &mut config.model.embedding_size),
        ("model.num_attention_heads", |config| &mut config.model.num_attention_heads),
        ("model.max_position_embeddings", |config| &mut config.model.max_position_embeddings),
        ("model.type_vocab_size", |config| &mut config.model.type_vocab_size),
        ("model.vocab_size", |config| &mut config.model.vocab_size),
        ("train.sequence_length", |config| &mut config.train.sequence_length),
        ("train.batch_size", |config| &mut config.train.batch_size),
    ];
    let smaller = |size: Size| {
        let (mut config, usual) = (config.clone(), *size(&mut RunConfig::default()));
        let value = size(&mut config);
        *value = if *value > usual { usual } else { (*value / 2).max(1) };
        Least::of(&config, on_host).total_bytes()
    };
    let (key, size) =
        sizes.into_iter().min_by(|(_, a), (_, b)| smaller(*a).total_cmp(&smaller(*b))).expect("the list is not empty");
    (key, *size(&mut config.clone()))
}

/// Bytes as a person reads them: "1.2 GB".
pub fn in_words(bytes: f64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let power = (bytes.max(1.0).log10() / 3.0).floor().clamp(1.0, units.len() as f64) as usize;
    let shown = bytes / 1000f64.powi(power as i32);
    format!("{shown:.1} {}", units[power - 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{preset_names, resolve};

    #[test]
    fn presets_fit_what_they_are_meant_for() {
        for (preset, memory) in [("nano", 1e9), ("tiny", 2e9), ("small", 4e9), ("base", 16e9), ("large", 32e9)] {
            let config = resolve(Some(preset), None, &[]).unwrap();
            let least = check(&config, true, memory).unwrap_or_else(|error| panic!("{error}"));
            assert!(least.total_bytes() > memory / 1000.0, "{preset} {least:?}");
        }
        assert!(preset_names().count() >= 5);
    }

    /// Each size by itself, as large as the checks of ranges allow, on a machine of 64 GB.
    #[test]
    fn a_size_beyond_memory_is_refused_in_its_name_before_anything_is_made() {
        for sets in [
            &["model.hidden_size=2000000"][..],
            &["model.hidden_size=2147483646"],
            &["model.intermediate_size=2147483647"],
            &["model.num_hidden_layers=2147483647"],
            &["model.num_hidden_layers=100000000", "model.hidden_size=2", "model.intermediate_size=1"],
            &["model.embedding_size=2147483647"],
            &["model.max_position_embeddings=2147483647"],
            &["model.type_vocab_size=2147483647"],
            &["model.vocab_size=2147483647"],
            &["train.batch_size=4294967295"],
            &["train.batch_size=9223372036854775807"],
            &["train.sequence_length=1000000", "model.max_position_embeddings=1000000", "model.num_attention_heads=64"],
        ] {
            let all: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let config = resolve(Some("nano"), None, &all).unwrap();
            for on_host in [true, false] {
                let key = sets[0].split('=').next().unwrap();
                if key == "train.sequence_length" && !on_host {
                    continue;
                }
                let text = check(&config, on_host, 64e9).unwrap_err().to_string();
                assert!(text.contains(key) && text.contains("64.0 GB") && text.contains("memory"), "{sets:?}: {text}");
            }
        }
    }

    #[test]
    fn bytes_are_said_in_words() {
        for (bytes, words) in
            [(0.0, "0.0 kB"), (2e3, "2.0 kB"), (8.2e9, "8.2 GB"), (4.1e15, "4.1 PB"), (7e22, "70000.0 EB")]
        {
            assert_eq!(in_words(bytes), words);
        }
    }
}
