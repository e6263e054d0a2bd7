// The loss of a set of ratings, summed for each workgroup in a fixed tree.
//
// One invocation owns one rating. Twin: src/cpu/kernels/error.rs.
//
// users, items: (rows of a tile, WIDTH), rows padded with zeros to whole vec4s.

override WIDTH: u32 = 8u;        // vec4 columns of a row
override LOGISTIC: bool = false; // the loss: cross-entropy instead of the squared error

const WORKGROUP: u32 = 64u;

struct Params {
    ratings: u32,        // how many it has
    user_bias: u32,      // where the user tile's biases start in `biases`
    item_bias: u32,      // where the item tile's start
    global_mean: f32,
}

struct Rating {
    user: u32,
    item: u32,
    value: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ratings: array<Rating>;
@group(0) @binding(2) var<storage, read> users: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> items: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> biases: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec2<f32>>; // 0, sum of the loss

var<workgroup> tree: array<f32, 64>;

@compute @workgroup_size(64)
fn error(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let at = group.x * WORKGROUP + invocation;
    let rating = ratings[min(at, params.ratings - 1u)];
    let bias = biases[params.user_bias + rating.user] + biases[params.item_bias + rating.item];
    var inner = 0.0;
    for (var column = 0u; column < WIDTH; column += 1u) {
        inner += dot(users[rating.user * WIDTH + column], items[rating.item * WIDTH + column]);
    }
    let prediction = params.global_mean + bias + inner;
    var loss = (rating.value - prediction) * (rating.value - prediction);
    if LOGISTIC {
        loss = max(prediction, 0.0) - rating.value * prediction
            + log(1.0 + exp(-abs(prediction)));
    }
    tree[invocation] = select(0.0, loss, at < params.ratings);
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if invocation < width {
            tree[invocation] += tree[invocation + width];
        }
    }
    if invocation == 0u {
        partials[group.x] = vec2(0.0, tree[0]);
    }
}
