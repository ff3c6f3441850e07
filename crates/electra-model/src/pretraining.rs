//! Which networks are pre-trained together, and which weights they share.

use serde::{Deserialize, Serialize};

use crate::{
    config::{ConfigError, ElectraConfig},
    network::{Discriminator, Generator},
    parameters::{Alias, Initializer, Layout, ParameterSpec, Parameters},
};

/// Prefix of the discriminator's parameters, and of every table that both networks share.
pub const DISCRIMINATOR: &str = "discriminator.";
/// Prefix of the generator's own parameters.
pub const GENERATOR: &str = "generator.";

/// What generator and discriminator have in common. Paper, section 3.2; docs/electra-semantics.md, "Model", point 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// Word, position and type tables and the embeddings' LayerNorm; each network projects for itself.
    #[default]
    Embeddings,
    /// Nothing: the generator has tables of its own, of its own hidden size, and so no projection.
    None,
    /// The whole encoder. Needs equal sizes.
    All,
    /// Word and position tables, disentangled by their gradients (He et al. 2021, DeBERTaV3): the discriminator's are the
    /// generator's without gradient and a difference of its own, which alone learns from RTD.
    Gdes,
}

/// The tables that `Sharing::Gdes` makes of two.
const GDES_TABLES: [&str; 2] =
    ["electra.embeddings.word_embeddings.weight", "electra.embeddings.position_embeddings.weight"];
/// What is appended to a table's name for the discriminator's difference.
pub const DELTA: &str = "_delta";

impl Sharing {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Embeddings, Self::None, Self::All, Self::Gdes];

    /// As run.toml has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embeddings => "embeddings",
            Self::None => "none",
            Self::All => "all",
            Self::Gdes => "gdes",
        }
    }

    /// The aliases that make the generator find shared weights under the discriminator's names.
    pub fn aliases(self) -> Vec<Alias> {
        let share = |part: &str| Alias::new(format!("{GENERATOR}{part}"), format!("{DISCRIMINATOR}{part}"));
        match self {
            // The dot keeps `electra.embeddings_project`, which each network owns, out of it.
            Self::Embeddings => vec![share("electra.embeddings.")],
            Self::None | Self::Gdes => Vec::new(),
            Self::All => vec![share("electra.")],
        }
    }

    /// The parameters of a discriminator and a generator, shared ones once.
    pub fn layout(self, discriminator: Vec<ParameterSpec>, generator: Vec<ParameterSpec>) -> Layout {
        let mut specs = discriminator;
        if self == Self::Gdes {
            let tables = GDES_TABLES.map(|table| format!("{DISCRIMINATOR}{table}"));
            for spec in specs.iter_mut().filter(|spec| tables.contains(&spec.name)) {
                spec.name.push_str(DELTA);
                spec.initializer = Initializer::Zeros;
            }
        }
        specs.extend(generator);
        Layout::new(specs, self.aliases())
    }

    /// The parameters with all that the networks ask for, also what is made of others.
    pub fn bound(self, parameters: &Parameters) -> Parameters {
        let mut bound = parameters.clone();
        if self == Self::Gdes {
            for table in GDES_TABLES {
                let name = format!("{DISCRIMINATOR}{table}");
                bound.derive(&name, &format!("{GENERATOR}{table}"), &format!("{name}{DELTA}"));
            }
        }
        bound
    }
}

/// The pair of networks of one pre-training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PretrainingConfig {
    /// The network to keep.
    pub discriminator: ElectraConfig,
    /// The network that fills masks.
    pub generator: ElectraConfig,
    /// What they have in common.
    pub sharing: Sharing,
}

/// Networks that cannot be trained together.
#[derive(Debug, thiserror::Error, PartialEq)]
// The text of each says what it and its fields are.
#[expect(missing_docs)]
pub enum PretrainingConfigError {
    #[error("{network}: {error}")]
    Network { network: &'static str, error: ConfigError },
    #[error(
        "sharing \"{sharing}\" needs {field} to be equal in both networks, but the discriminator has {discriminator} \
         and the generator {generator}; choose another sharing, or equal sizes"
    )]
    Sharing { sharing: &'static str, field: &'static str, discriminator: usize, generator: usize },
}

impl PretrainingConfig {
    /// A discriminator and its generator, whose hidden size is `width` of the discriminator's and whose
    /// number of layers is `depth` of it.
    pub fn new(discriminator: ElectraConfig, width: f64, depth: f64, sharing: Sharing) -> Self {
        let mut generator = discriminator.generator(width, depth);
        if sharing == Sharing::None {
            generator.embedding_size = generator.hidden_size;
        }
        Self { discriminator, generator, sharing }
    }

    /// # Errors
    /// If either network cannot be built, or the sharing asks for equal sizes that are not.
    pub fn validate(&self) -> Result<(), PretrainingConfigError> {
        for (network, config) in [("discriminator", &self.discriminator), ("generator", &self.generator)] {
            config.validate().map_err(|error| PretrainingConfigError::Network { network, error })?;
        }
        let (d, g) = (&self.discriminator, &self.generator);
        let mut equal = vec![("vocab_size", d.vocab_size, g.vocab_size)];
        if self.sharing != Sharing::None {
            equal.push(("embedding_size", d.embedding_size, g.embedding_size));
            equal.push(("max_position_embeddings", d.max_position_embeddings, g.max_position_embeddings));
            equal.push(("type_vocab_size", d.type_vocab_size, g.type_vocab_size));
        }
        if self.sharing == Sharing::All {
            equal.push(("hidden_size", d.hidden_size, g.hidden_size));
            equal.push(("num_hidden_layers", d.num_hidden_layers, g.num_hidden_layers));
            equal.push(("num_attention_heads", d.num_attention_heads, g.num_attention_heads));
            equal.push(("intermediate_size", d.intermediate_size, g.intermediate_size));
        }
        let sharing = self.sharing.name();
        match equal.into_iter().find(|(_, discriminator, generator)| discriminator != generator) {
            Some((field, discriminator, generator)) => {
                Err(PretrainingConfigError::Sharing { sharing, field, discriminator, generator })
            }
            None => Ok(()),
        }
    }

    /// The parameters of both networks, shared ones once.
    pub fn layout(&self) -> Layout {
        let discriminator = Discriminator::specs(&self.discriminator, DISCRIMINATOR);
        self.sharing.layout(discriminator, Generator::specs(&self.generator, GENERATOR))
    }
}
