//! Where a run starts from: weights of another one, or a look before it.

use serde_json::Value;

use crate::support::program::run;
use crate::support::small_run::{SmallRun, metrics, tensors};

fn validation(rows: &[Value]) -> &Value {
    rows.iter().rfind(|row| row["split"] == "validation").expect("a validation row")
}

#[test]
fn init_from_goes_on_with_exported_and_imported_networks() {
    let small = SmallRun::new();
    for sharing in ["embeddings", "none"] {
        let sharing_set = format!("model.sharing={sharing}");
        let first = format!("first-{sharing}");
        small.pretrain(&first, &[&sharing_set]).expect_success();
        let imported = small.shown(&format!("imported-{sharing}"));
        let network = |name: &str| small.shown(&format!("{first}/{name}"));
        let (discriminator, generator) = (network("discriminator"), network("generator"));
        run(["import", "--discriminator", &discriminator, "--generator", &generator, "--out", &imported])
            .expect_success();
        let expected = metrics(&small.path(&first));
        let expected = validation(&expected);
        for (number, source) in [&small.shown(&first), &imported].into_iter().enumerate() {
            let out = format!("next-{sharing}-{number}");
            // The first step of a warmup has learning rate 0: it leaves the weights alone.
            let mut arguments = small.arguments(&out, &[&sharing_set, "train.steps=1", "train.warmup_steps=1"]);
            arguments.extend(["--init-from".to_owned(), source.clone()]);
            run(arguments).expect_success();
            let found = metrics(&small.path(&out));
            let mut found = validation(&found).clone();
            found["step"] = expected["step"].clone();
            assert_eq!(&found, expected, "validation after {source}");
        }
    }
}

#[test]
fn init_from_networks_that_do_not_fit_is_one_message() {
    let small = SmallRun::new();
    small.pretrain("first", &["train.steps=1", "train.warmup_steps=1"]).expect_success();
    let attempt = |out: &str, from: &str, set: &str| {
        let mut arguments = small.arguments(out, &[set]);
        arguments.extend(["--init-from".to_owned(), small.shown(from)]);
        run(arguments)
    };
    let wide = attempt("a", "first", "model.intermediate_size=128");
    wide.expect_bad_input(&[
        "discriminator",
        "intermediate_size is 64, but the run's is 128",
        "--set model.intermediate_size=64",
    ]);
    // What was refused leaves the folder free for another attempt.
    attempt("a", "first", "model.num_hidden_layers=2").expect_bad_input(&["first", "num_hidden_layers is 1"]);
    // Of the same shapes, and still another network.
    attempt("b", "first", "model.num_attention_heads=4")
        .expect_bad_input(&["num_attention_heads is 2, but the run's is 4"]);
    attempt("b", "first", "model.layer_norm_eps=1e-6").expect_bad_input(&["layer_norm_eps is 1e-12", "1e-6"]);
    attempt("b", "first", "model.generator_size=0.5").expect_bad_input(&["generator", "model.generator_size"]);
    attempt("c", "nowhere", "seed=1").expect_bad_input(&["nowhere", "config.json", "check the path"]);
}

/// `small`'s run "first" with the folder of another tokenizer beside its networks, whose vocabulary `change` makes of the own.
fn with_tokenizer(small: &SmallRun, name: &str, change: impl Fn(&mut Vec<&str>), casing: &str) -> String {
    let vocab = std::fs::read_to_string(small.path("tokenizer/vocab.txt")).unwrap();
    let mut lines: Vec<&str> = vocab.lines().collect();
    change(&mut lines);
    let (file, folder) = (small.path(&format!("{name}.txt")), small.shown(&format!("{name}-tokenizer")));
    std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    run(["tokenizer", "import", file.to_str().unwrap(), "--out", &folder, casing]).expect_success();
    for network in ["discriminator", "generator"] {
        std::fs::create_dir_all(small.path(&format!("{name}/{network}"))).unwrap();
        for file in ["config.json", "model.safetensors"] {
            std::fs::copy(
                small.path(&format!("first/{network}/{file}")),
                small.path(&format!("{name}/{network}/{file}")),
            )
            .unwrap();
        }
        std::fs::copy(format!("{folder}/tokenizer.json"), small.path(&format!("{name}/{network}/tokenizer.json")))
            .unwrap();
    }
    small.shown(name)
}

#[test]
fn init_from_a_network_of_other_words_is_refused_and_of_other_rules_warned_of() {
    let small = SmallRun::new();
    small.pretrain("first", &["train.steps=1", "train.warmup_steps=1"]).expect_success();
    let attempt = |out: &str, from: String| {
        let mut arguments = small.arguments(out, &["train.steps=1", "train.warmup_steps=1"]);
        arguments.extend(["--init-from".to_owned(), from]);
        run(arguments)
    };
    let turned = with_tokenizer(&small, "turned", |lines| lines[5..].reverse(), "--uncased");
    attempt("a", turned.clone()).expect_bad_input(&["its tokenizer is another one", "ids are other tokens"]);
    let rules = with_tokenizer(&small, "rules", |_| {}, "--cased");
    let ended = attempt("b", rules).expect_success();
    assert!(ended.stderr.contains("cuts text otherwise (cased here, lowercased"), "{ended:#?}");
    // A word in place of one that was kept free for it.
    let free = with_tokenizer(&small, "free", |lines| lines[20] = "[unused1]", "--uncased");
    attempt("c", free).expect_success();
    for network in ["discriminator", "generator"] {
        std::fs::remove_file(small.path(&format!("turned/{network}/tokenizer.json"))).unwrap();
    }
    let ended = attempt("d", turned).expect_success();
    assert!(ended.stderr.contains("no tokenizer lies beside it"), "{ended:#?}");
}

/// Rewrites the tensors of a network that this test exported; all are f32.
fn change_tensors(path: &std::path::Path, mut change: impl FnMut(&str, &mut Vec<usize>, &mut Vec<f32>)) {
    let changed: Vec<(String, Vec<usize>, Vec<u8>)> = tensors(path)
        .into_iter()
        .map(|(name, _, mut shape, bytes)| {
            let mut values = bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
            change(&name, &mut shape, &mut values);
            (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views = changed.iter().map(|(name, shape, bytes)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn rows_of_a_word_table_beyond_the_tokenizer_are_kept_and_never_used() {
    const EXTRA: usize = 11;
    let small = SmallRun::new();
    small.pretrain("first", &["train.steps=1", "train.warmup_steps=1"]).expect_success();
    let entries = std::fs::read_to_string(small.path("tokenizer/vocab.txt")).unwrap().lines().count();
    let rows = entries + EXTRA;
    for network in ["discriminator", "generator"] {
        let config = small.path(&format!("first/{network}/config.json"));
        let text = std::fs::read_to_string(&config).unwrap();
        let padded = text.replace(&format!("\"vocab_size\": {entries}"), &format!("\"vocab_size\": {rows}"));
        assert_ne!(padded, text);
        std::fs::write(&config, padded).unwrap();
        change_tensors(&small.path(&format!("first/{network}/model.safetensors")), |name, shape, values| {
            if shape[0] == entries {
                shape[0] = rows;
                // Rows and biases that would be drawn all the time.
                let width = values.len() / entries;
                values.extend(std::iter::repeat_n(if name.ends_with("bias") { 50.0 } else { 0.25 }, EXTRA * width));
            }
        });
    }
    let (discriminator, generator) = (small.shown("first/discriminator"), small.shown("first/generator"));
    let imported = small.shown("imported");
    run(["import", "--discriminator", &discriminator, "--generator", &generator, "--out", &imported]).expect_success();
    // Without decay a row that nothing uses stays as it is.
    let sets = ["train.steps=6", "train.weight_decay=0.0", "train.checkpoint_every=3", "train.keep=5"];
    let mut arguments = small.arguments("next", &sets);
    arguments.extend(["--init-from".to_owned(), imported]);
    run(arguments).expect_success();
    let check = |run: &str| {
        let config: Value =
            serde_json::from_slice(&std::fs::read(small.path(&format!("{run}/generator/config.json"))).unwrap())
                .unwrap();
        assert_eq!(config["vocab_size"], rows);
        let mut seen = 0;
        for network in ["discriminator", "generator"] {
            for (name, _, shape, bytes) in tensors(&small.path(&format!("{run}/{network}/model.safetensors"))) {
                if shape[0] != rows {
                    continue;
                }
                let values: Vec<f32> =
                    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
                let width = values.len() / rows;
                let expected = if name.ends_with("bias") { -1e4 } else { 0.25 };
                assert!(values[entries * width..].iter().all(|&value| value == expected), "{name}");
                assert!(values[..entries * width].iter().all(|value| value.is_finite() && *value != expected));
                seen += 1;
            }
        }
        assert_eq!(seen, 3, "two word tables and a bias");
    };
    check("next");
    let losses = metrics(&small.path("next"));
    assert!(losses.iter().all(|row| row["generator_loss"].as_f64().is_none_or(|loss| loss < 20.0)), "{losses:?}");
    // Killed at step 3, it goes on to the same end.
    let whole = std::fs::read(small.path("next/metrics.jsonl")).unwrap();
    std::fs::remove_dir_all(small.path("next/step_000006")).unwrap();
    small.resume("next").expect_success();
    assert_eq!(std::fs::read(small.path("next/metrics.jsonl")).unwrap(), whole);
    let out = small.shown("exported");
    run(["export", &small.shown("next"), "--out", &out]).expect_success();
    check("exported");
    run(["detect", "--model", &out, "--json", "the small dog sees"]).expect_success();
    let filled =
        run(["fill", "--model", &out, "--json", "--top-k", &rows.to_string(), "the [MASK] dog"]).expect_success();
    let filled: Value = serde_json::from_str(&filled.stdout).unwrap();
    let candidates = filled["masks"][0]["candidates"].as_array().unwrap();
    assert!(candidates.iter().all(|candidate| candidate["id"].as_u64().unwrap() < entries as u64));

    // A new run may ask for such a table too.
    let padded = format!("model.vocab_size={}", entries + 5);
    small.pretrain("own", &[&padded, "train.steps=2", "train.warmup_steps=1"]).expect_success();
    let config: Value =
        serde_json::from_slice(&std::fs::read(small.path("own/discriminator/config.json")).unwrap()).unwrap();
    assert_eq!(config["vocab_size"], entries + 5);
}

#[test]
fn networks_that_do_not_belong_together_are_not_imported() {
    let small = SmallRun::new();
    small.pretrain("first", &["train.steps=1", "train.warmup_steps=1"]).expect_success();
    let import = |discriminator: &str, generator: &str, out: &str| {
        let paths = [discriminator, generator, out].map(|name| small.shown(name));
        run(["import", "--discriminator", &paths[0], "--generator", &paths[1], "--out", &paths[2]])
    };
    with_tokenizer(&small, "turned", |lines| lines[5..].reverse(), "--uncased");
    import("first/discriminator", "turned/generator", "a").expect_bad_input(&["different tokenizers"]);
    // The other's tokenizer serves where one has none.
    std::fs::remove_file(small.path("turned/generator/tokenizer.json")).unwrap();
    import("first/discriminator", "turned/generator", "b").expect_success();
    assert!(small.path("b/generator/tokenizer.json").is_file());
    // A value that is no number is found here, and not by training.
    let name = "electra.embeddings.LayerNorm.bias";
    change_tensors(&small.path("first/generator/model.safetensors"), |tensor, _, values| {
        if tensor == name {
            values[3] = f32::NAN;
        }
    });
    import("first/discriminator", "first/generator", "c").expect_bad_input(&[name, "not finite", "NaN at 3"]);
}

#[test]
fn an_init_from_that_is_killed_at_once_does_not_resume_from_random_weights() {
    let small = SmallRun::new();
    small.pretrain("first", &[]).expect_success();
    let mut arguments = small.arguments("next", &["train.checkpoint_every=1000", "train.keep=5"]);
    arguments.extend(["--init-from".to_owned(), small.shown("first")]);
    run(arguments).expect_success();
    let whole = std::fs::read(small.path("next/metrics.jsonl")).unwrap();
    // What a kill before the first periodic checkpoint leaves.
    std::fs::remove_dir_all(small.path("next/step_000012")).unwrap();
    small.resume("next").expect_success();
    assert_eq!(std::fs::read(small.path("next/metrics.jsonl")).unwrap(), whole);
}

#[test]
fn the_learning_rate_is_said_to_be_infinite_where_it_is() {
    let small = SmallRun::new();
    small.pretrain("run", &["train.learning_rate=inf"]).expect_bad_input(&["train.learning_rate is inf", "finite"]);
}

#[test]
fn a_dry_run_prints_and_writes_nothing() {
    let small = SmallRun::new();
    let mut arguments = small.arguments("run", &[]);
    arguments.push("--dry-run".to_owned());
    let ended = run(arguments).expect_success();
    for heading in ["device", "parameters", "FLOPs", "memory", "time"] {
        assert!(ended.stdout.lines().any(|line| line.starts_with(heading)), "no {heading} in {ended:#?}");
    }
    assert!(!small.path("run").exists());
}
