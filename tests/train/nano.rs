//! The run that a page makes of a text in memory (crates/electra-checks): what it comes to here, a browser must find too.

use std::time::SystemTime;

use burn::tensor::Device;
use electra_checks::nano::{compare, nano, to_json};
use electra_train::MetricsRow;
use electra_train::host::wait_for;

use crate::support::adapter::gpu;

fn clock() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64()
}

/// Says what a browser must find, where somebody asks for it.
#[test]
fn a_paused_run_from_text_in_memory_has_the_numbers_of_one_that_was_not() {
    let whole = wait_for(nano(&Device::flex(), false, clock));
    let paused = wait_for(nano(&Device::flex(), true, clock));
    assert_eq!(to_json(&paused.rows), to_json(&whole.rows));
    assert!(paused.checkpoint_bytes > 1_000_000, "{} bytes", paused.checkpoint_bytes);
    assert_eq!(whole.rows.len(), 7, "five of training and two of validation");
    assert!(whole.rows.iter().all(|row| row.loss.is_some_and(f64::is_finite)));
    if let Some(file) = std::env::var_os("ELECTRA_NANO_TO") {
        std::fs::write(file, to_json(&whole.rows)).unwrap();
    }
}

#[test]
fn a_run_from_text_in_memory_has_the_cpus_numbers_on_an_adapter() {
    let Some(opened) = gpu() else { return };
    let expected = wait_for(nano(&Device::flex(), false, clock));
    let found = wait_for(nano(&opened.device, true, clock));
    let worst = compare(&found.rows, &to_json(&expected.rows));
    assert!(worst > 0.0, "the adapter was not asked");
}

#[test]
fn a_number_that_is_off_is_named() {
    let rows = wait_for(nano(&Device::flex(), false, clock)).rows;
    let expected = to_json(&rows);
    assert_eq!(compare(&rows, &expected), 0.0);
    let off = |change: fn(&mut MetricsRow)| {
        let mut rows = rows.clone();
        change(&mut rows[1]);
        let compared = std::panic::catch_unwind(|| compare(&rows, &expected));
        compared.unwrap_err().downcast_ref::<String>().unwrap().clone()
    };
    let said = off(|row| row.generator_loss = row.generator_loss.map(|loss| loss * 1.0002));
    assert!(said.contains("step 20, \"train\": generator_loss"), "{said}");
    assert!(off(|row| row.discriminator_auc = None).contains("discriminator_auc"));
    assert!(off(|row| row.step = 21).contains("step"));
}
