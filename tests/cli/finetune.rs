//! `electra finetune` and what follows it: `eval`, `predict`, `embed`.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::program::{Run, electra, run};
use crate::support::small_run::{SmallRun, metrics, tensors};

const NOUNS: [&str; 4] = ["dog", "cat", "teacher", "sailor"];
const ADJECTIVES: [&str; 8] = ["small", "big", "old", "young", "red", "green", "quiet", "happy"];

/// A sentence of the network's own words: its first noun is what decides.
fn sentence(number: usize) -> String {
    let adjective = |number: usize| ADJECTIVES[number % ADJECTIVES.len()];
    format!("The {} {} sees the {} fish", adjective(number / 4), NOUNS[number % 4], adjective(number / 32))
}

fn label(number: usize) -> &'static str {
    if number % 4 < 2 { "animal" } else { "person" }
}

/// A table of `rows` sentences.
fn table(rows: usize) -> String {
    let rows = (0..rows).map(|number| format!("{},{}\n", sentence(number), label(number)));
    format!("text,label\n{}", rows.collect::<String>())
}

/// A pre-trained network, and tables beside it.
struct Tables(SmallRun);

impl Tables {
    fn new() -> Self {
        let small = SmallRun::new();
        small.pretrain("run", &["train.steps=40", "train.learning_rate=2e-3"]).expect_success();
        Self(small)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.0.shown(name)
    }

    /// The command line that fine-tunes on the table `data` into `out`, quickly.
    fn arguments(&self, data: &str, out: &str, more: &[&str]) -> Vec<String> {
        let (model, data, out) = (self.path("run"), self.path(data), self.path(out));
        let common = ["finetune", "--model", &model, "--data", &data, "--out", &out, "--device", "cpu"];
        let task = if more.contains(&"--task") { &[][..] } else { &["--task", "csv"] };
        let words = common.iter().chain(task).chain(&["--learning-rate", "3e-3", "--batch-size", "8"]).chain(more);
        words.map(|word| (*word).to_owned()).collect()
    }

    fn finetune(&self, data: &str, out: &str, more: &[&str]) -> Run {
        run(self.arguments(data, out, more))
    }

    fn results(&self, out: &str) -> Value {
        serde_json::from_slice(&fs::read(self.0.path(out).join("results.json")).unwrap()).unwrap()
    }
}

fn rows(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_table_becomes_a_network_that_is_judged_predicts_and_embeds() {
    let tables = Tables::new();
    tables.write("train.csv", &table(200));
    let ended = tables.finetune("train.csv", "tuned", &["--epochs", "8"]).expect_success();
    for part in ["\"label\"", "\"text\"", "majority", "bag of words", "electra predict --model"] {
        assert!(ended.stderr.contains(part) || ended.stdout.contains(part), "no {part:?} in {ended:#?}");
    }
    let results = tables.results("tuned");
    let accuracy = results["metric"]["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.9, "{results:#}");
    assert!(results["baselines"]["majority"]["accuracy"].as_f64().unwrap() < 0.7, "{results:#}");
    assert_eq!((&results["task"], &results["seeds"][0]["seed"]), (&json!("csv"), &json!(42)), "{results:#}");
    let config: Value = serde_json::from_slice(&fs::read(tables.0.path("tuned/config.json")).unwrap()).unwrap();
    assert_eq!(config["id2label"], json!({"0": "animal", "1": "person"}));
    assert_eq!(config["problem_type"], json!("single_label_classification"));

    // On other rows, by a table whose columns stand in another order.
    let others: String = (200..256).map(|number| format!("{},{}\n", label(number), sentence(number))).collect();
    tables.write("test.csv", &format!("label,text\n{others}"));
    let (model, test) = (tables.path("tuned"), tables.path("test.csv"));
    let more = ["--confusion", "--per-class", "--calibration", "--worst", "2", "--json", "--device", "cpu"];
    let judged = run(["eval", "--model", &model, "--data", &test].iter().chain(&more)).expect_success();
    let judged: Value = serde_json::from_str(&judged.stdout).unwrap();
    let of_set = judged.as_object().unwrap().values().next().unwrap();
    assert_eq!(of_set["examples"], json!(56));
    let counts = of_set["confusion"]["counts"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    assert_eq!(counts.map(|count| count.as_u64().unwrap()).sum::<u64>(), 56);
    let score = of_set["metric"]["accuracy"].as_f64().unwrap();

    // What is predicted of the table is what it was judged by.
    let output = tables.path("labelled.csv");
    run(["predict", "--model", &model, "--input", &test, "--output", &output, "--device", "cpu"]).expect_success();
    let labelled = fs::read_to_string(&output).unwrap();
    let mut lines = labelled.lines();
    assert_eq!(lines.next(), Some("label,text,prediction,probability_animal,probability_person"));
    let right = lines.clone().filter(|line| line.split(',').next() == line.split(',').nth(2)).count();
    assert_eq!((right as f64 / 56.0, lines.count()), (score, 56));
    // A text alone has the row's numbers.
    let alone = run(["predict", "--model", &model, "--device", "cpu", &sentence(200)]).expect_success();
    let alone = &rows(&alone.stdout)[0];
    let fields: Vec<&str> = labelled.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(alone["label"], json!(fields[2]));
    let probability = |text: &str| text.parse::<f64>().unwrap();
    let difference = alone["probabilities"]["animal"].as_f64().unwrap() - probability(fields[3]);
    assert!(difference.abs() < 1e-5, "{alone:#} beside {fields:?}");

    let vectors = tables.path("vectors.npy");
    run(["embed", "--model", &model, "--input", &test, "--output", &vectors, "--device", "cpu"]).expect_success();
    let bytes = fs::read(&vectors).unwrap();
    let header = String::from_utf8_lossy(&bytes[..128.min(bytes.len())]).into_owned();
    assert!(bytes.starts_with(b"\x93NUMPY") && header.contains("(56, 32)"), "{header}");
    assert_eq!(bytes.len() % 128, (56 * 32 * 4) % 128);

    run(["predict", "--model", &tables.path("run"), "a text"]).expect_bad_input(&["electra finetune"]);
    run(["eval", "--model", &model, "--data", &tables.path("none.csv")]).expect_bad_input(&["none.csv"]);
}

#[test]
fn tables_of_any_shape_are_read() {
    let tables = Tables::new();
    let whole = table(60);
    let cases: [(&str, String); 4] = [
        ("semicolons", whole.replace(',', ";").replace(" sees", ", sees")),
        ("bom", format!("\u{feff}{}", whole.replace('\n', "\r\n"))),
        (
            "newlines",
            (0..60)
                .map(|n| format!("\"{}\nand \"\"more\"\"\",{}\n", sentence(n), label(n)))
                .fold("text,label\n".into(), |a, b| a + &b),
        ),
        ("long", table(100_000)),
    ];
    for (name, text) in &cases {
        tables.write(&format!("{name}.csv"), text);
        tables.finetune(&format!("{name}.csv"), name, &["--epochs", "1", "--limit", "40", "-q"]).expect_success();
        let results = tables.results(name);
        let examples = results["examples"].as_array().unwrap();
        // Each row is held out by itself, by chance: about a tenth of them.
        let held_out = if *name == "long" { 9_500..10_500 } else { 1..15 };
        assert_eq!(examples[0], json!(40), "{name}: {results:#}");
        assert!(held_out.contains(&examples[1].as_u64().unwrap()), "{name}: {results:#}");
        let config = fs::read_to_string(tables.0.path(name).join("config.json")).unwrap();
        assert!(config.contains("\"animal\"") && config.contains("\"person\""), "{name}: {config}");
    }

    // Few whole numbers are labels unless they are said to be a scale.
    let stars: String = (0..100).map(|number| format!("{},{}\n", sentence(number), number % 5 + 1)).collect();
    tables.write("stars.csv", &format!("text,stars\n{stars}"));
    tables.finetune("stars.csv", "labels", &["--epochs", "1"]).expect_success();
    assert!(tables.results("labels")["metric"]["accuracy"].is_number());
    tables.finetune("stars.csv", "scale", &["--epochs", "1", "--kind", "regression"]).expect_success();
    assert!(tables.results("scale")["metric"]["pearson"].is_number(), "{:#}", tables.results("scale"));

    let many: String = (0..2000).map(|number| format!("{},class{}\n", sentence(number), number % 500)).collect();
    tables.write("many.csv", &format!("text,label\n{many}"));
    tables.finetune("many.csv", "many", &["--epochs", "0.1"]).expect_success();
    let config: Value = serde_json::from_slice(&fs::read(tables.0.path("many/config.json")).unwrap()).unwrap();
    assert_eq!(config["id2label"].as_object().unwrap().len(), 500);

    tables.write("damaged.csv", &format!("{whole}only one field\na,b,c,d\n"));
    let damaged = tables.finetune("damaged.csv", "damaged", &["--epochs", "1"]).expect_success();
    assert!(damaged.stderr.contains("warning: ") && damaged.stderr.contains("62"), "{damaged:#?}");
}

#[test]
fn what_cannot_be_learnt_is_one_message() {
    let tables = Tables::new();
    tables.write("good.csv", &table(60));
    let refused = |name: &str, text: &str, more: &[&str], parts: &[&str]| {
        tables.write(name, text);
        tables.finetune(name, "out", more).expect_bad_input(parts);
        assert!(!tables.0.path("out/results.json").exists());
    };
    refused("empty.csv", "", &[], &["empty.csv", "the file is empty"]);
    refused("header.csv", "text,label\n", &[], &["header.csv", "no rows"]);
    refused("one.csv", &table(60).replace("person", "animal"), &[], &["one.csv", "\"animal\"", "nothing to learn"]);
    refused("good.csv", &table(60), &["--label-column", "stars"], &["no column \"stars\"", "text, label"]);
    refused("good.csv", &table(60), &["--warmup", "7"], &["--warmup 7", "between 0 and 1"]);
    refused("good.csv", &table(60), &["--max-length", "9999"], &["--max-length 9999", "tokens at most"]);
    let dev = tables.path("dev.csv");
    tables.write("dev.csv", &format!("{}{},unheard\n", table(20), sentence(3)));
    refused("good.csv", &table(60), &["--dev", &dev], &["dev.csv", "line 22", "\"unheard\"", "animal, person"]);
    refused("good.csv", &table(60), &["--task", "colla"], &["colla", "cola", "squad1"]);
    run(["finetune", "--resume", "--out", &tables.path("nowhere")]).expect_bad_input(&["nowhere", "go on with"]);
}

/// All that a fine-tuning leaves whose bytes must not depend on when it was interrupted.
fn outcome(folder: &Path) -> [(&'static str, Vec<u8>); 4] {
    ["metrics.jsonl", "model.safetensors", "config.json", "results.json"]
        .map(|name| (name, fs::read(folder.join(name)).unwrap()))
}

#[test]
fn a_killed_fine_tuning_goes_on_to_the_same_bits() {
    let tables = Tables::new();
    tables.write("train.csv", &table(400));
    let more = ["--epochs", "12", "--log-every", "7", "--evaluations-per-epoch", "2"];
    tables.finetune("train.csv", "whole", &more).expect_success();
    let mut child = electra(tables.arguments("train.csv", "killed", &more)).spawn().expect("the program starts");
    let folder = tables.0.path("killed");
    let is_begun = || {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("step_")).count() > 0
    };
    let began = Instant::now();
    while !is_begun() && child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(60), "no checkpoint in a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    let _ = child.wait().unwrap();
    assert!(!folder.join("results.json").exists(), "it was killed on the way");
    let resumed = run(["finetune", "--resume", "--out", &tables.path("killed"), "--device", "cpu"]).expect_success();
    assert!(resumed.stderr.contains("Resuming after step"), "{resumed:#?}");
    for ((name, whole), (_, killed)) in outcome(&tables.0.path("whole")).into_iter().zip(outcome(&folder)) {
        assert!(whole == killed, "{name} differs");
    }
}

#[test]
fn answers_of_others_are_scored_as_the_official_scripts_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let question = |id: &str, answers: Value| json!({"id": id, "question": "Who?", "answers": answers});
    let answer = |text: &str| json!({"text": text, "answer_start": 0});
    let of = |questions: Value| json!({"version": "x", "data": [{"title": "t", "paragraphs": [{"context": "The old chef ate a meal.", "qas": questions}]}]});
    let first = of(json!([
        question("a", json!([answer("The old chef"), answer("chef")])),
        question("b", json!([answer("a meal")])),
        question("c", json!([answer("ate")])),
    ]));
    fs::write(path("dev1.json"), first.to_string()).unwrap();
    // Right but for articles and case; two of three words; not answered.
    fs::write(path("said1.json"), json!({"a": "OLD chef!", "b": "the meal of rice"}).to_string()).unwrap();
    let scored = |task: &str, version: u8| {
        let (data, said) = (path(&format!("dev{version}.json")), path(&format!("said{version}.json")));
        let ended = run(["eval", "--task", task, "--data", &data, "--predictions", &said, "--json"]).expect_success();
        (serde_json::from_str::<Value>(&ended.stdout).unwrap(), ended.stderr)
    };
    let (scores, warnings) = scored("squad1", 1);
    // F1 of "meal of rice" and "meal": precision 1/3, recall 1.
    let close = |value: &Value, expected: f64| (value.as_f64().unwrap() - expected).abs() < 1e-9;
    assert!(close(&scores["exact_match"], 100.0 / 3.0) && close(&scores["f1"], 50.0), "{scores:#}");
    assert!(warnings.contains("1 questions have no prediction"), "{warnings}");

    let mut none = question("d", json!([]));
    none["is_impossible"] = json!(true);
    let mut second = of(json!([question("a", json!([answer("chef")])), none]));
    second["data"][0]["paragraphs"][0]["qas"][0]["is_impossible"] = json!(false);
    fs::write(path("dev2.json"), second.to_string()).unwrap();
    fs::write(path("said2.json"), json!({"a": "old chef", "d": ""}).to_string()).unwrap();
    let (scores, _) = scored("squad2", 2);
    for (name, expected) in [
        ("exact", 50.0),
        ("f1", 100.0 * (2.0 / 3.0 + 1.0) / 2.0),
        ("total", 2.0),
        ("HasAns_exact", 0.0),
        ("HasAns_f1", 200.0 / 3.0),
        ("NoAns_exact", 100.0),
        ("NoAns_f1", 100.0),
    ] {
        assert!(close(&scores[name], expected), "{name} in {scores:#}");
    }
    run(["eval", "--task", "cola", "--data", &path("dev1.json"), "--predictions", &path("said1.json")])
        .expect_bad_input(&["--predictions is for squad1 and squad2"]);
}

#[test]
fn a_probe_shows_what_a_run_is_good_for_and_changes_nothing() {
    let tables = Tables::new();
    tables.write("probe.csv", &table(80));
    let data = format!("probe.data={}", tables.path("probe.csv"));
    let sets = ["probe.every=6", "probe.task=csv", &data, "probe.epochs=2", "probe.learning_rate=3e-3"];
    let plain = tables.0.pretrain("plain", &[]);
    plain.expect_success();
    let ended = tables.0.pretrain("probed", &sets).expect_success();
    assert!(ended.stderr.contains("probe: accuracy 0.") && ended.stderr.contains("majority: accuracy"), "{ended:#?}");
    let all = metrics(&tables.0.path("probed"));
    let (probes, others): (Vec<Value>, Vec<Value>) = all.into_iter().partition(|row| row["split"] == "probe");
    assert_eq!(probes.iter().map(|row| row["step"].as_u64().unwrap()).collect::<Vec<_>>(), [6, 12]);
    assert!(probes.iter().all(|row| row["accuracy"].is_number() && row["majority_accuracy"].is_number()), "{probes:?}");
    assert_eq!(others, metrics(&tables.0.path("plain")));
    let weights = |run: &str| tensors(&tables.0.path(run).join("discriminator/model.safetensors"));
    assert!(weights("plain") == weights("probed"), "the weights differ");

    // Stopped between two probes and resumed without a word of them.
    tables.0.pretrain("part", &[&sets[..], &["train.steps=12"]].concat()).expect_success();
    fs::remove_dir_all(tables.0.path("part/step_000012")).unwrap();
    tables.0.resume("part").expect_success();
    assert_eq!(tables.0.metrics_text("part"), tables.0.metrics_text("probed"));
    run(["doctor", &tables.path("probed")]).expect_success();

    let refused = |set: &str, parts: &[&str]| {
        let sets = [&sets[..], &[set]].concat();
        tables.0.pretrain("refused", &sets).expect_bad_input(parts);
    };
    refused("probe.task=sst3", &["probe.task", "\"sst3\"", "sst2"]);
    refused("probe.data=nowhere.csv", &["nowhere.csv"]);
    refused("probe.epochs=0", &["probe.epochs", "0"]);
}
