//! Networks from elsewhere, and for elsewhere: encoders as a start, ONNX files.

use std::fs;
use std::path::Path;

use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use crate::support::fixtures::fixtures_root;
use crate::support::program::run;
use crate::support::small_run::{SmallRun, tensors};

/// Writes the discriminator in `from` as a BERT that was saved alone: names without a prefix, a pooler, another config.json.
fn write_as_bert(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let mut tensors = tensors(&from.join("model.safetensors"));
    tensors.retain(|(name, ..)| name.starts_with("electra."));
    for (name, ..) in &mut tensors {
        *name = name.replacen("electra.", "", 1).replace("LayerNorm.weight", "LayerNorm.gamma");
    }
    tensors.push(("pooler.dense.weight".to_owned(), safetensors::Dtype::F32, vec![1], vec![0; 4]));
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    fs::write(to.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    let mut config: Value = serde_json::from_slice(&fs::read(from.join("config.json")).unwrap()).unwrap();
    let fields = config.as_object_mut().unwrap();
    fields.remove("embedding_size");
    fields.insert("model_type".to_owned(), json!("bert"));
    fields.insert("architectures".to_owned(), json!(["BertModel"]));
    fs::write(to.join("config.json"), config.to_string()).unwrap();
    fs::copy(from.join("tokenizer.json"), to.join("tokenizer.json")).unwrap();
}

/// Tensors of a folder's encoder.
fn encoder(folder: &Path) -> Vec<(String, safetensors::Dtype, Vec<usize>, Vec<u8>)> {
    let mut all = tensors(&folder.join("model.safetensors"));
    all.retain(|(name, ..)| name.starts_with("electra."));
    all
}

#[test]
fn a_berts_encoder_starts_a_run_whose_head_and_generator_begin_afresh() {
    let small = SmallRun::new();
    let square = "model.embedding_size=32";
    small.pretrain("first", &[square, "train.steps=6"]).expect_success();
    write_as_bert(&small.path("first/discriminator"), &small.path("bert"));
    let imported = run(["import", &small.shown("bert"), "--out", &small.shown("start")]).expect_success();
    for part in ["BertModel: 21 tensors used, none missing", "1 ignored (pooler.dense.weight)"] {
        assert!(imported.stderr.contains(part), "{imported:#?}");
    }
    let original = encoder(&small.path("first/discriminator"));
    assert_eq!(encoder(&small.path("start/discriminator")), original);

    let mut arguments = small.arguments("next", &[square, "train.steps=1", "train.warmup_steps=1"]);
    arguments.extend(["--init-from".to_owned(), small.shown("start")]);
    let ended = run(arguments).expect_success();
    for part in ["holds no generator, which begins afresh", "begun afresh: discriminator.discriminator_predictions"] {
        assert!(ended.stderr.contains(part), "{ended:#?}");
    }
    // The first step of a warmup has learning rate 0: it leaves the weights alone.
    assert_eq!(encoder(&small.path("next/discriminator")), original);
    assert_ne!(
        tensors(&small.path("next/generator/model.safetensors")),
        tensors(&small.path("first/generator/model.safetensors"))
    );

    run(["detect", "--model", &small.shown("start"), "the dog"])
        .expect_bad_input(&["ElectraModel, but ElectraForPreTraining"]);
    run(["detect", "--model", &small.shown("bert"), "the dog"]).expect_bad_input(&["\"bert\"", "electra import"]);
    // A whole discriminator keeps its head, and a generator is not what its user wants.
    let whole = run(["import", &small.shown("first/discriminator"), "--out", &small.shown("whole")]).expect_success();
    assert!(whole.stderr.contains("all 25 tensors used"), "{whole:#?}");
    run(["detect", "--model", &small.shown("whole"), "the dog"]).expect_success();
    let generator = run(["import", &small.shown("first/generator"), "--out", &small.shown("wrong")]).expect_success();
    assert!(
        generator.stderr.contains("warning: ") && generator.stderr.contains("this is a generator"),
        "{generator:#?}"
    );
    run(["import", "--out", &small.shown("nothing")]).expect_bad_input(&["FOLDER"]);
}

#[test]
fn onnx_files_are_written_of_runs_and_of_folders_and_never_over_another_unasked() {
    let small = SmallRun::new();
    small.pretrain("first", &["train.steps=6"]).expect_success();
    let of_run = run(["export", &small.shown("first"), "--format", "onnx"]).expect_success();
    let path = small.path("first/discriminator/model.onnx");
    assert_eq!(of_run.stdout.trim(), path.display().to_string());
    let bytes = fs::read(&path).unwrap();
    for name in ["input_ids", "attention_mask", "token_type_ids", "logits", "LayerNormalization"] {
        assert!(bytes.windows(name.len()).any(|window| window == name.as_bytes()), "{name}");
    }
    // The checkpoint and what was exported of it are one network.
    let folder = small.shown("first/discriminator");
    run(["export", &folder, "--format", "onnx"]).expect_bad_input(&["model.onnx", "--overwrite"]);
    run(["export", &folder, "--format", "onnx", "--out", &small.shown("deep/own.onnx")]).expect_success();
    assert_eq!(fs::read(small.path("deep/own.onnx")).unwrap(), bytes);
    run(["export", &folder, "--format", "onnx", "--int8", "--overwrite"]).expect_success();
    assert!(fs::read(&path).unwrap().len() < bytes.len(), "integers are shorter");

    run(["export", &small.shown("first"), "--int8"]).expect_bad_input(&["--format onnx"]);
    run(["export", &small.shown("data"), "--format", "onnx"]).expect_bad_input(&["run.toml", "config.json"]);
    run(["export", &folder, "--format", "onnx", "--step", "6"]).expect_bad_input(&["no run's folder"]);
    let head = fixtures_root().join("heads/qa").display().to_string();
    run(["export", &head, "--format", "onnx", "--out", &small.shown("qa.onnx")]).expect_success();
}
