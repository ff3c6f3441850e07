use std::collections::BTreeMap;
use std::path::Path;

use electra_data::{
    BuildOptions, DataError, HeldOutBy, Manifest, MaskingConfig, OutFolder, Split, TextSource, build, dataset_tokenizer,
};
use proptest::prelude::*;

use crate::support::{documents_of, numbered_documents, open, quiet, tokenizer};

fn files_of(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .map(|path| {
            (path.file_name().expect("a name").to_string_lossy().into_owned(), std::fs::read(&path).expect("read"))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_line_is_on_one_side_once(
        lines in prop::collection::vec(1usize..6, 1..320), fraction in 0.001f64..0.5, seed: u64, shard_tokens in 20usize..2000
    ) {
        let documents: Vec<Vec<String>> = lines.iter().enumerate()
            .map(|(document, &lines)| (0..lines).map(|line| format!("d{document}l{line} the meals")).collect())
            .collect();
        let total: usize = lines.iter().sum();
        prop_assume!(total >= 2);
        let tokenizer = tokenizer(true);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut built: Vec<BTreeMap<String, Vec<u8>>> = Vec::new();
        for jobs in [1, 3] {
            let out = folder.path().join(format!("jobs{jobs}"));
            let name = Some("test".to_owned());
            let options =
                BuildOptions { validation_fraction: fraction, seed, jobs, shard_tokens, name, ..BuildOptions::default() };
            let source = TextSource::memory("test", documents.clone());
            build(&source, &tokenizer, &out, &options, &mut quiet).expect("built");
            built.push(files_of(&out));
        }
        prop_assert!(built[0] == built[1], "the number of jobs changes the dataset");
        let out = folder.path().join("jobs1");
        let (train, validation) = (open(&out, Split::Train, &tokenizer), open(&out, Split::Validation, &tokenizer));
        let (train_lines, validation_lines) = (documents_of(&*train.corpus()).concat(), documents_of(&*validation.corpus()).concat());
        prop_assert!(!train_lines.is_empty() && !validation_lines.is_empty());
        let mut expected: Vec<Vec<i32>> = documents.concat().iter()
            .map(|line| tokenizer.encode(line).into_iter().map(|id| id as i32).collect())
            .collect();
        let mut found = [train_lines, validation_lines].concat();
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);
        let manifest = train.manifest();
        prop_assert_eq!(manifest.held_out_by == HeldOutBy::Documents, documents.len() >= 200);
        prop_assert_eq!(manifest.train.lines + manifest.validation.lines, total as u64);
    }
}

#[test]
fn whole_documents_are_held_out_of_many() {
    let tokenizer = tokenizer(true);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("data");
    let documents = numbered_documents(1000, 4);
    let source = TextSource::memory("test", documents);
    let manifest = build(&source, &tokenizer, &out, &BuildOptions::default(), &mut quiet).expect("built");
    assert_eq!((manifest.train.documents, manifest.validation.documents), (980, 20));
    assert!(
        documents_of(&*open(&out, Split::Validation, &tokenizer).corpus()).iter().all(|document| document.len() == 4)
    );
    assert_eq!(dataset_tokenizer(&out).expect("its copy").sha256(), tokenizer.sha256());
    assert_eq!(Manifest::load(&out).expect("loaded"), manifest);
    // Another seed holds out others.
    let other = folder.path().join("other");
    build(&source, &tokenizer, &other, &BuildOptions { seed: 1, ..BuildOptions::default() }, &mut quiet)
        .expect("built");
    assert_ne!(
        documents_of(&*open(&other, Split::Validation, &tokenizer).corpus()),
        documents_of(&*open(&out, Split::Validation, &tokenizer).corpus())
    );
}

#[test]
fn blocks_of_lines_are_held_out_of_few_documents() {
    let tokenizer = tokenizer(true);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("data");
    let options = BuildOptions { validation_fraction: 0.1, ..BuildOptions::default() };
    let source = TextSource::memory("test", numbered_documents(2, 2000));
    let manifest = build(&source, &tokenizer, &out, &options, &mut quiet).expect("built");
    assert_eq!(manifest.held_out_by, HeldOutBy::Lines);
    assert_eq!(manifest.train.lines + manifest.validation.lines, 4000, "no line is cut");
    assert!((manifest.held_out_share() - 0.1).abs() < 0.002, "{}", manifest.held_out_share());
    // A block for each 1,024 held-out tokens, at most one of them across the two documents.
    let blocks = manifest.validation.tokens / 1024;
    assert!((blocks..=blocks + 1).contains(&manifest.validation.documents), "{}", manifest.validation.documents);
}

#[test]
fn the_share_is_one_of_tokens_whatever_the_lengths() {
    let tokenizer = tokenizer(true);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let words = |count: usize| "the meals ".repeat(count);
    let lines = |count: usize| vec![words(3); count];
    let short = |count: usize| vec![lines(1); count];
    let spread = |lengths: &[usize]| (0..1500).map(|n| lines(lengths[n % lengths.len()])).collect::<Vec<_>>();
    let corpora: Vec<(&str, Vec<Vec<String>>)> = vec![
        ("a book in one line and a short line", vec![vec![words(8_000), "the meal".into()]]),
        ("one line", vec![vec![words(8_000)]]),
        ("a book among short documents", [short(150), vec![lines(8_000)], short(200)].concat()),
        ("a book behind short documents", [short(500), vec![vec![words(40_000)]]].concat()),
        ("a book before short documents", [vec![lines(8_000)], short(500)].concat()),
        ("two kinds", spread(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 200])),
        ("wide spread", spread(&[1, 2, 5, 1, 50, 3, 1, 700, 2, 9, 1, 4, 30])),
    ];
    for (number, (what, documents)) in corpora.into_iter().enumerate() {
        for fraction in [0.02, 0.1] {
            let out = folder.path().join(format!("{number}-{fraction}"));
            let options = BuildOptions { validation_fraction: fraction, ..BuildOptions::default() };
            let source = TextSource::memory(what, documents.clone());
            let manifest = build(&source, &tokenizer, &out, &options, &mut quiet).expect("built");
            let off = manifest.held_out_share() / fraction;
            assert!((0.6..1.6).contains(&off), "{what}: {} of {fraction}", manifest.held_out_share());
            // Nothing is lost where text is cut.
            let all =
                [Split::Train, Split::Validation].map(|split| documents_of(&*open(&out, split, &tokenizer).corpus()));
            let tokens: usize = all.concat().concat().iter().map(Vec::len).sum();
            let expected: usize = documents.concat().iter().map(|line| tokenizer.encode(line).len()).sum();
            assert_eq!(tokens, expected, "{what}");
        }
    }
}

#[test]
fn what_was_left_out_and_skipped_is_in_the_manifest() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = folder.path().join("text");
    std::fs::create_dir(&text).expect("made");
    std::fs::write(text.join("a.txt"), b"the meal\nna\xefve\nthe meals\n").expect("written");
    std::fs::write(text.join("b.pdf"), b"%PDF-1.5\n").expect("written");
    let options = electra_data::InputOptions { on_error: electra_data::OnError::Skip, ..Default::default() };
    let source = TextSource::find(&[&text], options).expect("found");
    let out = folder.path().join("data");
    build(&source, &tokenizer(true), &out, &BuildOptions::default(), &mut quiet).expect("built");
    let manifest = Manifest::load(&out).expect("its checksum holds");
    assert_eq!((manifest.left_out[0].reason.as_str(), manifest.skipped[0].count), ("a PDF document", 1));
    assert!(manifest.skipped[0].first_places[0].ends_with("a.txt: line 2"), "{:?}", manifest.skipped);
}

#[test]
fn batches_come_from_shards_as_from_memory() {
    let tokenizer = tokenizer(true);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("data");
    let options = BuildOptions { shard_tokens: 500, ..BuildOptions::default() };
    build(&TextSource::memory("test", numbered_documents(300, 5)), &tokenizer, &out, &options, &mut quiet)
        .expect("built");
    let train = open(&out, Split::Train, &tokenizer);
    assert!(train.manifest().train.shards.len() > 5);
    let lines: Vec<Vec<Vec<u32>>> = documents_of(&*train.corpus())
        .into_iter()
        .map(|document| document.into_iter().map(|line| line.into_iter().map(|id| id as u32).collect()).collect())
        .collect();
    let memory = std::sync::Arc::new(electra_data::MemoryCorpus::new(lines.iter().map(Vec::as_slice)));
    let masking = MaskingConfig::default();
    let from_memory =
        electra_data::BatchSource::new(memory, tokenizer.special(), tokenizer.vocab_size(), 32, 8, masking.clone(), 3)
            .expect("valid");
    let from_shards = train.batches(&tokenizer, 32, 8, masking, 3).expect("valid");
    for step in [0, 100, 7, 5000] {
        assert_eq!(from_shards.batch(step), from_memory.batch(step));
    }
}

#[test]
fn targets_in_the_way_are_respected() {
    let tokenizer = tokenizer(true);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = TextSource::memory("test", numbered_documents(1, 10));
    let try_build = |out: &Path, overwrite| {
        build(&source, &tokenizer, out, &BuildOptions { overwrite, ..BuildOptions::default() }, &mut quiet)
            .map_err(|error| error.to_string())
    };
    let out = folder.path().join("data");
    try_build(&out, false).expect("built");
    assert!(
        try_build(&out, false).is_err_and(|message| message.contains("not empty") && message.contains("--overwrite"))
    );
    try_build(&out, true).expect("rebuilt");
    let precious = folder.path().join("precious");
    std::fs::create_dir(&precious).expect("made");
    std::fs::write(precious.join("thesis.txt"), "years of work").expect("written");
    assert!(try_build(&precious, true).is_err_and(|message| message.contains("holds no dataset")));
    assert!(precious.join("thesis.txt").is_file());
    assert!(
        try_build(&precious.join("thesis.txt"), true).is_err_and(|message| message.contains("a file of this name"))
    );
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).expect("listed").map(|entry| entry.expect("entry").file_name()).collect();
    assert_eq!(names.len(), 2, "nothing is left beside the targets: {names:?}");
}

#[test]
fn a_failed_or_stopped_build_leaves_nothing() {
    let tokenizer = tokenizer(true);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("data");
    let attempt = |documents, on_progress: &mut electra_data::OnProgress| {
        let result =
            build(&TextSource::memory("test", documents), &tokenizer, &out, &BuildOptions::default(), on_progress);
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 0);
        result.expect_err("refused")
    };
    assert!(attempt(vec![], &mut quiet).to_string().contains("holds no text"));
    assert!(attempt(vec![vec!["\u{1}\u{2}".into()]], &mut quiet).to_string().contains("holds no text"));
    assert!(attempt(vec![vec!["one line".into()]], &mut quiet).to_string().contains("at least two lines are needed"));
    let stopped = attempt(numbered_documents(10, 10), &mut |_| std::ops::ControlFlow::Break(()));
    assert!(matches!(stopped, DataError::Stopped));
    for fraction in [0.0, 0.6, f64::NAN] {
        let options = BuildOptions { validation_fraction: fraction, ..BuildOptions::default() };
        assert!(build(&TextSource::memory("test", vec![]), &tokenizer, &out, &options, &mut quiet).is_err());
    }
}

#[test]
fn what_an_interrupted_build_left_is_cleared_and_a_running_one_respected() {
    let tokenizer = tokenizer(true);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("data");
    let building = out.join(".electra-building");
    std::fs::create_dir_all(&building).expect("made");
    std::fs::write(building.join("train-00000.safetensors"), "half").expect("written");
    let run = || {
        build(
            &TextSource::memory("test", numbered_documents(3, 9)),
            &tokenizer,
            &out,
            &BuildOptions::default(),
            &mut quiet,
        )
    };
    let at_work = OutFolder::begin(&out).expect("begun");
    assert!(run().is_err_and(|error| error.to_string().contains("is writing there")));
    drop(at_work);
    run().expect("built");
    let mut names: Vec<String> = files_of(&out).into_keys().collect();
    names.sort();
    assert_eq!(names, ["manifest.json", "train-00000.safetensors", "validation-00000.safetensors"]);
    assert!(!building.exists() && open(&out, Split::Train, &tokenizer).corpus().token_count() > 0);
}

#[test]
fn overwriting_removes_the_files_of_the_old_dataset_and_no_others() {
    let tokenizer = tokenizer(true);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("data");
    let source = TextSource::memory("test", numbered_documents(300, 5));
    let build = |shard_tokens, overwrite| {
        let options = BuildOptions { shard_tokens, overwrite, ..BuildOptions::default() };
        build(&source, &tokenizer, &out, &options, &mut quiet)
    };
    let many = build(500, false).expect("built").train.shards.len();
    assert!(many > 5);
    for mine in ["mine.txt", "tokenizer/mine.txt", "cache/mine.txt", "cache/train-seq32-seed0-epoch0.cuts"] {
        std::fs::create_dir_all(out.join(mine).parent().expect("a folder")).expect("made");
        std::fs::write(out.join(mine), "mine").expect("written");
    }
    // A shard that the manifest does not list is somebody's, too.
    let stray = out.join("train-00000.safetensors").with_file_name(format!("train-{many:05}.safetensors"));
    std::fs::write(&stray, "mine").expect("written");
    let before = files_of(&out);
    assert!(build(1 << 20, true).is_err_and(|error| error.to_string().contains("is not part of the dataset")));
    assert!(files_of(&out) == before);
    std::fs::remove_file(&stray).expect("removed");
    build(1 << 20, true).expect("rebuilt");
    let names: Vec<String> = files_of(&out).into_keys().collect();
    assert_eq!(names, ["manifest.json", "mine.txt", "train-00000.safetensors", "validation-00000.safetensors"]);
    for (mine, stays) in
        [("tokenizer/mine.txt", true), ("cache/mine.txt", true), ("cache/train-seq32-seed0-epoch0.cuts", false)]
    {
        assert_eq!(out.join(mine).exists(), stays, "{mine}");
    }
    assert!(open(&out, Split::Train, &tokenizer).corpus().token_count() > 0);

    // A damaged shard or another version's manifest is replaced as well; what is no dataset's manifest is not.
    std::fs::write(out.join("train-00000.safetensors"), "damaged").expect("written");
    let manifest = std::fs::read_to_string(out.join("manifest.json")).expect("read");
    let other = manifest.replace("\"version\": 1", "\"version\": 99");
    assert!(other != manifest);
    std::fs::write(out.join("manifest.json"), other).expect("written");
    build(500, true).expect("rebuilt");
    std::fs::write(out.join("manifest.json"), "{\"name\": \"a web page\"}").expect("written");
    assert!(build(500, true).is_err_and(|error| error.to_string().contains("holds no dataset")));
}

#[test]
fn the_digest_of_tokens_is_their_own_whatever_files_jobs_and_shards() {
    let tokenizer = tokenizer(true);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let documents = numbered_documents(260, 40);
    let text = documents.iter().map(|lines| lines.join("\n") + "\n").collect::<Vec<_>>().join("\n");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("written");
        folder.path().join(name).to_str().expect("UTF-8").to_owned()
    };
    let tidy = write("tidy.txt", &text);
    let untidy = write("untidy.txt", &format!("\n\n{}\n\n\n", text.replace('\n', " \r\n")));
    let records: String =
        documents.iter().map(|lines| serde_json::json!({ "text": lines.join("\n") }).to_string() + "\n").collect();
    let records = write("records.jsonl", &records);
    let file = |path: &str| TextSource::find(&[path], electra_data::InputOptions::default()).expect("found");
    let mut built = Vec::new();
    for (source, jobs, shard_tokens) in [
        (TextSource::memory("test", documents), 1, 1 << 20),
        (file(&tidy), 3, 700),
        (file(&untidy), 2, 1 << 20),
        (file(&records), 1, 1 << 20),
    ] {
        let out = folder.path().join(format!("data{}", built.len()));
        let options = BuildOptions { jobs, shard_tokens, ..BuildOptions::default() };
        built.push(build(&source, &tokenizer, &out, &options, &mut quiet).expect("built").corpus(&out));
    }
    use sha2::Digest;
    let mut bytes: Vec<u8> = Vec::new();
    for document in text.split("\n\n") {
        if !bytes.is_empty() {
            bytes.extend([0; 4]);
        }
        for line in document.lines() {
            let ids = tokenizer.encode(line);
            bytes.extend((ids.len() as u32).to_le_bytes());
            bytes.extend(ids.iter().flat_map(|&id| (id as u16).to_le_bytes()));
        }
    }
    let expected: String = sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    for (number, corpus) in built.iter().enumerate() {
        assert_eq!(corpus.name, format!("data{number}"));
        assert_eq!(corpus.tokens_sha256.as_deref(), Some(&*expected), "{number}");
        assert_eq!(corpus.tokens, built[0].tokens);
    }
}
