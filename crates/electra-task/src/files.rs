//! The files that a task is read from: of a folder, of one file and what lies beside it, or given in memory, as a page has them.

use std::borrow::Cow;

#[cfg(feature = "native")]
use std::path::{Path, PathBuf};

use electra_data::record::decoded;

use crate::table::{Table, TableOptions};
use crate::{Result, TaskError};

/// Named files. A name is a path below the root, its parts separated by `/`, of at most one folder and a file.
#[derive(Debug, Clone)]
pub struct Files {
    root: String,
    /// The file that the user named.
    given: Option<String>,
    files: Vec<(String, Content)>,
}

#[derive(Debug, Clone)]
enum Content {
    /// Unpacked bytes.
    Memory(Vec<u8>),
    #[cfg(feature = "native")]
    Path(PathBuf),
}

impl Files {
    /// Files in memory, unpacked: pairs of a name and bytes. Where there is one alone, it is the one that the user named. `root` stands
    /// for them in messages.
    pub fn memory(root: impl Into<String>, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let files: Vec<_> = files.into_iter().map(|(name, bytes)| (name, Content::Memory(bytes))).collect();
        let given = (files.len() == 1).then(|| files[0].0.clone());
        Self { root: root.into(), given, files }
    }

    /// The files of a folder and of the folders in it, or a file and those beside it. Nothing is read yet.
    ///
    /// # Errors
    /// There is no such file or folder, or it cannot be listed.
    #[cfg(feature = "native")]
    pub fn at(path: &Path) -> Result<Self> {
        let found = std::fs::metadata(path).map_err(|source| cannot("read", path, source))?;
        if found.is_dir() {
            return Ok(Self { root: path.display().to_string(), given: None, files: listed(path)? });
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut files = listed(folder)?;
        files.retain(|(known, _)| !known.contains('/') && *known != name);
        files.push((name.clone(), Content::Path(path.to_owned())));
        Ok(Self { root: folder.display().to_string(), given: Some(name), files })
    }

    /// Adds a file that lies elsewhere and returns its name here: the path as it is.
    #[cfg(feature = "native")]
    pub fn add(&mut self, path: &Path) -> String {
        let name = path.display().to_string();
        self.files.push((name.clone(), Content::Path(path.to_owned())));
        name
    }

    /// The folder, for messages.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The file that the user named, if it was not a folder.
    pub fn given(&self) -> Option<&str> {
        self.given.as_deref()
    }

    #[cfg(test)]
    pub(crate) fn set_given(&mut self, name: Option<&str>) {
        self.given = name.map(str::to_owned);
    }

    /// Names of all files, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| name.as_str())
    }

    /// Reads a table.
    ///
    /// # Errors
    /// What [`Table::from_bytes`] says, and natively [`Table::open`].
    pub fn table(&self, name: &str, options: &TableOptions) -> Result<Table> {
        match self.content(name)? {
            Content::Memory(bytes) => Table::from_bytes(name, bytes, options),
            #[cfg(feature = "native")]
            Content::Path(path) => Table::open(path, options),
        }
    }

    /// Reads a text, unpacked and as UTF-8; what was not valid in its encoding is not valid UTF-8 here either.
    ///
    /// # Errors
    /// The file cannot be read or is no text.
    pub fn text(&self, name: &str) -> Result<Cow<'_, [u8]>> {
        match self.content(name)? {
            Content::Memory(bytes) => Ok(decoded(bytes)),
            #[cfg(feature = "native")]
            Content::Path(path) => match electra_data::input::unpack(path)? {
                electra_data::input::Unpacked::Text(text) => Ok(Cow::Owned(text)),
                electra_data::input::Unpacked::Parquet => {
                    Err(TaskError::unsuitable(path.display(), "this is Parquet and no text", "give a text file"))
                }
            },
        }
    }

    fn content(&self, name: &str) -> Result<&Content> {
        let found = self.files.iter().find(|(known, _)| known == name).map(|(_, content)| content);
        found.ok_or_else(|| TaskError::unsuitable(&self.root, format!("there is no file {name}"), "check its name"))
    }
}

#[cfg(feature = "native")]
fn cannot(action: &'static str, path: &Path, source: std::io::Error) -> TaskError {
    electra_data::DataError::Io { path: path.display().to_string(), action, source }.into()
}

/// Files of a folder and of the folders in it, in the order of their names; hidden ones are left alone.
#[cfg(feature = "native")]
fn listed(folder: &Path) -> Result<Vec<(String, Content)>> {
    let entries = |folder: &Path| -> Result<Vec<(String, PathBuf)>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(|source| cannot("list", folder, source))? {
            let entry = entry.map_err(|source| cannot("list", folder, source))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                found.push((name, entry.path()));
            }
        }
        found.sort();
        Ok(found)
    };
    let mut files = Vec::new();
    for (name, path) in entries(folder)? {
        if path.is_file() {
            files.push((name, Content::Path(path)));
        } else if path.is_dir() {
            // A folder that may not be looked into is none of the task's.
            for (inner, path) in entries(&path).unwrap_or_default() {
                if path.is_file() {
                    files.push((format!("{name}/{inner}"), Content::Path(path)));
                }
            }
        }
    }
    Ok(files)
}
