//! Pre-training on a reader's text, a step at a time: vocabulary, dataset, run and networks, all in memory.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use electra_data::{FilesInMemory, Tokenizer, TrainOptions};
use electra_train::exchange::hugging_face::{Architecture, export_to_memory};
use electra_train::exchange::networks::networks_of;
use electra_train::pretraining::Pretraining;
use electra_train::pretraining::card::card_of;
use electra_train::run::{Advance, CHECKPOINT_FILES, Checkpoint, MemorySink, Run};
use electra_train::{MetricsRow, ModelCard, Plan, RunConfig, config, data};
use serde::Deserialize;

use crate::error::EngineError;
use crate::finetune::Pace;
use crate::model::Model;
use crate::protocol::{ModelKind, Progress, SampleToken};

/// Of a text: less has no words to learn.
const LEAST_BYTES: usize = 20_000;
/// Steps between two looks at the losses: each waits for the device.
const STEPS_BETWEEN_ROWS: u64 = 10;
/// Held-out texts that are shown at a time.
const SAMPLES: usize = 2;
/// Fewer lines than this are cut at the ends of sentences: a text is held out and packed by its lines.
const FEWEST_LINES: usize = 64;
/// Values of a head.
const HEAD_SIZE: usize = 16;

/// What is trained.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PretrainOptions {
    pub text: String,
    pub vocabulary: usize,
    pub steps: u64,
    pub objective: String,
    pub layers: usize,
    pub hidden: usize,
    /// Of the discriminator's width; the preset's where there is none.
    #[serde(default)]
    pub generator_size: Option<f64>,
    pub batch_size: usize,
    pub sequence_length: usize,
    pub learning_rate: f64,
    pub seed: u64,
    pub sample_every: u64,
}

/// Networks that have been pre-trained.
pub struct Pretrained {
    pub discriminator: Option<Model>,
    pub generator: Option<Model>,
    /// `discriminator/config.json`, ...: what `electra detect` and `transformers` load.
    pub files: FilesInMemory,
    /// To go on from.
    pub checkpoint: Vec<u8>,
}

/// A pre-training between two steps.
pub struct Pretrainer {
    config: RunConfig,
    tokenizer: Tokenizer,
    run: Run<Pretraining, MemorySink>,
    device: Device,
    progress: Pace,
    rows: usize,
    sample_every: u64,
}

impl Pretrainer {
    /// One that begins, or goes on from the bytes of a checkpoint; and what is to be known of it.
    ///
    /// # Errors
    /// The text is too short or says too little; an option is out of range; the checkpoint is of another text or other options.
    pub fn begin(
        options: &PretrainOptions,
        resume: Option<&[u8]>,
        device: &Device,
        device_name: &str,
        clock: fn() -> f64,
    ) -> Result<(Self, Vec<Progress>), EngineError> {
        let bytes = options.text.len();
        if bytes < LEAST_BYTES {
            let problem = format!("the text has {:.1} kB, and 20 are needed: add more", bytes as f64 / 1000.0);
            return Err(EngineError::input(problem));
        }
        let mut config = config_of(options)?;
        let text = in_lines(&options.text);
        let wanted = TrainOptions { vocab_size: options.vocabulary, ..TrainOptions::default() };
        let tokenizer = Tokenizer::train_on_text(&text, &wanted)?.tokenizer;
        let data = data::in_memory(&mut config, &tokenizer, "a reader's text", &text)?;
        if data.is_mostly_unknown {
            let problem = data.unknown_warning.unwrap_or_default();
            return Err(EngineError::input(format!("{problem}; build a larger vocabulary")));
        }
        let mut notes: Vec<Progress> = data.unknown_warning.iter().map(|text| note(text.clone())).collect();
        notes.push(note(data.tokenizer_description.clone()));

        let plan = Plan::new(&config, data.special, device)?.on(device_name);
        let sink = MemorySink::new(clock);
        let run = match resume {
            None => Run::begin(Pretraining::begin(plan, data), sink)?,
            Some(bytes) => {
                let (saved, rows) = checkpoint::read(bytes)?;
                let mut sink = sink;
                sink.rows = rows;
                Run::resume(Pretraining::resume(plan, data, saved, Path::new("the checkpoint"))?, sink)?
            }
        };
        let (step, rows) = (run.step(), run.sink().rows.len());
        let progress = Pace::new(step, config.train.steps, clock);
        let (device, sample_every) = (device.clone(), options.sample_every);
        Ok((Self { config, tokenizer, run, device, progress, rows, sample_every }, notes))
    }

    /// One step: whether there are more, and what there is to tell.
    ///
    /// # Errors
    /// The device failed, or the loss is no number any more. The run is of no use then, but for an earlier checkpoint.
    pub async fn step(&mut self) -> Result<(bool, Vec<Progress>), EngineError> {
        let goes_on = self.run.advance().await? == Advance::Stepped;
        let rows = &self.run.sink().rows;
        let new = rows[self.rows..].iter().map(|row| Progress::Row { row: serde_json::json!(row) });
        let mut told: Vec<Progress> = new.collect();
        self.rows = rows.len();
        let step = self.run.step();
        told.push(self.progress.at(step));
        if self.sample_every > 0 && (step.is_multiple_of(self.sample_every) || !goes_on) {
            told.extend(self.samples(step).await?);
        }
        Ok((goes_on, told))
    }

    async fn samples(&self, step: u64) -> Result<Vec<Progress>, EngineError> {
        let judged = self.run.work().examples(step, SAMPLES).await?;
        let name = |id| self.tokenizer.token(id).unwrap_or_default();
        let token = |token: electra_train::pretraining::JudgedToken| SampleToken {
            token: name(token.id),
            original: name(token.original_id),
            replaced: token.probability,
        };
        let sample = |tokens: Vec<_>| Progress::Sample { step, tokens: tokens.into_iter().map(token).collect() };
        Ok(judged.into_iter().map(sample).collect())
    }

    /// Steps done, and the bytes of a checkpoint, to go on from here or elsewhere.
    ///
    /// # Errors
    /// The device failed.
    pub async fn checkpoint(&mut self) -> Result<(u64, Vec<u8>), EngineError> {
        self.run.checkpoint().await?;
        Ok((self.run.step(), checkpoint::write(self.run.sink())?))
    }

    /// Ends it: its networks as folders and loaded, and its last checkpoint.
    ///
    /// # Errors
    /// The device failed.
    pub async fn finish(self) -> Result<Pretrained, EngineError> {
        let Self { config, tokenizer, run, device, .. } = self;
        let ended = run.finish().await?;
        let place = Path::new("pre-trained in a browser");
        let card = ModelCard {
            tokenizer: Some(data::describe(&tokenizer)),
            ..card_of(place, &config, &ended.state, ended.last_validation.as_ref())
        };
        let networks = networks_of(ended.work.objective(), ended.work.parameters(), None, place).await?;
        let mut done = Pretrained {
            discriminator: None,
            generator: None,
            files: FilesInMemory::new(),
            checkpoint: checkpoint::write(&ended.sink)?,
        };
        for (role, network) in networks {
            let files = export_to_memory(&network, tokenizer.clone(), &card, place)?;
            match network.architecture {
                Architecture::PreTraining => {
                    done.discriminator = Some(Model::load(&files, ModelKind::Discriminator, &device)?);
                }
                Architecture::MaskedLm => done.generator = Some(Model::load(&files, ModelKind::Generator, &device)?),
                _ => {}
            }
            done.files.extend(files.into_iter().map(|(name, bytes)| (format!("{role}/{name}"), bytes)));
        }
        Ok(done)
    }
}

/// The preset that learns fastest in minutes, in the sizes that were asked for.
fn config_of(options: &PretrainOptions) -> Result<RunConfig, EngineError> {
    let heads = (options.hidden / HEAD_SIZE).max(1);
    let mut settings = vec![
        ("objective.name", options.objective.clone()),
        ("model.vocab_size", options.vocabulary.to_string()),
        ("model.num_hidden_layers", options.layers.to_string()),
        ("model.hidden_size", options.hidden.to_string()),
        ("model.embedding_size", options.hidden.to_string()),
        ("model.intermediate_size", (4 * options.hidden).to_string()),
        ("model.num_attention_heads", heads.to_string()),
        ("train.steps", options.steps.to_string()),
        ("train.warmup_steps", (options.steps / 10).clamp(1, 200).to_string()),
        ("train.batch_size", options.batch_size.to_string()),
        ("train.micro_batch", options.batch_size.to_string()),
        ("train.sequence_length", options.sequence_length.to_string()),
        ("train.learning_rate", options.learning_rate.to_string()),
        ("train.log_every", STEPS_BETWEEN_ROWS.min(options.steps.max(1)).to_string()),
        ("train.validate_every", options.sample_every.to_string()),
        ("train.validation_batches", "4".to_owned()),
        // The page asks for checkpoints by itself.
        ("train.checkpoint_every", options.steps.max(1).to_string()),
        ("seed", options.seed.to_string()),
    ];
    settings.extend(options.generator_size.map(|size| ("model.generator_size", size.to_string())));
    let sets: Vec<String> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Ok(config::resolve(Some("first"), None, &sets)?)
}

/// `text` with enough lines to hold some of them out.
fn in_lines(text: &str) -> String {
    if text.lines().filter(|line| !line.trim().is_empty()).count() >= FEWEST_LINES {
        return text.to_owned();
    }
    let mut cut = String::with_capacity(text.len() + text.len() / 50);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        cut.push(character);
        let ends = match character {
            '。' | '！' | '？' => true,
            '.' | '!' | '?' => characters.peek().is_some_and(|next| next.is_whitespace()),
            _ => false,
        };
        if ends {
            cut.push('\n');
        }
    }
    cut
}

fn note(text: String) -> Progress {
    Progress::Note { text }
}

/// A run's checkpoint as one array of bytes: the number of its files, and of each the lengths of its name and of its content, the
/// name, and the content. The last is the rows so far.
mod checkpoint {
    use super::*;

    const ROWS: &str = "rows.json";

    pub(super) fn write(sink: &MemorySink) -> Result<Vec<u8>, EngineError> {
        let saved = sink.checkpoint.as_ref().expect("a run saves before it is left");
        let mut bytes = Vec::new();
        let mut put = |name: &str, content: &[u8]| {
            bytes.extend((name.len() as u32).to_le_bytes());
            bytes.extend((content.len() as u64).to_le_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend(content);
        };
        saved.write(|name, content| {
            put(name, content);
            Ok(())
        })?;
        put(ROWS, &serde_json::to_vec(&sink.rows).expect("plain data"));
        Ok(bytes)
    }

    pub(super) fn read(bytes: &[u8]) -> Result<(Checkpoint, Vec<MetricsRow>), EngineError> {
        let damaged = || EngineError::input("the checkpoint is damaged or no checkpoint: begin again without it");
        let mut files = FilesInMemory::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (name, after) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
            let (content, after) = after.split_first_chunk::<8>().ok_or_else(damaged)?;
            let name = u32::from_le_bytes(*name) as usize;
            let content = usize::try_from(u64::from_le_bytes(*content)).map_err(|_| damaged())?;
            let (name, after) = after.split_at_checked(name).ok_or_else(damaged)?;
            let (content, after) = after.split_at_checked(content).ok_or_else(damaged)?;
            files.insert(String::from_utf8_lossy(name).into_owned(), content.to_vec());
            rest = after;
        }
        if CHECKPOINT_FILES.iter().chain(&[ROWS]).any(|name| !files.contains_key(*name)) {
            return Err(damaged());
        }
        let rows = serde_json::from_slice(&files[ROWS]).map_err(|_| damaged())?;
        let saved = Checkpoint::read(|name| Ok((PathBuf::from(name), files[name].clone())))?;
        Ok((saved, rows))
    }
}
