//! Which keys of run.toml decide the numbers of a run, and which may be set otherwise when it is resumed.
//!
//! A checkpoint holds the keys of both lists that differ from their defaults ([`RunConfig::settings`]), so that a resume can
//! say which key it would change, from what to what. What stands at its default is left out: a key that a later release
//! adds, with a default that means what was done before, then invalidates no checkpoint. A default that is once
//! released is never changed for the same reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::RunConfig;
use super::resolve::leaf;

/// Keys that a run keeps from its first step to its last.
pub(crate) const FIXED: &[&str] = &[
    "seed",
    "model.vocab_size",
    "model.embedding_size",
    "model.hidden_size",
    "model.num_hidden_layers",
    "model.num_attention_heads",
    "model.intermediate_size",
    "model.max_position_embeddings",
    "model.type_vocab_size",
    "model.hidden_dropout_prob",
    "model.attention_probs_dropout_prob",
    "model.layer_norm_eps",
    "model.initializer_range",
    "model.generator_size",
    "model.generator_depth",
    "model.generator_heads",
    "model.sharing",
    "model.position_initializer",
    "model.word_initializer",
    "data.masking_probability",
    "data.masking",
    "data.paper_exact",
    "train.batch_size",
    "train.precision",
    "train.sequence_length",
    "train.learning_rate",
    "train.warmup_steps",
    "train.weight_decay",
    "train.beta1",
    "train.beta2",
    "train.epsilon",
    "train.bias_correction",
    "train.clip_norm",
    "objective.name",
    "objective.generator",
];

/// Every key of the objective's own table is fixed, too.
const OBJECTIVE: &str = "objective.";

/// Keys that stood under [objective] before each objective had a table of its own. A run's digest goes by them.
pub(super) const ONCE_COMMON: [&str; 4] =
    ["generator_loss_weight", "discriminator_loss_weight", "temperature", "disallow_correct"];

/// Keys that may change: where and how a step is computed, how often something is done beside it, and how many steps there
/// are. `train.micro_batch` changes the order of sums, and so last digits; `train.steps` the learning rate from there on.
pub(crate) const FREE: &[&str] = &[
    "preset",
    "device",
    "data.dir",
    "train.steps",
    "train.budget",
    "train.micro_batch",
    "train.recompute",
    "train.checkpoint_every",
    "train.keep",
    "train.validate_every",
    "train.validation_batches",
    "train.log_every",
    "train.max_nonfinite_in_a_row",
    "probe.every",
    "probe.task",
    "probe.data",
    "probe.epochs",
    "probe.limit",
    "probe.batch_size",
    "probe.learning_rate",
];

/// Free keys that say nothing of a run: a name, where data lies today, and where the number of steps came from.
const NOT_RECORDED: [&str; 4] = ["preset", "data.dir", "train.budget", "probe.data"];

/// Free keys that change numbers all the same.
const FREE_BUT_FELT: [&str; 2] = ["train.steps", "train.micro_batch"];

/// SHA-256 of what decides the numbers of a run, in hex: keys of a checkpoint's `settings`, with the values from before its
/// `changes`. A run keeps it when it is resumed with other steps; one that has had them from the start is another run.
pub(crate) fn digest_at_start(settings: &BTreeMap<String, String>, changes: &[Change]) -> String {
    let mut settings = settings.clone();
    settings.extend(changes.iter().rev().map(|change| (change.key.clone(), change.from.clone())));
    let name = settings.get("objective.name").map_or(String::new(), |name| name.trim_matches('"').to_owned());
    let settings = with_own_tables(&settings, &name);
    let defaults = defaults_beside(&name);
    let decides = |key: &str| is_fixed(key) || FREE_BUT_FELT.contains(&key);
    let once = |key: &str| match key.rsplit_once('.') {
        Some((table, last)) if table.starts_with(OBJECTIVE) && ONCE_COMMON.contains(&last) => {
            format!("{OBJECTIVE}{last}")
        }
        _ => key.to_owned(),
    };
    let lines: BTreeMap<String, &String> = settings
        .iter()
        .filter(|(key, value)| decides(key) && defaults.get(*key) != Some(value))
        .map(|(key, value)| (once(key), value))
        .collect();
    let lines: String = lines.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    crate::hex(&Sha256::digest(lines))
}

/// A key whose value is another one than a checkpoint has, both as TOML writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Dotted.
    pub key: String,
    /// As the checkpoint has it.
    pub saved: String,
    /// As it is given.
    pub now: String,
}

/// A key of run.toml that was given another value when a run was resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Steps done by then.
    pub step: u64,
    /// Dotted.
    pub key: String,
    /// Before.
    pub from: String,
    /// From there on.
    pub to: String,
}

impl Difference {
    /// Whether a run may go on with it.
    pub fn is_allowed(&self) -> bool {
        FREE.contains(&self.key.as_str())
    }
}

impl RunConfig {
    /// The keys that are not at their defaults, dotted, with their values as TOML writes them.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let mut settings = all(self);
        let defaults = defaults_beside(&self.objective.name);
        settings.retain(|key, value| defaults[key] != *value);
        settings
    }

    /// Where this configuration differs from the [`RunConfig::settings`] that a checkpoint holds.
    pub fn differences(&self, saved: &BTreeMap<String, String>) -> Vec<Difference> {
        let saved = &with_own_tables(saved, &self.objective.name);
        let defaults = defaults_beside(&self.objective.name);
        let mut found: Vec<Difference> = all(self)
            .into_iter()
            .map(|(key, now)| Difference { saved: saved.get(&key).unwrap_or(&defaults[&key]).clone(), now, key })
            .filter(|difference| difference.saved != difference.now)
            .collect();
        // A key of a later release, at another value than its default.
        let unknown = saved.iter().filter(|(key, _)| !defaults.contains_key(*key));
        found.extend(unknown.map(|(key, saved)| Difference {
            key: key.clone(),
            saved: saved.clone(),
            now: "a key that this release does not have".to_owned(),
        }));
        found
    }
}

fn is_fixed(key: &str) -> bool {
    FIXED.contains(&key) || key.starts_with(OBJECTIVE)
}

/// The keys that count, with their values: of the objectives' tables, those of the one that is named.
fn all(config: &RunConfig) -> BTreeMap<String, String> {
    let table = Table::try_from(config).expect("a run configuration is valid TOML");
    let own = format!("{OBJECTIVE}{}", config.objective.name);
    let keys = leaf(&table, &own).and_then(Value::as_table).into_iter().flat_map(Table::keys);
    let keys = keys.map(|key| format!("{own}.{key}"));
    let recorded = FIXED.iter().chain(FREE).filter(|key| !NOT_RECORDED.contains(key)).map(|key| String::from(*key));
    let value = |key: &str| leaf(&table, key).map(Value::to_string);
    recorded.chain(keys).map(|key| (key.clone(), value(&key).expect("a key of the schema"))).collect()
}

/// The defaults, with those of the objective `name`; its name itself is that of the default objective.
fn defaults_beside(name: &str) -> BTreeMap<String, String> {
    let default = RunConfig::default();
    let mut beside = default.clone();
    if !name.is_empty() {
        name.clone_into(&mut beside.objective.name);
    }
    let mut defaults = all(&beside);
    defaults.insert("objective.name".to_owned(), Value::from(default.objective.name).to_string());
    defaults
}

/// Settings as today's keys have them: those that once stood under [objective] are keys of the objective `name`, if it has them.
fn with_own_tables(settings: &BTreeMap<String, String>, name: &str) -> BTreeMap<String, String> {
    let defaults = defaults_beside(name);
    let name = if name.is_empty() { RunConfig::default().objective.name } else { name.to_owned() };
    let renamed = settings.iter().filter_map(|(key, value)| {
        let Some(last) = key.strip_prefix(OBJECTIVE).filter(|last| ONCE_COMMON.contains(last)) else {
            return Some((key.clone(), value.clone()));
        };
        let own = format!("{OBJECTIVE}{name}.{last}");
        defaults.contains_key(&own).then(|| (own, value.clone()))
    });
    renamed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{key_paths, resolve};

    #[test]
    fn every_key_is_fixed_or_free() {
        let mut listed: Vec<&str> = FIXED.iter().chain(FREE).copied().collect();
        listed.sort_unstable();
        let mut keys = key_paths();
        // Tables of objectives.
        keys.retain(|key| key.split('.').count() < 3);
        keys.sort_unstable();
        assert_eq!(listed, keys, "each key of run.toml stands in one of the two lists, once");
    }

    #[test]
    fn a_difference_names_key_and_both_values() {
        let before = resolve(Some("nano"), None, &[]).unwrap();
        let sets = ["train.batch_size=8", "train.steps=30", "data.dir=elsewhere"].map(String::from);
        let after = resolve(Some("nano"), None, &[sets.as_slice(), &["train.warmup_steps=200".to_owned()]].concat());
        assert!(after.is_err(), "200 steps of warmup are more than 30");
        let sets = [sets.as_slice(), &["train.warmup_steps=3".to_owned()]].concat();
        let found = resolve(Some("nano"), None, &sets).unwrap().differences(&before.settings());
        let shown: Vec<_> = found.iter().map(|d| (&*d.key, &*d.saved, &*d.now, d.is_allowed())).collect();
        let expected = [
            ("train.batch_size", "16", "8", false),
            ("train.steps", "2000", "30", true),
            ("train.warmup_steps", "200", "3", false),
        ];
        assert_eq!(shown, expected);
        assert_eq!(before.differences(&before.settings()), []);
    }

    #[test]
    fn the_digest_is_of_what_decides_the_numbers_as_a_run_began() {
        let settings = |set: &str| resolve(Some("nano"), None, &[set.to_owned()]).unwrap().settings();
        let of = |set: &str| digest_at_start(&settings(set), &[]);
        let nano = of("device=auto");
        for free in ["device=cpu", "train.keep=9", "train.recompute=true", "train.log_every=3", "data.dir=elsewhere"] {
            assert_eq!(of(free), nano, "{free}");
        }
        let deciding = ["seed=9", "train.learning_rate=2e-3", "model.type_vocab_size=1", "train.batch_size=8"];
        for set in deciding.into_iter().chain(["train.steps=3000", "train.micro_batch=8"]) {
            assert_ne!(of(set), nano, "{set}");
        }
        // Twice changed on the way, at last back to the schema's default, which settings leave out.
        let default = RunConfig::default().train.steps.to_string();
        let change = |step, from: &str, to: &str| {
            let (key, from, to) = ("train.steps".to_owned(), from.to_owned(), to.to_owned());
            Change { step, key, from, to }
        };
        let changes = [change(1, "2000", "3000"), change(2, "3000", &default)];
        assert_eq!(digest_at_start(&settings(&format!("train.steps={default}")), &changes), nano);
        // Begun with the default.
        let changes = [change(1, &default, "2000")];
        assert_eq!(digest_at_start(&settings("device=auto"), &changes), of(&format!("train.steps={default}")));
    }

    #[test]
    fn keys_from_before_objectives_had_tables_are_those_of_the_objective() {
        let sets = ["objective.rtd.temperature=0.5".to_owned()];
        let config = resolve(Some("nano"), None, &sets).unwrap();
        let mut saved = config.settings();
        let value = saved.remove("objective.rtd.temperature").expect("not at its default");
        saved.insert("objective.temperature".to_owned(), value);
        assert_eq!(config.differences(&saved), []);
        assert_eq!(digest_at_start(&saved, &[]), digest_at_start(&config.settings(), &[]));
        // What an objective does not look at was never its setting.
        let mlm = resolve(Some("nano"), None, &["objective.name=mlm".to_owned()]).unwrap();
        let mut saved = mlm.settings();
        saved.insert("objective.discriminator_loss_weight".to_owned(), "20.0".to_owned());
        assert_eq!(mlm.differences(&saved), []);
        // On the command line and in files, too.
        let short = resolve(Some("nano"), None, &["objective.temperature=0.5".to_owned()]).unwrap();
        assert_eq!(short.settings(), config.settings());
    }

    #[test]
    fn a_key_that_a_checkpoint_does_not_know_was_at_its_default() {
        let config = resolve(Some("nano"), None, &[]).unwrap();
        let mut saved = config.settings();
        assert!(!saved.contains_key("model.type_vocab_size"), "defaults are left out: {saved:?}");
        // As if this release had just got the key.
        let with_key = resolve(Some("nano"), None, &["model.type_vocab_size=1".to_owned()]).unwrap();
        assert_eq!(with_key.differences(&saved).len(), 1);
        // As if a later release had written it.
        saved.insert("objective.copy".to_owned(), "true".to_owned());
        let found = config.differences(&saved);
        assert!(found.len() == 1 && found[0].key == "objective.copy" && !found[0].is_allowed(), "{found:?}");
    }
}
