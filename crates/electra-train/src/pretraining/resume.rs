//! Going on with a run: what must be as it was, and what of its configuration may have changed meanwhile.

use std::path::Path;

use crate::config::{Change, Difference, RunConfig};
use crate::data::TrainingData;
use crate::error::{Error, Result};
use crate::run::Checkpoint;
use crate::step::schedule::lr_at;

/// Makes `saved` one of `config`, whose changes are written into it and returned in words.
///
/// # Errors
/// The checkpoint is of another run: its data, its tokenizer or its configuration.
pub(crate) fn take_over(
    path: &Path,
    saved: &mut Checkpoint,
    config: &RunConfig,
    data: &TrainingData,
) -> Result<Vec<String>> {
    // First, since another tokenizer changes the configuration too.
    check_data(path, saved, data)?;
    let differences = config.differences(&saved.state.settings);
    check_settings(path, saved, config, &differences)?;
    let step = saved.state.step;
    let notices = differences.iter().map(|difference| describe(difference, step, config)).collect();
    saved.state.changes.extend(differences.into_iter().map(|Difference { key, saved, now }| Change {
        step,
        key,
        from: saved,
        to: now,
    }));
    Ok(notices)
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
