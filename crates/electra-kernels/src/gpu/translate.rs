//! Every variant of a shader that a test launches is validated and translated for the platforms that are not here.
//!
//! Burn's runtime reports a shader that does not compile only when its results are read, and a driver of another
//! platform may refuse what this one takes. So in tests each new text first goes through naga's validation and its
//! writers of SPIR-V (Vulkan), MSL (Metal) and HLSL (DirectX 12), on the thread that launches it.
//!
//! Browsers have compilers of their own, which are stricter. With the environment variable `ELECTRA_SHADERS_TO`, a folder,
//! each text is also written there, for `cargo xtask test browser` to hand to one.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

static SEEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// # Panics
/// If `source` is not valid WGSL, or cannot be written in one of the languages.
pub(super) fn check(name: &str, source: &str) {
    let number = {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.insert(source.to_owned()) {
            return;
        }
        seen.len()
    };
    if let Some(folder) = std::env::var_os("ELECTRA_SHADERS_TO") {
        let path = Path::new(&folder).join(format!("{}_{number:03}.wgsl", name.rsplit(':').next().unwrap_or(name)));
        std::fs::write(&path, source).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let fail = |what: &str, problem: String| -> ! { panic!("{name}: {what}: {problem}\n{}", numbered(source)) };
    let module =
        naga::front::wgsl::parse_str(source).unwrap_or_else(|error| fail("WGSL", error.emit_to_string(source)));
    // What every browser offers: no capability beyond the standard's, but for those that a text asks for by name.
    let mut capabilities = Capabilities::empty();
    if source.contains("enable f16;") {
        capabilities |= Capabilities::SHADER_FLOAT16;
    }
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .unwrap_or_else(|error| fail("validation", error.emit_to_string(source)));
    spv::write_vec(&module, &info, &spv::Options::default(), None)
        .unwrap_or_else(|error| fail("SPIR-V", error.to_string()));
    to_msl(&module, &info).unwrap_or_else(|error| fail("MSL", error));
    to_hlsl(&module, &info).unwrap_or_else(|error| fail("HLSL", error));
}

fn to_msl(module: &naga::Module, info: &ModuleInfo) -> Result<(), String> {
    let options = msl::Options { fake_missing_bindings: true, ..msl::Options::default() };
    msl::write_string(module, info, &options, &msl::PipelineOptions::default())
        .map(drop)
        .map_err(|error| error.to_string())
}

fn to_hlsl(module: &naga::Module, info: &ModuleInfo) -> Result<(), String> {
    let options = hlsl::Options::default();
    let pipeline = hlsl::PipelineOptions::default();
    let mut text = String::new();
    hlsl::Writer::new(&mut text, &options, &pipeline)
        .write(module, info, None)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn numbered(source: &str) -> String {
    source.lines().enumerate().map(|(number, line)| format!("{:4} {line}\n", number + 1)).collect()
}
