// Masked language modelling: all that is asked of one row of logits, by one workgroup.
//   nll = log(sum(exp(z))) - z[target];  predicted = argmax z;  sampled = argmax(z / T + Gumbel noise)
// With GRADIENT the logits become weight * (softmax(z) - [v = target]), ready for the products with table and rows. Not yet
// divided by the number of rows: half precision has no value between 0 and 6e-8.
// With SOFTMAX what a softmax needs of each row is kept, for a gradient that is made later.
// Ties go to the lowest id. A row of weight 0 gives loss 0 and gradient 0.
// Pairs with crates/electra-kernels/src/ops/mlm_loss/gpu.rs
//#include launch
//#if SAMPLE
//#include noise
//#include gumbel
//#end
@group(0) @binding(0) var<storage, read_write> logits: array<f32>;  // [rows of this chunk, vocab]
@group(0) @binding(1) var<storage, read_write> targets: array<i32>; // [all rows], only read
@group(0) @binding(2) var<storage, read_write> weights: array<f32>; // [all rows], only read
@group(0) @binding(3) var<storage, read_write> nll: array<f32>;     // [all rows]
@group(0) @binding(4) var<storage, read_write> ids: array<i32>;     // [2, all rows]: predicted, sampled
//#if SOFTMAX
@group(0) @binding(5) var<storage, read_write> softmax: array<vec2<f32>>; // [all rows]: highest logit, sum of the exponentials of all less it
//#end

var<workgroup> values: array<vec2<f32>, {{WORKGROUP}}>;
var<workgroup> places: array<vec2<u32>, {{WORKGROUP}}>;
var<workgroup> sums: array<f32, {{WORKGROUP}}>;

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let group = workgroup_number(id, grid);
    let vocab = sizes[1];
    let row = sizes[2] + group;
    let all_rows = sizes[3];
    let first = group * vocab;
    let target_id = min(u32(targets[row]), vocab - 1u);
//#if SAMPLE
    // Words 4 and on: key, 1 / T, what is added to the target before the draw, rows of an example, examples.
    let rows_of_example = sizes[8];
    let key = child_key(child_key(vec2<u32>(sizes[4], sizes[5]), sizes[9u + row / rows_of_example]), row % rows_of_example);
    let inverse_temperature = bitcast<f32>(sizes[6]);
    let penalty = bitcast<f32>(sizes[7]);
//#end
    var top = vec2<f32>(-3.4e38);
    var top_at = vec2<u32>(0u);
    for (var v = lane; v < vocab; v += WORKGROUP) {
        let z = logits[first + v];
        if (z > top.x) {
            top.x = z;
            top_at.x = v;
        }
//#if SAMPLE
        var drawn = z * inverse_temperature + gumbel(noise_bits(key, v));
        if (v == target_id) {
            drawn += penalty * inverse_temperature;
        }
        if (drawn > top.y) {
            top.y = drawn;
            top_at.y = v;
        }
//#end
    }
    values[lane] = top;
    places[lane] = top_at;
    workgroupBarrier();
    for (var other = 0u; other < WORKGROUP; other++) {
        let value = values[other];
        let place = places[other];
        if (value.x > top.x || (value.x == top.x && place.x < top_at.x)) {
            top.x = value.x;
            top_at.x = place.x;
        }
//#if SAMPLE
        if (value.y > top.y || (value.y == top.y && place.y < top_at.y)) {
            top.y = value.y;
            top_at.y = place.y;
        }
//#end
    }
    var own = 0.0;
    for (var v = lane; v < vocab; v += WORKGROUP) {
        own += exp(logits[first + v] - top.x);
    }
    sums[lane] = own;
    workgroupBarrier();
    var sum = 0.0;
    for (var other = 0u; other < WORKGROUP; other++) {
        sum += sums[other];
    }
    let weight = weights[row];
    if (lane == 0u) {
        nll[row] = select(0.0, log(sum) - (logits[first + target_id] - top.x), weight != 0.0);
        ids[row] = i32(top_at.x);
//#if SOFTMAX
        softmax[row] = vec2<f32>(top.x, sum);
//#end
//#if SAMPLE
        ids[all_rows + row] = i32(top_at.y);
//#end
    }
//#if GRADIENT
    // The target's logit has been read above by one invocation, and is written below by another.
    workgroupBarrier();
    for (var v = lane; v < vocab; v += WORKGROUP) {
        let share = exp(logits[first + v] - top.x) / sum - select(0.0, 1.0, v == target_id);
        logits[first + v] = select(0.0, share * weight, weight != 0.0);
    }
//#end
}
