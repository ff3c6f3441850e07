//! A pre-training run: a folder, a loop, and everything that must survive a kill.
//!
//! The folder holds run.toml, metrics.jsonl (nothing that differs between two equal runs), timings.jsonl,
//! tensorboard/, step_NNNNNN/ (checkpoints) and, at the end, discriminator/ and generator/ in Hugging Face's
//! layout. At a step that is due for several things they happen in one order: rows, validation, checkpoint.
//! So a checkpoint vouches for every row up to its step, and a resumed run writes the rest as it would have been.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::Device;
use electra_data::{Batch, BatchSource, Prefetcher, SpecialTokens};
use electra_kernels::launches::{self, KernelTime};
use electra_model::objective::{self, NetworkKind};
use electra_model::pretraining::{DISCRIMINATOR, GENERATOR};
use electra_model::{Initializer, Layout, Neighbours, Objective, ObjectiveConfig, Parameters};
use serde_json::json;

use crate::baseline::FrequencyDetector;
use crate::checkpoint::{self, Checkpoint, TrainState};
use crate::error::{Error, Result};
use crate::event::{EventSink, TrainEvent};
use crate::hugging_face::{self, Architecture, Network};
use crate::metrics::{MetricWindow, MetricsRow};
use crate::model_card::ModelCard;
use crate::optimizer::{Adam, AdamConfig, LossScale};
use crate::record::{Record, TimingsRow};
use crate::run_config::{MicroBatch, PositionInitializer, RunConfig, TrainConfig};
use crate::schedule::lr_at;
use crate::tensorboard::TensorBoard;
use crate::trainer::{PendingStep, Trainer};
use crate::validate::{JudgedToken, Validation};
use crate::{file, flops, host, init_from, training_data};

/// Name of the resolved configuration in a run's folder.
pub const RUN_CONFIG: &str = "run.toml";
/// Name of the record of losses and detection in a run's folder.
const METRICS: &str = "metrics.jsonl";
/// Held-out examples to show at the end.
const EXAMPLES: usize = 4;
/// Threads that prepare batches ahead of the device.
const PREFETCH_THREADS: usize = 2;

/// Steps whose numbers may wait on a graphics adapter: the host runs ahead of it by so many, and no further, so that a
/// run that breaks is stopped soon and Ctrl-C is answered.
const STEPS_AHEAD: usize = 16;

/// Steps before the one that is profiled: the first ones compile shaders and allocate.
const STEPS_BEFORE_PROFILE: u64 = 2;

/// The text a run learns from and is judged on.
pub struct TrainingData {
    pub train: BatchSource,
    pub validation: BatchSource,
    pub special: SpecialTokens,
    /// Entries of the tokenizer; a network's word table may have more.
    pub vocab_size: usize,
    /// What to say of [UNK] where there is much of it.
    pub unknown_warning: Option<String>,
    /// Whether more than half of the tokens are [UNK].
    pub is_mostly_unknown: bool,
    /// Frequencies of the training text.
    pub baseline: Option<FrequencyDetector>,
    /// Folder with the tokenizer's files, copied beside the exported networks.
    pub tokenizer: PathBuf,
    /// Corpus and tokenizer in words, for the model card.
    pub corpus: String,
    pub tokenizer_description: String,
    /// Tells this dataset and tokenizer from any other.
    pub fingerprint: String,
}

/// Where and how a run goes.
pub struct RunOptions<'a> {
    pub folder: PathBuf,
    /// Continue from the newest whole checkpoint in `folder`.
    pub resume: bool,
    /// Start from the networks in this folder's `discriminator` and `generator`.
    pub init_from: Option<PathBuf>,
    pub device: Device,
    pub device_description: String,
    /// Set it to save and stop after the step in hand.
    pub stop: &'a AtomicBool,
    pub license: Option<String>,
    /// Time every launch of one step on a graphics adapter, and write them to profile.json.
    pub profile: bool,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Steps done.
    pub step: u64,
    pub interrupted: bool,
    /// The last validation of this run.
    pub validation: Option<MetricsRow>,
    /// Exported folders, the one to keep first.
    pub exported: Vec<PathBuf>,
    /// A few held-out examples, corrupted and judged.
    pub examples: Vec<Vec<JudgedToken>>,
}

/// The objective that `config` names.
///
/// # Errors
/// The networks cannot be built; the configuration is named.
pub fn objective_of(config: &RunConfig, objective: &ObjectiveConfig) -> Result<Box<dyn Objective>> {
    let networks = config.model.networks();
    let invalid = |problem: String| Error::invalid(Path::new(RUN_CONFIG), problem, "change [model] or [objective]");
    networks.validate().map_err(|error| invalid(error.to_string()))?;
    objective::from_config(objective, &networks).map_err(|error| invalid(error.to_string()))
}

/// The parameters that `objective` trains, with the first values that `config` asks for.
pub fn layout_of(config: &RunConfig, objective: &dyn Objective) -> Layout {
    let layout = objective.layout();
    match config.model.position_initializer {
        PositionInitializer::Normal => layout,
        PositionInitializer::Sinusoidal => layout.with_initializer(
            "embeddings.position_embeddings.weight",
            Initializer::Sinusoidal(config.model.initializer_range),
        ),
        PositionInitializer::Neighbours => {
            // The network to keep. A generator looks at the same positions, but has to find out where.
            let prefix = match objective.networks().first() {
                Some(NetworkKind::Generator) => GENERATOR,
                _ => DISCRIMINATOR,
            };
            let neighbours = Neighbours::new(&config.model.discriminator()).expect("checked with the configuration");
            neighbours.initialize(layout, prefix)
        }
    }
}

/// Runs `config` to its last step, or until `options.stop`.
///
/// `config.model.vocab_size` must be the tokenizer's and `config.train.micro_batch` a number
/// ([`resolve_micro_batch`]).
///
/// # Errors
/// A file cannot be read or written, the folder holds another run, or the loss stays non-finite.
pub fn pretrain(
    config: &RunConfig,
    data: TrainingData,
    options: &RunOptions<'_>,
    events: &mut EventSink<'_>,
) -> Result<Outcome> {
    let folder = &options.folder;
    let objective = objective_of(config, &config.objective)?;
    let judge = objective_of(
        config,
        &ObjectiveConfig { temperature: 1.0, disallow_correct: false, ..config.objective.clone() },
    )?;
    let MicroBatch::Size(micro_batch) = config.train.micro_batch else {
        panic!("micro_batch must be resolved before a run starts");
    };

    file::create_folder(folder)?;
    checkpoint::remove_leftovers(folder)?;
    let resumed = if options.resume { newest_checkpoint(folder, config, &data.fingerprint, events)? } else { None };

    let adam = AdamConfig::from(&config.train);
    let layout = layout_of(config, objective.as_ref());
    let parameter_count = layout.parameter_count();
    let description = describe(config, objective.as_ref());
    let (mut trainer, mut progress) = match resumed {
        Some((path, saved)) => {
            let (trainer, progress) = restore(&path, saved, objective, &layout, adam, &data, config, options)?;
            events(&TrainEvent::Resumed { step: progress.step, path });
            (trainer, progress)
        }
        None => {
            let mut trainer =
                Trainer::initialize(objective, &layout, adam, data.special, config.seed, micro_batch, &options.device)
                    .in_precision(config.train.precision);
            if let Some(source) = &options.init_from {
                trainer.parameters =
                    init_from::parameters(source, config, &data, &trainer.parameters, &options.device, events)?;
            }
            trainer.parameters = init_from::close_unused_rows(trainer.parameters, data.vocab_size, &options.device);
            (trainer, Progress::default())
        }
    };
    trainer.recompute = config.train.recompute;
    // Not before all that was given has been read: a start that fails leaves the folder empty.
    config.save(&folder.join(RUN_CONFIG))?;
    let validation = Validation {
        source: data.validation.clone(),
        batches: config.train.validation_batches,
        objective: judge,
        special: data.special,
        seed: config.seed,
        baseline: data.baseline.clone(),
    };

    let train = &config.train;
    let tokens_per_step = (train.batch_size * train.sequence_length) as u64;
    events(&TrainEvent::Started {
        description,
        device: options.device_description.clone(),
        parameters: parameter_count,
        steps: train.steps,
        tokens_per_step,
        micro_batch,
    });
    if let Some(warning) = &data.unknown_warning {
        events(&TrainEvent::Warning { message: format!("{}: {warning}", config.data.dir.display()) });
    }
    let first_step = progress.step;
    let mut metrics = Record::open(&folder.join(METRICS), first_step)?;
    if metrics.rows() < progress.rows {
        let message = format!(
            "{}: {} rows up to step {first_step}, but there were {} when the checkpoint was written; training goes on \
             without the lost ones",
            folder.join(METRICS).display(),
            metrics.rows(),
            progress.rows
        );
        events(&TrainEvent::Warning { message });
    }
    let mut timings = Record::open(&folder.join("timings.jsonl"), first_step)?;
    let mut board = TensorBoard::create(&folder.join("tensorboard"), first_step)?;
    let started = Instant::now();
    let mut last_validation = None;
    let mut saved_at = (first_step > 0).then_some(first_step);
    if first_step == 0 && options.init_from.is_some() {
        // A resumed run no longer knows where its weights came from.
        let path = save(folder, config, &data.fingerprint, &trainer, &progress, metrics.rows())?;
        events(&TrainEvent::CheckpointSaved { step: 0, path });
    }
    let mut phase = trainer.objective().phase(first_step);

    let mut pending = VecDeque::new();
    let mut batches = Prefetcher::new(data.train.clone(), first_step, PREFETCH_THREADS);
    while progress.step < train.steps && !options.stop.load(Ordering::SeqCst) {
        let step = progress.step;
        let batch = batches.next_batch();
        if trainer.objective().phase(step) != phase {
            phase = trainer.objective().phase(step);
            events(&TrainEvent::Notice { message: format!("step {step}: the phase \"{phase}\" begins") });
        }
        let learning_rate = lr_at(step, train.learning_rate, train.warmup_steps, train.steps);
        if options.profile && step == first_step + STEPS_BEFORE_PROFILE {
            // By itself: steps in flight would be timed with it.
            settle(&mut pending, &mut progress, train.max_nonfinite_in_a_row, folder, events)?;
            let (submitted, times) = launches::profile(|| trainer.submit(&batch, step, learning_rate));
            pending.push_back((submitted, batch));
            let path = folder.join("profile.json");
            file::write_atomically(&path, &profile_json(step, &times))?;
            events(&TrainEvent::Notice { message: format!("step {step}, kernel by kernel: {}", path.display()) });
        } else {
            pending.push_back((trainer.submit(&batch, step, learning_rate), batch));
        }
        progress.step += 1;
        let step = progress.step;
        let last = step == train.steps;
        let due = |every: u64| every > 0 && step.is_multiple_of(every);
        let is_boundary = last || due(train.log_every) || due(train.validate_every) || due(train.checkpoint_every);
        let patience = if pending.iter().any(|(step, _)| step.is_on_device()) { STEPS_AHEAD } else { 1 };
        if is_boundary || pending.len() >= patience || options.stop.load(Ordering::SeqCst) {
            settle(&mut pending, &mut progress, train.max_nonfinite_in_a_row, folder, events)?;
        }

        let speed = Speed::since(started, step - first_step, train.steps - step, tokens_per_step);
        events(&TrainEvent::Progress {
            step,
            steps_per_second: speed.steps_per_second,
            tokens_per_second: speed.tokens_per_second,
            seconds_left: speed.seconds_left,
        });
        if (step.is_multiple_of(train.log_every) || last) && !progress.window.is_empty() {
            let row = progress.window.row(step, "train", Some(learning_rate));
            progress.window.clear();
            metrics.append(&row)?;
            board.row(&row)?;
            timings.append(&TimingsRow {
                step,
                seconds: started.elapsed().as_secs_f64(),
                steps_per_second: speed.steps_per_second,
                tokens_per_second: speed.tokens_per_second,
            })?;
            events(&TrainEvent::Metrics {
                row: Box::new(row),
                steps_per_second: speed.steps_per_second,
                tokens_per_second: speed.tokens_per_second,
                seconds_left: speed.seconds_left,
            });
        }
        if train.validate_every > 0 && (step.is_multiple_of(train.validate_every) || last) {
            let row = validation.run(&trainer.parameters, step, &options.device);
            metrics.append(&row)?;
            board.row(&row)?;
            events(&TrainEvent::Validation { row: Box::new(row.clone()) });
            last_validation = Some(row);
        }
        if step.is_multiple_of(train.checkpoint_every) || last {
            metrics.sync()?;
            let path = save(folder, config, &data.fingerprint, &trainer, &progress, metrics.rows())?;
            saved_at = Some(step);
            events(&TrainEvent::CheckpointSaved { step, path });
        }
    }

    // Ctrl-C may have come after the last look at it.
    settle(&mut pending, &mut progress, train.max_nonfinite_in_a_row, folder, events)?;
    if saved_at != Some(progress.step) {
        metrics.sync()?;
        let path = save(folder, config, &data.fingerprint, &trainer, &progress, metrics.rows())?;
        events(&TrainEvent::CheckpointSaved { step: progress.step, path });
    }
    if last_validation.is_none() {
        // Resumed at its end: there was no step to validate after, but there is something to say.
        last_validation = Some(validation.run(&trainer.parameters, progress.step, &options.device));
    }
    let card = ModelCard {
        license: options.license.clone(),
        corpus: Some(data.corpus),
        tokenizer: Some(data.tokenizer_description),
        ..card_of_steps(folder, config, progress.step, progress.tokens_seen, last_validation.as_ref())
    };
    let exported = export_networks(folder, config, trainer.objective(), &trainer.parameters, &data.tokenizer, &card)?;
    let examples = validation.examples(&trainer.parameters, EXAMPLES, &options.device);
    let interrupted = progress.step < train.steps;
    events(&TrainEvent::Finished { step: progress.step, seconds: started.elapsed().as_secs_f64(), interrupted });
    Ok(Outcome { step: progress.step, interrupted, validation: last_validation, exported, examples })
}

/// What profile.json holds: the kernels of one step, the dearest first. Empty on the CPU, which launches none.
fn profile_json(step: u64, times: &[KernelTime]) -> Vec<u8> {
    let launches: u64 = times.iter().map(|time| time.launches).sum();
    let seconds: f64 = times.iter().map(|time| time.seconds).sum();
    let profile = json!({ "step": step, "launches": launches, "seconds": seconds, "kernels": times });
    serde_json::to_vec_pretty(&profile).expect("numbers and names are JSON")
}

/// Takes in what steps in flight have to say, in their order.
fn settle(
    pending: &mut VecDeque<(PendingStep, Batch)>,
    progress: &mut Progress,
    limit: u64,
    folder: &Path,
    events: &mut EventSink<'_>,
) -> Result<()> {
    let first = progress.step - pending.len() as u64;
    for (number, (step, batch)) in (first + 1..).zip(pending.drain(..)) {
        let result = step.resolve();
        progress.tokens_seen += batch.token_count() as u64;
        if result.applied {
            progress.nonfinite_in_a_row = 0;
            progress.window.add(&result.metrics);
            progress.window.add_gradient_norm(result.gradient_norm);
            continue;
        }
        if result.is_overflow() {
            // How half precision finds its factor: not a step gone wrong.
            progress.nonfinite_in_a_row = 0;
            events(&TrainEvent::Overflow { step: number, loss_factor: result.loss_factor / 2.0 });
            continue;
        }
        progress.nonfinite_steps += 1;
        progress.nonfinite_in_a_row += 1;
        let what = if result.metrics.loss.is_finite() { "gradient norm" } else { "loss" };
        events(&TrainEvent::NonFinite {
            step: number,
            what: what.to_owned(),
            in_a_row: progress.nonfinite_in_a_row,
            limit,
        });
        if progress.nonfinite_in_a_row >= limit {
            return Err(give_up(folder, number, progress.nonfinite_in_a_row, what, &batch)?);
        }
    }
    Ok(())
}

/// Counters of a run in progress.
#[derive(Default)]
struct Progress {
    step: u64,
    tokens_seen: u64,
    nonfinite_steps: u64,
    nonfinite_in_a_row: u64,
    /// Rows of metrics.jsonl when it was saved.
    rows: u64,
    window: MetricWindow,
}

struct Speed {
    steps_per_second: f64,
    tokens_per_second: f64,
    seconds_left: f64,
}

impl Speed {
    fn since(started: Instant, done: u64, left: u64, tokens_per_step: u64) -> Self {
        let steps_per_second = done as f64 / started.elapsed().as_secs_f64().max(1e-9);
        Self {
            steps_per_second,
            tokens_per_second: steps_per_second * tokens_per_step as f64,
            seconds_left: left as f64 / steps_per_second,
        }
    }
}

fn describe(config: &RunConfig, objective: &dyn Objective) -> String {
    let networks = config.model.networks();
    let size = |network: &electra_model::ElectraConfig| {
        format!("{} layers of {}", network.num_hidden_layers, network.hidden_size)
    };
    match objective.networks().as_slice() {
        [_] => format!("{}: {}", objective.name(), size(&networks.discriminator)),
        _ => format!(
            "{}: discriminator {}, generator {}",
            objective.name(),
            size(&networks.discriminator),
            size(&networks.generator)
        ),
    }
}

fn newest_checkpoint(
    folder: &Path,
    config: &RunConfig,
    fingerprint: &str,
    events: &mut EventSink<'_>,
) -> Result<Option<(PathBuf, Checkpoint)>> {
    let latest = checkpoint::latest_whole(folder)?;
    for broken in latest.broken {
        events(&TrainEvent::Warning { message: format!("checkpoint passed over: {broken}") });
    }
    let Some((path, saved)) = latest.found else {
        let message = format!("{}: no whole checkpoint to resume from; starting afresh", folder.display());
        events(&TrainEvent::Warning { message });
        return Ok(None);
    };
    // First, since another tokenizer changes the configuration too.
    training_data::check_fingerprint(&path, &saved.state.data_fingerprint, fingerprint)?;
    if saved.state.config_digest != config.digest() {
        let remedy = format!(
            "resume with {} as the run wrote it (no --set, --preset or --config), or start in another folder",
            folder.join(RUN_CONFIG).display()
        );
        return Err(Error::invalid(&path, "the checkpoint was written with another configuration", remedy));
    }
    Ok(Some((path, saved)))
}

#[expect(clippy::too_many_arguments, reason = "called once; a struct would only rename them")]
fn restore(
    path: &Path,
    saved: Checkpoint,
    objective: Box<dyn Objective>,
    layout: &Layout,
    adam: AdamConfig,
    data: &TrainingData,
    config: &RunConfig,
    options: &RunOptions<'_>,
) -> Result<(Trainer, Progress)> {
    let state = saved.state;
    let parameters = host::parameters_from_host(layout, saved.parameters, path, &options.device)?;
    let adam = Adam::from_host(adam, layout, saved.optimizer, state.updates, path, &options.device)?;
    let adam = adam.with_loss_scale(
        state.loss_scale.map(|[factor, good_steps]| LossScale { factor, good_steps: good_steps as u64 }),
    );
    let window = MetricWindow::restore(state.window, &saved.window_scores)
        .map_err(|problem| Error::invalid(path, problem, "remove this checkpoint to resume from an older one"))?;
    let MicroBatch::Size(micro_batch) = config.train.micro_batch else { unreachable!("checked by pretrain") };
    let mut trainer =
        Trainer::new(objective, parameters, adam, data.special, config.seed, micro_batch, &options.device);
    // Its factor is the checkpoint's.
    trainer.precision = config.train.precision;
    let progress = Progress {
        step: state.step,
        tokens_seen: state.tokens_seen,
        nonfinite_steps: state.nonfinite_steps,
        nonfinite_in_a_row: state.nonfinite_in_a_row,
        rows: state.rows,
        window,
    };
    Ok((trainer, progress))
}

fn save(
    folder: &Path,
    config: &RunConfig,
    fingerprint: &str,
    trainer: &Trainer,
    progress: &Progress,
    rows: u64,
) -> Result<PathBuf> {
    let (window, window_scores) = progress.window.save();
    let checkpoint = Checkpoint {
        state: TrainState {
            step: progress.step,
            config_digest: config.digest(),
            data_fingerprint: fingerprint.to_owned(),
            tokens_seen: progress.tokens_seen,
            nonfinite_steps: progress.nonfinite_steps,
            nonfinite_in_a_row: progress.nonfinite_in_a_row,
            updates: trainer.adam.updates(),
            loss_scale: trainer.adam.loss_scale().map(|scale| [scale.factor, scale.good_steps as f64]),
            rows,
            window,
        },
        parameters: host::parameters_to_host(&trainer.parameters),
        optimizer: trainer.adam.to_host(trainer.parameters.layout()),
        window_scores,
    };
    let mut tensors = checkpoint.parameters.iter().chain(&checkpoint.optimizer);
    if let Some(tensor) = tensors.find(|tensor| tensor.values.iter().any(|value| !value.is_finite())) {
        // A finite loss can be followed by an update that is not. Resuming from that would be of no use.
        return Err(Error::Diverged {
            path: folder.to_owned(),
            problem: format!("\"{}\" holds values that are not finite after step {}", tensor.name, progress.step),
            remedy: LOWER_RATE.to_owned(),
        });
    }
    checkpoint::save(folder, &checkpoint, config.train.keep)
}

/// Saves the batch that broke the run and says what happened.
fn give_up(folder: &Path, step: u64, in_a_row: u64, what: &str, batch: &Batch) -> Result<Error> {
    let path = folder.join(format!("nonfinite_step_{step:06}.json"));
    let json = serde_json::json!({
        "step": step, "batch": batch.batch, "seq": batch.seq, "max_masked": batch.max_masked,
        "original_ids": batch.original_ids, "masked_ids": batch.masked_ids,
        "token_type_ids": batch.token_type_ids, "attention_mask": batch.attention_mask,
        "masked_positions": batch.masked_positions, "mask_weights": batch.mask_weights,
    });
    file::write_atomically(&path, json.to_string().as_bytes())?;
    Ok(Error::Diverged {
        path: folder.to_owned(),
        problem: format!(
            "the {what} was not finite for {in_a_row} steps in a row, the last of them step {step}; its batch is in {}",
            path.display()
        ),
        remedy: LOWER_RATE.to_owned(),
    })
}

/// What to do about numbers that are not finite.
const LOWER_RATE: &str =
    "lower train.learning_rate or lengthen train.warmup_steps; --resume goes back to the last checkpoint";

/// The model card of a saved checkpoint, with its validation row where metrics.jsonl has one.
pub fn card_of_checkpoint(run: &Path, config: &RunConfig, state: &TrainState) -> ModelCard {
    let rows = std::fs::read_to_string(run.join(METRICS)).unwrap_or_default();
    let row = rows
        .lines()
        .filter_map(|line| serde_json::from_str::<MetricsRow>(line).ok())
        .find(|row| row.split == "validation" && row.step == state.step);
    card_of_steps(run, config, state.step, state.tokens_seen, row.as_ref())
}

fn card_of_steps(
    run: &Path,
    config: &RunConfig,
    step: u64,
    tokens_seen: u64,
    validation: Option<&MetricsRow>,
) -> ModelCard {
    let train = &config.train;
    let text = |name: &str, value: &dyn std::fmt::Display| (name.to_owned(), value.to_string());
    let named = validation.map(|row| {
        [
            ("discriminator AUC", row.discriminator_auc),
            ("discriminator loss", row.discriminator_loss),
            ("generator loss", row.generator_loss),
            ("generator accuracy", row.generator_accuracy),
        ]
    });
    ModelCard {
        name: run.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        training: vec![
            text("objective", &config.objective.name),
            text("preset", &config.preset),
            text("steps", &step),
            text("tokens seen", &tokens_seen),
            text("batch size", &train.batch_size),
            text("sequence length", &train.sequence_length),
            text("peak learning rate", &train.learning_rate),
        ],
        metrics: named.into_iter().flatten().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        ..ModelCard::default()
    }
}

/// Writes the objective's networks into `folder`'s `discriminator` and `generator`, the one to keep first.
///
/// # Errors
/// A file cannot be read or written.
pub fn export_networks(
    folder: &Path,
    config: &RunConfig,
    objective: &dyn Objective,
    parameters: &Parameters,
    tokenizer: &Path,
    card: &ModelCard,
) -> Result<Vec<PathBuf>> {
    let networks = config.model.networks();
    let single = objective.networks().len() == 1;
    let mut exported = Vec::new();
    for kind in objective.networks() {
        let (name, prefix, architecture, network) = match kind {
            NetworkKind::Discriminator => {
                ("discriminator", DISCRIMINATOR, Architecture::PreTraining, &networks.discriminator)
            }
            // An objective's only network has the discriminator's size, whatever its head.
            NetworkKind::Generator if single => {
                ("generator", GENERATOR, Architecture::MaskedLm, &networks.discriminator)
            }
            NetworkKind::Generator => ("generator", GENERATOR, Architecture::MaskedLm, &networks.generator),
        };
        let path = folder.join(name);
        let network = Network {
            architecture,
            config: network.clone(),
            classifier_dropout: None,
            tensors: host::network_to_host(parameters, prefix, &architecture.specs(network)),
        };
        hugging_face::export(&path, &network, Some(tokenizer), card)?;
        exported.push(path);
    }
    Ok(exported)
}

/// The largest micro-batch whose step should fit in `memory_bytes`, by the estimate of [`memory_estimate`],
/// where `width` of them are worked on at a time ([`electra_kernels::side_by_side::width`]).
///
/// A power-of-two share of the batch, so that micro-batches are equal; at least one example.
pub fn resolve_micro_batch(config: &RunConfig, memory_bytes: f64, width: usize, on_kernels: bool) -> usize {
    let batch = config.train.batch_size;
    let mut size = batch;
    while size > 1 {
        let memory = memory_estimate(config, size, on_kernels);
        let at_a_time = batch.div_ceil(size).min(width) as f64;
        if memory.parameters_bytes + at_a_time * memory.activations_bytes <= memory_bytes {
            break;
        }
        size = size.div_ceil(2);
    }
    size
}

/// Memory of a step with `micro_batch` examples per forward pass. `on_kernels`: where every kernel of a graphics adapter
/// runs ([`electra_kernels::all_enabled`]).
pub fn memory_estimate(config: &RunConfig, micro_batch: usize, on_kernels: bool) -> flops::MemoryEstimate {
    let networks = config.model.networks();
    let (generator, discriminator) = (&networks.generator, &networks.discriminator);
    let trained = if config.objective.name == "mlm" { vec![discriminator] } else { vec![generator, discriminator] };
    let parameters = networks.layout().parameter_count();
    let TrainConfig { sequence_length, recompute, .. } = config.train;
    let masked = config.data.masking_probability;
    if on_kernels {
        return flops::kernels_memory(&trained, parameters, micro_batch, sequence_length, masked, recompute);
    }
    flops::training_memory(&trained, parameters, micro_batch, sequence_length, masked)
}

/// Bytes of the largest array that a micro-batch makes, where kernels of ours run: adapters bound what one may bind. Word
/// tables and logits come in pieces and are none of it.
pub fn largest_activation_bytes(config: &RunConfig, micro_batch: usize) -> u64 {
    let networks = config.model.networks();
    let widest = |network: &electra_model::ElectraConfig| {
        network.intermediate_size.max(network.hidden_size).max(network.embedding_size)
    };
    let width = widest(&networks.generator).max(widest(&networks.discriminator));
    4 * (micro_batch * config.train.sequence_length * width) as u64
}

#[cfg(test)]
mod tests {
    use electra_model::ParameterSpec;

    use super::*;
    use crate::run_config::resolve;

    #[test]
    fn neighbours_are_looked_at_by_the_network_to_keep() {
        for (objective, kept) in [("rtd", DISCRIMINATOR), ("mlm", GENERATOR)] {
            let sets = [
                format!("objective.name={objective}"),
                "model.position_initializer=neighbours".to_owned(),
                "model.sharing=none".to_owned(),
            ];
            let config = resolve(Some("first"), None, &sets).unwrap();
            let layout = layout_of(&config, objective_of(&config, &config.objective).unwrap().as_ref());
            let changed = |spec: &&ParameterSpec| matches!(spec.initializer, Initializer::Neighbours(..));
            let names: Vec<&str> = layout.specs().iter().filter(changed).map(|spec| spec.name.as_str()).collect();
            assert_eq!(names.len(), 5, "three tables, queries and keys: {names:?}");
            assert!(names.iter().all(|name| name.starts_with(kept)), "{names:?}");
        }
    }
}
