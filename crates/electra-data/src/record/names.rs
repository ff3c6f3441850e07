//! What a file's name says of it: evidence for its layout.

use std::path::Path;

/// What an extension stands for, compression aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// `.txt`, `.md`, ...
    Text,
    /// `.jsonl`, `.json`, ...
    Json,
    /// `.csv`
    Csv,
    /// `.tsv`, `.tab`
    Tsv,
    /// `.parquet`, `.pq`
    Parquet,
    /// `.zip`, `.tar`, ...
    Archive,
}

const EXTENSIONS: &[(NameKind, &[&str])] = &[
    (NameKind::Text, &["txt", "text", "md", "markdown"]),
    (NameKind::Json, &["jsonl", "ndjson", "json", "jsonlines"]),
    (NameKind::Csv, &["csv"]),
    (NameKind::Tsv, &["tsv", "tab"]),
    (NameKind::Parquet, &["parquet", "pq"]),
    (NameKind::Archive, &["tar", "zip", "tgz", "txz", "tbz", "tbz2", "tzst"]),
];
const COMPRESSION: &[&str] = &["gz", "gzip", "zst", "zstd", "xz", "bz2", "lzma", "lz"];

/// The extension that tells the layout: the last, or the one before a compression's.
fn extension(name: &str) -> Option<String> {
    let of = |path: &Path| path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let path = Path::new(name);
    let last = of(path)?;
    if COMPRESSION.contains(&last.as_str()) { of(Path::new(path.file_stem()?)) } else { Some(last) }
}

/// The layout that a name tells of.
pub fn name_kind(name: &str) -> Option<NameKind> {
    let extension = extension(name)?;
    EXTENSIONS.iter().find(|(_, extensions)| extensions.contains(&extension.as_str())).map(|&(kind, _)| kind)
}

#[cfg(feature = "native")]
pub(crate) fn has_extension(name: &str) -> bool {
    extension(name).is_some()
}

/// A name without a compression's extension: `train.tsv` of `train.tsv.xz`.
pub fn without_compression(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if COMPRESSION.contains(&extension.to_lowercase().as_str()) => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_tell_layouts_under_any_compression() {
        for (name, kind) in [
            ("a/b.jsonl.gz", Some(NameKind::Json)),
            ("b.PARQUET", Some(NameKind::Parquet)),
            ("b.txt.xz", Some(NameKind::Text)),
            ("c4.json.bz2", Some(NameKind::Json)),
            ("t.tsv.lzma", Some(NameKind::Tsv)),
            ("a.tar.zst", Some(NameKind::Archive)),
            ("-", None),
            ("b.gz", None),
            ("b.bin", None),
            ("wiki_00", None),
        ] {
            assert_eq!(name_kind(name), kind, "{name}");
        }
        #[cfg(feature = "native")]
        assert!(!has_extension("AA/wiki_00") && !has_extension("wiki_00.gz") && has_extension("a.py"));
    }

    #[test]
    fn a_name_loses_its_compression_alone() {
        for (name, without) in [("a/train.tsv.XZ", "a/train.tsv"), ("train.tsv", "train.tsv"), ("xz", "xz")] {
            assert_eq!(without_compression(name), without);
        }
    }
}
