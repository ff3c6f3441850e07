// What every kernel begins with: the table of sizes behind the last tensor, and the workgroup's number in a folded grid.
// `sizes[0]` is the number of workgroups that have work; the grid may be larger.
@group(0) @binding({{BUFFERS}}) var<storage, read> sizes: array<u32>;

const WORKGROUP: u32 = {{WORKGROUP}}u;

fn workgroup_number(id: vec3<u32>, grid: vec3<u32>) -> u32 {
    return id.x + id.y * grid.x;
}
