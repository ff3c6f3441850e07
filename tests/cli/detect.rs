//! From a run to its use: `electra export`, `import`, `detect` and `fill`.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::fixtures::fixtures_root;
use crate::support::program::{electra, run};
use crate::support::small_run::{SmallRun, tensors};

/// Sorted by name, whatever order the file has.
fn config(folder: &Path) -> serde_json::Map<String, Value> {
    let text = std::fs::read_to_string(folder.join("config.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn where_there_is_no_run_the_model_that_electra_brings_speaks() {
    let empty = tempfile::tempdir().unwrap();
    let in_empty = |arguments: &[&str]| {
        let output = electra(arguments).current_dir(empty.path()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && stderr.contains("the model that Electra brings"), "{stderr}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said: Value = serde_json::from_str(&in_empty(&["detect", "--json", "he opened the door"])).unwrap();
    assert_eq!(said["tokens"].as_array().unwrap().len(), 4, "{said}");
    let filled: Value = serde_json::from_str(&in_empty(&["fill", "--json", "he opened the [MASK] ."])).unwrap();
    assert_eq!(filled["masks"].as_array().unwrap().len(), 1, "{filled}");
}

#[test]
fn a_run_is_exported_and_used() {
    let small = SmallRun::new();
    let trained = small.pretrain("run", &["train.keep=9"]).expect_success();
    assert_eq!(trained.stdout, "", "a run has no result to pipe");
    for part in ["Training rtd", "held-out", "Done after step 12", "electra detect --model"] {
        assert!(trained.stderr.contains(part), "no {part:?} in {trained:#?}");
    }
    let run_folder = small.shown("run");

    let exported = small.shown("exported");
    let listed = run(["export", &run_folder, "--out", &exported, "--license", "apache-2.0"]).expect_success().stdout;
    assert_eq!(listed, format!("{exported}/discriminator\n{exported}/generator\n"));
    for network in ["discriminator", "generator"] {
        let read = |folder: &str, name: &str| std::fs::read(small.path(&format!("{folder}/{network}/{name}"))).unwrap();
        for name in ["model.safetensors", "config.json", "tokenizer.json", "vocab.txt"] {
            assert!(read("run", name) == read("exported", name), "{network}/{name}");
        }
        let card = String::from_utf8(read("exported", "README.md")).unwrap();
        assert!(card.contains("license: apache-2.0"), "{card}");
    }
    // An earlier checkpoint has other weights.
    let early = small.shown("early");
    run(["export", &run_folder, "--step", "4", "--out", &early]).expect_success();
    let weights =
        |folder: &str| std::fs::read(small.path(&format!("{folder}/discriminator/model.safetensors"))).unwrap();
    assert!(weights("early") != weights("exported"));
    run(["export", &run_folder, "--step", "5", "--out", &early]).expect_bad_input(&["step_000005"]);
    run(["export", &small.shown("nowhere")]).expect_bad_input(&["nowhere", "not the folder of a run"]);

    for model in [&run_folder, &exported, &small.shown("exported/discriminator")] {
        let text = "The old dog sees the cat.";
        let stdout = run(["detect", "--model", model, "--json", text]).expect_success().stdout;
        let scored: Value = serde_json::from_str(&stdout).expect("one JSON object");
        assert_eq!(scored["text"], text);
        let tokens = scored["tokens"].as_array().unwrap();
        assert!(tokens.len() >= 7, "{scored:#}");
        for token in tokens {
            let probability = token["probability"].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&probability), "{token}");
            assert_eq!(token["replaced"], token["logit"].as_f64().unwrap() > 0.0);
            let (start, end) = (token["start"].as_u64().unwrap() as usize, token["end"].as_u64().unwrap() as usize);
            let piece = token["token"].as_str().unwrap().trim_start_matches("##");
            assert_eq!(text[start..end].to_lowercase(), piece, "{token}");
        }
    }
    // Without colours numbers mark what is taken for replaced, as in the default job.
    let texts = ["the old dog sees the cat", "cat cat cat the the"];
    let arguments = ["detect", "--model", &run_folder];
    let shown = run(arguments.into_iter().chain(texts)).expect_success();
    assert!(shown.stderr.contains("taken for replaced"), "{}", shown.stderr);
    let scored = run(arguments.into_iter().chain(["--json"]).chain(texts)).expect_success().stdout;
    for (line, scored) in shown.stdout.lines().zip(scored.lines()) {
        let scored: Value = serde_json::from_str(scored).unwrap();
        let tokens = scored["tokens"].as_array().unwrap();
        let expected: Vec<String> = tokens
            .iter()
            .map(|token| match (token["token"].as_str().unwrap(), token["probability"].as_f64().unwrap()) {
                (text, probability) if probability > 0.5 => format!("{text}({probability:.2})"),
                (text, _) => text.to_owned(),
            })
            .collect();
        assert_eq!(line, expected.join(" "));
    }
    assert_eq!(shown.stdout.lines().count(), 2, "{}", shown.stdout);

    let stdout =
        run(["fill", "--model", &exported, "--json", "-k", "3", "the [MASK] sees the [MASK]."]).expect_success().stdout;
    let filled: Value = serde_json::from_str(&stdout).expect("one JSON object");
    let masks = filled["masks"].as_array().unwrap();
    assert_eq!(masks.len(), 2, "{filled:#}");
    for mask in masks {
        let probabilities: Vec<f64> = mask["candidates"]
            .as_array()
            .unwrap()
            .iter()
            .map(|candidate| {
                assert!(candidate["token"].is_string(), "{candidate}");
                candidate["probability"].as_f64().unwrap()
            })
            .collect();
        assert!(probabilities.len() == 3 && probabilities.is_sorted_by(|a, b| a >= b), "{probabilities:?}");
    }
    // Several texts: one object a line, each as if it were alone.
    let texts = ["The old dog sees the cat.", "the cat", "the [MASK] dog"];
    for (command, texts) in [("detect", &texts[..]), ("fill", &["the [MASK] dog", "a [MASK]"][..])] {
        let line = |texts: &[&str]| -> String {
            let arguments = [command, "--model", &exported, "--json"].into_iter().chain(texts.iter().copied());
            run(arguments).expect_success().stdout
        };
        assert_eq!(line(texts), texts.iter().map(|text| line(&[text])).collect::<String>(), "{command}");
    }
    let shown = run(["fill", "--model", &exported, "-k", "1", "the [MASK] dog", "a [MASK]"]).expect_success().stdout;
    assert_eq!(shown.lines().filter(|line| ["the [MASK] dog", "a [MASK]"].contains(line)).count(), 2, "{shown}");
    run(["fill", "--model", &exported, "a [MASK]", "a bare cat"]).exit_code.filter(|&code| code == 2).expect("refused");
    run(["fill", "--model", &exported, "no mask here"]).expect_bad_input(&["[MASK]"]);
    let long = "[MASK] dog ".repeat(40);
    run(["fill", "--model", &exported, &long]).expect_bad_input(&["positions", "shorten"]);
    run(["detect", "--model", &small.shown("nowhere"), "the"]).expect_bad_input(&["nowhere", "--model"]);
    run(["detect", "--model", &small.shown("data"), "the"]).expect_bad_input(&["config.json", "electra export"]);
}

/// Networks of before tokenizer.json was common.
#[test]
fn a_vocabulary_beside_the_network_is_enough_and_alone_is_no_network() {
    let small = SmallRun::new();
    small.pretrain("run", &["train.steps=1", "train.warmup_steps=1"]).expect_success();
    let model = small.shown("run/discriminator");
    let file = |name: &str| small.path("run/discriminator").join(name);
    let detect = || run(["detect", "--model", &model, "--json", "The old dog, qüx."]);
    let whole = detect().expect_success().stdout;
    std::fs::remove_file(file("tokenizer.json")).unwrap();
    assert_eq!(detect().expect_success().stdout, whole);
    std::fs::remove_file(file("vocab.txt")).unwrap();
    detect().expect_bad_input(&["run/discriminator", "no tokenizer.json and no vocab.txt"]);
    // What a class of transformers does beyond its files is said.
    std::fs::copy(small.path("run/tokenizer/tokenizer.json"), file("tokenizer.json")).unwrap();
    std::fs::write(file("tokenizer_config.json"), r#"{"do_basic_tokenize": false}"#).unwrap();
    assert!(detect().expect_success().stderr.contains("do_basic_tokenize"));

    std::fs::create_dir(small.path("words")).unwrap();
    std::fs::copy(small.path("run/tokenizer/vocab.txt"), small.path("words/vocab.txt")).unwrap();
    let words = ["detect", "--model", &small.shown("words"), "the dog"];
    run(words).expect_bad_input(&[
        "it holds a tokenizer (vocab.txt) but no network",
        "config.json",
        "model.safetensors",
    ]);
}

#[test]
fn detect_reads_lines_and_takes_any_text() {
    let small = SmallRun::new();
    small.pretrain("run", &["train.steps=1", "train.warmup_steps=1"]).expect_success();
    let detect = |input: &[u8]| {
        let mut child = electra(["detect", "--json", "--model", &small.shown("run")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().expect("piped").write_all(input).unwrap();
        child.wait_with_output().unwrap()
    };
    // An empty line, a line of nothing but spaces, words nobody knows, an emoji, a line longer than the positions.
    let lines = ["the old dog", "", "   ", "qüx 犬 🐕 x", &"the cat sees the dog ".repeat(30), "no newline at the end"];
    let output = detect(lines.join("\n").as_bytes());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let scored: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(scored.iter().map(|line| line["text"].as_str().unwrap()).collect::<Vec<_>>(), lines);
    let counts: Vec<usize> = scored.iter().map(|line| line["tokens"].as_array().unwrap().len()).collect();
    assert_eq!((counts[0], counts[1], counts[2]), (3, 0, 0));
    assert!(counts[4] >= 150, "{counts:?}");

    let output = detect(b"the dog\n\xff\xfe\n");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("standard input, line 2") && !stderr.contains("this is a bug"), "{stderr}");
}

/// What `transformers` saved and what Electra writes of it: names, shapes, types, values and every field of config.json.
#[test]
fn imported_networks_are_written_as_transformers_writes_them() {
    let mut pairs = 0;
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixtures_root()).unwrap() {
        let source = entry.unwrap().path();
        let names = ["discriminator", "generator"];
        if names.iter().any(|name| !source.join(name).join("model.safetensors").is_file()) {
            continue;
        }
        pairs += 1;
        let out = folder.path().join(source.file_name().unwrap());
        let network = |name: &str| source.join(name).into_os_string();
        run([
            "import".into(),
            "--discriminator".into(),
            network("discriminator"),
            "--generator".into(),
            network("generator"),
            "--out".into(),
            out.clone().into_os_string(),
        ])
        .expect_success();
        for name in names {
            let (found, expected) = (out.join(name), source.join(name));
            let shown = expected.display();
            assert_eq!(
                tensors(&found.join("model.safetensors")),
                tensors(&expected.join("model.safetensors")),
                "{shown}"
            );
            let mut wanted = config(&expected);
            // No release of transformers wrote ours.
            wanted.remove("transformers_version");
            assert_eq!(Value::Object(config(&found)), Value::Object(wanted), "{shown}");
        }
    }
    assert!(pairs > 0, "no pair of networks under {}", fixtures_root().display());
}

#[test]
fn import_refuses_what_is_not_the_network_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").into_os_string();
    let source = |name: &str| fixtures_root().join("tiny_proj").join(name).into_os_string();
    let import = |discriminator: &str, generator: &str| {
        let arguments = ["--discriminator".into(), source(discriminator), "--generator".into(), source(generator)];
        run(["import".into()].into_iter().chain(arguments).chain(["--out".into(), out.clone()]))
    };
    import("generator", "generator")
        .expect_bad_input(&["config.json", "ElectraForMaskedLM, but ElectraForPreTraining"]);
    import("discriminator", "discriminator").expect_bad_input(&["ElectraForPreTraining, but ElectraForMaskedLM"]);
    import("nowhere", "generator").expect_bad_input(&["nowhere", "config.json", "check the path"]);
    assert!(!Path::new(&out).exists(), "nothing is written");
}
