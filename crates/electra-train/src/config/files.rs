//! run.toml on disk, and where the dataset of a run is found again.

use std::path::{Component, Path, PathBuf, absolute};

use super::{RUN_CONFIG, RunConfig, resolve};
use crate::error::{Error, Result};
use crate::file;

/// As [`resolve`], with the configuration's file read from `file`.
///
/// # Errors
/// The file cannot be read, or as [`resolve`].
pub fn resolve_with_file(preset: Option<&str>, file: Option<&Path>, sets: &[String]) -> Result<RunConfig> {
    let Some(path) = file else { return Ok(resolve(preset, None, sets)?) };
    let bytes = file::read(path)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let position = error.utf8_error().valid_up_to();
        Error::invalid(path, format!("byte {position} is not UTF-8"), "save the file as UTF-8 text")
    })?;
    Ok(resolve(preset, Some((&path.display().to_string(), &text)), sets)?)
}

impl RunConfig {
    /// Writes run.toml into a run's folder, atomically. Data is named so that it is found from any working folder: relative to
    /// the run's folder where it lies in there, else by its whole path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_in(&self, run: &Path) -> Result<()> {
        let mut saved = self.clone();
        let run_folder = lasting(run);
        for path in saved.paths().into_iter().filter(|path| !path.as_os_str().is_empty()) {
            let whole = lasting(path);
            *path = whole.strip_prefix(&run_folder).map_or_else(|_| whole.clone(), Path::to_owned);
        }
        file::write_atomically(&run.join(RUN_CONFIG), saved.to_toml().as_bytes())
    }

    /// Where data lies.
    fn paths(&mut self) -> [&mut PathBuf; 2] {
        [&mut self.data.dir, &mut self.probe.data]
    }

    /// Reads a run's run.toml; data's places as they are to be opened from here.
    ///
    /// # Errors
    /// As [`resolve_with_file`].
    pub fn load_from(run: &Path) -> Result<Self> {
        let mut config = resolve_with_file(None, Some(&run.join(RUN_CONFIG)), &[])?;
        for path in config.paths() {
            let in_run = run.join(&*path);
            // A file written by hand may name it as seen from the working folder.
            if !path.as_os_str().is_empty() && (in_run.exists() || !path.exists()) {
                *path = in_run;
            }
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

#[cfg(test)]
mod tests {
    use super::*;

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
            let text = std::fs::read_to_string(run.join(RUN_CONFIG)).unwrap();
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
        assert!(found.is_absolute() && found.join("config").is_dir(), "{line}");
    }
}
