// Predictions, residuals and loss of one batch, and the gradient of the side that leads.
//
// A team of LANES lanes walks one segment: at most a few hundred ratings that share a row `x`. It
// takes four ratings at a time: each lane multiplies its columns of `x` with those of the four
// partners `y`, the team adds up the four inner products in workgroup memory, and each lane adds
// `e * y` to its columns of the gradient. A partner is read once. Twin: src/cpu/kernels/residual.rs.
//
// own, partner: (rows of a tile, WIDTH), rows padded with zeros to whole vec4s.

override LANES: u32 = 8u;        // lanes of a team: a power of two, at most 64
override COLUMNS: u32 = 1u;      // vec4 columns a lane holds: 1 to 4
override WIDTH: u32 = 8u;        // vec4 columns of a row: at most LANES * COLUMNS
override LOGISTIC: bool = false; // the loss: cross-entropy instead of the squared error
override WEIGHTED: bool = false; // whether ratings have weights

const WORKGROUP: u32 = 64u;

struct Params {
    first_segment: u32, // the dispatch's first segment
    segments: u32,      // how many it has
    own_bias: u32,      // where the own tile's biases start in `biases`
    partner_bias: u32,  // where the partner tile's start
    batch_start: u32,   // where the batch starts in `entries`
    sums_start: u32,    // where the sums of the batch and tile start in `sums`
    weights_start: u32, // where the weights start in `entries`, two in the place of one
    global_mean: f32,
}

// Ratings of one row with partners of one tile. Segments of a dispatch are sorted: longest first.
struct Segment {
    row: u32,
    start: u32,
    length: u32,
    slot: u32,
}

struct Entry {
    partner: u32,
    value: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> segments: array<Segment>;
@group(0) @binding(2) var<storage, read> entries: array<Entry>;
@group(0) @binding(3) var<storage, read> own: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> partner: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> biases: array<f32>;
@group(0) @binding(6) var<storage, read_write> residuals: array<f32>;
@group(0) @binding(7) var<storage, read_write> gradients: array<vec4<f32>>; // (slots, WIDTH)
@group(0) @binding(8) var<storage, read_write> sums: array<vec2<f32>>;      // sum of e, of the loss

// Two halves, used in turn: a half is written again only after a barrier that follows its reads.
var<workgroup> products: array<vec4<f32>, 128>;

fn own_column(row: u32, column: u32) -> vec4<f32> {
    let value = own[row * WIDTH + min(column, WIDTH - 1u)];
    return select(vec4<f32>(), value, column < WIDTH);
}

// A column beyond the row repeats the last one: `own_column` is zero there, so it adds nothing.
fn partner_column(row: u32, column: u32) -> vec4<f32> {
    return partner[row * WIDTH + min(column, WIDTH - 1u)];
}

fn residual_of(prediction: vec4<f32>, value: vec4<f32>) -> vec4<f32> {
    if LOGISTIC {
        return value - 1.0 / (1.0 + exp(-prediction));
    }
    return value - prediction;
}

fn weight_of(at: u32) -> f32 {
    let pair = entries[params.weights_start + at / 2u];
    return select(bitcast<f32>(pair.partner), pair.value, at % 2u == 1u);
}

fn loss_of(prediction: vec4<f32>, value: vec4<f32>, residual: vec4<f32>) -> vec4<f32> {
    if LOGISTIC {
        return max(prediction, vec4<f32>()) - value * prediction
            + log(1.0 + exp(-abs(prediction)));
    }
    return residual * residual;
}

@compute @workgroup_size(64)
fn residual(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let team = invocation / LANES;
    let lane = invocation % LANES;
    let first = params.first_segment + group.x * (WORKGROUP / LANES);
    let last = params.first_segment + params.segments - 1u;
    let segment = segments[min(first + team, last)];
    let length = select(0u, segment.length, first + team <= last);
    let final_entry = segment.start + segment.length - 1u;
    let longest = segments[first].length; // uniform, and no less than any `length` of the workgroup

    let column0 = lane;
    let column1 = lane + LANES;
    let column2 = lane + 2u * LANES;
    let column3 = lane + 3u * LANES;
    let x0 = own_column(segment.row, column0);
    var x1 = vec4<f32>();
    var x2 = vec4<f32>();
    var x3 = vec4<f32>();
    if COLUMNS > 1u { x1 = own_column(segment.row, column1); }
    if COLUMNS > 2u { x2 = own_column(segment.row, column2); }
    if COLUMNS > 3u { x3 = own_column(segment.row, column3); }
    let base = params.global_mean + biases[params.own_bias + segment.row];

    var g0 = vec4<f32>();
    var g1 = vec4<f32>();
    var g2 = vec4<f32>();
    var g3 = vec4<f32>();
    var sum = 0.0;
    var loss = 0.0;
    var half = 0u;
    var next_a = entries[min(segment.start, final_entry)];
    var next_b = entries[min(segment.start + 1u, final_entry)];
    var next_c = entries[min(segment.start + 2u, final_entry)];
    var next_d = entries[min(segment.start + 3u, final_entry)];
    for (var at = 0u; at < longest; at += 4u) {
        let here = segment.start + at;
        let a = next_a;
        let b = next_b;
        let c = next_c;
        let d = next_d;
        let bias = vec4(
            biases[params.partner_bias + a.partner],
            biases[params.partner_bias + b.partner],
            biases[params.partner_bias + c.partner],
            biases[params.partner_bias + d.partner],
        );
        let a0 = partner_column(a.partner, column0);
        let b0 = partner_column(b.partner, column0);
        let c0 = partner_column(c.partner, column0);
        let d0 = partner_column(d.partner, column0);
        var product = vec4(dot(x0, a0), dot(x0, b0), dot(x0, c0), dot(x0, d0));
        var a1 = vec4<f32>();
        var b1 = vec4<f32>();
        var c1 = vec4<f32>();
        var d1 = vec4<f32>();
        if COLUMNS > 1u {
            a1 = partner_column(a.partner, column1);
            b1 = partner_column(b.partner, column1);
            c1 = partner_column(c.partner, column1);
            d1 = partner_column(d.partner, column1);
            product += vec4(dot(x1, a1), dot(x1, b1), dot(x1, c1), dot(x1, d1));
        }
        var a2 = vec4<f32>();
        var b2 = vec4<f32>();
        var c2 = vec4<f32>();
        var d2 = vec4<f32>();
        if COLUMNS > 2u {
            a2 = partner_column(a.partner, column2);
            b2 = partner_column(b.partner, column2);
            c2 = partner_column(c.partner, column2);
            d2 = partner_column(d.partner, column2);
            product += vec4(dot(x2, a2), dot(x2, b2), dot(x2, c2), dot(x2, d2));
        }
        var a3 = vec4<f32>();
        var b3 = vec4<f32>();
        var c3 = vec4<f32>();
        var d3 = vec4<f32>();
        if COLUMNS > 3u {
            a3 = partner_column(a.partner, column3);
            b3 = partner_column(b.partner, column3);
            c3 = partner_column(c.partner, column3);
            d3 = partner_column(d.partner, column3);
            product += vec4(dot(x3, a3), dot(x3, b3), dot(x3, c3), dot(x3, d3));
        }

        // What the next turn begins with is on its way while this one adds up.
        next_a = entries[min(here + 4u, final_entry)];
        next_b = entries[min(here + 5u, final_entry)];
        next_c = entries[min(here + 6u, final_entry)];
        next_d = entries[min(here + 7u, final_entry)];
        products[half + invocation] = product;
        workgroupBarrier();
        var inner = vec4<f32>();
        if LANES <= 8u {
            for (var j = 0u; j < LANES; j += 1u) {
                inner += products[half + team * LANES + j];
            }
        } else {
            // Two stages: eight lanes add LANES / 8 products each, then every lane adds the eight.
            // A lane overwrites a product that no other lane reads in this stage.
            if lane < 8u {
                var part = vec4<f32>();
                for (var j = 0u; j < LANES / 8u; j += 1u) {
                    part += products[half + team * LANES + j * 8u + lane];
                }
                products[half + team * LANES + lane] = part;
            }
            workgroupBarrier();
            for (var j = 0u; j < 8u; j += 1u) {
                inner += products[half + team * LANES + j];
            }
        }
        half = WORKGROUP - half;

        let prediction = base + bias + inner;
        let value = vec4(a.value, b.value, c.value, d.value);
        let present = vec4(at < length, at + 1u < length, at + 2u < length, at + 3u < length);
        var e = select(vec4<f32>(), residual_of(prediction, value), present);
        var losses = select(vec4<f32>(), loss_of(prediction, value, e), present);
        if WEIGHTED {
            let last_entry = max(segment.length, 1u) - 1u + segment.start;
            let weight = vec4(
                weight_of(min(here, last_entry)),
                weight_of(min(here + 1u, last_entry)),
                weight_of(min(here + 2u, last_entry)),
                weight_of(min(here + 3u, last_entry)),
            );
            e *= weight;
            losses *= weight;
        }
        sum += ((e.x + e.y) + e.z) + e.w;
        loss += ((losses.x + losses.y) + losses.z) + losses.w;
        g0 += e.x * a0 + e.y * b0 + e.z * c0 + e.w * d0;
        if COLUMNS > 1u { g1 += e.x * a1 + e.y * b1 + e.z * c1 + e.w * d1; }
        if COLUMNS > 2u { g2 += e.x * a2 + e.y * b2 + e.z * c2 + e.w * d2; }
        if COLUMNS > 3u { g3 += e.x * a3 + e.y * b3 + e.z * c3 + e.w * d3; }

        if lane == 0u {
            let to = here - params.batch_start;
            if present.x { residuals[to] = e.x; }
            if present.y { residuals[to + 1u] = e.y; }
            if present.z { residuals[to + 2u] = e.z; }
            if present.w { residuals[to + 3u] = e.w; }
        }
    }

    if length > 0u {
        let to = segment.slot * WIDTH;
        if column0 < WIDTH { gradients[to + column0] = g0; }
        if COLUMNS > 1u && column1 < WIDTH { gradients[to + column1] = g1; }
        if COLUMNS > 2u && column2 < WIDTH { gradients[to + column2] = g2; }
        if COLUMNS > 3u && column3 < WIDTH { gradients[to + column3] = g3; }
        if lane == 0u { sums[params.sums_start + segment.slot] = vec2(sum, loss); }
    }
}
