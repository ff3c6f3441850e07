// What every kernel begins with: the table of sizes behind the last tensor, and the workgroup's number.
// A launch may take several dispatches, and a dispatch two dimensions: `sizes[0]` is the first workgroup of this one. No
// workgroup is without work, so that only lanes need guards.
@group(0) @binding({{BUFFERS}}) var<storage, read> sizes: array<u32>;

const WORKGROUP: u32 = {{WORKGROUP}}u;

fn workgroup_number(id: vec3<u32>, grid: vec3<u32>) -> u32 {
    return sizes[0] + id.x + id.y * grid.x;
}
