//! From a preset, a file and `--set key=value` to one `run.toml`, each laid over the one before.
//!
//! The merge works on TOML tables, so that a layer may name any subset of the keys; the defaults are the schema
//! that keys and types are checked against, so that a misspelt key is an error with its line rather than a
//! silent default.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::RunConfig;
use super::settings::ONCE_COMMON;

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
// The text of each says what it and its fields are.
#[expect(missing_docs)]
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
        let of_objectives = once_common(&self.schema, key);
        let known = of_objectives.first().map_or(key, |full| full);
        let Some(known) = leaf(&self.schema, known) else {
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
        // What a budget pays for is yet to be found.
        if config.train.budget.is_empty() {
            config.settle_phases();
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
        let value = &values[key];
        if prefix == "objective" && ONCE_COMMON.contains(&key) {
            apply_to_tables(schema, key, value, merged, &at_key)?;
            continue;
        }
        let Some(expected) = schema.get(key) else {
            let hint = unknown_key_hint(&path);
            return Err(RunConfigError::UnknownKey { at: at_key, key: path, hint });
        };
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

/// Sets `key`, which once stood under [objective] itself, in every objective's table that has it: only the named one's counts.
fn apply_to_tables(
    schema: &Table,
    key: &str,
    value: &Value,
    merged: &mut Table,
    at: &str,
) -> Result<(), RunConfigError> {
    for (name, table) in schema {
        let Some(expected) = table.as_table().and_then(|table| table.get(key)) else { continue };
        let path = format!("objective.{name}.{key}");
        let value = coerce(&path, expected, value).ok_or_else(|| RunConfigError::Type {
            at: at.to_owned(),
            key: format!("objective.{key}"),
            value: value.to_string(),
            expected: expectation(expected),
        })?;
        let merged = merged[name.as_str()].as_table_mut().expect("merged has the schema's tables");
        merged.insert(key.to_owned(), value);
    }
    Ok(())
}

/// The keys that `objective.KEY` of earlier releases stands for.
fn once_common(schema: &Table, path: &str) -> Vec<String> {
    let Some(key) = path.strip_prefix("objective.").filter(|key| ONCE_COMMON.contains(key)) else { return Vec::new() };
    let tables = schema["objective"].as_table().expect("a section");
    let with_key = tables.iter().filter(|(_, table)| table.as_table().is_some_and(|table| table.contains_key(key)));
    with_key.map(|(name, _)| format!("objective.{name}.{key}")).collect()
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
    fn walk(table: &Table, prefix: &str, paths: &mut Vec<String>) {
        for (key, value) in table {
            match value {
                Value::Table(section) => walk(section, &format!("{prefix}{key}."), paths),
                _ => paths.push(format!("{prefix}{key}")),
            }
        }
    }
    let mut paths = Vec::new();
    walk(&schema, "", &mut paths);
    paths
}

fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, found) = candidates
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    // More than a third wrong is another word, not a misspelling.
    (distance <= (word.len() / 3).max(1)).then_some(found)
}

#[cfg(test)]
mod tests;
