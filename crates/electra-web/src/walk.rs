//! One text through both networks, with all that there is to see on the way: masks, proposals, replacements, judgements, losses of
//! each token, attention, and where each objective's gradient goes.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData};
use electra_data::{MaskingConfig, Replacement, Tokenizer, choose_masked};
use electra_kernels::noise::{NoiseKey, gumbel};
use electra_kernels::read::{self, Reads};
use electra_kernels::{Visibility, gather_positions, mlm_loss, rtd_loss};
use electra_model::{Discriminator, EncoderInput, Generator, Parameters};
use electra_train::inference::{Detector, Filler};
use serde::{Deserialize, Serialize};

use crate::attention::append_probabilities;
use crate::error::EngineError;
use crate::protocol::{Proposal, Token, Utf16Positions};

/// Proposals that are shown for each masked position.
const TOP: usize = 5;

/// How a text goes through the networks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WalkOptions {
    /// Share of the tokens that is masked.
    pub masking_rate: f64,
    /// What the generator's logits are divided by.
    pub temperature: f64,
    /// Decides masks and draws.
    pub seed: u64,
    /// Draws that the reader chose: position to id.
    pub chosen: BTreeMap<usize, u32>,
}

/// The generator's opinion of a masked position.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposed {
    pub position: usize,
    /// At the temperature, the likeliest first.
    pub top: Vec<Proposal>,
    pub drawn: Proposal,
    /// Cross-entropy of the drawn token at temperature 1, in nats.
    pub drawn_loss: f64,
}

/// Norms of gradients, one a position, of the masked-language model's loss alone and of the discriminator's alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gradients {
    pub mlm: Vec<f64>,
    pub rtd: Vec<f64>,
}

/// All that a walk shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Walk {
    /// [CLS] first and [SEP] last.
    pub tokens: Vec<Token>,
    pub masked: Vec<usize>,
    pub proposals: Vec<Proposed>,
    pub corrupted: Vec<Token>,
    pub replaced: Vec<bool>,
    pub probabilities: Vec<f32>,
    pub mlm_losses: Vec<f64>,
    pub rtd_losses: Vec<f64>,
    /// `[layer][head][query][key]` of the discriminator; handed over by itself, since it is long.
    #[serde(skip)]
    pub attention: Vec<f32>,
    pub layers: usize,
    pub heads: usize,
    /// With respect to the last hidden state of each position: whom the loss itself speaks to.
    pub gradients: Gradients,
    /// With respect to the embedding of each position: whom attention passes it on to.
    pub input_gradients: Gradients,
}

/// Takes `text` through `filler`'s generator and `detector`'s discriminator.
///
/// # Errors
/// The networks have different tokenizers; the text is empty or too long; the rate or the temperature is none; the device failed.
pub async fn walk(
    detector: &Detector,
    filler: &Filler,
    text: &str,
    options: &WalkOptions,
) -> Result<Walk, EngineError> {
    let tokenizer = detector.tokenizer();
    if tokenizer.sha256() != filler.tokenizer().sha256() {
        let problem = "generator and discriminator have different vocabularies: load two that were trained together";
        return Err(EngineError::input(problem));
    }
    if !(options.temperature > 0.0 && options.temperature.is_finite()) {
        return Err(EngineError::input(format!("the temperature is {}: it must be above 0", options.temperature)));
    }
    let (discriminator, generator) = (detector.network(), filler.network());
    let config = discriminator.encoder.config();
    let room = config.max_position_embeddings.min(generator.encoder.config().max_position_embeddings) - 2;
    let tokens = framed(tokenizer, text);
    match tokens.len() - 2 {
        0 => return Err(EngineError::input("the text has no word: write one")),
        count if count > room => {
            let problem = format!("the text has {count} tokens, but the networks read {room} at most: shorten it");
            return Err(EngineError::input(problem));
        }
        _ => {}
    }
    let ids: Vec<i32> = tokens.iter().map(|token| token.id as i32).collect();
    let masking = MaskingConfig {
        probability: options.masking_rate,
        // What a reader sees masked is what the generator reads; in training some keep their token.
        replacement: Replacement { mask: 1.0, random: 0.0 },
        ..MaskingConfig::default()
    };
    masking.validate()?;
    let special = tokenizer.special();
    let most = masking.max_masked(ids.len());
    let masked = choose_masked(&ids, special, tokenizer.vocab_size(), &masking, most, (options.seed, 0, 0));
    let mut masked_ids = ids.clone();
    masked.positions.iter().zip(&masked.ids).for_each(|(&position, &id)| masked_ids[position] = id);

    let guesses = guess(filler, &masked_ids, &ids, &masked.positions).await?;
    let proposals = proposals(tokenizer, &guesses, &masked.positions, options);
    let mut corrupted_ids = ids.clone();
    proposals.iter().for_each(|proposed| corrupted_ids[proposed.position] = proposed.drawn.id as i32);
    let replaced: Vec<bool> = ids.iter().zip(&corrupted_ids).map(|(id, corrupted)| id != corrupted).collect();
    let judged = judge(detector, &corrupted_ids, &replaced).await?;

    let written = |(token, &id): (&Token, &i32)| Token {
        token: tokenizer.token(id as u32).unwrap_or_default(),
        id: id as u32,
        ..token.clone()
    };
    let last = ids.len() - 1;
    let rtd_loss = |(place, (&logit, &replaced)): (usize, (&f32, &bool))| {
        let margin = f64::from(if replaced { -logit } else { logit });
        if place == 0 || place == last { 0.0 } else { margin.max(0.0) + (-margin.abs()).exp().ln_1p() }
    };
    Ok(Walk {
        corrupted: tokens.iter().zip(&corrupted_ids).map(written).collect(),
        probabilities: judged.logits.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect(),
        mlm_losses: guesses.losses(&masked.positions, &ids),
        rtd_losses: judged.logits.iter().zip(&replaced).enumerate().map(rtd_loss).collect(),
        tokens,
        masked: masked.positions,
        proposals,
        replaced,
        attention: judged.attention,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        gradients: Gradients { mlm: guesses.last_gradients, rtd: judged.last_gradients },
        input_gradients: Gradients { mlm: guesses.input_gradients, rtd: judged.input_gradients },
    })
}

fn framed(tokenizer: &Tokenizer, text: &str) -> Vec<Token> {
    let (special, positions) = (tokenizer.special(), Utf16Positions::new(text));
    let token = |id: u32, start: usize, end: usize| Token {
        token: tokenizer.token(id).unwrap_or_default(),
        id,
        start: positions.of_byte(start),
        end: positions.of_byte(end),
    };
    let (ids, ranges) = tokenizer.encode_with_offsets(text);
    let mut tokens = vec![token(special.cls, 0, 0)];
    tokens.extend(ids.iter().zip(ranges).map(|(&id, (start, end))| token(id, start, end)));
    tokens.push(token(special.sep, text.len(), text.len()));
    tokens
}

/// What the generator says of the masked positions.
struct Guesses {
    /// A row of the vocabulary for each.
    log_probabilities: Vec<Vec<f64>>,
    logits: Vec<Vec<f32>>,
    last_gradients: Vec<f64>,
    input_gradients: Vec<f64>,
}

impl Guesses {
    /// Cross-entropy of the original tokens.
    fn losses(&self, positions: &[usize], ids: &[i32]) -> Vec<f64> {
        positions.iter().zip(&self.log_probabilities).map(|(&position, row)| -row[ids[position] as usize]).collect()
    }
}

async fn guess(filler: &Filler, masked_ids: &[i32], ids: &[i32], positions: &[usize]) -> Result<Guesses, EngineError> {
    let device = filler.device();
    let seq = ids.len();
    let generator =
        taped(filler.parameters(), |parameters| Generator::bind(filler.network().encoder.config(), parameters, ""));
    let on_tape = device.clone().autodiff();
    let embedded = leaf(filler.network().encoder.embed(&input(masked_ids, device), None));
    let states = generator.encoder.layers_on(embedded.clone(), &all(seq, &on_tape), None);
    let last = leaf(states.last_hidden.clone().inner());
    let ints = |values: Vec<i32>| {
        let count = values.len();
        Tensor::<2, Int>::from_data(TensorData::new(values, [1, count]), &on_tape)
    };
    let slots = ints(positions.iter().map(|&position| position as i32).collect());
    let targets = ints(positions.iter().map(|&position| ids[position]).collect()).reshape([positions.len()]);
    let loss = |hidden: Tensor<2>| {
        let rows = generator.transform(gather_positions(hidden, &slots, seq));
        let (table, bias) = generator.output();
        let weights = Tensor::ones([positions.len()], &on_tape);
        mlm_loss(rows, table, bias, targets.clone(), weights, positions.len() as f64, None).loss
    };
    let of_embedded = gradient(&loss(states.last_hidden.clone()), &embedded);
    let of_last = gradient(&loss(last.clone()), &last);
    let slots = slots.inner();
    let logits = filler.network().logits(gather_positions(states.last_hidden.inner(), &slots, seq));
    let [_, vocab] = logits.dims();

    let mut reads = Reads::default();
    reads.floats(&logits);
    reads.floats(&of_last);
    reads.floats(&of_embedded);
    let found = reads.fetch().await?;
    let logits: Vec<Vec<f32>> = read::floats_of(&found[0]).chunks(vocab).map(<[f32]>::to_vec).collect();
    Ok(Guesses {
        log_probabilities: logits.iter().map(|row| log_softmax(row, 1.0)).collect(),
        logits,
        last_gradients: norms(&read::floats_of(&found[1]), seq),
        input_gradients: norms(&read::floats_of(&found[2]), seq),
    })
}

/// The likeliest tokens at the temperature, and the one that is drawn as in training: the greatest of logit and Gumbel noise.
fn proposals(tokenizer: &Tokenizer, guesses: &Guesses, positions: &[usize], options: &WalkOptions) -> Vec<Proposed> {
    // Rows beyond the tokenizer's entries are no tokens.
    let entries = tokenizer.vocab_size();
    let of_position = |(number, &position): (usize, &usize)| {
        let logits = &guesses.logits[number];
        let log_probabilities = log_softmax(logits, options.temperature);
        let proposal = |id: usize| Proposal {
            token: tokenizer.token(id as u32).unwrap_or_default(),
            id: id as u32,
            probability: log_probabilities[id].exp() as f32,
        };
        let mut order: Vec<usize> = (0..entries.min(logits.len())).collect();
        let key = NoiseKey::new(options.seed).child_str("walk").child(position as u64);
        let noisy = |id: usize| log_probabilities[id] + f64::from(gumbel(key.bits(id as u32)));
        let drawn = order.iter().copied().max_by(|&a, &b| noisy(a).total_cmp(&noisy(b)).then(b.cmp(&a)));
        let chosen = options.chosen.get(&position).map(|&id| id as usize).filter(|&id| id < order.len());
        let drawn = chosen.or(drawn).expect("a vocabulary has entries");
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        order.truncate(TOP);
        Proposed {
            position,
            top: order.into_iter().map(proposal).collect(),
            drawn: proposal(drawn),
            drawn_loss: -guesses.log_probabilities[number][drawn],
        }
    };
    positions.iter().enumerate().map(of_position).collect()
}

/// What the discriminator says of a text.
struct Judged {
    logits: Vec<f32>,
    attention: Vec<f32>,
    last_gradients: Vec<f64>,
    input_gradients: Vec<f64>,
}

async fn judge(detector: &Detector, ids: &[i32], replaced: &[bool]) -> Result<Judged, EngineError> {
    let device = detector.device();
    let (seq, heads) = (ids.len(), detector.network().encoder.config().num_attention_heads);
    let discriminator = taped(detector.parameters(), |parameters| {
        Discriminator::bind(detector.network().encoder.config(), parameters, "")
    });
    let on_tape = device.clone().autodiff();
    let embedded = leaf(detector.network().encoder.embed(&input(ids, device), None));
    let states = discriminator.encoder.layers_on(embedded.clone(), &all(seq, &on_tape), None);
    let last = leaf(states.last_hidden.clone().inner());
    let labels: Vec<f32> = replaced.iter().map(|&replaced| f32::from(replaced)).collect();
    let loss = |hidden: Tensor<2>| {
        let logits = discriminator.predict(hidden).reshape([1, seq]);
        let labels = Tensor::from_data(TensorData::new(labels.clone(), [1, seq]), &on_tape);
        rtd_loss(logits, labels, Tensor::ones([1, seq], &on_tape), seq as f64)
    };
    let of_embedded = gradient(&loss(states.last_hidden.clone()), &embedded);
    let of_last = gradient(&loss(last.clone()), &last);
    let mut reads = Reads::default();
    reads.floats(&detector.network().predict(states.last_hidden.clone().inner()));
    reads.floats(&of_last);
    reads.floats(&of_embedded);
    for [queries, keys] in discriminator.encoder.queries_and_keys(&states) {
        reads.floats(&queries);
        reads.floats(&keys);
    }
    let found: Vec<Vec<f32>> = reads.fetch().await?.iter().map(read::floats_of).collect();
    let mut attention = Vec::new();
    for layer in found[3..].chunks(2) {
        append_probabilities(&layer[0], &layer[1], seq, heads, &mut attention);
    }
    Ok(Judged {
        attention,
        last_gradients: norms(&found[1], seq),
        input_gradients: norms(&found[2], seq),
        logits: found.into_iter().next().expect("what was asked for"),
    })
}

/// A network whose operations are remembered, without gradients of its weights.
fn taped<N>(parameters: &Parameters, bind: impl FnOnce(&Parameters) -> N) -> N {
    bind(&parameters.map(|_, _, value| Tensor::from_inner(value.clone())))
}

/// Something to take a gradient with respect to.
fn leaf(values: Tensor<2>) -> Tensor<2> {
    Tensor::from_inner(values).require_grad()
}

fn gradient(loss: &Tensor<1>, leaf: &Tensor<2>) -> Tensor<2> {
    let gradients = loss.backward();
    leaf.grad(&gradients).unwrap_or_else(|| leaf.clone().inner().zeros_like())
}

fn input(ids: &[i32], device: &Device) -> EncoderInput {
    let ids: Vec<u32> = ids.iter().map(|&id| id as u32).collect();
    EncoderInput::single(&ids, device)
}

fn all(seq: usize, device: &Device) -> Visibility {
    Visibility::all(Tensor::ones([1, seq], device))
}

/// Of each of `rows` rows.
fn norms(values: &[f32], rows: usize) -> Vec<f64> {
    let norm = |row: &[f32]| row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    values.chunks(values.len() / rows).map(norm).collect()
}

fn log_softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
    let scaled: Vec<f64> = logits.iter().map(|&logit| f64::from(logit) / temperature).collect();
    let greatest = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = scaled.iter().map(|logit| (logit - greatest).exp()).sum();
    scaled.into_iter().map(|logit| logit - greatest - total.ln()).collect()
}
