//! Whether a folder's file is about the corpus and not of it, by its name.

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
