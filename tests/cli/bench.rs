//! `electra bench`.

use serde_json::Value;

use crate::support::adapter::gpu;
use crate::support::program::run;

#[test]
fn a_step_and_its_parts_are_timed() {
    let devices: &[&str] = if gpu().is_some() { &["cpu", "gpu"] } else { &["cpu"] };
    for device in devices {
        let step = ["bench", "step", "--preset", "nano", "--batch", "4", "--steps", "3", "--device", device];
        let stdout = run(step.iter().chain(&["--json"])).expect_success().stdout;
        let report: Value = serde_json::from_str(&stdout).expect("one JSON object");
        let seconds = |key: &str| {
            let seconds = report[key].as_f64().unwrap_or_else(|| panic!("no {key} in {stdout}"));
            assert!(seconds > 0.0, "{key} in {stdout}");
            seconds
        };
        for prefix in ["", "plain_"] {
            let parts = ["forward", "backward", "optimizer"].map(|part| seconds(&format!("{prefix}{part}_seconds")));
            // Loosely: a busy machine disturbs one of the two.
            let (sum, whole) = (parts.iter().sum::<f64>(), 4.0 * report["seq"].as_f64().unwrap());
            let whole = whole / seconds(&format!("{prefix}tokens_per_second"));
            assert!(sum > whole / 10.0 && sum < whole * 10.0, "{prefix}parts {parts:?} of {whole}");
        }
        let shown = run(step.iter().chain(&["--no-plain"])).expect_success().stdout;
        assert!(["forward ", "backward ", "optimizer "].iter().all(|part| shown.contains(part)), "{shown}");
    }
}
