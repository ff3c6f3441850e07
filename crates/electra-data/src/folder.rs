//! A folder of files that are read, wherever they lie: on disk, or in the memory of a page.

use std::collections::BTreeMap;
use std::io;
#[cfg(feature = "native")]
use std::path::Path;
use std::path::PathBuf;

/// Files by name, as a page holds them.
pub type FilesInMemory = BTreeMap<String, Vec<u8>>;

/// A folder to read from.
#[derive(Debug, Clone, Copy)]
pub enum Folder<'a> {
    /// On disk.
    #[cfg(feature = "native")]
    Disk(&'a Path),
    /// In memory.
    Memory(&'a FilesInMemory),
}

impl Folder<'_> {
    /// What messages call it.
    pub fn place(self) -> PathBuf {
        match self {
            #[cfg(feature = "native")]
            Self::Disk(path) => path.to_owned(),
            Self::Memory(_) => PathBuf::from("the folder"),
        }
    }

    /// What messages call a file of it.
    pub fn path(self, name: &str) -> PathBuf {
        match self {
            #[cfg(feature = "native")]
            Self::Disk(path) => path.join(name),
            Self::Memory(_) => PathBuf::from(name),
        }
    }

    /// Whether it is there at all.
    pub fn exists(self) -> bool {
        match self {
            #[cfg(feature = "native")]
            Self::Disk(path) => path.is_dir(),
            Self::Memory(_) => true,
        }
    }

    /// Whether it has a file of this name.
    pub fn has(self, name: &str) -> bool {
        match self {
            #[cfg(feature = "native")]
            Self::Disk(path) => path.join(name).is_file(),
            Self::Memory(files) => files.contains_key(name),
        }
    }

    /// Names of what is in it.
    pub fn names(self) -> Vec<String> {
        match self {
            #[cfg(feature = "native")]
            Self::Disk(path) => {
                let entries = std::fs::read_dir(path).into_iter().flatten();
                entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect()
            }
            Self::Memory(files) => files.keys().cloned().collect(),
        }
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// It is not there, or the system refuses.
    pub fn read(self, name: &str) -> io::Result<Vec<u8>> {
        match self {
            #[cfg(feature = "native")]
            Self::Disk(path) => std::fs::read(path.join(name)),
            Self::Memory(files) => files.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into()),
        }
    }
}

#[cfg(feature = "native")]
impl<'a, P: AsRef<Path> + ?Sized> From<&'a P> for Folder<'a> {
    fn from(path: &'a P) -> Self {
        Self::Disk(path.as_ref())
    }
}
