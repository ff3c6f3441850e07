//! A fine-tuning in a folder, from start to the network that it ends with: what the terminal calls.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use electra_task::Scores;

use super::config::FINETUNE_CONFIG;
use super::{FineTuneMemory, FineTunePlan, FineTuneRow, FineTuning, FineTuningData};
use crate::error::{During, Result};
use crate::file;
use crate::host::{self, HostTensor, wait_for};
use crate::run::event::{EventSink, TrainEvent};
use crate::run::folder::{FolderSink, checkpoints};
use crate::run::work::Work;
use crate::run::{Advance, Run, TrainState};

/// Where and how a fine-tuning goes.
pub struct FineTuneOptions<'a> {
    /// Its folder, which no other process may write to.
    pub folder: &'a Path,
    /// Continue from the newest whole checkpoint in `folder`, if there is one.
    pub resume: bool,
    /// Set it to save and stop after the step in hand.
    pub stop: &'a AtomicBool,
}

/// How a fine-tuning ended.
#[derive(Debug, Clone)]
pub struct FineTuned {
    /// Of the run.
    pub state: TrainState<FineTuneMemory>,
    /// Whether it was stopped before it had learnt enough.
    pub interrupted: bool,
    /// How good the best weights are, on each set that they were compared on; empty where it was stopped.
    pub judged: Vec<Scores>,
    /// The best weights.
    pub tensors: Vec<HostTensor>,
    /// Since the run was begun or resumed.
    pub seconds: f64,
}

/// Runs `plan` on `data` to its end, or until `options.stop`, from `encoder`'s tensors.
///
/// # Errors
/// A file cannot be read or written, the folder holds another run, or the loss stays non-finite.
pub fn finetune(
    plan: FineTunePlan,
    data: FineTuningData,
    encoder: &[HostTensor],
    options: &FineTuneOptions<'_>,
    events: &mut EventSink<'_, FineTuneRow>,
) -> Result<FineTuned> {
    wait_for(drive(plan, data, encoder, options, events))
}

async fn drive(
    plan: FineTunePlan,
    data: FineTuningData,
    encoder: &[HostTensor],
    options: &FineTuneOptions<'_>,
    events: &mut EventSink<'_, FineTuneRow>,
) -> Result<FineTuned> {
    let folder = options.folder;
    checkpoints::put_back(folder)?;
    let latest = options.resume.then(|| checkpoints::latest_whole::<FineTuneMemory>(folder)).transpose()?;
    let config = toml::to_string_pretty(plan.config()).expect("plain data");
    let furnish = |folder: &Path| file::write_atomically(&folder.join(FINETUNE_CONFIG), config.as_bytes());
    let mut sink = FolderSink::new(folder, plan.config().keep, furnish, events);
    let mut run = match latest.and_then(|latest| Some((latest.found?, latest.damaged))) {
        Some(((path, saved), damaged)) => {
            for damaged in damaged {
                sink.tell(&TrainEvent::Warning { message: format!("checkpoint passed over: {damaged}") });
            }
            Run::resume(FineTuning::resume(plan, data, saved, &path)?, sink)?
        }
        None => Run::begin(FineTuning::begin(plan, data, encoder), sink)?,
    };
    while !options.stop.load(Ordering::SeqCst) && run.advance().await? == Advance::Stepped {}

    let mut ended = run.finish().await?;
    let judged = if ended.interrupted { Vec::new() } else { ended.work.best_scores().to_vec() };
    let parameters = &ended.work.trainer().parameters;
    let tensors = host::network_to_host(parameters, "", ended.work.plan().layout().specs()).await;
    let tensors = tensors.during("the export")?;
    let (step, interrupted, seconds) = (ended.state.step, ended.interrupted, ended.seconds());
    ended.sink.tell(&TrainEvent::Finished { step, seconds, interrupted });
    Ok(FineTuned { state: ended.state, interrupted, judged, tensors, seconds })
}
