//! `electra plot`.

use std::fs;

use crate::support::program::run;

/// A run's folder with rows of two splits, one of them with a gap.
fn write_run(folder: &std::path::Path, name: &str) -> String {
    let path = folder.join(name);
    fs::create_dir_all(&path).expect("made");
    let row = |step: u64, split: &str, rest: &str| format!("{{\"step\":{step},\"split\":\"{split}\",{rest}}}\n");
    let rows = row(10, "train", "\"loss\":30.5,\"discriminator_auc\":null,\"flops\":1e9")
        + &row(20, "train", "\"loss\":null,\"discriminator_auc\":0.6,\"flops\":2e9")
        + &row(30, "train", "\"loss\":25.25,\"discriminator_auc\":0.7,\"flops\":3e9,\"copy_rate\":0.5")
        + &row(30, "validation", "\"loss\":26.0");
    fs::write(path.join("metrics.jsonl"), rows).expect("written");
    let timing = |step: u64| {
        format!("{{\"step\":{step},\"seconds\":{step},\"steps_per_second\":1.0,\"tokens_per_second\":2048.0}}\n")
    };
    fs::write(path.join("timings.jsonl"), [10, 20, 30].map(timing).concat()).expect("written");
    path.to_str().expect("a plain name").to_owned()
}

#[test]
fn runs_of_one_name_are_told_apart_in_a_page_and_in_a_picture() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (write_run(folder.path(), "a/run"), write_run(folder.path(), "b/run"));
    let page = folder.path().join("curves.html");
    let out = page.to_str().expect("a plain name");
    let done = run(["plot", &a, &b, "--out", out]).expect_success();
    assert_eq!(done.stdout.trim(), out);
    let text = fs::read_to_string(&page).expect("written");
    for part in ["<title>a/run, b/run</title>", "Loss, held out", "Discriminator&#39;s AUC", "Tokens per second"] {
        let part = part.replace("&#39;", "'");
        assert!(text.contains(&part), "no {part:?}");
    }
    assert!(!text.contains("<script") && !text.contains("http"));

    let picture = folder.path().join("curves.svg");
    let out = picture.to_str().expect("a plain name");
    run(["plot", &a, &b, "--out", out, "--x", "flops", "--smooth", "0.5", "--metric", "copy_rate"]).expect_success();
    let text = fs::read_to_string(&picture).expect("written");
    assert!(text.starts_with("<svg") && text.contains("floating-point operations") && text.contains(">copy_rate<"));
    assert_eq!(text.matches("<title>").count(), 2, "a curve for each run");
}

#[test]
fn what_cannot_be_drawn_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let a = write_run(folder.path(), "a");
    let out = folder.path().join("x.svg");
    let out = out.to_str().expect("a plain name");
    run(["plot", "no-such-run", "--out", out]).expect_bad_input(&["no-such-run: no metrics.jsonl"]);
    run(["plot", &a, "--out", "curves.png"]).expect_bad_input(&["curves.png", ".html or .svg"]);
    run(["plot", &a, "--out", out, "--smooth", "1"]).expect_bad_input(&["--smooth 1", "below 1"]);
    run(["plot", &a, "--out", out, "--metric", "f1"]).expect_bad_input(&["no run has the metric \"f1\"", "copy_rate"]);
    fs::write(folder.path().join("a/metrics.jsonl"), "{\"step\":1,\"loss\":2}\nnonsense\n").expect("written");
    run(["plot", &a, "--out", out]).expect_bad_input(&["a: line 2 of metrics.jsonl is not a row"]);
    assert!(!std::path::Path::new(out).exists(), "nothing is written");
}
