//! Networks of folders in memory: loading them, and what each says of a text.

use std::rc::Rc;

use burn::tensor::Device;
use electra_data::{FilesInMemory, Folder, Tokenizer};
use electra_model::ElectraConfig;
use electra_task::{Example, Input, Kind, Prediction, Target};
use electra_train::inference::{Detector, Filler, TaskNetwork};

use crate::error::EngineError;
use crate::protocol::{Classified, Loaded, ModelKind, Proposal, ScoredToken, Token, Utf16Positions};

/// A network that is loaded, shared by what is asked of it at a time.
#[derive(Clone)]
pub enum Model {
    /// `ElectraForPreTraining`
    Discriminator(Rc<Detector>),
    /// `ElectraForMaskedLM`
    Generator(Rc<Filler>),
    /// Any class of a task.
    Classifier(Rc<TaskNetwork>),
}

impl Model {
    /// The network of `files` on `device`.
    ///
    /// # Errors
    /// They are no folder of such a network; the file, its fault and what to do are named.
    pub fn load(files: &FilesInMemory, kind: ModelKind, device: &Device) -> Result<Self, EngineError> {
        let folder = Folder::Memory(files);
        Ok(match kind {
            ModelKind::Discriminator => Self::Discriminator(Rc::new(Detector::load(folder, device)?)),
            ModelKind::Generator => Self::Generator(Rc::new(Filler::load(folder, device)?)),
            ModelKind::Classifier => Self::Classifier(Rc::new(TaskNetwork::load(folder, device)?)),
        })
    }

    /// What the page is told of it under the number `model`.
    pub fn loaded(&self, model: u32) -> Loaded {
        let (kind, config, parameters, labels): (_, &ElectraConfig, _, &[String]) = match self {
            Self::Discriminator(detector) => {
                (ModelKind::Discriminator, detector.network().encoder.config(), detector.parameters(), &[])
            }
            Self::Generator(filler) => {
                (ModelKind::Generator, filler.network().encoder.config(), filler.parameters(), &[])
            }
            Self::Classifier(network) => {
                (ModelKind::Classifier, network.config(), network.parameters(), network.record.kind.labels())
            }
        };
        Loaded {
            model,
            kind,
            parameters: parameters.layout().parameter_count(),
            layers: config.num_hidden_layers,
            heads: config.num_attention_heads,
            hidden: config.hidden_size,
            vocabulary: self.tokenizer().vocab_size(),
            max_tokens: config.max_position_embeddings.saturating_sub(2),
            labels: labels.to_vec(),
        }
    }

    /// The tokenizer that lies beside it.
    pub fn tokenizer(&self) -> &Tokenizer {
        match self {
            Self::Discriminator(detector) => detector.tokenizer(),
            Self::Generator(filler) => filler.tokenizer(),
            Self::Classifier(network) => network.tokenizer(),
        }
    }

    /// # Errors
    /// It is another kind of network.
    pub fn discriminator(&self) -> Result<&Rc<Detector>, EngineError> {
        match self {
            Self::Discriminator(detector) => Ok(detector),
            _ => Err(EngineError::input("this needs a discriminator (ElectraForPreTraining): load one")),
        }
    }

    /// # Errors
    /// It is another kind of network.
    pub fn generator(&self) -> Result<&Rc<Filler>, EngineError> {
        match self {
            Self::Generator(filler) => Ok(filler),
            _ => Err(EngineError::input("this needs a generator (ElectraForMaskedLM): load one")),
        }
    }

    /// # Errors
    /// It is another kind of network.
    pub fn classifier(&self) -> Result<&Rc<TaskNetwork>, EngineError> {
        match self {
            Self::Classifier(network) => Ok(network),
            _ => Err(EngineError::input("this needs a network that was fine-tuned: load one, or fine-tune this one")),
        }
    }
}

/// How likely each token of `text` was replaced, [CLS] and [SEP] left out.
///
/// # Errors
/// The device failed.
pub async fn score(detector: &Detector, text: &str) -> Result<Vec<ScoredToken>, EngineError> {
    let positions = Utf16Positions::new(text);
    let scored = |found: electra_train::inference::TokenScore| ScoredToken {
        token: Token {
            token: found.token,
            id: found.id,
            start: positions.of_byte(found.start),
            end: positions.of_byte(found.end),
        },
        replaced: found.probability,
    };
    Ok(detector.score_async(text).await?.into_iter().map(scored).collect())
}

/// The `top` likeliest tokens in place of the token number `position`, counted without [CLS].
///
/// # Errors
/// There is no such token; the text is too long; the device failed.
pub async fn propose(filler: &Filler, text: &str, position: usize, top: usize) -> Result<Vec<Proposal>, EngineError> {
    let (tokenizer, special) = (filler.tokenizer(), filler.tokenizer().special());
    let mut ids = tokenizer.encode(text);
    if position >= ids.len() {
        let problem = format!("the text has {} tokens, and none number {position}: choose another", ids.len());
        return Err(EngineError::input(problem));
    }
    ids[position] = special.mask;
    // The text may have masks of its own.
    let number = ids[..position].iter().filter(|&&id| id == special.mask).count();
    let framed = [&[special.cls], ids.as_slice(), &[special.sep]].concat();
    let mut guesses = filler.fill_ids(&framed, top).await?;
    let proposal = |guess: electra_train::inference::Guess| Proposal {
        token: guess.token,
        id: guess.id,
        probability: guess.probability,
    };
    Ok(guesses.swap_remove(number).into_iter().map(proposal).collect())
}

/// What a fine-tuned network says of a text, or of two.
///
/// # Errors
/// Its task is not one of texts; the device failed.
pub async fn classify(network: &TaskNetwork, text: &str, pair: Option<&str>) -> Result<Classified, EngineError> {
    if matches!(network.record.kind, Kind::Tagging { .. } | Kind::QuestionAnswering { .. }) {
        let problem = format!("this network was fine-tuned for {}, which a page cannot ask", network.record.task);
        return Err(EngineError::input(format!("{problem}: use \"electra predict\"")));
    }
    let input = match pair {
        Some(pair) => Input::Pair(text.to_owned(), pair.to_owned()),
        None => Input::Text(text.to_owned()),
    };
    let example = Example { id: "0".to_owned(), input, target: Target::Unknown };
    let mut predicted = network.predict_async(std::slice::from_ref(&example), &mut |_, _| {}).await?;
    let labels = network.record.kind.labels();
    Ok(match predicted.predictions.swap_remove(0) {
        Prediction::Class { probabilities, .. } | Prediction::Classes { probabilities, .. } => {
            Classified { probabilities: labels.iter().cloned().zip(probabilities).collect(), value: None }
        }
        Prediction::Value(value) => Classified { probabilities: Default::default(), value: Some(value) },
        other => panic!("{other:?} is no prediction of a text"),
    })
}
