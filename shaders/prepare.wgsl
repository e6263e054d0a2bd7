// Rows of a batch made ready to be scored, for losses made for ranking: without the factors that are left
// out by chance, and of length 1 where scores are cosines.
//
// A team of LANES lanes owns a row; each lane up to four vec4 columns. Twin: src/cpu/kernels/prepare.rs.
//
// factors: (rows of a tile, WIDTH); prepared: (slots of a tile, WIDTH + 1), where the last vec4 of a row is
// its head: the scale `1/|z|` and the bias.

override LANES: u32 = 8u;       // lanes of a team: a power of two, at most 64
override COLUMNS: u32 = 1u;     // vec4 columns a lane holds: 1 to 4
override WIDTH: u32 = 8u;       // vec4 columns of a row: at most LANES * COLUMNS
override COSINE: bool = true;   // whether rows are made of length 1
override DROPOUT: bool = false; // whether factors are left out
override BIAS: bool = false;    // whether rows have a bias

const WORKGROUP: u32 = 64u;

struct Params {
    first: u32,     // the dispatch's first slot, in `slots`
    rows: u32,      // how many it has
    to: u32,        // where the first lies in `prepared`
    first_row: u32, // the first row of the tile of `factors`
    own_bias: u32,  // where the tile's biases start in `biases`
    key_low: u32,   // the seed
    key_high: u32,
    sweep: u32,     // the step
    tag: u32,       // what the random words are for
    below: u32,     // factors whose word is below this are left out
    keep: f32,      // what the others are multiplied with
}

struct Slot {
    row: u32,   // the row of the side
    start: u32, // its first entry
    pairs: u32, // how many it has
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> slots: array<Slot>;
@group(0) @binding(2) var<storage, read> factors: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> biases: array<f32>;
@group(0) @binding(4) var<storage, read_write> prepared: array<vec4<f32>>;

// The generator, from here to the end of `random_words`: the same text in each shader that draws. Twin:
// src/math/random.rs.

// A 64-bit product: its high and its low word, from halves of 16 bits.
fn product(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let middle = (a >> 16u) * (b & 0xffffu);
    let other = (a & 0xffffu) * (b >> 16u);
    let carried = (low >> 16u) + (middle & 0xffffu) + (other & 0xffffu);
    let high = (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u) + (carried >> 16u);
    return vec2(high, a * b);
}

// Four random words of a counter under a key: Philox 4x32 with 10 rounds.
fn random_words(start: vec4<u32>, start_key: vec2<u32>) -> vec4<u32> {
    var counter = start;
    var key = start_key;
    for (var turn = 0u; turn < 10u; turn += 1u) {
        let first = product(0xd2511f53u, counter.x);
        let second = product(0xcd9e8d57u, counter.z);
        counter = vec4(second.x ^ counter.y ^ key.x, second.y,
            first.x ^ counter.w ^ key.y, first.y);
        key += vec2(0x9e3779b9u, 0xbb67ae85u);
    }
    return counter;
}

// What the factors of a column of a row are multiplied with: 0 where they are left out, else `keep`.
fn kept(row: u32, column: u32) -> vec4<f32> {
    if !DROPOUT { return vec4(1.0); }
    let key = vec2(params.key_low, params.key_high);
    let words = random_words(vec4(column, row, params.sweep, params.tag), key);
    return select(vec4<f32>(), vec4(params.keep), words >= vec4(params.below));
}

var<workgroup> team_parts: array<f32, 64>;

// The sum over a team's lanes, in their order. One call a kernel: a second would want a barrier before.
fn over_team(part: f32, invocation: u32) -> f32 {
    team_parts[invocation] = part;
    workgroupBarrier();
    let first = invocation / LANES * LANES;
    var sum = 0.0;
    for (var lane = 0u; lane < LANES; lane += 1u) { sum += team_parts[first + lane]; }
    return sum;
}

fn square(v: vec4<f32>) -> f32 { return inner(v, v); }

fn inner(v: vec4<f32>, w: vec4<f32>) -> f32 {
    return fma(v.w, w.w, fma(v.z, w.z, fma(v.y, w.y, v.x * w.x)));
}

// A column of a row, zeros beyond it.
fn own_column(row: u32, column: u32) -> vec4<f32> {
    let here = (row - params.first_row) * WIDTH + min(column, WIDTH - 1u);
    return select(vec4<f32>(), kept(row, column) * factors[here], column < WIDTH);
}

@compute @workgroup_size(64)
fn prepare(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let lane = invocation % LANES;
    let index = group.x * (WORKGROUP / LANES) + invocation / LANES;
    let at = min(index, params.rows - 1u);
    let row = slots[params.first + at].row;
    let column0 = lane;
    let column1 = lane + LANES;
    let column2 = lane + 2u * LANES;
    let column3 = lane + 3u * LANES;
    let z0 = own_column(row, column0);
    var z1 = vec4<f32>();
    var z2 = vec4<f32>();
    var z3 = vec4<f32>();
    if COLUMNS > 1u { z1 = own_column(row, column1); }
    if COLUMNS > 2u { z2 = own_column(row, column2); }
    if COLUMNS > 3u { z3 = own_column(row, column3); }
    var scale = 1.0;
    if COSINE {
        let own = square(z0) + square(z1) + square(z2) + square(z3);
        let length = sqrt(over_team(own, invocation));
        // A row of zeros has no direction. Of a length that is not finite the rest shall not be either.
        scale = select(1.0 / length, 0.0, length == 0.0);
    }
    if index < params.rows {
        let to = (params.to + at) * (WIDTH + 1u);
        if column0 < WIDTH { prepared[to + column0] = scale * z0; }
        if COLUMNS > 1u && column1 < WIDTH { prepared[to + column1] = scale * z1; }
        if COLUMNS > 2u && column2 < WIDTH { prepared[to + column2] = scale * z2; }
        if COLUMNS > 3u && column3 < WIDTH { prepared[to + column3] = scale * z3; }
        if lane == 0u {
            var bias = 0.0;
            if BIAS { bias = biases[params.own_bias + row - params.first_row]; }
            prepared[to + WIDTH] = vec4(scale, bias, 0.0, 0.0);
        }
    }
}
