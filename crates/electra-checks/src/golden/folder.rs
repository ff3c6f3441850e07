//! A folder of golden values, and what is read from it.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use electra_data::{Batch, SpecialTokens};
use electra_model::objective::{self, Given};
use electra_model::pretraining::{DISCRIMINATOR, GENERATOR};
use electra_model::{
    Discriminator, ElectraConfig, EncoderInput, Generator, NoiseKey, Objective, ObjectiveConfig, ParameterSpec,
    Parameters, PretrainingConfig, Sharing, StepContext, Totals,
};
use electra_train::{HostTensor, TensorFile};
use serde_json::Value;

use super::tensors::Tensors;

/// The files beside the networks that the checks of this crate read.
pub const PARTS: [&str; 4] = ["forward.safetensors", "joint_step.safetensors", "train10.safetensors", "train10.json"];

/// A network as a folder of Hugging Face's holds it.
#[derive(Debug, Clone)]
pub struct Stored {
    pub config: ElectraConfig,
    pub tensors: Vec<HostTensor>,
}

impl Stored {
    /// The network of a `config.json` and a `model.safetensors`.
    ///
    /// # Panics
    /// If they are malformed, or lack one of the tensors of `specs`.
    pub fn parse(config: &[u8], weights: Vec<u8>, specs: fn(&ElectraConfig, &str) -> Vec<ParameterSpec>) -> Self {
        let config: ElectraConfig = serde_json::from_slice(config).expect("a configuration");
        let file = TensorFile::parse(Path::new("model.safetensors"), weights).unwrap_or_else(|error| panic!("{error}"));
        let tensor =
            |spec: ParameterSpec| file.tensor(&spec.name, Some(&spec.shape)).unwrap_or_else(|error| panic!("{error}"));
        let tensors = specs(&config, "").into_iter().map(tensor).collect();
        Self { config, tensors }
    }
}

/// A generator and a discriminator, and what they must give.
#[derive(Debug, Clone)]
pub struct Folder {
    /// What panics call it.
    pub name: String,
    pub discriminator: Stored,
    pub generator: Stored,
    /// Those of [`PARTS`] that it has.
    pub parts: BTreeMap<String, Vec<u8>>,
}

impl Folder {
    /// The folder whose files are these, by their paths in it.
    ///
    /// # Panics
    /// As [`Stored::parse`].
    pub fn of_files(name: &str, mut files: BTreeMap<String, Vec<u8>>) -> Self {
        let mut take = |path: &str| files.remove(path).unwrap_or_else(|| panic!("{name} has no {path}"));
        let [config, weights] = ["discriminator/config.json", "discriminator/model.safetensors"].map(&mut take);
        let discriminator = Stored::parse(&config, weights, Discriminator::specs);
        let [config, weights] = ["generator/config.json", "generator/model.safetensors"].map(&mut take);
        let generator = Stored::parse(&config, weights, Generator::specs);
        Self { name: name.to_owned(), discriminator, generator, parts: files }
    }

    fn part(&self, name: &str) -> Vec<u8> {
        self.parts.get(name).unwrap_or_else(|| panic!("{} has no {name}", self.name)).clone()
    }

    pub(super) fn tensors(&self, name: &str) -> Tensors {
        Tensors::new(format!("{}/{name}", self.name), self.part(name))
    }

    pub(super) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.part(name)).expect("golden files are JSON")
    }
}

/// A generator and a discriminator, joined in one set of parameters.
#[derive(Debug)]
pub struct Pair {
    pub networks: PretrainingConfig,
    pub parameters: Parameters,
}

impl Pair {
    /// The networks of `folder`, which share what is equal in both.
    ///
    /// # Panics
    /// If they cannot be trained together.
    pub fn of(folder: &Folder, device: &Device) -> Self {
        let Folder { discriminator, generator, .. } = folder;
        let same = |prefix: &str| {
            let mut shared = generator.tensors.iter().filter(|tensor| tensor.name.starts_with(prefix)).peekable();
            shared.peek().is_some() && shared.all(|tensor| discriminator.tensors.contains(tensor))
        };
        let sharing = match (same("electra.embeddings."), same("electra.encoder.")) {
            (true, true) => Sharing::All,
            (true, false) => Sharing::Embeddings,
            (false, _) => Sharing::None,
        };
        let networks = PretrainingConfig {
            discriminator: discriminator.config.clone(),
            generator: generator.config.clone(),
            sharing,
        };
        networks.validate().unwrap_or_else(|error| panic!("{}: {error}", folder.name));
        let parameters =
            Parameters::from_values(&networks.layout(), device, |spec| folder.stored(&spec.name).values.clone());
        Self { networks, parameters }
    }

    /// What the pair's golden values are of.
    pub fn objective(&self) -> Box<dyn Objective> {
        objective::from_config(&ObjectiveConfig::default(), &self.networks).expect("the default is one of the list")
    }
}

impl Folder {
    /// The stored values of a parameter of the pair.
    pub(super) fn stored(&self, name: &str) -> &HostTensor {
        let (network, name) = match name.strip_prefix(DISCRIMINATOR) {
            Some(name) => (&self.discriminator, name),
            None => (&self.generator, name.strip_prefix(GENERATOR).expect("one of the two networks'")),
        };
        network.tensors.iter().find(|tensor| tensor.name == name).unwrap_or_else(|| panic!("{}: {name}", self.name))
    }
}

/// The fixtures' short names: `disc.` and `gen.`.
///
/// # Panics
/// If `name` is neither network's.
pub fn fixture_name(name: &str) -> String {
    match name.strip_prefix(DISCRIMINATOR) {
        Some(rest) => format!("disc.{rest}"),
        None => format!("gen.{}", name.strip_prefix(GENERATOR).expect("one of the two networks'")),
    }
}

/// The `in.*` arrays as a batch, and the samples; `step` picks one where they hold several.
pub fn batch_of(tensors: &Tensors, step: Option<usize>) -> (Batch, Vec<i32>) {
    let ints = |name: &str| tensors.ints_at(name, step);
    let ids = tensors.shape_at("in.input_ids", step);
    let slots = tensors.shape_at("in.masked_lm_positions", step);
    let (batch, seq, max_masked) = (ids[0], ids[1], slots[1]);
    let batch = Batch {
        batch,
        seq,
        max_masked,
        example_numbers: (0..batch as u32).collect(),
        original_ids: ints("in.input_ids"),
        masked_ids: ints("in.masked_input_ids"),
        token_type_ids: ints("in.token_type_ids"),
        attention_mask: ints("in.attention_mask").into_iter().map(|mask| mask as u8).collect(),
        masked_positions: ints("in.masked_lm_positions"),
        masked_original_ids: ints("in.masked_lm_ids"),
        mask_weights: tensors.floats_at("in.masked_lm_weights", step),
    };
    (batch, ints("in.sampled_ids"))
}

/// The fixtures' special tokens.
const SPECIAL: SpecialTokens = SpecialTokens { pad: 0, unknown: 1, cls: 2, sep: 3, mask: 4 };

/// The context of a step on rows of `batch` whose samples are given.
pub fn context(batch: &Batch, samples: &[i32], device: &Device) -> StepContext {
    StepContext {
        key: NoiseKey::new(0),
        // Fixtures were made without dropout.
        training: false,
        step: 0,
        special: SPECIAL,
        totals: Totals::of(batch, SPECIAL),
        masking_probability: 0.15,
        recompute: false,
        frequencies: None,
        similar_words: None,
        given: Given {
            samples: Some(Tensor::from_data(
                TensorData::new(samples.to_vec(), [samples.len() / batch.max_masked, batch.max_masked]),
                device,
            )),
            ranks: None,
        },
    }
}

/// The `in.*` arrays of a forward pass.
///
/// # Panics
/// If they are no matrices.
pub fn input_of(tensors: &Tensors, device: &Device) -> EncoderInput {
    let shape: [usize; 2] = tensors.shape_at("in.input_ids", None).try_into().expect("a matrix of ids");
    let ints = |name: &str| Tensor::<2, Int>::from_data(TensorData::new(tensors.ints_at(name, None), shape), device);
    EncoderInput {
        ids: ints("in.input_ids"),
        token_type_ids: ints("in.token_type_ids"),
        attention_mask: ints("in.attention_mask").float(),
    }
}
