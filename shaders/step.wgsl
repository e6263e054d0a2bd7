// The regularized update of the rows that occur in a batch: sgd, momentum, adagrad, adam.
//
// One invocation owns one vec4 column of one row, or that row's bias. A row's gradient may lie in
// several slots (one a segment), which are added in order. Twin: src/cpu/kernels/step.rs.
//
// factors, first, second: (rows of a tile, WIDTH), rows padded with zeros to whole vec4s.

override WIDTH: u32 = 8u;  // vec4 columns of a row
override BIAS: u32 = 1u;   // 1 where biases are learned, else 0
override OPTIMIZER: u32 = 0u; // 0 sgd, 1 sgd with momentum, 2 adagrad, 3 adam

const WORKGROUP: u32 = 64u;
const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const ONE_MINUS_BETA1: f32 = 0.1;
const ONE_MINUS_BETA2: f32 = 0.001;
const EPSILON: f32 = 1e-8;

struct Params {
    first_row: u32,   // the dispatch's first touched row
    rows: u32,        // how many it has
    own_bias: u32,    // where the tile's biases start in `biases`
    sums_start: u32,  // where the sums of the batch and tile start in `sums`
    scale: f32,       // turns a sum of e * y into a gradient of the batch's mean loss
    decay: f32,       // twice the regularization of the factors over the ratings of the batch
    decay_bias: f32,  // the same for the biases
    damping: f32,     // twice the damping of the factors over the ratings of the batch
    damping_bias: f32, // the same for the biases
    momentum: f32,
    bias_rate: f32,   // the biases' step size over the factors'
}

struct Visit {
    rate: f32, // the step size, Adam's bias corrections included
}

struct Touched {
    row: u32,
    slot: u32,   // its first slot
    slots: u32,  // how many it has
    weight: f32, // its ratings in the batch, weighted as the regularization asks
    share: f32,  // its ratings in the batch over all it has
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> visit: Visit;
@group(0) @binding(2) var<storage, read> touched: array<Touched>;
@group(0) @binding(3) var<storage, read> gradients: array<vec4<f32>>; // (slots, WIDTH)
@group(0) @binding(4) var<storage, read> sums: array<vec2<f32>>;      // sum of e, of the loss
@group(0) @binding(5) var<storage, read_write> factors: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> biases: array<f32>;
@group(0) @binding(7) var<storage, read_write> first: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> second: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> bias_moments: array<vec2<f32>>;

struct Moved {
    x: vec4<f32>,
    first: vec4<f32>,
    second: vec4<f32>,
}

fn move_by(
    rate: f32,
    x: vec4<f32>,
    g: vec4<f32>,
    first: vec4<f32>,
    second: vec4<f32>,
) -> Moved {
    if OPTIMIZER == 0u {
        return Moved(x - rate * g, first, second);
    }
    if OPTIMIZER == 1u {
        let v = params.momentum * first + g;
        return Moved(x - rate * v, v, second);
    }
    if OPTIMIZER == 2u {
        let v = first + g * g;
        return Moved(x - rate * g / (sqrt(v) + EPSILON), v, second);
    }
    let m = BETA1 * first + ONE_MINUS_BETA1 * g;
    let v = BETA2 * second + ONE_MINUS_BETA2 * (g * g);
    return Moved(x - rate * m / (sqrt(v) + EPSILON), m, v);
}

@compute @workgroup_size(64)
fn step(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = group.x * WORKGROUP + invocation;
    let at = index / (WIDTH + BIAS);
    let column = index % (WIDTH + BIAS);
    if at >= params.rows {
        return;
    }
    let own = touched[params.first_row + at];
    if column < WIDTH {
        var sum = vec4<f32>();
        // Four loads at a time are in flight together; they are added in order.
        let end = own.slot + own.slots;
        let fours = end - own.slots % 4u;
        for (var slot = own.slot; slot < fours; slot += 4u) {
            let a = gradients[slot * WIDTH + column];
            let b = gradients[(slot + 1u) * WIDTH + column];
            let c = gradients[(slot + 2u) * WIDTH + column];
            let d = gradients[(slot + 3u) * WIDTH + column];
            sum = (((sum + a) + b) + c) + d;
        }
        for (var slot = fours; slot < end; slot += 1u) {
            sum += gradients[slot * WIDTH + column];
        }
        let to = own.row * WIDTH + column;
        let x = factors[to];
        let g = params.scale * sum + (params.decay * own.weight + params.damping * own.share) * x;
        var m = vec4<f32>();
        var v = vec4<f32>();
        if OPTIMIZER >= 1u { m = first[to]; }
        if OPTIMIZER >= 3u { v = second[to]; }
        let moved = move_by(visit.rate, x, g, m, v);
        factors[to] = moved.x;
        if OPTIMIZER >= 1u { first[to] = moved.first; }
        if OPTIMIZER >= 3u { second[to] = moved.second; }
    } else {
        var sum = 0.0;
        let end = own.slot + own.slots;
        let fours = end - own.slots % 4u;
        for (var slot = own.slot; slot < fours; slot += 4u) {
            let at = params.sums_start + slot;
            let a = sums[at].x;
            let b = sums[at + 1u].x;
            let c = sums[at + 2u].x;
            let d = sums[at + 3u].x;
            sum = (((sum + a) + b) + c) + d;
        }
        for (var slot = fours; slot < end; slot += 1u) {
            sum += sums[params.sums_start + slot].x;
        }
        let to = params.own_bias + own.row;
        let x = biases[to];
        let g = params.scale * sum + (params.decay_bias * own.weight + params.damping_bias * own.share) * x;
        var moments = vec2<f32>();
        if OPTIMIZER >= 1u { moments = bias_moments[to]; }
        let rate = visit.rate * params.bias_rate;
        let moved = move_by(rate, vec4(x), vec4(g), vec4(moments.x), vec4(moments.y));
        biases[to] = moved.x.x;
        if OPTIMIZER >= 1u { bias_moments[to] = vec2(moved.first.x, moved.second.x); }
    }
}
