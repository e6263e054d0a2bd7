// Sums the second number of each pair in a fixed order, and counts those that are not finite.
//
// Each invocation adds every STRIDE-th pair, each workgroup its invocations in a tree; the few
// results are added on the host, in f64 and in order. STRIDE does not depend on the device.

const WORKGROUP: u32 = 64u;
const GROUPS: u32 = 64u;
const STRIDE: u32 = WORKGROUP * GROUPS;
const EXPONENT: u32 = 0x7f800000u;

struct Params {
    pairs: u32,   // how many there are
    results: u32, // where this reduction's results start in `results`
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pairs: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> results: array<vec2<f32>>; // sum, count

var<workgroup> tree: array<vec2<f32>, 64>;

@compute @workgroup_size(64)
fn reduce(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    var sum = 0.0;
    var count = 0.0;
    for (var at = group.x * WORKGROUP + invocation; at < params.pairs; at += STRIDE) {
        let value = pairs[at].y;
        sum += value;
        if (bitcast<u32>(value) & EXPONENT) == EXPONENT {
            count += 1.0;
        }
    }
    tree[invocation] = vec2(sum, count);
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if invocation < width {
            tree[invocation] += tree[invocation + width];
        }
    }
    if invocation == 0u {
        results[params.results + group.x] = tree[0];
    }
}
