//! From what the user names to files in a fixed order.

use std::path::{Path, PathBuf};

use super::{Format, is_stdin};
use crate::error::{DataError, Result, io_error};

const TEXT: &[&str] = &["txt", "text", "md"];
const JSONL: &[&str] = &["jsonl", "ndjson", "json"];
const PARQUET: &[&str] = &["parquet"];
const COMPRESSION: &[&str] = &["gz", "zst", "zstd", "xz"];

/// The files that `paths` name, folders and globs in sorted order.
pub(super) fn expand(paths: &[impl AsRef<str>]) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in paths.iter().map(AsRef::as_ref) {
        if path == "-" {
            if files.iter().any(|file| is_stdin(file)) {
                return Err(input_error(path, "stdin is named twice", "name it once"));
            }
            files.push(PathBuf::from("-"));
        } else if Path::new(path).is_dir() {
            let before = files.len();
            add_folder(Path::new(path), &mut files)?;
            if files.len() == before {
                let reason = "the folder holds no .txt, .text, .md, .jsonl, .ndjson, .json or .parquet file (or these with .gz, .zst or .xz)";
                return Err(input_error(path, reason, "name the files one by one, or rename them"));
            }
        } else if Path::new(path).exists() {
            files.push(PathBuf::from(path));
        } else if path.contains(['*', '?', '[']) {
            add_glob(path, &mut files)?;
        } else {
            return Err(input_error(path, "no such file or folder", "check --input"));
        }
    }
    if files.is_empty() {
        return Err(input_error(
            "--input",
            "no path given",
            "name at least one file, folder or glob, or \"-\" for stdin",
        ));
    }
    Ok(files)
}

fn add_folder(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(io_error("list", folder))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<PathBuf>>>()
        .map_err(io_error("list", folder))?;
    paths.sort();
    for path in paths {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            add_folder(&path, files)?;
        } else if is_known(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn add_glob(pattern: &str, files: &mut Vec<PathBuf>) -> Result<()> {
    // As in a shell, a star doesn't match hidden files.
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
    let found = glob::glob_with(pattern, options)
        .map_err(|error| input_error(pattern, &format!("not a glob: {error}"), "check its brackets and stars"))?;
    let before = files.len();
    for path in found {
        let path = path.map_err(|error| {
            let path = error.path().to_owned();
            io_error("read", path)(error.into())
        })?;
        if path.is_file() {
            files.push(path);
        }
    }
    if files.len() == before {
        return Err(input_error(
            pattern,
            "no file matches",
            "check the glob; quote it so that the shell leaves it alone",
        ));
    }
    Ok(())
}

fn input_error(path: &str, reason: &str, remedy: &str) -> DataError {
    DataError::Input { path: path.into(), place: "input".into(), reason: reason.into(), remedy: remedy.into() }
}

/// The extension that tells the format: the last, or the one before a compression's.
fn extension(path: &Path) -> Option<String> {
    let extension = |path: &Path| path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let last = extension(path)?;
    if COMPRESSION.contains(&last.as_str()) { extension(Path::new(path.file_stem()?)) } else { Some(last) }
}

fn is_known(path: &Path) -> bool {
    extension(path).is_some_and(|name| [TEXT, JSONL, PARQUET].iter().any(|names| names.contains(&name.as_str())))
}

/// The format that a file's name tells; anything unknown is text.
pub(super) fn format_of(path: &Path) -> Format {
    match extension(path) {
        Some(name) if JSONL.contains(&name.as_str()) => Format::Jsonl,
        Some(name) if PARQUET.contains(&name.as_str()) => Format::Parquet,
        _ => Format::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_come_from_names() {
        assert_eq!(format_of(Path::new("a/b.jsonl.gz")), Format::Jsonl);
        assert_eq!(format_of(Path::new("b.PARQUET")), Format::Parquet);
        assert_eq!(format_of(Path::new("b.txt.xz")), Format::Text);
        assert_eq!(format_of(Path::new("-")), Format::Text);
        assert!(!is_known(Path::new("b.gz")) && !is_known(Path::new("b.bin")));
    }

    #[test]
    fn folders_are_walked_in_order_and_globs_matched() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("sub")).expect("created");
        for name in ["b.txt", "a.jsonl", "sub/c.txt.gz", "sub/skipped.bin", ".hidden.txt"] {
            std::fs::write(folder.path().join(name), "x").expect("written");
        }
        let root = folder.path().to_str().expect("UTF-8");
        let names = |files: Vec<PathBuf>| -> Vec<String> {
            files.iter().map(|file| file.strip_prefix(root).expect("inside").to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(expand(&[root]).expect("found")), ["a.jsonl", "b.txt", "sub/c.txt.gz"]);
        assert_eq!(names(expand(&[format!("{root}/*.txt")]).expect("found")), ["b.txt"]);
        assert!(expand(&[format!("{root}/*.nothing")]).is_err());
        assert!(expand(&[format!("{root}/missing.txt")]).is_err());
        assert!(expand(&["-", "-"]).is_err());
        assert!(expand(&Vec::<String>::new()).is_err());
    }
}
