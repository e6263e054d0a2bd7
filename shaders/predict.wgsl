// Predictions of pairs.
//
// One invocation owns one pair.
//
// users, items: (rows of a tile, WIDTH), rows padded with zeros to whole vec4s.

override WIDTH: u32 = 8u; // vec4 columns of a row

const WORKGROUP: u32 = 64u;

struct Params {
    pairs: u32,     // how many it has
    user_bias: u32, // where the user tile's biases start in `biases`
    item_bias: u32, // where the item tile's start
    global_mean: f32,
}

struct Pair {
    user: u32,
    item: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pairs: array<Pair>;
@group(0) @binding(2) var<storage, read> users: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> items: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> biases: array<f32>;
@group(0) @binding(5) var<storage, read_write> predictions: array<f32>;

@compute @workgroup_size(64)
fn predict(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let at = group.x * WORKGROUP + invocation;
    if at < params.pairs {
        let pair = pairs[at];
        let bias = biases[params.user_bias + pair.user] + biases[params.item_bias + pair.item];
        var inner = 0.0;
        for (var column = 0u; column < WIDTH; column += 1u) {
            inner += dot(users[pair.user * WIDTH + column], items[pair.item * WIDTH + column]);
        }
        predictions[at] = params.global_mean + bias + inner;
    }
}
