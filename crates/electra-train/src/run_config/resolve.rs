//! From a preset, a file and `--set key=value` to one `run.toml`, each laid over the one before.
//!
//! The merge works on TOML tables, so that a layer may name any subset of the keys; the defaults are the schema
//! that keys and types are checked against, so that a misspelt key is an error with its line rather than a
//! silent default.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::RunConfig;

/// Presets by name. A new one is a file in `presets/` and a line here.
const PRESETS: &[(&str, &str)] = &[
    ("first", include_str!("../../presets/first.toml")),
    ("nano", include_str!("../../presets/nano.toml")),
    ("tiny", include_str!("../../presets/tiny.toml")),
    ("mini", include_str!("../../presets/mini.toml")),
    ("small", include_str!("../../presets/small.toml")),
    ("small++", include_str!("../../presets/small_plus_plus.toml")),
    ("base", include_str!("../../presets/base.toml")),
    ("large", include_str!("../../presets/large.toml")),
];

/// The preset of a run that names none.
pub const DEFAULT_PRESET: &str = "tiny";

/// Names of all presets, smallest first.
pub fn preset_names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// A `run.toml`, preset name or `--set` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunConfigError {
    #[error("{at}: {message}; a key needs a value: key = value, text in quotes, sections in [brackets]")]
    Syntax { at: String, message: String },
    #[error("{at}: unknown key \"{key}\"{hint}")]
    UnknownKey { at: String, key: String, hint: String },
    #[error("{at}: {key} is {value}, but {expected} is expected")]
    Type { at: String, key: String, value: String, expected: &'static str },
    #[error("{at}: {key} is {value}, but it must be {expected}")]
    Range { at: String, key: String, value: String, expected: String },
    #[error(
        "{key} is {value}: a run of these sizes needs at least {need} of memory ({parts}), but there are {has}; make {key} \
         smaller"
    )]
    Memory { key: &'static str, value: usize, need: String, parts: String, has: String },
    #[error("{at}unknown preset \"{name}\"{hint}; the presets are {}", preset_names().collect::<Vec<_>>().join(", "))]
    UnknownPreset { at: String, name: String, hint: String },
    #[error("--set {text}: a dotted key and a value are expected, as in --set train.steps=1000")]
    Set { text: String },
}

/// Resolves a run: `preset` (else the one that `file` names, else [`DEFAULT_PRESET`]), then `file`, a path for
/// messages and its text, then `sets`, each `key.path=value`.
///
/// # Errors
/// The first key that is unknown, of the wrong type or out of range, with the place it came from.
pub fn resolve(preset: Option<&str>, file: Option<(&str, &str)>, sets: &[String]) -> Result<RunConfig, RunConfigError> {
    let mut merge = Merge::new();
    let given = preset.is_some();
    let preset = match preset {
        Some(preset) => preset.to_owned(),
        None => match file {
            Some((path, text)) => preset_named_in(path, text)?.unwrap_or_else(|| DEFAULT_PRESET.to_owned()),
            None => DEFAULT_PRESET.to_owned(),
        },
    };
    let Some((_, text)) = PRESETS.iter().find(|(name, _)| *name == preset) else {
        let hint = nearest(&preset, preset_names()).map(|name| format!(", did you mean \"{name}\"?"));
        let from_file = file.filter(|_| !given).map(|(path, _)| format!("{path}: "));
        return Err(RunConfigError::UnknownPreset {
            at: from_file.unwrap_or_default(),
            name: preset,
            hint: hint.unwrap_or_default(),
        });
    };
    merge.apply(text, &|_| format!("preset {preset}"))?;
    if let Some((path, text)) = file {
        merge.apply(text, &|line| format!("{path}, line {line}"))?;
    }
    for set in sets {
        merge.apply_set(set)?;
    }
    merge.values.insert("preset".to_owned(), Value::String(preset));
    merge.finish()
}

fn preset_named_in(path: &str, text: &str) -> Result<Option<String>, RunConfigError> {
    let table: Table =
        text.parse().map_err(|error| syntax_error(&error, text, &|line| format!("{path}, line {line}")))?;
    match table.get("preset") {
        None => Ok(None),
        Some(Value::String(name)) => Ok(Some(name.clone())),
        Some(other) => Err(RunConfigError::Type {
            at: path.to_owned(),
            key: "preset".to_owned(),
            value: other.to_string(),
            expected: "text in quotes",
        }),
    }
}

/// The merged keys so far, and where each came from.
struct Merge {
    schema: Table,
    values: Table,
    sources: BTreeMap<String, String>,
}

impl Merge {
    fn new() -> Self {
        let schema = Table::try_from(RunConfig::default()).expect("the defaults are valid TOML");
        Self { values: schema.clone(), schema, sources: BTreeMap::new() }
    }

    /// Lays the keys of `text` over what is there. `at` describes a line.
    fn apply(&mut self, text: &str, at: &dyn Fn(usize) -> String) -> Result<(), RunConfigError> {
        let spanned = toml::de::DeTable::parse(text).map_err(|error| syntax_error(&error, text, at))?;
        let values: Table = text.parse().map_err(|error| syntax_error(&error, text, at))?;
        let Self { schema, values: merged, sources } = self;
        apply_table(schema, spanned.get_ref(), &values, merged, "", &mut |path, start| {
            let at = at(line_of(text, start));
            sources.insert(path.to_owned(), at.clone());
            at
        })
    }

    fn apply_set(&mut self, set: &str) -> Result<(), RunConfigError> {
        let malformed = || RunConfigError::Set { text: set.to_owned() };
        let (key, value) = set.split_once('=').ok_or_else(malformed)?;
        let (key, value) = (key.trim(), value.trim());
        let is_key = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !key.split('.').all(is_key) {
            return Err(malformed());
        }
        let at = |_| format!("--set {set}");
        if key == "preset" {
            let expected = "given as --preset NAME, since everything else is laid over it".to_owned();
            return Err(RunConfigError::Range { at: at(0), key: key.to_owned(), value: value.to_owned(), expected });
        }
        let Some(known) = leaf(&self.schema, key) else {
            let hint = unknown_key_hint(key);
            return Err(RunConfigError::UnknownKey { at: at(0), key: key.to_owned(), hint });
        };
        let expected = expectation(known);
        // The shell eats quotes, so that a key of text takes the value as it stands.
        let expects_text = matches!(known, Value::String(_));
        let quoted = value.starts_with('"') || value.starts_with('\'');
        let is_number = key == "train.micro_batch" && value.parse::<i64>().is_ok();
        let value =
            if expects_text && !quoted && !is_number { Value::from(value).to_string() } else { value.to_owned() };
        self.apply(&format!("{key} = {value}"), &at).map_err(|error| match error {
            RunConfigError::Syntax { .. } => RunConfigError::Type { at: at(0), key: key.to_owned(), value, expected },
            other => other,
        })
    }

    fn finish(self) -> Result<RunConfig, RunConfigError> {
        let at = |key: &str| self.sources.get(key).cloned().unwrap_or_else(|| "run configuration".to_owned());
        // Keys and types are checked by now: what is left are words that an enum does not know.
        let values = Value::Table(self.values.clone());
        let mut config: RunConfig = serde_path_to_error::deserialize(values).map_err(|error| {
            let key = error.path().to_string();
            let value = leaf(&self.values, &key).map(Value::to_string).unwrap_or_default();
            RunConfigError::Range { at: at(&key), key, value, expected: expected_of(error.inner().message()) }
        })?;
        // A preset's warmup goes with its own number of steps: a shorter run that names none warms up for a tenth.
        let is_preset = |key: &str| self.sources.get(key).is_none_or(|source| source.starts_with("preset "));
        if is_preset("train.warmup_steps") && !is_preset("train.steps") {
            config.train.warmup_steps = config.train.warmup_steps.min((config.train.steps / 10).max(1));
        }
        match config.out_of_range() {
            None => Ok(config),
            Some((key, value, expected)) => Err(RunConfigError::Range { at: at(&key), key, value, expected }),
        }
    }
}

fn apply_table(
    schema: &Table,
    spanned: &toml::de::DeTable<'_>,
    values: &Table,
    merged: &mut Table,
    prefix: &str,
    at: &mut dyn FnMut(&str, usize) -> String,
) -> Result<(), RunConfigError> {
    for (spanned_key, spanned_value) in spanned {
        let key = spanned_key.get_ref().as_ref();
        let path = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        let at_key = at(&path, spanned_key.span().start);
        let Some(expected) = schema.get(key) else {
            let hint = unknown_key_hint(&path);
            return Err(RunConfigError::UnknownKey { at: at_key, key: path, hint });
        };
        let value = &values[key];
        match (expected, spanned_value.get_ref(), value) {
            (Value::Table(schema), toml::de::DeValue::Table(spanned), Value::Table(values)) => {
                let merged = merged[key].as_table_mut().expect("merged has the schema's tables");
                apply_table(schema, spanned, values, merged, &path, at)?;
            }
            _ => {
                let value = coerce(&path, expected, value).ok_or_else(|| RunConfigError::Type {
                    at: at_key,
                    key: path.clone(),
                    value: value.to_string(),
                    expected: expectation(expected),
                })?;
                merged.insert(key.to_owned(), value);
            }
        }
    }
    Ok(())
}

/// `value` in the type of `expected`, or `None`. Whole numbers are never negative here.
fn coerce(path: &str, expected: &Value, value: &Value) -> Option<Value> {
    match (expected, value) {
        (Value::Integer(_), Value::Integer(number)) => (*number >= 0).then(|| value.clone()),
        (Value::Float(_), Value::Integer(number)) => Some(Value::Float(*number as f64)),
        (Value::Float(_), Value::Float(_))
        | (Value::String(_), Value::String(_))
        | (Value::Boolean(_), Value::Boolean(_)) => Some(value.clone()),
        (Value::String(_), Value::Integer(number)) if path == "train.micro_batch" && *number >= 0 => {
            Some(value.clone())
        }
        _ => None,
    }
}

/// What serde expected, out of its message: "unknown variant `x`, expected `a` or `b`" gives "\"a\" or \"b\"".
fn expected_of(message: &str) -> String {
    let expected = message.split_once("expected ").map_or(message, |(_, expected)| expected);
    expected.lines().next().unwrap_or_default().replace('`', "\"")
}

fn expectation(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "a whole number, 0 or above",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Table(_) => "a section of keys",
        Value::String(word) if word == "auto" => "\"auto\" or another value in quotes",
        _ => "text in quotes",
    }
}

pub(super) fn leaf<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let first = table.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.as_table()?.get(part))
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

fn syntax_error(error: &toml::de::Error, text: &str, at: &dyn Fn(usize) -> String) -> RunConfigError {
    let line = error.span().map_or(1, |span| line_of(text, span.start));
    RunConfigError::Syntax { at: at(line), message: error.message().replace('\n', ", ") }
}

fn unknown_key_hint(path: &str) -> String {
    let keys = key_paths();
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    // The right word in the wrong section, before the nearest word.
    let found = keys.iter().find(|key| last(key) == last(path)).map(String::as_str);
    let found = found.or_else(|| nearest(path, keys.iter().map(String::as_str)));
    let found = found.or_else(|| {
        let by_last = nearest(&last(path), keys.iter().map(|key| &key[key.rfind('.').map_or(0, |dot| dot + 1)..]))?;
        keys.iter().find(|key| last(key) == by_last).map(String::as_str)
    });
    match found {
        Some(key) => format!("; did you mean \"{key}\"?"),
        None => format!("; the keys are {}", keys.join(", ")),
    }
}

/// Dotted paths of all keys.
pub fn key_paths() -> Vec<String> {
    let schema = Table::try_from(RunConfig::default()).expect("the defaults are valid TOML");
    let mut paths = Vec::new();
    for (key, value) in &schema {
        match value {
            Value::Table(section) => paths.extend(section.keys().map(|inner| format!("{key}.{inner}"))),
            _ => paths.push(key.clone()),
        }
    }
    paths
}

fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, found) = candidates
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    // More than a third wrong is another word, not a misspelling.
    (distance <= (word.len() / 3).max(1)).then_some(found)
}

#[cfg(feature = "native")]
mod files {
    use std::path::{Component, Path, PathBuf, absolute};

    use super::{RunConfig, resolve};
    use crate::error::{Error, Result};

    /// Name of the resolved configuration in a run's folder.
    pub const RUN_CONFIG: &str = "run.toml";

    /// As [`resolve`], with the configuration's file read from `file`.
    ///
    /// # Errors
    /// The file cannot be read, or as [`resolve`].
    pub fn resolve_with_file(preset: Option<&str>, file: Option<&Path>, sets: &[String]) -> Result<RunConfig> {
        let Some(path) = file else { return Ok(resolve(preset, None, sets)?) };
        let bytes = crate::file::read(path)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let position = error.utf8_error().valid_up_to();
            Error::invalid(path, format!("byte {position} is not UTF-8"), "save the file as UTF-8 text")
        })?;
        Ok(resolve(preset, Some((&path.display().to_string(), &text)), sets)?)
    }

    impl RunConfig {
        /// Writes run.toml into a run's folder, atomically. The dataset is named so that it is found from any working
        /// folder: relative to the run's folder where it lies in there, else by its whole path.
        ///
        /// # Errors
        /// The file cannot be written.
        pub fn save_in(&self, run: &Path) -> Result<()> {
            let mut saved = self.clone();
            if !self.data.dir.as_os_str().is_empty() {
                let (dir, run) = (lasting(&self.data.dir), lasting(run));
                saved.data.dir = dir.strip_prefix(run).map_or(dir.clone(), Path::to_owned);
            }
            crate::file::write_atomically(&run.join(RUN_CONFIG), saved.to_toml().as_bytes())
        }

        /// Reads a run's run.toml; the dataset's folder as it is to be opened from here.
        ///
        /// # Errors
        /// As [`resolve_with_file`].
        pub fn load_from(run: &Path) -> Result<Self> {
            let mut config = resolve_with_file(None, Some(&run.join(RUN_CONFIG)), &[])?;
            let dir = run.join(&config.data.dir);
            // A file written by hand may name it as seen from the working folder.
            if !config.data.dir.as_os_str().is_empty() && (dir.exists() || !config.data.dir.exists()) {
                config.data.dir = dir;
            }
            Ok(config)
        }
    }

    /// The whole path. Links stay links, which may be made to lead elsewhere, unless ".." has to be understood.
    fn lasting(path: &Path) -> PathBuf {
        let climbs = path.components().any(|part| part == Component::ParentDir);
        let whole = if climbs { path.canonicalize() } else { absolute(path) };
        whole.unwrap_or_else(|_| path.to_owned())
    }
}

#[cfg(feature = "native")]
pub use files::{RUN_CONFIG, resolve_with_file};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_config::MicroBatch;

    fn set_result(text: &str) -> Result<RunConfig, RunConfigError> {
        resolve(None, None, &[text.to_owned()])
    }

    fn message(result: Result<RunConfig, RunConfigError>) -> String {
        result.expect_err("an error is expected").to_string()
    }

    #[test]
    fn every_preset_resolves_to_a_network_that_can_be_built() {
        for name in preset_names() {
            let config = resolve(Some(name), None, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(config.preset, name);
            config.model.networks().validate().unwrap();
        }
        let sizes = |name| {
            let generator = resolve(Some(name), None, &[]).unwrap().model.networks().generator;
            (generator.hidden_size, generator.num_attention_heads, generator.intermediate_size)
        };
        assert_eq!(sizes("small"), (64, 1, 256));
        assert_eq!(sizes("small++"), (256, 4, 1024));
        assert_eq!(sizes("base"), (256, 4, 1024));
        assert_eq!(sizes("large"), (256, 4, 1024));
    }

    #[test]
    fn later_layers_win_and_the_saved_copy_is_the_same_run() {
        let file = "preset = \"small\"\nseed = 7\n[train]\nsteps = 50\nwarmup_steps = 5\n";
        let sets = ["train.steps=60", "device=gpu:1", "train.micro_batch=4", "train.learning_rate=1"].map(String::from);
        let config = resolve(None, Some(("run.toml", file)), &sets).unwrap();
        assert_eq!((config.preset.as_str(), config.seed, config.model.hidden_size), ("small", 7, 256));
        assert_eq!((config.train.steps, config.train.warmup_steps, config.train.learning_rate), (60, 5, 1.0));
        assert_eq!((config.device.as_str(), config.train.micro_batch), ("gpu:1", MicroBatch::Size(4)));
        let again = resolve(None, Some(("run.toml", &config.to_toml())), &[]).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn an_unknown_key_names_file_line_and_the_nearest() {
        let file = "seed = 1\n\n[train]\nsteps = 50\nbatchsize = 4\n";
        let text = message(resolve(None, Some(("my.toml", file)), &[]));
        assert!(text.contains("my.toml, line 5") && text.contains("did you mean \"train.batch_size\""), "{text}");
        assert!(message(set_result("steps=5")).contains("did you mean \"train.steps\""));
        assert!(message(set_result("train.colour=5")).contains("unknown key \"train.colour\""));
        assert!(message(set_result("optimizer.kind=adam")).contains("unknown key \"optimizer.kind\""));
    }

    #[test]
    fn a_wrong_type_names_key_value_and_what_is_expected() {
        let text = message(set_result("train.steps=many"));
        assert!(text.contains("train.steps is many") && text.contains("a whole number"), "{text}");
        assert!(message(set_result("train.steps=-5")).contains("a whole number, 0 or above"));
        assert!(message(set_result("train.steps=1.5")).contains("a whole number"));
        assert!(message(set_result("train=5")).contains("a section of keys"));
        assert!(message(set_result("data.paper_exact=1")).contains("true or false"));
        assert!(message(set_result("train.micro_batch=some")).contains("\"auto\" or a whole number"));
        assert!(message(set_result("train.steps")).contains("--set train.steps=1000"));
        assert!(message(set_result("a b=1")).contains("dotted key"));
        assert!(message(set_result("preset=small")).contains("--preset NAME"));
        let text = message(resolve(None, Some(("run.toml", "seed = \n")), &[]));
        assert!(text.contains("run.toml, line 1"), "{text}");
        let text = message(resolve(None, Some(("run.toml", "seed = 1\nseed = 2\n")), &[]));
        assert!(text.contains("run.toml, line 2") && text.contains("duplicate"), "{text}");
        assert!(message(resolve(None, Some(("run.toml", "preset = 3")), &[])).contains("preset"));
    }

    #[test]
    fn a_value_out_of_range_names_its_place() {
        let short = resolve(None, Some(("run.toml", "[train]\nsteps = 50\n")), &[]).unwrap();
        assert_eq!(short.train.warmup_steps, 5, "a preset's warmup shrinks with the run");
        let text = message(resolve(None, Some(("run.toml", "[train]\nsteps = 5\nwarmup_steps = 100\n")), &[]));
        assert!(
            text.contains("train.warmup_steps is 100") && text.contains("at most train.steps, which is 5"),
            "{text}"
        );
        for (text, expected) in [
            ("train.batch_size=0", "at least 1"),
            ("train.micro_batch=64", "1 to train.batch_size, which is 32"),
            ("train.sequence_length=1024", "max_position_embeddings, which is 512"),
            ("train.learning_rate=nan", "above 0 and finite"),
            ("train.beta2=1", "below 1"),
            ("device=tpu", "\"gpu:N\""),
            ("device=gpu:x", "\"gpu:N\""),
            ("objective.name=clm", "\"rtd\" or \"mlm\""),
            ("model.num_attention_heads=3", "a divisor of hidden_size"),
            ("model.hidden_size=0", "1 to 2147483647"),
            ("model.sharing=all", "generator_size = 1.0"),
            ("model.position_initializer=random", "one of \"normal\", \"sinusoidal\", \"neighbours\""),
            ("data.masking_probability=1", "between 0 and 1"),
        ] {
            let found = message(set_result(text));
            assert!(found.contains(expected) && found.contains("--set"), "{text}: {found}");
        }
        assert!(message(resolve(Some("smal"), None, &[])).contains("did you mean \"small\"?"));
        // The first layer must see the positions' columns.
        let projected = ["model.position_initializer=neighbours", "model.embedding_size=32"].map(String::from);
        let text = message(resolve(Some("first"), None, &projected));
        assert!(text.contains("position_initializer is \"neighbours\"") && text.contains("embedding_size"), "{text}");
        // Sizes that are wrong by themselves are named first.
        let no_heads = ["model.position_initializer=neighbours", "model.num_attention_heads=0"].map(String::from);
        assert!(message(resolve(Some("first"), None, &no_heads)).contains("model.num_attention_heads is 0"));
    }

    /// What each key must refuse, and that it says so in its own name.
    #[test]
    fn a_wrong_value_of_any_key_is_refused_in_its_name() {
        let schema = Table::try_from(RunConfig::default()).unwrap();
        for key in key_paths() {
            let wrong: &[&str] = match leaf(&schema, &key).unwrap() {
                Value::Integer(_) => &["many", "-1", "1.5", "true", "\"5\"", "[5]", "99999999999999999999"],
                Value::Float(_) => &["wide", "-1.0", "nan", "inf", "-inf", "true", "[0.5]"],
                Value::Boolean(_) => &["maybe", "1", "\"true\""],
                // Any text may be a folder's name.
                Value::String(_) if key == "data.dir" => &["[1]", "{}"],
                Value::String(_) => &["nonsense", "\"\"", "'quoted nonsense'"],
                other => panic!("{key} = {other}: what would be wrong?"),
            };
            for value in wrong {
                let is_text_for_text = key == "data.dir";
                let set = format!("{key}={value}");
                match set_result(&set) {
                    Ok(_) => assert!(is_text_for_text, "{set} is accepted"),
                    Err(error) => {
                        let text = error.to_string();
                        assert!(text.contains(&format!("{key} is ")) && text.contains("--set"), "{set}: {text}");
                        let expected = text.rsplit("be ").next().unwrap_or_default();
                        let says_finite = expected.contains("finite") || expected.contains("at most") || expected.contains("below");
                        let is_infinite = *value == "inf";
                        assert!(!is_infinite || says_finite || expected.contains("between"), "the cause: {set}: {text}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_word_that_an_enum_does_not_know_is_refused_in_its_keys_name() {
        for (set, expected) in [
            ("train.precision=f64", "train.precision is \"f64\", but it must be \"f32\" or \"f16\""),
            ("model.sharing=half", "model.sharing is \"half\", but it must be one of \"embeddings\", \"none\", \"all\""),
            ("model.position_initializer=x", "model.position_initializer is \"x\""),
            ("train.micro_batch=some", "train.micro_batch is \"some\", but it must be \"auto\" or a whole number"),
        ] {
            let text = message(set_result(set));
            assert!(text.contains(expected), "{text}");
        }
        let text = message(resolve(None, Some(("my.toml", "[train]\nsteps = 50\nprecision = \"f64\"\n")), &[]));
        assert!(text.contains("my.toml, line 3: train.precision is \"f64\""), "{text}");
    }

    #[cfg(feature = "native")]
    #[test]
    fn the_dataset_of_a_run_is_found_from_any_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (run, data) = (folder.path().join("runs/books"), folder.path().join("data"));
        for path in [&run.join("data"), &data] {
            std::fs::create_dir_all(path).unwrap();
        }
        let saved = |dir: std::path::PathBuf| {
            let mut config = RunConfig::default();
            config.data.dir = dir;
            config.save_in(&run).unwrap();
            let text = std::fs::read_to_string(run.join(super::RUN_CONFIG)).unwrap();
            let line = text.lines().find(|line| line.starts_with("dir")).unwrap().to_owned();
            (line, RunConfig::load_from(&run).unwrap().data.dir)
        };
        // In the run's folder, it moves with it.
        assert_eq!(saved(run.join("data")), ("dir = \"data\"".to_owned(), run.join("data")));
        let canonical = data.canonicalize().unwrap();
        let (line, found) = saved(run.join("../../data"));
        assert!(found == canonical && !line.contains(".."), "{line}");
        // As seen from the working folder of the tests, which is the crate's.
        let (line, found) = saved("src".into());
        assert!(found.is_absolute() && found.join("run_config").is_dir(), "{line}");
    }
}
