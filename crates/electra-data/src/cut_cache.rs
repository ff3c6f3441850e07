//! Cut lists kept in a dataset's folder. A file that is missing, damaged or of other shards is ignored and made anew; a folder that
//! can't be written to is no error. A sweep over seeds and sequence lengths leaves no more than [`MAX_FILES`].

use std::path::{Path, PathBuf};

use crate::atomic;
use crate::manifest::Split;
use crate::packing::{CutKey, CutList};
use crate::source::CutCache;

/// Folder in the dataset's folder.
pub const CACHE_FOLDER: &str = "cache";
/// Cutting fewer examples takes less time than opening a file.
const MIN_EXAMPLES: usize = 4096;
/// Lists in a dataset's folder, each of which is up to a tenth of the shards: the last two epochs of a few runs.
const MAX_FILES: usize = 8;
/// "electra-c", then the version.
const MAGIC: u64 = 0x656c_6563_7472_6102;
/// Words before the payload: magic, shards, split, seed, epoch, seq, paper_exact, single_segments, examples, runs.
const HEADER: usize = 10;

/// The cut lists kept in a dataset's folder, relative to it.
pub(crate) fn files(dataset: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dataset.join(CACHE_FOLDER)).into_iter().flatten().flatten();
    let names = entries.map(|entry| Path::new(CACHE_FOLDER).join(entry.file_name()));
    names.filter(|path| path.extension().is_some_and(|extension| extension == "cuts")).collect()
}

/// The cache of one split.
pub(crate) struct FolderCache {
    folder: PathBuf,
    split: Split,
    /// The manifest's checksum, which stands for the shards.
    shards: u32,
    token_count: u64,
    min_examples: usize,
}

impl FolderCache {
    pub(crate) fn new(dataset: &Path, split: Split, shards: u32, token_count: u64) -> Self {
        Self { folder: dataset.join(CACHE_FOLDER), split, shards, token_count, min_examples: MIN_EXAMPLES }
    }

    fn path(&self, key: CutKey) -> PathBuf {
        let exact = if key.paper_exact { "-exact" } else { "" };
        let single = if key.single_segments { "-single" } else { "" };
        self.folder.join(format!(
            "{}-seq{}-seed{}{exact}{single}-epoch{}.cuts",
            self.split.name(),
            key.seq,
            key.seed,
            key.epoch
        ))
    }

    fn header(&self, key: CutKey, examples: usize, runs: usize) -> [u64; HEADER] {
        let split = u64::from(self.split == Split::Validation);
        let (seq, exact, single) = (key.seq as u64, u64::from(key.paper_exact), u64::from(key.single_segments));
        let (examples, runs) = (examples as u64, runs as u64);
        [MAGIC, u64::from(self.shards), split, key.seed, key.epoch, seq, exact, single, examples, runs]
    }

    /// Removes the lists that were written longest ago, so that `MAX_FILES` are left.
    fn make_room(&self) {
        let dataset = self.folder.parent().unwrap_or(Path::new("."));
        let written = |path: PathBuf| Some((path.metadata().ok()?.modified().ok()?, path));
        let mut lists: Vec<_> = files(dataset).iter().filter_map(|path| written(dataset.join(path))).collect();
        lists.sort();
        for (_, path) in lists.iter().take(lists.len().saturating_sub(MAX_FILES)) {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl CutCache for FolderCache {
    fn load(&self, key: CutKey) -> Option<CutList> {
        let bytes = std::fs::read(self.path(key)).ok()?;
        let (content, checksum) = bytes.split_last_chunk::<8>()?;
        if u64::from_le_bytes(*checksum) != u64::from(crc32c::crc32c(content)) || content.len() % 8 != 0 {
            return None;
        }
        let words: Vec<u64> = content.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let (header, rest) = words.split_at_checked(HEADER)?;
        let (examples, runs) = (usize::try_from(header[8]).ok()?, usize::try_from(header[9]).ok()?);
        if header != self.header(key, examples, runs) || examples.checked_add(runs)? != rest.len() {
            return None;
        }
        let (ends, runs) = rest.split_at(examples);
        CutList::from_words(ends.to_vec(), runs.to_vec(), self.token_count, key.seq)
    }

    fn store(&self, key: CutKey, cuts: &CutList) {
        if cuts.len() < self.min_examples || std::fs::create_dir_all(&self.folder).is_err() {
            return;
        }
        let (ends, runs) = cuts.clone().into_words();
        let header = self.header(key, ends.len(), runs.len());
        let words = header.iter().chain(&ends).chain(&runs);
        let mut bytes: Vec<u8> = words.flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(u64::from(crc32c::crc32c(&bytes)).to_le_bytes());
        // Best effort: whoever can't write cuts again next time.
        let _ = atomic::write(&self.path(key), &bytes);
        // A finished epoch is not asked for again, except by a resume, which cuts it anew.
        if let Some(old) = key.epoch.checked_sub(2) {
            let _ = std::fs::remove_file(self.path(CutKey { epoch: old, ..key }));
        }
        self.make_room();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packing::{Corpus, MemoryCorpus, cut_list};

    #[test]
    fn a_damaged_cache_is_never_believed() {
        let documents: Vec<Vec<Vec<u32>>> = (0..4).map(|document| vec![vec![document; 30]; 5]).collect();
        let corpus = MemoryCorpus::new(documents.iter().map(Vec::as_slice));
        let key = CutKey { seed: 1, epoch: 0, seq: 32, paper_exact: false, single_segments: false };
        let cuts = cut_list(&corpus, key);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut cache = FolderCache::new(folder.path(), Split::Train, 7, 600);
        cache.store(key, &cuts);
        assert_eq!(cache.load(key), None, "small lists are not stored");
        cache.min_examples = 1;
        cache.store(key, &cuts);
        assert_eq!(cache.load(key), Some(cuts.clone()));
        // Other shards, another key.
        assert_eq!(FolderCache::new(folder.path(), Split::Train, 8, 600).load(key), None);
        std::fs::copy(cache.path(key), cache.path(CutKey { seed: 2, ..key })).expect("copied");
        assert_eq!(cache.load(CutKey { seed: 2, ..key }), None);
        std::fs::copy(cache.path(key), cache.path(CutKey { single_segments: true, ..key })).expect("copied");
        assert_eq!(cache.load(CutKey { single_segments: true, ..key }), None);
        // Every truncation and every single-bit change is noticed.
        let whole = std::fs::read(cache.path(key)).expect("read");
        for length in 0..whole.len() {
            std::fs::write(cache.path(key), &whole[..length]).expect("written");
            assert_eq!(cache.load(key), None, "truncated to {length}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(cache.path(key), &changed).expect("written");
            assert_eq!(cache.load(key), None, "byte {at} changed");
        }
    }

    #[test]
    fn a_sweep_leaves_a_bounded_number_of_lists() {
        let document: Vec<Vec<u32>> = vec![vec![7; 30]; 5];
        let corpus = MemoryCorpus::new([document.as_slice()]);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cache =
            FolderCache { min_examples: 1, ..FolderCache::new(folder.path(), Split::Train, 7, corpus.token_count()) };
        for seed in 0..3 * MAX_FILES as u64 {
            let key = CutKey { seed, epoch: 0, seq: 32, paper_exact: false, single_segments: false };
            cache.store(key, &cut_list(&corpus, key));
            assert!(cache.load(key).is_some(), "what was just stored stays");
            assert!(files(folder.path()).len() <= MAX_FILES);
        }
        assert_eq!(files(folder.path()).len(), MAX_FILES);
    }
}
