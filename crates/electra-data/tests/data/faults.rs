use std::path::{Path, PathBuf};

use electra_data::{BuildOptions, Dataset, MaskingConfig, Split, TextSource, build, dataset_tokenizer, inspect};

use crate::support::{quiet, tokenizer};

fn dataset() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("data");
    let documents =
        (0..40).map(|document| (0..5).map(|line| format!("d{document}l{line} the meals")).collect()).collect();
    build(&TextSource::memory("test", documents), &tokenizer(true), &out, &BuildOptions::default(), &mut quiet)
        .expect("built");
    (folder, out)
}

/// Opens everything that training opens.
fn read_all(folder: &Path) -> Result<String, String> {
    let open = || {
        let tokenizer = dataset_tokenizer(folder)?;
        let mut seen = tokenizer.sha256().to_string();
        for split in [Split::Train, Split::Validation] {
            let dataset = Dataset::open(folder, split, tokenizer.sha256())?;
            let batches = dataset.batches(&tokenizer, 32, 4, MaskingConfig::default(), 1)?;
            seen.push_str(&format!("{:?}{:?}", dataset.manifest(), batches.batch(3)));
        }
        Ok(seen)
    };
    open().map_err(|error: electra_data::DataError| error.to_string())
}

/// Changes the file and expects an error that names it, or, where only white space changed, the very same content.
fn expect_noticed(folder: &Path, file: &Path, content: &[u8], whole: &str, what: &str) {
    std::fs::write(file, content).expect("written");
    match read_all(folder) {
        Ok(seen) => assert_eq!(seen, whole, "{what} of {file:?} went unnoticed"),
        Err(message) => {
            assert!(message.contains(folder.to_str().expect("UTF-8")), "{what} of {file:?}: no path in {message:?}");
            assert!(message.contains("; "), "{what} of {file:?}: no remedy in {message:?}");
        }
    }
}

#[test]
fn every_file_truncated_or_changed_is_noticed() {
    let (_guard, folder) = dataset();
    let whole = read_all(&folder).expect("whole");
    for name in ["manifest.json", "train-00000.safetensors", "validation-00000.safetensors", "tokenizer/tokenizer.json"]
    {
        let file = folder.join(name);
        let content = std::fs::read(&file).expect("read");
        let step = (content.len() / 60).max(1);
        for length in (0..content.len()).step_by(step) {
            expect_noticed(&folder, &file, &content[..length], &whole, &format!("truncation to {length}"));
        }
        for at in (0..content.len()).step_by(step) {
            for bit in [0, 5] {
                let mut changed = content.clone();
                changed[at] ^= 1 << bit;
                expect_noticed(&folder, &file, &changed, &whole, &format!("bit {bit} of byte {at}"));
            }
        }
        let mut longer = content.clone();
        longer.extend(b"more");
        expect_noticed(&folder, &file, &longer, &whole, "lengthening");
        std::fs::remove_file(&file).expect("removed");
        let message = read_all(&folder).expect_err("missing");
        assert!(message.contains("; "), "{message}");
        std::fs::write(&file, &content).expect("restored");
        assert_eq!(read_all(&folder).as_ref(), Ok(&whole));
    }
}

#[test]
fn shards_of_another_build_are_noticed() {
    let (_guard, folder) = dataset();
    let (_other_guard, other) = dataset();
    let same_size = std::fs::read(other.join("train-00000.safetensors")).expect("read");
    // Same length, same kind, another content: only the checksum can tell.
    let mut swapped = same_size.clone();
    let end = swapped.len();
    swapped.swap(end - 2, end - 4);
    assert_ne!(swapped, same_size);
    std::fs::write(folder.join("train-00000.safetensors"), &swapped).expect("written");
    assert!(read_all(&folder).expect_err("noticed").contains("checksum"));
}

#[test]
fn other_versions_and_other_folders_are_named() {
    let (_guard, folder) = dataset();
    let manifest = folder.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).expect("read");
    std::fs::write(&manifest, text.replace("\"version\": 1", "\"version\": 2")).expect("written");
    assert!(read_all(&folder).expect_err("noticed").contains("format version 2, expected 1"));
    std::fs::write(&manifest, "{}").expect("written");
    assert!(read_all(&folder).expect_err("noticed").contains("not the manifest of an Electra dataset"));
    std::fs::remove_file(&manifest).expect("removed");
    assert!(read_all(&folder).expect_err("noticed").contains("interrupted"));
    assert!(read_all(&folder.join("missing")).expect_err("noticed").contains("no such dataset"));
    assert!(inspect(folder.join("missing"), 32, MaskingConfig::default(), 0, 0).is_err());
}
