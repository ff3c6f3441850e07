//! Tests that had nothing to run on: libtest knows no test that finds out so when it runs, and counts it as passed.
//!
//! Such a test appends its name and the reason to the file that a variable names, and the summary counts them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::stage::target_dir;

/// Names the file; the tests read it (`tests/support/adapter.rs`, `gpu/testing.rs`).
pub(crate) const VARIABLE: &str = "ELECTRA_SKIPPED";

fn file() -> Result<PathBuf, String> {
    Ok(target_dir()?.join("skipped-tests.txt"))
}

/// The file, emptied.
pub(crate) fn begin() -> Result<PathBuf, String> {
    let file = file()?;
    std::fs::write(&file, "").map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(file)
}

/// A line for each reason, with the number of tests; none where all ran.
pub(crate) fn notes() -> Vec<String> {
    let text = file().ok().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    notes_of(&text)
}

fn notes_of(text: &str) -> Vec<String> {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, reason) in text.lines().filter_map(|line| line.split_once('\t')) {
        let names = by_reason.entry(reason).or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let note = |(reason, names): (&str, Vec<&str>)| match names.as_slice() {
        [one] => format!("1 test was skipped, since {reason}: {one}"),
        names => format!("{} tests were skipped, since {reason}", names.len()),
    };
    by_reason.into_iter().map(note).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_tests_are_counted_once_by_their_reasons() {
        let text =
            "a::b\tthere is no adapter\nc\tthe adapter has no f16\nd\tthere is no adapter\na::b\tthere is no adapter\n";
        let notes = notes_of(text);
        assert_eq!(notes.len(), 2);
        assert!(notes[0].starts_with("1 test") && notes[0].ends_with(": c"), "{notes:?}");
        assert!(notes[1].starts_with("2 tests") && notes[1].contains("no adapter"), "{notes:?}");
        assert!(notes_of("").is_empty());
    }
}
