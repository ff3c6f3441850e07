//! Finds the network that a command means: the folder or the network of the Hub that `--model` names, else the newest run's.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use electra_data::{FilesInMemory, Folder, finish_interrupted};

use crate::brought_model;
use crate::hub::{self, Hub};
use crate::terminal::Terminal;

/// Where runs go unless they are told otherwise.
pub(crate) const RUNS: &str = "runs";

/// The folder that `model` names: itself, or where the network of the Hugging Face Hub lies that is called so (`ORG/NAME`), fetched if
/// need be.
///
/// A folder comes first, and so does a folder `ORG`: a misspelt `runs/NAME` is not asked for on the wire.
///
/// # Errors
/// It is no folder, and cannot be fetched.
pub(crate) fn resolve(model: &Path, terminal: &Terminal) -> anyhow::Result<PathBuf> {
    let repository = model.to_str().and_then(hub::repository);
    let is_here = model.exists() || model.parent().is_some_and(Path::exists);
    match repository.filter(|_| !is_here) {
        Some(repository) => Hub::from_environment().fetch(repository, terminal),
        None => Ok(model.to_owned()),
    }
}

/// The folder of the network `kind` ("discriminator" or "generator").
///
/// `model` may be that folder itself, or a run or export that holds one of that name, or a network of the Hub; without it the newest run
/// under `runs/` that has been exported is taken.
pub(crate) fn find(model: Option<&Path>, kind: &str, terminal: &Terminal) -> anyhow::Result<PathBuf> {
    if let Some(model) = model {
        let model = &resolve(model, terminal)?;
        for folder in [model.as_path(), &model.join("..")] {
            finish_interrupted(folder)?;
        }
        let inside = model.join(kind);
        // Without one of the two it is damaged, which reading it says.
        if ["config.json", "model.safetensors"].iter().any(|name| inside.join(name).exists()) {
            return Ok(inside);
        }
        if model.join("config.json").is_file() {
            return Ok(model.to_owned());
        }
        let other = if kind == "discriminator" { "generator" } else { "discriminator" };
        if model.join(other).join("config.json").is_file() {
            bail!(
                "{}: it holds a {other} but no {kind}; the objective mlm trains a generator alone, rtd trains both",
                model.display()
            );
        }
        if !model.is_dir() {
            bail!("{}: no such folder; --model takes a run's folder or an exported one", model.display());
        }
        let what = match ["tokenizer.json", "vocab.txt"].into_iter().find(|name| model.join(name).is_file()) {
            Some(name) => format!("it holds a tokenizer ({name}) but no network: "),
            None => String::new(),
        };
        bail!(
            "{}: {what}neither config.json nor {kind}/config.json is in there\n\
             --model takes a run's folder, or one of a network (config.json, model.safetensors, tokenizer.json or vocab.txt), as \
             \"electra export\" writes it",
            model.display()
        );
    }
    newest(kind)?.with_context(|| {
        format!(
            "no model yet: {RUNS}/ holds no run with a {kind}; train one with \"cargo run --release\", or name one \
             with --model"
        )
    })
}

/// As [`find`], but without any run the network that Electra brings.
pub(crate) fn find_or_brought(model: Option<&Path>, kind: &str, terminal: &Terminal) -> anyhow::Result<Found> {
    if model.is_some() {
        return find(model, kind, terminal).map(Found::OnDisk);
    }
    if let Some(folder) = newest(kind)? {
        return Ok(Found::OnDisk(folder));
    }
    terminal.note(format_args!("{RUNS}/ holds no run: this is the model that Electra brings, {}", brought_model::NAME));
    Ok(Found::Brought(brought_model::files(kind)))
}

/// A network's folder, wherever it is.
pub(crate) enum Found {
    OnDisk(PathBuf),
    /// In the program itself.
    Brought(FilesInMemory),
}

impl Found {
    pub(crate) fn folder(&self) -> Folder<'_> {
        match self {
            Self::OnDisk(folder) => Folder::Disk(folder),
            Self::Brought(files) => Folder::Memory(files),
        }
    }
}

/// The network `kind` of the run that was exported last.
fn newest(kind: &str) -> anyhow::Result<Option<PathBuf>> {
    let mut newest: Option<(SystemTime, PathBuf)> = None;
    if let Ok(runs) = std::fs::read_dir(RUNS) {
        for run in runs {
            let run = run.with_context(|| format!("{RUNS}: cannot list"))?.path();
            // A run that cannot be finished now (it may be at work) is no reason not to look at the others.
            let _ = finish_interrupted(&run);
            let folder = run.join(kind);
            let Ok(written) = folder.join("config.json").metadata().and_then(|file| file.modified()) else { continue };
            if newest.as_ref().is_none_or(|(time, _)| written > *time) {
                newest = Some((written, folder));
            }
        }
    }
    Ok(newest.map(|(_, folder)| folder))
}
