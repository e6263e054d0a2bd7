// Scores of a panel: a range of a batch's users against a range of its pool. For softmax over the temperature,
// with the logarithm of what a slot of the pool weighs.
//
// A workgroup owns 64 × 64 scores; an invocation 8 × 8 of them, whose sums stay in registers while both
// sides' rows pass through workgroup memory, STEP vec4 columns at a time.
// Twin: src/cpu/kernels/contrast.rs, with normalizer.wgsl.
//
// users, items: (slots of a tile, WIDTH + 1), rows with their heads; scores: (users, stride), row-major, what
// is beyond the items of the panel LOWEST.

override WIDTH: u32 = 8u;        // vec4 columns of a row
override SOFTMAX: bool = true;   // whether slots have logarithms of weights

const SIDE: u32 = 64u;   // users, and items, of a workgroup
const LANES: u32 = 8u;   // invocations along each side
const STEP: u32 = 4u;    // vec4 columns in workgroup memory
const STRIDE: u32 = 5u;  // of a row there: no two rows of a read share a bank
const LOWEST: f32 = -3.4028234663852886e38;

struct Params {
    first_user: u32, // the panel's first user, in its tile
    users: u32,
    first_item: u32, // the panel's first item, in its tile
    items: u32,
    stride: u32,     // vec4s of a row of scores
    first_slot: u32, // the panel's first item, in `log_weights`
    scale: f32,      // of scores
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> users: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> items: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> log_weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> scores: array<vec4<f32>>;

var<workgroup> user_tile: array<vec4<f32>, 320>; // (SIDE, STRIDE)
var<workgroup> item_tile: array<vec4<f32>, 320>; // the same, every fourth row beside the next

// Adds the products of four numbers with four vectors.
fn products(sum: vec4<f32>, q: vec4<f32>, x: vec4<f32>, y: vec4<f32>, z: vec4<f32>, w: vec4<f32>) -> vec4<f32> {
    return fma(vec4(q.w), w, fma(vec4(q.z), z, fma(vec4(q.y), y, fma(vec4(q.x), x, sum))));
}

// What is added to the scores of four items, and LOWEST for those beyond the panel.
fn offsets(item: u32) -> vec4<f32> {
    return vec4(offset(item), offset(item + 1u), offset(item + 2u), offset(item + 3u));
}

fn offset(item: u32) -> f32 {
    let at = min(item, params.items - 1u);
    var value = params.scale * items[(params.first_item + at) * (WIDTH + 1u) + WIDTH].y;
    if SOFTMAX { value += log_weights[params.first_slot + at]; }
    return select(LOWEST, value, item < params.items);
}

fn write_scores(user: u32, column: u32, a: vec4<f32>, b: vec4<f32>, more_a: vec4<f32>, more_b: vec4<f32>) {
    if user < params.users {
        let to = user * params.stride + column;
        if column < params.stride {
            scores[to] = select(fma(vec4(params.scale), a, more_a), more_a, more_a == vec4(LOWEST));
        }
        if column + LANES < params.stride {
            scores[to + LANES] = select(fma(vec4(params.scale), b, more_b), more_b, more_b == vec4(LOWEST));
        }
    }
}

@compute @workgroup_size(64)
fn contrast(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let across = (params.items + SIDE - 1u) / SIDE;
    let first_user = group.x / across * SIDE;
    let first_item = group.x % across * SIDE;
    let y = invocation / LANES;
    let x = invocation % LANES;
    // Of users y, y + 8, … the scores with items 4x to 4x + 3 (a), and those 32 after them (b).
    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var a2 = vec4<f32>();
    var a3 = vec4<f32>();
    var a4 = vec4<f32>();
    var a5 = vec4<f32>();
    var a6 = vec4<f32>();
    var a7 = vec4<f32>();
    var b0 = vec4<f32>();
    var b1 = vec4<f32>();
    var b2 = vec4<f32>();
    var b3 = vec4<f32>();
    var b4 = vec4<f32>();
    var b5 = vec4<f32>();
    var b6 = vec4<f32>();
    var b7 = vec4<f32>();
    for (var start = 0u; start < WIDTH; start += STEP) {
        for (var load = invocation; load < SIDE * STEP; load += LANES * LANES) {
            let row = load / STEP;
            let step = load % STEP;
            let column = min(start + step, WIDTH - 1u);
            let inside = start + step < WIDTH;
            let user = params.first_user + min(first_user + row, params.users - 1u);
            let item = params.first_item + min(first_item + row, params.items - 1u);
            let place = row % 4u * 16u + row / 4u;
            user_tile[row * STRIDE + step] =
                select(vec4<f32>(), users[user * (WIDTH + 1u) + column], inside);
            item_tile[place * STRIDE + step] =
                select(vec4<f32>(), items[item * (WIDTH + 1u) + column], inside);
        }
        workgroupBarrier();
        for (var step = 0u; step < STEP; step += 1u) {
            let c0 = item_tile[(x + 0u) * STRIDE + step];
            let c1 = item_tile[(x + 16u) * STRIDE + step];
            let c2 = item_tile[(x + 32u) * STRIDE + step];
            let c3 = item_tile[(x + 48u) * STRIDE + step];
            let d0 = item_tile[(x + 8u) * STRIDE + step];
            let d1 = item_tile[(x + 24u) * STRIDE + step];
            let d2 = item_tile[(x + 40u) * STRIDE + step];
            let d3 = item_tile[(x + 56u) * STRIDE + step];
            let cx = vec4(c0.x, c1.x, c2.x, c3.x);
            let cy = vec4(c0.y, c1.y, c2.y, c3.y);
            let cz = vec4(c0.z, c1.z, c2.z, c3.z);
            let cw = vec4(c0.w, c1.w, c2.w, c3.w);
            let dx = vec4(d0.x, d1.x, d2.x, d3.x);
            let dy = vec4(d0.y, d1.y, d2.y, d3.y);
            let dz = vec4(d0.z, d1.z, d2.z, d3.z);
            let dw = vec4(d0.w, d1.w, d2.w, d3.w);
            let q0 = user_tile[(y + 0u) * STRIDE + step];
            a0 = products(a0, q0, cx, cy, cz, cw);
            b0 = products(b0, q0, dx, dy, dz, dw);
            let q1 = user_tile[(y + 8u) * STRIDE + step];
            a1 = products(a1, q1, cx, cy, cz, cw);
            b1 = products(b1, q1, dx, dy, dz, dw);
            let q2 = user_tile[(y + 16u) * STRIDE + step];
            a2 = products(a2, q2, cx, cy, cz, cw);
            b2 = products(b2, q2, dx, dy, dz, dw);
            let q3 = user_tile[(y + 24u) * STRIDE + step];
            a3 = products(a3, q3, cx, cy, cz, cw);
            b3 = products(b3, q3, dx, dy, dz, dw);
            let q4 = user_tile[(y + 32u) * STRIDE + step];
            a4 = products(a4, q4, cx, cy, cz, cw);
            b4 = products(b4, q4, dx, dy, dz, dw);
            let q5 = user_tile[(y + 40u) * STRIDE + step];
            a5 = products(a5, q5, cx, cy, cz, cw);
            b5 = products(b5, q5, dx, dy, dz, dw);
            let q6 = user_tile[(y + 48u) * STRIDE + step];
            a6 = products(a6, q6, cx, cy, cz, cw);
            b6 = products(b6, q6, dx, dy, dz, dw);
            let q7 = user_tile[(y + 56u) * STRIDE + step];
            a7 = products(a7, q7, cx, cy, cz, cw);
            b7 = products(b7, q7, dx, dy, dz, dw);
        }
        workgroupBarrier();
    }
    let more_a = offsets(first_item + 4u * x);
    let more_b = offsets(first_item + 4u * x + 32u);
    let column = first_item / 4u + x;
    write_scores(first_user + y + 0u, column, a0, b0, more_a, more_b);
    write_scores(first_user + y + 8u, column, a1, b1, more_a, more_b);
    write_scores(first_user + y + 16u, column, a2, b2, more_a, more_b);
    write_scores(first_user + y + 24u, column, a3, b3, more_a, more_b);
    write_scores(first_user + y + 32u, column, a4, b4, more_a, more_b);
    write_scores(first_user + y + 40u, column, a5, b5, more_a, more_b);
    write_scores(first_user + y + 48u, column, a6, b6, more_a, more_b);
    write_scores(first_user + y + 56u, column, a7, b7, more_a, more_b);
}
