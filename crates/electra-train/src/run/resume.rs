//! Going on with a run: its newest checkpoint, and what of its configuration may have changed meanwhile.

use std::path::{Path, PathBuf};

use super::Progress;
use super::checkpoint::Checkpoint;
use super::event::{EventSink, TrainEvent};
use super::folder::checkpoints;
use crate::config::{Change, Difference, RunConfig};
use crate::data::TrainingData;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::step::metrics::MetricWindow;
use crate::step::schedule::lr_at;
use crate::step::trainer::Trainer;

/// The newest whole checkpoint in `folder`, whose changes are those of `config` too; `None` where there is none at all.
///
/// # Errors
/// As [`checkpoints::latest_whole`]; or the checkpoint is of another run: its data, its tokenizer or its configuration.
pub(crate) fn newest(
    folder: &Path,
    config: &RunConfig,
    data: &TrainingData,
    events: &mut EventSink<'_>,
) -> Result<Option<(PathBuf, Checkpoint)>> {
    let latest = checkpoints::latest_whole(folder)?;
    let Some((path, mut saved)) = latest.found else {
        let message = format!("{}: there is no checkpoint to resume from; starting afresh", folder.display());
        events(&TrainEvent::Warning { message });
        return Ok(None);
    };
    // First, since another tokenizer changes the configuration too.
    check_data(&path, &saved, data)?;
    let differences = config.differences(&saved.state.settings);
    check_settings(&path, &saved, config, &differences)?;
    for damaged in latest.damaged {
        events(&TrainEvent::Warning { message: format!("checkpoint passed over: {damaged}") });
    }
    for difference in &differences {
        events(&TrainEvent::Notice { message: describe(difference, saved.state.step, config) });
    }
    let step = saved.state.step;
    saved.state.changes.extend(differences.into_iter().map(|Difference { key, saved, now }| Change {
        step,
        key,
        from: saved,
        to: now,
    }));
    Ok(Some((path, saved)))
}

/// A run is resumed with the data it was started with, or not at all.
fn check_data(path: &Path, saved: &Checkpoint, data: &TrainingData) -> Result<()> {
    let state = &saved.state;
    let what = if state.tokenizer_sha256 != data.tokenizer_sha256 {
        "another tokenizer"
    } else if state.data_fingerprint != data.fingerprint {
        "another dataset, with other tokens"
    } else {
        return Ok(());
    };
    let remedy = "give --data the dataset it was trained on, or one built from the same text with the same tokenizer, or start \
                  in another folder";
    Err(Error::invalid(path, format!("the checkpoint was written with {what}"), remedy))
}

fn check_settings(path: &Path, saved: &Checkpoint, config: &RunConfig, differences: &[Difference]) -> Result<()> {
    let refused: Vec<String> = differences
        .iter()
        .filter(|difference| !difference.is_allowed())
        .map(|difference| format!("{} was {}, and is {}", difference.key, difference.saved, difference.now))
        .collect();
    if !refused.is_empty() {
        let problem = format!("the run would no longer be itself: {}", refused.join("; "));
        let remedy = "leave that as it was, or start another run in another folder (--init-from gives it the weights of this \
                      one)";
        return Err(Error::invalid(path, problem, remedy));
    }
    let step = saved.state.step;
    if config.train.steps < step {
        let problem = format!("train.steps is {}, but the checkpoint is after step {step}", config.train.steps);
        return Err(Error::invalid(path, problem, "set train.steps to more, or leave it as it was"));
    }
    Ok(())
}

/// What has changed, and for the number of steps what follows from it.
fn describe(difference: &Difference, step: u64, config: &RunConfig) -> String {
    let Difference { key, saved, now } = difference;
    let changed = format!("{key} is {now} from here on; it was {saved}");
    let (train, before) = (&config.train, saved.parse::<u64>());
    match before {
        Ok(before) if key == "train.steps" => {
            let rate = |steps| lr_at(step, train.learning_rate, train.warmup_steps, steps);
            format!(
                "{changed}: the learning rate now falls to 0 at step {now}, so that at step {step} it goes from {:.3e} to {:.3e}",
                rate(before),
                rate(train.steps)
            )
        }
        _ => changed,
    }
}

/// Trainer and counters as they were when `saved` was written.
///
/// # Errors
/// A tensor is missing or does not fit.
pub(crate) fn restore(path: &Path, mut saved: Checkpoint, plan: &Plan) -> Result<(Trainer, Progress)> {
    let trainer = plan.restored(&mut saved, path)?;
    let state = saved.state;
    let window = MetricWindow::restore(state.window, &saved.window_scores, path)?;
    let progress = Progress {
        step: state.step,
        tokens_seen: state.tokens_seen,
        nonfinite_steps: state.nonfinite_steps,
        nonfinite_in_a_row: state.nonfinite_in_a_row,
        rows: state.rows,
        changes: state.changes,
        corpus: state.corpus,
        window,
    };
    Ok((trainer, progress))
}
