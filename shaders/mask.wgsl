// Takes excluded candidates out of a tile of scores: no score is as low as LOWEST.
//
// One invocation owns one score. The CPU leaves them out as it keeps the best.

const WORKGROUP: u32 = 64u;
const LOWEST: f32 = -3.4028234663852886e38;

struct Params {
    places: u32, // how many there are
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> places: array<u32>; // in `scores`
@group(0) @binding(2) var<storage, read_write> scores: array<f32>;

@compute @workgroup_size(64)
fn mask(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let at = group.x * WORKGROUP + invocation;
    if at < params.places {
        scores[places[at]] = LOWEST;
    }
}
