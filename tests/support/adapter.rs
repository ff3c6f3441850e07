//! The graphics adapter that tests run on.

pub(crate) use electra_kernels::device::for_tests::{
    gpu, gpu_with_f16, is_gpu_left_out, limit_memory, lose, open_alone, skip,
};
