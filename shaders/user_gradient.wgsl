// A part of users' gradients: those of the scores of a panel times the items' rows.
//
// A workgroup owns the sums of 64 users in 16 vec4 columns, over a range of the panel's items; an invocation
// 8 users in two columns. Both pass through workgroup memory 16 items at a time, scores as they become
// gradients. Twin: src/cpu/kernels/user_gradient.rs.
//
// scores: (users, stride); items: (slots of a tile, WIDTH + 1); parts: (parts, slots of a tile, WIDTH + 1).

override WIDTH: u32 = 8u;    // vec4 columns of a row
override CCL: bool = false;

const SIDE: u32 = 64u;  // users of a workgroup
const WIDE: u32 = 16u;  // vec4 columns of a workgroup
const LANES: u32 = 8u;  // invocations along each side
const STEP: u32 = 16u;  // items in workgroup memory
const STRIDE: u32 = 5u; // vec4s of a user's gradients there: no two rows of a read share a bank

struct Params {
    users: u32,      // of the panel
    items: u32,
    stride: u32,     // vec4s of a row of scores
    first_user: u32, // the panel's first user, in `stats`
    first_four: u32, // the panel's first four items, in `counts`
    first_item: u32, // the panel's first item, in its tile
    length: u32,     // items of a part, a multiple of STEP
    to: u32,         // where the panel's first user lies in its tile
    tile: u32,       // rows of a part
    adds: u32,       // 1 where panels before have written to the same parts, else 0
    margin: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> stats: array<vec4<f32>>; // h, e, and κ
@group(0) @binding(3) var<storage, read> counts: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> items: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> parts: array<vec4<f32>>;

var<workgroup> coefficient_tile: array<vec4<f32>, 320>; // (SIDE, STRIDE)
var<workgroup> item_tile: array<vec4<f32>, 256>;        // (STEP, WIDE)

// What four scores' gradients are: of softmax `κ exp(t − h)`, of ccl `κ m` where they lie above the margin.
fn coefficients(t: vec4<f32>, user: u32, four: u32) -> vec4<f32> {
    let own = stats[user];
    if CCL {
        return select(vec4<f32>(), own.z * counts[four], t > vec4(params.margin));
    }
    return own.z * exp(t - own.x);
}

// Adds the products of four numbers with four vectors.
fn products(sum: vec4<f32>, q: vec4<f32>, x: vec4<f32>, y: vec4<f32>, z: vec4<f32>, w: vec4<f32>) -> vec4<f32> {
    return fma(vec4(q.w), w, fma(vec4(q.z), z, fma(vec4(q.y), y, fma(vec4(q.x), x, sum))));
}

fn write_part(part: u32, user: u32, column: u32, a: vec4<f32>, b: vec4<f32>) {
    if user < params.users {
        let to = (part * params.tile + params.to + user) * (WIDTH + 1u) + column;
        if column < WIDTH {
            var sum = a;
            if params.adds == 1u { sum += parts[to]; }
            parts[to] = sum;
        }
        if WIDTH > LANES && column + LANES < WIDTH {
            var sum = b;
            if params.adds == 1u { sum += parts[to + LANES]; }
            parts[to + LANES] = sum;
        }
    }
}

@compute @workgroup_size(64)
fn user_gradient(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let blocks = (params.users + SIDE - 1u) / SIDE;
    let wide = (WIDTH + WIDE - 1u) / WIDE;
    let first_user = group.x % blocks * SIDE;
    let first_column = group.x / blocks % wide * WIDE;
    let part = group.x / blocks / wide;
    let begin = part * params.length;
    let end = min(begin + params.length, params.items);
    let y = invocation / LANES;
    let x = invocation % LANES;
    // Of users y, y + 8, … columns x (a) and x + 8 (b).
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
    for (var start = begin; start < end; start += STEP) {
        for (var load = invocation; load < SIDE * STEP / 4u; load += LANES * LANES) {
            let user = min(first_user + load / 4u, params.users - 1u);
            let four = start / 4u + load % 4u;
            let here = min(four, params.stride - 1u);
            let own = coefficients(scores[user * params.stride + here],
                params.first_user + user, params.first_four + here);
            coefficient_tile[load / 4u * STRIDE + load % 4u] =
                select(vec4<f32>(), own, four < params.stride);
        }
        for (var load = invocation; load < STEP * WIDE; load += LANES * LANES) {
            let item = params.first_item + min(start + load / WIDE, params.items - 1u);
            let column = min(first_column + load % WIDE, WIDTH - 1u);
            item_tile[load] = items[item * (WIDTH + 1u) + column];
        }
        workgroupBarrier();
        for (var step = 0u; step < STEP / 4u; step += 1u) {
            let here = step * 4u * WIDE + x;
            let u0 = item_tile[here + 0u * WIDE];
            let u1 = item_tile[here + 1u * WIDE];
            let u2 = item_tile[here + 2u * WIDE];
            let u3 = item_tile[here + 3u * WIDE];
            let c0 = coefficient_tile[(y + 0u) * STRIDE + step];
            a0 = products(a0, c0, u0, u1, u2, u3);
            let c1 = coefficient_tile[(y + 8u) * STRIDE + step];
            a1 = products(a1, c1, u0, u1, u2, u3);
            let c2 = coefficient_tile[(y + 16u) * STRIDE + step];
            a2 = products(a2, c2, u0, u1, u2, u3);
            let c3 = coefficient_tile[(y + 24u) * STRIDE + step];
            a3 = products(a3, c3, u0, u1, u2, u3);
            let c4 = coefficient_tile[(y + 32u) * STRIDE + step];
            a4 = products(a4, c4, u0, u1, u2, u3);
            let c5 = coefficient_tile[(y + 40u) * STRIDE + step];
            a5 = products(a5, c5, u0, u1, u2, u3);
            let c6 = coefficient_tile[(y + 48u) * STRIDE + step];
            a6 = products(a6, c6, u0, u1, u2, u3);
            let c7 = coefficient_tile[(y + 56u) * STRIDE + step];
            a7 = products(a7, c7, u0, u1, u2, u3);
            if WIDTH > LANES {
                let v0 = item_tile[here + LANES + 0u * WIDE];
                let v1 = item_tile[here + LANES + 1u * WIDE];
                let v2 = item_tile[here + LANES + 2u * WIDE];
                let v3 = item_tile[here + LANES + 3u * WIDE];
                b0 = products(b0, c0, v0, v1, v2, v3);
                b1 = products(b1, c1, v0, v1, v2, v3);
                b2 = products(b2, c2, v0, v1, v2, v3);
                b3 = products(b3, c3, v0, v1, v2, v3);
                b4 = products(b4, c4, v0, v1, v2, v3);
                b5 = products(b5, c5, v0, v1, v2, v3);
                b6 = products(b6, c6, v0, v1, v2, v3);
                b7 = products(b7, c7, v0, v1, v2, v3);
            }
        }
        workgroupBarrier();
    }
    let column = first_column + x;
    write_part(part, first_user + y + 0u, column, a0, b0);
    write_part(part, first_user + y + 8u, column, a1, b1);
    write_part(part, first_user + y + 16u, column, a2, b2);
    write_part(part, first_user + y + 24u, column, a3, b3);
    write_part(part, first_user + y + 32u, column, a4, b4);
    write_part(part, first_user + y + 40u, column, a5, b5);
    write_part(part, first_user + y + 48u, column, a6, b6);
    write_part(part, first_user + y + 56u, column, a7, b7);
}
