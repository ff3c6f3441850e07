//! Networks of the Hugging Face Hub, by `ORG/NAME`, in the cache folder that its own libraries use.
//!
//! A network that the cache holds is taken from there, without a word on the wire; to have a newer one, remove its folder. Else its list of files
//! is asked for, and those are fetched that Electra reads. Each is held against the hash under which the Hub knows it before it
//! gets its name in the cache: SHA-256 for weights, git's SHA-1 for small files. What was cut off goes on where it ended.
//!
//! Source: huggingface_hub, `file_download.py` (headers) and "Understand caching" (folders). `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`,
//! `HF_HUB_CACHE` and `HF_HOME` mean what they mean there.

mod hash;
mod http;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use electra_data::{FolderLock, atomic};
use ureq::http::StatusCode;

use self::hash::{Hash, is_hash};
use self::http::Answer;
use crate::terminal::{Terminal, Unit};

/// What a network needs beside its weights; the first must be there.
const SMALL_FILES: [&str; 5] =
    ["config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"];
/// Weights in the order in which they are preferred: the file, or the index of several and how these begin.
const WEIGHTS: [(&str, &str, &str); 2] = [
    ("model.safetensors", "model.safetensors.index.json", "model-"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-"),
];
/// Of the list of a repository's files.
const MAX_JSON_BYTES: u64 = 16 << 20;

/// The name of a repository, where `text` may be one: `ORG/NAME`.
pub(crate) fn repository(text: &str) -> Option<&str> {
    let is_plain = |part: &str| {
        let mut bytes = part.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    text.split_once('/').filter(|(org, name)| is_plain(org) && is_plain(name)).map(|_| text)
}

/// Where to ask, and where to keep.
pub(crate) struct Hub {
    endpoint: String,
    token: Option<String>,
    is_offline: bool,
    /// With a folder for each repository.
    cache: PathBuf,
}

impl Hub {
    /// As the environment says.
    pub(crate) fn from_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home = || {
            let of_user = variable("HOME").or_else(|| variable("USERPROFILE")).unwrap_or_default();
            variable("HF_HOME").map_or_else(|| Path::new(&of_user).join(".cache/huggingface"), PathBuf::from)
        };
        Self {
            endpoint: variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned()),
            token: variable("HF_TOKEN"),
            is_offline: variable("HF_HUB_OFFLINE").is_some_and(|value| !["0", "false", "no"].contains(&value.as_str())),
            cache: variable("HF_HUB_CACHE").map_or_else(|| home().join("hub"), PathBuf::from),
        }
    }

    /// The folder of the network `repository` (`ORG/NAME`), fetched if need be.
    ///
    /// # Errors
    /// There is no such network, the server cannot be reached, a file is not what its hash says, or the cache cannot be written to.
    pub(crate) fn fetch(&self, repository: &str, terminal: &Terminal) -> anyhow::Result<PathBuf> {
        let folder = self.cache.join(format!("models--{}", repository.replace('/', "--")));
        if let Some(snapshot) = kept(&folder) {
            terminal.note(format_args!("{repository}: {} (fetched earlier)", snapshot.display()));
            return Ok(snapshot);
        }
        if self.is_offline {
            bail!(
                "{repository}: there is no folder of this name, {} does not hold such a network, and HF_HUB_OFFLINE forbids to fetch it",
                self.cache.display()
            );
        }
        self.download(repository, &folder, terminal).with_context(|| {
            format!("{repository}: there is no folder of this name, and it cannot be fetched from {}", self.endpoint)
        })
    }

    fn download(&self, repository: &str, folder: &Path, terminal: &Terminal) -> anyhow::Result<PathBuf> {
        let list = self.get(&format!("{}/api/models/{repository}/revision/main", self.endpoint), 0)?;
        let list: serde_json::Value =
            serde_json::from_reader(list.response.into_body().into_reader().take(MAX_JSON_BYTES))
                .context("the answer is no list of files")?;
        let commit = list["sha"].as_str().filter(|commit| is_hash(commit, 40)).context("the answer names no commit")?;
        let siblings = list["siblings"].as_array().map_or(&[][..], Vec::as_slice);
        let names: Vec<&str> = siblings.iter().filter_map(|file| file["rfilename"].as_str()).collect();
        let wanted = wanted(&names)?;

        let snapshot = folder.join("snapshots").join(commit);
        for part in [&folder.join("blobs"), &folder.join("refs"), &snapshot] {
            fs::create_dir_all(part).with_context(|| format!("{}: cannot create the folder", part.display()))?;
        }
        let _lock = FolderLock::acquire(folder, ".electra.lock")?;
        for name in wanted {
            let url = format!("{}/{repository}/resolve/{commit}/{name}", self.endpoint);
            let (blob, hash) =
                self.blob(&url, name, &folder.join("blobs"), terminal).with_context(|| name.to_owned())?;
            let path = snapshot.join(name);
            link(&blob, &path).with_context(|| format!("{}: cannot write", path.display()))?;
            terminal.note(format_args!("{repository}: {name}, {} bytes, {hash}", fs::metadata(&path)?.len()));
        }
        // Last: what it names is whole.
        let reference = folder.join("refs/main");
        atomic::write(&reference, commit.as_bytes())
            .with_context(|| format!("{}: cannot write", reference.display()))?;
        Ok(snapshot)
    }

    fn get(&self, url: &str, from: u64) -> anyhow::Result<Answer> {
        http::get(url, from, &self.endpoint, self.token.as_deref())
    }

    /// The file at `url` under its hash among `blobs`, and the hash in words.
    fn blob(&self, url: &str, name: &str, blobs: &Path, terminal: &Terminal) -> anyhow::Result<(PathBuf, String)> {
        let mut answer = self.get(url, 0)?;
        let etag = answer.etag.clone().context("the server names no hash of it")?;
        let mut hash = Hash::new(&etag, answer.length)?;
        let path = blobs.join(&etag);
        let partial = blobs.join(format!("{etag}.incomplete"));
        let is_there = path.is_file();
        if is_there {
            hash.add(&mut File::open(&path)?)?;
        } else {
            let done = fs::metadata(&partial).map_or(0, |file| file.len());
            if done > 0 {
                answer = self.get(url, done)?;
            }
            receive(answer, done, &mut hash, &partial, name, terminal)?;
        }
        let found = hash.finish();
        if found != etag {
            // What is wrong is not continued.
            let _ = fs::remove_file(if is_there { &path } else { &partial });
            bail!("its hash is {found}, but {etag} was promised: it was damaged on the way; try again");
        }
        if !is_there {
            fs::rename(&partial, &path)?;
        }
        let kind = if etag.len() == 64 { "SHA-256" } else { "git's SHA-1" };
        Ok((path, format!("{kind} {etag}")))
    }
}

/// Writes what is answered behind the first `done` bytes of `partial`, or anew where the server begins at the start, and adds all of it to
/// `hash`.
fn receive(
    answer: Answer,
    done: u64,
    hash: &mut Hash,
    partial: &Path,
    name: &str,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let mut done = if answer.response.status() == StatusCode::PARTIAL_CONTENT { done } else { 0 };
    let write = || format!("{}: cannot write", partial.display());
    let mut file =
        OpenOptions::new().create(true).write(true).read(true).truncate(done == 0).open(partial).with_context(write)?;
    hash.add(&mut file)?;
    let mut progress = terminal.progress_from(done, name, answer.length, Unit::Bytes);
    let mut body = answer.response.into_body().into_with_config().limit(u64::MAX).reader();
    let mut buffer = vec![0; 1 << 20];
    let again = "the same command goes on where it ended";
    loop {
        let count = body.read(&mut buffer).with_context(|| format!("the connection broke; {again}"))?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count]).with_context(write)?;
        hash.update(&buffer[..count]);
        done += count as u64;
        progress.update(done, "");
    }
    if answer.length.is_some_and(|length| done < length) {
        bail!("the connection ended after {done} bytes; {again}");
    }
    file.sync_all().with_context(write)
}

/// Which of a repository's files are fetched.
fn wanted<'n>(names: &[&'n str]) -> anyhow::Result<Vec<&'n str>> {
    let has = |wanted: &str| names.iter().copied().find(|name| *name == wanted);
    let mut found: Vec<&str> = SMALL_FILES.into_iter().filter_map(has).collect();
    if found.first() != Some(&SMALL_FILES[0]) {
        bail!("it has no config.json, and so holds no network that can be read");
    }
    for (single, index, part) in WEIGHTS {
        if let Some(single) = has(single) {
            found.push(single);
            return Ok(found);
        }
        if let Some(index) = has(index) {
            found.extend(names.iter().filter(|name| name.starts_with(part) && !name.contains('/')));
            found.push(index);
            return Ok(found);
        }
    }
    bail!("it has neither model.safetensors nor pytorch_model.bin; formats of other libraries are not read")
}

/// The snapshot that `folder` of the cache holds, whoever fetched it; `None` where something is missing.
fn kept(folder: &Path) -> Option<PathBuf> {
    let commit = fs::read_to_string(folder.join("refs/main")).ok()?;
    let snapshot = folder.join("snapshots").join(commit.trim());
    let names: Vec<String> = fs::read_dir(&snapshot)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        // A link to a blob that is gone does not count.
        .filter(|name| snapshot.join(name).is_file())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let has_tokenizer = ["tokenizer.json", "vocab.txt"].iter().any(|name| names.contains(name));
    let found = wanted(&names).ok().filter(|_| has_tokenizer)?;
    let index = found.iter().find(|name| name.ends_with(".index.json"));
    let is_whole = index.is_none_or(|index| {
        let index: serde_json::Value = fs::read(snapshot.join(index))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let parts = index["weight_map"].as_object();
        parts.is_some_and(|parts| parts.values().all(|part| part.as_str().is_some_and(|part| names.contains(&part))))
    });
    is_whole.then_some(snapshot)
}

/// Gives a blob its name in a snapshot: by a link, or by a copy where the system has none.
fn link(blob: &Path, path: &Path) -> io::Result<()> {
    if path.is_file() {
        return Ok(());
    }
    let _ = fs::remove_file(path);
    #[cfg(unix)]
    {
        let name = blob.file_name().unwrap_or_default();
        if std::os::unix::fs::symlink(Path::new("../../blobs").join(name), path).is_ok() {
            return Ok(());
        }
    }
    fs::copy(blob, path).map(|_| ())
}
