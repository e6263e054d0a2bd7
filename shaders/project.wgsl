// A row's gradient by its parameters, from the parts of that by the row as it was scored: their sum, across
// the row where scores are cosines, without the factors that were left out. And what `step` has to know of
// the row.
//
// A team of LANES lanes owns a row; each lane up to four vec4 columns. Twin: src/cpu/kernels/choice_step.rs,
// with step.wgsl.
//
// prepared: (slots of a tile, WIDTH + 1), parts: (parts, slots of a tile, WIDTH + 1), gradients: (slots of a
// tile, WIDTH). The head of a part, its last vec4: the gradient by the bias, and the pairs that picked the
// row.

override LANES: u32 = 8u;       // lanes of a team: a power of two, at most 64
override COLUMNS: u32 = 1u;     // vec4 columns a lane holds: 1 to 4
override WIDTH: u32 = 8u;       // vec4 columns of a row: at most LANES * COLUMNS
override COSINE: bool = true;   // whether rows were made of length 1
override DROPOUT: bool = false; // whether factors were left out
override DENSE: bool = true;    // whether there are parts here tiles of users and pool
override PICKS: bool = false;   // whether pairs pick negatives

const WORKGROUP: u32 = 64u;

struct Params {
    first: u32,     // the dispatch's first slot, in `slots`
    rows: u32,      // how many it has
    to: u32,        // where the first lies in its tile
    first_row: u32, // the first row of the tile of parameters
    dense: u32,     // slots of the batch below this have parts here tiles of users and pool
    parts: u32,     // how many of these; the part that pairs made comes after them
    tile: u32,      // rows of a part
    key_low: u32,   // the seed
    key_high: u32,
    sweep: u32,     // the step
    tag: u32,       // what the random words are for
    below: u32,     // factors whose word is below this were left out
    keep: f32,      // what the others were multiplied with
}

struct Slot {
    row: u32,
    start: u32,
    pairs: u32,
}

struct Touched {
    row: u32,
    slot: u32,
    slots: u32,
    weight: f32,
    share: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> slots: array<Slot>;
@group(0) @binding(2) var<storage, read> prepared: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> gradients: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> touched: array<Touched>;
@group(0) @binding(6) var<storage, read_write> sums: array<vec2<f32>>; // gradient by the bias, and 0

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

fn inner(v: vec4<f32>, w: vec4<f32>) -> f32 {
    return fma(v.w, w.w, fma(v.z, w.z, fma(v.y, w.y, v.x * w.x)));
}

// A column of a row's parts, added in their order.
fn part_sum(slot: Slot, at: u32, column: u32) -> vec4<f32> {
    let here = (params.to + at) * (WIDTH + 1u) + column;
    let stride = params.tile * (WIDTH + 1u);
    var sum = vec4<f32>();
    if DENSE && params.first + at < params.dense {
        // Two loads at a time are in flight together.
        let even = params.parts - params.parts % 2u;
        for (var part = 0u; part < even; part += 2u) {
            let a = parts[here + part * stride];
            let b = parts[here + (part + 1u) * stride];
            sum = (sum + a) + b;
        }
        if even < params.parts { sum += parts[here + even * stride]; }
    }
    if PICKS || slot.pairs > 0u { sum += parts[here + params.parts * stride]; }
    return sum;
}

fn own_sum(slot: Slot, at: u32, column: u32) -> vec4<f32> {
    let sum = part_sum(slot, at, min(column, WIDTH - 1u));
    return select(vec4<f32>(), sum, column < WIDTH);
}

fn own_column(at: u32, column: u32) -> vec4<f32> {
    let here = (params.to + at) * (WIDTH + 1u) + min(column, WIDTH - 1u);
    return select(vec4<f32>(), prepared[here], column < WIDTH);
}

@compute @workgroup_size(64)
fn project(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let lane = invocation % LANES;
    let index = group.x * (WORKGROUP / LANES) + invocation / LANES;
    let at = min(index, params.rows - 1u);
    let slot = slots[params.first + at];
    let column0 = lane;
    let column1 = lane + LANES;
    let column2 = lane + 2u * LANES;
    let column3 = lane + 3u * LANES;
    var d0 = own_sum(slot, at, column0);
    var d1 = vec4<f32>();
    var d2 = vec4<f32>();
    var d3 = vec4<f32>();
    if COLUMNS > 1u { d1 = own_sum(slot, at, column1); }
    if COLUMNS > 2u { d2 = own_sum(slot, at, column2); }
    if COLUMNS > 3u { d3 = own_sum(slot, at, column3); }
    if COSINE {
        let x0 = own_column(at, column0);
        var x1 = vec4<f32>();
        var x2 = vec4<f32>();
        var x3 = vec4<f32>();
        if COLUMNS > 1u { x1 = own_column(at, column1); }
        if COLUMNS > 2u { x2 = own_column(at, column2); }
        if COLUMNS > 3u { x3 = own_column(at, column3); }
        let own = inner(d0, x0) + inner(d1, x1) + inner(d2, x2) + inner(d3, x3);
        let along = over_team(own, invocation);
        let scale = prepared[(params.to + at) * (WIDTH + 1u) + WIDTH].x;
        d0 = scale * (d0 - along * x0);
        d1 = scale * (d1 - along * x1);
        d2 = scale * (d2 - along * x2);
        d3 = scale * (d3 - along * x3);
    }
    if index < params.rows {
        let slot_in_tile = params.to + at;
        let to = slot_in_tile * WIDTH;
        if column0 < WIDTH { gradients[to + column0] = kept(slot.row, column0) * d0; }
        if COLUMNS > 1u && column1 < WIDTH { gradients[to + column1] = kept(slot.row, column1) * d1; }
        if COLUMNS > 2u && column2 < WIDTH { gradients[to + column2] = kept(slot.row, column2) * d2; }
        if COLUMNS > 3u && column3 < WIDTH { gradients[to + column3] = kept(slot.row, column3) * d3; }
        if lane == 0u {
            let head = part_sum(slot, at, WIDTH);
            let pairs = f32(slot.pairs) + head.y;
            touched[slot_in_tile] = Touched(slot.row - params.first_row, slot_in_tile, 1u, pairs, 0.0);
            sums[slot_in_tile] = vec2(head.x, 0.0);
        }
    }
}
