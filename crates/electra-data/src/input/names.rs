//! What a file's name says of it: evidence for its layout, and whether a folder's file is about the corpus and not of it.

use std::path::Path;

/// What an extension stands for, compression aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameKind {
    Text,
    Json,
    Csv,
    Tsv,
    Parquet,
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

pub(super) fn kind_of(name: &str) -> Option<NameKind> {
    let extension = extension(name)?;
    EXTENSIONS.iter().find(|(_, extensions)| extensions.contains(&extension.as_str())).map(|&(kind, _)| kind)
}

pub(super) fn has_extension(name: &str) -> bool {
    extension(name).is_some()
}

/// Files that lie beside a corpus: name in lower case, and what they are.
const ABOUT: &[(&str, &str)] = &[
    ("dataset_info.json", "about a data set"),
    ("dataset_infos.json", "about a data set"),
    ("dataset_dict.json", "about a data set"),
    ("state.json", "about a data set"),
    ("config.json", "of a network"),
    ("generation_config.json", "of a network"),
    ("preprocessor_config.json", "of a network"),
    ("trainer_state.json", "of a network"),
    ("model.safetensors.index.json", "of a network"),
    ("pytorch_model.bin.index.json", "of a network"),
    ("tokenizer.json", "of a tokenizer"),
    ("tokenizer_config.json", "of a tokenizer"),
    ("special_tokens_map.json", "of a tokenizer"),
    ("added_tokens.json", "of a tokenizer"),
    ("vocab.json", "of a tokenizer"),
    ("merges.txt", "of a tokenizer"),
];

/// Why a file of a folder or an archive is no part of the corpus, by its name alone. `siblings` has the folder's names.
pub(super) fn reason_to_leave_out(name: &str, siblings: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    let lower = name.to_lowercase();
    if name.starts_with('.') {
        return Some("hidden");
    }
    if name == "__MACOSX" || name == "lost+found" {
        return Some("of the file system");
    }
    if lower.ends_with('~') || [".bak", ".swp", ".tmp", ".part", ".crdownload"].iter().any(|end| lower.ends_with(end)) {
        return Some("a backup or an unfinished file");
    }
    if lower.ends_with(".lock") {
        return Some("a lock");
    }
    if let Some((_, about)) = ABOUT.iter().find(|(known, _)| *known == lower) {
        return Some(about);
    }
    let is_tokenizer = ["tokenizer.json", "tokenizer_config.json", "config.json"].iter().any(|file| siblings(file));
    if lower == "vocab.txt" && is_tokenizer {
        return Some("of a tokenizer");
    }
    match lower.split('.').next().unwrap_or_default() {
        "readme" => Some("a README"),
        "license" | "licence" | "copying" => Some("a licence"),
        stem if stem.starts_with("license-") || stem.starts_with("licence-") => Some("a licence"),
        _ => None,
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
            assert_eq!(kind_of(name), kind, "{name}");
        }
        assert!(!has_extension("AA/wiki_00") && !has_extension("wiki_00.gz") && has_extension("a.py"));
    }

    #[test]
    fn what_lies_beside_a_corpus_is_no_part_of_it() {
        let alone = |_: &str| false;
        for name in ["README.md", "readme", "LICENSE", "COPYING.txt", "dataset_info.json", ".gitattributes", "a.txt~"] {
            assert!(reason_to_leave_out(name, &alone).is_some(), "{name}");
        }
        for name in ["a.txt", "vocab.txt", "readings.txt", "licensed.md", "info.json", "wiki_00"] {
            assert_eq!(reason_to_leave_out(name, &alone), None, "{name}");
        }
        assert!(reason_to_leave_out("vocab.txt", &|file| file == "tokenizer_config.json").is_some());
    }
}
