//! Opening devices.

use burn::tensor::Tensor;
use electra_kernels::device::{DeviceChoice, DeviceError, adapters, open};

use crate::support::adapter::gpu;

#[test]
fn a_graphics_adapter_computes_and_opens_once() {
    let Some(opened) = gpu() else { return };
    assert!(opened.is_gpu);
    assert_eq!(opened.warning.is_some(), opened.description.contains("software"), "{opened:?}");
    let rows = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &opened.device);
    let product = rows.clone().matmul(rows).into_data().try_to_vec::<f32>().expect("f32");
    assert_eq!(product, [7.0, 10.0, 15.0, 22.0]);
    let again = open(DeviceChoice::Gpu).expect("it was open before");
    assert_eq!(again.device, opened.device, "a second runtime would have memory of its own");
}

#[test]
fn every_listed_number_opens_the_adapter_of_that_name() {
    if gpu().is_none() {
        return;
    }
    for adapter in adapters() {
        let opened = open(DeviceChoice::GpuIndex(adapter.number)).expect("a listed adapter opens");
        assert!(opened.description.starts_with(&adapter.name), "{opened:?}");
    }
}

#[test]
fn a_number_beyond_the_list_is_refused() {
    let count = adapters().len();
    let error = open(DeviceChoice::GpuIndex(count)).expect_err("there is no such adapter");
    match count {
        0 => assert_eq!(error, DeviceError::NoAdapter(DeviceChoice::GpuIndex(0))),
        _ => assert_eq!(error, DeviceError::NoSuchAdapter { number: count, count }),
    }
}

#[test]
fn auto_needs_no_graphics_adapter() {
    let opened = open(DeviceChoice::Auto).expect("the CPU is always there");
    assert!(!opened.description.contains("software"), "{opened:?}");
}
