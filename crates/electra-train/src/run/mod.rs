//! A pre-training run: a folder, a loop, and everything that must survive a kill.
//!
//! The folder holds run.toml, tokenizer/ (a copy, so that the run can be used without its dataset), metrics.jsonl
//! (nothing that differs between two equal runs), timings.jsonl, tensorboard/, step_NNNNNN/ (checkpoints) and, at the
//! end, discriminator/ and generator/ in Hugging Face's layout. At a step that is due for several things they happen in one order: rows, validation, checkpoint.
//! So a checkpoint vouches for every row up to its step, and a resumed run writes the rest as it would have been.

pub mod checkpoint;
pub mod event;
#[cfg(feature = "native")]
pub mod folder;
mod resume;
pub mod validate;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::Device;
use electra_data::{Batch, CorpusRecord, Prefetcher};
use electra_kernels::launches::{self, KernelTime};
use electra_model::Objective;
use serde_json::json;

use self::checkpoint::{Checkpoint, TrainState};
use self::event::{EventSink, TrainEvent};
use self::folder::card::card_of_steps;
use self::folder::checkpoints::{self, Checkpoints};
use self::folder::record::{Record, TimingsRow};
use self::folder::tensorboard::TensorBoard;
use self::validate::{JudgedToken, Validation};
use crate::config::{Change, RunConfig};
use crate::data::{self, TrainingData};
use crate::error::{During, Error, Result};
use crate::exchange::export::{NetworkFolders, export_networks, run_id};
use crate::exchange::init_from;
use crate::exchange::model_card::ModelCard;
use crate::file::{self, lock::RunFolder};
use crate::host;
use crate::plan::Plan;
use crate::step::metrics::{MetricWindow, MetricsRow};
use crate::step::schedule::lr_at;
use crate::step::trainer::{PendingStep, Trainer};

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

/// Where and how a run goes.
pub struct RunOptions<'a> {
    pub folder: RunFolder,
    /// Continue from the newest whole checkpoint in `folder`.
    pub resume: bool,
    /// Start from the networks in this folder's `discriminator` and `generator`.
    pub init_from: Option<PathBuf>,
    pub device: Device,
    pub device_description: String,
    /// Set it to save and stop after the step in hand. What is not needed to go on (a validation, examples) is left out
    /// then: who stops a run may not have long to wait.
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
    /// The last validation of this process.
    pub validation: Option<MetricsRow>,
    /// Exported folders, the one to keep first.
    pub exported: Vec<PathBuf>,
    /// A few held-out examples, corrupted and judged.
    pub examples: Vec<Vec<JudgedToken>>,
}

/// Runs `config` to its last step, or until `options.stop`.
///
/// `config.model.vocab_size` must be the tokenizer's or more and `config.train.micro_batch` a number
/// ([`resolve_micro_batch`]).
///
/// # Errors
/// A file cannot be read or written, the folder holds another run, or the loss stays non-finite. Before
/// [`TrainEvent::Started`] a run in the folder loses nothing but rows after its checkpoint, which would be written again.
pub fn pretrain(
    config: &RunConfig,
    data: TrainingData,
    options: &RunOptions<'_>,
    events: &mut EventSink<'_>,
) -> Result<Outcome> {
    let folder = options.folder.path();
    let plan = Plan::new(config, data.special, &options.device)?;

    checkpoints::put_back(folder)?;
    let resumed = if options.resume { resume::newest(folder, config, &data, events)? } else { None };

    let (mut trainer, mut progress) = match resumed {
        Some((path, saved)) => {
            let (trainer, progress) = resume::restore(&path, saved, &plan)?;
            events(&TrainEvent::Resumed { step: progress.step, path });
            (trainer, progress)
        }
        None => {
            let mut trainer = plan.trainer();
            if let Some(source) = &options.init_from {
                trainer.parameters =
                    init_from::parameters(source, config, &data, &trainer.parameters, &options.device, events)?;
            }
            trainer.parameters = init_from::close_unused_rows(trainer.parameters, data.vocab_size, &options.device)?;
            (trainer, Progress::default())
        }
    };
    let description = describe(config, trainer.objective());
    let validation = Validation {
        source: data.validation.clone(),
        batches: config.train.validation_batches,
        objective: plan.judging_objective(),
        special: data.special,
        seed: config.seed,
        baseline: data.baseline.clone(),
    };

    let train = &config.train;
    let tokens_per_step = (train.batch_size * train.sequence_length) as u64;
    if let Some(warning) = &data.unknown_warning {
        events(&TrainEvent::Warning { message: format!("{}: {warning}", config.data.dir.display()) });
    }
    let first_step = progress.step;
    // Not before all that was given has been read: a start that fails leaves the folder as it was.
    let mut metrics = Record::open(&folder.join(METRICS), first_step)?;
    let mut timings = Record::open(&folder.join("timings.jsonl"), first_step)?;
    let mut board = TensorBoard::create(&folder.join("tensorboard"), first_step)?;
    checkpoints::remove_leftovers(folder)?;
    config.save_in(folder)?;
    let tokenizer = data::keep_tokenizer(&data, folder)?;
    let mut run = Keeper {
        folder,
        checkpoints: Checkpoints::new(folder, train.keep),
        state: TrainState {
            settings: config.settings(),
            tokenizer_sha256: data.tokenizer_sha256,
            data_fingerprint: data.fingerprint,
            // As it was called at the first step.
            corpus: progress.corpus.take().or(Some(data.corpus)),
            ..TrainState::default()
        },
    };
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
    events(&TrainEvent::Started {
        description,
        device: options.device_description.clone(),
        parameters: plan.layout().parameter_count(),
        first_step,
        steps: train.steps,
        tokens_per_step,
        micro_batch: plan.micro_batch(),
    });
    let started = Instant::now();
    let mut last_validation = None;
    let mut saved_at = (first_step > 0).then_some(first_step);
    if first_step == 0 && options.init_from.is_some() {
        // A resumed run no longer knows where its weights came from.
        run.save(&trainer, &progress, metrics.rows(), events)?;
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
            pending.push_back((submitted.during(format!("step {}", step + 1))?, batch));
            let path = folder.join("profile.json");
            file::write_atomically(&path, &profile_json(step, &times))?;
            events(&TrainEvent::Notice { message: format!("step {step}, kernel by kernel: {}", path.display()) });
        } else {
            let submitted = trainer.submit(&batch, step, learning_rate);
            pending.push_back((submitted.during(format!("step {}", step + 1))?, batch));
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
            let row = row.during(format!("the validation after step {step}"))?;
            metrics.append(&row)?;
            board.row(&row)?;
            events(&TrainEvent::Validation { row: Box::new(row.clone()) });
            last_validation = Some(row);
        }
        if step.is_multiple_of(train.checkpoint_every) || last {
            metrics.sync()?;
            run.save(&trainer, &progress, metrics.rows(), events)?;
            saved_at = Some(step);
        }
    }

    // Ctrl-C may have come after the last look at it.
    settle(&mut pending, &mut progress, train.max_nonfinite_in_a_row, folder, events)?;
    if saved_at != Some(progress.step) {
        metrics.sync()?;
        run.save(&trainer, &progress, metrics.rows(), events)?;
    }
    let interrupted = progress.step < train.steps;
    if last_validation.is_none() && !interrupted {
        // Resumed at its end: there was no step to validate after, but there is something to say.
        let row = validation.run(&trainer.parameters, progress.step, &options.device);
        last_validation = Some(row.during("the validation at the end")?);
    }
    let card = ModelCard {
        license: options.license.clone(),
        run: Some(run_id(&run.state.settings, &progress.changes, &run.state.data_fingerprint)),
        corpus: run.state.corpus.as_ref().map(ToString::to_string),
        tokenizer: Some(data.tokenizer_description),
        ..card_of_steps(
            folder,
            config,
            progress.step,
            progress.tokens_seen,
            &progress.changes,
            last_validation.as_ref(),
        )
    };
    let folders = NetworkFolders::begin(folder)?;
    let exported = export_networks(folders, config, trainer.objective(), &trainer.parameters, &tokenizer, &card)?;
    let examples = if interrupted {
        Vec::new()
    } else {
        let examples = validation.examples(&trainer.parameters, EXAMPLES, &options.device);
        examples.during("the examples at the end")?
    };
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
        let result = step.resolve().during(format!("step {number}"))?;
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
pub(crate) struct Progress {
    pub(crate) step: u64,
    pub(crate) tokens_seen: u64,
    pub(crate) nonfinite_steps: u64,
    pub(crate) nonfinite_in_a_row: u64,
    /// Rows of metrics.jsonl when it was saved.
    pub(crate) rows: u64,
    /// What was set otherwise when the run was resumed.
    pub(crate) changes: Vec<Change>,
    /// The text, as a checkpoint has it.
    pub(crate) corpus: Option<CorpusRecord>,
    pub(crate) window: MetricWindow,
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

/// Saves checkpoints: what all of a run's have in common, and where they go.
struct Keeper<'a> {
    folder: &'a Path,
    checkpoints: Checkpoints,
    state: TrainState,
}

impl Keeper<'_> {
    fn save(&mut self, trainer: &Trainer, progress: &Progress, rows: u64, events: &mut EventSink<'_>) -> Result<()> {
        let saving = || format!("the checkpoint of step {}", progress.step);
        let (window, window_scores) = progress.window.save();
        let checkpoint = Checkpoint {
            state: TrainState {
                step: progress.step,
                changes: progress.changes.clone(),
                tokens_seen: progress.tokens_seen,
                nonfinite_steps: progress.nonfinite_steps,
                nonfinite_in_a_row: progress.nonfinite_in_a_row,
                updates: trainer.adam.updates().during(saving())?,
                loss_scale: trainer
                    .adam
                    .loss_scale()
                    .during(saving())?
                    .map(|scale| [scale.factor, scale.good_steps as f64]),
                rows,
                window,
                ..self.state.clone()
            },
            parameters: host::parameters_to_host(&trainer.parameters).during(saving())?,
            optimizer: trainer.adam.to_host(trainer.parameters.layout()).during(saving())?,
            window_scores,
        };
        let mut tensors = checkpoint.parameters.iter().chain(&checkpoint.optimizer);
        if let Some(tensor) = tensors.find(|tensor| tensor.values.iter().any(|value| !value.is_finite())) {
            // A finite loss can be followed by an update that is not. Resuming from that would be of no use.
            return Err(Error::Diverged {
                path: self.folder.to_owned(),
                problem: format!("\"{}\" holds values that are not finite after step {}", tensor.name, progress.step),
                remedy: LOWER_RATE.to_owned(),
            });
        }
        let saved = self.checkpoints.save(&checkpoint)?;
        events(&TrainEvent::CheckpointSaved { step: progress.step, path: saved.path });
        if let Some(error) = saved.not_removed {
            events(&TrainEvent::Warning { message: format!("an older checkpoint stays: {error}") });
        }
        Ok(())
    }
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

/// What to do about numbers that are not finite. --resume would go the same way again: a run keeps its learning rate.
const LOWER_RATE: &str = "lower train.learning_rate or lengthen train.warmup_steps in another run; \"electra export\" and \
                          --init-from start it from this one's last checkpoint";
