//! The command `electra`; everything it does is in `electra-cli`.

/// A step allocates and frees hundreds of megabytes: the system's allocator returns them to the kernel each time,
/// and page faults then cost more than the arithmetic (docs/PERFORMANCE.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    electra_cli::main()
}
