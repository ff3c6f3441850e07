//! From what the user names to files in a fixed order, each once, and what was left out and why.
//!
//! Files and folders have an identity beside their names: whatever links, overlapping folders and repeated arguments
//! lead to them, they are taken once, since a text that is read twice may be trained on and held out. What is no file (a
//! pipe, a socket, a device) is not opened in a folder; named by itself a pipe is read as standard input is.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::path::Path;

use super::archive::{reader_of, reason_to_leave_out, uncompressed, unreadable_error, zip_document_in};
use super::kind::{HEAD_BYTES, Kind, Unreadable, kind_of, remedy_of};
use super::names;
use super::report::{InputReport, LeftOut, Reading, left_out_summary};
use super::{InputFile, InputOptions, is_stdin};
use crate::error::{DataError, Result, io_error, shown};
use crate::record::{Layout, Stream};

/// The files that `paths` name, those of folders and globs in sorted order.
pub(super) fn find(paths: &[impl AsRef<Path>], options: &InputOptions) -> Result<(Vec<InputFile>, InputReport)> {
    let mut walk = Walk { options, files: Vec::new(), left_out: Vec::new(), seen: HashSet::new() };
    for path in paths.iter().map(AsRef::as_ref) {
        if is_stdin(path) {
            if walk.files.iter().any(|file| is_stdin(&file.path)) {
                return Err(input_error(path, "stdin is named twice", "name it once"));
            }
            walk.files.push(InputFile { path: path.into(), bytes: None, named: true });
            continue;
        }
        match fs::metadata(path) {
            Ok(metadata) => walk.named(path, &metadata)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => walk.missing(path)?,
            Err(error) => return Err(io_error("read", path)(error)),
        }
    }
    if walk.files.is_empty() {
        return Err(input_error(
            Path::new("--input"),
            "no path given",
            "name at least one file, folder or glob, or \"-\" for stdin",
        ));
    }
    let Walk { files, left_out, .. } = walk;
    let report = InputReport {
        files: files.len() as u64,
        walked: files.iter().filter(|file| !file.named).count() as u64,
        bytes: files.iter().filter_map(|file| file.bytes).sum(),
        left_out,
        ..InputReport::default()
    };
    Ok((files, report))
}

struct Walk<'o> {
    options: &'o InputOptions,
    files: Vec<InputFile>,
    left_out: Vec<LeftOut>,
    /// Files that are taken, and folders that are or were walked.
    seen: HashSet<Identity>,
}

impl Walk<'_> {
    /// A path that the user named: a file is read whatever its name, or refused.
    fn named(&mut self, path: &Path, metadata: &Metadata) -> Result<()> {
        if metadata.is_dir() {
            return self.whole_folder(path, metadata);
        }
        if let Some(reason) = special(metadata) {
            if reason == "a socket" {
                return Err(input_error(path, "this is a socket", "name a file, or pipe its text to standard input"));
            }
            self.files.push(InputFile { path: path.into(), bytes: None, named: true });
            return Ok(());
        }
        if !self.seen.insert(Identity::of(path, metadata)) {
            self.leave_out(path, NAMED_BEFORE);
            return Ok(());
        }
        let (kind, head) = look_at(path, self.options)?;
        let unreadable = |what: &Unreadable| unreadable_error(&shown(path), what);
        reader_of(kind, &shown(path), &head, self.options).map_err(unreadable)?;
        if kind == Kind::Zip
            && let Some(document) = zip_document_in(path)
        {
            return Err(unreadable(document));
        }
        self.files.push(InputFile { path: path.into(), bytes: Some(metadata.len()), named: true });
        Ok(())
    }

    fn missing(&mut self, path: &Path) -> Result<()> {
        if fs::symlink_metadata(path).is_ok() {
            return Err(input_error(
                path,
                "a link to something that is not there",
                "mend the link, or name another file",
            ));
        }
        match path.to_str().filter(|pattern| pattern.contains(['*', '?', '['])) {
            Some(pattern) => self.glob(pattern),
            None => Err(input_error(path, "no such file or folder", "check --input")),
        }
    }

    /// A folder that the user named: one without text is an error.
    fn whole_folder(&mut self, folder: &Path, metadata: &Metadata) -> Result<()> {
        let (files, left_out) = (self.files.len(), self.left_out.len());
        self.folder(folder, metadata)?;
        self.something_was_taken(folder, files, left_out)
    }

    fn something_was_taken(&self, path: &Path, files_before: usize, left_out_before: usize) -> Result<()> {
        let left_out = &self.left_out[left_out_before..];
        let was_read_before = left_out.iter().any(|left_out| left_out.reason == NAMED_BEFORE);
        if self.files.len() > files_before || was_read_before {
            return Ok(());
        }
        let found = match left_out {
            [] => "no file".to_owned(),
            left_out => {
                let named = left_out.iter().take(NAMED_IN_ERRORS).map(|left_out| left_out.path.as_str());
                let more = if left_out.len() > NAMED_IN_ERRORS { ", ..." } else { "" };
                format!("no text ({}; {}{more})", left_out_summary(left_out), named.collect::<Vec<_>>().join(", "))
            }
        };
        let general = "text is read as .txt, .md, .jsonl, .json, .csv, .tsv and .parquet, in any archive; files of other names \
                       with --format, or one by one";
        let remedy = left_out.iter().find_map(|left_out| remedy_of(&left_out.reason)).unwrap_or(general);
        Err(input_error(path, &format!("it holds {found}"), remedy))
    }

    fn folder(&mut self, folder: &Path, metadata: &Metadata) -> Result<()> {
        if !self.seen.insert(Identity::of(folder, metadata)) {
            self.leave_out(folder, NAMED_BEFORE);
            return Ok(());
        }
        let mut names: Vec<OsString> = fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.file_name())).collect())
            .map_err(io_error("list", folder))?;
        if let Some(reason) = own_folder(folder, &names) {
            self.leave_out(folder, reason);
            return Ok(());
        }
        names.sort();
        for name in &names {
            self.entry(&folder.join(name), name, &|sibling| names.iter().any(|name| name.as_os_str() == sibling))?;
        }
        Ok(())
    }

    /// What lies in a folder, or what a glob matches.
    fn entry(&mut self, path: &Path, name: &OsStr, siblings: &dyn Fn(&str) -> bool) -> Result<()> {
        if let Some(reason) = names::reason_to_leave_out(&name.to_string_lossy(), siblings) {
            self.leave_out(path, reason);
            return Ok(());
        }
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(_) if fs::symlink_metadata(path).is_ok_and(|link| link.is_symlink()) => {
                self.leave_out(path, "a link that leads nowhere");
                return Ok(());
            }
            Err(error) => return Err(io_error("read", path)(error)),
        };
        if metadata.is_dir() {
            return self.folder(path, &metadata);
        }
        if let Some(reason) = special(&metadata) {
            self.leave_out(path, reason);
            return Ok(());
        }
        let identity = Identity::of(path, &metadata);
        if self.seen.contains(&identity) {
            self.leave_out(path, NAMED_BEFORE);
            return Ok(());
        }
        let (kind, head) = look_at(path, self.options)?;
        let whole = head.len() < HEAD_BYTES;
        let reason = reason_to_leave_out(kind, &name.to_string_lossy(), &head, whole, false, self.options);
        let document =
            || (kind == Kind::Zip).then(|| zip_document_in(path)).flatten().map(|document| document.what.into());
        if let Some(reason) = reason.or_else(document) {
            self.leave_out(path, reason);
            return Ok(());
        }
        // Only now: a file that a folder leaves out may yet be named by itself.
        self.seen.insert(identity);
        self.files.push(InputFile { path: path.into(), bytes: Some(metadata.len()), named: false });
        Ok(())
    }

    fn glob(&mut self, pattern: &str) -> Result<()> {
        // As in a shell, a star doesn't match hidden files.
        let options = glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
        let path = Path::new(pattern);
        let found = glob::glob_with(pattern, options)
            .map_err(|error| input_error(path, &format!("not a glob: {error}"), "check its brackets and stars"))?;
        let (files, left_out) = (self.files.len(), self.left_out.len());
        let mut matches = 0;
        for found in found {
            let found = found.map_err(|error| {
                let path = error.path().to_owned();
                io_error("read", path)(error.into())
            })?;
            if found.is_dir() {
                continue;
            }
            matches += 1;
            let name = found.file_name().unwrap_or_default().to_owned();
            let folder = found.parent().unwrap_or(Path::new("")).to_owned();
            self.entry(&found, &name, &|sibling| folder.join(sibling).exists())?;
        }
        if matches == 0 {
            let remedy = "check the glob; quote it so that the shell leaves it alone";
            return Err(input_error(path, "no file matches", remedy));
        }
        self.something_was_taken(path, files, left_out)
    }

    fn leave_out(&mut self, path: &Path, reason: impl Into<String>) {
        self.left_out.push(LeftOut { path: shown(path), reason: reason.into() });
    }
}

/// Files that a message names where there may be many.
const NAMED_IN_ERRORS: usize = 3;
const NAMED_BEFORE: &str = "taken already, under this name or another";

/// What a file is by its first bytes, compression undone, and those bytes. Damage is left for the reading to report.
fn look_at(path: &Path, options: &InputOptions) -> Result<(Kind, Vec<u8>)> {
    let file = fs::File::open(path).map_err(io_error("read", path))?;
    let name = shown(path);
    let reading = Reading::new(options, Default::default());
    let head =
        uncompressed(Stream::new(file), &name, &reading).and_then(|mut stream| Ok(stream.peek(HEAD_BYTES)?.to_vec()));
    match head {
        Ok(head) => Ok((kind_of(&head, head.len() < HEAD_BYTES, &name), head)),
        Err(error) => match reading.error(&name, error) {
            DataError::Archive { .. } => Ok((Kind::Text(Layout::Prose), Vec::new())),
            cause => Err(cause),
        },
    }
}

/// What a file is that is neither a regular one nor a folder.
fn special(metadata: &Metadata) -> Option<&'static str> {
    if metadata.is_file() {
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return Some("a pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
    }
    Some("a device")
}

/// A folder that this program made.
fn own_folder(folder: &Path, names: &[OsString]) -> Option<&'static str> {
    let has = |file: &str| names.iter().any(|name| name == file);
    if has(crate::manifest::MANIFEST_FILE) && crate::manifest::Manifest::lies_in(folder) {
        return Some("a dataset of this program");
    }
    if has("run.toml") && has("metrics.jsonl") {
        return Some("a run of this program");
    }
    None
}

/// What a file or folder is, whatever its names.
#[derive(Debug, PartialEq, Eq, Hash)]
#[cfg(unix)]
struct Identity(u64, u64);

#[cfg(unix)]
impl Identity {
    fn of(_: &Path, metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(metadata.dev(), metadata.ino())
    }
}

/// What a file or folder is, links resolved.
#[derive(Debug, PartialEq, Eq, Hash)]
#[cfg(not(unix))]
struct Identity(std::path::PathBuf);

#[cfg(not(unix))]
impl Identity {
    fn of(path: &Path, _: &Metadata) -> Self {
        Self(path.canonicalize().unwrap_or_else(|_| path.to_owned()))
    }
}

fn input_error(path: &Path, reason: &str, remedy: &str) -> DataError {
    DataError::Input { path: shown(path), place: "input".into(), reason: reason.into(), remedy: remedy.into() }
}
