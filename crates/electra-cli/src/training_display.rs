//! Shows a run's events: a progress bar with the latest numbers, a line per validation.

use electra_train::finetuning::FineTuneRow;
use electra_train::pretraining::Probe;
use electra_train::run::work::Row;
use electra_train::{MetricsRow, TrainEvent};

use crate::terminal::{FAINT_STYLE, HEADING_STYLE, Progress, Terminal, Unit};

/// Turns `TrainEvent`s into lines and a bar on standard error.
pub(crate) struct TrainingDisplay<'a> {
    terminal: &'a Terminal,
    progress: Option<Progress>,
    latest: String,
}

impl<'a> TrainingDisplay<'a> {
    pub(crate) fn new(terminal: &'a Terminal) -> Self {
        Self { terminal, progress: None, latest: String::new() }
    }

    pub(crate) fn show<R: Shown>(&mut self, event: &TrainEvent<R>) {
        match event {
            TrainEvent::Started {
                description,
                device,
                parameters,
                first_step,
                steps,
                tokens_per_step,
                micro_batch,
            } => {
                self.terminal.note(format_args!(
                    "{HEADING_STYLE}Training{HEADING_STYLE:#} {description}; {:.2} M parameters; {steps} steps of \
                     {tokens_per_step} tokens (micro-batches of {micro_batch} examples) on {device}",
                    *parameters as f64 / 1e6
                ));
                self.progress = Some(self.terminal.progress_from(*first_step, "training", Some(*steps), Unit::Steps));
            }
            TrainEvent::Resumed { step, path } => {
                self.terminal.note(format_args!("Resuming after step {step} from {}", path.display()));
            }
            TrainEvent::Warning { message } => self.warn(message),
            TrainEvent::Notice { message } => self.note(message.clone()),
            TrainEvent::Progress { step, tokens_per_second, .. } => {
                let message = format!("{tokens_per_second:.0} tokens/s {}", self.latest);
                if let Some(progress) = &mut self.progress {
                    progress.update(*step, message);
                }
            }
            TrainEvent::Metrics { row, .. } => self.latest = row.summary(),
            TrainEvent::Validation { row } => {
                let what = if row.split() == "validation" { "held-out" } else { row.split() };
                let beside = row.beside();
                let beside = if beside.is_empty() { beside } else { format!(" ({beside})") };
                self.note(format!(
                    "{HEADING_STYLE}step {:>6}{HEADING_STYLE:#} {what}: {}{FAINT_STYLE}{beside}{FAINT_STYLE:#}",
                    row.step(),
                    row.summary()
                ));
            }
            TrainEvent::CheckpointSaved { path, .. } => {
                self.terminal.detail(format_args!("saved {}", path.display()));
            }
            TrainEvent::NonFinite { step, what, in_a_row, limit } => {
                self.warn(&format!(
                    "step {step}: the {what} is not finite; update skipped ({in_a_row} of {limit} in a row)"
                ));
            }
            TrainEvent::Overflow { step, loss_factor } => {
                self.note(format!(
                    "{FAINT_STYLE}step {step}: a gradient beyond half precision; update skipped, the loss is scaled by \
                     {loss_factor} from now on{FAINT_STYLE:#}"
                ));
            }
            TrainEvent::Finished { step, seconds, interrupted } => {
                let how = if *interrupted { "Stopped and saved" } else { "Done" };
                let line = format!("{how} after step {step}, {:.1} minutes", seconds / 60.0);
                match self.progress.take() {
                    Some(progress) => progress.finish(line),
                    None => self.terminal.note(line),
                }
            }
        }
    }

    fn note(&self, line: String) {
        match &self.progress {
            Some(progress) => progress.note(line),
            None => self.terminal.note(line),
        }
    }

    fn warn(&self, line: &str) {
        match &self.progress {
            Some(progress) => progress.warn(line),
            None => self.terminal.warn(line),
        }
    }
}

/// A row that can be shown in a line.
pub(crate) trait Shown: Row {
    /// Its numbers; those that there are none of are left out.
    fn summary(&self) -> String;

    /// What they are to be compared with.
    fn beside(&self) -> String {
        String::new()
    }
}

impl Shown for FineTuneRow {
    fn summary(&self) -> String {
        let epoch = Some(format!("epoch {:.2}", self.epoch));
        let loss = self.loss.map(|loss| format!("loss {loss:.4}"));
        let scores = self.scores.iter().filter_map(|(name, value)| Some(format!("{name} {:.4}", (*value)?)));
        epoch.into_iter().chain(loss).chain(scores).collect::<Vec<_>>().join("  ")
    }
}

/// The scores of a probe's row that `shown` has a name for.
fn of_probe(row: &MetricsRow, shown: impl Fn(&str) -> Option<&str>) -> String {
    let scores = row.extra.iter().filter_map(|(name, value)| {
        let name = shown(name)?;
        Some(value.map_or(format!("{name} -"), |value| format!("{name} {value:.4}")))
    });
    scores.collect::<Vec<_>>().join("  ")
}

impl Shown for MetricsRow {
    fn summary(&self) -> String {
        let row = self;
        if row.split == Probe::SPLIT {
            return of_probe(self, |name| (!name.starts_with(Probe::MAJORITY)).then_some(name));
        }
        let fields = [
            ("loss", row.loss, 3),
            ("G loss", row.generator_loss, 3),
            ("G accuracy", row.generator_accuracy, 3),
            ("D loss", row.discriminator_loss, 4),
            ("D AUC", row.discriminator_auc, 3),
            ("precision", row.discriminator_precision, 2),
            ("recall", row.discriminator_recall, 2),
            ("replaced", row.replaced_rate, 3),
        ];
        let shown =
            fields.iter().filter_map(|(name, value, decimals)| Some(format!("{name} {:.decimals$}", (*value)?)));
        shown.collect::<Vec<_>>().join("  ")
    }

    fn beside(&self) -> String {
        if self.split == Probe::SPLIT {
            let majority = of_probe(self, |name| name.strip_prefix(Probe::MAJORITY));
            return if majority.is_empty() { majority } else { format!("majority: {majority}") };
        }
        let extra = |name: &str| self.extra.get(name).copied().flatten();
        let shown =
            [("swapped words AUC", "swap_auc"), ("frequencies' AUC: unigram", "unigram_auc"), ("bigram", "bigram_auc")];
        let shown = shown.iter().filter_map(|(what, name)| Some(format!("{what} {:.3}", extra(name)?)));
        shown.collect::<Vec<_>>().join(", ")
    }
}
