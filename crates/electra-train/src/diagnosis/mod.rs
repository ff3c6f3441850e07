//! What is wrong with a pre-training run, in words: `electra doctor`.
//!
//! ELECTRA can go wrong without a word: a discriminator that says "original" of every token has an accuracy of .85 and a loss that falls.
//! So a run is read as its folder has it ([`Record`]) and asked a list of questions, one file for each family of them. A question
//! looks at the run's own numbers first (an accuracy against its own replaced rate), and says what it saw, at which steps, and what to do.
//! To add a family: a file with `check`, and its name in the list below.

mod healthy;
mod record;
#[cfg(test)]
mod tests;
mod text;

use std::path::Path;

use serde::Serialize;

pub use self::healthy::{Beside, BesideRow};
use self::record::Record;
use crate::error::Result;

macro_rules! families {
    ($($name:ident),+ $(,)?) => {
        $(mod $name;)+

        const FAMILIES: &[(&str, fn(&Record) -> Vec<Finding>)] = &[$((stringify!($name), $name::check)),+];
    };
}

families![
    discriminator,
    generator,
    replaced,
    embeddings,
    schedule,
    progress,
    not_finite,
    gradient,
    loss_scale,
    overfitting,
    batch,
    vocabulary,
    held_out,
    passes,
];

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The run is not what it was meant to be.
    Wrong,
    /// It may be meant so.
    Suspicious,
    /// Looked at, and as it should be.
    Fine,
}

impl Severity {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::Suspicious => "suspicious",
            Self::Fine => "fine",
        }
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Which family of questions it answers.
    pub about: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// In one sentence.
    pub what: String,
    /// The numbers that say so, and at which steps.
    pub evidence: String,
    /// What to do; none where nothing needs to be done.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(severity: Severity, what: impl Into<String>, evidence: impl Into<String>, remedy: Option<&str>) -> Self {
        // The list of families knows which one asked.
        Self { about: "", severity, what: what.into(), evidence: evidence.into(), remedy: remedy.map(str::to_owned) }
    }

    fn wrong(what: impl Into<String>, evidence: impl Into<String>, remedy: &str) -> Self {
        Self::new(Severity::Wrong, what, evidence, Some(remedy))
    }

    fn suspicious(what: impl Into<String>, evidence: impl Into<String>, remedy: &str) -> Self {
        Self::new(Severity::Suspicious, what, evidence, Some(remedy))
    }

    fn fine(what: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self::new(Severity::Fine, what, evidence, None)
    }
}

/// What a run is, and how far it has come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// As run.toml has it.
    pub objective: String,
    /// As run.toml has it.
    pub preset: String,
    /// Steps done, as far as rows and checkpoints say.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Padding left out, where a checkpoint says so.
    pub tokens_seen: u64,
    /// Whether a process trains in the folder now.
    pub is_being_trained: bool,
}

/// All that there is to say of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// What was looked at.
    pub run: Summary,
    /// The worst first.
    pub findings: Vec<Finding>,
    /// Beside a healthy run of the same kind, where one is known.
    pub beside: Option<Beside>,
    /// What could not be looked at, and why.
    pub not_seen: Vec<String>,
}

impl Diagnosis {
    fn of(record: &Record) -> Self {
        let named = |about: &'static str, finding: Finding| Finding { about, ..finding };
        let asked = FAMILIES.iter();
        let mut findings: Vec<Finding> =
            asked.flat_map(|(about, check)| check(record).into_iter().map(|finding| named(about, finding))).collect();
        // Stable: what is as bad stays in the order of the list.
        findings.sort_by_key(|finding| finding.severity);
        Self {
            run: Summary {
                objective: record.config.objective.name.clone(),
                preset: record.config.preset.clone(),
                step: record.step(),
                steps: record.config.train.steps,
                tokens_seen: record.tokens_seen(),
                is_being_trained: record.is_being_trained,
            },
            findings,
            beside: healthy::beside(record),
            not_seen: record.not_seen.clone(),
        }
    }

    /// How many findings are so bad.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Reads the run in `folder` and asks all questions. Nothing in it is changed.
///
/// # Errors
/// The folder is no run (it has no run.toml, or no row), or a file of it is damaged. What a run may lack (checkpoints, its dataset) is
/// no error: the diagnosis says that it was not seen.
pub fn examine(folder: &Path) -> Result<Diagnosis> {
    Ok(Diagnosis::of(&Record::read(folder)?))
}

/// A number as evidence has it: three digits behind the point where it is below 10, fewer where it is large.
fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e6).contains(&size) {
        format!("{value:.2e}")
    } else if size < 10.0 {
        format!("{value:.3}")
    } else if size < 1000.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// A share as evidence has it.
fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    let decimals = if percent >= 10.0 || percent == 0.0 {
        0
    } else if percent >= 0.1 {
        1
    } else {
        3
    };
    format!("{percent:.decimals$} %")
}

/// A count of tokens.
fn millions(tokens: u64) -> String {
    if tokens < 100_000 { tokens.to_string() } else { format!("{:.1} M", tokens as f64 / 1e6) }
}
