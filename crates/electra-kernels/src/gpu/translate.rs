//! Every variant of a shader that a test launches is validated and translated for the platforms that are not here.
//!
//! Burn's runtime reports a shader that does not compile only when its results are read, and a driver of another
//! platform may refuse what this one takes. So in tests each new text first goes through naga's validation and its
//! writers of SPIR-V (Vulkan), MSL (Metal) and HLSL (DirectX 12), on the thread that launches it. Cooperative matrices have
//! no HLSL: naga's writer knows none, and no adapter of DirectX 12 is said to have them.
//!
//! naga knows what it writes to, too, and so each text is also held against a rule of shaders/README.md: workgroup memory is
//! written in whole elements.
//!
//! Browsers have compilers of their own, which are stricter. With the environment variable `ELECTRA_SHADERS_TO`, a folder,
//! each text is also written there, for `cargo xtask test browser` to hand to one, but for those that no page launches: with
//! cooperative matrices, subgroups, or more workgroup memory than every browser gives.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, FunctionInfo, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Block, Expression, Function, Module, Statement, TypeInner};

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
    let has_matrices = source.contains("enable wgpu_cooperative_matrix;");
    // Only where the adapter is known to have them, so that browsers have no say.
    let has_subgroups = ["subgroupBroadcast(", "subgroupShuffleXor("].iter().any(|call| source.contains(call));
    let fail = |what: &str, problem: String| -> ! { panic!("{name}: {what}: {problem}\n{}", numbered(source)) };
    let module =
        naga::front::wgsl::parse_str(source).unwrap_or_else(|error| fail("WGSL", error.emit_to_string(source)));
    if let Some(folder) =
        std::env::var_os("ELECTRA_SHADERS_TO").filter(|_| !has_matrices && !has_subgroups && fits_a_page(&module))
    {
        let path = Path::new(&folder).join(format!("{}_{number:03}.wgsl", name.rsplit(':').next().unwrap_or(name)));
        std::fs::write(&path, source).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    // What every browser offers: no capability beyond the standard's, but for those that a text asks for by name.
    let mut capabilities = Capabilities::empty();
    if source.contains("enable f16;") {
        capabilities |= Capabilities::SHADER_FLOAT16;
    }
    if has_matrices {
        // wgpu allows subgroups with no word of the text's.
        capabilities |= Capabilities::COOPERATIVE_MATRIX | Capabilities::SUBGROUP;
    }
    if has_subgroups {
        capabilities |= Capabilities::SUBGROUP;
    }
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .unwrap_or_else(|error| fail("validation", error.emit_to_string(source)));
    let parts = partial_writes(&module, &info);
    if parts > 0 {
        fail("workgroup memory", format!("{parts} writes to parts of a vector or a matrix: see shaders/README.md"));
    }
    // The first version with subgroups, which wgpu goes beyond on any driver that has them.
    let lang_version = if has_subgroups || has_matrices { (1, 3) } else { spv::Options::default().lang_version };
    spv::write_vec(&module, &info, &spv::Options { lang_version, ..spv::Options::default() }, None)
        .unwrap_or_else(|error| fail("SPIR-V", error.to_string()));
    to_msl(&module, &info, has_matrices || has_subgroups).unwrap_or_else(|error| fail("MSL", error));
    if has_matrices {
        return;
    }
    to_hlsl(&module, &info, has_subgroups).unwrap_or_else(|error| fail("HLSL", error));
}

/// Whether a workgroup's memory is no more than every browser gives. Larger tiles run where the adapter is known to have room.
fn fits_a_page(module: &Module) -> bool {
    let shared = module.global_variables.iter().filter(|(_, variable)| variable.space == AddressSpace::WorkGroup);
    let bytes: u32 = shared.map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx())).sum();
    bytes <= 16 << 10
}

/// Writes of `module` to a component of a vector, or a row of a matrix, in workgroup memory: where several invocations make
/// them, they race.
fn partial_writes(module: &Module, info: &ModuleInfo) -> usize {
    let functions = module.functions.iter().map(|(handle, function)| (function, &info[handle]));
    let entries = module.entry_points.iter().enumerate();
    let entries = entries.map(|(number, entry)| (&entry.function, info.get_entry_point(number)));
    functions.chain(entries).map(|(function, info)| partial_writes_in(module, function, info, &function.body)).sum()
}

fn partial_writes_in(module: &Module, function: &Function, info: &FunctionInfo, block: &Block) -> usize {
    let within = |block: &Block| partial_writes_in(module, function, info, block);
    let is_partial = |pointer: naga::Handle<Expression>| {
        let (Expression::Access { base, .. } | Expression::AccessIndex { base, .. }) = function.expressions[pointer]
        else {
            return false;
        };
        match *info[base].ty.inner_with(&module.types) {
            TypeInner::Pointer { base, space: AddressSpace::WorkGroup } => {
                matches!(module.types[base].inner, TypeInner::Vector { .. } | TypeInner::Matrix { .. })
            }
            TypeInner::ValuePointer { size: Some(_), space: AddressSpace::WorkGroup, .. } => true,
            _ => false,
        }
    };
    let count = |statement: &Statement| match statement {
        Statement::Store { pointer, .. } => usize::from(is_partial(*pointer)),
        Statement::Block(block) => within(block),
        Statement::If { accept, reject, .. } => within(accept) + within(reject),
        Statement::Switch { cases, .. } => cases.iter().map(|case| within(&case.body)).sum(),
        Statement::Loop { body, continuing, .. } => within(body) + within(continuing),
        _ => 0,
    };
    block.iter().map(count).sum()
}

fn to_msl(module: &Module, info: &ModuleInfo, is_recent: bool) -> Result<(), String> {
    let default = msl::Options::default();
    // The first version that has matrices and all of subgroups; wgpu asks the device for it.
    let lang_version = if is_recent { (2, 3) } else { default.lang_version };
    let options = msl::Options { fake_missing_bindings: true, lang_version, ..default };
    msl::write_string(module, info, &options, &msl::PipelineOptions::default())
        .map(drop)
        .map_err(|error| error.to_string())
}

fn to_hlsl(module: &Module, info: &ModuleInfo, has_subgroups: bool) -> Result<(), String> {
    let default = hlsl::Options::default();
    let shader_model = if has_subgroups { hlsl::ShaderModel::V6_0 } else { default.shader_model };
    let options = hlsl::Options { shader_model, ..default };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_to_parts_of_what_invocations_share_are_found() {
        let found = |body: &str| {
            let text = format!(
                "var<workgroup> fours: array<vec4<f32>, 64>;
                var<workgroup> singles: array<f32, 64>;
                var<workgroup> table: mat4x4<f32>;
                @compute @workgroup_size(64)
                fn main(@builtin(local_invocation_index) lane: u32) {{ {body} }}"
            );
            let module = naga::front::wgsl::parse_str(&text).unwrap();
            let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module).unwrap();
            partial_writes(&module, &info)
        };
        // As product_staged.wgsl once had it.
        assert_eq!(found("for (var i = 0u; i < 4u; i++) { fours[i * 16u + lane / 4u][lane % 4u] = 1.0; }"), 1);
        assert_eq!(found("if (lane < 9u) { fours[lane].x = 1.0; } else { fours[lane].w += 1.0; }"), 2);
        assert_eq!(found("let p = &fours[lane]; (*p)[2] = 1.0;"), 1);
        assert_eq!(found("table[lane % 4u] = vec4<f32>(); table[1][2] = 3.0;"), 2);
        let whole = "var four = vec4<f32>(); four.x = 1.0; four[lane % 4u] = 2.0; fours[lane] = four;
            singles[lane] = four.x; table = mat4x4<f32>(); let p = &fours[lane]; *p = four;";
        assert_eq!(found(whole), 0);
    }

    /// What `common/matrix_units.wgsl` relies on, and no adapter here could show.
    #[test]
    fn t_means_rows_side_by_side() {
        let text = |load: &str| {
            format!(
                "enable f16; enable wgpu_cooperative_matrix;
                var<workgroup> tile: array<f16, 64>;
                var<workgroup> sums: array<f32, 64>;
                @compute @workgroup_size(32)
                fn main() {{
                    let a = {load}<coop_mat8x8<f16, A>>(&tile[0], 8u);
                    let b = {load}<coop_mat8x8<f16, B>>(&tile[0], 8u);
                    let c = {load}<coop_mat8x8<f32, C>>(&sums[0], 8u);
                    coopStoreT(coopMultiplyAdd(a, b, c), &sums[0], 8u);
                }}"
            )
        };
        for (load, layout, transposes) in [("coopLoadT", 0, "false"), ("coopLoad", 1, "true")] {
            let module = naga::front::wgsl::parse_str(&text(load)).unwrap();
            let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module).unwrap();
            // Of SPIR-V: OpCooperativeMatrixLoadKHR with RowMajorKHR (0) or ColumnMajorKHR (1), a constant's id.
            let words = spv::write_vec(&module, &info, &spv::Options::default(), None).unwrap();
            let (mut constants, mut layouts, mut rest) = (std::collections::HashMap::new(), Vec::new(), &words[5..]);
            while let Some(&first) = rest.first() {
                let (length, operation) = ((first >> 16) as usize, first & 0xffff);
                match operation {
                    43 => drop(constants.insert(rest[2], rest[3])),
                    4457 => layouts.push(constants[&rest[4]]),
                    _ => {}
                }
                rest = &rest[length..];
            }
            assert_eq!(layouts, [layout; 3], "{load}");
            let options = msl::Options { lang_version: (2, 3), fake_missing_bindings: true, ..msl::Options::default() };
            let (text, _) = msl::write_string(&module, &info, &options, &msl::PipelineOptions::default()).unwrap();
            assert_eq!(text.matches(&format!("8u, {transposes})")).count(), 3, "{load}: {text}");
        }
    }
}
