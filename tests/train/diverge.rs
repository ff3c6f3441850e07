//! A run whose numbers are no longer finite stops, and keeps what was still good.

use crate::support::small_run::{SmallRun, tensors};

/// Fails if a checkpoint in `run` holds a weight or a moment that is not finite.
#[track_caller]
fn assert_checkpoints_finite(run: &std::path::Path) -> usize {
    let checkpoints = electra_train::run::folder::checkpoints::list(run).unwrap();
    for (_, checkpoint) in &checkpoints {
        for file in ["parameters.safetensors", "optimizer.safetensors"] {
            for (name, _, _, bytes) in tensors(&checkpoint.join(file)) {
                let mut values = bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
                assert!(values.all(f32::is_finite), "{} {name}", checkpoint.display());
            }
        }
    }
    checkpoints.len()
}

#[test]
fn a_loss_that_stays_non_finite_ends_the_run_with_its_batch_saved() {
    let small = SmallRun::new();
    let sets = [
        "train.learning_rate=1e30",
        "train.warmup_steps=0",
        "train.checkpoint_every=1",
        "train.max_nonfinite_in_a_row=3",
        "train.log_every=1",
    ];
    let ended = small.pretrain("run", &sets);
    assert_eq!(ended.exit_code, Some(1), "{ended:#?}");
    assert_eq!(ended.stderr.matches("error: ").count(), 1, "{ended:#?}");
    for part in ["was not finite for 3 steps in a row", "lower train.learning_rate", "(1 of 3 in a row)"] {
        assert!(ended.stderr.contains(part), "no {part:?} in {ended:#?}");
    }
    assert!(!ended.stderr.contains("panicked") && !ended.stderr.contains("this is a bug"), "{ended:#?}");
    let folder = small.path("run");
    let batches: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("nonfinite_step_"))
        .collect();
    assert_eq!(batches.len(), 1, "{batches:?}");
    assert!(ended.stderr.contains(batches[0].to_str().unwrap()), "the message names the batch: {ended:#?}");
    let batch: serde_json::Value = serde_json::from_slice(&std::fs::read(&batches[0]).unwrap()).unwrap();
    assert_eq!(batch["original_ids"].as_array().unwrap().len(), 4 * 32);
    assert!(assert_checkpoints_finite(&folder) > 0, "the steps before it were saved");
}

#[test]
fn weights_that_are_not_finite_are_never_saved() {
    let small = SmallRun::new();
    // The first update itself overflows, after a loss that was finite.
    let sets = ["train.learning_rate=3e38", "train.warmup_steps=0", "train.checkpoint_every=1"];
    let ended = small.pretrain("run", &sets);
    assert_eq!(ended.exit_code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("holds values that are not finite after step 1"), "{ended:#?}");
    assert_eq!(assert_checkpoints_finite(&small.path("run")), 0);
    assert!(!small.path("run/discriminator").exists(), "nothing is exported");
}
