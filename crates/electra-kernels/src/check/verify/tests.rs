//! Tests of the verification.

use burn::tensor::Tensor;

use super::case::{TOLERANCE, matrix};
use super::*;
use crate::check::launches;
use crate::check::testing::device;
use crate::device::{DeviceChoice, for_tests};
use crate::gpu::{
    self,
    cooperative_matrix::{CooperativeMatrix, Shares},
    instruments::{as_on_a_card, divided},
};

fn now(asked: Result<Asked, DeviceFailure>) -> Result<Arrays, DeviceFailure> {
    cubecl::future::block_on(arrays(asked))
}

fn quietly(device: &Device, extent: Extent) -> Result<Vec<Check>, DeviceFailure> {
    verify(device, extent, &mut |_| {})
}

#[test]
fn a_software_adapter_passes_in_full() {
    let Some(device) = device() else { return };
    let checks = quietly(&device, Extent::Full).unwrap();
    let kernels = kernels_of(&checks, |_| true);
    let has_cooperative_matrix = gpu::adapter::of(&gpu::probe(&device)).cooperative_matrix.is_some();
    let all = Kernel::ALL.into_iter().filter(|&kernel| kernel != Kernel::CooperativeMatrix || has_cooperative_matrix);
    assert_eq!(kernels, all.collect::<Vec<_>>(), "every kernel has a case");
    if gpu::has_f16(&device) {
        assert!(checks.iter().any(|check| check.case.starts_with("linear in half precision")));
    }
    let failed: Vec<&Check> = checks.iter().filter(|check| !check.passed()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    // Were the kernels off, the primitives would have passed.
    assert_eq!(switch_off_failed(&device, &checks), []);
}

/// The short form on a card: what a training step launches there is among what was checked.
#[test]
fn what_training_launches_is_checked_before_the_first_training() {
    let Some(device) = device() else { return };
    let (checks, launched) = launches::record(|| as_on_a_card(|| quietly(&device, Extent::Short).unwrap()));
    assert!(checks.iter().all(Check::passed), "{checks:?}");
    for stem in [
        "attention_fwd",
        "attention_bwd_query",
        "attention_bwd_key",
        "layer_norm_fwd",
        "layer_norm_bwd",
        "layer_norm_bwd_parameters",
        "product_staged",
        "sum_parts",
        "gelu",
        "mlm_rows",
        "weighted_sum",
        "scale",
        "token_log_probabilities_bwd",
        "rtd_fwd",
        "rtd_bwd",
        "embeddings_fwd",
        "sort_ids",
        "embedding_bwd_words",
        "embedding_bwd_positions",
        "embedding_bwd_types",
        "gather",
        "corrupt",
        "gather_gradients",
        "adam_norm",
        "adam_decide",
        "adam_update",
    ] {
        let name = format!("{}{stem}", launches::PREFIX);
        assert!(launched.contains(&name.as_str()), "{stem} is launched in training and was not checked");
    }
    for part in ["heads of 64", "joined", "the second causal", "ranked", "draw", "128 x 256 x 256"] {
        assert!(checks.iter().any(|check| check.case.contains(part)), "{part}");
    }
}

#[test]
fn dividing_launches_into_dispatches_changes_no_bit() {
    let Some(device) = device() else { return };
    let bits = |asked: Result<Asked, DeviceFailure>| -> Vec<u64> {
        now(asked).unwrap().into_iter().flatten().map(f64::to_bits).collect()
    };
    for Case { name, body, .. } in cases(&device, Extent::Full) {
        let (whole, dispatches) = launches::record(|| bits(body(&device)));
        for pieces in [2, u32::MAX] {
            let (found, divided) = launches::record(|| divided(pieces, || bits(body(&device))));
            assert!(whole == found, "{name}, in {pieces} dispatches a launch");
            let ours = |names: &[&str]| names.iter().filter(|name| name.starts_with(launches::PREFIX)).count();
            assert!(ours(&divided) >= ours(&dispatches), "{name}: {dispatches:?}, {divided:?}");
        }
    }
}

#[test]
fn a_shader_that_the_device_refuses_is_a_failure_and_no_more() {
    let Some(device) = device() else { return };
    if gpu::adapter::of(&gpu::probe(&device)).cooperative_matrix.is_some() {
        return;
    }
    let cooperative_matrix = CooperativeMatrix::new(16, [32, 32], true, 256, 16 << 10).unwrap();
    let asked = products::on_cooperative_matrix(&device, [7, 5, 3], cooperative_matrix, Shares::SMALL);
    let failure = now(asked).unwrap_err();
    assert!(matches!(failure, DeviceFailure::Refused(_)) && !failure.is_final(), "{failure}");
    let expected = now(products::staged_in_half(&device, [7, 5, 3])).unwrap();
    assert_eq!(expected[0].len(), 35, "what follows is as if nothing had been");
}

#[test]
fn cooperative_matrices_are_held_against_the_portable_form() {
    let Some(device) = device() else { return };
    let cooperative_matrix =
        CooperativeMatrix { is_emulated: true, ..CooperativeMatrix::new(16, [32, 32], true, 256, 16 << 10).unwrap() };
    let asked = products::on_cooperative_matrix(&device, [67, 68, 100], cooperative_matrix, Shares::SMALL);
    let found = now(asked).unwrap();
    let expected = now(products::staged_in_half(&device, [67, 68, 100])).unwrap();
    assert_eq!(found.len(), 5);
    for (found, expected) in found.iter().zip(&expected) {
        assert!(error(found, expected) <= TOLERANCE);
    }
}

/// On a device of its own: nothing else here should notice.
#[test]
fn a_device_that_goes_away_ends_the_verification_and_no_verdict_comes_of_it() {
    if device().is_none() {
        return;
    }
    let alone = for_tests::open_alone(DeviceChoice::Gpu).unwrap();
    let mut count = 0;
    let verdict = verify(&alone.device, Extent::Short, &mut |progress| {
        count += 1;
        if count == 3 && matches!(progress, Progress::Begins(_)) {
            for_tests::lose(&alone.device);
        }
    });
    assert!(matches!(verdict, Err(DeviceFailure::Lost(_))), "{verdict:?}");
}

#[test]
fn one_adapters_switches_are_not_anothers() {
    if device().is_none() {
        return;
    }
    let alone = for_tests::open_alone(DeviceChoice::Gpu).unwrap();
    let shared = device().unwrap();
    set_enabled(&alone.device, Kernel::Linear, false);
    assert!(!crate::all_enabled(&alone.device) && crate::all_enabled(&shared));
    let launched = |device: &Device| {
        let x = matrix(1, [3, 4], device);
        launches::record(|| crate::linear(x.clone(), x.clone(), Tensor::zeros([3], device))).1
    };
    let ours = |names: &[&str]| names.iter().any(|name| name.starts_with(launches::PREFIX));
    assert!(!ours(&launched(&alone.device)) && ours(&launched(&shared)));
}

#[test]
fn wrong_numbers_missing_ones_and_nan_are_failures() {
    assert!(error(&[1.0, 2.0], &[1.0, 2.0]) <= TOLERANCE);
    assert!(error(&[1.0, 2.1], &[1.0, 2.0]) > TOLERANCE);
    assert!(error(&[1.0], &[1.0, 2.0]) > TOLERANCE);
    assert!(error(&[f64::NAN, 2.0], &[1.0, 2.0]) > TOLERANCE);
}

#[test]
fn only_wrong_numbers_are_a_difference() {
    let check = |error, failure: Option<&str>| Check {
        kernel: Kernel::Linear,
        case: "a case".to_owned(),
        error,
        tolerance: TOLERANCE,
        seconds: 0.0,
        failure: failure.map(str::to_owned),
    };
    assert!(check(1.0, None).differs() && !check(1.0, None).passed());
    let none = check(f64::INFINITY, Some("the device refused its work"));
    assert!(!none.differs() && !none.passed());
    assert!(check(0.0, None).passed());
}
