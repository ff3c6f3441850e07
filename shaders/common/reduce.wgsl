// Sums over a workgroup with one barrier before and one after: every invocation adds all partial sums itself, in one order.
// A tree of halvings would need a barrier a level, and on software adapters each barrier suspends every invocation.
var<workgroup> partial_sums: array<vec2<f32>, {{WORKGROUP}}>;

fn workgroup_sum(value: vec2<f32>, lane: u32) -> vec2<f32> {
    partial_sums[lane] = value;
    workgroupBarrier();
    var total = vec2<f32>();
    for (var other = 0u; other < {{WORKGROUP}}u; other++) {
        total += partial_sums[other];
    }
    workgroupBarrier();
    return total;
}
