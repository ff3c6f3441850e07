//! Tests of the choice of a device.

use super::adapters::best;
use super::*;

fn adapter(number: usize, kind: AdapterKind) -> AdapterInfo {
    AdapterInfo {
        number,
        name: format!("adapter {number}"),
        backend: "vulkan".into(),
        kind,
        driver: String::new(),
        vendor: String::new(),
        is_software: kind == AdapterKind::Software,
        free_memory_bytes: None,
        limits: AdapterLimits {
            max_buffer_bytes: 0,
            max_storage_binding_bytes: 0,
            max_storage_buffers: 0,
            workgroup_memory_bytes: 0,
            max_workgroup_invocations: 0,
            max_workgroups_per_dimension: 0,
            subgroup_sizes: [0, 0],
        },
        features: AdapterFeatures {
            f16: false,
            subgroups: false,
            timestamps: false,
            cooperative_matrix: false,
            cooperative_matrix_size: None,
            float_atomics: false,
        },
    }
}

#[test]
fn every_word_for_a_device_survives_a_round_trip() {
    for word in ["auto", "cpu", "gpu", "gpu:0", "gpu:17"] {
        assert_eq!(word.parse::<DeviceChoice>().unwrap().to_string(), word);
    }
    for word in ["", "GPU", "gpu:", "gpu:-1", "gpu:x", "cuda"] {
        let message = word.parse::<DeviceChoice>().unwrap_err().to_string();
        assert!(message.contains("auto, cpu, gpu or gpu:N"), "{message}");
    }
}

#[test]
fn a_discrete_card_wins_and_a_software_adapter_is_never_automatic() {
    use AdapterKind::*;
    let kinds = [Software, VirtualGpu, IntegratedGpu, DiscreteGpu, DiscreteGpu, Other];
    let all: Vec<_> = kinds.iter().enumerate().map(|(number, &kind)| adapter(number, kind)).collect();
    assert_eq!(best(&all).map(|adapter| adapter.number), Some(3));
    assert_eq!(automatic(&all), Some(3));
    assert_eq!(automatic(&all[..1]), None);
    assert_eq!(best(&all[..1]).map(|adapter| adapter.number), Some(0));
    assert_eq!(automatic(&[]), None);
}

#[test]
fn an_adapter_number_beyond_the_list_says_how_many_there_are() {
    let message = |count| DeviceError::NoSuchAdapter { number: 7, count }.to_string();
    assert!(message(1).contains("there is one adapter only (gpu:0);"), "{}", message(1));
    assert!(message(3).contains("there are 3 adapters (gpu:0 to gpu:2);"), "{}", message(3));
}

#[test]
fn the_cpu_always_opens() {
    let opened = open(DeviceChoice::Cpu).unwrap();
    assert!(!opened.is_gpu && opened.warning.is_none());
    let sum = burn::tensor::Tensor::<1>::from_floats([1.0, 2.0, 3.0], &opened.device).sum();
    assert_eq!(sum.into_scalar::<f32>(), 6.0);
}
