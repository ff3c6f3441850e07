//! The transformer encoder that all of ELECTRA's networks share in kind.
//!
//! BERT's encoder, post-LN (Devlin et al. 2018), with one addition: where the embedding size differs from the
//! hidden size, a dense layer projects (`embeddings_project`). Tokens stay in one `[batch * seq, hidden]`
//! matrix throughout; only attention looks at rows as sequences. docs/electra-semantics.md, "Model".

use burn::tensor::{Device, Int, Tensor, TensorData};
use electra_kernels::{
    Dropout, EncoderLayer, LayerSettings, Table, Visibility, cross_layer, dropout, embeddings, encoder_layer,
    layer_norm, linear, linear_gelu, noise::NoiseKey,
};

use crate::{
    config::ElectraConfig,
    parameters::{Initializer, ParameterSpec, Parameters},
};

/// Token ids with what the encoder must know beside them.
#[derive(Debug, Clone)]
pub struct EncoderInput {
    /// `[batch, seq]`, each below `vocab_size`.
    pub ids: Tensor<2, Int>,
    /// Segment of each token, `[batch, seq]`.
    pub token_type_ids: Tensor<2, Int>,
    /// 1 for a token, 0 for padding, `[batch, seq]`.
    pub attention_mask: Tensor<2>,
}

impl EncoderInput {
    /// One unpadded sequence of a single segment.
    pub fn single(ids: &[u32], device: &Device) -> Self {
        let seq = ids.len();
        let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
        Self {
            ids: Tensor::from_data(TensorData::new(ids, [1, seq]), device),
            token_type_ids: Tensor::zeros([1, seq], device),
            attention_mask: Tensor::ones([1, seq], device),
        }
    }
}

/// What dropout needs: a key for this network and step, and the examples' numbers in the global batch.
#[derive(Debug, Clone, Copy)]
pub struct EncoderNoise<'a> {
    /// Of this network and step.
    pub key: NoiseKey,
    /// Number of each row's example in the global batch, `[batch]`.
    pub examples: &'a [u32],
}

/// Where dropout is applied; the number is part of the noise's key, so it never changes.
#[derive(Clone, Copy)]
enum Site {
    Embeddings = 0,
    AttentionProbabilities = 1,
    AttentionOutput = 2,
    Output = 3,
}

impl<'a> EncoderNoise<'a> {
    /// `layer` 0 is the embeddings, layer i of the encoder is i + 1.
    fn dropout(&self, layer: usize, site: Site, probability: f64) -> Dropout<'a> {
        Dropout { probability, key: self.key.child(layer as u64).child(site as u64), examples: self.examples }
    }
}

/// Hidden states.
#[derive(Debug, Clone)]
pub struct EncoderOutput {
    /// `[batch * seq, hidden]`
    pub last_hidden: Tensor<2>,
    /// After the embeddings (and their projection) and after each layer, `[batch * seq, hidden]` each.
    pub hidden_states: Vec<Tensor<2>>,
}

/// A stream of positions that read a content stream.
#[derive(Debug, Clone)]
pub struct QueryStream<'a> {
    /// What it begins with, `[batch * queries, hidden]`.
    pub embedded: Tensor<2>,
    /// Which tokens of the content each position sees.
    pub visibility: Visibility,
    /// Its own.
    pub noise: Option<EncoderNoise<'a>>,
}

/// An encoder's weights, borrowed by name from `Parameters`.
#[derive(Debug, Clone)]
pub struct Encoder {
    config: ElectraConfig,
    word_embeddings: Table,
    position_embeddings: Tensor<2>,
    token_type_embeddings: Tensor<2>,
    embeddings_layer_norm: LayerNorm,
    embeddings_project: Option<Dense>,
    layers: Vec<EncoderLayer>,
    /// Keep each layer's input alone for the backward pass ([`LayerSettings::recompute`]).
    pub recompute: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Dense {
    pub(crate) weight: Tensor<2>,
    pub(crate) bias: Tensor<1>,
}

impl Dense {
    pub(crate) fn bind(parameters: &Parameters, name: &str) -> Self {
        Self { weight: parameters.get(&format!("{name}.weight")), bias: parameters.get(&format!("{name}.bias")) }
    }

    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        linear(x, self.weight.clone(), self.bias.clone())
    }

    pub(crate) fn forward_gelu(&self, x: Tensor<2>) -> Tensor<2> {
        linear_gelu(x, self.weight.clone(), self.bias.clone())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct LayerNorm {
    pub(crate) gamma: Tensor<1>,
    pub(crate) beta: Tensor<1>,
    pub(crate) epsilon: f64,
}

impl LayerNorm {
    pub(crate) fn bind(parameters: &Parameters, name: &str, epsilon: f64) -> Self {
        Self {
            gamma: parameters.get(&format!("{name}.weight")),
            beta: parameters.get(&format!("{name}.bias")),
            epsilon,
        }
    }

    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        layer_norm(x, self.gamma.clone(), self.beta.clone(), self.epsilon)
    }
}

/// The specs of a dense layer: truncated-normal or Glorot weight `[out, in]`, zero bias.
pub(crate) fn dense_specs(prefix: &str, outputs: usize, inputs: usize, weight: Initializer) -> [ParameterSpec; 2] {
    [
        ParameterSpec::new(prefix, ".weight", &[outputs, inputs], weight),
        ParameterSpec::new(prefix, ".bias", &[outputs], Initializer::Zeros),
    ]
}

/// The specs of a layer normalization.
pub(crate) fn layer_norm_specs(prefix: &str, size: usize) -> [ParameterSpec; 2] {
    [
        ParameterSpec::new(prefix, ".weight", &[size], Initializer::Ones),
        ParameterSpec::new(prefix, ".bias", &[size], Initializer::Zeros),
    ]
}

impl Encoder {
    /// Parameters of an encoder under `prefix` (`"discriminator.electra."`), in Hugging Face's names.
    pub fn specs(config: &ElectraConfig, prefix: &str) -> Vec<ParameterSpec> {
        let normal = Initializer::TruncatedNormal(config.initializer_range);
        let (hidden, ffn) = (config.hidden_size, config.intermediate_size);
        let table = |name: &str, rows| {
            ParameterSpec::new(prefix, &format!("embeddings.{name}.weight"), &[rows, config.embedding_size], normal)
        };
        let mut specs = vec![
            table("word_embeddings", config.vocab_size),
            table("position_embeddings", config.max_position_embeddings),
            table("token_type_embeddings", config.type_vocab_size),
        ];
        specs.extend(layer_norm_specs(&format!("{prefix}embeddings.LayerNorm"), config.embedding_size));
        if config.has_projection() {
            let name = format!("{prefix}embeddings_project");
            specs.extend(dense_specs(&name, hidden, config.embedding_size, Initializer::GlorotUniform));
        }
        for layer in 0..config.num_hidden_layers {
            let name = |part: &str| format!("{prefix}encoder.layer.{layer}.{part}");
            // Weights beside weights and biases beside biases: in the optimizer's arenas a graphics adapter finds all three
            // projections as one matrix.
            let projections = ["query", "key", "value"]
                .map(|part| dense_specs(&name(&format!("attention.self.{part}")), hidden, hidden, normal));
            let [[q, q_bias], [k, k_bias], [v, v_bias]] = projections;
            specs.extend([q, k, v, q_bias, k_bias, v_bias]);
            specs.extend(dense_specs(&name("attention.output.dense"), hidden, hidden, normal));
            specs.extend(layer_norm_specs(&name("attention.output.LayerNorm"), hidden));
            specs.extend(dense_specs(&name("intermediate.dense"), ffn, hidden, normal));
            specs.extend(dense_specs(&name("output.dense"), hidden, ffn, normal));
            specs.extend(layer_norm_specs(&name("output.LayerNorm"), hidden));
        }
        specs
    }

    /// Borrows the weights under `prefix`.
    ///
    /// # Panics
    /// If `parameters` lacks one of `specs(config, prefix)`.
    pub fn bind(config: &ElectraConfig, parameters: &Parameters, prefix: &str) -> Self {
        let epsilon = config.layer_norm_eps;
        let table = |name: &str| parameters.get(&format!("{prefix}embeddings.{name}.weight"));
        let layers = (0..config.num_hidden_layers)
            .map(|layer| {
                let name = |part: &str, end: &str| format!("{prefix}encoder.layer.{layer}.{part}.{end}");
                let dense = |part: &str| (parameters.get(&name(part, "weight")), parameters.get(&name(part, "bias")));
                let norm = |part: &str| (parameters.get(&name(part, "weight")), parameters.get(&name(part, "bias")));
                EncoderLayer {
                    query: dense("attention.self.query"),
                    key: dense("attention.self.key"),
                    value: dense("attention.self.value"),
                    attention_output: dense("attention.output.dense"),
                    attention_layer_norm: norm("attention.output.LayerNorm"),
                    intermediate: dense("intermediate.dense"),
                    output: dense("output.dense"),
                    output_layer_norm: norm("output.LayerNorm"),
                }
            })
            .collect();
        Self {
            config: config.clone(),
            word_embeddings: parameters.table(&format!("{prefix}embeddings.word_embeddings.weight")),
            position_embeddings: table("position_embeddings"),
            token_type_embeddings: table("token_type_embeddings"),
            embeddings_layer_norm: LayerNorm::bind(parameters, &format!("{prefix}embeddings.LayerNorm"), epsilon),
            embeddings_project: config
                .has_projection()
                .then(|| Dense::bind(parameters, &format!("{prefix}embeddings_project"))),
            layers,
            recompute: false,
        }
    }

    /// Sizes and constants.
    pub fn config(&self) -> &ElectraConfig {
        &self.config
    }

    /// The word table, `[vocab, embedding]`, to which the generator ties its output.
    pub fn word_embeddings(&self) -> Table {
        self.word_embeddings.clone()
    }

    /// Hidden states of `input`, every token seeing every other; dropout only where there is noise for it.
    ///
    /// # Panics
    /// If a sequence is longer than `max_position_embeddings`.
    pub fn forward(&self, input: &EncoderInput, noise: Option<EncoderNoise<'_>>) -> EncoderOutput {
        self.forward_seeing(input, &Visibility::all(input.attention_mask.clone()), noise)
    }

    /// As [`Encoder::forward`], where tokens see what `visibility` lets them.
    ///
    /// # Panics
    /// As [`Encoder::forward`].
    pub fn forward_seeing(
        &self,
        input: &EncoderInput,
        visibility: &Visibility,
        noise: Option<EncoderNoise<'_>>,
    ) -> EncoderOutput {
        self.layers_on(self.embed(input, noise), visibility, noise)
    }

    /// The layers alone, from what [`Encoder::embed`] gave: [`EncoderOutput::hidden_states`] begins with it.
    pub fn layers_on(
        &self,
        embedded: Tensor<2>,
        visibility: &Visibility,
        noise: Option<EncoderNoise<'_>>,
    ) -> EncoderOutput {
        let mut hidden = embedded;
        let mut hidden_states = vec![hidden.clone()];
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = encoder_layer(hidden, visibility, layer, &self.settings(index, noise));
            hidden_states.push(hidden.clone());
        }
        EncoderOutput { last_hidden: hidden, hidden_states }
    }

    /// The queries and the keys of every layer of a pass, `[batch * seq, hidden]` each: what attention is made of, to look at.
    pub fn queries_and_keys(&self, output: &EncoderOutput) -> Vec<[Tensor<2>; 2]> {
        let of_layer = |(layer, hidden): (&EncoderLayer, &Tensor<2>)| {
            [&layer.query, &layer.key].map(|(weight, bias)| linear(hidden.clone(), weight.clone(), bias.clone()))
        };
        self.layers.iter().zip(&output.hidden_states).map(of_layer).collect()
    }

    /// A content stream of `input` and a query stream that reads it, through the same weights (Yang et al. 2019, section 2.3): in each
    /// layer queries come from the query stream, keys and values from the content stream *before* that layer. Returns the
    /// query stream's last hidden states, `[batch * queries, hidden]`.
    ///
    /// # Panics
    /// As [`Encoder::forward`].
    pub fn two_streams(
        &self,
        input: &EncoderInput,
        content: &Visibility,
        queries: QueryStream<'_>,
        noise: Option<EncoderNoise<'_>>,
    ) -> Tensor<2> {
        let (mut hidden, mut query) = (self.embed(input, noise), queries.embedded);
        for (index, layer) in self.layers.iter().enumerate() {
            let settings = self.settings(index, queries.noise);
            query = cross_layer(query, hidden.clone(), &queries.visibility, layer, &settings);
            // Nobody reads the content behind the last layer.
            if index + 1 < self.layers.len() {
                hidden = encoder_layer(hidden, content, layer, &self.settings(index, noise));
            }
        }
        query
    }

    /// What the layers begin with: embeddings of words, positions and segments, projected to the hidden size.
    ///
    /// # Panics
    /// As [`Encoder::forward`].
    pub fn embed(&self, input: &EncoderInput, noise: Option<EncoderNoise<'_>>) -> Tensor<2> {
        let config = &self.config;
        let [_, seq] = input.ids.dims();
        assert!(
            seq <= config.max_position_embeddings,
            "seq {seq} is longer than max_position_embeddings {}",
            config.max_position_embeddings
        );
        let embeddings = embeddings(
            &self.word_embeddings,
            self.position_embeddings.clone(),
            self.token_type_embeddings.clone(),
            &input.ids,
            &input.token_type_ids,
        );
        let embeddings = self.embeddings_layer_norm.forward(embeddings);
        let site = noise.map(|noise| noise.dropout(0, Site::Embeddings, config.hidden_dropout_prob));
        let embeddings = dropout(embeddings, site.as_ref());
        match &self.embeddings_project {
            Some(project) => project.forward(embeddings),
            None => embeddings,
        }
    }

    /// How layer `index` is computed.
    fn settings<'a>(&self, index: usize, noise: Option<EncoderNoise<'a>>) -> LayerSettings<'a> {
        let config = &self.config;
        let drop = |site, probability| noise.map(|noise| noise.dropout(index + 1, site, probability));
        LayerSettings {
            heads: config.num_attention_heads,
            epsilon: config.layer_norm_eps,
            recompute: self.recompute,
            dropout: [
                drop(Site::AttentionProbabilities, config.attention_probs_dropout_prob),
                drop(Site::AttentionOutput, config.hidden_dropout_prob),
                drop(Site::Output, config.hidden_dropout_prob),
            ],
        }
    }
}
