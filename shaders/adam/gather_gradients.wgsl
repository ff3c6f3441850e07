// Copies gradients from wherever they lie into the arena, COUNT of them at once: the optimizer then sees one array.
// VECTOR: all lengths are multiples of 4, and all numbers here count vectors.
// Pairs with crates/electra-kernels/src/ops/adam/gpu.rs
//#include launch
//#if VECTOR
alias Part = vec4<f32>;
//#else
alias Part = f32;
//#end
@group(0) @binding(0) var<storage, read_write> arena: array<Part>;
//#for i in 0..COUNT
@group(0) @binding({{1 + i}}) var<storage, read_write> gradient{{i}}: array<Part>;
//#end

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_number(id, grid) * WORKGROUP + lane;
    // Words 1 + 3 i: where the indices of gradient i begin, its length, and its place in the arena.
//#for i in 0..COUNT
    {
        let inside = index - sizes[{{1 + 3 * i}}];
        if (index >= sizes[{{1 + 3 * i}}] && inside < sizes[{{2 + 3 * i}}]) {
//#if ADD
            arena[sizes[{{3 + 3 * i}}] + inside] += gradient{{i}}[inside];
//#else
            arena[sizes[{{3 + 3 * i}}] + inside] = gradient{{i}}[inside];
//#end
        }
    }
//#end
}
