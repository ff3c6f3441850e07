//! A run as its folder has it: what every question is asked of.

use std::path::{Path, PathBuf};

use electra_data::Tokenizer;
use electra_model::objective::GeneratorKind;

use super::text::Text;
use crate::config::{RUN_CONFIG, RunConfig};
use crate::error::{Error, Result};
use crate::file::lock;
use crate::file::tensor_file::TensorFile;
use crate::finetuning::FINETUNE_CONFIG;
use crate::pretraining::metrics::MetricsRow;
use crate::run::folder::{METRICS, TIMINGS, checkpoints, record::rows};
use crate::run::{TimingsRow, TrainState};

/// Updates after which a discriminator has begun to learn, if it ever will: with `position_initializer = "neighbours"` it has an AUC of .78
/// after 500 …
const PATIENCE_WITH_NEIGHBOURS: u64 = 1000;
/// … without, the search for where to look takes some thousands (docs/LOG.md, 2026-11-25).
const PATIENCE: u64 = 10_000;

/// Rows of a word table beyond its tokenizer's entries, where it is padded to a multiple of 64 or 128.
const MOST_SPARE_ROWS: usize = 128;

/// What the folders of exported networks are called.
pub(super) const EXPORTS: &str = "the exported networks";

/// What is known of a run.
#[derive(Default)]
pub(super) struct Record {
    pub config: RunConfig,
    pub train: Vec<MetricsRow>,
    pub validation: Vec<MetricsRow>,
    pub timings: Vec<TimingsRow>,
    /// The newest checkpoint's.
    pub state: Option<TrainState>,
    /// Why newer checkpoints were passed over.
    pub damaged: Vec<String>,
    /// The dataset's.
    pub text: Option<Text>,
    /// Shared tables of generator and discriminator that are not the same, where each was found.
    pub untied: Vec<Untied>,
    /// Places where tied tables were looked for.
    pub tables_seen: Vec<String>,
    /// Names of batches that broke a step.
    pub broken_batches: Vec<String>,
    pub is_being_trained: bool,
    /// What could not be looked at, and why.
    pub not_seen: Vec<String>,
}

/// Two tables that should be one.
pub(super) struct Untied {
    pub place: String,
    pub table: String,
    /// Greatest difference of two values; `None` where the shapes differ.
    pub difference: Option<f64>,
}

impl Record {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let no_run = |problem: &str| {
            let remedy = "name the folder that \"electra pretrain --out\" was given";
            Error::invalid(folder, format!("not the folder of a pre-training run: {problem}"), remedy)
        };
        if !folder.is_dir() {
            return Err(no_run("there is no such folder"));
        }
        if folder.join(FINETUNE_CONFIG).is_file() {
            return Err(no_run("it is one of a fine-tuning, whose results.json says how it went"));
        }
        if !folder.join(RUN_CONFIG).is_file() {
            return Err(no_run(&format!("no {RUN_CONFIG} in there")));
        }
        let config = RunConfig::load_from(folder)?;
        let metrics: Vec<MetricsRow> = rows(&folder.join(METRICS))?;
        if metrics.is_empty() {
            let remedy = "a run writes its first row after train.log_every steps: ask again then";
            return Err(Error::invalid(&folder.join(METRICS), "there is no row yet", remedy));
        }
        let of = |split: &str| metrics.iter().filter(|row| row.split == split).cloned().collect();
        let (train, validation) = (of("train"), of("validation"));
        let mut record = Self {
            config,
            train,
            validation,
            timings: rows(&folder.join(TIMINGS))?,
            is_being_trained: lock::is_held(folder),
            ..Self::default()
        };
        record.read_checkpoint(folder);
        record.read_exports(folder);
        record.read_text(folder);
        record.broken_batches = broken_batches(folder)?;
        Ok(record)
    }

    /// Its state and its tables; the rest of a checkpoint is large, and tells nothing.
    fn read_checkpoint(&mut self, folder: &Path) {
        let all = checkpoints::list(folder).unwrap_or_default();
        for (_, path) in all.iter().rev() {
            match checkpoints::load_state(path) {
                Ok(state) => {
                    self.state = Some(state);
                    let parameters = path.join(crate::run::checkpoint::PARAMETERS);
                    self.compare_tables(
                        &shown(path, folder),
                        &parameters,
                        &parameters,
                        ["discriminator.", "generator."],
                    );
                    return;
                }
                Err(error @ Error::Damaged { .. }) => self.damaged.push(error.to_string()),
                // Older ones are of the same release, or on the same disk.
                Err(error) => return self.not_seen.push(format!("the checkpoint: {error}")),
            }
        }
        if all.is_empty() {
            self.not_seen.push(format!("{}: no checkpoint yet", folder.display()));
        }
    }

    fn read_exports(&mut self, folder: &Path) {
        let [discriminator, generator] =
            ["discriminator", "generator"].map(|name| folder.join(name).join("model.safetensors"));
        if discriminator.is_file() && generator.is_file() {
            self.compare_tables(EXPORTS, &discriminator, &generator, ["", ""]);
        }
    }

    /// Compares what both networks should have in common. A checkpoint has a table that is shared once, under the discriminator's name.
    fn compare_tables(&mut self, place: &str, discriminator: &Path, generator: &Path, prefixes: [&str; 2]) {
        let shared = self.shared_tables();
        if shared.is_empty() {
            return;
        }
        let opened = TensorFile::open(discriminator).and_then(|first| Ok((first, TensorFile::open(generator)?)));
        let (first, second) = match opened {
            Ok(both) => both,
            Err(error) => return self.not_seen.push(format!("the tables of {place}: {error}")),
        };
        self.tables_seen.push(place.to_owned());
        for table in shared {
            let names = prefixes.map(|prefix| format!("{prefix}{table}"));
            if !(first.contains(&names[0]) && second.contains(&names[1])) {
                continue;
            }
            let (Ok(a), Ok(b)) = (first.tensor(&names[0], None), second.tensor(&names[1], None)) else { continue };
            let differences = a.values.iter().zip(&b.values).map(|(a, b)| f64::from((a - b).abs()));
            let greatest = differences.fold(0.0, f64::max);
            if a.shape != b.shape || greatest > 0.0 {
                let difference = (a.shape == b.shape).then_some(greatest);
                self.untied.push(Untied { place: place.to_owned(), table, difference });
            }
        }
    }

    /// Names of the tables that the run's objective has both networks share, as an export has them.
    fn shared_tables(&self) -> Vec<String> {
        let layout = self.config.make_objective().layout();
        let own = |table: &&str| {
            let name = format!("generator.{table}");
            layout.resolve(&name) == format!("discriminator.{table}")
        };
        ["word_embeddings", "position_embeddings", "token_type_embeddings"]
            .map(|table| format!("electra.embeddings.{table}.weight"))
            .into_iter()
            .filter(|table| own(&table.as_str()))
            .collect()
    }

    fn read_text(&mut self, folder: &Path) {
        let data = &self.config.data.dir;
        // A path that is not there any more may lead to another dataset, seen from here. A word table has a few rows more than its tokenizer, at most.
        let is_another = |text: &Text| match &self.state {
            Some(state) => state.data_fingerprint != text.fingerprint,
            None => self.config.model.vocab_size > text.vocab_size + MOST_SPARE_ROWS,
        };
        match Text::read(data) {
            Ok(text) if is_another(&text) => {
                self.not_seen
                    .push(format!("the text: the dataset in {} is not the one that the run read", data.display()));
            }
            Ok(text) => self.text = Some(text),
            Err(error) => {
                self.not_seen.push(format!("the text (vocabulary, [UNK], held-out lines, passes): {error}"));
                // The run keeps a copy.
                let tokenizer = folder.join(electra_data::TOKENIZER_FOLDER);
                if let Err(error) = Tokenizer::load(&tokenizer) {
                    self.not_seen.push(format!("the tokenizer: {error}"));
                }
            }
        }
    }

    /// Steps done.
    pub(super) fn step(&self) -> u64 {
        let saved = self.state.as_ref().map_or(0, |state| state.step);
        self.train.iter().chain(&self.validation).map(|row| row.step).fold(saved, u64::max)
    }

    /// Tokens of a step, padding included.
    pub(super) fn tokens_per_step(&self) -> u64 {
        (self.config.train.batch_size * self.config.train.sequence_length) as u64
    }

    /// Tokens read until now; carried on from the checkpoint, where there is one.
    pub(super) fn tokens_seen(&self) -> u64 {
        match self.state.as_ref().filter(|state| state.step > 0) {
            Some(state) => (state.tokens_seen as f64 * self.step() as f64 / state.step as f64) as u64,
            None => self.step() * self.tokens_per_step(),
        }
    }

    /// Rows of what is learnt: of training, or of validation where a run writes no others.
    fn rows(&self) -> &[MetricsRow] {
        if self.train.is_empty() { &self.validation } else { &self.train }
    }

    /// Last step of a generator that is trained first and then frozen; 0 for all other objectives.
    pub(super) fn generator_steps(&self) -> u64 {
        if self.config.objective.name == "two_stage" { self.config.objective.two_stage.generator_steps } else { 0 }
    }

    /// Rows in which a discriminator was trained and judged.
    pub(super) fn judged(&self) -> Vec<&MetricsRow> {
        let begins = self.generator_steps();
        self.rows().iter().filter(|row| row.step > begins && row.discriminator_auc.is_some()).collect()
    }

    /// Rows in which a network was trained to say what stands at a place, and its loss in nats.
    pub(super) fn modelled(&self) -> Vec<(&MetricsRow, f64)> {
        let ends = match self.generator_steps() {
            0 => u64::MAX,
            steps => steps,
        };
        let is_causal = self.config.objective.name == "causal";
        let loss = |row: &MetricsRow| row.generator_loss.or(row.loss.filter(|_| is_causal));
        self.rows().iter().filter(|row| row.step <= ends).filter_map(|row| Some((row, loss(row)?))).collect()
    }

    /// Whether a network draws the replacements.
    pub(super) fn has_generator(&self) -> bool {
        self.config.objective.generator == GeneratorKind::Network
    }

    /// The step from which on a discriminator should have learnt something.
    pub(super) fn patience(&self) -> u64 {
        let has_neighbours = self.config.model.position_initializer.has_neighbours();
        let search = if has_neighbours { PATIENCE_WITH_NEIGHBOURS } else { PATIENCE };
        self.generator_steps() + search.max(2 * self.config.train.warmup_steps)
    }
}

/// `path` as seen from `folder`.
fn shown(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).display().to_string()
}

fn broken_batches(folder: &Path) -> Result<Vec<String>> {
    let listed = std::fs::read_dir(folder).map_err(|source| Error::io(folder, "list the folder", source))?;
    let paths: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let mut names: Vec<String> = paths.iter().map(|path| shown(path, folder)).collect();
    names.retain(|name| name.starts_with("nonfinite_step_") && name.ends_with(".json"));
    names.sort();
    Ok(names)
}

/// The last quarter of `rows`, three at least where there are so many: how it stands now, without the noise of one row.
pub(super) fn late<T>(rows: &[T]) -> &[T] {
    let kept = rows.len().div_ceil(4).max(3).min(rows.len());
    &rows[rows.len() - kept..]
}

/// Of those that are there; `None` without any.
pub(super) fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = values.flatten().fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// Of those that are there; `None` without any.
pub(super) fn median(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut values: Vec<f64> = values.flatten().filter(|value| value.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// "steps 100 to 400", the rows' first and last.
pub(super) fn steps_of<'a>(mut rows: impl DoubleEndedIterator<Item = &'a MetricsRow>) -> String {
    let first = rows.next().map_or(0, |row| row.step);
    match rows.next_back() {
        Some(last) => format!("steps {first} to {}", last.step),
        None => format!("step {first}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_that_is_no_run_is_an_error_that_says_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: &Path| crate::diagnosis::examine(path).unwrap_err().to_string();
        assert!(message(&folder.path().join("absent")).contains("there is no such folder"));
        assert!(message(folder.path()).contains("no run.toml in there"));
        fs::write(folder.path().join("finetune.toml"), "").unwrap();
        assert!(message(folder.path()).contains("one of a fine-tuning"));
        fs::remove_file(folder.path().join("finetune.toml")).unwrap();
        crate::RunConfig::default().save_in(folder.path()).unwrap();
        assert!(message(folder.path()).contains("no row yet"));
        fs::write(folder.path().join("metrics.jsonl"), "{\"step\":1}\nhalf a ro").unwrap();
        assert!(message(folder.path()).contains("line 1 is not a row"));
    }

    #[test]
    fn the_last_quarter_is_at_least_three_rows_if_there_are_so_many() {
        assert_eq!(late(&[1, 2]), [1, 2]);
        assert_eq!(late(&[1, 2, 3, 4, 5]), [3, 4, 5]);
        assert_eq!(late(&(0..40).collect::<Vec<_>>()).len(), 10);
        assert_eq!(median([Some(3.0), None, Some(1.0), Some(2.0)].into_iter()), Some(2.0));
        assert_eq!((mean([None].into_iter()), median([].into_iter())), (None, None));
    }
}
