// The score of each pair of a batch, for losses made for ranking.
//
// An invocation owns a pair. Twin: src/cpu/kernels/pairs.rs, with pairs.wgsl.
//
// users, items: (slots of a tile, WIDTH + 1), rows with their heads: scale and bias.

override WIDTH: u32 = 8u; // vec4 columns of a row

const WORKGROUP: u32 = 64u;

struct Params {
    first: u32,      // the dispatch's first pair; users of all lie in the tile
    pairs: u32,      // how many it has
    first_user: u32, // the tile's first slot
    first_item: u32, // the same of items
    items: u32,      // slots of the tile; pairs with others are passed over
}

struct Pair {
    user: u32,        // slots of the batch
    item: u32,
    begin: u32,       // the draw that its search begins at
    weight: f32,
    threshold: f32,   // the score at the cut-off of its user's list
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> batch: array<Pair>;
@group(0) @binding(2) var<storage, read> users: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> items: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;

// The inner product of a user's and an item's row.
fn product_of(user: u32, item: u32) -> f32 {
    let here = user * (WIDTH + 1u);
    let other = item * (WIDTH + 1u);
    var sums = vec4<f32>();
    for (var column = 0u; column < WIDTH; column += 1u) {
        sums = fma(users[here + column], items[other + column], sums);
    }
    return ((sums.x + sums.y) + sums.z) + sums.w;
}

@compute @workgroup_size(64)
fn pair_score(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let at = group.x * WORKGROUP + invocation;
    if at < params.pairs {
        let pair = batch[params.first + at];
        let item = pair.item - params.first_item;
        if item < params.items {
            let bias = items[item * (WIDTH + 1u) + WIDTH].y;
            scores[params.first + at] = product_of(pair.user - params.first_user, item) + bias;
        }
    }
}
