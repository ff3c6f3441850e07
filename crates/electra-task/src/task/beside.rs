//! Which files are to train on, to compare checkpoints on and to predict, by their names: `reviews_train.csv` and `reviews_dev.csv`,
//! `train-00000-of-00002.parquet` and `validation-00000-of-00001.parquet`, `eng.train` and `eng.testa`.

use electra_data::record::{NameKind, name_kind, without_compression};

use super::{LoadOptions, Role};
use crate::files::Files;
use crate::{Result, TaskError};

/// Parts of names that say what a file is for.
const ROLE_WORDS: &[(Role, &[&str])] = &[
    (Role::Train, &["train", "training"]),
    (Role::Dev, &["dev", "valid", "validation", "val", "testa"]),
    (Role::Test, &["test", "testb"]),
];

/// A user's files by what they are for.
pub(super) struct Beside {
    pub train: Vec<String>,
    pub dev: Vec<String>,
    pub test: Vec<String>,
    pub notes: Vec<String>,
}

/// What a name says its file is for, and the rest of the name, which files that belong together share.
fn role_of(name: &str) -> Option<(Role, String)> {
    let lower = without_compression(name).to_lowercase();
    let mut parts: Vec<&str> = lower.split(|character: char| !character.is_alphanumeric()).collect();
    let role = |part: &str| ROLE_WORDS.iter().find(|(_, words)| words.contains(&part)).map(|(role, _)| *role);
    // The last part is an extension, unless it is the word itself: eng.train
    if parts.len() > 1 && parts.last().is_some_and(|last| role(last).is_none()) {
        parts.pop();
    }
    let at = parts.iter().position(|part| role(part).is_some())?;
    let found = role(parts.remove(at))?;
    // Numbers of shards differ between files that belong together.
    parts.retain(|part| *part != "of" && !part.chars().all(|character| character.is_ascii_digit()));
    Some((found, parts.join("-")))
}

/// Finds them among `files`: the file that the user named and what belongs to it, or those of a folder.
///
/// # Errors
/// The folder has no file to train on, or several that do not belong together.
pub(super) fn beside(files: &Files, options: &LoadOptions) -> Result<Beside> {
    let roles: Vec<(&str, Role, String)> = files
        .names()
        .filter(|name| !name.contains('/') && options.dev.as_deref() != Some(*name))
        .filter_map(|name| role_of(name).map(|(role, rest)| (name, role, rest)))
        .collect();
    let of = |wanted: Role, rest: &str| -> Vec<String> {
        let found = roles.iter().filter(|(_, role, of)| *role == wanted && of == rest);
        found.map(|(name, _, _)| (*name).to_owned()).collect()
    };
    let rest = match files.given() {
        Some(given) => match role_of(given) {
            Some((Role::Train, rest)) => rest,
            _ => return Ok(Beside::alone(given, options)),
        },
        None => {
            let mut rests: Vec<&String> =
                roles.iter().filter(|(_, role, _)| *role == Role::Train).map(|(_, _, rest)| rest).collect();
            rests.dedup();
            match rests[..] {
                [rest] => rest.clone(),
                [] => return Ok(Beside::alone(only_table(files)?, options)),
                _ => {
                    let names = roles.iter().filter(|(_, role, _)| *role == Role::Train).map(|(name, _, _)| *name);
                    let names: Vec<&str> = names.collect();
                    let reason = format!("several files to train on: {}", names.join(", "));
                    return Err(TaskError::unsuitable(files.root(), reason, "name one of them with --data"));
                }
            }
        }
    };
    // Shards of the named file belong to it, other files with the same words do not.
    let mut found = Beside {
        train: of(Role::Train, &rest),
        dev: of(Role::Dev, &rest),
        test: of(Role::Test, &rest),
        notes: Vec::new(),
    };
    if let Some(given) = files.given().filter(|_| found.train.len() > 1 && !is_shard(&found.train)) {
        found.train = vec![given.to_owned()];
    }
    if let Some(dev) = &options.dev {
        found.dev = vec![dev.clone()];
    } else if found.dev.is_empty() && !found.test.is_empty() {
        found.dev = std::mem::take(&mut found.test);
        found.notes.push(format!("checkpoints are compared on {}, the only other file there is", found.dev.join(", ")));
    } else if !found.dev.is_empty() {
        found.notes.push(format!("checkpoints are compared on {}, which lies beside", found.dev.join(", ")));
    }
    Ok(found)
}

/// Whether names are parts of one file: `-00000-of-00002`.
fn is_shard(names: &[String]) -> bool {
    names.iter().all(|name| name.contains("-of-"))
}

impl Beside {
    fn alone(train: &str, options: &LoadOptions) -> Self {
        let dev = options.dev.iter().cloned().collect();
        Self { train: vec![train.to_owned()], dev, test: Vec::new(), notes: Vec::new() }
    }
}

/// The only table or text of a folder.
fn only_table(files: &Files) -> Result<&str> {
    let is_data = |name: &&str| {
        let is_about = name.to_lowercase().starts_with("readme") || name.to_lowercase().starts_with("licen");
        !name.contains('/') && !is_about && name_kind(name).is_some_and(|kind| kind != NameKind::Archive)
    };
    let found: Vec<&str> = files.names().filter(is_data).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(TaskError::unsuitable(
            files.root(),
            "no file to train on is here",
            "name a CSV, TSV, JSONL, Parquet or CoNLL file, or a folder with one called train",
        )),
        _ => Err(TaskError::unsuitable(
            files.root(),
            format!("none of the files is called train: {}", found.join(", ")),
            "name the one to train on with --data",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str], given: Option<&str>) -> Result<[String; 3]> {
        let names = names.iter().copied().chain(given).map(|name| (name.to_owned(), Vec::new()));
        let mut files = Files::memory("data", names.collect::<Vec<_>>());
        files.set_given(given);
        let found = beside(&files, &LoadOptions::default())?;
        Ok([found.train, found.dev, found.test].map(|names| names.join(" ")))
    }

    #[test]
    fn names_tell_what_files_are_for() {
        for (names, given, expected) in [
            (["train.csv", "dev.csv", "test.csv"].as_slice(), None, ["train.csv", "dev.csv", "test.csv"]),
            (
                &["a_test.csv", "a_valid.csv.gz", "b_dev.csv"],
                Some("a_train.csv"),
                ["a_train.csv", "a_valid.csv.gz", "a_test.csv"],
            ),
            (&["test.tsv", "README.md"], Some("train.tsv"), ["train.tsv", "test.tsv", ""]),
            (&["eng.testa", "eng.testb", "eng.train"], None, ["eng.train", "eng.testa", "eng.testb"]),
            (
                &["train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "validation-00000-of-00001.parquet"],
                None,
                ["train-00000-of-00002.parquet train-00001-of-00002.parquet", "validation-00000-of-00001.parquet", ""],
            ),
            (&["dev.csv"], Some("reviews.csv"), ["reviews.csv", "", ""]),
            (&["reviews.csv", "README.md"], None, ["reviews.csv", "", ""]),
            (&["dev.csv"], Some("train.jsonl"), ["train.jsonl", "dev.csv", ""]),
        ] {
            assert_eq!(found(names, given).expect("found"), expected, "{names:?}");
        }
    }

    #[test]
    fn a_folder_that_does_not_tell_is_an_error_with_its_names() {
        for (names, said) in [
            (["a_train.csv", "b_train.csv"].as_slice(), "a_train.csv, b_train.csv"),
            (&["a.csv", "b.csv"], "a.csv, b.csv"),
            (&["README.md"], "no file to train on"),
        ] {
            let message = found(names, None).expect_err("unclear").to_string();
            assert!(message.contains(said), "{message}");
        }
    }
}
