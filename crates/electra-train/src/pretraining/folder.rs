//! A run in a folder, from start to export: what the terminal calls, and the one place where it waits for a run.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;

use super::Pretraining;
use super::card::card_of;
use super::metrics::MetricsRow;
use super::plan::Plan;
use super::validate::JudgedToken;
use crate::config::RunConfig;
use crate::data::{TrainingData, keep_tokenizer};
use crate::error::{During, Result};
use crate::exchange::export::{NetworkFolders, export_networks};
use crate::exchange::init_from;
use crate::exchange::model_card::ModelCard;
use crate::file::lock::RunFolder;
use crate::host::wait_for;
use crate::run::event::{EventSink, TrainEvent};
use crate::run::folder::{FolderSink, checkpoints};
use crate::run::work::Work;
use crate::run::{Advance, Run};

/// Held-out examples to show at the end.
const EXAMPLES: usize = 4;

/// Where and how a run goes.
pub struct RunOptions<'a> {
    /// The run's folder.
    pub folder: RunFolder,
    /// Continue from the newest whole checkpoint in `folder`.
    pub resume: bool,
    /// Start from the networks in this folder's `discriminator` and `generator`.
    pub init_from: Option<PathBuf>,
    /// Where steps are computed.
    pub device: Device,
    /// The device in words.
    pub device_description: String,
    /// Set it to save and stop after the step in hand. What is not needed to go on (a validation, examples) is left out
    /// then: who stops a run may not have long to wait.
    pub stop: &'a AtomicBool,
    /// For the model cards.
    pub license: Option<String>,
    /// Time every launch of one step on a graphics adapter, and write them to profile.json.
    pub profile: bool,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Steps done.
    pub step: u64,
    /// Whether it was stopped before its last step.
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
/// ([`crate::estimate::resolve_micro_batch`]).
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
    wait_for(drive(config, data, options, events))
}

async fn drive(
    config: &RunConfig,
    data: TrainingData,
    options: &RunOptions<'_>,
    events: &mut EventSink<'_>,
) -> Result<Outcome> {
    let folder = options.folder.path();
    let plan = Plan::new(config, data.special, &options.device)?.on(&options.device_description);
    let tokenizer_description = data.tokenizer_description.clone();
    let unknown = data.unknown_warning.as_ref();
    let unknown = unknown.map(|warning| format!("{}: {warning}", config.data.dir.display()));

    checkpoints::put_back(folder)?;
    let latest = options.resume.then(|| checkpoints::latest_whole(folder)).transpose()?;
    if latest.as_ref().is_some_and(|latest| latest.found.is_none()) {
        let message = format!("{}: there is no checkpoint to resume from; starting afresh", folder.display());
        events(&TrainEvent::Warning { message });
    }
    let tokenizer = (data.tokenizer.clone(), data.tokenizer_sha256.clone());
    let furnish = |folder: &std::path::Path| {
        config.save_in(folder)?;
        keep_tokenizer(&tokenizer.0, &tokenizer.1, folder)
    };
    let mut sink = FolderSink::new(folder, config.train.keep, furnish, events);
    if let Some(message) = unknown {
        sink.tell(&TrainEvent::Warning { message });
    }
    let mut run = match latest.and_then(|latest| Some((latest.found?, latest.damaged))) {
        Some(((path, saved), damaged)) => {
            for damaged in damaged {
                sink.tell(&TrainEvent::Warning { message: format!("checkpoint passed over: {damaged}") });
            }
            Run::resume(Pretraining::resume(plan, data, saved, &path)?, sink)?
        }
        None => {
            let work = match &options.init_from {
                Some(source) => {
                    let mut trainer = plan.trainer();
                    let fresh = &trainer.parameters;
                    let warn = &mut |message| sink.tell(&TrainEvent::Warning { message });
                    trainer.parameters =
                        init_from::parameters(source, config, &data.tokenizer, fresh, &options.device, warn)?;
                    Pretraining::begin_from(plan, trainer, data)
                }
                None => {
                    let tell = &mut |message| sink.tell(&TrainEvent::Notice { message });
                    Pretraining::begin_and_tell(plan, data, tell)
                }
            };
            Run::begin(work, sink)?
        }
    };
    if run.step() == 0 && options.init_from.is_some() {
        // A resumed run no longer knows where its weights came from.
        run.save().await?;
    }
    if options.profile {
        run.profile_a_step();
    }
    while !options.stop.load(Ordering::SeqCst) && run.advance().await? == Advance::Stepped {}

    let mut ended = run.finish().await?;
    let (step, interrupted) = (ended.state.step, ended.interrupted);
    let card = ModelCard {
        license: options.license.clone(),
        tokenizer: Some(tokenizer_description),
        ..card_of(folder, config, &ended.state, ended.last_validation.as_ref())
    };
    let (trainer, tokenizer) = (ended.work.trainer(), folder.join(electra_data::TOKENIZER_FOLDER));
    let folders = NetworkFolders::begin(folder)?;
    let exported = export_networks(folders, trainer.learner.objective(), &trainer.parameters, &tokenizer, &card, None)?;
    let examples = if interrupted {
        Vec::new()
    } else {
        ended.work.examples(step, EXAMPLES).await.during("the examples at the end")?
    };
    let seconds = ended.seconds();
    ended.sink.tell(&TrainEvent::Finished { step, seconds, interrupted });
    Ok(Outcome { step, interrupted, validation: ended.last_validation, exported, examples })
}
