// A part of the pool's gradients: those of the scores of a panel, transposed, times the users' rows.
//
// A workgroup owns the sums of 64 slots of the pool in 16 vec4 columns, over a range of the panel's users; an
// invocation 8 slots in two columns. Both pass through workgroup memory 16 users at a time, scores as they
// become gradients. Twin: src/cpu/kernels/item_gradient.rs.
//
// scores: (users, stride); users: (slots of a tile, WIDTH + 1); parts: (parts, slots of a tile, WIDTH + 1),
// whose last vec4 begins with the gradient by the bias.

override WIDTH: u32 = 8u;    // vec4 columns of a row
override CCL: bool = false;
override BIAS: bool = false; // whether slots have biases

const SIDE: u32 = 64u; // slots of a workgroup
const WIDE: u32 = 16u; // vec4 columns of a workgroup
const LANES: u32 = 8u; // invocations along each side
const STEP: u32 = 16u; // users in workgroup memory

struct Params {
    users: u32,      // of the panel
    items: u32,
    stride: u32,     // vec4s of a row of scores
    first_user: u32, // the panel's first user, in `stats`
    first_four: u32, // the panel's first four items, in `counts`
    first_row: u32,  // the panel's first user, in its tile
    length: u32,     // users of a part, a multiple of STEP
    to: u32,         // where the panel's first item lies in its tile
    tile: u32,       // rows of a part
    adds: u32,       // 1 where panels before have written to the same parts, else 0
    margin: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> stats: array<vec4<f32>>; // h, e, and κ
@group(0) @binding(3) var<storage, read> counts: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> users: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> parts: array<vec4<f32>>;

var<workgroup> coefficient_tile: array<vec4<f32>, 256>; // (STEP, SIDE / 4)
var<workgroup> user_tile: array<vec4<f32>, 256>;        // (STEP, WIDE)

// What four scores' gradients are: of softmax `κ exp(t − h)`, of ccl `κ m` where they lie above the margin.
fn coefficients(t: vec4<f32>, user: u32, four: u32) -> vec4<f32> {
    let own = stats[user];
    if CCL {
        return select(vec4<f32>(), own.z * counts[four], t > vec4(params.margin));
    }
    return own.z * exp(t - own.x);
}

fn write_part(part: u32, item: u32, column: u32, a: vec4<f32>, b: vec4<f32>) {
    if item < params.items {
        let to = (part * params.tile + params.to + item) * (WIDTH + 1u) + column;
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

fn write_head(part: u32, item: u32, bias: f32) {
    if item < params.items {
        let to = (part * params.tile + params.to + item) * (WIDTH + 1u) + WIDTH;
        var sum = vec4(bias, 0.0, 0.0, 0.0);
        if params.adds == 1u { sum += parts[to]; }
        parts[to] = sum;
    }
}

@compute @workgroup_size(64)
fn item_gradient(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let blocks = (params.items + SIDE - 1u) / SIDE;
    let wide = (WIDTH + WIDE - 1u) / WIDE;
    let first_item = group.x % blocks * SIDE;
    let first_column = group.x / blocks % wide * WIDE;
    let part = group.x / blocks / wide;
    let begin = part * params.length;
    let end = min(begin + params.length, params.users);
    let y = invocation / LANES;
    let x = invocation % LANES;
    // Of slots 4y to 4y + 3, and those 32 after them, columns x (a) and x + 8 (b).
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
    var near = vec4<f32>();
    var far = vec4<f32>();
    for (var start = begin; start < end; start += STEP) {
        for (var load = invocation; load < STEP * SIDE / 4u; load += LANES * LANES) {
            let user = start + load / (SIDE / 4u);
            let row = min(user, params.users - 1u);
            let four = first_item / 4u + load % (SIDE / 4u);
            let here = min(four, params.stride - 1u);
            let own = coefficients(scores[row * params.stride + here],
                params.first_user + row, params.first_four + here);
            coefficient_tile[load] = select(vec4<f32>(), own, user < end && four < params.stride);
        }
        for (var load = invocation; load < STEP * WIDE; load += LANES * LANES) {
            let user = params.first_row + min(start + load / WIDE, params.users - 1u);
            let column = min(first_column + load % WIDE, WIDTH - 1u);
            user_tile[load] = users[user * (WIDTH + 1u) + column];
        }
        workgroupBarrier();
        for (var step = 0u; step < STEP; step += 1u) {
            let c = coefficient_tile[step * (SIDE / 4u) + y];
            let d = coefficient_tile[step * (SIDE / 4u) + LANES + y];
            let u = user_tile[step * WIDE + x];
            a0 = fma(vec4(c.x), u, a0);
            a1 = fma(vec4(c.y), u, a1);
            a2 = fma(vec4(c.z), u, a2);
            a3 = fma(vec4(c.w), u, a3);
            a4 = fma(vec4(d.x), u, a4);
            a5 = fma(vec4(d.y), u, a5);
            a6 = fma(vec4(d.z), u, a6);
            a7 = fma(vec4(d.w), u, a7);
            if WIDTH > LANES {
                let v = user_tile[step * WIDE + LANES + x];
                b0 = fma(vec4(c.x), v, b0);
                b1 = fma(vec4(c.y), v, b1);
                b2 = fma(vec4(c.z), v, b2);
                b3 = fma(vec4(c.w), v, b3);
                b4 = fma(vec4(d.x), v, b4);
                b5 = fma(vec4(d.y), v, b5);
                b6 = fma(vec4(d.z), v, b6);
                b7 = fma(vec4(d.w), v, b7);
            }
            if BIAS {
                near += c;
                far += d;
            }
        }
        workgroupBarrier();
    }
    let item = first_item + 4u * y;
    let column = first_column + x;
    write_part(part, item + 0u, column, a0, b0);
    write_part(part, item + 1u, column, a1, b1);
    write_part(part, item + 2u, column, a2, b2);
    write_part(part, item + 3u, column, a3, b3);
    write_part(part, item + 32u, column, a4, b4);
    write_part(part, item + 33u, column, a5, b5);
    write_part(part, item + 34u, column, a6, b6);
    write_part(part, item + 35u, column, a7, b7);
    if BIAS && column == 0u {
        write_head(part, item + 0u, near.x);
        write_head(part, item + 1u, near.y);
        write_head(part, item + 2u, near.z);
        write_head(part, item + 3u, near.w);
        write_head(part, item + 32u, far.x);
        write_head(part, item + 33u, far.y);
        write_head(part, item + 34u, far.z);
        write_head(part, item + 35u, far.w);
    }
}
