//! The default corpus: prose that every machine with Rust already has.
//!
//! First choice are the books that rustup installs under the sysroot (The Rust Programming Language, the reference, the
//! Cargo book, ...): a page is a document, a paragraph a line. The minimal profile leaves them out; then it is the README
//! files and doc comments of the crates in cargo's registry folder. Paths are sorted, so that equal files give an equal corpus.

mod html;
mod markdown;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use ahash::AHashSet;

use crate::error::{DataError, Result};
use crate::input::TextSource;

/// Less prose than this is no corpus to train on.
const MIN_BYTES: usize = 200_000;
/// The registry may hold far more than ten minutes of training can use.
const MAX_REGISTRY_BYTES: usize = 16_000_000;

/// Documents of paragraphs, and where they came from.
#[derive(Debug, Clone)]
pub struct DefaultCorpus {
    /// For the user, such as "the Rust documentation in /.../share/doc/rust/html (13 books, 1,834 pages, 4.1 MB of prose)".
    pub description: String,
    /// Paragraphs of each, one line of text.
    pub documents: Vec<Vec<String>>,
}

impl DefaultCorpus {
    /// As input of `data build` and `tokenizer train`.
    pub fn into_source(self) -> TextSource {
        TextSource::memory(self.description, self.documents)
    }
}

/// Finds the default corpus.
///
/// # Errors
/// Neither the documentation nor a registry with enough text is there.
pub fn load() -> Result<DefaultCorpus> {
    let mut looked_in = Vec::new();
    for folder in documentation_folders() {
        if let Some(corpus) = books(&folder) {
            return Ok(corpus);
        }
        looked_in.push(folder);
    }
    if let Some(registry) = registry_folder() {
        if let Some(corpus) = registry_prose(&registry) {
            return Ok(corpus);
        }
        looked_in.push(registry);
    }
    let folders: Vec<String> = looked_in.iter().map(|folder| folder.display().to_string()).collect();
    Err(DataError::TooSmall {
        what: "default corpus".into(),
        reason: format!(
            "found neither the Rust documentation nor enough text in cargo's registry (looked in {})",
            if folders.is_empty() {
                "no folder: neither rustc nor cargo's home was found".into()
            } else {
                folders.join(", ")
            }
        ),
        remedy: "run \"rustup component add rust-docs\", or give text of your own with --input".into(),
    })
}

/// Where rustup puts the documentation: the toolchain in use first, then any other.
fn documentation_folders() -> Vec<PathBuf> {
    let mut toolchains = Vec::new();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    if let Ok(output) = Command::new(rustc).args(["--print", "sysroot"]).output()
        && output.status.success()
    {
        toolchains.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    if let Some(home) = home_folder("RUSTUP_HOME", ".rustup") {
        toolchains.extend(sorted_entries(&home.join("toolchains")));
    }
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in toolchains.into_iter().map(|toolchain| toolchain.join("share/doc/rust/html")) {
        if folder.is_dir() && !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

fn registry_folder() -> Option<PathBuf> {
    let folder = home_folder("CARGO_HOME", ".cargo")?.join("registry/src");
    folder.is_dir().then_some(folder)
}

fn home_folder(variable: &str, default: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).or_else(|| std::env::home_dir().map(|home| home.join(default)))
}

fn sorted_entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

/// All files below `folder` that `wanted` accepts, sorted; symbolic links are not followed.
fn files_below(folder: &Path, wanted: &dyn Fn(&Path) -> bool, files: &mut Vec<PathBuf>) {
    for path in sorted_entries(folder) {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            files_below(&path, wanted, files);
        } else if wanted(&path) {
            files.push(path);
        }
    }
}

/// The prose of the books in a documentation folder. Pages of the library's own documentation are mostly signatures and are left out.
fn books(folder: &Path) -> Option<DefaultCorpus> {
    // mdBook writes a page to print a whole book from; rustdoc does not.
    let books: Vec<PathBuf> =
        sorted_entries(folder).into_iter().filter(|book| book.join("print.html").is_file()).collect();
    let mut pages = Vec::new();
    for book in &books {
        files_below(book, &is_page, &mut pages);
    }
    let documents = in_parallel(&pages, |page| {
        let text = std::fs::read_to_string(page).ok()?;
        Some(html::paragraphs(&text))
    });
    let documents = without_repetitions(documents);
    let bytes = prose_bytes(&documents);
    let description = format!(
        "the Rust documentation in {} ({} books, {} pages, {:.1} MB of prose)",
        folder.display(),
        books.len(),
        documents.len(),
        bytes as f64 / 1e6
    );
    (bytes >= MIN_BYTES).then_some(DefaultCorpus { description, documents })
}

fn is_page(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".html") && !["print.html", "toc.html", "404.html"].contains(&&*name)
}

/// README files and doc comments of the crates in cargo's registry folder, the newest version of each.
fn registry_prose(registry: &Path) -> Option<DefaultCorpus> {
    let mut crates: BTreeMap<String, PathBuf> = BTreeMap::new();
    for source in sorted_entries(registry) {
        for folder in sorted_entries(&source) {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // name-1.2.3: the version starts behind the first hyphen before a digit.
            let end = name
                .match_indices('-')
                .map(|(at, _)| at)
                .find(|&at| name[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
            crates.insert(name[..end.unwrap_or(name.len())].to_owned(), folder);
        }
    }
    let mut files = Vec::new();
    for folder in crates.values() {
        files_below(folder, &is_readme, &mut files);
        files_below(
            &folder.join("src"),
            &|path| path.extension().is_some_and(|extension| extension == "rs"),
            &mut files,
        );
    }
    let mut documents = Vec::new();
    let mut bytes = 0;
    // In portions, so that not the whole registry is read for the part that is kept.
    for portion in files.chunks(512) {
        let found = in_parallel(portion, |path| {
            let text = std::fs::read_to_string(path).ok()?;
            let is_rust = path.extension().is_some_and(|extension| extension == "rs");
            Some(markdown::paragraphs(&if is_rust { markdown::doc_comments(&text) } else { text }))
        });
        bytes += prose_bytes(&found);
        documents.extend(found);
        if bytes > MAX_REGISTRY_BYTES {
            break;
        }
    }
    let documents = without_repetitions(documents);
    let bytes = prose_bytes(&documents);
    let description = format!(
        "README files and doc comments of the crates in {} ({} files, {:.1} MB of prose)",
        registry.display(),
        documents.len(),
        bytes as f64 / 1e6
    );
    (bytes >= MIN_BYTES).then_some(DefaultCorpus { description, documents })
}

fn is_readme(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name == "readme.md"
}

fn prose_bytes(documents: &[Vec<String>]) -> usize {
    documents.iter().flatten().map(|line| line.len() + 1).sum()
}

/// Maps files to documents on all cores, in order.
fn in_parallel(files: &[PathBuf], read: impl Fn(&Path) -> Option<Vec<String>> + Sync) -> Vec<Vec<String>> {
    let share = files.len().div_ceil(crate::pipeline::worker_count(0)).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = files
            .chunks(share)
            .map(|files| {
                let read = &read;
                scope.spawn(move || files.iter().filter_map(|file| read(file)).collect::<Vec<_>>())
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Leaves out paragraphs that stood before in any document (editions of a book, licence notes), and documents left empty.
fn without_repetitions(documents: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let mut seen: AHashSet<String> = AHashSet::new();
    documents
        .into_iter()
        .map(|lines| lines.into_iter().filter(|line| seen.insert(line.clone())).collect::<Vec<_>>())
        .filter(|lines| !lines.is_empty())
        .collect()
}
