//! A probe: a copy of the network to keep is fine-tuned on a small task while it is pre-trained. Losses may fall and areas rise while
//! nothing is learnt that a task could use; this is where it shows.
//!
//! The copy has weights of its own, and every probe begins with the same seed and the same order: rows of one run differ by what was
//! pre-trained in between alone, and the run itself goes on as if there had been none.

use std::collections::BTreeMap;

use burn::tensor::Device;
use electra_data::{SpecialTokens, Tokenizer};
use electra_model::Objective;
use electra_model::encoder::Encoder;
use electra_model::head::HeadStyle;
use electra_task::Scores;
use electra_task::task::{Task, TaskData};

use super::metrics::{MetricWindow, MetricsRow};
use crate::config::{ProbeConfig, RunConfig};
use crate::error::{During, Error, Result};
use crate::finetuning::{FineTuneConfig, FineTunePlan, FineTuning, FineTuningData};
use crate::host;
use crate::run::{Advance, MemorySink, Run};

/// A task that is ready to be learnt.
#[derive(Debug, Clone)]
pub struct Probe {
    every: u64,
    config: FineTuneConfig,
    data: FineTuningData,
    special: SpecialTokens,
    /// What whoever knows the labels' frequencies alone would score.
    majority: Option<Scores>,
}

impl Probe {
    /// How rows of metrics.jsonl call it.
    pub const SPLIT: &'static str = "probe";

    /// Begins the names of what a probe must beat.
    pub const MAJORITY: &'static str = "majority_";

    /// The probe that `config` asks for, on `task_data`.
    ///
    /// # Errors
    /// There is nothing to learn from, or nothing to judge by.
    pub fn prepare(config: &RunConfig, task: &Task, task_data: &TaskData, tokenizer: &Tokenizer) -> Result<Self> {
        let ProbeConfig { every, epochs, limit, batch_size, learning_rate, data: path, .. } = &config.probe;
        let network = config.trained_networks().swap_remove(0).config;
        let mut fine_tuning = FineTuneConfig {
            task: task.name.to_owned(),
            head: HeadStyle::Hf,
            seed: config.seed,
            epochs: *epochs,
            batch_size: *batch_size,
            limit: *limit,
            max_length: task.max_length.min(network.max_position_embeddings),
            both_orders: task.both_orders,
            log_every: 0,
            ..FineTuneConfig::default()
        }
        .for_network(&network);
        if *learning_rate > 0.0 {
            fine_tuning.learning_rate = *learning_rate;
        }
        let missing = |what: &str| {
            Error::invalid(path, format!("the probe has nothing to {what}"), "give probe.data another folder or file")
        };
        if task_data.train.as_ref().is_none_or(|train| train.examples.is_empty()) {
            return Err(missing("learn from"));
        }
        let data = FineTuningData::prepare(task_data, &fine_tuning, tokenizer)?;
        if data.train.features.is_empty() {
            return Err(missing("learn from"));
        }
        if data.dev.first().is_none_or(|dev| dev.examples.is_empty()) {
            return Err(missing("be judged by"));
        }
        let majority = data.constant_baseline();
        Ok(Self { every: *every, config: fine_tuning, data, special: tokenizer.special(), majority })
    }

    /// Steps between probes.
    pub(super) fn every(&self) -> u64 {
        self.every
    }

    /// Fine-tunes a copy of the network that `objective` is to keep, and judges it: a row after `step` steps. Where the copy's numbers
    /// leave what can be computed, its scores are none.
    ///
    /// # Errors
    /// The device failed.
    pub(super) async fn row(
        &self,
        step: u64,
        objective: &dyn Objective,
        parameters: &electra_model::Parameters,
        device: &Device,
        device_name: &str,
    ) -> Result<MetricsRow> {
        let kept = objective.networks().swap_remove(0);
        let exported = objective.exported(parameters);
        let specs = Encoder::specs(&kept.config, "electra.");
        let encoder = host::network_to_host(&exported, kept.prefix, &specs).await.during("the probe")?;
        let plan = FineTunePlan::new(&self.config, &kept.config, &self.data.kind, self.special, device, device_name);
        let work = FineTuning::begin(plan, self.data.clone(), &encoder);
        let judged = match learnt(work).await {
            Ok(work) => work.best_scores().first().cloned(),
            Err(Error::Diverged { .. }) => None,
            Err(error) => return Err(error),
        };
        let scores = |name: &str| {
            let value = judged.as_ref().and_then(|judged| judged.get(name));
            (name.to_owned(), value.filter(|value| value.is_finite()))
        };
        let mut extra: BTreeMap<String, Option<f64>> = self.data.metrics.iter().map(|name| scores(name)).collect();
        let majority = self.majority.iter().flat_map(Scores::iter).filter(|(_, value)| value.is_finite());
        extra.extend(majority.map(|(name, value)| (format!("{}{name}", Self::MAJORITY), Some(value))));
        Ok(MetricsRow { extra, ..MetricWindow::default().row(step, Self::SPLIT, None) })
    }
}

async fn learnt(work: FineTuning) -> Result<FineTuning> {
    let mut run = Run::begin(work, MemorySink::new(|| 0.0))?;
    while run.advance().await? == Advance::Stepped {}
    Ok(run.finish().await?.work)
}

/// The probe of the task whose folder or file `config` names; `None` where it asks for none.
///
/// # Errors
/// The files cannot be read, or as [`Probe::prepare`].
#[cfg(feature = "native")]
pub(crate) fn open(config: &RunConfig, tokenizer: &Tokenizer) -> Result<Option<Probe>> {
    let ProbeConfig { every, task, data, .. } = &config.probe;
    let Some(task) = Task::named(task).filter(|_| *every > 0) else { return Ok(None) };
    let task_data = task.load(&electra_task::Files::at(data)?, &electra_task::task::LoadOptions::default())?;
    Probe::prepare(config, task, &task_data, tokenizer).map(Some)
}
